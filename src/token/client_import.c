/* A key that was not born here, keeper's side: what the token says of it is believed as little as of a new one. */
#include "token/exchange.h"
#include "crypto/digest.h"

#include <stdio.h>

custos_rc custos_token_import_begin(struct custos_token *token, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_exchange x = { CUSTOS_TOKEN_IMPORT_BEGIN, CUSTOS_TOKEN_IMPORT_POINT, -1, token->times.call_ms, "making a pair for an import" };
	CUSTOS_TRY(custos_token_call(token, &x, CUSTOS_BYTES(NULL, 0), &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	custos_wire_fixed(&r, point, sizeof point);
	CUSTOS_TRY(custos_wire_end(&r, "IMPORT_POINT", err));
	memcpy(ret_point, point, sizeof point);
	return CUSTOS_OK;
}

custos_rc custos_token_take_moved(const struct custos_frame *frame, const char *who, const struct custos_token_key_ref *key, const uint8_t challenges[static 2 * CUSTOS_CHALLENGE_SIZE],
                                  struct custos_token_key *ret_key, struct custos_err *err)
{
	char again[128];
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	enum custos_key_type type = (enum custos_key_type)custos_wire_u8(&r);
	struct custos_bytes spki = custos_wire_bytes(&r), container = custos_wire_bytes(&r);
	struct custos_bytes before = custos_wire_bytes(&r), after = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEY_MADE", err));
	CUSTOS_REQUIRE(type == key->type && custos_bytes_equal(spki, key->spki), err, CUSTOS_E_TOKEN, "the token speaks of another key than %s", who);
	CUSTOS_REQUIRE(custos_token_is_wrapped(container), err, CUSTOS_E_TOKEN, "the token returned a container of %zu bytes", container.len);
	CUSTOS_TRY(custos_token_prove(who, key->spki, key->type, challenges, before, err));
	snprintf(again, sizeof again, "%s, unwrapped again,", who);
	CUSTOS_TRY(custos_token_prove(again, key->spki, key->type, challenges + CUSTOS_CHALLENGE_SIZE, after, err));
	return custos_token_key_copy(type, spki, container, ret_key, err);
}

custos_rc custos_token_import(struct custos_token *token, const struct custos_token_import *import, struct custos_token_key *ret_key, struct custos_err *err)
{
	uint8_t challenges[2 * CUSTOS_CHALLENGE_SIZE];
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(custos_random(challenges, sizeof challenges, err));
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)import->type);
	custos_wire_put_bytes(&w, import->spki);
	custos_wire_put_fixed(&w, import->courier_point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, import->sealed);
	custos_wire_put_fixed(&w, challenges, sizeof challenges);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_IMPORT, CUSTOS_TOKEN_KEY_MADE, -1, token->times.call_ms, "importing a key" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	const struct custos_token_key_ref imported = { .type = import->type, .spki = import->spki };
	return custos_token_take_moved(&frame, "the imported key", &imported, challenges, ret_key, err);
}
