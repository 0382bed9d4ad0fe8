/* The way of one host: transitions. The diagram and the promises are in machine.h; the verification of what is served is in
 * machine_verify.c. No I/O, no clock of its own, no secrets: the key is only known by its length. */
#include "target/machine_state.h"

#include "base/text.h"

#include <stdio.h>

/* A probe has no chain yet: one of two RSA-4096 certificates and more has this size. */
enum { COMMAND_TIMEOUT_MS = 30000, SLOW_COMMAND_TIMEOUT_MS = 120000, SAID_MAX = 200, CHAIN_ROOM = 8192 };

static const char *const state_names[CUSTOS_DEPLOY_STATES] = {
	[CUSTOS_DEPLOY_LOOK] = "look", [CUSTOS_DEPLOY_LOCK] = "lock", [CUSTOS_DEPLOY_PROBE] = "probe", [CUSTOS_DEPLOY_BEFORE] = "what is served before",
	[CUSTOS_DEPLOY_BACKUP] = "backup", [CUSTOS_DEPLOY_ARM] = "arm", [CUSTOS_DEPLOY_STAGE_CHAIN] = "stage chain", [CUSTOS_DEPLOY_READY] = "ready",
	[CUSTOS_DEPLOY_STAGE_KEY] = "stage key", [CUSTOS_DEPLOY_SWITCH] = "switch", [CUSTOS_DEPLOY_RELOAD] = "reload", [CUSTOS_DEPLOY_VERIFY] = "verify",
	[CUSTOS_DEPLOY_PERSIST] = "persist", [CUSTOS_DEPLOY_DISARM] = "disarm", [CUSTOS_DEPLOY_ROLLBACK] = "roll back",
	[CUSTOS_DEPLOY_ROLLBACK_RELOAD] = "roll back: reload", [CUSTOS_DEPLOY_ROLLBACK_VERIFY] = "roll back: verify",
	[CUSTOS_DEPLOY_ROLLBACK_PERSIST] = "roll back: persist", [CUSTOS_DEPLOY_CLEAN] = "clean", [CUSTOS_DEPLOY_RECONNECT] = "reconnect",
	[CUSTOS_DEPLOY_ENDED] = "ended",
};

const char *custos_deploy_state_name(enum custos_deploy_state state)
{
	return state < CUSTOS_DEPLOY_STATES && state_names[state] != NULL ? state_names[state] : "unknown";
}

void custos_deploy_action_done(struct custos_deploy_action *action)
{
	custos_buf_done(&action->script);
	*action = (struct custos_deploy_action){ 0 };
}

/* Jobs that change nothing: whatever the keeper says, they never get past READY. */
static bool only_looks(const struct custos_machine *m)
{
	return m->job == CUSTOS_DEPLOY_JOB_DRY_RUN || m->job == CUSTOS_DEPLOY_JOB_PROBE;
}

void custos_machine_init(struct custos_machine *m, const struct custos_plan *plan, enum custos_deploy_job job, const char *chain_sha256, size_t chain_length)
{
	*m = (struct custos_machine){ .plan = plan, .job = job, .chain_length = job == CUSTOS_DEPLOY_JOB_PROBE ? CHAIN_ROOM : chain_length };
	snprintf(m->chain_sha256, sizeof m->chain_sha256, "%s", chain_sha256);
	m->state = only_looks(m) ? CUSTOS_DEPLOY_LOOK : CUSTOS_DEPLOY_LOCK;
	m->report.prepared = CUSTOS_DEPLOY_PREPARED_FAILED;
	m->report.result = CUSTOS_DEPLOY_UNTOUCHED;
}

/* The first failure is the one that is told. */
void custos_machine_blame(struct custos_machine *m, custos_rc category, const char *why, const char *hint)
{
	if (m->report.category != CUSTOS_OK)
		return;
	m->report.category = category;
	snprintf(m->report.why, sizeof m->report.why, "%s", why);
	snprintf(m->report.hint, sizeof m->report.hint, "%s", hint == NULL ? "" : hint);
}

