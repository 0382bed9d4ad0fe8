/* A host looked at before anything goes there: what it is, what would stop a deployment, and the steps that one would take. The courier does it, with the
 * script and the state machine of a deployment that changes nothing; no key is named, no token asked, nothing logged. */
#include "base/text.h"
#include "deploy/confine.h"
#include "deploy/record.h"
#include "target/inspection.h"

/* A failure that the host's facts do not tell: it could not be reached, the login was refused, the look was cut off. */
static void add_failure(struct custos_json *found, const struct custos_errand_host *h, const struct custos_err *why)
{
	if (custos_json_count(custos_json_get(found, "obstacles")) > 0)
		return;
	if (why->rc != CUSTOS_OK)
		custos_inspection_add_obstacle(found, why->rc, why->msg, why->hint);
	else if (h->prepared == CUSTOS_PREPARED_FAILED)
		custos_inspection_add_obstacle(found, h->category == CUSTOS_OK ? CUSTOS_E_INTERNAL : h->category, h->why == NULL || h->why[0] == '\0' ? "the host could not be looked at" : h->why, h->hint);
}

static void add_served(struct custos_json *found, const struct custos_errand_host *h, const struct custos_json *deployed)
{
	char leaf[65];
	custos_text_hex(h->previous_leaf, sizeof h->previous_leaf, leaf);
	const char *ours = custos_json_text(deployed, "leaf_sha256");
	custos_json_set_text(found, "served_leaf_sha256", h->has_previous ? leaf : NULL);
	custos_json_set(found, "serves_what_was_deployed", h->has_previous && ours != NULL ? custos_json_boolean(strcmp(leaf, ours) == 0) : NULL);
}

static void add_target(struct custos_json *found, const struct custos_json *target)
{
	static const char *const members[] = { "address", "user", "auth", "profile" };
	custos_json_set_text(found, "target", custos_json_text(target, "name"));
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		custos_json_set(found, members[i], custos_json_ref(custos_json_get(target, members[i])));
}

/* The category whose name an obstacle bears. */
static custos_rc category_of(const struct custos_json *obstacle)
{
	const char *name = custos_json_text(obstacle, "category");
	for (int rc = CUSTOS_E_USAGE; name != NULL && rc <= CUSTOS_E_TAMPERED; rc++)
		if (strcmp(custos_rc_name((custos_rc)rc), name) == 0)
			return (custos_rc)rc;
	return CUSTOS_E_INTERNAL;
}

/* The first obstacle is what a deployment would fail with. */
static custos_rc conclude(const struct custos_json *found, const struct custos_errand_host *h, struct custos_err *err)
{
	const struct custos_json *first = custos_json_at(custos_json_get(found, "obstacles"), 0);
	if (first == NULL)
		return CUSTOS_OK;
	custos_rc rc = custos_err_set(err, category_of(first), 0, "%s: %s", h->plan.name, custos_json_text(first, "reason"));
	if (custos_json_text(first, "hint") != NULL)
		custos_err_hint(err, "%s", custos_json_text(first, "hint"));
	return rc;
}

static custos_rc look(struct custos_errand *e, struct custos_err *why)
{
	CUSTOS_TRY(custos_errand_prepare(e, why));
	struct custos_err ignored = { 0 };
	custos_rc ended = custos_errand_abort(e, &ignored);
	(void)ended; /* nothing was touched */
	return CUSTOS_OK;
}

static custos_rc survey(struct custos_errand *e, const struct custos_json *target, struct custos_json **ret_probe, struct custos_err *err)
{
	struct custos_errand_host *h = &e->hosts[0];
	struct custos_err why = { 0 };
	custos_rc looked = look(e, &why);
	(void)looked; /* an obstacle like others */
	struct custos_json *found = custos_inspection_describe(&h->plan, &h->facts);
	CUSTOS_REQUIRE(found != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	add_target(found, target);
	add_failure(found, h, &why);
	add_served(found, h, custos_json_get(target, "deployed"));
	custos_json_set_bool(found, "ready", custos_json_count(custos_json_get(found, "obstacles")) == 0);
	custos_json_set(found, "plan", custos_plan_describe(&h->plan));
	*ret_probe = found;
	return conclude(found, h, err);
}

custos_rc custos_target_probe(struct custos_custody *c, const char *name, const struct custos_deploy_options *options, struct custos_json **ret_probe, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_errand_done) struct custos_errand e = { .options = options, .job = CUSTOS_JOB_PROBE, .helper = { .channel = { .fd = -1 } } };
	CUSTOS_AUTO(custos_profile) *profile = NULL;
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	const struct custos_json *target;
	CUSTOS_TRY(custos_vault_find_target(c, name, &target, err));
	CUSTOS_TRY(custos_release_profile(c, target, &profile, err));
	e.hosts = calloc(1, sizeof *e.hosts);
	CUSTOS_REQUIRE(e.hosts != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_errand_add_host(&e, target, profile, err));
	CUSTOS_TRY(custos_deploy_confinement(c, NULL, NULL, 0, &confinement, err));
	e.confinement = confinement;
	return survey(&e, target, ret_probe, err);
}
