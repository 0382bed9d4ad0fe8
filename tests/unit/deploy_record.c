/* Outcomes: which entry, which words, which exit code. The vault is replaced by a notebook, so that what would be written can be read. */
#include "deploy/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

/* --- the notebook in the vault's place --- */
struct notebook {
	struct custos_json *entries;
	size_t fail_at;   /* 1: the first entry cannot be written */
};

/* Not static: record.o calls it by this name. */
custos_rc custos_vault_record_outcome(struct custos_custody *c, const char *event, const struct custos_json *fields, uint64_t *ret_index,
	struct custos_err *err)
{
	struct notebook *n = (struct notebook *)(void *)c;
	size_t count = custos_json_count(n->entries);
	CUSTOS_REQUIRE(n->fail_at != count + 1, err, CUSTOS_E_STORE, "the disk is full");
	struct custos_json *entry = custos_json_copy(fields);
	custos_json_set_text(entry, "event", event);
	custos_json_push(n->entries, entry);
	*ret_index = 100 + count;
	return CUSTOS_OK;
}

static struct custos_custody *as_custody(struct notebook *n)
{
	return (struct custos_custody *)(void *)n;
}

/* --- hosts --- */
static char names[8][8] = { "h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7" };

static struct custos_errand_host host(size_t i, enum custos_outcome outcome, custos_rc category)
{
	return (struct custos_errand_host){ .plan = { .name = names[i] }, .prepared = CUSTOS_PREPARED_READY, .outcome = outcome,
		.category = category };
}

enum { DEPLOYED = CUSTOS_OUTCOME_DEPLOYED, UNCHANGED = CUSTOS_OUTCOME_UNCHANGED, UNTOUCHED = CUSTOS_OUTCOME_UNTOUCHED,
	BACK = CUSTOS_OUTCOME_ROLLED_BACK, NOT_BACK = CUSTOS_OUTCOME_NOT_ROLLED_BACK, SILENT = 0 };

static custos_rc verdict_of(const struct custos_errand_host *hosts, size_t count, int64_t log_index, struct custos_err *err)
{
	__attribute__((cleanup(custos_tally_done))) struct custos_tally tally = { 0 };
	struct custos_err ignored = { 0 };
	assert_int_equal(custos_tally_start(&tally, NULL), CUSTOS_OK);
	for (size_t i = 0; i < count; i++)
		custos_tally_host(&tally, &hosts[i], log_index);
	assert_int_equal(custos_json_count(tally.results), count);
	custos_rc rc = custos_tally_verdict(&tally, err == NULL ? &ignored : err);
	assert_int_equal(rc, (err == NULL ? &ignored : err)->rc);
	return rc;
}

static void one_host_has_its_own_code(void **state)
{
	(void)state;
	static const struct {
		int outcome;
		custos_rc category, verdict;
	} cases[] = {
		{ DEPLOYED, CUSTOS_OK, CUSTOS_OK },
		{ UNCHANGED, CUSTOS_OK, CUSTOS_OK },
		{ BACK, CUSTOS_E_INPUT, CUSTOS_E_ROLLED_BACK },
		{ BACK, CUSTOS_OK, CUSTOS_E_ROLLED_BACK },
		{ NOT_BACK, CUSTOS_OK, CUSTOS_E_NOT_ROLLED_BACK },
		{ UNTOUCHED, CUSTOS_E_POLICY, CUSTOS_E_POLICY },
		{ UNTOUCHED, CUSTOS_E_AUTH, CUSTOS_E_AUTH },
		{ UNTOUCHED, CUSTOS_E_TAMPERED, CUSTOS_E_TAMPERED },
		/* a courier that ended without a word: the worst is assumed */
		{ SILENT, CUSTOS_OK, CUSTOS_E_NOT_ROLLED_BACK },
		/* and one that says what does not exist */
		{ 77, CUSTOS_OK, CUSTOS_E_NOT_ROLLED_BACK },
		/* a courier that failed for no reason, or for one that is no category, is broken */
		{ UNTOUCHED, CUSTOS_OK, CUSTOS_E_INTERNAL },
		{ UNTOUCHED, (custos_rc)1, CUSTOS_E_INTERNAL },
		{ UNTOUCHED, (custos_rc)200, CUSTOS_E_INTERNAL },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct custos_errand_host h = host(0, (enum custos_outcome)cases[i].outcome, cases[i].category);
		assert_int_equal(verdict_of(&h, 1, 7, NULL), cases[i].verdict);
	}
}

