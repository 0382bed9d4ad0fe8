/* Driving one courier. Whatever the courier does, this side records it; if the courier dies, the hosts without an outcome
 * are left without one and the caller says so. */
#include "deploy/errand.h"
#include "base/clock.h"
#include "confine/confinement.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "deploy/agent.h"
#include "vault/courier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* A courier may be silent for SILENCE_MS and busy for an hour and ten minutes a host; when it has switched something it gets
 * ROLL_BACK_MS to put that back by itself. */
enum { HELLO_MS = 10000, KEY_MS = 30000, SILENCE_MS = 900000, HALF_MS = 3600000, HOST_MS = 600000, GRACE_MS = 5000, ROLL_BACK_MS = 120000 };

static custos_rc send(struct custos_errand *e, uint8_t type, const struct custos_buf *body, int fd, struct custos_err *err)
{
	return custos_channel_send(&e->helper.channel, type, custos_buf_view(body), fd, err);
}

static custos_rc set_up(struct custos_errand *e, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)e->job);
	custos_wire_put_u8(&w, (uint8_t)e->key_format);
	custos_wire_put_u8(&w, (uint8_t)e->padding);
	custos_wire_put_bytes(&w, e->leaf);
	custos_wire_put_bytes(&w, e->chain_pem);
	custos_wire_put_u32(&w, (uint32_t)e->count);
	for (size_t i = 0; i < e->count; i++) {
		CUSTOS_AUTO_BUF plan = { .max = CUSTOS_FRAME_BODY_MAX };
		CUSTOS_TRY(custos_plan_encode(&e->hosts[i].plan, &plan, err));
		custos_wire_put_bytes(&w, custos_buf_view(&plan));
	}
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(send(e, CUSTOS_COURIER_SETUP, &body, -1, err));

	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(custos_channel_receive(&e->helper.channel, HELLO_MS, &frame, err));
	return custos_courier_take_hello(&frame, e->courier_point, &e->memory_backend, err);
}

/* Before any host is connected: what the token does and the courier does not know is found out while nothing has happened yet. */
static custos_rc choose_transport(struct custos_errand *e, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	if (e->job != CUSTOS_JOB_DEPLOY || e->transport == CUSTOS_TRANSPORT_ECDH_P256)
		return CUSTOS_OK;
	custos_wire_put_u8(&w, (uint8_t)e->transport);
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(send(e, CUSTOS_COURIER_TRANSPORT, &body, -1, err));
	CUSTOS_TRY(custos_channel_receive(&e->helper.channel, KEY_MS, &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	struct custos_bytes spki = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "TRANSPORT_KEY", err));
	CUSTOS_REQUIRE((spki.len > 0) == custos_transport_needs_key(e->transport), err, CUSTOS_E_INTERNAL, "the courier's key does not fit transport %s",
	               custos_transport_name(e->transport));
	return custos_buf_append(&e->courier_key, spki.ptr, spki.len, err);
}

/* What the parcel is bound to goes before it. */
static custos_rc send_intent(struct custos_errand *e, const struct custos_release_parcel *parcel, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	if (parcel == NULL || parcel->transport == CUSTOS_TRANSPORT_ECDH_P256)
		return CUSTOS_OK;
	custos_wire_put_fixed(&w, parcel->leaf_hash, sizeof parcel->leaf_hash);
	custos_wire_put_bytes(&w, custos_buf_view(&parcel->wrapping_key));
	CUSTOS_TRY(w.rc);
	return send(e, CUSTOS_COURIER_INTENT, &body, -1, err);
}

