/* A state that is written as a snapshot and taken up again: the same state, whatever of it is in memory; and blobs that are not what was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault_entries.h"

#include "base/text.h"
#include "crypto/digest.h"

enum { BLOBS_MAX = 4000 };

/* The store: blobs by their hash, unless somebody was at them. */
struct shelf {
	custos_hash sha256[BLOBS_MAX];
	struct custos_buf blob[BLOBS_MAX];
	size_t count, reads;
};

static struct custos_buf *find(struct shelf *s, const uint8_t *sha256)
{
	for (size_t i = 0; i < s->count; i++)
		if (memcmp(s->sha256[i], sha256, CUSTOS_HASH_SIZE) == 0)
			return &s->blob[i];
	return NULL;
}

static custos_rc shelf_put(void *ctx, const uint8_t *sha256, struct custos_bytes blob, struct custos_err *err)
{
	struct shelf *s = ctx;
	if (find(s, sha256) != NULL)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(s->count < BLOBS_MAX, err, CUSTOS_E_STORE, "the shelf is full");
	memcpy(s->sha256[s->count], sha256, CUSTOS_HASH_SIZE);
	return custos_buf_append(&s->blob[s->count++], blob.ptr, blob.len, err);
}

static custos_rc shelf_get(void *ctx, const uint8_t *sha256, struct custos_buf *blob, struct custos_err *err)
{
	struct shelf *s = ctx;
	const struct custos_buf *found = find(s, sha256);
	uint8_t have[CUSTOS_HASH_SIZE] = { 0 };
	s->reads++;
	if (found != NULL)
		CUSTOS_TRY(custos_sha256(custos_buf_view(found), have, err));
	CUSTOS_REQUIRE(found != NULL && memcmp(have, sha256, sizeof have) == 0, err, CUSTOS_E_TAMPERED, "a blob is missing or another");
	return custos_buf_append(blob, found->ptr, found->len, err);
}

static void shelf_free(struct shelf *s)
{
	for (size_t i = 0; i < s->count; i++)
		custos_buf_done(&s->blob[i]);
	free(s);
}

struct fixture {
	struct fold f;
	struct shelf *shelf;
	custos_hash sha256; /* of the snapshot */
};

static void begin(struct fold *f)
{
	*f = (struct fold){ 0 };
	assert_int_equal(custos_state_start(&f->state, &f->err), CUSTOS_OK);
}

static void good(struct fold *f, const char *event, const char *fields)
{
	if (add(f, event, fields) != CUSTOS_OK)
		fail_msg("%s %s: %s", event, fields, f->err.msg);
}

static void add_key(struct fold *f, int number)
{
	char fields[256];
	snprintf(fields, sizeof fields, "{'key':'key-%d','type':'ec-p256','spki_sha256':'aa%d','container_sha256':'cc%d'}", number, number, number);
	good(f, "key.generate", fields);
}

static void fill(struct fold *f, int keys)
{
	good(f, "custody.genesis", "{'kek':{'id':'00'}}");
	good(f, "target.add", "{'target':{'name':'web','address':'192.0.2.1:22'}}");
	good(f, "target.add", "{'target':{'name':'mail','address':'192.0.2.2:22'}}");
	for (int i = 0; i < keys; i++)
		add_key(f, i);
	good(f, "key.allow", "{'key':'key-0','targets':['web','mail']}");
	good(f, "key.import_intent", "{'key':'comes','type':'ec-p256','spki_sha256':'1111'}");
}

static void hash_state(struct custos_state *s, uint8_t *ret)
{
	static const struct custos_pages_sink nowhere = { NULL, NULL };
	assert_int_equal(custos_state_write(s, &nowhere, CUSTOS_PAGES_AFRESH, ret, NULL), CUSTOS_OK);
}

