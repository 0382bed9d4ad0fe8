/* What the courier says to its keeper and hears from it. Bodies are read field by field and used only when they were whole. The keeper is
 * trusted no more than necessary: indices, kinds and sizes are checked. Nothing secret passes here in the clear. */
#include "courier/courier.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "memory/pages.h"

#include <stdio.h>

enum { ANSWER_MS = 120000, DETAIL_MAX = 200 };

_Static_assert((int)CUSTOS_JOB_ROLLBACK == (int)CUSTOS_DEPLOY_JOB_ROLLBACK && (int)CUSTOS_JOB_DRY_RUN == (int)CUSTOS_DEPLOY_JOB_DRY_RUN && (int)CUSTOS_JOB_PROBE == (int)CUSTOS_DEPLOY_JOB_PROBE, "jobs are the same in both layers");
_Static_assert((int)CUSTOS_VERDICT_NONE == (int)CUSTOS_SEEN_NONE && (int)CUSTOS_VERDICT_NEW == (int)CUSTOS_SEEN_NEW && (int)CUSTOS_VERDICT_OLD == (int)CUSTOS_SEEN_OLD,
               "verdicts are the same in both layers");
_Static_assert((int)CUSTOS_PREPARED_FAILED == (int)CUSTOS_DEPLOY_PREPARED_FAILED && (int)CUSTOS_PREPARED_READY == (int)CUSTOS_DEPLOY_PREPARED_READY, "same in both layers");
_Static_assert((int)CUSTOS_OUTCOME_NOT_ROLLED_BACK == (int)CUSTOS_DEPLOY_NOT_ROLLED_BACK && (int)CUSTOS_OUTCOME_DEPLOYED == (int)CUSTOS_DEPLOY_DEPLOYED, "same in both layers");

bool custos_courier_is_alone(struct custos_courier *c)
{
	c->keeper_gone = c->keeper_gone || custos_channel_is_gone(&c->channel);
	return c->keeper_gone;
}

static custos_rc send(struct custos_courier *c, uint8_t type, const struct custos_wire_out *w)
{
	CUSTOS_TRY(w->rc);
	return custos_channel_send(&c->channel, type, custos_buf_view(w->buf), -1, w->err);
}

static custos_rc keep(struct custos_buf *into, struct custos_bytes bytes, struct custos_err *err)
{
	custos_buf_done(into);
	return custos_buf_append(into, bytes.ptr, bytes.len, err);
}

/* ---- SETUP and HELLO ---- */

