/* What became of each host: one log entry, one result, one share of the exit code. */
#include "deploy/record.h"

#include <stdio.h>

const char *custos_outcome_name(enum custos_outcome outcome)
{
	static const char *const names[] = { "unknown", "deployed", "unchanged", "untouched", "rolled_back", "not_rolled_back" };
	return (size_t)outcome < sizeof names / sizeof *names ? names[outcome] : "unknown";
}

custos_rc custos_tally_start(struct custos_tally *ret_tally, struct custos_err *err)
{
	*ret_tally = (struct custos_tally){ .results = custos_json_array() };
	CUSTOS_REQUIRE(ret_tally->results != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

void custos_tally_done(struct custos_tally *tally)
{
	custos_json_free(tally->results);
}

/* Nobody fails with "ok", or with a number that is no category: whoever says so is broken, and that is the failure. */
static custos_rc failure(custos_rc rc)
{
	return rc == CUSTOS_OK || strcmp(custos_rc_name(rc), "unknown") == 0 ? CUSTOS_E_INTERNAL : rc;
}

static void fail(struct custos_tally *t, custos_rc rc, const char *why, const char *hint)
{
	t->failed++;
	t->not_rolled_back |= rc == CUSTOS_E_NOT_ROLLED_BACK;
	/* the worst one is told first: what was not rolled back needs a person now */
	if (t->first.rc != CUSTOS_OK && !(rc == CUSTOS_E_NOT_ROLLED_BACK && t->first.rc != CUSTOS_E_NOT_ROLLED_BACK))
		return;
	struct custos_err fresh = { 0 };
	custos_err_set(&fresh, rc, 0, "%s", why);
	if (hint != NULL && hint[0] != '\0')
		custos_err_hint(&fresh, "%s", hint);
	t->first = fresh;
}

void custos_tally_untouched(struct custos_tally *t, const char *target, const struct custos_err *why)
{
	struct custos_json *result = custos_json_object();
	custos_rc rc = failure(why->rc);
	custos_json_set_text(result, "target", target);
	custos_json_set_text(result, "result", "untouched");
	custos_json_set_text(result, "category", custos_rc_name(rc));
	custos_json_set_text(result, "reason", why->msg);
	if (why->hint[0] != '\0')
		custos_json_set_text(result, "hint", why->hint);
	custos_json_push(t->results, result);
	t->count++;
	fail(t, rc, why->msg, why->hint);
}

void custos_tally_call(struct custos_tally *t, const char *result)
{
	size_t count = custos_json_count(t->results);
	if (count > 0)
		custos_json_set_text(custos_json_item(t->results, count - 1), "result", result);
}

/* The category a host's outcome stands for in the exit code. Untouched is what a dry run wants of a host that is ready; otherwise it is a failure. */
static custos_rc category(const struct custos_errand_host *h, bool after_intent)
{
	switch (h->outcome) {
	case CUSTOS_OUTCOME_DEPLOYED:
	case CUSTOS_OUTCOME_UNCHANGED:
		return CUSTOS_OK;
	case CUSTOS_OUTCOME_ROLLED_BACK:
		return CUSTOS_E_ROLLED_BACK;
	case CUSTOS_OUTCOME_UNTOUCHED:
		return h->category == CUSTOS_OK && h->prepared != CUSTOS_PREPARED_FAILED && !after_intent ? CUSTOS_OK : failure(h->category);
	case CUSTOS_OUTCOME_NOT_ROLLED_BACK:
	default:
		return CUSTOS_E_NOT_ROLLED_BACK;
	}
}

void custos_tally_host(struct custos_tally *t, const struct custos_errand_host *h, int64_t log_index)
{
	struct custos_json *result = custos_json_object();
	custos_rc rc = category(h, log_index >= 0);
	custos_json_set_text(result, "target", h->plan.name);
	custos_json_set_text(result, "result", custos_outcome_name(h->outcome));
	custos_json_set_text(result, "served_spki_sha256", h->serves && h->served_spki[0] != '\0' ? h->served_spki : NULL);
	custos_json_set_int(result, "exposure_ms", h->exposure_ms);
	custos_json_set(result, "log_index", log_index < 0 ? NULL : custos_json_integer(log_index));
	if (h->version != NULL && h->version[0] != '\0')
		custos_json_set_text(result, "version", h->version);
	if (h->backup != NULL && h->backup[0] != '\0')
		custos_json_set_text(result, "backup", h->backup);
	const char *why = h->outcome == 0 ? "the courier ended before it said what became of the host" : h->why;
	char unknown[512];
	snprintf(unknown, sizeof unknown,
	         "after %u s without word the host puts its previous pair back by itself (its copy is in %s); "
	         "look at what it serves then, and close the release with `custos release resolve`",
	         h->plan.confirm_within_s, h->backup == NULL || h->backup[0] == '\0' ? "its backup directory" : h->backup);
	const char *hint = h->outcome == 0 ? unknown : h->hint;
	if (rc != CUSTOS_OK || (why != NULL && why[0] != '\0')) {
		custos_json_set_text(result, "category", custos_rc_name(rc));
		custos_json_set_text(result, "reason", why);
		if (hint != NULL && hint[0] != '\0')
			custos_json_set_text(result, "hint", hint);
	}
	custos_json_push(t->results, result);
	t->count++;
	if (rc != CUSTOS_OK) {
		char line[512];
		snprintf(line, sizeof line, "%s: %s", h->plan.name, why == NULL || why[0] == '\0' ? custos_outcome_name(h->outcome) : why);
		fail(t, rc, line, hint);
	}
}

custos_rc custos_tally_verdict(const struct custos_tally *t, struct custos_err *err)
{
	if (t->failed == 0)
		return CUSTOS_OK;
	custos_rc rc = t->not_rolled_back ? CUSTOS_E_NOT_ROLLED_BACK : t->count > 1 ? CUSTOS_E_SOME_FAILED : t->first.rc;
	custos_rc set = t->count > 1 ? custos_err_set(err, rc, 0, "%zu of %zu targets failed; %s", t->failed, t->count, t->first.msg)
	                             : custos_err_set(err, rc, 0, "%s", t->first.msg);
	if (t->first.hint[0] != '\0')
		custos_err_hint(err, "%s", t->first.hint);
	return set;
}

custos_rc custos_tally_conclude(const struct custos_tally *t, const struct custos_err *why, struct custos_err *err)
{
	return why->rc == CUSTOS_OK || t->not_rolled_back ? custos_tally_verdict(t, err) : custos_err_set_hinted(err, why->rc, why->hint, "%s", why->msg);
}

static struct custos_json *outcome_fields(const struct custos_errand_host *h, uint64_t intent)
{
	struct custos_json *f = custos_json_object();
	custos_json_set_int(f, "intent", (int64_t)intent);
	custos_json_set_text(f, "target", h->plan.name);
	custos_json_set_text(f, "result", custos_outcome_name(h->outcome));
	custos_json_set_int(f, "exposure_ms", h->exposure_ms);
	custos_json_set_int(f, "login_signatures", h->login_signatures);
	if (h->serves)
		custos_json_set_hex(f, "served_leaf_sha256", h->served_leaf, sizeof h->served_leaf);
	if (h->has_previous)
		custos_json_set_hex(f, "previous_leaf_sha256", h->previous_leaf, sizeof h->previous_leaf);
	custos_json_set_text(f, "backup", h->backup != NULL && h->backup[0] != '\0' ? h->backup : NULL);
	/* why is custos's own wording; what a host said stays out of the log */
	if (h->outcome != CUSTOS_OUTCOME_DEPLOYED)
		custos_json_set_text(f, "category", custos_rc_name(category(h, true)));
	return f;
}

static const char *event_of(enum custos_outcome outcome, bool rollback)
{
	/* the copy was to be deployed; "rolled back" says that this failed and the host serves what it served before */
	if (rollback)
		return outcome == CUSTOS_OUTCOME_DEPLOYED ? "rollback.done" : "rollback.failed";
	switch (outcome) {
	case CUSTOS_OUTCOME_DEPLOYED:
		return "release.done";
	case CUSTOS_OUTCOME_ROLLED_BACK:
		return "release.rolled_back";
	case CUSTOS_OUTCOME_NOT_ROLLED_BACK:
		return "release.not_rolled_back";
	case CUSTOS_OUTCOME_UNCHANGED:
	case CUSTOS_OUTCOME_UNTOUCHED:
		return "release.untouched";
	default:
		return "release.unknown";
	}
}

custos_rc custos_record_outcomes(struct custos_custody *c, const struct custos_errand *e, uint64_t intent, const char *prefix,
                                 struct custos_tally *tally, struct custos_err *err)
{
	bool rollback = strcmp(prefix, "rollback") == 0;
	custos_rc rc = CUSTOS_OK;
	for (size_t i = 0; i < e->count; i++) {
		const struct custos_errand_host *h = &e->hosts[i];
		/* the intent names the hosts that were ready; of the others there is nothing to record */
		if (h->prepared != CUSTOS_PREPARED_READY) {
			custos_tally_host(tally, h, -1);
			continue;
		}
		uint64_t index = 0;
		CUSTOS_AUTO(custos_json) *fields = outcome_fields(h, intent);
		custos_rc written = custos_vault_record_outcome(c, event_of(h->outcome, rollback), fields, &index, err);
		/* an outcome that could not be written is told all the same, and does not hide those of the others */
		custos_tally_host(tally, h, written == CUSTOS_OK ? (int64_t)index : -1);
		rc = rc != CUSTOS_OK ? rc : written;
	}
	return rc;
}
