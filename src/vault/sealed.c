/* The birth of a sealed key: a courier makes it and seals it to the token's sealing key; what comes back is looked at, opened once more to prove itself, and only
 * then the key is in the log, as one that was born in a courier. */
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/verify.h"
#include "token/wire_info.h"
#include "vault/sealed.h"
#include "x509/cert.h"

#include <stdio.h>

struct birth {
	struct custos_custody *c;
	const char *name;
	enum custos_key_type type;
	struct custos_buf spki, container;
	uint8_t courier_sha256[CUSTOS_HASH_SIZE];
	char *memory_backend;
};

static void birth_done(struct birth *b)
{
	custos_buf_done(&b->spki);
	custos_buf_done(&b->container);
	free(b->memory_backend);
}

bool custos_key_is_sealed(const struct custos_json *record)
{
	const char *class = custos_json_text(record, "class");
	return class != NULL && strcmp(class, "sealed") == 0;
}

custos_rc custos_sealed_check(const struct custos_custody *c, enum custos_key_type type, struct custos_err *err)
{
	const char *label = custos_json_text(custos_json_get(c->state.genesis, "token"), "label");
	if (custos_sealing_of(c) == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "take --class sign-only, or make a new custody on a token that can", "this custody has no sealing key on token “%s”", label == NULL ? "" : label);
	CUSTOS_TRY(custos_sealing_is_here(c, err));
	/* the latter would keep a courier waiting for minutes */
	if (type == CUSTOS_KEY_ED25519 || type == CUSTOS_KEY_RSA_8192)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, type == CUSTOS_KEY_ED25519 ? "take ec-p256, or --class sign-only" : "take rsa-6144, or --class sign-only",
		                 "%s keys cannot be sealed", custos_key_type_name(type));
	return CUSTOS_OK;
}

/* The container says of itself what was asked for, and of the public key what came with it. */
static custos_rc check_container(const struct birth *b, const struct custos_sealing_key *sealing, struct custos_err *err)
{
	struct custos_sealed_container parsed;
	uint8_t spki[CUSTOS_HASH_SIZE], to[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_BUF type = { 0 };
	CUSTOS_TRY(custos_sealed_container_parse(custos_buf_view(&b->container), &parsed, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&b->spki), spki, err));
	CUSTOS_TRY(custos_sha256(sealing->spki, to, err));
	CUSTOS_TRY(custos_spki_key_type(custos_buf_view(&b->spki), &type, err));
	bool same = strcmp(parsed.name.origin, b->c->binding.origin) == 0 && strcmp(parsed.name.key, b->name) == 0 && strcmp(parsed.name.type, custos_key_type_name(b->type)) == 0 &&
	            strcmp((const char *)type.ptr, parsed.name.type) == 0 && memcmp(parsed.name.spki_sha256, spki, sizeof spki) == 0 && memcmp(parsed.sealing_sha256, to, sizeof to) == 0 &&
	            parsed.method == sealing->method;
	CUSTOS_REQUIRE(same, err, CUSTOS_E_INTERNAL, "the courier has made another key than it was asked for");
	return CUSTOS_OK;
}

static custos_rc take_key(struct birth *b, const struct custos_frame *frame, const struct custos_sealing_key *sealing, struct custos_bytes text, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_bytes spki = custos_wire_bytes(&r), container = custos_wire_bytes(&r), signature = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEY_BORN", err));
	CUSTOS_TRY(custos_buf_append(&b->spki, spki.ptr, spki.len, err));
	CUSTOS_TRY(custos_buf_append(&b->container, container.ptr, container.len, err));
	CUSTOS_TRY(check_container(b, sealing, err));
	return custos_verify("the new key", spki, custos_key_signature(b->type), text, signature, err);
}