/* The pair of before is removed with its copy only when it is the one in custody: what the host served says so. */
static bool copy_stays(const struct custos_machine *m)
{
	char served[65];
	custos_text_hex(m->report.leaf_sha256, sizeof m->report.leaf_sha256, served);
	return m->plan->keep_backup || (m->plan->custody_leaf[0] != '\0' && strcmp(served, m->plan->custody_leaf) != 0);
}

static void end(struct custos_machine *m, enum custos_deploy_result result)
{
	m->state = CUSTOS_DEPLOY_ENDED;
	m->report.result = result;
	bool stays = result == CUSTOS_DEPLOY_NOT_ROLLED_BACK || (result == CUSTOS_DEPLOY_DEPLOYED && copy_stays(m));
	if (!stays)
		m->report.backup[0] = '\0';
	if (result == CUSTOS_DEPLOY_DEPLOYED || result == CUSTOS_DEPLOY_UNCHANGED)
		m->report.category = CUSTOS_OK;
	if (result == CUSTOS_DEPLOY_ROLLED_BACK)
		m->report.category = CUSTOS_E_ROLLED_BACK;
}

void custos_machine_give_up(struct custos_machine *m, const char *because)
{
	char why[sizeof m->report.why];
	snprintf(why, sizeof why, "%.240s%s%.240s", m->report.why, m->report.why[0] != '\0' ? "; going back failed: " : "", because);
	memcpy(m->report.why, why, sizeof why);
	CUSTOS_AUTO_BUF way = { .max = sizeof m->report.hint - 1 };
	if (custos_script_manual_way_back(m->plan, m->backup, &way, NULL) != CUSTOS_OK) /* too long: the part that matters comes first */
		snprintf(m->report.hint, sizeof m->report.hint, "on the host put back the files in %s, restart the service; %s/modes lists modes and owners", m->backup, m->backup);
	else
		snprintf(m->report.hint, sizeof m->report.hint, "%s", (char *)way.ptr);
	m->report.category = CUSTOS_E_NOT_ROLLED_BACK;
	end(m, CUSTOS_DEPLOY_NOT_ROLLED_BACK);
}

/* Nothing was switched: remove what was put there, then report (before READY) or end. */
static void clean_up(struct custos_machine *m)
{
	m->report.prepared = m->report.category == CUSTOS_OK ? m->report.prepared : CUSTOS_DEPLOY_PREPARED_FAILED;
	if (m->touched)
		m->state = CUSTOS_DEPLOY_CLEAN;
	else if (m->reported)
		end(m, CUSTOS_DEPLOY_UNTOUCHED);
	else
		m->state = CUSTOS_DEPLOY_READY;
}

void custos_machine_roll_back(struct custos_machine *m)
{
	m->state = CUSTOS_DEPLOY_ROLLBACK;
	m->step = 0;
	m->step_ran = false;
}

/* ---- what a command said ---- */

static void told(char *out, size_t size, struct custos_bytes said)
{
	while (said.len > 0 && (said.ptr[said.len - 1] == '\n' || said.ptr[said.len - 1] == '\r'))
		said.len--;
	if (said.len > SAID_MAX) { /* the end tells more than the beginning */
		said.ptr += said.len - SAID_MAX;
		said.len = SAID_MAX;
	}
	CUSTOS_AUTO_STR *safe = custos_text_safe(said, SAID_MAX);
	snprintf(out, size, "%s", safe == NULL ? "" : safe);
}

