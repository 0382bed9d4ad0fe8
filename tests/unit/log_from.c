/* A log that is opened from the middle: what stands for the entries that are not read cannot be anything but what was signed. */
#include "log/log.h"
#include "log/note.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "soft_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { ENTRIES = 77 };
static const char origin[] = "log.example.com/custody";

struct fixture {
	struct soft_storage *storage;
	struct soft_signer signer;
	struct custos_log *log;
	char *vkey;
	struct custos_err err;
};

static void add(struct custos_log *log, int number)
{
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_int(fields, "n", number);
	assert_int_equal(custos_log_append(log, "test.entry", fields, NULL, NULL), CUSTOS_OK);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->storage = soft_storage_new();
	soft_signer_init(&f->signer, CUSTOS_SIGNATURE_ED25519);
	f->vkey = soft_vkey(&f->signer, origin);
	struct custos_log_storage interface = soft_interface(f->storage);
	assert_int_equal(custos_log_open(&interface, origin, NULL, NULL, NULL, &f->log, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_set_vkey(f->log, f->vkey, &f->err), CUSTOS_OK);
	for (int i = 0; i < ENTRIES; i++)
		add(f->log, i);
	assert_int_equal(custos_log_commit(f->log, &f->signer.signer, &f->err), CUSTOS_OK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	custos_log_free(f->log);
	soft_storage_free(f->storage);
	soft_signer_done(&f->signer);
	free(f->vkey);
	free(f);
	return 0;
}

struct seen {
	uint64_t first;
	size_t count;
};

static custos_rc see(void *ctx, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	struct seen *seen = ctx;
	(void)entry;
	(void)err;
	if (seen->count++ == 0)
		seen->first = index;
	return CUSTOS_OK;
}

static custos_rc open_from(struct fixture *f, uint64_t size, const struct custos_json *subtrees, struct seen *seen, struct custos_log **ret_log)
{
	struct custos_log_storage interface = soft_interface(f->storage);
	const struct custos_log_base base = { size, subtrees };
	f->err = (struct custos_err){ 0 };
	return custos_log_open_from(&interface, origin, f->vkey, &base, see, seen, ret_log, &f->err);
}

static struct custos_json *subtrees_at(struct fixture *f, uint64_t size)
{
	struct custos_json *subtrees = NULL;
	assert_int_equal(custos_log_subtrees(f->log, size, &subtrees, &f->err), CUSTOS_OK);
	return subtrees;
}

static void assert_same_log(struct custos_log *a, struct custos_log *b, uint64_t size)
{
	uint8_t x[CUSTOS_HASH_SIZE], y[CUSTOS_HASH_SIZE];
	assert_int_equal(custos_log_root(a, size, x, NULL), CUSTOS_OK);
	assert_int_equal(custos_log_root(b, size, y, NULL), CUSTOS_OK);
	assert_memory_equal(x, y, sizeof x);
}

static void it_is_the_same_log(void **state)
{
	struct fixture *f = *state;
	for (uint64_t size = 1; size < ENTRIES; size++) {
		CUSTOS_AUTO(custos_json) *subtrees = subtrees_at(f, size);
		CUSTOS_AUTO(custos_log) *log = NULL;
		struct seen seen = { 0 };
		if (open_from(f, size, subtrees, &seen, &log) != CUSTOS_OK)
			fail_msg("from %llu: %s", (unsigned long long)size, f->err.msg);
		assert_true(seen.first == size);
		assert_true(seen.count == ENTRIES - size);
		assert_int_equal(custos_log_size(log), ENTRIES);
		for (uint64_t root = size; root <= ENTRIES; root++)
			assert_same_log(log, f->log, root);
		/* an older root needs what was not read, and what it says of itself is what the whole log says */
		assert_same_log(log, f->log, size - 1);
		seen = (struct seen){ 0 };
		assert_int_equal(custos_log_each(log, see, &seen, &f->err), CUSTOS_OK);
		assert_true(seen.first == 0 && seen.count == ENTRIES);
	}
}

static void it_goes_on(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO(custos_json) *subtrees = subtrees_at(f, 50);
	CUSTOS_AUTO(custos_log) *log = NULL;
	struct seen seen = { 0 };
	assert_int_equal(open_from(f, 50, subtrees, &seen, &log), CUSTOS_OK);
	add(log, 1000);
	custos_log_abort(log);
	assert_same_log(log, f->log, ENTRIES);
	add(log, 1001);
	add(log, 1002);
	assert_int_equal(custos_log_commit(log, &f->signer.signer, &f->err), CUSTOS_OK);
	CUSTOS_AUTO(custos_log) *whole = NULL;
	struct custos_log_storage interface = soft_interface(f->storage);
	assert_int_equal(custos_log_open(&interface, origin, f->vkey, NULL, NULL, &whole, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_size(whole), ENTRIES + 2);
	assert_same_log(log, whole, ENTRIES + 2);
	CUSTOS_AUTO(custos_json) *report = NULL;
	assert_int_equal(custos_log_verify(log, CUSTOS_BYTES(NULL, 0), &report, &f->err), CUSTOS_OK);
	assert_int_equal(custos_json_int(report, "entries", -1), ENTRIES + 2);
}

/* The proof a release needs comes from the subtrees: it must lead to the root all the same. */
static void a_release_is_proven(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = { "web", NULL };
	for (uint64_t size = 60; size < ENTRIES; size++) {
		CUSTOS_AUTO(custos_json) *subtrees = subtrees_at(f, size);
		CUSTOS_AUTO(custos_log) *log = NULL;
		CUSTOS_AUTO(custos_json) *fields = custos_json_object();
		CUSTOS_AUTO(custos_merkle) *m = NULL;
		CUSTOS_AUTO_BUF line = { 0 };
		struct seen seen = { 0 };
		struct custos_release_terms terms = { 0 };
		struct custos_json *hosts = soft_hosts(names);
		custos_json_set(fields, "hosts", hosts);
		assert_int_equal(custos_json_line(hosts, &line, NULL), CUSTOS_OK);
		assert_int_equal(custos_sha256(custos_buf_view(&line), terms.hosts_sha256, NULL), CUSTOS_OK);
		custos_json_set_hex(fields, "container_sha256", terms.container_sha256, CUSTOS_HASH_SIZE);
		custos_json_set_hex(fields, "courier_point", terms.courier_point, CUSTOS_POINT_SIZE);
		assert_int_equal(open_from(f, size, subtrees, &seen, &log), CUSTOS_OK);
		CUSTOS_CLEANUP(custos_log_intent_done) struct custos_log_intent intent = { 0 };
		if (custos_log_commit_release(log, &f->signer.signer, fields, &terms, &intent, &f->err) != CUSTOS_OK)
			fail_msg("%s", f->err.msg);
		uint8_t leaf[CUSTOS_HASH_SIZE], root[CUSTOS_HASH_SIZE];
		assert_int_equal(custos_merkle_new(&m, NULL), CUSTOS_OK);
		assert_int_equal(custos_merkle_leaf(m, custos_buf_view(&intent.leaf), leaf, NULL), CUSTOS_OK);
		assert_int_equal(custos_log_root(log, intent.index + 1, root, NULL), CUSTOS_OK);
		assert_int_equal(custos_merkle_check(m, leaf, intent.index, intent.index + 1, (const custos_hash *)intent.proof, intent.proof_count, root, &f->err), CUSTOS_OK);
	}
}

static void assert_refused(struct fixture *f, uint64_t size, const struct custos_json *subtrees)
{
	CUSTOS_AUTO(custos_log) *log = NULL;
	struct seen seen = { 0 };
	assert_int_equal(open_from(f, size, subtrees, &seen, &log), CUSTOS_E_TAMPERED);
	assert_null(log);
	/* nothing was shown to anybody who would have believed it */
	assert_int_equal(seen.count, 0);
}

/* One hex digit of one hash, one hash too many, too few, two exchanged, those of another size. */
static void other_subtrees(void **state)
{
	struct fixture *f = *state;
	enum { SIZE = 55 }; /* 32 + 16 + 4 + 2 + 1 */
	CUSTOS_AUTO(custos_json) *right = subtrees_at(f, SIZE);
	assert_int_equal(custos_json_count(right), 5);
	for (size_t i = 0; i < custos_json_count(right); i++) {
		CUSTOS_AUTO(custos_json) *wrong = custos_json_array();
		for (size_t k = 0; k < custos_json_count(right); k++) {
			char hex[2 * CUSTOS_HASH_SIZE + 1];
			snprintf(hex, sizeof hex, "%s", custos_json_string_value(custos_json_at(right, k)));
			hex[13] = k == i ? (hex[13] == '0' ? '1' : '0') : hex[13];
			custos_json_push(wrong, custos_json_string(hex));
		}
		assert_refused(f, SIZE, wrong);
	}
	CUSTOS_AUTO(custos_json) *more = custos_json_copy(right);
	custos_json_push(more, custos_json_ref(custos_json_at(right, 0)));
	assert_refused(f, SIZE, more);
	CUSTOS_AUTO(custos_json) *fewer = subtrees_at(f, SIZE - 1);
	assert_refused(f, SIZE, fewer);
	assert_refused(f, SIZE - 1, right);
	CUSTOS_AUTO(custos_json) *older = subtrees_at(f, 47); /* as many ones as 55 */
	assert_int_equal(custos_json_count(older), custos_json_count(right));
	assert_refused(f, SIZE, older);
	assert_refused(f, 47, right);
	assert_refused(f, SIZE, NULL);
	CUSTOS_AUTO(custos_json) *text = custos_json_array();
	for (int i = 0; i < 5; i++)
		custos_json_push(text, custos_json_string("not a hash"));
	assert_refused(f, SIZE, text);
	/* more entries than there are */
	CUSTOS_AUTO(custos_json) *beyond = subtrees_at(f, ENTRIES);
	assert_refused(f, ENTRIES, beyond);
}

/* What was not read at opening is compared when it is read: shown is nothing of it, published is nothing of it. */
static void altered_before_the_base(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO(custos_json) *subtrees = subtrees_at(f, 50);
	char *n = strstr((char *)f->storage->entry[7].ptr, "\"n\":7");
	assert_non_null(n);
	n[4] = '8';
	CUSTOS_AUTO(custos_log) *log = NULL;
	struct seen seen = { 0 };
	assert_int_equal(open_from(f, 50, subtrees, &seen, &log), CUSTOS_OK);
	seen = (struct seen){ 0 };
	assert_int_equal(custos_log_each(log, see, &seen, &f->err), CUSTOS_E_TAMPERED);
	assert_int_equal(seen.count, 0);
	CUSTOS_AUTO(custos_json) *report = NULL;
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_verify(log, CUSTOS_BYTES(NULL, 0), &report, &f->err), CUSTOS_E_TAMPERED);
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_publish(log, "/nonexistent/directory", &f->err), CUSTOS_E_TAMPERED);
}

/* An entry to begin with that nobody has signed: a forged one at the end. */
static void base_without_signature(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO(custos_log) *forger = NULL;
	struct custos_log_storage interface = soft_interface(f->storage);
	assert_int_equal(custos_log_open(&interface, origin, f->vkey, NULL, NULL, &forger, &f->err), CUSTOS_OK);
	/* an event that may stand without signature does not help either */
	assert_int_equal(custos_log_append(forger, "token.repaired", NULL, NULL, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_commit_unsigned(forger, &f->err), CUSTOS_OK);
	CUSTOS_AUTO(custos_json) *subtrees = subtrees_at(f, ENTRIES);
	assert_refused(f, ENTRIES, subtrees);
	assert_non_null(strstr(f->err.msg, "not covered by a signature"));
}

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = { WITH(it_is_the_same_log),  WITH(it_goes_on), WITH(a_release_is_proven), WITH(other_subtrees),
		                                WITH(altered_before_the_base), WITH(base_without_signature) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
