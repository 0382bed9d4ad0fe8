/* Snapshots in a custody: made when they are due, in one transaction with what made them due; and everything somebody may do to them in the store. The store is a
 * real one, the log key is in software, the token is never asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault/snapshot.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "log/entry.h"
#include "soft_log.h"

#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

enum { DUE = 251, KEYS = 200 };
static const char origin[] = "custody.example/lab";

struct fixture {
	char dir[64], db[96];
	char *vkey;
	struct soft_signer signer;
	struct custos_custody *c;
	struct custos_err err;
};

static void open_custody(struct fixture *f)
{
	f->c = calloc(1, sizeof *f->c);
	f->c->release_lock = -1;
	f->c->dir = custos_text_dup(f->dir);
	f->c->binding.origin = custos_text_dup(origin);
	f->c->signer = f->signer.signer;
	f->err = (struct custos_err){ 0 };
}

static void close_custody(struct fixture *f)
{
	if (f->c == NULL)
		return;
	f->c->token = NULL;
	custos_custody_free(CUSTOS_TAKE(f->c));
}

/* Opened as a process would open it, with a token that is there and never asked. */
static custos_rc reopen(struct fixture *f)
{
	close_custody(f);
	open_custody(f);
	f->c->binding.vkey = custos_text_dup(f->vkey);
	CUSTOS_TRY(custos_store_open(f->dir, "sqlite:custody.db", 0, &f->c->store, &f->err));
	CUSTOS_TRY(custos_vault_reload(f->c, &f->err));
	f->c->token = (struct custos_token *)(void *)f;
	return CUSTOS_OK;
}

#define OK(call) \
	do { \
		f->err = (struct custos_err){ 0 }; \
		if ((call) != CUSTOS_OK) \
			fail_msg("line %d: %s", __LINE__, f->err.msg); \
	} while (0)

/* Single quotes stand for double ones, # for the number. */
static void append(struct fixture *f, const char *event, const char *text, int number)
{
	CUSTOS_AUTO(custos_json) *fields = NULL;
	CUSTOS_AUTO_BUF line = { 0 };
	for (const char *c = text; *c != '\0'; c++)
		OK(*c == '#' ? custos_buf_printf(&line, &f->err, "%d", number) : custos_buf_append(&line, *c == '\'' ? "\"" : c, 1, &f->err));
	OK(custos_json_parse(custos_buf_view(&line), "entry", &fields, &f->err));
	OK(custos_vault_append(f->c, event, fields, NULL, &f->err));
}

static void append_keys(struct fixture *f, int from, int to)
{
	for (int i = from; i < to; i++)
		append(f, "key.generate", "{'key':'key-#','type':'ec-p256','spki_sha256':'aa#','container_sha256':'cc#'}", i);
}

static void append_requests(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++)
		append(f, "csr.create", "{'key':'key-#','csr_sha256':'dd'}", i % KEYS);
}

