/* Keys: making them, signing with them, and a second opinion in software on every signature the token gives. */
#include "token/exchange.h"
#include "crypto/digest.h"
#include "crypto/verify.h"
#include "data/json.h"

#include <stdio.h>

custos_rc custos_token_prove(const char *who, struct custos_bytes spki, enum custos_key_type type, const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE],
                             struct custos_bytes signature, struct custos_err *err)
{
	uint8_t text[CUSTOS_CHALLENGE_TEXT_SIZE];
	custos_challenge_text(challenge, text);
	return custos_verify(who, spki, custos_key_signature(type), CUSTOS_BYTES(text, sizeof text), signature, err);
}

bool custos_token_is_wrapped(struct custos_bytes wrapped)
{
	return wrapped.len >= 24 && wrapped.len % 8 == 0;
}

custos_rc custos_token_key_copy(enum custos_key_type type, struct custos_bytes spki, struct custos_bytes container, struct custos_token_key *ret_key, struct custos_err *err)
{
	struct custos_token_key key = { .type = type };
	custos_rc rc = custos_buf_append(&key.spki, spki.ptr, spki.len, err);
	if (rc == CUSTOS_OK)
		rc = custos_buf_append(&key.container, container.ptr, container.len, err);
	if (rc != CUSTOS_OK) {
		custos_token_key_done(&key);
		return rc;
	}
	*ret_key = key;
	return CUSTOS_OK;
}

/* Copies the one `bytes` field a reply consists of. */
static custos_rc take_bytes(const struct custos_frame *frame, const char *what, struct custos_buf *to, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_bytes b = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, what, err));
	return custos_buf_append(to, b.ptr, b.len, err);
}

/* What signs the log: Ed25519 or P-256, told by the length of the raw key, or RSA of 3072 bits. The canary is P-256. */
static custos_rc spki_type(struct custos_bytes spki, const char *what, enum custos_key_type *ret_type, struct custos_err *err)
{
	CUSTOS_AUTO_BUF raw = { .max = 256 };
	if (custos_spki_rsa_bits(spki) == 3072) {
		*ret_type = CUSTOS_KEY_RSA_3072;
		return CUSTOS_OK;
	}
	CUSTOS_TRY(custos_spki_raw(spki, &raw, err));
	CUSTOS_REQUIRE(raw.len == 32 || raw.len == CUSTOS_POINT_SIZE, err, CUSTOS_E_INPUT, "%s is neither an Ed25519 nor a P-256 key", what);
	*ret_type = raw.len == 32 ? CUSTOS_KEY_ED25519 : CUSTOS_KEY_EC_P256;
	return CUSTOS_OK;
}

/* What a new key has to show: its public half, a challenge signed when it was made and, for a container, one signed after it came out of it. */
static custos_rc take_key(const struct custos_frame *frame, enum custos_key_class class, enum custos_key_type wanted, const uint8_t *challenges, struct custos_token_key *ret_key,
                          struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	enum custos_key_type type = (enum custos_key_type)custos_wire_u8(&r);
	struct custos_bytes spki = custos_wire_bytes(&r), container = custos_wire_bytes(&r);
	struct custos_bytes made = custos_wire_bytes(&r), unwrapped = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEY_MADE", err));
	CUSTOS_REQUIRE(wanted == 0 || type == wanted, err, CUSTOS_E_TOKEN, "asked for %s, the token made %s", custos_key_type_name(wanted), custos_key_type_name(type));
	CUSTOS_TRY(custos_token_prove("the new key", spki, type, challenges, made, err));
	if (class == CUSTOS_CLASS_DEPLOYABLE) {
		CUSTOS_REQUIRE(custos_token_is_wrapped(container), err, CUSTOS_E_TOKEN, "the token returned a container of %zu bytes", container.len);
		CUSTOS_TRY(custos_token_prove("the new key, unwrapped again,", spki, type, challenges + CUSTOS_CHALLENGE_SIZE, unwrapped, err));
	} else {
		CUSTOS_REQUIRE(container.len == 0, err, CUSTOS_E_TOKEN, "the token wrapped a key that must not leave it");
	}
	return custos_token_key_copy(type, spki, container, ret_key, err);
}

/* Primes are found by luck: the time grows with about the fourth power of their length. */
int custos_token_generate_ms(const struct custos_token *token, enum custos_key_type type)
{
	return custos_key_type_bits(type) > 4096 ? 8 * token->times.generate_ms : token->times.generate_ms;
}

