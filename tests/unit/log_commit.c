/* The log's promises about what becomes durable and what is believed: a storage and a signer that fail and lie. */
#include "log/entry.h"
#include "log/log.h"
#include "log/note.h"
#include "log/tree.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "soft_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char origin[] = "log.example.com/custody";

struct fixture {
	struct soft_storage *storage;
	struct soft_signer signer;
	struct custos_log *log;
	char *vkey;
	struct custos_err err;
};

static custos_rc reopen_with(struct soft_storage *storage, const char *vkey, struct custos_log **ret_log, struct custos_err *err)
{
	struct custos_log_storage interface = soft_interface(storage);
	return custos_log_open(&interface, origin, vkey, NULL, NULL, ret_log, err);
}

static int set_up_for(void **state, enum custos_signature algorithm)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->storage = soft_storage_new();
	soft_signer_init(&f->signer, algorithm);
	f->vkey = soft_vkey(&f->signer, origin);
	assert_int_equal(reopen_with(f->storage, NULL, &f->log, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_append(f->log, "custody.genesis", NULL, NULL, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_set_vkey(f->log, f->vkey, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_commit(f->log, &f->signer.signer, &f->err), CUSTOS_OK);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_for(state, CUSTOS_SIGNATURE_ED25519);
}

static int set_up_p256(void **state)
{
	return set_up_for(state, CUSTOS_SIGNATURE_ECDSA_SHA256);
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

static void add(struct fixture *f, const char *event, const char *member, int64_t value)
{
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_int(fields, member, value);
	assert_int_equal(custos_log_append(f->log, event, fields, NULL, &f->err), CUSTOS_OK);
}

static void commit(struct fixture *f)
{
	if (custos_log_commit(f->log, &f->signer.signer, &f->err) != CUSTOS_OK)
		fail_msg("%s", f->err.msg);
}

static void assert_opens(struct fixture *f, custos_rc expected)
{
	CUSTOS_AUTO(custos_log) *again = NULL;
	struct custos_err err = { 0 };
	custos_rc rc = reopen_with(f->storage, f->vkey, &again, &err);
	if (rc != expected)
		fail_msg("opening says %s (%s) instead of %s", custos_rc_name(rc), err.msg, custos_rc_name(expected));
}

/* RFC 6962 2.1 as it stands there, recursion and all. */
static void reference_root(struct custos_merkle *m, const struct custos_buf *entries, size_t n, uint8_t *ret)
{
	size_t k = 1;
	custos_hash left, right;
	if (n == 0) {
		assert_int_equal(custos_sha256(CUSTOS_BYTES(NULL, 0), ret, NULL), CUSTOS_OK);
		return;
	}
	if (n == 1) {
		assert_int_equal(custos_merkle_leaf(m, custos_buf_view(entries), ret, NULL), CUSTOS_OK);
		return;
	}
	while (2 * k < n)
		k *= 2;
	reference_root(m, entries, k, left);
	reference_root(m, entries + k, n - k, right);
	assert_int_equal(custos_merkle_node(m, left, right, ret, NULL), CUSTOS_OK);
}

static void entry_form(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	CUSTOS_AUTO_BUF leaf = { 0 };
	custos_json_set_text(fields, "zebra", "g\xc3\xbc" "n \"x\"\n");
	custos_json_set_bool(fields, "able", true);
	assert_int_equal(custos_entry_encode("key.generate", 7, 1795417200, fields, &leaf, NULL), CUSTOS_OK);
	assert_string_equal(
		(char *)leaf.ptr,
		"{\"able\":true,\"event\":\"key.generate\",\"index\":7,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1,\"zebra\":\"g\\u00FCn \\\"x\\\"\\n\"}");
	static const char *const reserved[] = { "event", "index", "time", "v" };
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
		CUSTOS_AUTO(custos_json) *bad = custos_json_object();
		custos_json_set_int(bad, reserved[i], 1);
		assert_int_equal(custos_entry_encode("key.generate", 7, 0, bad, &leaf, NULL), CUSTOS_E_INTERNAL);
	}
	assert_int_equal(custos_entry_encode("Key Generate", 7, 0, NULL, &leaf, NULL), CUSTOS_E_INTERNAL);
	char *long_text = calloc(1, 70000);
	memset(long_text, 'x', 69999);
	custos_json_set_text(fields, "zebra", long_text);
	free(long_text);
	assert_int_equal(custos_entry_encode("key.generate", 7, 0, fields, &leaf, NULL), CUSTOS_E_INPUT);
}

static void entries_refused(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"",
		"{}",
		"[1]",
		"{\"event\":\"a\",\"index\":3,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}",                /* another index */
		"{\"event\":\"a\",\"index\":2,\"time\":\"2026-11-23T07:00:00Z\",\"v\":2}",                /* another version */
		"{\"event\":\"a\",\"index\":2,\"time\":\"2026-11-23T07:00:00Z\"}",
		"{\"event\":\"a\",\"index\":2,\"time\":\"2026-11-23T07:00:00+00:00\",\"v\":1}",
		"{\"event\":\"a\",\"index\":2,\"time\":\"2026-11-31T07:00:00Z\",\"v\":1}",                /* no such day */
		"{\"event\":\"a\",\"index\":2,\"time\":\"2026-1-23T07:00:000Z\",\"v\":1}",
		"{\"event\":\"\",\"index\":2,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}",
		"{\"event\":7,\"index\":2,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}",
		"{\"event\":\"a\",\"index\":\"2\",\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}",
		"{\"event\":\"a\", \"index\":2,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}",               /* a blank */
		"{\"index\":2,\"event\":\"a\",\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}",                /* not sorted */
		"{\"event\":\"a\",\"event\":\"a\",\"index\":2,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}",
		"{\"event\":\"\\u0061\",\"index\":2,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}",          /* needless escape */
		"{\"event\":\"a\",\"index\":2,\"name\":\"\xc3\xbc\",\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}",
		"{\"event\":\"a\",\"index\":2,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}\n",
		"{\"event\":\"a\",\"index\":2,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}{}",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		CUSTOS_AUTO(custos_json) *entry = NULL;
		if (custos_entry_decode(CUSTOS_BYTES_STR(lines[i]), 2, &entry, NULL) != CUSTOS_E_TAMPERED)
			fail_msg("accepted: %s", lines[i]);
	}
	CUSTOS_AUTO(custos_json) *entry = NULL;
	assert_int_equal(custos_entry_decode(CUSTOS_BYTES_STR("{\"event\":\"a\",\"index\":2,\"time\":\"2026-11-23T07:00:00Z\",\"v\":1}"), 2,
	                                     &entry, NULL),
	                 CUSTOS_OK);
}

static void roots(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO(custos_merkle) *m = NULL;
	assert_int_equal(custos_merkle_new(&m, NULL), CUSTOS_OK);
	custos_hash expected, got;
	for (size_t n = 0; n < 300; n++) {
		if (n > 1)
			add(f, "note", "n", (int64_t)n);
		size_t size = n == 0 ? 0 : (size_t)custos_log_size(f->log);
		reference_root(m, f->storage->entry, size, expected);
		assert_int_equal(custos_log_root(f->log, size, got, NULL), CUSTOS_OK);
		assert_memory_equal(got, expected, sizeof got);
	}
	commit(f);
	/* older sizes, and the tree after entries were taken back */
	add(f, "note", "gone", 1);
	add(f, "note", "gone", 2);
	custos_log_abort(f->log);
	for (size_t size = 0; size <= custos_log_size(f->log); size++) {
		reference_root(m, f->storage->entry, size, expected);
		assert_int_equal(custos_log_root(f->log, size, got, NULL), CUSTOS_OK);
		assert_memory_equal(got, expected, sizeof got);
	}
	assert_int_not_equal(custos_log_root(f->log, custos_log_size(f->log) + 1, got, NULL), CUSTOS_OK);
	add(f, "note", "again", 1);
	commit(f);
	assert_opens(f, CUSTOS_OK);
}

static custos_rc count_entries(void *ctx, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	size_t *count = ctx;
	(void)err;
	assert_int_equal(index, (*count)++);
	assert_int_equal(custos_json_int(entry, "index", -1), index);
	return CUSTOS_OK;
}

static void commit_and_open(void **state)
{
	struct fixture *f = *state;
	add(f, "key.generate", "n", 1);
	add(f, "key.generate", "n", 2);
	assert_int_equal(f->storage->durable, 1);
	commit(f);
	assert_int_equal(f->storage->durable, 3);
	assert_int_equal(custos_log_signed_size(f->log), 3);
	/* nothing new: durable, but the same size is not signed twice */
	unsigned before = f->signer.signed_count;
	commit(f);
	assert_int_equal(f->signer.signed_count, before);
	struct custos_log_storage interface = soft_interface(f->storage);
	CUSTOS_AUTO(custos_log) *again = NULL;
	size_t seen = 0;
	assert_int_equal(custos_log_open(&interface, origin, f->vkey, count_entries, &seen, &again, NULL), CUSTOS_OK);
	assert_int_equal(seen, 3);
	CUSTOS_AUTO(custos_json) *json = custos_log_json(again);
	assert_string_equal(custos_json_text(json, "origin"), origin);
	assert_int_equal(custos_json_int(json, "size", -1), 3);
	assert_string_equal(custos_json_text(json, "vkey"), f->vkey);
	assert_string_equal(custos_json_text(json, "checkpoint"), (char *)f->storage->note[1].ptr);
}

/* A signature that does not verify leaves nothing behind, and the log goes on as if nothing had been. */
static void lying_signers(void **state)
{
	struct fixture *f = *state;
	for (enum soft_mood mood = SOFT_FLIP_A_BIT; mood <= SOFT_FAIL; mood++) {
		f->signer.mood = mood;
		f->err = (struct custos_err){ 0 };
		add(f, "key.generate", "n", (int64_t)mood);
		assert_int_equal(custos_log_commit(f->log, &f->signer.signer, &f->err), CUSTOS_E_TOKEN);
		assert_int_equal(f->storage->count, 1);
		assert_int_equal(f->storage->notes, 1);
		assert_int_equal(custos_log_size(f->log), 1);
		assert_int_equal(custos_log_signed_size(f->log), 1);
	}
	/* a good signature by another key */
	struct soft_signer other;
	soft_signer_init(&other, f->signer.signer.algorithm);
	f->signer.mood = SOFT_HONEST;
	f->err = (struct custos_err){ 0 };
	add(f, "key.generate", "n", 9);
	assert_int_equal(custos_log_commit(f->log, &other.signer, &f->err), CUSTOS_E_TOKEN);
	/* … that pretends to be ours */
	other.signer.spki = f->signer.signer.spki;
	f->err = (struct custos_err){ 0 };
	add(f, "key.generate", "n", 10);
	assert_int_equal(custos_log_commit(f->log, &other.signer, &f->err), CUSTOS_E_TOKEN);
	assert_int_equal(f->storage->count, 1);
	soft_signer_done(&other);
	f->err = (struct custos_err){ 0 };
	add(f, "key.generate", "n", 11);
	commit(f);
	assert_opens(f, CUSTOS_OK);
}

static void failing_storage(void **state)
{
	struct fixture *f = *state;
	f->storage->fail_append = true;
	assert_int_equal(custos_log_append(f->log, "key.generate", NULL, NULL, &f->err), CUSTOS_E_STORE);
	/* What is left of that transaction cannot be committed, not even when appending works again. */
	f->storage->fail_append = false;
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_append(f->log, "key.generate", NULL, NULL, &f->err), CUSTOS_E_STORE);
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_commit(f->log, &f->signer.signer, &f->err), CUSTOS_E_STORE);
	assert_int_equal(f->storage->commits, 1);
	/* That commit gave the transaction up. */
	f->err = (struct custos_err){ 0 };
	f->storage->fail_put = true;
	add(f, "key.generate", "n", 1);
	assert_int_equal(custos_log_commit(f->log, &f->signer.signer, &f->err), CUSTOS_E_STORE);
	assert_int_equal(f->storage->count, 1);
	f->storage->fail_put = false;
	f->err = (struct custos_err){ 0 };
	add(f, "key.generate", "n", 2);
	commit(f);

	f->storage->fail_commit = true;
	add(f, "key.generate", "n", 3);
	assert_int_equal(custos_log_commit(f->log, &f->signer.signer, &f->err), CUSTOS_E_STORE);
	f->storage->fail_commit = false;
	unsigned signed_before = f->signer.signed_count;
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_append(f->log, "key.generate", NULL, NULL, &f->err), CUSTOS_E_STORE);
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_commit(f->log, &f->signer.signer, &f->err), CUSTOS_E_STORE);
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_commit_unsigned(f->log, &f->err), CUSTOS_E_STORE);
	custos_log_abort(f->log);
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_append(f->log, "key.generate", NULL, NULL, &f->err), CUSTOS_E_STORE);
	assert_int_equal(f->signer.signed_count, signed_before);
	assert_opens(f, CUSTOS_OK);
}

