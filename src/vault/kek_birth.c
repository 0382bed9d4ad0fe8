/* The next KEK: intent, key and canary, backup, onto the token, the entry that makes it the current one. Nobody uses it before that entry, so whatever an attempt that came to
 * nothing has left is destroyed by the next one. */
#include "vault/kek.h"
#include "base/text.h"
#include "crypto/digest.h"

#include <stdio.h>

struct kek_birth {
	struct custos_custody *c;
	struct custos_token *token;
	struct custos_keeper_of_backup *keeper;  /* NULL without a backup */
	const char *reason;
	int64_t generation;
	uint64_t intent;
	uint8_t id[16];
	char id_hex[33], label[80];
	struct custos_token_key canary;
	struct custos_json *attributes, *kept_by;
};

static void kek_birth_done(struct kek_birth *b)
{
	custos_token_key_done(&b->canary);
	custos_json_free(b->attributes);
	custos_json_free(b->kept_by);
}

/* What the log says was begun and not finished has made no entry that anything rests on. */
static custos_rc clear_away(struct kek_birth *b, struct custos_err *err)
{
	uint8_t id[16];
	const char *hex = custos_json_text(custos_json_get(b->c->state.binding, "kek_intent"), "id");
	if (hex == NULL)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(custos_text_unhex(hex, id, sizeof id), err, CUSTOS_E_TAMPERED, "the log names an unusable KEK id");
	return custos_token_kek_destroy(b->token, id, err);
}

static custos_rc record_intent(struct kek_birth *b, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	CUSTOS_TRY(custos_random(b->id, sizeof b->id, err));
	custos_text_hex(b->id, sizeof b->id, b->id_hex);
	snprintf(b->label, sizeof b->label, "custos-kek-%.8s", b->id_hex);
	b->generation = (int64_t)custos_json_count(b->c->state.keks) + 1;
	custos_json_set_int(fields, "generation", b->generation);
	custos_json_set_text(fields, "id", b->id_hex);
	custos_json_set_text(fields, "label", b->label);
	custos_json_set_bool(fields, "backup", b->keeper != NULL);
	if (b->reason != NULL)
		custos_json_set_text(fields, "reason", b->reason);
	return custos_vault_record(b->c, "kek.generate_intent", fields, &b->intent, err);
}

static custos_rc make(struct kek_birth *b, struct custos_err *err)
{
	/* from here on the token uses a KEK that the log does not know yet */
	b->c->open_kek = 0;
	CUSTOS_TRY(custos_token_kek_create(b->token, b->id, b->label, b->keeper != NULL ? CUSTOS_KEK_BORN_FOR_BACKUP : CUSTOS_KEK_BORN_LOCAL, &b->attributes, err));
	CUSTOS_TRY(custos_token_key_generate(b->token, CUSTOS_KEY_EC_P256, &b->canary, err));
	struct custos_token_kek kek = { CUSTOS_KEK_LOCAL_ONLY, b->id, custos_buf_view(&b->canary.container), custos_buf_view(&b->canary.spki) };
	if (b->keeper == NULL)
		return custos_token_kek_open(b->token, &kek, err);
	kek.variant = CUSTOS_KEK_BACKED_UP;
	const struct custos_unkept_kek unkept = { b->generation, (int64_t)b->intent, b->label, b->id_hex, &b->canary, kek };
	CUSTOS_TRY(custos_backup_take(b->keeper, &unkept, &b->kept_by, err));
	custos_json_free(b->attributes);
	b->attributes = NULL;
	return custos_token_kek_keep(b->token, &kek, &b->attributes, err);
}

static custos_rc append(struct kek_birth *b, struct custos_err *err)
{
	struct custos_custody *c = b->c;
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_int(fields, "intent", (int64_t)b->intent);
	custos_json_set_int(fields, "generation", b->generation);
	custos_json_set_text(fields, "id", b->id_hex);
	custos_json_set_text(fields, "label", b->label);
	custos_json_set_text(fields, "variant", b->keeper != NULL ? "backed-up" : "local-only");
	custos_json_set(fields, "attributes", custos_json_ref(b->attributes));
	if (b->kept_by != NULL)
		custos_json_set(fields, "backup", custos_json_ref(b->kept_by));
	CUSTOS_TRY(custos_vault_put_blob(c, "container", custos_buf_view(&b->canary.container), hash, err));
	custos_json_set_hex(fields, "canary_sha256", hash, sizeof hash);
	CUSTOS_TRY(custos_vault_put_blob(c, "spki", custos_buf_view(&b->canary.spki), hash, err));
	custos_json_set_hex(fields, "canary_spki_sha256", hash, sizeof hash);
	CUSTOS_TRY(custos_vault_append(c, "kek.generated", fields, NULL, err));
	return custos_vault_commit(c, err);
}

static custos_rc record(struct kek_birth *b, struct custos_err *err)
{
	CUSTOS_TRY(custos_vault_begin(b->c, err));
	custos_rc rc = append(b, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(b->c);
		return rc;
	}
	b->c->open_kek = b->generation;
	return CUSTOS_OK;
}

custos_rc custos_kek_bear(struct custos_custody *c, struct custos_keeper_of_backup *keeper, const char *reason, struct custos_err *err)
{
	CUSTOS_CLEANUP(kek_birth_done) struct kek_birth b = { .c = c, .keeper = keeper, .reason = reason };
	CUSTOS_TRY(custos_vault_token(c, &b.token, err));
	CUSTOS_TRY(clear_away(&b, err));
	CUSTOS_TRY(record_intent(&b, err));
	CUSTOS_TRY(make(&b, err));
	return record(&b, err);
}