static custos_rc generate(struct custos_token *token, enum custos_key_type type, enum custos_key_class class, const uint8_t *id, const char *label, struct custos_token_key *ret_key,
                          struct custos_err *err)
{
	uint8_t challenges[2 * CUSTOS_CHALLENGE_SIZE];
	CUSTOS_TRY(custos_random(challenges, sizeof challenges, err));
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)type);
	custos_wire_put_u8(&w, (uint8_t)class);
	custos_wire_put_fixed(&w, id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_text(&w, label);
	custos_wire_put_fixed(&w, challenges, sizeof challenges);
	CUSTOS_TRY(w.rc);
	char doing[64];
	snprintf(doing, sizeof doing, "generating an %s key", custos_key_type_name(type));
	struct custos_exchange x = { CUSTOS_TOKEN_KEY_GENERATE, CUSTOS_TOKEN_KEY_MADE, -1, custos_token_generate_ms(token, type), doing };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	return take_key(&frame, class, type, challenges, ret_key, err);
}

custos_rc custos_token_key_generate(struct custos_token *token, enum custos_key_type type, struct custos_token_key *ret_key, struct custos_err *err)
{
	static const uint8_t no_id[CUSTOS_TOKEN_ID_SIZE];
	return generate(token, type, CUSTOS_CLASS_DEPLOYABLE, no_id, "", ret_key, err);
}

custos_rc custos_token_key_generate_sign_only(struct custos_token *token, enum custos_key_type type, const uint8_t id[static 16], const char *label, struct custos_token_key *ret_key,
                                              struct custos_err *err)
{
	return generate(token, type, CUSTOS_CLASS_SIGN_ONLY, id, label, ret_key, err);
}

custos_rc custos_token_log_key_create(struct custos_token *token, const uint8_t id[static 16], const char *label, struct custos_token_key *ret_key, struct custos_err *err)
{
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE];
	CUSTOS_TRY(custos_random(challenge, sizeof challenge, err));
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_text(&w, label);
	custos_wire_put_fixed(&w, challenge, sizeof challenge);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_LOG_KEY_CREATE, CUSTOS_TOKEN_KEY_MADE, -1, token->times.generate_ms, "making the log's key" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	return take_key(&frame, CUSTOS_CLASS_SIGN_ONLY, 0, challenge, ret_key, err);
}

static custos_rc sign_checkpoint(void *ctx, struct custos_bytes message, struct custos_buf *signature, struct custos_err *err)
{
	struct custos_token *token = ctx;
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_bytes(&w, message);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_LOG_SIGN, CUSTOS_TOKEN_SIGNED, -1, token->times.call_ms, "signing a checkpoint" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	return take_bytes(&frame, "SIGNED", signature, err);
}

custos_rc custos_token_log_signer(struct custos_token *token, const uint8_t id[static 16], struct custos_bytes spki, struct custos_signer *ret_signer, struct custos_err *err)
{
	enum custos_key_type type = CUSTOS_KEY_EC_P256;
	CUSTOS_TRY(spki_type(spki, "the log's key", &type, err));
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_bytes(&w, spki);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_LOG_OPEN, CUSTOS_TOKEN_LOG_OPENED, -1, token->times.call_ms, "finding the log's key" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	CUSTOS_TRY(custos_wire_end(&r, "LOG_OPENED", err));
	*ret_signer = (struct custos_signer){ .ctx = token, .algorithm = custos_key_signature(type), .spki = spki, .sign = sign_checkpoint };
	return CUSTOS_OK;
}

custos_rc custos_token_sign(struct custos_token *token, const struct custos_token_key_ref *key, enum custos_signature algorithm, struct custos_bytes message, struct custos_buf *signature,
                            struct custos_err *err)
{
	static const uint8_t no_id[CUSTOS_TOKEN_ID_SIZE];
	CUSTOS_REQUIRE(custos_key_signs_by(key->type, algorithm), err, CUSTOS_E_USAGE, "an %s key does not sign that way", custos_key_type_name(key->type));
	CUSTOS_REQUIRE(key->container.len > 0 || key->id != NULL, err, CUSTOS_E_INTERNAL, "a sign-only key without an id");
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)key->type);
	custos_wire_put_u8(&w, (uint8_t)algorithm);
	custos_wire_put_fixed(&w, key->id != NULL ? key->id : no_id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_bytes(&w, key->container);
	custos_wire_put_bytes(&w, key->spki);
	custos_wire_put_bytes(&w, message);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_SIGN, CUSTOS_TOKEN_SIGNED, -1, token->times.call_ms, "signing" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	CUSTOS_AUTO_BUF made = { .max = 4096 };
	CUSTOS_TRY(take_bytes(&frame, "SIGNED", &made, err));
	CUSTOS_TRY(custos_verify("the key", key->spki, algorithm, message, custos_buf_view(&made), err));
	return custos_buf_append(signature, made.ptr, made.len, err);
}

custos_rc custos_token_key_destroy(struct custos_token *token, const uint8_t id[static 16], struct custos_bytes spki, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, id, CUSTOS_TOKEN_ID_SIZE);
	custos_wire_put_bytes(&w, spki);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_KEY_DESTROY, CUSTOS_TOKEN_KEY_DESTROYED, -1, token->times.call_ms, "destroying a key" };
	return custos_token_call(token, &x, custos_buf_view(&body), &frame, err);
}