/* The password is sealed to the courier: the channel carries ciphertext only. */
static custos_rc send_password(struct custos_errand *e, uint32_t host, const char *source, struct custos_err *err)
{
	const struct custos_errand_host *h = &e->hosts[host];
	char what[300];
	snprintf(what, sizeof what, "SSH password of %s on %s", h->plan.user, h->plan.name);
	if (e->options->password == NULL)
		CUSTOS_FAIL(err, CUSTOS_E_AUTH, "the %s is needed, and there is no way to ask for it", what);
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	CUSTOS_TRY(e->options->password(e->options->password_ctx, source, what, &secret, err));
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_BUF sealed = { 0 };
	CUSTOS_TRY(custos_seal(secret, e->courier_point, point, &sealed, err));
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, CUSTOS_CREDENTIAL_PASSWORD);
	custos_wire_put_bytes(&w, CUSTOS_BYTES(point, sizeof point));
	custos_wire_put_bytes(&w, custos_buf_view(&sealed));
	CUSTOS_TRY(w.rc);
	return send(e, CUSTOS_COURIER_CREDENTIAL, &body, -1, err);
}

/* The courier reads the file itself: its bytes never pass through here. */
static custos_rc send_key_file(struct custos_errand *e, uint32_t host, const char *path, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); /* not to wait for ever at a FIFO */
	struct stat st;
	CUSTOS_REQUIRE(fd >= 0 && fstat(fd, &st) == 0, err, CUSTOS_E_AUTH, "cannot open the SSH key %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 || (st.st_uid != geteuid() && st.st_uid != 0))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "chmod 600, and it must be yours", "the SSH key %s can be read by others", path);
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, CUSTOS_CREDENTIAL_KEY_FILE);
	custos_wire_put_text(&w, "");
	custos_wire_put_text(&w, "");
	CUSTOS_TRY(w.rc);
	return send(e, CUSTOS_COURIER_CREDENTIAL, &body, fd, err);
}

static custos_rc send_signer(struct custos_errand *e, uint32_t host, const char *fingerprint, struct custos_err *err)
{
	struct custos_errand_host *h = &e->hosts[host];
	CUSTOS_TRY(custos_agent_choose(e->options->agent_socket, fingerprint, &h->login_blob, err));
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, CUSTOS_CREDENTIAL_SIGNER);
	custos_wire_put_bytes(&w, custos_buf_view(&h->login_blob));
	custos_wire_put_text(&w, "");
	CUSTOS_TRY(w.rc);
	return send(e, CUSTOS_COURIER_CREDENTIAL, &body, -1, err);
}

static custos_rc send_credential(struct custos_errand *e, uint32_t host, struct custos_err *err)
{
	const char *auth = e->hosts[host].auth, *colon = strchr(auth, ':'), *rest = colon == NULL ? NULL : colon + 1;
	if (strncmp(auth, "password:", 9) == 0)
		return send_password(e, host, rest, err);
	if (strncmp(auth, "key:", 4) == 0)
		return send_key_file(e, host, rest, err);
	if (strcmp(auth, "agent") == 0 || strncmp(auth, "agent:", 6) == 0)
		return send_signer(e, host, rest, err);
	CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "key:FILE, agent or password:SRC",
	                 "target %s wants to log in by \"%s\", which is not supported yet", e->hosts[host].plan.name, auth);
}

static bool all_prepared(const struct custos_errand *e)
{
	for (size_t i = 0; i < e->count; i++)
		if (e->hosts[i].prepared == 0)
			return false;
	return true;
}

size_t custos_errand_count_ready(const struct custos_errand *e)
{
	size_t ready = 0;
	for (size_t i = 0; i < e->count; i++)
		ready += e->hosts[i].prepared == CUSTOS_PREPARED_READY;
	return ready;
}

static custos_rc serve_one(struct custos_errand *e, bool *ret_bye, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	int64_t left = e->deadline_ms - custos_clock_monotonic_ms();
	CUSTOS_REQUIRE(left > 0, err, CUSTOS_E_SYSTEM, "the courier does not come to an end");
	CUSTOS_TRY(custos_channel_receive(&e->helper.channel, left < SILENCE_MS ? (int)left : SILENCE_MS, &frame, err));
	return custos_errand_serve(e, &frame, ret_bye, err);
}

/* Every half of an errand comes to an end, also with a courier that asks and asks. */
static void begin_half(struct custos_errand *e)
{
	e->deadline_ms = custos_clock_monotonic_ms() + HALF_MS + (int64_t)e->count * HOST_MS;
}