/* A dry run wants hosts untouched; a host that could not be prepared is a failure in it too. */
static void a_dry_run(void **state)
{
	(void)state;
	struct custos_errand_host h = host(0, CUSTOS_OUTCOME_UNTOUCHED, CUSTOS_OK);
	assert_int_equal(verdict_of(&h, 1, -1, NULL), CUSTOS_OK);
	h.prepared = CUSTOS_PREPARED_FAILED;
	assert_int_equal(verdict_of(&h, 1, -1, NULL), CUSTOS_E_INTERNAL);
	h.category = CUSTOS_E_NETWORK;
	assert_int_equal(verdict_of(&h, 1, -1, NULL), CUSTOS_E_NETWORK);
}

/* 11 before 12 before 10, in every order of three hosts. */
static void of_several_the_worst_decides(void **state)
{
	(void)state;
	static const int outcomes[] = { DEPLOYED, UNCHANGED, UNTOUCHED, BACK, NOT_BACK, SILENT };
	enum { KINDS = sizeof outcomes / sizeof *outcomes };
	for (size_t n = 0; n < KINDS * KINDS * KINDS; n++) {
		const int picked[] = { outcomes[n % KINDS], outcomes[n / KINDS % KINDS], outcomes[n / KINDS / KINDS] };
		struct custos_errand_host hosts[3];
		bool failed = false, not_back = false;
		for (size_t i = 0; i < 3; i++) {
			hosts[i] = host(i, (enum custos_outcome)picked[i], CUSTOS_E_NETWORK);
			failed |= picked[i] != DEPLOYED && picked[i] != UNCHANGED;
			not_back |= picked[i] == NOT_BACK || picked[i] == SILENT;
		}
		assert_int_equal(verdict_of(hosts, 3, 7, NULL), not_back ? CUSTOS_E_NOT_ROLLED_BACK : failed ? CUSTOS_E_SOME_FAILED : CUSTOS_OK);
	}
}

static void the_worst_is_told_first(void **state)
{
	(void)state;
	char untouched[] = "no route to it", lost[] = "the session was cut", way_back[] = "log in and run restore";
	struct custos_errand_host hosts[] = { host(0, CUSTOS_OUTCOME_UNTOUCHED, CUSTOS_E_NETWORK), host(1, CUSTOS_OUTCOME_DEPLOYED, CUSTOS_OK),
		                              host(2, CUSTOS_OUTCOME_NOT_ROLLED_BACK, CUSTOS_E_NETWORK),
		                              host(3, CUSTOS_OUTCOME_NOT_ROLLED_BACK, CUSTOS_E_NETWORK) };
	struct custos_err err = { 0 };
	hosts[0].why = untouched;
	hosts[2].why = lost;
	hosts[2].hint = way_back;
	assert_int_equal(verdict_of(hosts, 4, 7, &err), CUSTOS_E_NOT_ROLLED_BACK);
	assert_string_equal(err.msg, "3 of 4 targets failed; h2: the session was cut");
	assert_string_equal(err.hint, "log in and run restore");
}

/* Before any courier: policy, an unreachable group. */
static void targets_that_never_got_a_courier(void **state)
{
	(void)state;
	__attribute__((cleanup(custos_tally_done))) struct custos_tally tally = { 0 };
	struct custos_err why = { 0 }, nothing = { 0 }, err = { 0 };
	assert_int_equal(custos_err_set_hinted(&why, CUSTOS_E_AUTH, "look at the log", "the login was refused"), CUSTOS_E_AUTH);
	assert_int_equal(custos_tally_start(&tally, NULL), CUSTOS_OK);
	assert_int_equal(custos_tally_verdict(&tally, &err), CUSTOS_OK);
	custos_tally_untouched(&tally, "one", &why);
	assert_int_equal(custos_tally_verdict(&tally, &err), CUSTOS_E_AUTH);
	assert_string_equal(err.hint, "look at the log");
	const struct custos_json *row = custos_json_at(tally.results, 0);
	assert_string_equal(custos_json_text(row, "result"), "untouched");
	assert_string_equal(custos_json_text(row, "category"), "authentication");
	assert_string_equal(custos_json_text(row, "reason"), "the login was refused");
	/* without a reason it is a failure all the same */
	custos_tally_untouched(&tally, "two", &nothing);
	custos_err_clear(&err);
	assert_int_equal(custos_tally_verdict(&tally, &err), CUSTOS_E_SOME_FAILED);
	assert_int_equal(tally.failed, 2);
	assert_string_equal(custos_json_text(custos_json_at(tally.results, 1), "category"), "internal");
}

