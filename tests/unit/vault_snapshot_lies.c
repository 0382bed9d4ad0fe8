/* Everything somebody may do to snapshots, with the store in their hands and even with the token: found out, and never another state before that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault_snapshot.h"

static void copy_file(const char *from, const char *to)
{
	uint8_t part[65536];
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	assert_true(in != NULL && out != NULL);
	for (size_t got; (got = fread(part, 1, sizeof part, in)) > 0;)
		assert_true(fwrite(part, 1, got, out) == got);
	fclose(in);
	assert_int_equal(fclose(out), 0);
}

/* Nobody has the store open: everything is in the one file. */
static void keep_store(struct fixture *f, bool back)
{
	char kept[128];
	close_custody(f);
	snprintf(kept, sizeof kept, "%s/kept", f->dir);
	copy_file(back ? kept : f->db, back ? f->db : kept);
}

/* Opening tells it, or whoever looks at everything; and in between nothing is ever found that was not there, nor signed. */
static void assert_found_out(struct fixture *f)
{
	custos_rc rc = reopen(f);
	if (rc == CUSTOS_OK) {
		const struct custos_json *key;
		for (int i = 0; i < KEYS && rc == CUSTOS_OK; i++) {
			char name[32], container[32];
			snprintf(name, sizeof name, "key-%d", i);
			snprintf(container, sizeof container, "cc%d", i);
			rc = custos_vault_find_key(f->c, name, &key, &f->err);
			if (rc == CUSTOS_OK)
				assert_string_equal(custos_json_text(key, "container_sha256"), container);
		}
		if (rc == CUSTOS_E_TAMPERED) {
			f->err = (struct custos_err){ 0 };
			OK(custos_vault_begin(f->c, &f->err));
			assert_int_equal(custos_vault_commit(f->c, &f->err), CUSTOS_E_TAMPERED);
			custos_vault_abort(f->c);
		}
		rc = verify(f);
	}
	assert_int_equal(rc, CUSTOS_E_TAMPERED);
	if (strstr(f->err.msg, "snapshot") == NULL)
		fail_msg("it does not say that it is the snapshot: %s", f->err.msg);
}

static void each_blob_altered_or_gone(void **state)
{
	static const char *const how[] = { "UPDATE blob SET data = CAST('{}' AS BLOB)", "DELETE FROM blob",
		                               "UPDATE blob SET data = CAST(replace(CAST(data AS TEXT), 'cc', 'dd') || ' ' AS BLOB)" };
	struct fixture *f = *state;
	grow(f, DUE);
	grow(f, 1);
	int blobs = count_blobs(f), tried = 0;
	assert_true(blobs > 100);
	keep_store(f, false);
	/* the largest first: index and tables; then every so many of the pages */
	for (int i = 0; i < blobs; i += i < 6 ? 1 : 17, tried++) {
		char sql[512];
		snprintf(sql, sizeof sql, "%s WHERE sha256 = (SELECT sha256 FROM blob WHERE kind = 'state' ORDER BY length(data) DESC, sha256 LIMIT 1 OFFSET %d)",
		         how[i % 3], i);
		run(f, sql, NULL);
		assert_found_out(f);
		keep_store(f, true);
	}
	assert_true(tried > 10);
	OK(reopen(f));
	OK(verify(f));
}

/* Pages that were right once: a key as it was before it was destroyed, for example. */
static void pages_of_an_older_one(void **state)
{
	struct fixture *f = *state;
	grow(f, DUE);
	grow(f, DUE);
	run(f, "UPDATE blob SET data = (SELECT o.data FROM blob o WHERE o.kind = 'state' AND o.sha256 <> blob.sha256 AND substr(o.data, 1, 12) = substr(blob.data, 1, 12)) "
	       "WHERE kind = 'state' AND substr(data, 1, 6) = CAST('{\"key-' AS BLOB)",
	    NULL);
	assert_found_out(f);
}