static void grow(struct fixture *f, int requests)
{
	OK(custos_vault_begin(f->c, &f->err));
	append_requests(f, requests);
	OK(custos_vault_commit(f->c, &f->err));
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	snprintf(f->dir, sizeof f->dir, "/tmp/custos-snapshot-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->db, sizeof f->db, "%s/custody.db", f->dir);
	soft_signer_init(&f->signer, CUSTOS_SIGNATURE_ED25519);
	f->vkey = soft_vkey(&f->signer, origin);
	open_custody(f);
	OK(custos_store_open(f->dir, "sqlite:custody.db", CUSTOS_STORE_CREATE, &f->c->store, &f->err));
	OK(custos_vault_reload(f->c, &f->err));
	OK(custos_log_set_vkey(f->c->log, f->vkey, &f->err));
	f->c->binding.vkey = custos_text_dup(f->vkey);
	f->c->token = (struct custos_token *)(void *)f;
	OK(custos_store_begin(f->c->store, &f->err));
	append(f, "custody.genesis", "{'kek':{'id':'00'}}", 0);
	append(f, "target.add", "{'target':{'name':'web','address':'192.0.2.1:22'}}", 0);
	append_keys(f, 0, KEYS);
	OK(custos_vault_commit(f->c, &f->err));
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	close_custody(f);
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	soft_signer_done(&f->signer);
	free(f->vkey);
	free(f);
	return 0;
}

/* ---- somebody with the database in their hands ---- */

static int run(const struct fixture *f, const char *sql, const char *text)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	int value = -1;
	assert_int_equal(sqlite3_open(f->db, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	if (text != NULL)
		assert_int_equal(sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC), SQLITE_OK);
	int step = sqlite3_step(stmt);
	if (step == SQLITE_ROW)
		value = sqlite3_column_int(stmt, 0);
	else
		assert_int_equal(step, SQLITE_DONE);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return value;
}

static int count_blobs(const struct fixture *f)
{
	return run(f, "SELECT count(*) FROM blob WHERE kind = 'state'", NULL);
}

static int64_t snapshot_at(const struct fixture *f)
{
	return custos_json_int(f->c->snapshot, "index", -1);
}

static const char *container_of(const struct fixture *f, const char *key)
{
	return custos_json_text(custos_state_key(&f->c->state, key), "container_sha256");
}

static custos_rc verify(struct fixture *f)
{
	CUSTOS_AUTO(custos_json) *report = NULL;
	f->err = (struct custos_err){ 0 };
	return custos_journal_verify(f->c, NULL, &report, &f->err);
}

static void made_when_due(void **state)
{
	struct fixture *f = *state;
	int size = (int)custos_log_size(f->c->log);
	assert_true(size < DUE);
	assert_null(f->c->snapshot);
	grow(f, DUE - 1 - size);
	assert_null(f->c->snapshot);
	assert_int_equal(count_blobs(f), 0);
	grow(f, 1);
	assert_int_equal(snapshot_at(f), DUE);
	assert_int_equal(custos_log_size(f->c->log), DUE + 1);
	/* in it, and not after it: one checkpoint covers what made it due and it */
	assert_int_equal(custos_log_signed_size(f->c->log), DUE + 1);
	assert_int_equal(run(f, "SELECT count(*) FROM checkpoint WHERE size = 251", NULL), 0);
	grow(f, DUE - 1);
	assert_int_equal(snapshot_at(f), DUE);
	grow(f, 1);
	assert_int_equal(snapshot_at(f), 2 * DUE + 1);
	OK(verify(f));
	OK(reopen(f));
	OK(verify(f));
	char published[96];
	CUSTOS_AUTO(custos_json) *report = NULL;
	snprintf(published, sizeof published, "%s/published", f->dir);
	OK(custos_log_publish(f->c->log, published, &f->err));
	OK(custos_journal_verify_published(published, f->vkey, NULL, &report, &f->err));
}

/* Opened from it, the custody is the one that was left; and what came before it is not read. */
static void opened_from_it(void **state)
{
	struct fixture *f = *state;
	grow(f, DUE);
	grow(f, 20);
	int64_t at = snapshot_at(f);
	OK(reopen(f));
	assert_true(snapshot_at(f) == at && at > 0);
	assert_string_equal(container_of(f, "key-123"), "cc123");
	assert_string_equal(custos_json_text(custos_state_key_by_spki(&f->c->state, "aa7"), "name"), "key-7");
	const struct custos_json *keys;
	OK(custos_state_keys(&f->c->state, &keys, &f->err));
	assert_int_equal(custos_json_count(keys), KEYS);
	/* goes on, and what others read from the beginning is the same */
	OK(custos_vault_begin(f->c, &f->err));
	append_keys(f, KEYS, KEYS + 5);
	OK(custos_vault_commit(f->c, &f->err));
	OK(verify(f));
	OK(reopen(f));
	assert_string_equal(container_of(f, "key-204"), "cc204");
	/* an entry before it was altered: nothing rests on it, and whoever reads it is told */
	run(f, "UPDATE entry SET leaf = CAST(replace(CAST(leaf AS TEXT), 'cc9\"', 'cc8\"') AS BLOB) WHERE idx = 11", NULL);
	OK(reopen(f));
	assert_string_equal(container_of(f, "key-9"), "cc9");
	assert_int_equal(verify(f), CUSTOS_E_TAMPERED);
}

/* A custody without snapshots, as older ones are: read from the beginning, and the next commit makes one. */
static void an_older_custody(void **state)
{
	struct fixture *f = *state;
	OK(custos_vault_begin(f->c, &f->err));
	append_requests(f, 2 * DUE);
	OK(custos_log_commit(f->c->log, &f->c->signer, &f->err));
	assert_null(f->c->snapshot);
	OK(reopen(f));
	assert_null(f->c->snapshot);
	assert_string_equal(container_of(f, "key-9"), "cc9");
	OK(verify(f));
	grow(f, 1);
	assert_non_null(f->c->snapshot);
	OK(verify(f));
}

/* Blobs of the last two are kept, others are not; and a process that still reads an older one is told what happened. */
static void old_ones_are_dropped(void **state)
{
	struct fixture *f = *state;
	grow(f, DUE);
	int one = count_blobs(f);
	struct custos_custody *slow = NULL;
	OK(reopen(f));
	slow = CUSTOS_TAKE(f->c);
	OK(reopen(f));
	grow(f, DUE);
	int two = count_blobs(f);
	assert_true(two > one);
	assert_string_equal(custos_json_text(custos_state_key(&slow->state, "key-150"), "container_sha256"), "cc150");
	for (int i = 0; i < 4; i++)
		grow(f, DUE);
	/* the requests touch every key each time: all key pages differ, the rest is shared */
	assert_true(count_blobs(f) <= two);
	OK(verify(f));
	OK(reopen(f));
	OK(verify(f));
	const struct custos_json *key = NULL;
	f->err = (struct custos_err){ 0 };
	for (int i = 0; i < KEYS && f->err.rc == CUSTOS_OK; i++) {
		char name[32];
		snprintf(name, sizeof name, "key-%d", i);
		custos_rc rc = custos_vault_find_key(slow, name, &key, &f->err);
		assert_int_equal(rc, f->err.rc);
	}
	assert_int_equal(f->err.rc, CUSTOS_E_STORE);
	assert_non_null(strstr(f->err.msg, "others have changed"));
	slow->token = NULL;
	custos_custody_free(slow);
}

/* What is written is what keys there are, by hashes: a container is in no page, so destroying it needs no look at them. */
static void pages_hold_no_container(void **state)
{
	struct fixture *f = *state;
	static const char container[] = "not a wrapped key, but as good as one here";
	uint8_t hash[CUSTOS_HASH_SIZE];
	OK(custos_vault_begin(f->c, &f->err));
	OK(custos_vault_put_blob(f->c, "container", CUSTOS_BYTES_STR(container), hash, &f->err));
	append_requests(f, DUE);
	OK(custos_vault_commit(f->c, &f->err));
	assert_int_equal(run(f, "SELECT count(*) FROM blob WHERE instr(data, CAST(?1 AS BLOB)) > 0", container), 1);
	assert_int_equal(run(f, "SELECT count(*) FROM blob WHERE kind = 'state' AND instr(data, CAST(?1 AS BLOB)) > 0", container), 0);
}

/* ---- what does not become durable ---- */

static void given_up(void **state)
{
	struct fixture *f = *state;
	uint64_t size = custos_log_size(f->c->log);
	OK(custos_vault_begin(f->c, &f->err));
	append_requests(f, DUE);
	OK(custos_snapshot_append_due(f->c, &f->err));
	assert_non_null(f->c->snapshot);
	custos_vault_abort(f->c);
	assert_null(f->c->snapshot);
	assert_true(custos_log_size(f->c->log) == size && f->c->state.next == size);
	assert_int_equal(count_blobs(f), 0);
	/* the token does not sign: nothing of it stays, and the next one starts from nothing */
	f->signer.mood = SOFT_FAIL;
	OK(custos_vault_begin(f->c, &f->err));
	append_requests(f, DUE);
	assert_int_equal(custos_vault_commit(f->c, &f->err), CUSTOS_E_TOKEN);
	custos_vault_abort(f->c);
	f->signer.mood = SOFT_HONEST;
	assert_null(f->c->snapshot);
	assert_int_equal(count_blobs(f), 0);
	grow(f, DUE);
	OK(verify(f));
	OK(reopen(f));
	OK(verify(f));
}

static void killed(void **state)
{
	struct fixture *f = *state;
	uint64_t size = custos_log_size(f->c->log);
	for (int committed = 0; committed < 2; committed++) {
		close_custody(f);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			if (reopen(f) != CUSTOS_OK)
				_exit(1);
			OK(custos_vault_begin(f->c, &f->err));
			append_requests(f, DUE);
			OK(committed ? custos_vault_commit(f->c, &f->err) : custos_snapshot_append_due(f->c, &f->err));
			raise(SIGKILL);
		}
		int status = 0;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		OK(reopen(f));
		assert_true(custos_log_size(f->c->log) == size + (committed ? DUE + 1 : 0));
		assert_true((f->c->snapshot != NULL) == (committed != 0));
		assert_true((count_blobs(f) > 0) == (committed != 0));
		assert_string_equal(container_of(f, "key-42"), "cc42");
		OK(verify(f));
	}
}

/* ---- cheats ---- */

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
	const struct CMUnitTest tests[] = { WITH(made_when_due), WITH(opened_from_it), WITH(an_older_custody), WITH(old_ones_are_dropped), WITH(pages_hold_no_container),
		                                WITH(given_up), WITH(killed),
		                                WITH(each_blob_altered_or_gone), WITH(pages_of_an_older_one), WITH(entry_altered), WITH(forged_without_signature), WITH(signed_lies) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
