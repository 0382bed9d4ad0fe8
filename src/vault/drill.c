/* Drills: is what the custody would release still the key it says? The key never leaves the token, or, a sealed key, a courier without network; whatever comes of
 * it is logged. */
#include "crypto/digest.h"
#include "token/wire_info.h"
#include "vault/sealed.h"

custos_rc custos_vault_sign(struct custos_custody *c, const struct custos_vault_key *key, const struct custos_vault_use *use, struct custos_bytes message,
                            struct custos_buf *signature, struct custos_err *err)
{
	struct custos_token *token;
	if (key->class == CUSTOS_CLASS_SEALED)
		return custos_sealed_sign(c, &key->ref, use, message, signature, err);
	CUSTOS_TRY(custos_vault_token_for(c, key, &token, err));
	return custos_token_sign(token, &key->ref, use->algorithm, message, signature, err);
}

custos_rc custos_vault_prove_key(struct custos_custody *c, const char *name, const struct custos_vault_key *key, const char *purpose, struct custos_err *err)
{
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE], text[CUSTOS_CHALLENGE_TEXT_SIZE];
	CUSTOS_AUTO_BUF signature = { 0 };
	const struct custos_vault_use use = { name, purpose, custos_key_signature(key->ref.type) };
	CUSTOS_TRY(custos_random(challenge, sizeof challenge, err));
	custos_challenge_text(challenge, text);
	return custos_vault_sign(c, key, &use, CUSTOS_BYTES(text, sizeof text), &signature, err);
}

struct drill {
	struct custos_custody *c;
	struct custos_json *results;
	size_t failed;
	struct custos_err worst;     /* of the first key that failed, or of the first that was tampered with */
};

static custos_rc try_key(struct custos_custody *c, const char *name, struct custos_err *err)
{
	const struct custos_json *record;
	CUSTOS_CLEANUP(custos_vault_key_done) struct custos_vault_key key = { 0 };
	CUSTOS_TRY(custos_vault_find_key(c, name, &record, err));
	CUSTOS_TRY(custos_vault_load_key(c, record, &key, err));
	return custos_vault_prove_key(c, name, &key, "drill", err);
}

static void drill_one(struct drill *d, const char *name)
{
	struct custos_err why = { 0 };
	struct custos_json *result = custos_json_object();
	bool passed = try_key(d->c, name, &why) == CUSTOS_OK;
	custos_json_set_text(result, "key", name);
	custos_json_set_text(result, "result", passed ? "passed" : "failed");
	if (!passed)
		custos_json_set_text(result, "reason", why.msg);
	custos_json_push(d->results, result);
	if (passed)
		return;
	if (d->failed++ == 0 || (why.rc == CUSTOS_E_TAMPERED && d->worst.rc != CUSTOS_E_TAMPERED))
		d->worst = why;
}

/* One entry for each key, one checkpoint for all. */
static custos_rc append_results(struct drill *d, struct custos_err *err)
{
	static const char *const of_key[] = { "spki_sha256", "container_sha256" };
	for (size_t i = 0; i < custos_json_count(d->results); i++) {
		struct custos_json *result = custos_json_item(d->results, i);
		const char *name = custos_json_text(result, "key"), *reason = custos_json_text(result, "reason");
		const struct custos_json *key = custos_state_key(&d->c->state, name);
		uint64_t index = 0;
		/* somebody may have destroyed it while the token was at work */
		if (key == NULL || !custos_state_is_live(key))
			continue;
		CUSTOS_AUTO(custos_json) *fields = custos_json_object();
		custos_json_set_text(fields, "key", name);
		for (size_t k = 0; k < sizeof of_key / sizeof *of_key; k++)
			if (custos_json_get(key, of_key[k]) != NULL)
				custos_json_set(fields, of_key[k], custos_json_ref(custos_json_get(key, of_key[k])));
		if (reason != NULL)
			custos_json_set_text(fields, "reason", reason);
		CUSTOS_TRY(custos_vault_append(d->c, reason == NULL ? "key.drilled" : "key.drill_failed", fields, &index, err));
		custos_json_set_int(result, "log_index", (int64_t)index);
	}
	return custos_vault_commit(d->c, err);
}

static custos_rc record(struct drill *d, struct custos_err *err)
{
	CUSTOS_TRY(custos_vault_begin(d->c, err));
	custos_rc rc = append_results(d, err);
	if (rc != CUSTOS_OK)
		custos_vault_abort(d->c);
	return rc;
}

static custos_rc conclude(const struct drill *d, const struct custos_err *unrecorded, struct custos_err *err)
{
	const char *last = "";
	for (size_t i = 0; i < custos_json_count(d->results); i++)
		if (custos_json_text(custos_json_at(d->results, i), "reason") != NULL)
			last = custos_json_text(custos_json_at(d->results, i), "key");
	if (d->failed == 0 && unrecorded->rc == CUSTOS_OK)
		return CUSTOS_OK;
	if (d->failed == 0)
		return custos_err_set_hinted(err, unrecorded->rc, unrecorded->hint, "the drill could not be recorded: %s", unrecorded->msg);
	custos_rc rc = d->failed == 1 ? custos_err_set(err, d->worst.rc, d->worst.native, "key %s failed its drill: %s", last, d->worst.msg)
	                              : custos_err_set(err, d->worst.rc, d->worst.native, "%zu of %zu keys failed their drill; one of them: %s", d->failed,
	                                               custos_json_count(d->results), d->worst.msg);
	if (unrecorded->rc != CUSTOS_OK)
		custos_err_hint(err, "this could not be recorded in the log either: %s", unrecorded->msg);
	else
		custos_err_hint(err, "%s%s`custos key restore FILE` takes an exported container back", d->worst.hint, d->worst.hint[0] == '\0' ? "" : "; ");
	return rc;
}

/* Names of the keys to try, because logging in may replay the log. */
static custos_rc choose(struct custos_custody *c, const char *name, struct custos_json *names, struct custos_err *err)
{
	const struct custos_json *key, *keys;
	if (name != NULL) {
		CUSTOS_TRY(custos_vault_find_key(c, name, &key, err));
		custos_json_push(names, custos_json_string(name));
		return CUSTOS_OK;
	}
	CUSTOS_TRY(custos_state_keys(&c->state, &keys, err));
	for (void *it = custos_json_first(keys); it != NULL; it = custos_json_next(keys, it))
		if (custos_state_is_live(custos_json_value(it)))
			custos_json_push(names, custos_json_string(custos_json_key(it)));
	return CUSTOS_OK;
}

custos_rc custos_key_drill(struct custos_custody *c, const char *name, struct custos_json **ret_results, struct custos_err *err)
{
	struct custos_token *token;
	CUSTOS_AUTO(custos_json) *names = custos_json_array();
	CUSTOS_AUTO(custos_json) *results = custos_json_array();
	struct drill d = { .c = c, .results = results };
	struct custos_err unrecorded = { 0 };
	CUSTOS_TRY(choose(c, name, names, err));
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	for (size_t i = 0; i < custos_json_count(names); i++)
		drill_one(&d, custos_json_string_value(custos_json_at(names, i)));
	custos_rc rc = custos_json_count(results) == 0 ? CUSTOS_OK : record(&d, &unrecorded);
	(void)rc; /* said with the rest */
	rc = conclude(&d, &unrecorded, err);
	*ret_results = CUSTOS_TAKE(results);
	return rc;
}
