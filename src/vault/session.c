/* The one way to change a custody: under the store's write lock, through the log, signed by the token.
 * The token is opened and logged in when it is first needed; a refused PIN is recorded although nothing can be signed then. */
#include "vault/vault.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "vault/kek.h"
#include "vault/login.h"
#include "vault/release.h"
#include "vault/snapshot.h"

#include <stdio.h>

custos_rc custos_vault_begin(struct custos_custody *c, struct custos_err *err)
{
	CUSTOS_TRY(custos_store_begin(c->store, err));
	uint64_t count = 0;
	custos_rc rc = custos_store_entry_count(c->store, &count, err);
	/* somebody else appended since we read: what we are about to decide must rest on it */
	if (rc == CUSTOS_OK && (c->log == NULL || count != custos_log_size(c->log)))
		rc = custos_vault_reload(c, err);
	if (rc != CUSTOS_OK) {
		custos_store_abort(c->store);
		return rc;
	}
	c->unsigned_from = custos_log_signed_size(c->log);
	c->unsigned_to = custos_log_size(c->log);
	return CUSTOS_OK;
}

void custos_vault_abort(struct custos_custody *c)
{
	if (c->log != NULL)
		custos_log_abort(c->log);
	if (custos_store_in_transaction(c->store))
		custos_store_abort(c->store);
	/* the state may have been fed with what is now forgotten, also by a commit that failed and took the log back itself */
	if (c->log != NULL && c->state.next != custos_log_size(c->log)) {
		struct custos_err ignored = { 0 };
		custos_rc rc = custos_vault_reload(c, &ignored);
		(void)rc; /* without a log whatever is tried next reads it again first, or is refused */
	}
}

custos_rc custos_vault_append(struct custos_custody *c, const char *event, const struct custos_json *fields, uint64_t *ret_index,
                              struct custos_err *err)
{
	/* the state is fed with what is logged, to the second: whoever replays the log must come to the same */
	CUSTOS_AUTO(custos_json) *entry = NULL;
	uint64_t index = custos_log_size(c->log);
	CUSTOS_TRY(custos_log_append_entry(c->log, event, fields, &entry, err));
	struct custos_err why = { 0 };
	custos_rc rc = custos_state_apply(&c->state, index, entry, &why);
	CUSTOS_TRY(custos_state_check(&c->state, err));
	/* what was checked before the lock was had is so no longer: nobody tampered, somebody was faster */
	if (rc == CUSTOS_E_TAMPERED)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "somebody changed this custody meanwhile; look at it and decide again", "%s is not recorded: %s", event, why.msg);
	CUSTOS_REQUIRE(rc == CUSTOS_OK, err, rc, "%s", why.msg);
	if (ret_index != NULL)
		*ret_index = index;
	return CUSTOS_OK;
}

custos_rc custos_vault_adopt_unsigned(struct custos_custody *c, struct custos_err *err)
{
	if (c->unsigned_from >= c->unsigned_to)
		return CUSTOS_OK;
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_int(fields, "from", (int64_t)c->unsigned_from);
	custos_json_set_int(fields, "to", (int64_t)c->unsigned_to);
	c->unsigned_from = c->unsigned_to;
	return custos_vault_append(c, "log.adopted", fields, NULL, err);
}

/* To sign, whichever KEK is in use. */
static custos_rc connect(struct custos_custody *c, struct custos_token **ret_token, struct custos_err *err);

custos_rc custos_vault_commit(struct custos_custody *c, struct custos_err *err)
{
	struct custos_token *token;
	CUSTOS_TRY(connect(c, &token, err));
	/* what was decided on a state that could not be read is not signed */
	CUSTOS_TRY(custos_state_check(&c->state, err));
	CUSTOS_TRY(custos_vault_adopt_unsigned(c, err));
	CUSTOS_TRY(custos_snapshot_append_due(c, err));
	return custos_log_commit(c->log, &c->signer, err);
}

custos_rc custos_vault_record(struct custos_custody *c, const char *event, const struct custos_json *fields, uint64_t *ret_index,
                              struct custos_err *err)
{
	struct custos_token *token;
	CUSTOS_TRY(connect(c, &token, err));
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = custos_vault_append(c, event, fields, ret_index, err);
	if (rc == CUSTOS_OK)
		rc = custos_vault_commit(c, err);
	if (rc != CUSTOS_OK)
		custos_vault_abort(c);
	return rc;
}

