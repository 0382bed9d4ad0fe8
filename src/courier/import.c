/* Adopting a private key from a file: decoded here, on locked memory and without a socket, sealed to the token, wiped. Nothing of it is sent to the keeper but its
 * public half and ciphertext. */
#include "courier/courier.h"

#include "crypto/key_file.h"
#include "memory/scrub.h"

/* Long enough for a key derivation that somebody meant well; a person may be asked for the pass phrase in between. */
enum { WATCH_S = 60, ANSWER_MS = 120000 };

custos_rc custos_courier_receive(struct custos_courier *c, uint8_t type, int timeout_ms, struct custos_frame *frame, struct custos_err *err)
{
	CUSTOS_TRY(custos_channel_receive(&c->channel, timeout_ms, frame, err));
	CUSTOS_REQUIRE(frame->type == type, err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame->type);
	return CUSTOS_OK;
}

static custos_rc ask_phrase(struct custos_courier *c, struct custos_secret **ret_phrase, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_TRY(custos_channel_send(&c->channel, CUSTOS_COURIER_NEED_PHRASE, CUSTOS_BYTES(NULL, 0), -1, err));
	CUSTOS_TRY(custos_courier_receive(c, CUSTOS_COURIER_PHRASE, -1, &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	custos_wire_fixed(&r, point, sizeof point);
	struct custos_bytes sealed = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "PHRASE", err));
	return custos_unseal(c->ephemeral, point, sealed, ret_phrase, err);
}

static custos_rc read_key(struct custos_courier *c, int fd, struct custos_secret **ret_pkcs8, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *file = NULL;
	CUSTOS_AUTO(custos_secret) *phrase = NULL;
	bool encrypted = false;
	CUSTOS_TRY(custos_courier_read_file(fd, "it", CUSTOS_E_INPUT, &file, err));
	custos_courier_watch(WATCH_S);
	CUSTOS_TRY(custos_key_file_read(file, NULL, &encrypted, ret_pkcs8, spki, err));
	custos_courier_watch(0);
	if (!encrypted)
		return CUSTOS_OK;
	CUSTOS_TRY(ask_phrase(c, &phrase, err));
	custos_courier_watch(WATCH_S);
	CUSTOS_TRY(custos_key_file_read(file, phrase, &encrypted, ret_pkcs8, spki, err));
	CUSTOS_REQUIRE(!encrypted, err, CUSTOS_E_INTERNAL, "it asks for a pass phrase that was given");
	return CUSTOS_OK;
}

custos_rc custos_courier_read_key(struct custos_courier *c, int fd, struct custos_secret **ret_pkcs8, struct custos_buf *spki, struct custos_err *err)
{
	custos_rc rc = read_key(c, fd, ret_pkcs8, spki, err);
	custos_courier_watch(0);
	custos_scrub_stack();
	custos_scrub_registers();
	return rc;
}

custos_rc custos_courier_refuse(struct custos_courier *c, const struct custos_err *why, struct custos_err *err)
{
	/* a keeper that has gone wants to hear nothing */
	if (custos_courier_is_alone(c))
		return CUSTOS_OK;
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)why->rc);
	custos_wire_put_text(&w, why->msg);
	custos_wire_put_text(&w, why->hint);
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&c->channel, CUSTOS_COURIER_KEY_REFUSED, custos_buf_view(&body), -1, err);
}

custos_rc custos_courier_seal_to_token(struct custos_courier *c, struct custos_secret **secret, int timeout_ms, struct custos_err *err)
{
	uint8_t token_point[CUSTOS_POINT_SIZE], point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_AUTO_BUF sealed = { 0 };
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_TRY(custos_courier_receive(c, CUSTOS_COURIER_SEAL_KEY, timeout_ms, &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	custos_wire_fixed(&r, token_point, sizeof token_point);
	CUSTOS_TRY(custos_wire_end(&r, "SEAL_KEY", err));
	custos_rc rc = custos_seal(*secret, token_point, point, &sealed, err);
	custos_secret_free(CUSTOS_TAKE(*secret));
	CUSTOS_TRY(rc);
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, point, sizeof point);
	custos_wire_put_bytes(&w, custos_buf_view(&sealed));
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&c->channel, CUSTOS_COURIER_KEY_SEALED, custos_buf_view(&body), -1, err);
}

static custos_rc hand_over(struct custos_courier *c, struct custos_secret **pkcs8, struct custos_bytes spki, struct custos_err *err)
{
	CUSTOS_AUTO_BUF public_half = { 0 };
	struct custos_wire_out w = { .buf = &public_half, .err = err };
	custos_wire_put_bytes(&w, spki);
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(custos_channel_send(&c->channel, CUSTOS_COURIER_KEY_READ, custos_buf_view(&public_half), -1, err));
	/* meanwhile the keeper logs the intent */
	return custos_courier_seal_to_token(c, pkcs8, ANSWER_MS, err);
}

custos_rc custos_courier_import(struct custos_courier *c, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	CUSTOS_AUTO_BUF spki = { .max = 4096 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_err why = { 0 };
	CUSTOS_TRY(custos_courier_receive(c, CUSTOS_COURIER_READ_KEY, ANSWER_MS, &frame, err));
	custos_rc rc = custos_courier_read_key(c, frame.fd, &pkcs8, &spki, &why);
	if (rc != CUSTOS_OK)
		return custos_courier_refuse(c, &why, err);
	rc = hand_over(c, &pkcs8, custos_buf_view(&spki), err);
	if (custos_courier_is_alone(c))
		return CUSTOS_OK;
	CUSTOS_TRY(rc);
	return custos_courier_send_bye(c, err);
}
