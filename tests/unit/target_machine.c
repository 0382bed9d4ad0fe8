/* The state machine against every world with up to two things going wrong (and three in a sample): at each question the world answers as it
 * should, or in every other way there is. Whatever happens, the promises of machine.h must hold, judged from the trace alone. */
#include "target_fixture.h"

#include "target/machine.h"

static const char profile[] =
	"name: web\n"
	"files:\n"
	"  certificate: {path: /etc/web/crt, mode: \"0644\"}\n"
	"  key: {path: /etc/web/key, mode: \"0600\"}\n"
	"backup: [/var/backups]\n"
	"reload:\n"
	"  - {name: hup, run: one, budget_ms: 300}\n"
	"  - {name: restart, only_if: cond, run: two, budget_ms: 300, settle_ms: 250}\n"
	"verify: {probes: 2, interval_ms: 100, alive: who, alive_ms: 150}\n"
	"persist: {run: save}\n";

static const char backup_path[] = "/var/backups/.custos-esx1-" FIXTURE_NONCE;
static const char sum[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

enum { MAX_DEVIATIONS = 3, MAX_STEPS = 400 };
struct deviation {
	unsigned at, choice;
};

struct world {
	enum custos_deploy_job job;
	const struct deviation *deviations;
	size_t deviation_count;
	bool stored_is_new;
	/* filled while it runs */
	unsigned decisions;
	uint8_t alternatives[MAX_STEPS];
	/* the trace */
	bool went, switched, restored_ok, restore_tried, persisted_ok, disarmed_ok, keeper_gone, forged_backup;
	unsigned reconnects, good_after, good_back;   /* consecutive right verdicts */
	enum custos_deploy_seen before[8];
	unsigned before_count;
	uint32_t endpoints;
	uint64_t states_seen;
};

static const struct custos_plan *the_plan;

static unsigned choose(struct world *w, unsigned alternatives)
{
	unsigned at = w->decisions++, choice = 0;
	assert_true(at < MAX_STEPS);
	w->alternatives[at] = (uint8_t)alternatives;
	for (size_t i = 0; i < w->deviation_count; i++)
		if (w->deviations[i].at == at)
			choice = w->deviations[i].choice;
	return choice < alternatives ? choice : 0;
}

static void good_reply(const struct custos_machine *m, const struct world *w, char *out, size_t size)
{
	const char *facts = "";
	char text[400] = "";
	if (m->state == CUSTOS_DEPLOY_PROBE || m->state == CUSTOS_DEPLOY_LOOK)
		snprintf(text, sizeof text, "@@" FIXTURE_NONCE " version=Web 1.0\n@@" FIXTURE_NONCE " certificate.sha256=%s\n", w->stored_is_new ? sum : "bbbb");
	if (m->state == CUSTOS_DEPLOY_BACKUP)
		snprintf(text, sizeof text, "@@" FIXTURE_NONCE " backup=%s\n", backup_path);
	if (m->state == CUSTOS_DEPLOY_VERIFY || m->state == CUSTOS_DEPLOY_ROLLBACK_VERIFY)
		facts = "@@" FIXTURE_NONCE " alive=4711\n";
	snprintf(out, size, "hello\n%s%s@@" FIXTURE_NONCE " rc=0\n", text, facts);
}

enum { ALT_GOOD, ALT_FAILED, ALT_CUT, ALT_LOST, ALT_TIMED_OUT, ALT_GONE, ALT_ODD, RUN_ALTERNATIVES };

static void answer_run(struct world *w, const struct custos_machine *m, struct custos_deploy_event *event, char *out, size_t size)
{
	unsigned choice = choose(w, RUN_ALTERNATIVES);
	enum custos_deploy_state s = m->state;
	event->kind = choice == ALT_LOST ? CUSTOS_EVENT_LOST : CUSTOS_EVENT_COMMAND;
	event->why = choice == ALT_LOST ? "cut" : NULL;
	good_reply(m, w, out, size);
	switch (choice) {
	case ALT_FAILED: snprintf(out, size, "@@" FIXTURE_NONCE " why=broken\n@@" FIXTURE_NONCE " rc=1\n"); break;
	case ALT_CUT: snprintf(out, size, "@@" FIXTURE_NONCE " alive=4711\n@@" FIXTURE_NONCE " rc=0"); break; /* no newline: cut off */
	case ALT_TIMED_OUT: event->timed_out = true; out[0] = '\0'; break;
	case ALT_GONE: event->keeper_gone = w->keeper_gone = true; break;
	case ALT_ODD: /* skipped steps, another process alive, a backup elsewhere, a trailer that is not the last line */
		if (s == CUSTOS_DEPLOY_RELOAD || s == CUSTOS_DEPLOY_ROLLBACK_RELOAD)
			snprintf(out, size, "@@" FIXTURE_NONCE " skipped=yes\n@@" FIXTURE_NONCE " rc=0\n");
		else if (s == CUSTOS_DEPLOY_VERIFY || s == CUSTOS_DEPLOY_ROLLBACK_VERIFY)
			snprintf(out, size, "@@" FIXTURE_NONCE " alive=9999\n@@" FIXTURE_NONCE " rc=0\n");
		else if (s == CUSTOS_DEPLOY_BACKUP)
			snprintf(out, size, "@@" FIXTURE_NONCE " backup=%s\n@@" FIXTURE_NONCE " rc=0\n", w->deviation_count == 1 ? "/etc" : "/a$(id)/.custos-esx1-" FIXTURE_NONCE);
		else
			snprintf(out, size, "@@" FIXTURE_NONCE " rc=0\nmore\n");
		break;
	default: break;
	}
	bool ok = choice == ALT_GOOD || choice == ALT_GONE;
	w->forged_backup = w->forged_backup || (choice == ALT_ODD && s == CUSTOS_DEPLOY_BACKUP);
	if (s == CUSTOS_DEPLOY_SWITCH)
		w->switched = true;
	if (s == CUSTOS_DEPLOY_ROLLBACK) {
		w->restore_tried = true;
		w->restored_ok = ok;
	}
	if (s == CUSTOS_DEPLOY_PERSIST)
		w->persisted_ok = ok;
	if (s == CUSTOS_DEPLOY_DISARM)
		w->disarmed_ok = ok;
	if (s == CUSTOS_DEPLOY_RELOAD || s == CUSTOS_DEPLOY_ROLLBACK_RELOAD)
		w->good_after = w->good_back = 0;
	event->out = CUSTOS_BYTES_STR(out);
}

static void answer_probe(struct world *w, const struct custos_machine *m, const struct custos_deploy_action *action, struct custos_deploy_event *event)
{
	static const uint8_t leaf[32] = { 7 };
	static const enum custos_deploy_seen all[3][6] = {
		{ CUSTOS_SEEN_OTHER, CUSTOS_SEEN_NONE, CUSTOS_SEEN_NEW, CUSTOS_SEEN_OLD, CUSTOS_SEEN_UNACCEPTABLE },
		{ CUSTOS_SEEN_NEW, CUSTOS_SEEN_OLD, CUSTOS_SEEN_OTHER, CUSTOS_SEEN_UNACCEPTABLE, CUSTOS_SEEN_NONE },
		{ CUSTOS_SEEN_OLD, CUSTOS_SEEN_NEW, CUSTOS_SEEN_OTHER, CUSTOS_SEEN_UNACCEPTABLE, CUSTOS_SEEN_NONE },
	};
	unsigned choice = choose(w, 6);
	if (choice == 5) {
		event->kind = CUSTOS_EVENT_KEEPER_GONE;
		w->keeper_gone = true;
		return;
	}
	event->kind = CUSTOS_EVENT_VERDICT;
	event->seen = all[action->when][choice];
	if (w->stored_is_new && action->when == CUSTOS_WHEN_BEFORE && choice == 0)
		event->seen = CUSTOS_SEEN_NEW;
	event->leaf_sha256 = event->seen == CUSTOS_SEEN_NONE ? NULL : leaf;
	if (action->when == CUSTOS_WHEN_BEFORE)
		w->before[w->before_count++] = event->seen;
	if (action->when == CUSTOS_WHEN_AFTER)
		w->good_after = event->seen == CUSTOS_SEEN_NEW ? w->good_after + 1 : 0;
	if (action->when == CUSTOS_WHEN_ROLLED_BACK) {
		enum custos_deploy_seen b = w->before[m->endpoint];
		bool right = b == CUSTOS_SEEN_NONE || event->seen == CUSTOS_SEEN_OLD || (b == CUSTOS_SEEN_NEW && event->seen == CUSTOS_SEEN_NEW);
		w->good_back = right ? w->good_back + 1 : 0;
	}
}

/* A world goes on answering wrongly at one place for ever when the verdict there never changes: a broken host. */
static void check_action(const struct world *w, const struct custos_machine *m, const struct custos_deploy_action *action)
{
	if (w->keeper_gone && action->what != CUSTOS_DO_RUN && action->what != CUSTOS_DO_FINISH)
		fail_msg("action %d in %s without a keeper", (int)action->what, custos_deploy_state_name(m->state));
	if (action->what != CUSTOS_DO_RUN)
		return;
	assert_true(action->script.len > 0 && action->script.len <= CUSTOS_SCRIPT_MAX);
	assert_true(action->timeout_ms > 0);
	assert_int_equal(action->input == CUSTOS_INPUT_KEY, m->state == CUSTOS_DEPLOY_STAGE_KEY);
	bool after_go = m->state == CUSTOS_DEPLOY_STAGE_KEY || m->state == CUSTOS_DEPLOY_SWITCH;
	if (after_go && !w->went)
		fail_msg("%s without the keeper's word", custos_deploy_state_name(m->state));
	if (after_go && w->forged_backup)
		fail_msg("went on with a backup directory that was not asked for");
	if (m->state == CUSTOS_DEPLOY_SWITCH && w->keeper_gone)
		fail_msg("switched without a keeper");
	if (w->job != CUSTOS_DEPLOY_JOB_DEPLOY && w->job != CUSTOS_DEPLOY_JOB_ROLLBACK && m->state != CUSTOS_DEPLOY_LOOK)
		fail_msg("what only looks did %s", custos_deploy_state_name(m->state));
}

static void check_end(const struct world *w, const struct custos_machine *m)
{
	const struct custos_deploy_report *r = &m->report;
	unsigned needed = the_plan->recipe.probes * the_plan->verify_count;
	switch (r->result) {
	case CUSTOS_DEPLOY_DEPLOYED:
		if (!w->switched || w->restore_tried || !w->persisted_ok || !w->disarmed_ok || w->good_after < needed || r->category != CUSTOS_OK)
			fail_msg("deployed, but: switched %d restore %d persisted %d disarmed %d good %u", w->switched, w->restore_tried, w->persisted_ok, w->disarmed_ok, w->good_after);
		break;
	case CUSTOS_DEPLOY_UNCHANGED:
	case CUSTOS_DEPLOY_UNTOUCHED:
		assert_false(w->switched);
		assert_int_equal(r->backup[0], '\0');
		break;
	case CUSTOS_DEPLOY_ROLLED_BACK:
		if (!w->switched || !w->restored_ok || w->good_back < needed || r->category != CUSTOS_E_ROLLED_BACK || r->why[0] == '\0')
			fail_msg("rolled back, but: restored %d good %u category %d why \"%s\"", w->restored_ok, w->good_back, (int)r->category, r->why);
		break;
	case CUSTOS_DEPLOY_NOT_ROLLED_BACK:
		assert_true(w->switched);
		assert_int_equal(r->category, CUSTOS_E_NOT_ROLLED_BACK);
		assert_non_null(strstr(r->hint, backup_path));
		assert_non_null(strstr(r->hint, "/etc/web/key"));
		assert_string_equal(r->backup, backup_path);
		assert_true(w->restore_tried || w->reconnects > 0 || w->keeper_gone);
		break;
	}
	/* no failure without a reason */
	if (r->prepared == CUSTOS_DEPLOY_PREPARED_FAILED && !(r->category != CUSTOS_OK && r->why[0] != '\0'))
		fail_msg("not prepared, and no reason");
	if (w->job == CUSTOS_DEPLOY_JOB_DRY_RUN || w->job == CUSTOS_DEPLOY_JOB_PROBE)
		assert_false(w->switched);
}

static enum custos_deploy_result run_world(struct world *w)
{
	struct custos_machine m;
	struct custos_deploy_action action = { 0 };
	struct custos_deploy_event event = { .kind = CUSTOS_EVENT_START };
	struct custos_err err = { 0 };
	char out[1024];
	int64_t now = 1000;
	custos_machine_init(&m, the_plan, w->job, w->job == CUSTOS_DEPLOY_JOB_ROLLBACK ? "" : sum, w->job == CUSTOS_DEPLOY_JOB_ROLLBACK ? 0 : 3000);
	for (int steps = 0;; steps++) {
		if (steps > MAX_STEPS)
			fail_msg("no end in sight in state %s", custos_deploy_state_name(m.state));
		event.now_ms = now += 5;
		custos_deploy_action_done(&action);
		if (custos_machine_step(&m, &event, &action, &err) != CUSTOS_OK)
			fail_msg("%s", err.msg);
		w->states_seen |= UINT64_C(1) << m.state;
		check_action(w, &m, &action);
		event = (struct custos_deploy_event){ 0 };
		switch (action.what) {
		case CUSTOS_DO_RUN: answer_run(w, &m, &event, out, sizeof out); break;
		case CUSTOS_DO_PROBE: answer_probe(w, &m, &action, &event); break;
		case CUSTOS_DO_WAIT:
			assert_true(action.until_ms > now);
			now = action.until_ms;
			event.kind = choose(w, 2) == 0 ? CUSTOS_EVENT_TICK : CUSTOS_EVENT_KEEPER_GONE;
			w->keeper_gone = w->keeper_gone || event.kind == CUSTOS_EVENT_KEEPER_GONE;
			break;
		case CUSTOS_DO_REPORT: {
			static const enum custos_deploy_event_kind kinds[] = { CUSTOS_EVENT_GO, CUSTOS_EVENT_ABORT, CUSTOS_EVENT_KEEPER_GONE };
			event.kind = kinds[choose(w, 3)];
			event.key_length = 1704;
			w->went = w->went || event.kind == CUSTOS_EVENT_GO;
			w->keeper_gone = w->keeper_gone || event.kind == CUSTOS_EVENT_KEEPER_GONE;
			break;
		}
		case CUSTOS_DO_RECONNECT:
			w->reconnects++;
			assert_true(w->reconnects <= 1);
			event.kind = choose(w, 2) == 0 ? CUSTOS_EVENT_RECONNECTED : CUSTOS_EVENT_RECONNECT_FAILED;
			break;
		case CUSTOS_DO_FINISH:
			check_end(w, &m);
			custos_deploy_action_done(&action);
			return m.report.result;
		}
	}
}

struct tally {
	unsigned long runs, results[8];
	uint64_t states_seen;
};

static void explore(const struct world *seed, struct deviation *deviations, size_t depth, size_t limit, unsigned every, struct tally *tally)
{
	struct world w = *seed;
	w.deviations = deviations;
	w.deviation_count = depth;
	enum custos_deploy_result result = run_world(&w);
	tally->runs++;
	tally->results[result]++;
	tally->states_seen |= w.states_seen;
	if (depth == limit)
		return;
	unsigned first = depth == 0 ? 0 : deviations[depth - 1].at + 1;
	for (unsigned at = first; at < w.decisions; at++)
		for (unsigned choice = 1; choice < w.alternatives[at]; choice++) {
			if (depth >= 2 && (at * 31 + choice * 7 + (unsigned)tally->runs) % every != 0)
				continue; /* the third deviation is sampled */
			deviations[depth] = (struct deviation){ at, choice };
			explore(seed, deviations, depth + 1, limit, every, tally);
		}
}

static void prepare_plan(uint32_t endpoints, struct custos_plan *plan)
{
	struct custos_json *target = fixture_plain_target();
	if (endpoints == 2) {
		struct custos_json *verify = custos_json_array();
		custos_json_push(verify, custos_json_string("a.example.com:443"));
		custos_json_push(verify, custos_json_string("b.example.com:443"));
		custos_json_set(target, "verify", verify);
	}
	fixture_plan(profile, target, (struct custos_plan_options){ .previous_backup = "/var/backups/.custos-esx1-old" }, plan);
	custos_json_free(target);
}

static void explore_all(uint32_t endpoints, enum custos_deploy_job job, bool stored_is_new, size_t limit, unsigned every, struct tally *tally)
{
	struct custos_plan plan = { 0 };
	struct deviation deviations[MAX_DEVIATIONS];
	prepare_plan(endpoints, &plan);
	the_plan = &plan;
	explore(&(struct world){ .job = job, .endpoints = endpoints, .stored_is_new = stored_is_new }, deviations, 0, limit, every, tally);
	custos_plan_done(&plan);
}

static void deployments(void **state)
{
	(void)state;
	struct tally t = { 0 };
	explore_all(1, CUSTOS_DEPLOY_JOB_DEPLOY, false, 3, 13, &t);
	print_message("%lu worlds: %lu deployed, %lu untouched, %lu rolled back, %lu not rolled back\n", t.runs, t.results[1], t.results[3], t.results[4], t.results[5]);
	assert_true(t.results[CUSTOS_DEPLOY_DEPLOYED] > 0 && t.results[CUSTOS_DEPLOY_UNTOUCHED] > 0 && t.results[CUSTOS_DEPLOY_ROLLED_BACK] > 0 && t.results[CUSTOS_DEPLOY_NOT_ROLLED_BACK] > 0);
	for (unsigned s = CUSTOS_DEPLOY_LOCK; s < CUSTOS_DEPLOY_STATES; s++)
		if ((t.states_seen >> s & 1) == 0)
			fail_msg("state %s was never reached", custos_deploy_state_name(s));
}

static void two_endpoints(void **state)
{
	(void)state;
	struct tally t = { 0 };
	explore_all(2, CUSTOS_DEPLOY_JOB_DEPLOY, false, 1, 1, &t);
	assert_true(t.results[CUSTOS_DEPLOY_DEPLOYED] > 0 && t.results[CUSTOS_DEPLOY_ROLLED_BACK] > 0);
}

static void rollbacks(void **state)
{
	(void)state;
	struct tally t = { 0 };
	explore_all(1, CUSTOS_DEPLOY_JOB_ROLLBACK, false, 2, 1, &t);
	assert_true(t.results[CUSTOS_DEPLOY_DEPLOYED] > 0 && t.results[CUSTOS_DEPLOY_ROLLED_BACK] > 0);
	assert_int_equal(t.states_seen >> CUSTOS_DEPLOY_STAGE_KEY & 1, 0);
}

static void dry_runs(void **state)
{
	(void)state;
	struct tally t = { 0 };
	explore_all(1, CUSTOS_DEPLOY_JOB_DRY_RUN, false, 3, 1, &t);
	assert_int_equal(t.results[CUSTOS_DEPLOY_UNTOUCHED], t.runs);
}

/* As a dry run, but what stands in the way does not keep it from looking at what is served. */
static void probes(void **state)
{
	(void)state;
	struct tally t = { 0 };
	explore_all(2, CUSTOS_DEPLOY_JOB_PROBE, false, 3, 1, &t);
	assert_int_equal(t.results[CUSTOS_DEPLOY_UNTOUCHED], t.runs);
	struct custos_plan plan = { 0 };
	prepare_plan(2, &plan);
	the_plan = &plan;
	struct deviation failed = { 0, ALT_FAILED };
	struct world w = { .job = CUSTOS_DEPLOY_JOB_PROBE, .deviations = &failed, .deviation_count = 1 };
	assert_int_equal(run_world(&w), CUSTOS_DEPLOY_UNTOUCHED);
	assert_int_equal(w.before_count, 2);
	w = (struct world){ .job = CUSTOS_DEPLOY_JOB_DRY_RUN, .deviations = &failed, .deviation_count = 1 };
	assert_int_equal(run_world(&w), CUSTOS_DEPLOY_UNTOUCHED);
	assert_int_equal(w.before_count, 0);
	custos_plan_done(&plan);
}

static void already_there(void **state)
{
	(void)state;
	struct tally t = { 0 };
	explore_all(2, CUSTOS_DEPLOY_JOB_DEPLOY, true, 0, 1, &t);
	assert_int_equal(t.results[CUSTOS_DEPLOY_UNCHANGED], 1);
	/* one endpoint serves something else: not unchanged */
	struct custos_plan plan = { 0 };
	prepare_plan(2, &plan);
	the_plan = &plan;
	struct deviation second_is_old = { 3, 3 }; /* lock, probe, first endpoint, second endpoint */
	struct world w = { .job = CUSTOS_DEPLOY_JOB_DEPLOY, .stored_is_new = true, .deviations = &second_is_old, .deviation_count = 1 };
	assert_int_equal(run_world(&w), CUSTOS_DEPLOY_DEPLOYED);
	custos_plan_done(&plan);
}

/* A host whose service never comes up again, whatever is done: the truth is told. */
static void dead_service(void **state)
{
	(void)state;
	struct custos_plan plan = { 0 };
	prepare_plan(1, &plan);
	the_plan = &plan;
	struct deviation deviations[200];
	for (unsigned i = 0; i < 200; i++)
		deviations[i] = (struct deviation){ i, 4 };
	/* up to RELOAD all is well: seven commands and one probe before, one question, two commands */
	struct world w = { .job = CUSTOS_DEPLOY_JOB_DEPLOY, .deviations = deviations + 10, .deviation_count = 180 };
	assert_int_equal(run_world(&w), CUSTOS_DEPLOY_NOT_ROLLED_BACK);
	assert_true(w.switched && w.restore_tried);
	custos_plan_done(&plan);
}

static void events_that_do_not_belong(void **state)
{
	(void)state;
	struct custos_plan plan = { 0 };
	prepare_plan(1, &plan);
	struct custos_machine m;
	struct custos_deploy_action action = { 0 };
	custos_machine_init(&m, &plan, CUSTOS_DEPLOY_JOB_DEPLOY, sum, 3000);
	static const enum custos_deploy_event_kind wrong[] = { CUSTOS_EVENT_GO, CUSTOS_EVENT_VERDICT, CUSTOS_EVENT_TICK, CUSTOS_EVENT_RECONNECTED, CUSTOS_EVENT_ABORT };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct custos_err err = { 0 };
		struct custos_deploy_event event = { .kind = wrong[i], .seen = CUSTOS_SEEN_NEW };
		assert_int_equal(custos_machine_step(&m, &event, &action, &err), CUSTOS_E_INTERNAL);
		assert_int_equal(m.state, CUSTOS_DEPLOY_LOCK);
	}
	custos_plan_done(&plan);
}

