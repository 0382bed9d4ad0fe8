/* How the key comes: said before anything is connected, and no other way is taken afterwards. What is bound to the intent opens with that intent's hash only, so a
 * parcel of another release, or one that was wrapped before anything was logged, does not. */
#include "courier/courier.h"

custos_rc custos_courier_take_transport(struct custos_courier *c, const struct custos_frame *frame, struct custos_err *err)
{
	CUSTOS_AUTO_BUF spki = { .max = 4096 };
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	uint8_t transport = custos_wire_u8(&r);
	CUSTOS_TRY(custos_wire_end(&r, "TRANSPORT", err));
	bool fits = c->job == CUSTOS_JOB_DEPLOY && !c->has_transport && transport != CUSTOS_TRANSPORT_ECDH_P256 && transport < CUSTOS_TRANSPORT_COUNT;
	CUSTOS_REQUIRE(fits, err, CUSTOS_E_INTERNAL, "TRANSPORT message makes no sense");
	c->has_transport = true;
	c->transport = (enum custos_transport)transport;
	if (custos_transport_needs_key(c->transport))
		CUSTOS_TRY(custos_transport_key_new(&c->transport_key, &spki, err));
	custos_wire_put_bytes(&w, custos_buf_view(&spki));
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&c->channel, CUSTOS_COURIER_TRANSPORT_KEY, custos_buf_view(&body), -1, err);
}

custos_rc custos_courier_take_intent(struct custos_courier *c, const struct custos_frame *frame, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	custos_wire_fixed(&r, c->intent_hash, sizeof c->intent_hash);
	struct custos_bytes wrapping_key = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "INTENT", err));
	bool fits = c->has_transport && !c->has_intent && (wrapping_key.len > 0) == custos_transport_needs_key(c->transport);
	CUSTOS_REQUIRE(fits, err, CUSTOS_E_INTERNAL, "INTENT message makes no sense");
	c->has_intent = true;
	return custos_buf_append(&c->wrapping_key, wrapping_key.ptr, wrapping_key.len, err);
}

custos_rc custos_courier_unseal(struct custos_courier *c, const uint8_t token_point[static CUSTOS_POINT_SIZE], struct custos_bytes wrapped, struct custos_secret **ret_der, struct custos_err *err)
{
	CUSTOS_REQUIRE(c->has_intent == c->has_transport, err, CUSTOS_E_TAMPERED, "a key came without the intent it is bound to");
	if (!c->has_transport)
		return custos_unseal(c->ephemeral, token_point, wrapped, ret_der, err);
	if (!custos_transport_needs_key(c->transport))
		return custos_unseal_bound(c->ephemeral, token_point, c->intent_hash, wrapped, ret_der, err);
	const struct custos_transport_parcel parcel = { c->transport, custos_buf_view(&c->wrapping_key), wrapped, c->intent_hash };
	return custos_transport_key_open(c->transport_key, &parcel, ret_der, err);
}