/* Blames a command that failed: our own words first, then what the host said. */
static void blame_command(struct custos_machine *m, const struct custos_deploy_event *event, const struct custos_reply *reply)
{
	const char *why = custos_reply_get(reply, "why"), *said = custos_reply_get(reply, "said"), *hint = custos_reply_get(reply, "hint");
	char text[sizeof m->report.why], complaints[256];
	told(complaints, sizeof complaints, event->complaints);
	if (said[0] == '\0')
		said = complaints;
	if (event->timed_out)
		snprintf(text, sizeof text, "%s: the command did not end in time", custos_deploy_state_name(m->state));
	else if (!reply->complete)
		snprintf(text, sizeof text, "%s: the command was cut off%s%.200s", custos_deploy_state_name(m->state), said[0] != '\0' ? ": " : "", said);
	else
		snprintf(text, sizeof text, "%.240s%s%.200s%s", why[0] != '\0' ? why : "a command failed on the host", said[0] != '\0' ? " (the host says: " : "", said,
		         said[0] != '\0' ? ")" : "");
	bool policy = strcmp(custos_reply_get(reply, "refused"), "yes") == 0 || strcmp(custos_reply_get(reply, "locked"), "yes") == 0;
	custos_machine_blame(m, policy ? CUSTOS_E_POLICY : CUSTOS_E_SYSTEM, text, hint);
}

/* ---- one function per state, for the end of its command ---- */

static void after_probe(struct custos_machine *m, const struct custos_reply *reply)
{
	snprintf(m->report.version, sizeof m->report.version, "%s", custos_reply_get(reply, "version"));
	m->stored_is_new = m->chain_sha256[0] != '\0' && strcmp(custos_reply_get(reply, "certificate.sha256"), m->chain_sha256) == 0;
	m->state = CUSTOS_DEPLOY_BEFORE;
	m->endpoint = 0;
}

static void after_backup(struct custos_machine *m, const struct custos_reply *reply)
{
	const char *backup = custos_reply_get(reply, "backup");
	char tail[128];
	int tail_len = snprintf(tail, sizeof tail, "/.custos-%s-%s", m->plan->name, m->plan->nonce);
	size_t len = strlen(backup);
	if (!custos_recipe_is_path(backup) || len >= sizeof m->backup || len <= (size_t)tail_len || strcmp(backup + len - (size_t)tail_len, tail) != 0) {
		custos_machine_blame(m, CUSTOS_E_SYSTEM, "the host named a backup directory that was not asked for", NULL);
		clean_up(m);
		return;
	}
	snprintf(m->backup, sizeof m->backup, "%s", backup);
	snprintf(m->report.backup, sizeof m->report.backup, "%s", backup);
	m->state = CUSTOS_DEPLOY_ARM;
}

static void become_ready(struct custos_machine *m)
{
	m->report.prepared = CUSTOS_DEPLOY_PREPARED_READY;
	m->state = CUSTOS_DEPLOY_READY;
}

/* RELOAD and ROLLBACK_RELOAD. The command's exit status is not believed, for good or bad: only what is served tells. */
static void after_reload(struct custos_machine *m, const struct custos_deploy_event *event, const struct custos_reply *reply)
{
	bool skipped = strcmp(custos_reply_get(reply, "skipped"), "yes") == 0;
	m->step_ran = m->step_ran || !skipped;
	if (m->keeper_gone)
		custos_machine_next_step(m);
	else if (skipped && (m->step + 1 < m->plan->recipe.step_count || m->step_ran))
		custos_machine_next_step(m);
	else
		custos_machine_begin_verify(m, event->now_ms);
}

static void after_clean(struct custos_machine *m, bool ok)
{
	if (!ok && m->report.hint[0] == '\0')
		snprintf(m->report.hint, sizeof m->report.hint, "look for %s/.custos-%s on the host and remove it", m->plan->recipe.staging, m->plan->nonce);
	m->touched = false;
	if (m->switched)
		end(m, CUSTOS_DEPLOY_ROLLED_BACK);
	else if (m->reported || m->keeper_gone)
		end(m, CUSTOS_DEPLOY_UNTOUCHED);
	else
		m->state = CUSTOS_DEPLOY_READY;
}

