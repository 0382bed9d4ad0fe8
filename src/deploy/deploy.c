/* A deployment: policy for every target before anything is connected, then one errand a group.
 *
 * The order that matters is in run_errand(): hosts prepared → intent logged, signed, verified → parcel for this courier →
 * outcomes logged. A failure before the intent leaves hosts untouched; after it every host gets an outcome. */
#include "base/text.h"
#include "crypto/digest.h"
#include "deploy/confine.h"
#include "deploy/record.h"

struct deployment {
	struct custos_custody *c;
	const struct custos_deploy_options *options;
	struct custos_consignment goods;
	struct custos_anchors *anchors;
	struct custos_tally tally;
	bool confined;
};

static void deployment_done(struct deployment *d)
{
	custos_consignment_done(&d->goods);
	custos_anchors_free(d->anchors);
	custos_tally_done(&d->tally);
}

static custos_rc make_nonce(char out[static 17], struct custos_err *err)
{
	uint8_t random[8];
	CUSTOS_TRY(custos_random(random, sizeof random, err));
	custos_text_hex(random, sizeof random, out);
	return CUSTOS_OK;
}

custos_rc custos_errand_add_host(struct custos_errand *e, const struct custos_json *target, const struct custos_profile *profile,
                                 struct custos_err *err)
{
	struct custos_errand_host *h = &e->hosts[e->count];
	const struct custos_json *deployed = custos_json_get(target, "deployed");
	const char *backup = custos_json_text(deployed, "backup"), *auth = custos_json_text(target, "auth");
	char nonce[17];
	CUSTOS_TRY(make_nonce(nonce, err));
	struct custos_plan_options plan = {
		.previous_backup = backup == NULL ? "" : backup,
		/* the first time the pair of before is not ours: its only copy stays; later it goes if it is the one in custody */
		.custody_leaf = custos_json_text(deployed, "leaf_sha256"),
		.keep_backup = deployed == NULL,
		.nonce = nonce,
		.confirm_within_s = e->options->confirm_within_s,
	};
	CUSTOS_TRY(custos_plan_build(target, profile, &plan, &h->plan, err));
	e->count++;
	h->target_copy = custos_json_copy(target);
	h->named = custos_release_host(target);
	h->auth = custos_text_dup(auth == NULL ? "agent" : auth);
	CUSTOS_REQUIRE(h->auth != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

/* The hosts that are ready, as the intent names them. */
static struct custos_json *ready_hosts(const struct custos_errand *e)
{
	struct custos_json *hosts = custos_json_array();
	for (size_t i = 0; i < e->count; i++)
		if (e->hosts[i].prepared == CUSTOS_PREPARED_READY)
			custos_json_push(hosts, custos_json_ref(e->hosts[i].named));
	return hosts;
}

static void tally_all(struct deployment *d, const struct custos_errand *e)
{
	for (size_t i = 0; i < e->count; i++)
		custos_tally_host(&d->tally, &e->hosts[i], -1);
}

/* Before an intent: whatever went wrong, no key was near a host. */
static void tally_failed_errand(struct deployment *d, const struct custos_errand *e, const struct custos_err *why)
{
	for (size_t i = 0; i < e->count; i++) {
		if (e->hosts[i].prepared == CUSTOS_PREPARED_FAILED)
			custos_tally_host(&d->tally, &e->hosts[i], -1);
		else
			custos_tally_untouched(&d->tally, e->hosts[i].plan.name, why);
	}
}

static void mark_untouched(struct custos_errand *e, const struct custos_err *why)
{
	for (size_t i = 0; i < e->count; i++) {
		struct custos_errand_host *h = &e->hosts[i];
		if (h->prepared != CUSTOS_PREPARED_READY || (h->outcome != 0 && h->outcome != CUSTOS_OUTCOME_UNTOUCHED))
			continue;
		h->outcome = CUSTOS_OUTCOME_UNTOUCHED;
		h->category = why->rc;
		free(h->why);
		free(h->hint);
		h->why = custos_text_dup(why->msg);
		h->hint = custos_text_dup(why->hint);
	}
}

/* Hosts are ready: log, release, deliver, record. Returns an error only when an outcome could not be recorded. */
static custos_rc release(struct deployment *d, struct custos_errand *e, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *hosts = ready_hosts(e);
	struct custos_release_order order = {
		.goods = &d->goods,
		.hosts = hosts,
		.courier_point = e->courier_point,
		.transport = e->transport,
		.courier_key = custos_buf_view(&e->courier_key),
		.courier_sha256 = e->courier_sha256,
		.memory_backend = e->memory_backend,
		.reason = d->options->reason,
	};
	uint64_t intent = UINT64_MAX;
	struct custos_release_parcel parcel = { 0 };
	struct custos_err why = { 0 }, ignored = { 0 };
	custos_rc rc = custos_release_execute(d->c, &order, &intent, &parcel, &why);
	if (rc == CUSTOS_OK) {
		rc = custos_errand_deliver(e, &parcel, &why);
		(void)rc; /* a host without an outcome is recorded as such */
		custos_release_parcel_done(&parcel);
		return custos_record_outcomes(d->c, e, intent, "release", &d->tally, err);
	}
	/* no key left the token, so nothing was changed; a courier that cannot even say so changes that as little */
	rc = custos_errand_abort(e, &ignored);
	(void)rc;
	mark_untouched(e, &why);
	if (intent != UINT64_MAX)
		return custos_record_outcomes(d->c, e, intent, "release", &d->tally, err);
	tally_all(d, e);
	return CUSTOS_OK;
}

static custos_rc run_errand(struct deployment *d, struct custos_errand *e, struct custos_err *err)
{
	struct custos_err why = { 0 };
	if (custos_errand_prepare(e, &why) != CUSTOS_OK) {
		tally_failed_errand(d, e, &why);
		return CUSTOS_OK;
	}
	if (custos_errand_count_ready(e) > 0 && e->job == CUSTOS_JOB_DEPLOY)
		return release(d, e, err);
	struct custos_err ignored = { 0 };
	custos_rc rc = custos_errand_abort(e, &ignored);
	(void)rc; /* nothing was changed; a courier that cannot even say so changes that as little */
	for (size_t i = 0; i < e->count; i++)
		if (e->hosts[i].outcome == 0)
			e->hosts[i].outcome = e->hosts[i].prepared == CUSTOS_PREPARED_UNCHANGED ? CUSTOS_OUTCOME_UNCHANGED : CUSTOS_OUTCOME_UNTOUCHED;
	size_t first = custos_json_count(d->tally.results);
	tally_all(d, e);
	for (size_t i = 0; e->job == CUSTOS_JOB_DRY_RUN && i < e->count; i++)
		custos_json_set(custos_json_item(d->tally.results, first + i), "plan", custos_plan_describe(&e->hosts[i].plan));
	return CUSTOS_OK;
}

static const char *group_of(const struct custos_custody *c, const char *name)
{
	const char *group = custos_json_text(custos_state_target(&c->state, name), "group");
	return group == NULL ? "" : group;
}

/* Targets of one group share a courier; a target without a group is alone. */
static bool same_errand(const struct custos_custody *c, const char *a, const char *b)
{
	return strcmp(a, b) == 0 || (group_of(c, a)[0] != '\0' && strcmp(group_of(c, a), group_of(c, b)) == 0);
}

static custos_rc prepare_errand(struct deployment *d, const char *const targets[], size_t count, bool *taken, size_t first,
                                struct custos_errand *e, struct custos_err *err)
{
	e->hosts = calloc(count, sizeof *e->hosts);
	CUSTOS_REQUIRE(e->hosts != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = first; i < count; i++) {
		if (taken[i] || !same_errand(d->c, targets[first], targets[i]))
			continue;
		const struct custos_json *target;
		CUSTOS_AUTO(custos_profile) *profile = NULL;
		taken[i] = true;
		CUSTOS_TRY(custos_vault_find_target(d->c, targets[i], &target, err));
		CUSTOS_TRY(custos_release_profile(d->c, target, &profile, err));
		CUSTOS_TRY(custos_errand_add_host(e, target, profile, err));
		unsigned format = custos_profile_key_format(profile);
		CUSTOS_REQUIRE(e->count == 1 || e->key_format == format, err, CUSTOS_E_INPUT,
		               "the targets of group %s want keys in different formats", group_of(d->c, targets[i]));
		e->key_format = format;
	}
	return CUSTOS_OK;
}

static custos_rc run_group(struct deployment *d, const char *const targets[], size_t count, bool *taken, size_t first, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_errand_done) struct custos_errand e = {
		.options = d->options,
		.anchors = d->anchors,
		.job = (d->options->flags & CUSTOS_DEPLOY_DRY_RUN) != 0 ? CUSTOS_JOB_DRY_RUN : CUSTOS_JOB_DEPLOY,
		.leaf = custos_buf_view(&d->goods.leaf),
		.chain_pem = custos_buf_view(&d->goods.chain_pem),
		.helper = { .channel = { .fd = -1 } },
	};
	CUSTOS_TRY(custos_sha256(e.leaf, e.wanted_leaf, err));
	CUSTOS_TRY(prepare_errand(d, targets, count, taken, first, &e, err));
	e.padding = d->c->token == NULL ? 0 : custos_token_info(d->c->token)->padding_max;
	e.transport = custos_release_transport(&d->goods, d->c->token);
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	if (!d->confined)
		CUSTOS_TRY(custos_deploy_confinement(d->c, targets, taken, count, &confinement, err));
	e.confinement = confinement;
	custos_rc rc = run_errand(d, &e, err);
	d->confined = d->confined || (confinement != NULL && e.confinement == NULL);
	return rc;
}

/* Everything that can be refused without touching a network. */
static custos_rc check_policy(struct deployment *d, const char *const targets[], size_t count, struct custos_err *err)
{
	for (size_t i = 0; i < count; i++) {
		CUSTOS_AUTO(custos_profile) *profile = NULL;
		for (size_t k = 0; k < i; k++)
			CUSTOS_REQUIRE(strcmp(targets[i], targets[k]) != 0, err, CUSTOS_E_USAGE, "target %s is named twice", targets[i]);
		CUSTOS_TRY(custos_release_policy(d->c, &d->goods, targets[i], &profile, err));
	}
	return CUSTOS_OK;
}

static void free_flags(bool **flags)
{
	free(*flags);
}

static custos_rc run(struct deployment *d, const char *const targets[], size_t count, struct custos_err *err)
{
	struct custos_token *token;
	CUSTOS_TRY(check_policy(d, targets, count, err));
	CUSTOS_TRY(custos_vault_anchors(d->c, &d->anchors, err));
	if ((d->options->flags & CUSTOS_DEPLOY_DRY_RUN) == 0)
		CUSTOS_TRY(custos_vault_token(d->c, &token, err));
	CUSTOS_CLEANUP(free_flags) bool *taken = calloc(count, sizeof *taken);
	CUSTOS_REQUIRE(taken != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	custos_rc rc = CUSTOS_OK;
	for (size_t i = 0; i < count; i++) {
		if (!taken[i] && rc == CUSTOS_OK)
			rc = run_group(d, targets, count, taken, i, err);
		else if (!taken[i])
			custos_tally_untouched(&d->tally, targets[i], err);
	}
	return rc;
}

custos_rc custos_deploy_consignment(struct custos_custody *c, const char *key, const char *chain_sha256, const char *const targets[], size_t count,
                                    const struct custos_deploy_options *options, struct custos_json **ret_results, struct custos_err *err)
{
	CUSTOS_CLEANUP(deployment_done) struct deployment d = { .c = c, .options = options };
	CUSTOS_REQUIRE(count > 0, err, CUSTOS_E_USAGE, "no target was named");
	CUSTOS_TRY(custos_tally_start(&d.tally, err));
	CUSTOS_TRY(custos_consignment_load(c, key, chain_sha256, &d.goods, err));
	CUSTOS_TRY(custos_release_lock(c, err));
	struct custos_err why = { 0 };
	why.rc = run(&d, targets, count, &why);
	custos_release_unlock(c);
	*ret_results = CUSTOS_TAKE(d.tally.results);
	return custos_tally_conclude(&d.tally, &why, err);
}

custos_rc custos_deploy(struct custos_custody *c, const char *key, const char *const targets[], size_t count,
                        const struct custos_deploy_options *options, struct custos_json **ret_results, struct custos_err *err)
{
	return custos_deploy_consignment(c, key, NULL, targets, count, options, ret_results, err);
}