static custos_rc read_hosts(struct custos_courier *c, struct custos_wire *r, struct custos_err *err)
{
	uint32_t count = custos_wire_u32(r);
	if (!custos_courier_has_hosts(c->job) && !r->failed && count == 0)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(!r->failed && custos_courier_has_hosts(c->job) && count >= 1 && count <= CUSTOS_COURIER_HOSTS_MAX, err, CUSTOS_E_INPUT, "a courier takes 1 to %d hosts, not %u", CUSTOS_COURIER_HOSTS_MAX, count);
	c->hosts = calloc(count, sizeof *c->hosts);
	CUSTOS_REQUIRE(c->hosts != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (uint32_t i = 0; i < count; i++) {
		c->hosts[i] = (struct custos_courier_host){ .courier = c, .index = i, .socket = -1, .key_fd = -1 };
		c->count = i + 1;
		struct custos_bytes plan = custos_wire_bytes(r);
		CUSTOS_REQUIRE(!r->failed, err, CUSTOS_E_INTERNAL, "SETUP message is truncated");
		CUSTOS_TRY(custos_plan_decode(plan, &c->hosts[i].plan, err));
	}
	return CUSTOS_OK;
}

custos_rc custos_courier_receive_setup(struct custos_courier *c, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(custos_channel_receive(&c->channel, ANSWER_MS, &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	uint8_t job = custos_wire_u8(&r);
	c->job = job;
	c->key_format = custos_wire_u8(&r);
	c->padding = custos_wire_u8(&r);
	struct custos_bytes leaf = custos_wire_bytes(&r), chain = custos_wire_bytes(&r);
	CUSTOS_REQUIRE(!r.failed && job >= CUSTOS_JOB_DEPLOY && job <= CUSTOS_JOB_PROBE && c->key_format <= 1 && c->padding <= 7, err, CUSTOS_E_INTERNAL, "SETUP message makes no sense");
	CUSTOS_REQUIRE(job == CUSTOS_JOB_ROLLBACK || job == CUSTOS_JOB_SCAN || job == CUSTOS_JOB_PROBE || !custos_courier_has_hosts(job) || (leaf.len > 0 && chain.len > 0), err, CUSTOS_E_INTERNAL, "SETUP message holds no certificate");
	CUSTOS_TRY(keep(&c->leaf, leaf, err));
	CUSTOS_TRY(keep(&c->chain, chain, err));
	CUSTOS_TRY(read_hosts(c, &r, err));
	CUSTOS_TRY(custos_wire_end(&r, "SETUP", err));
	return CUSTOS_OK;
}

custos_rc custos_courier_ready_hosts(struct custos_courier *c, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	if (c->chain.len > 0) {
		CUSTOS_TRY(custos_sha256(custos_buf_view(&c->chain), hash, err));
		custos_text_hex(hash, sizeof hash, c->chain_sha256);
	}
	for (uint32_t i = 0; c->job != CUSTOS_JOB_SCAN && i < c->count; i++)
		custos_machine_init(&c->hosts[i].machine, &c->hosts[i].plan, (enum custos_deploy_job)c->job, c->chain_sha256, c->chain.len);
	return CUSTOS_OK;
}

custos_rc custos_courier_send_hello(struct custos_courier *c, const uint8_t point[static CUSTOS_POINT_SIZE], struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, point, CUSTOS_POINT_SIZE);
	custos_wire_put_text(&w, custos_pages_backend());
	custos_wire_put_u32(&w, (uint32_t)custos_pages_locked());
	return send(c, CUSTOS_COURIER_HELLO, &w);
}

/* ---- sockets and credentials ---- */

static struct custos_courier_host *read_host(struct custos_courier *c, struct custos_wire *r)
{
	uint32_t index = custos_wire_u32(r);
	if (index < c->count)
		return &c->hosts[index];
	r->failed = true;
	return NULL;
}

static custos_rc take_socket(struct custos_courier *c, struct custos_frame *frame, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_courier_host *host = read_host(c, &r);
	uint8_t purpose = custos_wire_u8(&r);
	CUSTOS_AUTO_STR *why = frame->type == CUSTOS_COURIER_NO_SOCKET ? custos_wire_text(&r) : NULL;
	CUSTOS_TRY(custos_wire_end(&r, "SOCKET", err));
	CUSTOS_REQUIRE(purpose == CUSTOS_SOCKET_SSH && host->socket < 0 && host->no_socket == NULL, err, CUSTOS_E_INTERNAL, "a socket came that nobody asked for");
	if (frame->type == CUSTOS_COURIER_NO_SOCKET)
		host->no_socket = CUSTOS_TAKE(why);
	else
		host->socket = custos_take_fd(&frame->fd);
	return CUSTOS_OK;
}

static custos_rc take_credential(struct custos_courier *c, struct custos_frame *frame, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_courier_host *host = read_host(c, &r);
	uint8_t kind = custos_wire_u8(&r);
	struct custos_bytes a = custos_wire_bytes(&r), b = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "CREDENTIAL", err));
	bool fits = kind == CUSTOS_CREDENTIAL_PASSWORD ? a.len == CUSTOS_POINT_SIZE && b.len > 0 && frame->fd < 0 :
	            kind == CUSTOS_CREDENTIAL_KEY_FILE ? frame->fd >= 0 : kind == CUSTOS_CREDENTIAL_SIGNER && a.len > 0 && frame->fd < 0;
	CUSTOS_REQUIRE(fits && host->credential == 0, err, CUSTOS_E_INTERNAL, "CREDENTIAL message makes no sense");
	CUSTOS_TRY(keep(&host->a, a, err));
	CUSTOS_TRY(keep(&host->b, b, err));
	host->credential = kind;
	host->key_fd = custos_take_fd(&frame->fd);
	return CUSTOS_OK;
}

