/* The ladder: after each reload step the endpoints are probed until they are right for long enough, or the step's budget is spent and
 * the next step is tried. The same forwards (right: the keeper's verdict NEW) and on the way back (right: what was served before).
 *
 *   step ─▶ round of probes, one per endpoint ── all right ──▶ count, first time: ask what is alive ── often and long enough ──▶ ask again, same ─▶ done
 *              ▲                    │ one wrong: count from 0      │ wait                                                          │ differs
 *              └──── wait ◀─────────┤ (budget spent: next step)    │                                                               │
 *              └──── wait ◀─────────┴───────────────────────────◀──┴────────────────────────────────────────────────────────────◀──┘
 *
 * Must never call a deployment good that was not right in every round of its last run. */
#include "target/machine_state.h"

#include <stdio.h>

static bool is_way_back(const struct custos_machine *m)
{
	return m->state == CUSTOS_DEPLOY_ROLLBACK_VERIFY || m->state == CUSTOS_DEPLOY_ROLLBACK_RELOAD;
}

static const struct custos_recipe_step *current(const struct custos_machine *m)
{
	return &m->plan->recipe.steps[m->step];
}

void custos_machine_begin_verify(struct custos_machine *m, int64_t now_ms)
{
	m->state = is_way_back(m) ? CUSTOS_DEPLOY_ROLLBACK_VERIFY : CUSTOS_DEPLOY_VERIFY;
	m->endpoint = 0;
	m->good = 0;
	m->round_bad = m->waiting = false;
	m->alive = CUSTOS_ALIVE_IDLE;
	m->alive_first[0] = '\0';
	m->deadline_ms = now_ms + current(m)->budget_ms;
}

static void succeed(struct custos_machine *m)
{
	bool persists = m->plan->recipe.persist[0] != '\0';
	if (is_way_back(m))
		m->state = persists ? CUSTOS_DEPLOY_ROLLBACK_PERSIST : CUSTOS_DEPLOY_CLEAN;
	else
		m->state = persists ? CUSTOS_DEPLOY_PERSIST : CUSTOS_DEPLOY_DISARM;
}

void custos_machine_next_step(struct custos_machine *m)
{
	bool back = is_way_back(m);
	m->waiting = false;
	m->alive = CUSTOS_ALIVE_IDLE;
	if (m->step + 1 < m->plan->recipe.step_count) {
		m->step++;
		m->state = back ? CUSTOS_DEPLOY_ROLLBACK_RELOAD : CUSTOS_DEPLOY_RELOAD;
	} else if (!back) {
		char why[512];
		snprintf(why, sizeof why, "the new certificate was not served after any of the reload steps%s%s", m->last_wrong[0] != '\0' ? ": " : "", m->last_wrong);
		custos_machine_blame(m, CUSTOS_E_NETWORK, why, NULL);
		custos_machine_roll_back(m);
	} else if (m->keeper_gone) {
		/* nobody can look: the files are back, every step was run; what the host saved may have to be saved again */
		custos_machine_give_up(m, "the keeper is gone, so what is served could not be looked at");
	} else {
		custos_machine_give_up(m, "the previous certificate was not served after any of the reload steps");
	}
}

static bool is_right(const struct custos_machine *m, enum custos_deploy_seen seen)
{
	if (m->state == CUSTOS_DEPLOY_VERIFY)
		return seen == CUSTOS_SEEN_NEW;
	enum custos_deploy_seen before = m->before[m->endpoint];
	return before == CUSTOS_SEEN_NONE || seen == CUSTOS_SEEN_OLD || (before == CUSTOS_SEEN_NEW && seen == CUSTOS_SEEN_NEW);
}

/* How long it must have been right. A signal starts nothing that could die later; a restarted service needs time or evidence. */
static int64_t needed_ms(const struct custos_machine *m)
{
	int64_t settle = current(m)->settle_ms, alive = m->plan->recipe.alive_ms;
	return m->alive_first[0] != '\0' && alive < settle ? alive : settle;
}

static void wait_or_next(struct custos_machine *m, int64_t now_ms, bool right)
{
	if (!right) {
		m->good = 0;
		m->alive_first[0] = '\0';
		if (now_ms >= m->deadline_ms) {
			custos_machine_next_step(m);
			return;
		}
	}
	m->waiting = true;
	m->until_ms = now_ms + m->plan->recipe.interval_ms;
}

static void judge(struct custos_machine *m, int64_t now_ms)
{
	if (m->good < m->plan->recipe.probes || now_ms - m->good_since_ms < needed_ms(m))
		wait_or_next(m, now_ms, true);
	else if (m->alive_first[0] != '\0')
		m->alive = CUSTOS_ALIVE_LAST;
	else
		succeed(m);
}

void custos_machine_after_probe(struct custos_machine *m, const struct custos_deploy_event *event)
{
	if (!is_right(m, event->seen)) {
		m->round_bad = true;
		if (event->why != NULL && event->why[0] != '\0' && !is_way_back(m))
			snprintf(m->last_wrong, sizeof m->last_wrong, "%.200s", event->why);
	}
	if (++m->endpoint < m->plan->verify_count)
		return;
	m->endpoint = 0;
	if (m->round_bad) {
		m->round_bad = false;
		wait_or_next(m, event->now_ms, false);
		return;
	}
	if (m->good++ == 0) {
		m->good_since_ms = event->now_ms;
		if (m->plan->recipe.alive[0] != '\0') {
			m->alive = CUSTOS_ALIVE_FIRST;
			return;
		}
	}
	judge(m, event->now_ms);
}

void custos_machine_after_alive(struct custos_machine *m, const struct custos_deploy_event *event, const char *text)
{
	bool last = m->alive == CUSTOS_ALIVE_LAST;
	m->alive = CUSTOS_ALIVE_IDLE;
	if (!last) {
		snprintf(m->alive_first, sizeof m->alive_first, "%s", text);
		judge(m, event->now_ms);
	} else if (strcmp(m->alive_first, text) == 0) {
		succeed(m);
	} else {
		snprintf(m->last_wrong, sizeof m->last_wrong, "the service was started anew by its watchdog while it was being verified");
		wait_or_next(m, event->now_ms, false);
	}
}
