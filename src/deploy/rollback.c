/* The way back: the previous pair from custody when its key is in it (an ordinary release of that key), else the copy that
 * the last deployment left on the host. */
#include "base/text.h"
#include "deploy/confine.h"
#include "deploy/record.h"

static custos_rc log_intent(struct custos_custody *c, const struct custos_errand *e, const struct custos_json *deployed,
                            uint64_t *ret_intent, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	struct custos_json *hosts = custos_json_array();
	custos_json_set_text(fields, "key", custos_json_text(deployed, "key"));
	custos_json_set_text(fields, "leaf_sha256", custos_json_text(deployed, "previous_leaf_sha256"));
	custos_json_set_text(fields, "backup", custos_json_text(deployed, "backup"));
	custos_json_set(fields, "hosts", hosts);
	custos_json_push(hosts, custos_json_ref(e->hosts[0].named));
	if (e->options->reason != NULL)
		custos_json_set_text(fields, "reason", e->options->reason);
	return custos_vault_record(c, "rollback.intent", fields, ret_intent, err);
}

/* Puts the copy on the host back. No key travels. */
static custos_rc restore_copy(struct custos_custody *c, const struct custos_json *target, const struct custos_json *deployed,
                              const struct custos_deploy_options *options, struct custos_tally *tally, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_errand_done) struct custos_errand e = {
		.options = options, .job = CUSTOS_JOB_ROLLBACK, .helper = { .channel = { .fd = -1 } } };
	CUSTOS_AUTO(custos_profile) *profile = NULL;
	uint64_t intent = 0;
	struct custos_err why = { 0 };
	CUSTOS_AUTO(custos_json) *before = custos_json_copy(deployed);
	CUSTOS_REQUIRE(custos_text_unhex(custos_json_text(before, "previous_leaf_sha256"), e.wanted_leaf, sizeof e.wanted_leaf), err,
	               CUSTOS_E_TAMPERED, "the log's record of the previous certificate is damaged");
	CUSTOS_TRY(custos_release_profile(c, target, &profile, err));
	e.hosts = calloc(1, sizeof *e.hosts);
	CUSTOS_REQUIRE(e.hosts != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_errand_add_host(&e, target, profile, err));
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	CUSTOS_TRY(custos_deploy_confinement(c, NULL, NULL, 0, &confinement, err));
	e.confinement = confinement;
	if (custos_errand_prepare(&e, &why) != CUSTOS_OK) {
		custos_tally_untouched(tally, e.hosts[0].plan.name, &why);
		return CUSTOS_OK;
	}
	if (custos_errand_count_ready(&e) == 0) {
		struct custos_err ignored = { 0 };
		custos_rc rc = custos_errand_abort(&e, &ignored);
		(void)rc; /* nothing was changed on the host */
		if (e.hosts[0].outcome == 0)
			e.hosts[0].outcome = CUSTOS_OUTCOME_UNTOUCHED;
		custos_tally_host(tally, &e.hosts[0], -1);
		return CUSTOS_OK;
	}
	CUSTOS_TRY(log_intent(c, &e, before, &intent, err));
	custos_rc rc = custos_errand_deliver(&e, NULL, &why);
	(void)rc; /* a host without an outcome is recorded as such */
	CUSTOS_TRY(custos_record_outcomes(c, &e, intent, "rollback", tally, err));
	if (e.hosts[0].outcome == CUSTOS_OUTCOME_DEPLOYED)
		custos_tally_call(tally, "restored");
	return CUSTOS_OK;
}

custos_rc custos_rollback(struct custos_custody *c, const char *name, const struct custos_deploy_options *options,
                          struct custos_json **ret_results, struct custos_err *err)
{
	const struct custos_json *target;
	CUSTOS_TRY(custos_vault_find_target(c, name, &target, err));
	const struct custos_json *deployed = custos_json_get(target, "deployed"), *previous = custos_json_get(deployed, "previous");
	if (deployed == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "only what custos deployed can be rolled back", "custos has deployed nothing to %s", name);
	if (previous != NULL) {
		CUSTOS_AUTO_STR *key = custos_text_dup(custos_json_text(previous, "key"));
		CUSTOS_AUTO_STR *chain = custos_text_dup(custos_json_text(previous, "chain_sha256"));
		CUSTOS_REQUIRE(key != NULL && chain != NULL, err, CUSTOS_E_TAMPERED, "the log's record of the previous pair is damaged");
		return custos_deploy_consignment(c, key, chain, &name, 1, options, ret_results, err);
	}
	const char *backup = custos_json_text(deployed, "backup");
	if (backup == NULL || custos_json_text(deployed, "previous_leaf_sha256") == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "deploy another key or certificate instead",
		                 "there is no previous pair of %s, neither in custody nor on the host", name);
	struct custos_token *token;
	CUSTOS_CLEANUP(custos_tally_done) struct custos_tally tally = { 0 };
	CUSTOS_TRY(custos_tally_start(&tally, err));
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	CUSTOS_TRY(custos_release_lock(c, err));
	/* logging in may have replayed the log: look the record up again */
	struct custos_err why = { 0 };
	why.rc = custos_vault_find_target(c, name, &target, &why);
	if (why.rc == CUSTOS_OK)
		why.rc = restore_copy(c, target, custos_json_get(target, "deployed"), options, &tally, &why);
	custos_release_unlock(c);
	*ret_results = CUSTOS_TAKE(tally.results);
	return custos_tally_conclude(&tally, &why, err);
}