custos_rc custos_courier_receive_supplies(struct custos_courier *c, struct custos_err *err)
{
	for (;;) {
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		/* a person may be asked for a password meanwhile */
		CUSTOS_TRY(custos_channel_receive(&c->channel, -1, &frame, err));
		switch (frame.type) {
		case CUSTOS_COURIER_SOCKET:
		case CUSTOS_COURIER_NO_SOCKET: CUSTOS_TRY(take_socket(c, &frame, err)); break;
		case CUSTOS_COURIER_CREDENTIAL: CUSTOS_TRY(take_credential(c, &frame, err)); break;
		case CUSTOS_COURIER_TRANSPORT: CUSTOS_TRY(custos_courier_take_transport(c, &frame, err)); break;
		case CUSTOS_COURIER_PREPARE: return CUSTOS_OK;
		default: CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame.type);
		}
	}
}

/* ---- questions ---- */

static custos_rc receive_for(struct custos_courier_host *host, uint8_t type, uint8_t other, struct custos_frame *frame, struct custos_wire *ret_reader, struct custos_err *err)
{
	CUSTOS_TRY(custos_channel_receive(&host->courier->channel, ANSWER_MS, frame, err));
	CUSTOS_REQUIRE(frame->type == type || frame->type == other, err, CUSTOS_E_INTERNAL, "the keeper answered with message %u", frame->type);
	*ret_reader = custos_wire_read(custos_buf_view(&frame->body));
	CUSTOS_REQUIRE(custos_wire_u32(ret_reader) == host->index && !ret_reader->failed, err, CUSTOS_E_INTERNAL, "the keeper answered for another host");
	return CUSTOS_OK;
}

custos_rc custos_courier_ask_socket(struct custos_courier_host *host, enum custos_courier_socket purpose, int *ret_fd, char **ret_why, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host->index);
	custos_wire_put_u8(&w, (uint8_t)purpose);
	CUSTOS_TRY(send(host->courier, CUSTOS_COURIER_NEED_SOCKET, &w));
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire r;
	CUSTOS_TRY(receive_for(host, CUSTOS_COURIER_SOCKET, CUSTOS_COURIER_NO_SOCKET, &frame, &r, err));
	uint8_t got = custos_wire_u8(&r);
	CUSTOS_AUTO_STR *why = frame.type == CUSTOS_COURIER_NO_SOCKET ? custos_wire_text(&r) : NULL;
	CUSTOS_TRY(custos_wire_end(&r, "SOCKET", err));
	CUSTOS_REQUIRE(got == purpose, err, CUSTOS_E_INTERNAL, "the keeper sent another kind of socket");
	*ret_fd = custos_take_fd(&frame.fd);
	*ret_why = CUSTOS_TAKE(why);
	return CUSTOS_OK;
}

custos_rc custos_courier_ask_signature(void *ctx, struct custos_bytes data, struct custos_buf *signature, struct custos_err *err)
{
	struct custos_courier_host *host = ctx;
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host->index);
	custos_wire_put_bytes(&w, data);
	CUSTOS_TRY(send(host->courier, CUSTOS_COURIER_SIGN_LOGIN, &w));
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire r;
	CUSTOS_TRY(receive_for(host, CUSTOS_COURIER_LOGIN_SIGNATURE, CUSTOS_COURIER_LOGIN_SIGNATURE, &frame, &r, err));
	struct custos_bytes answer = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "LOGIN_SIGNATURE", err));
	return custos_buf_append(signature, answer.ptr, answer.len, err);
}

custos_rc custos_courier_ask_verdict(struct custos_courier_host *host, struct custos_bytes served, enum custos_deploy_seen *ret_seen, char **ret_why, struct custos_err *err)
{
	CUSTOS_TRY(custos_channel_send(&host->courier->channel, CUSTOS_COURIER_SERVED, served, -1, err));
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire r;
	CUSTOS_TRY(receive_for(host, CUSTOS_COURIER_VERDICT, CUSTOS_COURIER_VERDICT, &frame, &r, err));
	uint8_t verdict = custos_wire_u8(&r);
	CUSTOS_AUTO_STR *why = custos_wire_text(&r);
	CUSTOS_TRY(custos_wire_end(&r, "VERDICT", err));
	CUSTOS_REQUIRE(verdict >= CUSTOS_VERDICT_NEW && verdict <= CUSTOS_VERDICT_NONE, err, CUSTOS_E_INTERNAL, "VERDICT message makes no sense");
	*ret_seen = verdict;
	*ret_why = CUSTOS_TAKE(why);
	return CUSTOS_OK;
}

