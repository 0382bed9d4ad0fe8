/* Which KEK the token uses: the current one for what is new, and for a key the one it is under. */
#include "vault/kek.h"
#include "base/text.h"

void custos_loaded_kek_done(struct custos_loaded_kek *kek)
{
	custos_buf_done(&kek->canary);
	custos_buf_done(&kek->canary_spki);
}

custos_rc custos_vault_load_kek(struct custos_custody *c, const struct custos_json *record, struct custos_loaded_kek *ret_kek, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_loaded_kek_done) struct custos_loaded_kek kek = { 0 };
	const char *id = custos_json_text(record, "id");
	bool known = id != NULL && custos_text_unhex(id, kek.id, sizeof kek.id) && custos_kek_variant_parse(custos_json_text(record, "variant"), &kek.ref.variant);
	CUSTOS_REQUIRE(known, err, CUSTOS_E_TAMPERED, "the log does not name the KEK");
	CUSTOS_TRY(custos_vault_get_blob(c, "the KEK's canary", custos_json_text(record, "canary_sha256"), &kek.canary, err));
	CUSTOS_TRY(custos_vault_get_blob(c, "the canary's public key", custos_json_text(record, "canary_spki_sha256"), &kek.canary_spki, err));
	*ret_kek = kek;
	kek = (struct custos_loaded_kek){ 0 };
	ret_kek->ref.id = ret_kek->id;
	ret_kek->ref.canary = custos_buf_view(&ret_kek->canary);
	ret_kek->ref.canary_spki = custos_buf_view(&ret_kek->canary_spki);
	return CUSTOS_OK;
}

custos_rc custos_vault_open_kek(struct custos_custody *c, struct custos_token *token, int64_t generation, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_loaded_kek_done) struct custos_loaded_kek kek = { 0 };
	if (generation == 0 || generation == c->open_kek)
		return CUSTOS_OK;
	const struct custos_json *record = custos_state_kek_of(&c->state, generation);
	const char *state = custos_json_text(record, "state");
	CUSTOS_REQUIRE(state != NULL, err, CUSTOS_E_TAMPERED, "the log does not know KEK %lld", (long long)generation);
	if (strcmp(state, "current") != 0 && strcmp(state, "old") != 0 && strcmp(state, "retiring") != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "what was wrapped under it cannot be opened any more", "KEK %lld of this custody is %s", (long long)generation, state);
	CUSTOS_TRY(custos_vault_load_kek(c, record, &kek, err));
	c->open_kek = 0;
	CUSTOS_TRY(custos_token_kek_open(token, &kek.ref, err));
	c->open_kek = generation;
	return CUSTOS_OK;
}
