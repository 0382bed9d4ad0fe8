/* Requests that concern sealed keys, decoded and answered: see serve.c. */
#include "token/serve.h"
#include "data/json.h"
#include "token/keys.h"


custos_rc custos_serve_sealing_create(struct custos_session *session, struct custos_wire *in, struct custos_wire_out *out)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE];
	CUSTOS_CLEANUP(custos_made_sealing_done) struct custos_made_sealing made = { 0 };
	CUSTOS_AUTO_BUF line = { 0 };
	custos_wire_fixed(in, id, sizeof id);
	CUSTOS_AUTO_STR *label = custos_wire_text(in);
	CUSTOS_TRY(custos_wire_end(in, "SEALING_CREATE", out->err));
	CUSTOS_TRY(custos_sealing_create(session, CUSTOS_BYTES(id, sizeof id), CUSTOS_BYTES_STR(label), &made, out->err));
	if (made.attributes != NULL)
		CUSTOS_TRY(custos_json_line(made.attributes, &line, out->err));
	custos_wire_put_u8(out, (uint8_t)made.method);
	custos_wire_put_bytes(out, custos_buf_view(&made.spki));
	custos_wire_put_bytes(out, custos_buf_view(&line));
	return out->rc;
}

custos_rc custos_serve_sealing_open(struct custos_session *session, struct custos_wire *in, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE];
	struct custos_sealing_key key = { 0 };
	custos_wire_fixed(in, id, sizeof id);
	key.method = (enum custos_sealing)custos_wire_u8(in);
	key.spki = custos_wire_bytes(in);
	CUSTOS_TRY(custos_wire_end(in, "SEALING_OPEN", err));
	return custos_sealing_open(session, CUSTOS_BYTES(id, sizeof id), &key, err);
}

custos_rc custos_serve_release_sealed(struct custos_session *session, struct custos_wire *in, struct custos_wire_out *out)
{
	uint8_t token_point[CUSTOS_POINT_SIZE];
	struct custos_evidence evidence;
	struct custos_guard_claim claim = { .transport = CUSTOS_TRANSPORT_ECDH_P256 };
	CUSTOS_AUTO_BUF sealed = { 0 };
	claim.kind = (enum custos_intent_kind)custos_wire_u8(in);
	CUSTOS_REQUIRE(claim.kind == CUSTOS_INTENT_RELEASE || claim.kind == CUSTOS_INTENT_OPENING, out->err, CUSTOS_E_INTERNAL, "RELEASE_SEALED message makes no sense");
	claim.container = custos_wire_bytes(in);
	CUSTOS_TRY(custos_serve_evidence(in, &evidence, &claim, out->err));
	CUSTOS_TRY(custos_wire_end(in, "RELEASE_SEALED", out->err));
	CUSTOS_TRY(custos_sealed_release(session, &claim, token_point, &sealed, out->err));
	custos_wire_put_fixed(out, token_point, sizeof token_point);
	custos_wire_put_bytes(out, custos_buf_view(&sealed));
	return out->rc;
}