static void the_result_of_a_host(void **state)
{
	(void)state;
	__attribute__((cleanup(custos_tally_done))) struct custos_tally tally = { 0 };
	struct custos_errand_host good = host(0, CUSTOS_OUTCOME_DEPLOYED, CUSTOS_OK), silent = host(1, (enum custos_outcome)0, CUSTOS_OK);
	char hearsay[] = "all is well";
	assert_int_equal(custos_tally_start(&tally, NULL), CUSTOS_OK);
	good.exposure_ms = 12;
	good.serves = true;
	snprintf(good.served_spki, sizeof good.served_spki, "ab");
	silent.why = hearsay;
	custos_tally_host(&tally, &good, 7);
	custos_tally_host(&tally, &silent, -1);
	const struct custos_json *row = custos_json_at(tally.results, 0);
	assert_string_equal(custos_json_text(row, "result"), "deployed");
	assert_string_equal(custos_json_text(row, "served_spki_sha256"), "ab");
	assert_int_equal(custos_json_int(row, "exposure_ms", -1), 12);
	assert_int_equal(custos_json_int(row, "log_index", -1), 7);
	assert_null(custos_json_get(row, "category"));
	row = custos_json_at(tally.results, 1);
	assert_string_equal(custos_json_text(row, "result"), "unknown");
	assert_string_equal(custos_json_text(row, "category"), "not_rolled_back");
	assert_non_null(strstr(custos_json_text(row, "reason"), "the courier ended"));
	assert_non_null(custos_json_get(row, "log_index"));
	assert_null(custos_json_text(row, "served_spki_sha256"));
}

static void assert_recorded(const char *prefix, int outcome, const char *event, const char *result)
{
	struct notebook n = { .entries = custos_json_array() };
	struct custos_errand_host h = host(0, (enum custos_outcome)outcome, CUSTOS_E_NETWORK);
	struct custos_errand e = { .hosts = &h, .count = 1 };
	__attribute__((cleanup(custos_tally_done))) struct custos_tally tally = { 0 };
	char said[] = "-----BEGIN PRIVATE KEY-----";
	h.why = said;
	h.login_signatures = 1;
	assert_int_equal(custos_tally_start(&tally, NULL), CUSTOS_OK);
	assert_int_equal(custos_record_outcomes(as_custody(&n), &e, 41, prefix, &tally, NULL), CUSTOS_OK);
	const struct custos_json *entry = custos_json_at(n.entries, 0);
	assert_string_equal(custos_json_text(entry, "event"), event);
	assert_string_equal(custos_json_text(entry, "result"), result);
	assert_string_equal(custos_json_text(entry, "target"), "h0");
	assert_int_equal(custos_json_int(entry, "intent", -1), 41);
	assert_int_equal(custos_json_int(entry, "login_signatures", -1), 1);
	assert_int_equal(custos_json_int(custos_json_at(tally.results, 0), "log_index", -1), 100);
	/* what a host said never enters the log */
	CUSTOS_AUTO_STR *all = custos_json_pretty(entry);
	assert_null(strstr(all, "BEGIN"));
	custos_json_free(n.entries);
}

static void each_outcome_has_its_entry(void **state)
{
	(void)state;
	assert_recorded("release", DEPLOYED, "release.done", "deployed");
	assert_recorded("release", BACK, "release.rolled_back", "rolled_back");
	assert_recorded("release", NOT_BACK, "release.not_rolled_back", "not_rolled_back");
	assert_recorded("release", UNTOUCHED, "release.untouched", "untouched");
	assert_recorded("release", UNCHANGED, "release.untouched", "unchanged");
	assert_recorded("release", SILENT, "release.unknown", "unknown");
	assert_recorded("release", 77, "release.unknown", "unknown");
	/* only a copy that is served again has been rolled back to; anything else must not make the log forget what is deployed */
	assert_recorded("rollback", DEPLOYED, "rollback.done", "deployed");
	assert_recorded("rollback", BACK, "rollback.failed", "rolled_back");
	assert_recorded("rollback", NOT_BACK, "rollback.failed", "not_rolled_back");
	assert_recorded("rollback", UNTOUCHED, "rollback.failed", "untouched");
	assert_recorded("rollback", SILENT, "rollback.failed", "unknown");
}

/* The intent names the hosts that were ready: the others get a result and no entry. */
static void only_hosts_of_the_intent_are_recorded(void **state)
{
	(void)state;
	struct notebook n = { .entries = custos_json_array() };
	struct custos_errand_host hosts[] = { host(0, CUSTOS_OUTCOME_UNTOUCHED, CUSTOS_E_AUTH), host(1, CUSTOS_OUTCOME_DEPLOYED, CUSTOS_OK),
		                              host(2, CUSTOS_OUTCOME_UNCHANGED, CUSTOS_OK) };
	hosts[0].prepared = CUSTOS_PREPARED_FAILED;
	hosts[2].prepared = CUSTOS_PREPARED_UNCHANGED;
	struct custos_errand e = { .hosts = hosts, .count = 3 };
	__attribute__((cleanup(custos_tally_done))) struct custos_tally tally = { 0 };
	assert_int_equal(custos_tally_start(&tally, NULL), CUSTOS_OK);
	assert_int_equal(custos_record_outcomes(as_custody(&n), &e, 41, "release", &tally, NULL), CUSTOS_OK);
	assert_int_equal(custos_json_count(n.entries), 1);
	assert_string_equal(custos_json_text(custos_json_at(n.entries, 0), "target"), "h1");
	assert_int_equal(custos_json_count(tally.results), 3);
	assert_int_equal(tally.failed, 1);
	custos_json_free(n.entries);
}