static custos_rc ask_for_key(struct birth *b, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_sealed_courier_done) struct custos_sealed_courier courier = { .helper = { .channel = { .fd = -1 } } };
	CUSTOS_AUTO_BUF sealing_spki = { 0 };
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_sealing_key sealing;
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE], text[CUSTOS_CHALLENGE_TEXT_SIZE];
	CUSTOS_TRY(custos_sealing_public(b->c, &sealing_spki, &sealing, err));
	CUSTOS_TRY(custos_random(challenge, sizeof challenge, err));
	custos_challenge_text(challenge, text);
	CUSTOS_TRY(custos_courier_meet(CUSTOS_JOB_BIRTH, &courier.helper, &courier.met, err));
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_text(&w, b->c->binding.origin);
	custos_wire_put_text(&w, b->name);
	custos_wire_put_text(&w, custos_key_type_name(b->type));
	custos_wire_put_u8(&w, (uint8_t)sealing.method);
	custos_wire_put_bytes(&w, sealing.spki);
	custos_wire_put_bytes(&w, CUSTOS_BYTES(text, sizeof text));
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(custos_sealed_courier_ask(&courier, CUSTOS_COURIER_BEAR_KEY, &body, CUSTOS_COURIER_KEY_BORN, &frame, err));
	CUSTOS_TRY(take_key(b, &frame, &sealing, CUSTOS_BYTES(text, sizeof text), err));
	memcpy(b->courier_sha256, courier.met.sha256, sizeof b->courier_sha256);
	b->memory_backend = CUSTOS_TAKE(courier.met.memory_backend);
	return CUSTOS_OK;
}

/* Out of its container, by the token that is to open it for years. */
static custos_rc prove(const struct birth *b, struct custos_err *err)
{
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE], text[CUSTOS_CHALLENGE_TEXT_SIZE];
	CUSTOS_AUTO_BUF signature = { 0 };
	const struct custos_token_key_ref ref = { .type = b->type, .spki = custos_buf_view(&b->spki), .container = custos_buf_view(&b->container) };
	const struct custos_vault_use use = { b->name, "birth", custos_key_signature(b->type) };
	CUSTOS_TRY(custos_random(challenge, sizeof challenge, err));
	custos_challenge_text(challenge, text);
	return custos_sealed_sign(b->c, &ref, &use, CUSTOS_BYTES(text, sizeof text), &signature, err);
}

static custos_rc acknowledge(const struct birth *b, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_text(fields, "key", b->name);
	custos_json_set_text(fields, "type", custos_key_type_name(b->type));
	custos_json_set_text(fields, "class", "sealed");
	custos_json_set_text(fields, "born", "courier");
	custos_json_set_hex(fields, "courier_sha256", b->courier_sha256, sizeof b->courier_sha256);
	custos_json_set_text(fields, "memory", b->memory_backend);
	CUSTOS_TRY(custos_vault_put_blob(b->c, "spki", custos_buf_view(&b->spki), hash, err));
	custos_json_set_hex(fields, "spki_sha256", hash, sizeof hash);
	CUSTOS_TRY(custos_vault_put_blob(b->c, "container", custos_buf_view(&b->container), hash, err));
	custos_json_set_hex(fields, "container_sha256", hash, sizeof hash);
	/* somebody may have taken the name meanwhile */
	CUSTOS_REQUIRE(custos_state_key(&b->c->state, b->name) == NULL, err, CUSTOS_E_POLICY, "there is a key named %s already", b->name);
	CUSTOS_TRY(custos_vault_append(b->c, "key.generate", fields, NULL, err));
	return custos_vault_commit(b->c, err);
}

custos_rc custos_sealed_generate(struct custos_custody *c, const char *name, enum custos_key_type type, struct custos_err *err)
{
	CUSTOS_CLEANUP(birth_done) struct birth b = { .c = c, .name = name, .type = type };
	struct custos_token *token;
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	CUSTOS_TRY(custos_sealing_open(c, token, err));
	CUSTOS_TRY(ask_for_key(&b, err));
	CUSTOS_TRY(prove(&b, err));
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = acknowledge(&b, err);
	if (rc != CUSTOS_OK)
		custos_vault_abort(c);
	return rc;
}
