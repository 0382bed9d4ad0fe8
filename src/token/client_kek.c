/* The KEK, keeper's side: making, opening, keeping, taking back, ending it, and moving keys from one to the next. A KEK is what opens its canary: whatever the token
 * says, a signature of the canary over a fresh challenge decides. */
#include "token/exchange.h"
#include "crypto/digest.h"
#include "crypto/verify.h"
#include "data/json.h"

#include <stdio.h>

static const char *const variants[] = { NULL, "local-only", "backed-up", "restored" };

const char *custos_kek_variant_name(enum custos_kek_variant variant)
{
	return variants[variant];
}

bool custos_kek_variant_parse(const char *name, enum custos_kek_variant *ret_variant)
{
	for (size_t i = 1; i < sizeof variants / sizeof *variants && name != NULL; i++) {
		if (strcmp(name, variants[i]) != 0)
			continue;
		*ret_variant = (enum custos_kek_variant)i;
		return true;
	}
	return false;
}

custos_rc custos_token_kek_create(struct custos_token *token, const uint8_t id[static 16], const char *label, enum custos_kek_birth birth, struct custos_json **ret_attributes,
                                  struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_text(&w, label);
	custos_wire_put_u8(&w, (uint8_t)birth);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_KEK_CREATE, CUSTOS_TOKEN_KEK_CREATED, -1, token->times.call_ms, "making the KEK" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	struct custos_bytes text = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEK_CREATED", err));
	return custos_json_parse(text, "KEK attributes", ret_attributes, err);
}

/* The canary and a fresh challenge for it. */
static custos_rc put_canary(struct custos_wire_out *w, const struct custos_token_kek *kek, uint8_t challenge[static CUSTOS_CHALLENGE_SIZE], struct custos_err *err)
{
	CUSTOS_AUTO_BUF raw = { .max = 256 };
	CUSTOS_TRY(custos_spki_raw(kek->canary_spki, &raw, err));
	CUSTOS_REQUIRE(raw.len == CUSTOS_POINT_SIZE, err, CUSTOS_E_INPUT, "the KEK's canary is not a P-256 key");
	CUSTOS_TRY(custos_random(challenge, CUSTOS_CHALLENGE_SIZE, err));
	custos_wire_put_bytes(w, kek->canary);
	custos_wire_put_bytes(w, kek->canary_spki);
	custos_wire_put_fixed(w, challenge, CUSTOS_CHALLENGE_SIZE);
	return w->rc;
}

static custos_rc prove_canary(const struct custos_token_kek *kek, const uint8_t *challenge, struct custos_bytes signature, struct custos_err *err)
{
	return custos_token_prove("the KEK's canary", kek->canary_spki, CUSTOS_KEY_EC_P256, challenge, signature, err);
}

custos_rc custos_token_kek_open(struct custos_token *token, const struct custos_token_kek *kek, struct custos_err *err)
{
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE];
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, kek->id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_u8(&w, (uint8_t)kek->variant);
	CUSTOS_TRY(put_canary(&w, kek, challenge, err));
	struct custos_exchange x = { CUSTOS_TOKEN_KEK_OPEN, CUSTOS_TOKEN_KEK_OPENED, -1, token->times.call_ms, "unwrapping the KEK's canary" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	struct custos_bytes signature = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEK_OPENED", err));
	return prove_canary(kek, challenge, signature, err);
}

/* What KEEP and RECEIVE have in common. */
static custos_rc have_taken(struct custos_token *token, const struct custos_exchange *x, const struct custos_token_kek *kek, const struct custos_buf *body, const uint8_t *challenge,
                            struct custos_json **ret_attributes, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(custos_token_call(token, x, custos_buf_view(body), &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	struct custos_bytes attributes = custos_wire_bytes(&r), signature = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEK_TAKEN", err));
	CUSTOS_TRY(prove_canary(kek, challenge, signature, err));
	return custos_json_parse(attributes, "KEK attributes", ret_attributes, err);
}

custos_rc custos_token_kek_keep(struct custos_token *token, const struct custos_token_kek *kek, struct custos_json **ret_attributes, struct custos_err *err)
{
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE];
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, kek->id, CUSTOS_TOKEN_ID_SIZE);
	CUSTOS_TRY(put_canary(&w, kek, challenge, err));
	struct custos_exchange x = { CUSTOS_TOKEN_KEK_KEEP, CUSTOS_TOKEN_KEK_TAKEN, -1, token->times.call_ms, "leaving the KEK on the token" };
	return have_taken(token, &x, kek, &body, challenge, ret_attributes, err);
}

custos_rc custos_token_kek_receive(struct custos_token *token, const struct custos_token_kek *kek, const struct custos_token_kek_delivery *delivery, struct custos_json **ret_attributes,
                                   struct custos_err *err)
{
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE];
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u8(&w, delivery->taking == CUSTOS_KEK_TAKE);
	custos_wire_put_fixed(&w, kek->id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_text(&w, delivery->label);
	custos_wire_put_fixed(&w, delivery->sender_point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, delivery->sealed);
	CUSTOS_TRY(put_canary(&w, kek, challenge, err));
	struct custos_exchange x = { CUSTOS_TOKEN_KEK_RECEIVE, CUSTOS_TOKEN_KEK_TAKEN, -1, token->times.call_ms, "taking a KEK out of its backup" };
	return have_taken(token, &x, kek, &body, challenge, ret_attributes, err);
}

custos_rc custos_token_kek_destroy(struct custos_token *token, const uint8_t id[static 16], struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, id, CUSTOS_TOKEN_ID_SIZE);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_KEK_DESTROY, CUSTOS_TOKEN_KEY_DESTROYED, -1, token->times.call_ms, "destroying a KEK" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	return custos_wire_end(&r, "KEY_DESTROYED", err);
}

custos_rc custos_token_key_rewrap(struct custos_token *token, const struct custos_token_kek *from, const struct custos_token_key_ref *key, struct custos_token_key *ret_key,
                                  struct custos_err *err)
{
	uint8_t challenges[2 * CUSTOS_CHALLENGE_SIZE];
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(custos_random(challenges, sizeof challenges, err));
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, from->id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_u8(&w, (uint8_t)from->variant);
	custos_wire_put_u8(&w, (uint8_t)key->type);
	custos_wire_put_bytes(&w, key->spki);
	custos_wire_put_bytes(&w, key->container);
	custos_wire_put_fixed(&w, challenges, sizeof challenges);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_KEY_REWRAP, CUSTOS_TOKEN_KEY_MADE, -1, token->times.call_ms, "moving a key to another KEK" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	return custos_token_take_moved(&frame, "the moved key", key, challenges, ret_key, err);
}