/* One entry cannot be written: the error is reported, every host is told, the others' entries are written. */
static void an_outcome_that_cannot_be_written(void **state)
{
	(void)state;
	struct notebook n = { .entries = custos_json_array(), .fail_at = 1 };
	struct custos_errand_host hosts[] = { host(0, CUSTOS_OUTCOME_DEPLOYED, CUSTOS_OK), host(1, CUSTOS_OUTCOME_NOT_ROLLED_BACK, CUSTOS_OK) };
	struct custos_errand e = { .hosts = hosts, .count = 2 };
	struct custos_err err = { 0 };
	__attribute__((cleanup(custos_tally_done))) struct custos_tally tally = { 0 };
	assert_int_equal(custos_tally_start(&tally, NULL), CUSTOS_OK);
	assert_int_equal(custos_record_outcomes(as_custody(&n), &e, 41, "release", &tally, &err), CUSTOS_E_STORE);
	assert_string_equal(err.msg, "the disk is full");
	assert_int_equal(custos_json_count(tally.results), 2);
	assert_true(tally.not_rolled_back);
	custos_json_free(n.entries);
}

static void the_entry_names_what_was_and_is_served(void **state)
{
	(void)state;
	struct notebook n = { .entries = custos_json_array() };
	struct custos_errand_host h = host(0, CUSTOS_OUTCOME_DEPLOYED, CUSTOS_OK);
	struct custos_errand e = { .hosts = &h, .count = 1 };
	char backup[] = "/backup/1";
	__attribute__((cleanup(custos_tally_done))) struct custos_tally tally = { 0 };
	h.serves = h.has_previous = true;
	h.login_signatures = 2;
	memset(h.served_leaf, 0xaa, sizeof h.served_leaf);
	memset(h.previous_leaf, 0xbb, sizeof h.previous_leaf);
	h.backup = backup;
	assert_int_equal(custos_tally_start(&tally, NULL), CUSTOS_OK);
	assert_int_equal(custos_record_outcomes(as_custody(&n), &e, 41, "release", &tally, NULL), CUSTOS_OK);
	h.serves = h.has_previous = false;
	h.login_signatures = 0;
	h.backup = NULL;
	assert_int_equal(custos_record_outcomes(as_custody(&n), &e, 41, "release", &tally, NULL), CUSTOS_OK);
	const struct custos_json *full = custos_json_at(n.entries, 0), *bare = custos_json_at(n.entries, 1);
	assert_int_equal(strlen(custos_json_text(full, "served_leaf_sha256")), 64);
	assert_int_equal(strncmp(custos_json_text(full, "previous_leaf_sha256"), "bbbb", 4), 0);
	assert_string_equal(custos_json_text(full, "backup"), "/backup/1");
	/* also when there was none */
	assert_int_equal(custos_json_int(full, "login_signatures", -1), 2);
	assert_int_equal(custos_json_int(bare, "login_signatures", -1), 0);
	assert_null(custos_json_get(bare, "served_leaf_sha256"));
	assert_null(custos_json_get(bare, "previous_leaf_sha256"));
	assert_null(custos_json_text(bare, "backup"));
	custos_json_free(n.entries);
}

static void every_outcome_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(custos_outcome_name(CUSTOS_OUTCOME_NOT_ROLLED_BACK), "not_rolled_back");
	assert_string_equal(custos_outcome_name((enum custos_outcome)0), "unknown");
	assert_string_equal(custos_outcome_name((enum custos_outcome)6), "unknown");
	assert_string_equal(custos_outcome_name((enum custos_outcome)255), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_host_has_its_own_code),
		cmocka_unit_test(a_dry_run),
		cmocka_unit_test(of_several_the_worst_decides),
		cmocka_unit_test(the_worst_is_told_first),
		cmocka_unit_test(targets_that_never_got_a_courier),
		cmocka_unit_test(the_result_of_a_host),
		cmocka_unit_test(each_outcome_has_its_entry),
		cmocka_unit_test(only_hosts_of_the_intent_are_recorded),
		cmocka_unit_test(an_outcome_that_cannot_be_written),
		cmocka_unit_test(the_entry_names_what_was_and_is_served),
		cmocka_unit_test(every_outcome_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