static void on_success(struct custos_machine *m, const struct custos_deploy_event *event, const struct custos_reply *reply)
{
	switch (m->state) {
	case CUSTOS_DEPLOY_LOCK: m->state = CUSTOS_DEPLOY_PROBE; break;
	case CUSTOS_DEPLOY_LOOK:
	case CUSTOS_DEPLOY_PROBE: after_probe(m, reply); break;
	case CUSTOS_DEPLOY_BACKUP: after_backup(m, reply); break;
	case CUSTOS_DEPLOY_ARM:
		if (m->job == CUSTOS_DEPLOY_JOB_ROLLBACK)
			become_ready(m);
		else
			m->state = CUSTOS_DEPLOY_STAGE_CHAIN;
		break;
	case CUSTOS_DEPLOY_STAGE_CHAIN: become_ready(m); break;
	case CUSTOS_DEPLOY_STAGE_KEY: m->state = CUSTOS_DEPLOY_SWITCH; break;
	case CUSTOS_DEPLOY_SWITCH:
		m->state = CUSTOS_DEPLOY_RELOAD;
		m->step = 0;
		m->step_ran = false;
		break;
	case CUSTOS_DEPLOY_PERSIST: m->state = CUSTOS_DEPLOY_DISARM; break;
	case CUSTOS_DEPLOY_DISARM: end(m, CUSTOS_DEPLOY_DEPLOYED); break;
	case CUSTOS_DEPLOY_ROLLBACK:
		m->state = CUSTOS_DEPLOY_ROLLBACK_RELOAD;
		m->step = 0;
		m->step_ran = false;
		break;
	case CUSTOS_DEPLOY_ROLLBACK_PERSIST: m->state = CUSTOS_DEPLOY_CLEAN; break;
	case CUSTOS_DEPLOY_CLEAN: after_clean(m, true); break;
	default: custos_machine_after_alive(m, event, custos_reply_get(reply, "alive")); break; /* VERIFY, ROLLBACK_VERIFY */
	}
}

static void on_failure(struct custos_machine *m, const struct custos_deploy_event *event, const struct custos_reply *reply)
{
	if (m->state == CUSTOS_DEPLOY_VERIFY || m->state == CUSTOS_DEPLOY_ROLLBACK_VERIFY) {
		custos_machine_after_alive(m, event, "");
		return;
	}
	if (m->state == CUSTOS_DEPLOY_CLEAN) {
		after_clean(m, false);
		return;
	}
	/* When the host's state was not saved during this deployment, what it will start with next time is the old pair anyway. */
	if (m->state == CUSTOS_DEPLOY_ROLLBACK_PERSIST && !m->persisted) {
		m->state = CUSTOS_DEPLOY_CLEAN;
		return;
	}
	if (m->state == CUSTOS_DEPLOY_ROLLBACK || m->state == CUSTOS_DEPLOY_ROLLBACK_PERSIST) {
		const char *why = custos_reply_get(reply, "why");
		custos_machine_give_up(m, why[0] != '\0' ? why : "the command did not come to its end");
		return;
	}
	blame_command(m, event, reply);
	if (m->state == CUSTOS_DEPLOY_LOOK && m->job == CUSTOS_DEPLOY_JOB_PROBE && reply->complete && !event->timed_out) {
		after_probe(m, reply); /* what stands in the way does not keep anybody from looking on */
		return;
	}
	if (m->state == CUSTOS_DEPLOY_LOCK)
		m->touched = !reply->complete; /* a lock that was refused is somebody else's */
	if (m->switched)
		custos_machine_roll_back(m);
	else
		clean_up(m);
}

static custos_rc on_command(struct custos_machine *m, const struct custos_deploy_event *event, struct custos_err *err)
{
	__attribute__((cleanup(custos_reply_done))) struct custos_reply reply = { 0 };
	CUSTOS_TRY(custos_reply_parse(event->out, m->plan->nonce, &reply, err));
	if (m->state == CUSTOS_DEPLOY_RELOAD || m->state == CUSTOS_DEPLOY_ROLLBACK_RELOAD)
		after_reload(m, event, &reply);
	else if (reply.complete && reply.rc == 0 && !event->timed_out)
		on_success(m, event, &reply);
	else
		on_failure(m, event, &reply);
	return CUSTOS_OK;
}

