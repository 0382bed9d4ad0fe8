/* The errand from SETUP to BYE: which message is waited for, whose turn it is, and the epilogue. Hosts take turns, one action each, so that
 * waiting for one does not hold up the others. If the keeper ends at any time, what was switched is put back before this process ends. */
#include "courier/courier.h"

#include "base/clock.h"
#include "crypto/heap.h"
#include "link/spawn.h"

#include <errno.h>
#include <poll.h>

/* Greatest use measured: 709 KiB of libcrypto's with a TLS client at work and an RSA key of its own, 5 KiB for each host more, 57 KiB of a session's. Every page of memfd_secret costs the start of a
 * courier some 20 microseconds, so there is no more than that and a reserve. */
enum { LIBCRYPTO_ARENA = 752 * 1024, LIBCRYPTO_HOST = 8 * 1024, SESSION_ARENA = 96 * 1024, PATIENCE_MS = 20000 };

static void courier_done(struct custos_courier *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		custos_courier_host_done(&c->hosts[i]);
	free(c->hosts);
	custos_ephemeral_free(c->ephemeral);
	custos_transport_key_free(c->transport_key);
	custos_buf_done(&c->wrapping_key);
	custos_buf_done(&c->leaf);
	custos_buf_done(&c->chain);
	custos_buf_done(&c->container);
	custos_channel_close(&c->channel);
}

/* libcrypto's heap stays until the process ends, which wipes it. */
static custos_rc lock_heaps(struct custos_courier *c, struct custos_err *err)
{
	struct custos_arena *heap = NULL;
	CUSTOS_TRY(custos_arena_new(LIBCRYPTO_ARENA + c->count * LIBCRYPTO_HOST, &heap, err));
	CUSTOS_TRY(custos_crypto_use_arena(heap, err));
	for (uint32_t i = 0; i < c->count; i++)
		CUSTOS_TRY(custos_arena_new(SESSION_ARENA, &c->hosts[i].arena, err));
	return CUSTOS_OK;
}

static void keep_sessions_alive(struct custos_courier *c)
{
	for (uint32_t i = 0; i < c->count; i++)
		if (c->hosts[i].ssh != NULL)
			custos_ssh_keep_alive(c->hosts[i].ssh);
}

/* Nothing can be done before `until_ms`, or before the keeper ends. */
static void rest(struct custos_courier *c, int64_t until_ms)
{
	int64_t left = until_ms - custos_clock_monotonic_ms();
	struct pollfd p = { .fd = c->keeper_gone ? -1 : c->channel.fd, .events = POLLRDHUP };
	(void)poll(&p, 1, left < 0 ? 0 : left > PATIENCE_MS ? PATIENCE_MS : (int)left);
	keep_sessions_alive(c);
}

/* Turns until no host has anything left to do without the keeper's next message. */
static void work(struct custos_courier *c)
{
	for (;;) {
		bool any = false;
		int64_t earliest = INT64_MAX;
		for (uint32_t i = 0; i < c->count; i++) {
			bool done;
			int64_t until;
			custos_courier_host_act(&c->hosts[i], NULL, &done, &until);
			any = any || done;
			earliest = until < earliest ? until : earliest;
		}
		if (!any && earliest == INT64_MAX)
			return;
		if (!any)
			rest(c, earliest);
	}
}

static custos_rc receive_patiently(struct custos_courier *c, struct custos_frame *frame, struct custos_err *err)
{
	for (;;) {
		struct custos_err why = { 0 };
		custos_rc rc = custos_channel_receive(&c->channel, PATIENCE_MS, frame, &why);
		if (rc == CUSTOS_OK)
			return CUSTOS_OK;
		CUSTOS_REQUIRE(why.native == ETIMEDOUT, err, why.rc, "%s", why.msg);
		keep_sessions_alive(c);
	}
}

