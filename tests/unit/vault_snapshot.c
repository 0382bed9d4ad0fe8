/* Snapshots in a custody: made when they are due, in one transaction with what made them due, read again, dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault_snapshot.h"

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

/* Of a custos that makes another state of the same entries: passed over by opening and by verifying, until the next one of ours. */
static void of_another_format(void **state)
{
	struct fixture *f = *state;
	grow(f, DUE);
	OK(custos_vault_begin(f->c, &f->err));
	append(f, "state.snapshot", "{'format':#,'state_sha256':'not a hash','subtrees':{}}", CUSTOS_STATE_FORMAT + 1);
	OK(custos_log_commit(f->c->log, &f->c->signer, &f->err));
	OK(reopen(f));
	assert_string_equal(container_of(f, "key-9"), "cc9");
	OK(verify(f));
	for (int i = 0; i < 3; i++) {
		grow(f, DUE);
		assert_int_equal(custos_json_int(f->c->snapshot, "format", -1), CUSTOS_STATE_FORMAT);
		OK(verify(f));
		OK(reopen(f));
		OK(verify(f));
	}
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

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = { WITH(made_when_due), WITH(opened_from_it), WITH(an_older_custody), WITH(of_another_format), WITH(old_ones_are_dropped), WITH(pages_hold_no_container), WITH(given_up), WITH(killed) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