static void unsigned_tail(void **state)
{
	struct fixture *f = *state;
	static const char *const allowed[] = { "token.login_failed", "token.failed",        "token.repaired",
		                               "release.done",       "release.rolled_back", "release.not_rolled_back",
		                               "release.untouched",  "release.unknown" };
	static const char *const forbidden[] = { "release.intent", "release.resolved", "release.done2", "key.generate", "custody.genesis", "" };
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		assert_true(custos_log_may_stand_unsigned(allowed[i]));
	for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++)
		assert_false(custos_log_may_stand_unsigned(forbidden[i]));

	add(f, "token.login_failed", "n", 1);
	add(f, "key.generate", "n", 2);
	assert_int_equal(custos_log_commit_unsigned(f->log, &f->err), CUSTOS_E_POLICY);
	assert_int_equal(f->storage->durable, 1);
	assert_int_equal(f->storage->count, 1);
	f->err = (struct custos_err){ 0 };
	add(f, "token.login_failed", "n", 1);
	assert_int_equal(custos_log_commit_unsigned(f->log, &f->err), CUSTOS_OK);
	assert_int_equal(f->storage->durable, 2);
	assert_int_equal(custos_log_size(f->log), 2);
	assert_int_equal(custos_log_signed_size(f->log), 1);
	assert_opens(f, CUSTOS_OK);
	/* the next checkpoint covers it */
	add(f, "key.generate", "n", 3);
	commit(f);
	assert_int_equal(custos_log_signed_size(f->log), 3);
	assert_opens(f, CUSTOS_OK);
	/* somebody writes an entry of another kind behind the signed ones */
	CUSTOS_AUTO_BUF leaf = { 0 };
	assert_int_equal(custos_entry_encode("key.allow", 3, 1795417200, NULL, &leaf, NULL), CUSTOS_OK);
	assert_int_equal(soft_append(f->storage, 3, custos_buf_view(&leaf), NULL), CUSTOS_OK);
	assert_opens(f, CUSTOS_E_TAMPERED);
}

