/* The one place where a private key is in the clear: unwrapped into locked memory, compared with the certificate, turned into PEM, streamed
 * to each host's standard input, wiped. Must never keep it for longer than the last of those streams, and never sends it anywhere else. */
#include "courier/courier.h"

#include "base/clock.h"
#include "crypto/pem.h"
#include "memory/scrub.h"

/* A host takes its key in seconds. Every wait has an end of its own; the watchdog is for what does not wait. */
enum { WATCH_S = 60, WATCH_HOST_S = 60 };

struct parcel {
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_bytes wrapped;
	bool wanted[CUSTOS_COURIER_HOSTS_MAX];
};

static custos_rc read_parcel(const struct custos_courier *c, const struct custos_frame *frame, struct parcel *p, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	custos_wire_fixed(&r, p->point, sizeof p->point);
	p->wrapped = custos_wire_bytes(&r);
	uint32_t count = custos_wire_u32(&r);
	CUSTOS_REQUIRE(count <= c->count, err, CUSTOS_E_INTERNAL, "KEY message names too many hosts");
	for (uint32_t i = 0; i < count; i++) {
		uint32_t host = custos_wire_u32(&r);
		CUSTOS_REQUIRE(host < c->count && !p->wanted[host], err, CUSTOS_E_INTERNAL, "KEY message names a host that there is not, or twice");
		p->wanted[host] = true;
	}
	CUSTOS_TRY(custos_wire_end(&r, "KEY", err));
	CUSTOS_REQUIRE((c->job == CUSTOS_JOB_DEPLOY) == (p->wrapped.len > 0), err, CUSTOS_E_INTERNAL, "KEY message does not fit the job");
	return CUSTOS_OK;
}

static custos_rc unpack(struct custos_courier *c, const struct parcel *p, struct custos_secret **ret_pem, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *der = NULL;
	if (c->container.len > 0)
		CUSTOS_TRY(custos_courier_open_container(c, custos_buf_view(&c->container), p->point, p->wrapped, &der, err));
	else
		CUSTOS_TRY(custos_courier_unseal(c, p->point, p->wrapped, &der, err));
	CUSTOS_TRY(custos_key_matches_leaf(der, c->padding, custos_buf_view(&c->leaf), err));
	return custos_pem_from_pkcs8(der, c->key_format, c->padding, ret_pem, err);
}

static bool waits_for_key(const struct custos_courier_host *host)
{
	return host->action.what == CUSTOS_DO_RUN && host->action.input == CUSTOS_INPUT_KEY;
}

/* READY hosts that were not named get no key; an error is told to those that were. */
static void tell_all(struct custos_courier *c, const struct parcel *p, size_t key_length, const struct custos_err *err)
{
	for (uint32_t i = 0; i < c->count; i++) {
		struct custos_courier_host *host = &c->hosts[i];
		struct custos_deploy_event event = { .kind = CUSTOS_EVENT_GO, .key_length = key_length };
		if (err->rc != CUSTOS_OK)
			event = (struct custos_deploy_event){ .kind = CUSTOS_EVENT_ABORT, .category = err->rc, .why = err->msg, .hint = err->hint };
		else if (!p->wanted[i])
			event = (struct custos_deploy_event){ .kind = CUSTOS_EVENT_ABORT };
		if (host->action.what == CUSTOS_DO_REPORT)
			custos_courier_host_tell(host, &event);
	}
}

static void hand_over(struct custos_courier *c, struct custos_secret *pem)
{
	bool done;
	int64_t until;
	for (uint32_t i = 0; i < c->count; i++)
		if (waits_for_key(&c->hosts[i]))
			custos_courier_host_act(&c->hosts[i], pem, &done, &until);
}

custos_rc custos_courier_deliver(struct custos_courier *c, const struct custos_frame *frame, struct custos_err *err)
{
	struct parcel parcel = { 0 };
	CUSTOS_TRY(read_parcel(c, frame, &parcel, err));
	int64_t start = custos_clock_monotonic_ms();
	struct custos_err why = { 0 };
	CUSTOS_AUTO(custos_secret) *pem = NULL;
	custos_courier_watch(WATCH_S + c->count * WATCH_HOST_S);
	if (c->job == CUSTOS_JOB_DEPLOY && unpack(c, &parcel, &pem, &why) != CUSTOS_OK)
		custos_err_hint(&why, "the hosts were not touched; is the container the one this certificate was made for?");
	tell_all(c, &parcel, pem == NULL ? 0 : custos_secret_length(pem), &why);
	if (pem != NULL)
		hand_over(c, pem);
	custos_secret_free(CUSTOS_TAKE(pem));
	custos_scrub_stack();
	custos_scrub_registers();
	custos_courier_watch(0);
	int64_t spent = custos_clock_monotonic_ms() - start;
	for (uint32_t i = 0; i < c->count; i++)
		c->hosts[i].exposure_ms = parcel.wanted[i] && c->job == CUSTOS_JOB_DEPLOY ? (uint32_t)spent : 0;
	return CUSTOS_OK;
}