static void alter_entry(struct fixture *f, int64_t index, const char *from, const char *to)
{
	char sql[512];
	snprintf(sql, sizeof sql, "UPDATE entry SET leaf = CAST(replace(CAST(leaf AS TEXT), '%s', '%s') AS BLOB) WHERE idx = %lld", from, to, (long long)index);
	run(f, sql, NULL);
}

static void entry_altered(void **state)
{
	struct fixture *f = *state;
	grow(f, DUE);
	CUSTOS_AUTO(custos_json) *first = custos_json_copy(f->c->snapshot);
	grow(f, DUE);
	CUSTOS_AUTO(custos_json) *second = custos_json_copy(f->c->snapshot);
	int64_t at = custos_json_int(second, "index", -1);
	const char *subtree = custos_json_string_value(custos_json_at(custos_json_get(second, "subtrees"), 0));
	keep_store(f, false);
	/* another state, one that was true once; other subtrees; none */
	alter_entry(f, at, custos_json_text(second, "state_sha256"), custos_json_text(first, "state_sha256"));
	assert_int_equal(reopen(f), CUSTOS_E_TAMPERED);
	keep_store(f, true);
	alter_entry(f, at, subtree, "0000000000000000000000000000000000000000000000000000000000000000");
	assert_int_equal(reopen(f), CUSTOS_E_TAMPERED);
	keep_store(f, true);
	alter_entry(f, at, "\"subtrees\":[", "\"subtree\":[");
	assert_int_equal(reopen(f), CUSTOS_E_TAMPERED);
	keep_store(f, true);
	/* one that is none any more is an altered entry like any other */
	alter_entry(f, at, "state.snapshot", "state.snapshut");
	assert_int_equal(reopen(f), CUSTOS_E_TAMPERED);
	keep_store(f, true);
	OK(reopen(f));
	OK(verify(f));
}

static custos_rc put_lie(void *ctx, const uint8_t sha256[static CUSTOS_HASH_SIZE], struct custos_bytes blob, struct custos_err *err)
{
	struct fixture *f = ctx;
	return custos_store_put_blob(f->c->store, sha256, "state", blob, err);
}

/* A snapshot that fits the tree, and in which a key may go to a host. Its blobs are put: inside a transaction. */
static struct custos_json *lie(struct fixture *f)
{
	static const char *const events[] = { "custody.genesis", "target.add", "key.generate", "key.allow" };
	static const char *const texts[] = { "{\"kek\":{\"id\":\"00\"}}", "{\"target\":{\"name\":\"web\",\"address\":\"192.0.2.1:22\"}}",
		                                 "{\"key\":\"key-1\",\"spki_sha256\":\"aa1\",\"container_sha256\":\"cc1\"}", "{\"key\":\"key-1\",\"targets\":[\"web\"]}" };
	const struct custos_pages_sink sink = { f, put_lie };
	struct custos_json *fields = custos_json_object(), *subtrees = NULL;
	struct custos_state state = { 0 };
	uint8_t sha256[CUSTOS_HASH_SIZE];
	OK(custos_state_start(&state, &f->err));
	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		CUSTOS_AUTO(custos_json) *entry = NULL;
		OK(custos_json_parse(CUSTOS_BYTES_STR(texts[i]), "entry", &entry, &f->err));
		custos_json_set_text(entry, "event", events[i]);
		OK(custos_state_apply(&state, i, entry, &f->err));
	}
	OK(custos_state_write(&state, &sink, 0, sha256, &f->err));
	custos_state_done(&state);
	OK(custos_log_subtrees(f->c->log, custos_log_size(f->c->log), &subtrees, &f->err));
	custos_json_set_int(fields, "format", CUSTOS_STATE_FORMAT);
	custos_json_set(fields, "subtrees", subtrees);
	custos_json_set_hex(fields, "state_sha256", sha256, sizeof sha256);
	return fields;
}