custos_rc custos_vault_record_unsigned(struct custos_custody *c, const char *event, const struct custos_json *fields, struct custos_err *err)
{
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = custos_vault_append(c, event, fields, NULL, err);
	if (rc == CUSTOS_OK)
		rc = custos_log_commit_unsigned(c->log, err);
	if (rc != CUSTOS_OK)
		custos_vault_abort(c);
	return rc;
}

custos_rc custos_vault_record_outcome(struct custos_custody *c, const char *event, const struct custos_json *fields, uint64_t *ret_index,
                                      struct custos_err *err)
{
	struct custos_err first = { 0 };
	uint64_t index = 0;
	custos_rc rc = c->token == NULL ? CUSTOS_E_TOKEN : custos_vault_record(c, event, fields, &index, &first);
	if (rc != CUSTOS_OK) {
		/* the token is gone: the outcome is written all the same and signed with the next checkpoint */
		struct custos_err second = { 0 };
		custos_rc again = custos_vault_record_unsigned(c, event, fields, &second);
		/* why the first attempt failed says more than that the store is not used any further */
		if (again != CUSTOS_OK)
			CUSTOS_FAIL_HINT(err, again,
			                 "when the store can be written again, `custos release list` shows it as unknown; "
			                 "look at what the host serves, then `custos release resolve`",
			                 "%s could not be recorded: %s", event,
			                 rc == CUSTOS_E_STORE && first.msg[0] != '\0' ? first.msg : second.msg);
		index = custos_log_size(c->log) - 1;
	}
	if (ret_index != NULL)
		*ret_index = index;
	return CUSTOS_OK;
}

custos_rc custos_vault_put_blob(struct custos_custody *c, const char *kind, struct custos_bytes blob,
                                uint8_t ret_sha256[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	CUSTOS_TRY(custos_sha256(blob, ret_sha256, err));
	return custos_store_put_blob(c->store, ret_sha256, kind, blob, err);
}

custos_rc custos_vault_get_blob(struct custos_custody *c, const char *what, const char *sha256_hex, struct custos_buf *blob, struct custos_err *err)
{
	uint8_t want[CUSTOS_HASH_SIZE], have[CUSTOS_HASH_SIZE];
	bool found = false;
	CUSTOS_REQUIRE(sha256_hex != NULL && custos_text_unhex(sha256_hex, want, sizeof want), err, CUSTOS_E_TAMPERED, "the log does not name %s", what);
	CUSTOS_TRY(custos_store_get_blob(c->store, want, blob, &found, err));
	if (!found)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "restore the store from a backup; the log tells whether it is whole",
		                 "%s is missing from the store, but the log names it", what);
	CUSTOS_TRY(custos_sha256(custos_buf_view(blob), have, err));
	if (memcmp(want, have, sizeof want) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "restore the store from a backup; the log tells whether it is whole",
		                 "%s in the store is not what the log says", what);
	return CUSTOS_OK;
}

static custos_rc record_login_failure(struct custos_custody *c, const struct custos_token *token, const struct custos_err *why)
{
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	CUSTOS_AUTO(custos_json) *info = custos_token_info_json(custos_token_info(token));
	static const char *const flags[] = { "pin_count_low", "pin_final_try", "pin_locked" };
	custos_json_set_text(fields, "serial", c->binding.serial);
	/* in our words: what custos-token says comes from a module that has just seen the PIN */
	char reason[64];
	snprintf(reason, sizeof reason, "the login was refused (CKR 0x%lX)", (unsigned long)why->native);
	custos_json_set_text(fields, "reason", reason);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (custos_json_get(info, flags[i]) != NULL)
			custos_json_set(fields, flags[i], custos_json_ref(custos_json_get(info, flags[i])));
	return custos_vault_record_unsigned(c, "token.login_failed", fields, NULL);
}

static custos_rc log_in(struct custos_custody *c, struct custos_token *token, struct custos_err *err)
{
	if (!c->has_pin)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "give a PIN source with --pin-source", "the token's PIN is needed, and there is no way to ask for it");
	bool asked = false;
	custos_rc rc = custos_vault_log_in(token, &c->pin, &asked, err);
	if (rc == CUSTOS_E_AUTH && asked) {
		custos_rc noted = record_login_failure(c, token, err);
		if (noted != CUSTOS_OK)
			custos_err_hint(err, "the failed attempt could not be recorded in the log (%s)", custos_rc_name(noted));
	}
	return rc;
}