/* Somebody else's lock is not removed, and a refusal of the profile is one of policy. */
static void refusals(void **state)
{
	(void)state;
	struct custos_plan plan = { 0 };
	prepare_plan(1, &plan);
	struct custos_machine m;
	struct custos_deploy_action action = { 0 };
	struct custos_err err = { 0 };
	custos_machine_init(&m, &plan, CUSTOS_DEPLOY_JOB_DEPLOY, sum, 3000);
	assert_int_equal(custos_machine_step(&m, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_START }, &action, &err), CUSTOS_OK);
	struct custos_deploy_event locked = { .kind = CUSTOS_EVENT_COMMAND,
		.out = CUSTOS_BYTES_STR("@@" FIXTURE_NONCE " locked=yes\n@@" FIXTURE_NONCE " why=another\n@@" FIXTURE_NONCE " rc=1\n") };
	custos_deploy_action_done(&action);
	assert_int_equal(custos_machine_step(&m, &locked, &action, &err), CUSTOS_OK);
	assert_int_equal(action.what, CUSTOS_DO_REPORT);
	assert_int_equal(m.report.category, CUSTOS_E_POLICY);
	assert_int_equal(m.report.prepared, CUSTOS_DEPLOY_PREPARED_FAILED);

	custos_machine_init(&m, &plan, CUSTOS_DEPLOY_JOB_DEPLOY, sum, 3000);
	assert_int_equal(custos_machine_step(&m, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_START }, &action, &err), CUSTOS_OK);
	custos_deploy_action_done(&action);
	struct custos_deploy_event fine = { .kind = CUSTOS_EVENT_COMMAND, .out = CUSTOS_BYTES_STR("@@" FIXTURE_NONCE " rc=0\n") };
	assert_int_equal(custos_machine_step(&m, &fine, &action, &err), CUSTOS_OK);
	custos_deploy_action_done(&action);
	struct custos_deploy_event managed = { .kind = CUSTOS_EVENT_COMMAND,
		.out = CUSTOS_BYTES_STR("@@" FIXTURE_NONCE " refused=yes\n@@" FIXTURE_NONCE " hint=ask vCenter\n@@" FIXTURE_NONCE " why=managed\n@@" FIXTURE_NONCE " rc=1\n") };
	assert_int_equal(custos_machine_step(&m, &managed, &action, &err), CUSTOS_OK);
	assert_int_equal(action.what, CUSTOS_DO_RUN); /* its own lock goes */
	assert_int_equal(m.state, CUSTOS_DEPLOY_CLEAN);
	assert_int_equal(m.report.category, CUSTOS_E_POLICY);
	assert_string_equal(m.report.why, "managed");
	assert_string_equal(m.report.hint, "ask vCenter");
	custos_deploy_action_done(&action);
	custos_plan_done(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deployments), cmocka_unit_test(two_endpoints), cmocka_unit_test(rollbacks), cmocka_unit_test(dry_runs), cmocka_unit_test(probes), cmocka_unit_test(already_there),
		cmocka_unit_test(dead_service), cmocka_unit_test(events_that_do_not_belong), cmocka_unit_test(refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
