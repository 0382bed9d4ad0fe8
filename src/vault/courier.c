/* Meeting a courier: see courier.h. */
#include "vault/courier.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/seal.h"

enum { HELLO_MS = 10000, SEAL_MS = 120000, SAID_MAX = 300 };

custos_rc custos_courier_start(struct custos_helper *ret_helper, uint8_t ret_sha256[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	CUSTOS_AUTO_FD exe = -1;
	CUSTOS_TRY(custos_helper_open("custos-courier", &exe, err));
	CUSTOS_TRY(custos_sha256_fd(exe, ret_sha256, err));
	return custos_helper_start(exe, "custos-courier", CUSTOS_SPAWN_CLEAN_ENVIRONMENT, NULL, &custos_courier_protocol, ret_helper, err);
}

custos_rc custos_courier_take_hello(const struct custos_frame *frame, uint8_t ret_point[static CUSTOS_POINT_SIZE], char **ret_memory_backend, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	custos_wire_fixed(&r, ret_point, CUSTOS_POINT_SIZE);
	CUSTOS_AUTO_STR *backend = custos_wire_text(&r);
	uint32_t locked = custos_wire_u32(&r);
	CUSTOS_TRY(custos_wire_end(&r, "HELLO", err));
	bool locks = locked > 0 && (strcmp(backend, "memfd_secret") == 0 || strcmp(backend, "mlock") == 0);
	CUSTOS_REQUIRE(locks, err, CUSTOS_E_INTERNAL, "the courier does not say how it has locked its memory");
	*ret_memory_backend = CUSTOS_TAKE(backend);
	return CUSTOS_OK;
}

/* ---- what goes to no host ---- */

void custos_courier_met_done(struct custos_courier_met *met)
{
	free(met->memory_backend);
	*met = (struct custos_courier_met){ 0 };
}

custos_rc custos_courier_hear(struct custos_helper *helper, int timeout_ms, const char *what, struct custos_frame *frame, struct custos_err *err)
{
	struct custos_err why = { 0 };
	if (custos_channel_receive(&helper->channel, timeout_ms, frame, &why) == CUSTOS_OK)
		return CUSTOS_OK;
	CUSTOS_FAIL_HINT(err, CUSTOS_E_SYSTEM, "try again; if it happens again, look for what the system did to custos-courier", "the process that %s has ended, or does not answer: %s", what, why.msg);
}

custos_rc custos_courier_meet(enum custos_courier_job job, struct custos_helper *ret_helper, struct custos_courier_met *ret_met, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	CUSTOS_TRY(custos_courier_start(ret_helper, ret_met->sha256, err));
	custos_wire_put_u8(&w, (uint8_t)job);
	custos_wire_put_u8(&w, 0);
	custos_wire_put_u8(&w, 0);
	custos_wire_put_bytes(&w, CUSTOS_BYTES(NULL, 0));
	custos_wire_put_bytes(&w, CUSTOS_BYTES(NULL, 0));
	custos_wire_put_u32(&w, 0);
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(custos_channel_send(&ret_helper->channel, CUSTOS_COURIER_SETUP, custos_buf_view(&body), -1, err));
	CUSTOS_TRY(custos_courier_hear(ret_helper, HELLO_MS, "was to be started", &frame, err));
	return custos_courier_take_hello(&frame, ret_met->point, &ret_met->memory_backend, err);
}

custos_rc custos_courier_take_refusal(const struct custos_frame *frame, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	uint8_t category = custos_wire_u8(&r);
	CUSTOS_AUTO_STR *why = custos_wire_text(&r);
	CUSTOS_AUTO_STR *hint = custos_wire_text(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEY_REFUSED", err));
	CUSTOS_AUTO_STR *said = custos_text_safe(CUSTOS_BYTES_STR(why), SAID_MAX);
	CUSTOS_AUTO_STR *advised = custos_text_safe(CUSTOS_BYTES_STR(hint), SAID_MAX);
	static const custos_rc known[] = { CUSTOS_E_POLICY, CUSTOS_E_AUTH, CUSTOS_E_TOKEN, CUSTOS_E_SYSTEM, CUSTOS_E_TAMPERED, CUSTOS_E_INTERNAL };
	custos_rc rc = CUSTOS_E_INPUT;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (category == (uint8_t)known[i])
			rc = known[i];
	return custos_err_set_hinted(err, rc, advised == NULL ? "" : advised, "%s", said == NULL ? "" : said);
}

custos_rc custos_courier_send_phrase(struct custos_helper *helper, const struct custos_courier_met *met, const struct custos_pin *source, const char *what, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO(custos_secret) *phrase = NULL;
	CUSTOS_AUTO_BUF sealed = { 0 };
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	CUSTOS_REQUIRE(source != NULL, err, CUSTOS_E_AUTH, "the %s is needed, and there is no way to ask for it", what);
	CUSTOS_TRY(source->get(source->ctx, what, &phrase, err));
	CUSTOS_TRY(custos_seal(phrase, met->point, point, &sealed, err));
	custos_wire_put_fixed(&w, point, sizeof point);
	custos_wire_put_bytes(&w, custos_buf_view(&sealed));
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&helper->channel, CUSTOS_COURIER_PHRASE, custos_buf_view(&body), -1, err);
}

custos_rc custos_courier_have_sealed(struct custos_helper *helper, const uint8_t token_point[static CUSTOS_POINT_SIZE], const char *what, uint8_t ret_point[static CUSTOS_POINT_SIZE],
                                     struct custos_buf *ret_sealed, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, token_point, CUSTOS_POINT_SIZE);
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(custos_channel_send(&helper->channel, CUSTOS_COURIER_SEAL_KEY, custos_buf_view(&body), -1, err));
	CUSTOS_TRY(custos_courier_hear(helper, SEAL_MS, what, &frame, err));
	if (frame.type == CUSTOS_COURIER_KEY_REFUSED)
		return custos_courier_take_refusal(&frame, err);
	CUSTOS_REQUIRE(frame.type == CUSTOS_COURIER_KEY_SEALED, err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame.type);
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	custos_wire_fixed(&r, ret_point, CUSTOS_POINT_SIZE);
	struct custos_bytes sealed = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEY_SEALED", err));
	return custos_buf_append(ret_sealed, sealed.ptr, sealed.len, err);
}
