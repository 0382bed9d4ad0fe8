/* The token's sealing key in a custody's life: made with it, named in the genesis, tried before it is used. See sealed.h. */
#include "vault/sealed.h"
#include "base/text.h"
#include "crypto/digest.h"

#include <stdio.h>

void custos_sealing_birth_done(struct custos_sealing_birth *birth)
{
	custos_token_sealing_done(&birth->made);
}

custos_rc custos_sealing_make(struct custos_token *token, const char *suffix, struct custos_sealing_birth *ret_birth, struct custos_err *err)
{
	struct custos_sealing_birth *b = ret_birth;
	CUSTOS_TRY(custos_random(b->id, sizeof b->id, err));
	/* named before it is made: what fails half-way may have left it on the token */
	snprintf(b->label, sizeof b->label, "custos-seal-%s", suffix);
	CUSTOS_TRY(custos_token_sealing_create(token, b->id, b->label, &b->made, err));
	if (b->made.method == CUSTOS_SEALING_NONE)
		b->label[0] = '\0';
	return CUSTOS_OK;
}

custos_rc custos_sealing_describe(struct custos_custody *c, const struct custos_sealing_birth *birth, struct custos_json *genesis, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	custos_json_set(genesis, "sealing_key", NULL);
	if (birth->made.method == CUSTOS_SEALING_NONE)
		return CUSTOS_OK;
	struct custos_json *said = custos_json_object();
	custos_json_set(genesis, "sealing_key", said);
	CUSTOS_TRY(custos_vault_put_blob(c, "spki", custos_buf_view(&birth->made.spki), hash, err));
	custos_json_set_hex(said, "id", birth->id, sizeof birth->id);
	custos_json_set_text(said, "label", birth->label);
	custos_json_set_text(said, "method", custos_sealing_name((enum custos_sealing)birth->made.method));
	custos_json_set_hex(said, "spki_sha256", hash, sizeof hash);
	custos_json_set(said, "attributes", custos_json_ref(birth->made.attributes));
	return CUSTOS_OK;
}

const struct custos_json *custos_sealing_of(const struct custos_custody *c)
{
	const struct custos_json *sealing = custos_json_get(c->state.genesis, "sealing_key");
	return custos_json_is_object(sealing) ? sealing : NULL;
}

custos_rc custos_sealing_public(struct custos_custody *c, struct custos_buf *spki, struct custos_sealing_key *ret_key, struct custos_err *err)
{
	const struct custos_json *sealing = custos_sealing_of(c);
	struct custos_sealing_key key = { 0 };
	CUSTOS_REQUIRE(sealing != NULL && custos_sealing_parse(custos_json_text(sealing, "method"), &key.method), err, CUSTOS_E_TAMPERED,
	               "the genesis entry does not name a sealing key that is known here");
	CUSTOS_TRY(custos_vault_get_blob(c, "the sealing key's public half", custos_json_text(sealing, "spki_sha256"), spki, err));
	key.spki = custos_buf_view(spki);
	*ret_key = key;
	return CUSTOS_OK;
}

/* It was made once, with the custody, and is on that token and no other. */
custos_rc custos_sealing_is_here(const struct custos_custody *c, struct custos_err *err)
{
	const struct custos_json *first = custos_json_get(c->state.genesis, "token");
	const char *serial = custos_json_text(first, "serial"), *label = custos_json_text(first, "label");
	if (serial == NULL || strcmp(serial, c->binding.serial) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "have a new key made: `custos key generate`, deployable or sign-only",
		                 "the sealing key of this custody stayed on token “%s”", label == NULL ? "?" : label);
	return CUSTOS_OK;
}

custos_rc custos_sealing_open(struct custos_custody *c, struct custos_token *token, struct custos_err *err)
{
	uint8_t id[16];
	CUSTOS_AUTO_BUF spki = { 0 };
	struct custos_sealing_key key;
	if (c->sealing_is_open)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_sealing_is_here(c, err));
	const char *hex = custos_json_text(custos_sealing_of(c), "id");
	CUSTOS_REQUIRE(hex != NULL && custos_text_unhex(hex, id, sizeof id), err, CUSTOS_E_TAMPERED, "the genesis entry does not name the sealing key");
	CUSTOS_TRY(custos_sealing_public(c, &spki, &key, err));
	CUSTOS_TRY(custos_token_sealing_open(token, id, key.method, key.spki, err));
	c->sealing_is_open = true;
	return CUSTOS_OK;
}
