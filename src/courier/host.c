/* One host: does what its state machine asks for and tells it what came of it. Decides nothing itself. What goes wrong here is an event,
 * so that a failure of one host is never a failure of the others. */
#include "courier/courier.h"

#include "base/clock.h"
#include "crypto/digest.h"
#include "crypto/served.h"

#include <stdio.h>

enum { FETCH_MS = 10000, FRAME_RESERVE = 512 };

void custos_courier_host_done(struct custos_courier_host *host)
{
	custos_ssh_free(host->ssh);
	custos_arena_free(host->arena);
	custos_close_fd(&host->socket);
	custos_close_fd(&host->key_fd);
	free(host->no_socket);
	custos_buf_done(&host->a);
	custos_buf_done(&host->b);
	custos_deploy_action_done(&host->action);
	custos_plan_done(&host->plan);
}

void custos_courier_host_tell(struct custos_courier_host *host, const struct custos_deploy_event *event)
{
	struct custos_deploy_event now = *event;
	struct custos_err err = { 0 };
	now.now_ms = custos_clock_monotonic_ms();
	now.keeper_gone = custos_courier_is_alone(host->courier);
	custos_deploy_action_done(&host->action);
	if (custos_machine_step(&host->machine, &now, &host->action, &err) != CUSTOS_OK) {
		/* out of memory, or a fault of this program: the machine's state says how bad that is, and the dead man's switch is the second net */
		struct custos_deploy_report *report = &host->machine.report;
		report->result = host->machine.switched ? CUSTOS_DEPLOY_NOT_ROLLED_BACK : CUSTOS_DEPLOY_UNTOUCHED;
		report->category = err.rc;
		snprintf(report->why, sizeof report->why, "%s", err.msg);
		host->machine.state = CUSTOS_DEPLOY_ENDED;
		host->action = (struct custos_deploy_action){ .what = host->machine.reported ? CUSTOS_DO_FINISH : CUSTOS_DO_REPORT };
	}
	custos_courier_tell_progress(host);
}

static void hang_up(struct custos_courier_host *host)
{
	custos_ssh_free(host->ssh);
	host->ssh = NULL;
}

void custos_courier_host_begin(struct custos_courier_host *host)
{
	custos_courier_host_tell(host, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_START });
	if (host->action.what != CUSTOS_DO_RUN)
		return;
	struct custos_err err = { 0 };
	custos_rc rc = host->socket < 0 ? custos_err_set(&err, CUSTOS_E_NETWORK, 0, "%s", host->no_socket == NULL ? "no connection was made" : host->no_socket)
	                                : custos_courier_login(host, custos_take_fd(&host->socket), &host->ssh, &err);
	if (rc != CUSTOS_OK)
		custos_courier_host_tell(host, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_LOST, .category = rc, .why = err.msg, .hint = err.hint });
}

/* A probe runs one command, and what it printed is what the keeper wants; also when it did not come to its end. */
static void tell_facts(struct custos_courier_host *host, struct custos_bytes out)
{
	__attribute__((cleanup(custos_reply_done))) struct custos_reply facts = { 0 };
	struct custos_err err = { 0 };
	if (custos_reply_parse(out, host->plan.nonce, &facts, &err) != CUSTOS_OK || custos_courier_send_facts(host, &facts, &err) != CUSTOS_OK)
		(void)custos_courier_is_alone(host->courier); /* what the machine makes of it is told all the same */
}

static void run(struct custos_courier_host *host, struct custos_secret *key)
{
	char mark[40];
	struct custos_err err = { 0 };
	__attribute__((cleanup(custos_ssh_result_done))) struct custos_ssh_result result = { 0 };
	snprintf(mark, sizeof mark, "@@%s rc=", host->plan.nonce);
	struct custos_ssh_command command = { .command = (const char *)host->action.script.ptr, .end_mark = mark, .timeout_ms = host->action.timeout_ms };
	if (host->action.input == CUSTOS_INPUT_CHAIN)
		command.input = custos_buf_view(&host->courier->chain);
	else if (host->action.input == CUSTOS_INPUT_KEY)
		command.secret_input = key;
	custos_rc rc = host->ssh == NULL ? custos_err_set(&err, CUSTOS_E_NETWORK, 0, "there is no connection") : custos_ssh_run(host->ssh, &command, &result, &err);
	if (rc != CUSTOS_OK) {
		hang_up(host);
		custos_courier_host_tell(host, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_LOST, .category = rc, .why = err.msg });
		return;
	}
	if (host->courier->job == CUSTOS_JOB_PROBE)
		tell_facts(host, custos_buf_view(&result.out));
	custos_courier_host_tell(host, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_COMMAND, .out = custos_buf_view(&result.out), .complaints = custos_buf_view(&result.complaints),
	                                                              .timed_out = result.timed_out });
}

/* ---- what is served ---- */