/* Nobody signed it: whoever has the store has appended it. */
static void forged_without_signature(void **state)
{
	struct fixture *f = *state;
	for (int after = 0; after < 2; after++) {
		if (after)
			grow(f, DUE); /* behind a true one */
		keep_store(f, false);
		OK(reopen(f));
		OK(custos_store_begin(f->c->store, &f->err));
		CUSTOS_AUTO(custos_json) *fields = lie(f);
		CUSTOS_AUTO_BUF leaf = { 0 };
		uint64_t size = custos_log_size(f->c->log);
		OK(custos_entry_encode("state.snapshot", size, 1, fields, &leaf, &f->err));
		OK(custos_store_append_entry(f->c->store, size, custos_buf_view(&leaf), &f->err));
		OK(custos_store_commit(f->c->store, &f->err));
		assert_int_equal(reopen(f), CUSTOS_E_TAMPERED);
		assert_non_null(strstr(f->err.msg, "not covered by a signature"));
		keep_store(f, true);
		OK(reopen(f));
	}
}

/* Somebody who can sign with the token: the custody believes it, as it believes any signature, and the log tells of it for ever. */
static void signed_lies(void **state)
{
	struct fixture *f = *state;
	grow(f, DUE);
	const char *previous = custos_json_text(f->c->snapshot, "state_sha256");
	CUSTOS_AUTO(custos_json) *true_one = custos_json_object();
	custos_json_set_text(true_one, "previous_sha256", previous);
	keep_store(f, false);
	char published[96];
	snprintf(published, sizeof published, "%s/published", f->dir);
	for (int which = 0; which < 3; which++) {
		OK(reopen(f));
		OK(custos_vault_begin(f->c, &f->err));
		CUSTOS_AUTO(custos_json) *fields = lie(f);
		if (which != 1)
			custos_json_set(fields, "previous_sha256", custos_json_ref(custos_json_get(true_one, "previous_sha256")));
		if (which > 0) /* the state is true */
			custos_json_set(fields, "state_sha256", custos_json_ref(custos_json_get(true_one, "previous_sha256")));
		if (which == 2)
			custos_json_set(fields, "subtrees", custos_json_copy(custos_json_get(f->c->snapshot, "subtrees")));
		int64_t at = (int64_t)custos_log_size(f->c->log);
		OK(custos_log_append(f->c->log, "state.snapshot", fields, NULL, &f->err));
		OK(custos_log_commit(f->c->log, &f->c->signer, &f->err));
		custos_rc rc = reopen(f);
		char name[40];
		snprintf(name, sizeof name, "log entry %lld (state.snapshot)", (long long)at);
		if (which == 2) {
			assert_int_equal(rc, CUSTOS_E_TAMPERED);
		} else {
			assert_int_equal(rc, CUSTOS_OK);
			assert_true(which != 0 || custos_state_is_allowed(custos_state_key(&f->c->state, "key-1"), "web"));
			assert_int_equal(verify(f), CUSTOS_E_TAMPERED);
		}
		if (strstr(f->err.msg, name) == NULL)
			fail_msg("it does not name %s: %s", name, f->err.msg);
		/* strangers who read the published log see it as well */
		if (which == 0) {
			CUSTOS_AUTO(custos_json) *report = NULL;
			OK(custos_log_publish(f->c->log, published, &f->err));
			OK(custos_log_verify_dir(published, f->vkey, CUSTOS_BYTES(NULL, 0), &report, &f->err));
			custos_json_free(CUSTOS_TAKE(report));
			assert_int_equal(custos_journal_verify_published(published, f->vkey, NULL, &report, &f->err), CUSTOS_E_TAMPERED);
			assert_null(report);
			assert_non_null(strstr(f->err.msg, name));
		}
		/* a true one on top hides nothing */
		if (which == 1) {
			grow(f, DUE);
			OK(reopen(f));
			assert_int_equal(verify(f), CUSTOS_E_TAMPERED);
			assert_non_null(strstr(f->err.msg, name));
		}
		keep_store(f, true);
	}
}

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = { WITH(each_blob_altered_or_gone), WITH(pages_of_an_older_one), WITH(entry_altered), WITH(forged_without_signature), WITH(signed_lies) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