/* ---- the other events ---- */

static void reconnect_to(struct custos_machine *m, enum custos_deploy_state resume)
{
	m->resume = resume;
	m->state = CUSTOS_DEPLOY_RECONNECT;
}

static void without_reconnect(struct custos_machine *m, const char *why)
{
	if (m->resume == CUSTOS_DEPLOY_CLEAN) {
		snprintf(m->report.hint, sizeof m->report.hint, "staged files, among them the key, stay in %s/.custos-%s until the host removes them by itself %u s after the start",
		         m->plan->recipe.staging, m->plan->nonce, m->plan->confirm_within_s);
		end(m, CUSTOS_DEPLOY_UNTOUCHED);
		return;
	}
	char text[512];
	snprintf(text, sizeof text, "%.300s; unless it was disarmed, the dead man's switch puts the previous pair back within %u s", why, m->plan->confirm_within_s);
	custos_machine_give_up(m, text);
}

static void on_lost(struct custos_machine *m, const struct custos_deploy_event *event)
{
	char why[512];
	const char *said = event->why == NULL || event->why[0] == '\0' ? "the connection was lost" : event->why;
	if (m->state <= CUSTOS_DEPLOY_STAGE_CHAIN) { /* nothing secret is there, and the lock gives way by itself */
		custos_machine_blame(m, event->category == CUSTOS_OK ? CUSTOS_E_NETWORK : event->category, said, event->hint);
		m->touched = false;
		m->report.prepared = CUSTOS_DEPLOY_PREPARED_FAILED;
		m->state = CUSTOS_DEPLOY_READY;
		return;
	}
	snprintf(why, sizeof why, "%s: %.400s", custos_deploy_state_name(m->state), said);
	if (m->state == CUSTOS_DEPLOY_CLEAN) {
		after_clean(m, false);
		return;
	}
	custos_machine_blame(m, CUSTOS_E_NETWORK, why, event->hint);
	reconnect_to(m, m->state == CUSTOS_DEPLOY_DISARM ? CUSTOS_DEPLOY_DISARM : m->switched ? CUSTOS_DEPLOY_ROLLBACK : CUSTOS_DEPLOY_CLEAN);
	if (m->reconnected)
		without_reconnect(m, "the connection was lost again");
}

static void on_reconnected(struct custos_machine *m)
{
	m->reconnected = true;
	if (m->resume == CUSTOS_DEPLOY_ROLLBACK)
		custos_machine_roll_back(m);
	else
		m->state = m->resume;
	/* a lost connection that did no harm is not a failure */
	if (m->resume == CUSTOS_DEPLOY_DISARM)
		m->report.category = CUSTOS_OK, m->report.why[0] = '\0', m->report.hint[0] = '\0';
}

static void on_go(struct custos_machine *m, const struct custos_deploy_event *event)
{
	if (m->report.prepared != CUSTOS_DEPLOY_PREPARED_READY || only_looks(m)) {
		end(m, m->report.prepared == CUSTOS_DEPLOY_PREPARED_UNCHANGED ? CUSTOS_DEPLOY_UNCHANGED : CUSTOS_DEPLOY_UNTOUCHED);
		return;
	}
	m->key_length = event->key_length;
	m->state = m->job == CUSTOS_DEPLOY_JOB_ROLLBACK ? CUSTOS_DEPLOY_SWITCH : CUSTOS_DEPLOY_STAGE_KEY;
}

