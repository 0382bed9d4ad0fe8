/* A custody for the tests of snapshots: a real store, a log key in software, a token that is there and never asked. And somebody with the database in their
 * hands. Include after cmocka.h. */
#ifndef CUSTOS_TESTS_VAULT_SNAPSHOT_H
#define CUSTOS_TESTS_VAULT_SNAPSHOT_H

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

static inline void open_custody(struct fixture *f)
{
	f->c = calloc(1, sizeof *f->c);
	f->c->release_lock = -1;
	f->c->dir = custos_text_dup(f->dir);
	f->c->binding.origin = custos_text_dup(origin);
	f->c->signer = f->signer.signer;
	f->err = (struct custos_err){ 0 };
}

static inline void close_custody(struct fixture *f)
{
	if (f->c == NULL)
		return;
	f->c->token = NULL;
	custos_custody_free(CUSTOS_TAKE(f->c));
}

/* Opened as a process would open it, with a token that is there and never asked. */
static inline custos_rc reopen(struct fixture *f)
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
static inline void append(struct fixture *f, const char *event, const char *text, int number)
{
	CUSTOS_AUTO(custos_json) *fields = NULL;
	CUSTOS_AUTO_BUF line = { 0 };
	for (const char *c = text; *c != '\0'; c++)
		OK(*c == '#' ? custos_buf_printf(&line, &f->err, "%d", number) : custos_buf_append(&line, *c == '\'' ? "\"" : c, 1, &f->err));
	OK(custos_json_parse(custos_buf_view(&line), "entry", &fields, &f->err));
	OK(custos_vault_append(f->c, event, fields, NULL, &f->err));
}

static inline void append_keys(struct fixture *f, int from, int to)
{
	for (int i = from; i < to; i++)
		append(f, "key.generate", "{'key':'key-#','type':'ec-p256','spki_sha256':'aa#','container_sha256':'cc#'}", i);
}

static inline void append_requests(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++)
		append(f, "csr.create", "{'key':'key-#','csr_sha256':'dd'}", i % KEYS);
}

static inline void grow(struct fixture *f, int requests)
{
	OK(custos_vault_begin(f->c, &f->err));
	append_requests(f, requests);
	OK(custos_vault_commit(f->c, &f->err));
}

static inline int set_up(void **state)
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

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline int tear_down(void **state)
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

static inline int run(const struct fixture *f, const char *sql, const char *text)
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

static inline int count_blobs(const struct fixture *f)
{
	return run(f, "SELECT count(*) FROM blob WHERE kind = 'state'", NULL);
}

static inline int64_t snapshot_at(const struct fixture *f)
{
	return custos_json_int(f->c->snapshot, "index", -1);
}

static inline const char *container_of(const struct fixture *f, const char *key)
{
	return custos_json_text(custos_state_key(&f->c->state, key), "container_sha256");
}

static inline custos_rc verify(struct fixture *f)
{
	CUSTOS_AUTO(custos_json) *report = NULL;
	f->err = (struct custos_err){ 0 };
	return custos_journal_verify(f->c, NULL, &report, &f->err);
}

#endif