static custos_rc open_log_key(struct custos_custody *c, struct custos_token *token, struct custos_err *err)
{
	const struct custos_json *log_key = custos_json_get(c->state.binding, "log_key");
	uint8_t id[16];
	const char *hex = custos_json_text(log_key, "id");
	CUSTOS_REQUIRE(hex != NULL && custos_text_unhex(hex, id, sizeof id), err, CUSTOS_E_TAMPERED, "the log does not name its key");
	custos_buf_done(&c->log_spki);
	CUSTOS_TRY(custos_vault_get_blob(c, "the log's public key", custos_json_text(log_key, "spki_sha256"), &c->log_spki, err));
	return custos_token_log_signer(token, id, custos_buf_view(&c->log_spki), &c->signer, err);
}

void custos_vault_note_trouble(struct custos_custody *c, const struct custos_token *token)
{
	const char *trouble = token == NULL ? NULL : custos_token_trouble(token);
	if (trouble == NULL || c->state.genesis == NULL || custos_store_in_transaction(c->store))
		return;
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_text(fields, "serial", c->binding.serial);
	custos_json_set_text(fields, "reason", trouble);
	/* the command has failed and says why; that its token failed is history, and a store that cannot be written to is found by whoever needs it next */
	struct custos_err ignored = { 0 };
	custos_rc rc = custos_vault_record_unsigned(c, "token.failed", fields, &ignored);
	(void)rc;
}

static int64_t current_kek(const struct custos_custody *c)
{
	return custos_json_int(custos_state_kek(&c->state), "generation", 0);
}

/* The profile that was handed over at init is a blob that the genesis names by its hash; any other is compiled in and named by the binding. */
static custos_rc find_profile(struct custos_custody *c, struct custos_buf *text, const char **ret_profile, struct custos_err *err)
{
	const char *sha256 = custos_json_text(c->state.genesis, "profile_sha256"), *own = custos_json_text(custos_json_get(c->state.genesis, "token"), "profile");
	*ret_profile = c->binding.profile;
	if (sha256 == NULL || own == NULL || strcmp(own, c->binding.profile) != 0)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_vault_get_blob(c, "the token's profile", sha256, text, err));
	*ret_profile = (const char *)text->ptr;
	return CUSTOS_OK;
}

/* Logged in, and its KEK checked by the canary: nothing is logged with a token that cannot open what it wrapped. */
static custos_rc get_ready(struct custos_custody *c, struct custos_token *token, struct custos_err *err)
{
	CUSTOS_TRY(log_in(c, token, err));
	if (custos_token_info(token)->repaired) {
		CUSTOS_AUTO(custos_json) *fields = custos_json_object();
		custos_json_set_text(fields, "serial", c->binding.serial);
		CUSTOS_TRY(custos_vault_record_unsigned(c, "token.repaired", fields, err));
	}
	c->open_kek = 0;
	CUSTOS_TRY(custos_vault_open_kek(c, token, current_kek(c), err));
	return open_log_key(c, token, err);
}

static custos_rc connect(struct custos_custody *c, struct custos_token **ret_token, struct custos_err *err)
{
	if (c->token == NULL) {
		CUSTOS_AUTO_STR *folder = NULL;
		CUSTOS_TRY(custos_store_folder(c->store, &folder, err));
		CUSTOS_AUTO_BUF text = { 0 };
		const char *profile;
		CUSTOS_TRY(find_profile(c, &text, &profile, err));
		struct custos_token_where where = {
			.module = c->binding.module, .uri = c->binding.token_uri, .serial = c->binding.serial, .profile = profile,
			.out_of_reach = { c->dir, folder } };
		CUSTOS_AUTO(custos_token) *token = NULL;
		CUSTOS_TRY(custos_token_open(&where, &token, err));
		custos_rc rc = get_ready(c, token, err);
		if (rc != CUSTOS_OK)
			custos_vault_note_trouble(c, token);
		CUSTOS_TRY(rc);
		c->token = CUSTOS_TAKE(token);
	}
	*ret_token = c->token;
	return CUSTOS_OK;
}

custos_rc custos_vault_token(struct custos_custody *c, struct custos_token **ret_token, struct custos_err *err)
{
	CUSTOS_TRY(connect(c, ret_token, err));
	return custos_vault_open_kek(c, *ret_token, current_kek(c), err);
}

custos_rc custos_vault_token_for(struct custos_custody *c, const struct custos_vault_key *key, struct custos_token **ret_token, struct custos_err *err)
{
	CUSTOS_TRY(connect(c, ret_token, err));
	return custos_vault_open_kek(c, *ret_token, key->kek, err);
}