static void on_abort(struct custos_machine *m, const struct custos_deploy_event *event)
{
	if (event->why != NULL && m->report.prepared == CUSTOS_DEPLOY_PREPARED_READY)
		custos_machine_blame(m, event->category, event->why, event->hint);
	if (m->report.prepared == CUSTOS_DEPLOY_PREPARED_READY)
		clean_up(m);
	else
		end(m, m->report.prepared == CUSTOS_DEPLOY_PREPARED_UNCHANGED ? CUSTOS_DEPLOY_UNCHANGED : CUSTOS_DEPLOY_UNTOUCHED);
}

static void after_before(struct custos_machine *m)
{
	bool all_new = true;
	for (uint32_t i = 0; i < m->plan->verify_count; i++)
		all_new = all_new && m->before[i] == CUSTOS_SEEN_NEW;
	if (all_new && m->stored_is_new) {
		m->report.prepared = CUSTOS_DEPLOY_PREPARED_UNCHANGED;
		clean_up(m);
	} else if (m->report.category != CUSTOS_OK) {
		clean_up(m);
	} else if (only_looks(m)) {
		become_ready(m);
	} else {
		m->state = CUSTOS_DEPLOY_BACKUP;
	}
}

static void on_verdict(struct custos_machine *m, const struct custos_deploy_event *event)
{
	m->probe++;
	if (m->state != CUSTOS_DEPLOY_BEFORE) {
		custos_machine_after_probe(m, event);
		return;
	}
	m->before[m->endpoint] = event->seen;
	if (m->endpoint == 0 && event->leaf_sha256 != NULL)
		memcpy(m->report.leaf_sha256, event->leaf_sha256, sizeof m->report.leaf_sha256);
	if (++m->endpoint == m->plan->verify_count)
		after_before(m);
}

/* Without the keeper: no probes, no new sockets, nobody to report to. What was switched goes back. */
static void divert(struct custos_machine *m)
{
	switch (m->state) {
	case CUSTOS_DEPLOY_ENDED:
	case CUSTOS_DEPLOY_CLEAN:
	case CUSTOS_DEPLOY_ROLLBACK:
	case CUSTOS_DEPLOY_ROLLBACK_RELOAD:
	case CUSTOS_DEPLOY_ROLLBACK_PERSIST: return;
	case CUSTOS_DEPLOY_ROLLBACK_VERIFY: custos_machine_next_step(m); return;
	case CUSTOS_DEPLOY_RECONNECT: without_reconnect(m, "the keeper is gone"); return;
	default: break;
	}
	custos_machine_blame(m, CUSTOS_E_SYSTEM, "the keeper is gone", NULL);
	if (m->switched && m->state != CUSTOS_DEPLOY_SWITCH)
		custos_machine_roll_back(m);
	else if (m->touched)
		m->state = CUSTOS_DEPLOY_CLEAN;
	else
		end(m, CUSTOS_DEPLOY_UNTOUCHED);
}

/* ---- from a state to an action ---- */

static bool is_command_state(const struct custos_machine *m)
{
	switch (m->state) {
	case CUSTOS_DEPLOY_BEFORE:
	case CUSTOS_DEPLOY_READY:
	case CUSTOS_DEPLOY_RECONNECT:
	case CUSTOS_DEPLOY_ENDED: return false;
	case CUSTOS_DEPLOY_VERIFY:
	case CUSTOS_DEPLOY_ROLLBACK_VERIFY: return m->alive != CUSTOS_ALIVE_IDLE;
	default: return true;
	}
}