static void write_to(struct fixture *x, struct fold *f)
{
	const struct custos_pages_sink sink = { x->shelf, shelf_put };
	struct custos_err err = { 0 };
	if (custos_state_write(&f->state, &sink, 0, x->sha256, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
}

static custos_rc resume(struct fixture *x, struct fold *to)
{
	struct custos_pages_source source = { x->shelf, shelf_get };
	begin(to);
	to->index = x->f.index;
	return custos_state_resume(&to->state, x->f.index, x->sha256, &source, &to->err);
}

static int set_up(void **state)
{
	struct fixture *x = calloc(1, sizeof *x);
	x->shelf = calloc(1, sizeof *x->shelf);
	begin(&x->f);
	*state = x;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *x = *state;
	custos_state_done(&x->f.state);
	shelf_free(x->shelf);
	free(x);
	return 0;
}

static void assert_same(struct custos_state *a, struct custos_state *b)
{
	custos_hash x, y;
	hash_state(a, x);
	hash_state(b, y);
	assert_memory_equal(x, y, sizeof x);
	const struct custos_json *keys, *others;
	assert_int_equal(custos_state_keys(a, &keys, NULL), CUSTOS_OK);
	assert_int_equal(custos_state_keys(b, &others, NULL), CUSTOS_OK);
	assert_true(custos_json_equal(keys, others));
	/* in the order in which they came */
	void *i = custos_json_first(keys), *k = custos_json_first(others);
	for (; i != NULL; i = custos_json_next(keys, i), k = custos_json_next(others, k))
		assert_string_equal(custos_json_key(i), custos_json_key(k));
	assert_int_equal(custos_state_targets(a, &keys, NULL), CUSTOS_OK);
	assert_int_equal(custos_state_targets(b, &others, NULL), CUSTOS_OK);
	assert_true(custos_json_equal(keys, others));
	assert_true(a->next == b->next);
}

/* Every kind of entry after it: each finds what it needs, and is refused where it would have been. */
static void go_on(struct fold *f, int64_t intent, int keys)
{
	char fields[128];
	good(f, "csr.create", "{'key':'key-1','csr_sha256':'dd'}");
	good(f, "key.drilled", "{'key':'key-2'}");
	assert_int_equal(add(f, "key.generate", "{'key':'key-3','spki_sha256':'ee'}"), CUSTOS_E_TAMPERED);
	assert_non_null(strstr(f->err.msg, "exists already"));
	f->state.next = f->index;
	assert_int_equal(add(f, "key.generate", "{'key':'other','spki_sha256':'aa4'}"), CUSTOS_E_TAMPERED);
	assert_non_null(strstr(f->err.msg, "another name"));
	f->state.next = f->index;
	snprintf(fields, sizeof fields, "{'intent':%lld,'target':'web'}", (long long)intent);
	good(f, "release.done", fields);
	assert_int_equal(add(f, "release.done", fields), CUSTOS_E_TAMPERED);
	f->state.next = f->index;
	snprintf(fields, sizeof fields, "{'intent':%lld,'target':'mail'}", (long long)intent);
	good(f, "release.rolled_back", fields);
	good(f, "key.destroy_intent", "{'key':'key-5'}");
	good(f, "target.remove", "{'target':'mail'}");
	good(f, "key.import_intent", "{'key':'comes','type':'ec-p256','spki_sha256':'2222'}");
	for (int i = 0; i < 40; i++)
		add_key(f, keys + i);
}

static void taken_up_it_is_the_same(void **state)
{
	struct fixture *x = *state;
	enum { KEYS = 300 };
	fill(&x->f, KEYS);
	int64_t intent = (int64_t)x->f.index;
	good(&x->f, "release.intent", "{'key':'key-0','container_sha256':'cc0','hosts':[{'name':'web'},{'name':'mail'}]}");
	write_to(x, &x->f);
	struct fold again;
	assert_int_equal(resume(x, &again), CUSTOS_OK);
	assert_same(&x->f.state, &again.state);
	custos_state_done(&again.state);
	assert_int_equal(resume(x, &again), CUSTOS_OK);
	go_on(&x->f, intent, KEYS);
	go_on(&again, intent, KEYS);
	/* releases that are over are history in one and gone in the other */
	assert_int_equal(custos_json_count(x->f.state.releases), 1);
	custos_hash whole, part;
	hash_state(&x->f.state, whole);
	/* written with most pages never read, and with all of them */
	write_to(x, &again);
	memcpy(part, x->sha256, sizeof part);
	assert_memory_equal(whole, part, sizeof whole);
	assert_same(&x->f.state, &again.state);
	custos_state_done(&again.state);
	assert_int_equal(resume(x, &again), CUSTOS_OK);
	assert_same(&x->f.state, &again.state);
	assert_int_equal(custos_json_count(again.state.releases), 0);
	assert_null(custos_state_open_release(&again.state, "key-0"));
	custos_state_done(&again.state);
}

/* Nothing that was there before makes a difference: the pages follow from the records. */
static void the_way_does_not_matter(void **state)
{
	struct fixture *x = *state;
	fill(&x->f, 200);
	write_to(x, &x->f);
	for (int i = 200; i < 400; i++) {
		add_key(&x->f, i);
		if (i % 37 == 0)
			write_to(x, &x->f);
	}
	write_to(x, &x->f);
	custos_hash afresh;
	hash_state(&x->f.state, afresh);
	assert_memory_equal(afresh, x->sha256, sizeof afresh);
}

/* One key of many costs two pages, not all of them. */
static void one_record_is_read(void **state)
{
	struct fixture *x = *state;
	fill(&x->f, 2000);
	write_to(x, &x->f);
	struct fold again;
	assert_int_equal(resume(x, &again), CUSTOS_OK);
	size_t before = x->shelf->reads;
	assert_true(before < 10);
	assert_string_equal(custos_json_text(custos_state_key(&again.state, "key-1234"), "container_sha256"), "cc1234");
	assert_int_equal(x->shelf->reads, before + 1);
	assert_string_equal(custos_json_text(custos_state_key_by_spki(&again.state, "aa77"), "name"), "key-77");
	assert_true(x->shelf->reads <= before + 3);
	assert_null(custos_state_key(&again.state, "nobody"));
	assert_int_equal(custos_state_check(&again.state, NULL), CUSTOS_OK);
	/* what is written then is what was changed */
	size_t blobs = x->shelf->count;
	good(&again, "csr.create", "{'key':'key-1234','csr_sha256':'dd'}");
	write_to(x, &again);
	assert_int_equal(x->shelf->count, blobs + 3); /* page, table, index */
	custos_state_done(&again.state);
}

static void damage(struct custos_buf *blob)
{
	blob->ptr[blob->len / 2] ^= 1;
}

/* Whatever is damaged: never another state, and never only "there is no such key". */
static void any_blob_altered_or_missing(void **state)
{
	struct fixture *x = *state;
	fill(&x->f, 100);
	write_to(x, &x->f);
	for (size_t i = 0; i < x->shelf->count; i++)
		for (int missing = 0; missing < 2; missing++) {
			custos_hash name;
			struct fold again;
			memcpy(name, x->shelf->sha256[i], sizeof name);
			if (missing)
				x->shelf->sha256[i][0] ^= 1;
			else
				damage(&x->shelf->blob[i]);
			custos_rc rc = resume(x, &again);
			const struct custos_json *all;
			if (rc == CUSTOS_OK)
				rc = custos_state_keys(&again.state, &all, &again.err);
			if (rc == CUSTOS_OK)
				rc = custos_state_targets(&again.state, &all, &again.err);
			for (int k = 0; k < 100 && rc == CUSTOS_OK; k++) {
				char spki[16];
				snprintf(spki, sizeof spki, "aa%d", k);
				custos_rc found = custos_state_key_by_spki(&again.state, spki) == NULL ? CUSTOS_E_TAMPERED : CUSTOS_OK;
				rc = custos_state_check(&again.state, &again.err);
				assert_int_equal(found, rc);
			}
			assert_int_equal(rc, CUSTOS_E_TAMPERED);
			/* no entry is taken any more */
			again.err = (struct custos_err){ 0 };
			if (custos_state_check(&again.state, NULL) != CUSTOS_OK) {
				assert_int_equal(add(&again, "key.generate", "{'key':'new','spki_sha256':'ff'}"), CUSTOS_E_TAMPERED);
				assert_non_null(strstr(again.err.msg, "blob"));
				custos_hash ignored;
				static const struct custos_pages_sink nowhere = { NULL, NULL };
				assert_int_equal(custos_state_write(&again.state, &nowhere, 0, ignored, NULL), CUSTOS_E_TAMPERED);
			}
			custos_state_done(&again.state);
			if (missing)
				memcpy(x->shelf->sha256[i], name, sizeof name);
			else
				damage(&x->shelf->blob[i]);
		}
}

static const char *only_text(const struct custos_buf *b)
{
	return (const char *)b->ptr;
}

/* The hash of a blob that somebody made up, with everything above it made up to fit: what is signed would be the lie's hash. */
static void replace_index(struct fixture *x, const char *from, const char *to)
{
	CUSTOS_AUTO_BUF text = { 0 };
	const struct custos_buf *index = find(x->shelf, x->sha256);
	const char *at = strstr(only_text(index), from);
	assert_non_null(at);
	assert_int_equal(custos_buf_append(&text, index->ptr, (size_t)(at - only_text(index)), NULL), CUSTOS_OK);
	assert_int_equal(custos_buf_append_str(&text, to, NULL), CUSTOS_OK);
	assert_int_equal(custos_buf_append_str(&text, at + strlen(from), NULL), CUSTOS_OK);
	assert_int_equal(custos_sha256(custos_buf_view(&text), x->sha256, NULL), CUSTOS_OK);
	assert_int_equal(shelf_put(x->shelf, x->sha256, custos_buf_view(&text), NULL), CUSTOS_OK);
}

/* Not even what is signed makes the reader stumble. */
static void an_index_that_makes_no_sense(void **state)
{
	static const char *const changes[][2] = {
		{ "\"count\":100", "\"count\":-1" },     { "\"count\":100", "\"count\":99999" }, { "\"pages\":32", "\"pages\":16" },
		{ "\"pages\":32", "\"pages\":1048577" }, { "\"pages\":32", "\"pages\":31" },       { "\"releases\":[]", "\"releases\":{}" },
		{ "\"imports\":{", "\"exports\":{" },    { "\"table_sha256\":\"", "\"table_sha256\":\"0" },
		{ "\"members\":{", "\"members\":[],\"x\":{" }, { "\"genesis\":{", "\"genesis\":null,\"y\":{" },
	};
	struct fixture *x = *state;
	fill(&x->f, 100);
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct fold again;
		write_to(x, &x->f);
		replace_index(x, changes[i][0], changes[i][1]);
		custos_rc rc = resume(x, &again);
		const struct custos_json *all;
		if (rc == CUSTOS_OK)
			rc = custos_state_keys(&again.state, &all, NULL);
		if (rc != CUSTOS_E_TAMPERED)
			fail_msg("%s is taken", changes[i][1]);
		custos_state_done(&again.state);
	}
	struct fold again;
	write_to(x, &x->f);
	replace_index(x, "\"format\":1", "\"format\":2");
	assert_int_equal(resume(x, &again), CUSTOS_E_TAMPERED);
	custos_state_done(&again.state);
	/* a number of records that the pages do not have is noticed when all are read */
	write_to(x, &x->f);
	replace_index(x, "\"count\":100", "\"count\":101");
	assert_int_equal(resume(x, &again), CUSTOS_OK);
	const struct custos_json *all;
	assert_int_equal(custos_state_keys(&again.state, &all, NULL), CUSTOS_E_TAMPERED);
	custos_state_done(&again.state);
}

/* A page with its right hash, but where another belongs: a name in it would be found by nobody, or twice. */
static void pages_exchanged_by_a_signer(void **state)
{
	struct fixture *x = *state;
	fill(&x->f, 100);
	write_to(x, &x->f);
	CUSTOS_AUTO(custos_json) *index = NULL;
	uint8_t sha256[CUSTOS_HASH_SIZE], page[CUSTOS_HASH_SIZE];
	assert_int_equal(custos_json_parse(custos_buf_view(find(x->shelf, x->sha256)), "index", &index, NULL), CUSTOS_OK);
	const char *hex = custos_json_text(custos_json_get(custos_json_get(index, "members"), "keys"), "table_sha256");
	assert_true(custos_text_unhex(hex, sha256, sizeof sha256));
	CUSTOS_AUTO_BUF table = { 0 };
	assert_int_equal(shelf_get(x->shelf, sha256, &table, NULL), CUSTOS_OK);
	memcpy(page, table.ptr, sizeof page);
	memcpy(table.ptr, table.ptr + CUSTOS_HASH_SIZE, CUSTOS_HASH_SIZE);
	memcpy(table.ptr + CUSTOS_HASH_SIZE, page, sizeof page);
	char other[2 * CUSTOS_HASH_SIZE + 1], was[2 * CUSTOS_HASH_SIZE + 1];
	snprintf(was, sizeof was, "%s", hex);
	assert_int_equal(custos_sha256(custos_buf_view(&table), sha256, NULL), CUSTOS_OK);
	assert_int_equal(shelf_put(x->shelf, sha256, custos_buf_view(&table), NULL), CUSTOS_OK);
	custos_text_hex(sha256, sizeof sha256, other);
	replace_index(x, was, other);
	struct fold again;
	const struct custos_json *all;
	assert_int_equal(resume(x, &again), CUSTOS_OK);
	assert_int_equal(custos_state_keys(&again.state, &all, &again.err), CUSTOS_E_TAMPERED);
	assert_non_null(strstr(again.err.msg, "makes no sense"));
	custos_state_done(&again.state);
}

/* When this fails, the fold makes something else of the same entries, or it is written in another way: snapshots that lie in custodies would be called lies.
 * Give CUSTOS_STATE_FORMAT a new number, then put the new hash here. */
static void format_1_is_what_it_was(void **state)
{
	static const char expected[] = "bd9c9c3ef4950322387360226bc8defdfa52586fd6e0809450d7303aa99062c6";
	struct fixture *x = *state;
	char hex[2 * CUSTOS_HASH_SIZE + 1];
	fill(&x->f, 50);
	int64_t intent = (int64_t)x->f.index;
	good(&x->f, "release.intent", "{'key':'key-0','container_sha256':'cc0','leaf_sha256':'11','chain_sha256':'22','hosts':[{'name':'web'},{'name':'mail'}]}");
	go_on(&x->f, intent, 50);
	good(&x->f, "release.intent", "{'key':'key-0','container_sha256':'cc0','leaf_sha256':'11','chain_sha256':'22','hosts':[{'name':'web'}]}");
	good(&x->f, "cert.accept", "{'key':'key-0','leaf_sha256':'11'}");
	good(&x->f, "key.exported", "{'key':'key-7','container_sha256':'cc7'}");
	good(&x->f, "key.restored", "{'key':'key-5','container_sha256':'cc5'}");
	write_to(x, &x->f);
	custos_text_hex(x->sha256, sizeof x->sha256, hex);
	assert_int_equal(CUSTOS_STATE_FORMAT, 1);
	assert_string_equal(hex, expected);
}

/* Every blob can be listed, so that what no snapshot needs any more can be dropped. */
static void the_list_is_complete(void **state)
{
	struct fixture *x = *state;
	struct custos_pages_source source = { x->shelf, shelf_get };
	CUSTOS_AUTO_BUF hashes = { 0 };
	fill(&x->f, 100);
	write_to(x, &x->f);
	assert_int_equal(custos_state_list(x->sha256, &source, &hashes, NULL), CUSTOS_OK);
	for (size_t i = 0; i < x->shelf->count; i++) {
		bool listed = false;
		for (size_t at = 0; at < hashes.len; at += CUSTOS_HASH_SIZE)
			listed = listed || memcmp(hashes.ptr + at, x->shelf->sha256[i], CUSTOS_HASH_SIZE) == 0;
		assert_true(listed);
	}
}

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(taken_up_it_is_the_same),      WITH(the_way_does_not_matter),     WITH(one_record_is_read),   WITH(any_blob_altered_or_missing),
		WITH(an_index_that_makes_no_sense), WITH(pages_exchanged_by_a_signer), WITH(the_list_is_complete),
		WITH(format_1_is_what_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