custos_rc custos_errand_prepare(struct custos_errand *e, struct custos_err *err)
{
	CUSTOS_TRY(custos_courier_start(&e->helper, e->courier_sha256, err));
	CUSTOS_TRY(set_up(e, err));
	CUSTOS_TRY(choose_transport(e, err));
	for (uint32_t i = 0; i < e->count; i++) {
		CUSTOS_TRY(custos_errand_send_socket(e, i, CUSTOS_SOCKET_SSH, err));
		if (e->job != CUSTOS_JOB_SCAN)
			CUSTOS_TRY(send_credential(e, i, err));
	}
	if (e->confinement != NULL)
		CUSTOS_TRY(custos_confinement_enter(e->confinement, err));
	e->confinement = NULL;
	CUSTOS_TRY(custos_channel_send(&e->helper.channel, CUSTOS_COURIER_PREPARE, CUSTOS_BYTES(NULL, 0), -1, err));
	bool bye = false;
	begin_half(e);
	while (!all_prepared(e) && !bye)
		CUSTOS_TRY(serve_one(e, &bye, err));
	CUSTOS_REQUIRE(!bye, err, CUSTOS_E_INTERNAL, "the courier left before its hosts were prepared");
	return CUSTOS_OK;
}

static custos_rc serve_to_the_end(struct custos_errand *e, struct custos_err *err)
{
	bool bye = false;
	begin_half(e);
	while (!bye)
		CUSTOS_TRY(serve_one(e, &bye, err));
	return CUSTOS_OK;
}

custos_rc custos_errand_deliver(struct custos_errand *e, const struct custos_release_parcel *parcel, struct custos_err *err)
{
	static const uint8_t no_point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, parcel == NULL ? no_point : parcel->token_point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, parcel == NULL ? CUSTOS_BYTES(NULL, 0) : custos_buf_view(&parcel->wrapped));
	custos_wire_put_u32(&w, (uint32_t)custos_errand_count_ready(e));
	for (uint32_t i = 0; i < e->count; i++)
		if (e->hosts[i].prepared == CUSTOS_PREPARED_READY)
			custos_wire_put_u32(&w, i);
	CUSTOS_TRY(w.rc);
	/* what was seen before says nothing of what comes after */
	for (uint32_t i = 0; i < e->count; i++)
		if (e->hosts[i].prepared == CUSTOS_PREPARED_READY)
			e->hosts[i].verdict = 0;
	if (parcel != NULL && parcel->container.len > 0) {
		CUSTOS_AUTO_BUF container = { .max = CUSTOS_FRAME_BODY_MAX };
		struct custos_wire_out to = { .buf = &container, .err = err };
		custos_wire_put_bytes(&to, parcel->container);
		CUSTOS_TRY(to.rc);
		CUSTOS_TRY(send(e, CUSTOS_COURIER_CONTAINER, &container, -1, err));
	}
	e->went = true;
	CUSTOS_TRY(send_intent(e, parcel, err));
	CUSTOS_TRY(send(e, CUSTOS_COURIER_KEY, &body, -1, err));
	return serve_to_the_end(e, err);
}

custos_rc custos_errand_abort(struct custos_errand *e, struct custos_err *err)
{
	CUSTOS_TRY(custos_channel_send(&e->helper.channel, CUSTOS_COURIER_ABORT, CUSTOS_BYTES(NULL, 0), -1, err));
	return serve_to_the_end(e, err);
}

void custos_errand_done(struct custos_errand *e)
{
	(void)custos_helper_stop(&e->helper, e->went ? ROLL_BACK_MS : GRACE_MS);
	for (size_t i = 0; i < e->count; i++) {
		struct custos_errand_host *h = &e->hosts[i];
		custos_plan_done(&h->plan);
		custos_json_free(h->named);
		custos_json_free(h->target_copy);
		custos_buf_done(&h->login_blob);
		custos_reply_done(&h->facts);
		char *const texts[] = { h->auth, h->version, h->backup, h->why, h->hint };
		for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
			free(texts[k]);
	}
	free(e->hosts);
	free(e->memory_backend);
	custos_buf_done(&e->login_sessions);
	custos_buf_done(&e->courier_key);
}
