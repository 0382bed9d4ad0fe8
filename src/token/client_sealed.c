/* The key that content keys are sealed to, keeper's side. What custos-token says of it is not believed: a container that was sealed to another key does not open. */
#include "token/exchange.h"
#include "crypto/sealed_container.h"
#include "data/json.h"

void custos_token_sealing_done(struct custos_token_sealing *sealing)
{
	custos_buf_done(&sealing->spki);
	custos_json_free(sealing->attributes);
	*sealing = (struct custos_token_sealing){ 0 };
}

static custos_rc take_sealing(const struct custos_frame *frame, struct custos_token_sealing *out, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	out->method = custos_wire_u8(&r);
	struct custos_bytes spki = custos_wire_bytes(&r), attributes = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "SEALING_CREATED", err));
	CUSTOS_REQUIRE(out->method <= CUSTOS_SEALING_ECDH_P256 && (out->method == CUSTOS_SEALING_NONE) == (spki.len == 0), err, CUSTOS_E_TOKEN, "custos-token made a sealing key that is none");
	if (out->method == CUSTOS_SEALING_NONE)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_buf_append(&out->spki, spki.ptr, spki.len, err));
	return custos_json_parse(attributes, "attributes of the sealing key", &out->attributes, err);
}

custos_rc custos_token_sealing_create(struct custos_token *token, const uint8_t id[static 16], const char *label, struct custos_token_sealing *ret_sealing, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_CLEANUP(custos_token_sealing_done) struct custos_token_sealing sealing = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_text(&w, label);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_SEALING_CREATE, CUSTOS_TOKEN_SEALING_CREATED, -1, token->times.generate_ms, "making the sealing key" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	CUSTOS_TRY(take_sealing(&frame, &sealing, err));
	*ret_sealing = sealing;
	sealing = (struct custos_token_sealing){ 0 };
	return CUSTOS_OK;
}

custos_rc custos_token_sealing_open(struct custos_token *token, const uint8_t id[static 16], unsigned method, struct custos_bytes spki, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_u8(&w, (uint8_t)method);
	custos_wire_put_bytes(&w, spki);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_SEALING_OPEN, CUSTOS_TOKEN_SEALING_OPENED, -1, token->times.call_ms, "trying the sealing key" };
	return custos_token_call(token, &x, custos_buf_view(&body), &frame, err);
}