static bool expects(const struct custos_machine *m, enum custos_deploy_event_kind kind)
{
	bool verifying = m->state == CUSTOS_DEPLOY_VERIFY || m->state == CUSTOS_DEPLOY_ROLLBACK_VERIFY;
	switch (kind) {
	case CUSTOS_EVENT_START: return m->state == CUSTOS_DEPLOY_LOCK || m->state == CUSTOS_DEPLOY_LOOK;
	case CUSTOS_EVENT_COMMAND:
	case CUSTOS_EVENT_LOST: return is_command_state(m);
	case CUSTOS_EVENT_VERDICT: return m->state == CUSTOS_DEPLOY_BEFORE || (verifying && !m->waiting && m->alive == CUSTOS_ALIVE_IDLE);
	case CUSTOS_EVENT_TICK: return verifying && m->waiting;
	case CUSTOS_EVENT_GO:
	case CUSTOS_EVENT_ABORT: return m->state == CUSTOS_DEPLOY_READY;
	case CUSTOS_EVENT_RECONNECTED:
	case CUSTOS_EVENT_RECONNECT_FAILED: return m->state == CUSTOS_DEPLOY_RECONNECT;
	case CUSTOS_EVENT_KEEPER_GONE: return m->state != CUSTOS_DEPLOY_ENDED;
	}
	return false;
}

static enum custos_script script_of(const struct custos_machine *m)
{
	switch (m->state) {
	case CUSTOS_DEPLOY_LOOK: return m->job == CUSTOS_DEPLOY_JOB_PROBE ? CUSTOS_SCRIPT_INSPECT : CUSTOS_SCRIPT_LOOK;
	case CUSTOS_DEPLOY_LOCK: return CUSTOS_SCRIPT_LOCK;
	case CUSTOS_DEPLOY_PROBE: return CUSTOS_SCRIPT_PROBE;
	case CUSTOS_DEPLOY_BACKUP: return CUSTOS_SCRIPT_BACKUP;
	case CUSTOS_DEPLOY_ARM: return CUSTOS_SCRIPT_ARM;
	case CUSTOS_DEPLOY_STAGE_CHAIN: return CUSTOS_SCRIPT_STAGE_CHAIN;
	case CUSTOS_DEPLOY_STAGE_KEY: return CUSTOS_SCRIPT_STAGE_KEY;
	case CUSTOS_DEPLOY_SWITCH: return m->job == CUSTOS_DEPLOY_JOB_ROLLBACK ? CUSTOS_SCRIPT_SWITCH_BACK : CUSTOS_SCRIPT_SWITCH;
	case CUSTOS_DEPLOY_RELOAD:
	case CUSTOS_DEPLOY_ROLLBACK_RELOAD: return CUSTOS_SCRIPT_RELOAD;
	case CUSTOS_DEPLOY_PERSIST: return CUSTOS_SCRIPT_PERSIST;
	case CUSTOS_DEPLOY_DISARM: return CUSTOS_SCRIPT_DISARM;
	case CUSTOS_DEPLOY_ROLLBACK: return CUSTOS_SCRIPT_RESTORE;
	case CUSTOS_DEPLOY_ROLLBACK_PERSIST: return CUSTOS_SCRIPT_PERSIST_AGAIN;
	case CUSTOS_DEPLOY_CLEAN: return CUSTOS_SCRIPT_CLEAN;
	default: return CUSTOS_SCRIPT_ALIVE;
	}
}

static int timeout_of(const struct custos_machine *m)
{
	int budget = m->step < m->plan->recipe.step_count ? (int)m->plan->recipe.steps[m->step].budget_ms : 0;
	switch (m->state) {
	case CUSTOS_DEPLOY_RELOAD:
	case CUSTOS_DEPLOY_ROLLBACK_RELOAD: return budget > COMMAND_TIMEOUT_MS ? budget : COMMAND_TIMEOUT_MS;
	case CUSTOS_DEPLOY_PERSIST:
	case CUSTOS_DEPLOY_ROLLBACK_PERSIST: return SLOW_COMMAND_TIMEOUT_MS;
	default: return COMMAND_TIMEOUT_MS;
	}
}