/* ---- reports ---- */

void custos_courier_tell_progress(struct custos_courier_host *host)
{
	const struct custos_machine *m = &host->machine;
	if (host->told == m->state || host->courier->keeper_gone)
		return;
	host->told = m->state;
	char detail[DETAIL_MAX];
	bool ladder = m->state == CUSTOS_DEPLOY_RELOAD || m->state == CUSTOS_DEPLOY_ROLLBACK_RELOAD;
	snprintf(detail, sizeof detail, "%s%s%.150s", custos_deploy_state_name(m->state), ladder ? ": " : "", ladder ? m->plan->recipe.steps[m->step].name : "");
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_err ignored = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = &ignored };
	custos_wire_put_u32(&w, host->index);
	custos_wire_put_u8(&w, (uint8_t)m->state);
	custos_wire_put_text(&w, detail);
	if (send(host->courier, CUSTOS_COURIER_PROGRESS, &w) != CUSTOS_OK)
		(void)custos_courier_is_alone(host->courier);
}

custos_rc custos_courier_send_prepared(struct custos_courier_host *host, struct custos_err *err)
{
	const struct custos_deploy_report *report = &host->machine.report;
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host->index);
	custos_wire_put_u8(&w, (uint8_t)report->prepared);
	custos_wire_put_u8(&w, (uint8_t)report->category);
	custos_wire_put_text(&w, report->why);
	custos_wire_put_text(&w, report->hint);
	custos_wire_put_text(&w, report->version);
	custos_wire_put_text(&w, report->prepared == CUSTOS_DEPLOY_PREPARED_READY ? report->backup : "");
	custos_wire_put_fixed(&w, report->leaf_sha256, sizeof report->leaf_sha256);
	return send(host->courier, CUSTOS_COURIER_PREPARED, &w);
}

custos_rc custos_courier_send_facts(struct custos_courier_host *host, const struct custos_reply *facts, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_wire_out w = { .buf = &body, .err = err };
	/* what this side saw comes first: a fact of the same name from the host is not looked at then */
	const char *offered = custos_ssh_offered(host->ssh);
	size_t from_host = facts->count < CUSTOS_REPLY_FACTS_MAX ? facts->count : CUSTOS_REPLY_FACTS_MAX - 1;
	custos_wire_put_u32(&w, host->index);
	custos_wire_put_u32(&w, (uint32_t)from_host + 1);
	custos_wire_put_text(&w, "login.offered");
	custos_wire_put_text(&w, offered == NULL ? "" : offered);
	for (size_t i = 0; i < from_host; i++) {
		custos_wire_put_text(&w, facts->keys[i]);
		custos_wire_put_text(&w, facts->values[i]);
	}
	return send(host->courier, CUSTOS_COURIER_FACTS, &w);
}

custos_rc custos_courier_send_outcome(struct custos_courier_host *host, struct custos_err *err)
{
	const struct custos_deploy_report *report = &host->machine.report;
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host->index);
	custos_wire_put_u8(&w, (uint8_t)report->result);
	custos_wire_put_u8(&w, (uint8_t)report->category);
	custos_wire_put_text(&w, report->why);
	custos_wire_put_text(&w, report->hint);
	custos_wire_put_u32(&w, host->exposure_ms);
	custos_wire_put_text(&w, report->backup);
	return send(host->courier, CUSTOS_COURIER_OUTCOME, &w);
}

custos_rc custos_courier_send_bye(struct custos_courier *c, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, (uint32_t)custos_pages_locked()); /* all of it is wiped at the end */
	return send(c, CUSTOS_COURIER_BYE, &w);
}