static void first_commit_is_signed(void **state)
{
	(void)state;
	struct soft_storage *storage = soft_storage_new();
	CUSTOS_AUTO(custos_log) *log = NULL;
	struct soft_signer signer;
	soft_signer_init(&signer, CUSTOS_SIGNATURE_ED25519);
	assert_int_equal(reopen_with(storage, NULL, &log, NULL), CUSTOS_OK);
	assert_int_equal(custos_log_append(log, "token.failed", NULL, NULL, NULL), CUSTOS_OK);
	assert_int_not_equal(custos_log_commit_unsigned(log, NULL), CUSTOS_OK);
	assert_int_equal(custos_log_append(log, "custody.genesis", NULL, NULL, NULL), CUSTOS_OK);
	assert_int_equal(custos_log_commit(log, &signer.signer, NULL), CUSTOS_E_INTERNAL);  /* no key yet */
	assert_int_equal(storage->durable, 0);
	char *other = soft_vkey(&signer, "log.example.com/other");
	assert_int_equal(custos_log_set_vkey(log, other, NULL), CUSTOS_E_INPUT);
	free(other);
	soft_signer_done(&signer);
	soft_storage_free(storage);
}

/* Every bit of every stored byte. */
static void every_stored_bit(void **state)
{
	struct fixture *f = *state;
	add(f, "key.generate", "n", 1);
	add(f, "key.allow", "n", 2);
	commit(f);
	struct soft_storage *s = f->storage;
	for (size_t i = 0; i < s->count; i++)
		for (size_t bit = 0; bit < 8 * s->entry[i].len; bit++) {
			s->entry[i].ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_opens(f, CUSTOS_E_TAMPERED);
			s->entry[i].ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	struct custos_buf *note = &s->note[s->notes - 1];
	for (size_t bit = 0; bit < 8 * note->len; bit++) {
		note->ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_opens(f, CUSTOS_E_TAMPERED);
		note->ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_opens(f, CUSTOS_OK);
}

static void swap(struct custos_buf *a, struct custos_buf *b)
{
	struct custos_buf c = *a;
	*a = *b;
	*b = c;
}

static void rearranged(void **state)
{
	struct fixture *f = *state;
	add(f, "key.generate", "n", 1);
	add(f, "key.generate", "n", 2);
	commit(f);
	struct soft_storage *s = f->storage;
	swap(&s->entry[1], &s->entry[2]);
	assert_opens(f, CUSTOS_E_TAMPERED);
	swap(&s->entry[1], &s->entry[2]);
	s->count = 2; /* the end is missing */
	assert_opens(f, CUSTOS_E_TAMPERED);
	s->count = 3;
	size_t notes = s->notes;
	s->notes = 0; /* no checkpoint at all */
	assert_opens(f, CUSTOS_E_TAMPERED);
	s->count = 0; /* nothing at all */
	assert_opens(f, CUSTOS_E_TAMPERED);
	s->notes = notes;
	assert_opens(f, CUSTOS_E_TAMPERED);
	s->count = 3;
	s->notes = notes - 1; /* the older checkpoint, and the rest as an unsigned tail */
	assert_opens(f, CUSTOS_E_TAMPERED);
	s->notes = notes;
	assert_opens(f, CUSTOS_OK);
	/* without a key only an empty log opens */
	CUSTOS_AUTO(custos_log) *again = NULL;
	assert_int_equal(reopen_with(s, NULL, &again, NULL), CUSTOS_E_TAMPERED);
}

/* The row changes after the log was opened: what is shown later is not believed either. */
static void changed_under_an_open_log(void **state)
{
	struct fixture *f = *state;
	size_t seen = 0;
	add(f, "key.generate", "n", 1);
	commit(f);
	/* {"event":"key.generate","index":1,"n":1,…: as good an entry as before, but another one */
	char *n = strstr((char *)f->storage->entry[1].ptr, "\"n\":1");
	assert_non_null(n);
	n[4] = '2';
	assert_int_equal(custos_log_each(f->log, count_entries, &seen, &f->err), CUSTOS_E_TAMPERED);
	assert_int_equal(seen, 1);
	CUSTOS_AUTO(custos_json) *report = NULL;
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_verify(f->log, CUSTOS_BYTES(NULL, 0), &report, &f->err), CUSTOS_E_TAMPERED);
	assert_null(report);
}

static struct fixture *other_process;

static void write_meanwhile(struct soft_storage *storage)
{
	(void)storage;
	add(other_process, "key.generate", "n", 77);
	commit(other_process);
}

static void opened_while_written(void **state)
{
	struct fixture *f = *state;
	other_process = f;
	f->storage->meanwhile = write_meanwhile;
	CUSTOS_AUTO(custos_log) *again = NULL;
	assert_int_equal(reopen_with(f->storage, f->vkey, &again, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_size(again), 2);
	/* And one that is open already simply does not see what came later. */
	add(f, "key.generate", "n", 78);
	commit(f);
	size_t seen = 0;
	assert_int_equal(custos_log_each(again, count_entries, &seen, &f->err), CUSTOS_OK);
	assert_int_equal(seen, 2);
}

static void rollback_and_fork(void **state)
{
	struct fixture *f = *state;
	add(f, "key.generate", "n", 1);
	commit(f);
	struct soft_storage *old = soft_storage_copy(f->storage);
	add(f, "key.generate", "n", 2);
	commit(f);
	struct custos_bytes newer = custos_log_checkpoint(f->log), older = custos_buf_view(&f->storage->note[1]);
	CUSTOS_AUTO(custos_json) *report = NULL;
	assert_int_equal(custos_log_verify(f->log, older, &report, &f->err), CUSTOS_OK);
	assert_int_equal(custos_json_int(report, "size", -1), 3);

	/* The older state verifies by itself; only who remembers sees it. */
	CUSTOS_AUTO(custos_log) *rolled = NULL;
	CUSTOS_AUTO(custos_json) *alone = NULL, *seen = NULL;
	assert_int_equal(reopen_with(old, f->vkey, &rolled, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_verify(rolled, CUSTOS_BYTES(NULL, 0), &alone, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_verify(rolled, newer, &seen, &f->err), CUSTOS_E_TAMPERED);
	/* The same with as many entries, signed by the same key. */
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_append(rolled, "key.generate", NULL, NULL, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_commit(rolled, &f->signer.signer, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_verify(rolled, newer, &seen, &f->err), CUSTOS_E_TAMPERED);
	assert_non_null(strstr(f->err.msg, "fork"));
	/* What is remembered must itself be a checkpoint of this log, signed. */
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_verify(f->log, CUSTOS_BYTES_STR("hello\n"), &seen, &f->err), CUSTOS_E_INPUT);
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_verify(f->log, CUSTOS_BYTES("", 0), &seen, &f->err), CUSTOS_E_INPUT);
	assert_null(seen);
	soft_storage_free(old);
}

/* The entry with which a log goes on under another key, and the key before. */
static void go_on(struct fixture *f, const char *before, const struct soft_signer *next)
{
	char *vkey = soft_vkey(next, origin);
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	struct custos_json *previous = custos_json_object();
	custos_json_set(fields, "previous", previous);
	custos_json_set_text(previous, "vkey", before);
	custos_json_set_int(previous, "size", (int64_t)custos_log_signed_size(f->log));
	assert_int_equal(custos_log_append(f->log, "kek.restored", fields, NULL, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_change_vkey(f->log, vkey, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_commit(f->log, &next->signer, &f->err), CUSTOS_OK);
	free(vkey);
}

/* A checkpoint from before counts by the key of its time; what that key signs afterwards is a fork, however it looks; other keys count for nothing. */
static void another_key_goes_on(void **state)
{
	struct fixture *f = *state;
	struct soft_signer next, stranger;
	soft_signer_init(&next, CUSTOS_SIGNATURE_ECDSA_SHA256);
	soft_signer_init(&stranger, CUSTOS_SIGNATURE_ED25519);
	add(f, "key.generate", "n", 1);
	commit(f);
	/* from here on two logs: one goes on under another key, one under the first */
	struct soft_storage *forked = soft_storage_copy(f->storage);
	CUSTOS_AUTO(custos_log) *fork = NULL;
	CUSTOS_AUTO(custos_json) *report = NULL, *none = NULL;
	struct custos_bytes common = custos_buf_view(&f->storage->note[1]);
	assert_int_equal(reopen_with(forked, f->vkey, &fork, &f->err), CUSTOS_OK);
	go_on(f, f->vkey, &next);
	assert_int_equal(custos_log_verify(f->log, common, &report, &f->err), CUSTOS_OK);
	assert_string_equal(custos_json_text(custos_json_at(custos_json_get(report, "successions"), 0), "vkey"), f->vkey);
	assert_int_equal(custos_json_int(custos_json_at(custos_json_get(report, "successions"), 0), "index", -1), 2);
	/* of the very size of the entry that ended it, and beyond */
	for (int i = 0; i < 2; i++) {
		f->err = (struct custos_err){ 0 };
		assert_int_equal(custos_log_append(fork, "key.generate", NULL, NULL, &f->err), CUSTOS_OK);
		assert_int_equal(custos_log_commit(fork, &f->signer.signer, &f->err), CUSTOS_OK);
		add(f, "key.generate", "n", 2);
		assert_int_equal(custos_log_commit(f->log, &next.signer, &f->err), CUSTOS_OK);
		assert_int_equal(custos_log_verify(f->log, custos_log_checkpoint(fork), &none, &f->err), CUSTOS_E_TAMPERED);
		assert_non_null(strstr(f->err.msg, "went on under another key at entry 2"));
	}
	/* and the other way round: the old key's log knows nothing of the new one */
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_verify(fork, custos_log_checkpoint(f->log), &none, &f->err), CUSTOS_E_TAMPERED);
	assert_non_null(strstr(f->err.msg, "is not signed by"));
	/* an entry that names a stranger's key makes no checkpoint of his good that is not of this tree */
	CUSTOS_AUTO(custos_log) *other = NULL;
	struct soft_storage *elsewhere = soft_storage_new();
	char *vkey = soft_vkey(&stranger, origin);
	f->err = (struct custos_err){ 0 };
	assert_int_equal(reopen_with(elsewhere, NULL, &other, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_append(other, "key.generate", NULL, NULL, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_set_vkey(other, vkey, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_commit(other, &stranger.signer, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_verify(f->log, custos_log_checkpoint(other), &none, &f->err), CUSTOS_E_TAMPERED);
	go_on(f, vkey, &next);
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_log_verify(f->log, custos_log_checkpoint(other), &none, &f->err), CUSTOS_E_TAMPERED);
	assert_non_null(strstr(f->err.msg, "fork"));
	assert_null(none);
	free(vkey);
	soft_storage_free(elsewhere);
	soft_storage_free(forked);
	soft_signer_done(&next);
	soft_signer_done(&stranger);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_form),
		cmocka_unit_test(entries_refused),
		cmocka_unit_test(first_commit_is_signed),
		WITH(roots),
		WITH(commit_and_open),
		WITH(lying_signers),
		cmocka_unit_test_setup_teardown(lying_signers, set_up_p256, tear_down),
		WITH(failing_storage),
		WITH(unsigned_tail),
		WITH(every_stored_bit),
		WITH(rearranged),
		WITH(changed_under_an_open_log),
		WITH(opened_while_written),
		WITH(rollback_and_fork),
		WITH(another_key_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