static custos_rc put_served(struct custos_courier_host *host, const struct custos_served *served, const char *tls_error, struct custos_buf *body, struct custos_err *err)
{
	struct custos_wire_out w = { .buf = body, .err = err };
	size_t total = 0;
	for (size_t i = 0; i < served->count; i++)
		total += served->der[i].len + 4;
	bool fits = total < CUSTOS_FRAME_BODY_MAX - FRAME_RESERVE;
	custos_wire_put_u32(&w, host->index);
	custos_wire_put_u8(&w, (uint8_t)host->action.when);
	custos_wire_put_u32(&w, host->action.probe);
	custos_wire_put_text(&w, fits ? tls_error : "the chain that is served is too long");
	custos_wire_put_u32(&w, fits ? (uint32_t)served->count : 0);
	for (size_t i = 0; fits && i < served->count; i++)
		custos_wire_put_bytes(&w, custos_buf_view(&served->der[i]));
	return w.rc;
}

struct sight {
	enum custos_deploy_seen seen;
	char *why;
	uint8_t leaf[CUSTOS_HASH_SIZE];
	bool has_leaf;
};

static void sight_done(struct sight *sight)
{
	free(sight->why);
}

static custos_rc look(struct custos_courier_host *host, struct sight *sight, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = -1;
	CUSTOS_AUTO_STR *why = NULL;
	CUSTOS_TRY(custos_courier_ask_socket(host, CUSTOS_SOCKET_VERIFY, &fd, &why, err));
	if (fd < 0) { /* nobody answers there: nothing is served, and nobody has to judge that */
		sight->seen = CUSTOS_SEEN_NONE;
		sight->why = CUSTOS_TAKE(why);
		return CUSTOS_OK;
	}
	__attribute__((cleanup(custos_served_done))) struct custos_served served = { 0 };
	struct custos_err tls = { 0 };
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	if (custos_served_fetch(fd, host->plan.sni[0] != '\0' ? host->plan.sni : NULL, FETCH_MS, &served, &tls) == CUSTOS_OK && served.count > 0) {
		CUSTOS_TRY(custos_sha256(custos_buf_view(&served.der[0]), sight->leaf, err));
		sight->has_leaf = true;
	}
	CUSTOS_TRY(put_served(host, &served, tls.msg, &body, err));
	return custos_courier_ask_verdict(host, custos_buf_view(&body), &sight->seen, &sight->why, err);
}

static void probe(struct custos_courier_host *host)
{
	__attribute__((cleanup(sight_done))) struct sight sight = { .seen = CUSTOS_SEEN_NONE };
	struct custos_err err = { 0 };
	if (look(host, &sight, &err) != CUSTOS_OK) {
		/* the channel cannot be relied on any more: from here on as if the keeper had ended */
		host->courier->keeper_gone = true;
		custos_courier_host_tell(host, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_KEEPER_GONE });
		return;
	}
	custos_courier_host_tell(host, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_VERDICT, .seen = sight.seen, .why = sight.why, .leaf_sha256 = sight.has_leaf ? sight.leaf : NULL });
}

static custos_rc connect_again(struct custos_courier_host *host, struct custos_err *err)
{
	int fd = -1;
	CUSTOS_AUTO_STR *why = NULL;
	hang_up(host);
	CUSTOS_TRY(custos_courier_ask_socket(host, CUSTOS_SOCKET_SSH, &fd, &why, err));
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_NETWORK, "%s", why == NULL ? "the host could not be reached again" : why);
	return custos_courier_login(host, fd, &host->ssh, err);
}

static void reconnect(struct custos_courier_host *host)
{
	struct custos_err err = { 0 };
	bool ok = connect_again(host, &err) == CUSTOS_OK;
	custos_courier_host_tell(host, &(struct custos_deploy_event){ .kind = ok ? CUSTOS_EVENT_RECONNECTED : CUSTOS_EVENT_RECONNECT_FAILED, .why = err.msg });
}

static void report(struct custos_courier_host *host)
{
	struct custos_err err = { 0 };
	host->reported = true;
	if (custos_courier_send_prepared(host, &err) != CUSTOS_OK)
		host->courier->keeper_gone = true;
}

static void finish(struct custos_courier_host *host)
{
	struct custos_err err = { 0 };
	host->finished = true;
	hang_up(host);
	if (!host->courier->keeper_gone && custos_courier_send_outcome(host, &err) != CUSTOS_OK)
		host->courier->keeper_gone = true;
}

void custos_courier_host_act(struct custos_courier_host *host, struct custos_secret *key, bool *ret_done, int64_t *ret_until_ms)
{
	enum custos_deploy_do what = host->action.what;
	bool alone = custos_courier_is_alone(host->courier);
	*ret_done = true;
	*ret_until_ms = INT64_MAX;
	if (what == CUSTOS_DO_FINISH) {
		if (host->finished)
			*ret_done = false;
		else
			finish(host);
	} else if (what == CUSTOS_DO_RUN) {
		if (host->action.input == CUSTOS_INPUT_KEY && key == NULL)
			*ret_done = false;
		else
			run(host, key);
	} else if (alone) {
		custos_courier_host_tell(host, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_KEEPER_GONE });
	} else if (what == CUSTOS_DO_PROBE) {
		probe(host);
	} else if (what == CUSTOS_DO_RECONNECT) {
		reconnect(host);
	} else if (what == CUSTOS_DO_REPORT) {
		if (host->reported)
			*ret_done = false;
		else
			report(host);
	} else if (custos_clock_monotonic_ms() >= host->action.until_ms) {
		custos_courier_host_tell(host, &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_TICK });
	} else {
		*ret_done = false;
		*ret_until_ms = host->action.until_ms;
	}
}
