/* The token's part in the courier's tests: the way of transport that it is told, and a parcel sealed that way. */
#ifndef COURIER_TRANSPORT_H
#define COURIER_TRANSPORT_H

#include "courier_stage.h"
#include "transport_peer.h"

enum { ANSWER_MS = 60000 };

static inline void send_body(struct custos_helper *helper, uint8_t type, struct custos_buf *body, int fd)
{
	struct custos_err err = { 0 };
	if (custos_channel_send(&helper->channel, type, custos_buf_view(body), fd, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	custos_buf_done(body);
}

static inline void choose_transport(struct stage *s, struct custos_helper *helper)
{
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	struct custos_err err = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	if (s->transport == CUSTOS_TRANSPORT_ECDH_P256)
		return;
	custos_wire_put_u8(&w, (uint8_t)s->transport);
	send_body(helper, CUSTOS_COURIER_TRANSPORT, &body, -1);
	if (custos_channel_receive(&helper->channel, ANSWER_MS, &frame, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	assert_int_equal(frame.type, CUSTOS_COURIER_TRANSPORT_KEY);
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	struct custos_bytes spki = custos_wire_bytes(&r);
	assert_int_equal(custos_wire_end(&r, "TRANSPORT_KEY", &err), CUSTOS_OK);
	assert_int_equal(spki.len > 0, custos_transport_needs_key(s->transport));
	custos_buf_done(&s->transport_key);
	assert_int_equal(custos_buf_append(&s->transport_key, spki.ptr, spki.len, NULL), CUSTOS_OK);
}

/* What a token does for a transport that is not the plain one, and the INTENT that goes before it. */
static inline void seal_by_transport(const struct stage *s, struct custos_helper *helper, const uint8_t *courier_point, uint8_t *point, struct custos_buf *sealed)
{
	static const uint8_t intent[CUSTOS_HASH_SIZE] = "an intent", other[CUSTOS_HASH_SIZE] = "another intent";
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	struct peer_parcel *p = malloc(sizeof *p);
	uint8_t *der = NULL;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(s->new.key);
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	assert_non_null(p);
	assert_true(len > 0);
	if (s->downgraded || !custos_transport_needs_key(s->transport))
		peer_seal_agreed(courier_point, s->downgraded ? NULL : intent, der, (size_t)len, p);
	else
		peer_seal_to_key(s->transport, custos_buf_view(&s->transport_key), intent, der, (size_t)len, p);
	custos_wire_put_fixed(&w, s->other_intent ? other : intent, sizeof intent);
	custos_wire_put_bytes(&w, CUSTOS_BYTES(p->wrapping_key, p->wrapping_key_len));
	if (!s->no_intent)
		send_body(helper, CUSTOS_COURIER_INTENT, &body, -1);
	custos_buf_done(&body);
	memcpy(point, p->point, sizeof p->point);
	assert_int_equal(custos_buf_append(sealed, p->sealed, p->sealed_len, NULL), CUSTOS_OK);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
	free(p);
}

#endif