static custos_rc take_container(struct custos_courier *c, const struct custos_frame *frame, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_bytes container = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "CONTAINER", err));
	CUSTOS_REQUIRE(c->job == CUSTOS_JOB_DEPLOY && c->container.len == 0 && container.len > 0, err, CUSTOS_E_INTERNAL, "CONTAINER message makes no sense");
	return custos_buf_append(&c->container, container.ptr, container.len, err);
}

static custos_rc decide(struct custos_courier *c, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(receive_patiently(c, &frame, err));
	if (frame.type == CUSTOS_COURIER_INTENT) {
		CUSTOS_TRY(custos_courier_take_intent(c, &frame, err));
		CUSTOS_TRY(receive_patiently(c, &frame, err));
	}
	if (frame.type == CUSTOS_COURIER_CONTAINER) {
		CUSTOS_TRY(take_container(c, &frame, err));
		custos_frame_done(&frame);
		CUSTOS_TRY(receive_patiently(c, &frame, err));
	}
	if (frame.type == CUSTOS_COURIER_KEY)
		return custos_courier_deliver(c, &frame, err);
	CUSTOS_REQUIRE(frame.type == CUSTOS_COURIER_ABORT, err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame.type);
	for (uint32_t i = 0; i < c->count; i++)
		if (c->hosts[i].action.what == CUSTOS_DO_REPORT)
			custos_courier_host_tell(&c->hosts[i], &(struct custos_deploy_event){ .kind = CUSTOS_EVENT_ABORT });
	return CUSTOS_OK;
}

static custos_rc start(struct custos_courier *c, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_TRY(custos_helper_attach(&custos_courier_protocol, &c->channel, err));
	CUSTOS_TRY(custos_courier_receive_setup(c, err));
	CUSTOS_TRY(lock_heaps(c, err));
	CUSTOS_TRY(custos_ssh_start(err));
	CUSTOS_TRY(custos_courier_ready_hosts(c, err));
	CUSTOS_TRY(custos_ephemeral_new(&c->ephemeral, point, err));
	CUSTOS_TRY(custos_courier_enter_sandbox(c->job, err));
	CUSTOS_TRY(custos_courier_send_hello(c, point, err));
	/* what the others need comes with messages of their own, and nothing else does */
	return custos_courier_has_hosts(c->job) ? custos_courier_receive_supplies(c, err) : CUSTOS_OK;
}

custos_rc custos_courier_serve(struct custos_err *err)
{
	__attribute__((cleanup(courier_done))) struct custos_courier c = { .channel = { .fd = -1 } };
	custos_rc started = start(&c, err);
	/* a keeper that has thought better of it before anything was begun says so itself */
	if (started != CUSTOS_OK && c.count > 0 && custos_courier_is_alone(&c))
		return CUSTOS_OK;
	CUSTOS_TRY(started);
	if (c.job == CUSTOS_JOB_IMPORT)
		return custos_courier_import(&c, err);
	if (c.job == CUSTOS_JOB_SPLIT)
		return custos_courier_split(&c, err);
	if (c.job == CUSTOS_JOB_COMBINE)
		return custos_courier_combine(&c, err);
	if (c.job == CUSTOS_JOB_BIRTH)
		return custos_courier_bear(&c, err);
	if (c.job == CUSTOS_JOB_SIGNING)
		return custos_courier_sign(&c, err);
	if (c.job == CUSTOS_JOB_SCAN)
		return custos_courier_scan(&c, err);
	for (uint32_t i = 0; i < c.count; i++)
		custos_courier_host_begin(&c.hosts[i]);
	work(&c);
	/* a keeper that was once not to be understood is not asked for a key any more */
	custos_rc rc = c.keeper_gone ? CUSTOS_OK : decide(&c, err);
	if (rc != CUSTOS_OK)
		c.keeper_gone = true; /* ended, or not to be understood: the hosts are put in order all the same */
	work(&c);
	CUSTOS_TRY(rc);
	return c.keeper_gone ? CUSTOS_OK : custos_courier_send_bye(&c, err);
}