static custos_rc run_action(struct custos_machine *m, struct custos_deploy_action *action, struct custos_err *err)
{
	struct custos_script_values values = { .backup = m->backup, .chain_sha256 = m->chain_sha256, .chain_length = m->chain_length, .key_length = m->key_length, .step = m->step,
	                                       .keep_copy = copy_stays(m), .from_backup = m->job == CUSTOS_DEPLOY_JOB_ROLLBACK };
	action->what = CUSTOS_DO_RUN;
	action->input = m->state == CUSTOS_DEPLOY_STAGE_CHAIN ? CUSTOS_INPUT_CHAIN : m->state == CUSTOS_DEPLOY_STAGE_KEY ? CUSTOS_INPUT_KEY : CUSTOS_INPUT_NOTHING;
	action->timeout_ms = timeout_of(m);
	/* from here on, whatever happens, these may be true */
	m->touched = m->touched || m->state != CUSTOS_DEPLOY_LOOK;
	m->switched = m->switched || m->state == CUSTOS_DEPLOY_SWITCH;
	m->persisted = m->persisted || m->state == CUSTOS_DEPLOY_PERSIST;
	return custos_script_compose(script_of(m), m->plan, &values, &action->script, err);
}

static void next_action(struct custos_machine *m, struct custos_deploy_action *action)
{
	*action = (struct custos_deploy_action){ .script = { .max = CUSTOS_SCRIPT_MAX } };
	struct custos_err err = { 0 };
	if (is_command_state(m) && run_action(m, action, &err) != CUSTOS_OK) {
		/* out of memory, or a plan that could never have been built */
		custos_machine_blame(m, err.rc, err.msg, err.hint);
		if (m->switched)
			custos_machine_give_up(m, err.msg);
		else
			end(m, CUSTOS_DEPLOY_UNTOUCHED);
	}
	if (m->state == CUSTOS_DEPLOY_READY) {
		action->what = CUSTOS_DO_REPORT;
		m->reported = true;
	} else if (m->state == CUSTOS_DEPLOY_RECONNECT) {
		action->what = CUSTOS_DO_RECONNECT;
	} else if (m->state == CUSTOS_DEPLOY_ENDED) {
		action->what = CUSTOS_DO_FINISH;
	} else if (!is_command_state(m) && m->waiting) {
		action->what = CUSTOS_DO_WAIT;
		action->until_ms = m->until_ms;
	} else if (!is_command_state(m)) {
		action->what = CUSTOS_DO_PROBE;
		action->probe = m->probe;
		action->when = m->state == CUSTOS_DEPLOY_BEFORE ? CUSTOS_WHEN_BEFORE : m->state == CUSTOS_DEPLOY_VERIFY ? CUSTOS_WHEN_AFTER : CUSTOS_WHEN_ROLLED_BACK;
	}
}

custos_rc custos_machine_step(struct custos_machine *m, const struct custos_deploy_event *event, struct custos_deploy_action *ret_action, struct custos_err *err)
{
	CUSTOS_REQUIRE(expects(m, event->kind), err, CUSTOS_E_INTERNAL, "event %d does not belong to state \"%s\"", (int)event->kind, custos_deploy_state_name(m->state));
	m->keeper_gone = m->keeper_gone || event->keeper_gone || event->kind == CUSTOS_EVENT_KEEPER_GONE;
	switch (event->kind) {
	case CUSTOS_EVENT_COMMAND: CUSTOS_TRY(on_command(m, event, err)); break;
	case CUSTOS_EVENT_LOST: on_lost(m, event); break;
	case CUSTOS_EVENT_VERDICT: on_verdict(m, event); break;
	case CUSTOS_EVENT_TICK: m->waiting = false; break;
	case CUSTOS_EVENT_GO: on_go(m, event); break;
	case CUSTOS_EVENT_ABORT: on_abort(m, event); break;
	case CUSTOS_EVENT_RECONNECTED: on_reconnected(m); break;
	case CUSTOS_EVENT_RECONNECT_FAILED: without_reconnect(m, event->why == NULL ? "the host could not be reached again" : event->why); break;
	case CUSTOS_EVENT_START:
	case CUSTOS_EVENT_KEEPER_GONE: break;
	}
	if (m->keeper_gone)
		divert(m);
	next_action(m, ret_action);
	return CUSTOS_OK;
}
