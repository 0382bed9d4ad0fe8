/* Keys: born on the token, kept as wrapped containers, known by the hash of their public key. */
#include "vault/sealed.h"
#include "base/text.h"
#include "crypto/digest.h"

#include <stdio.h>

custos_rc custos_vault_find_any_key(const struct custos_custody *c, const char *name, const struct custos_json **ret_key, struct custos_err *err)
{
	const struct custos_json *key = custos_state_key(&c->state, name);
	CUSTOS_TRY(custos_state_check(&c->state, err));
	if (key == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "`custos key list` shows them", "there is no key named %s", name);
	*ret_key = key;
	return CUSTOS_OK;
}

custos_rc custos_vault_find_key(const struct custos_custody *c, const char *name, const struct custos_json **ret_key, struct custos_err *err)
{
	const struct custos_json *key;
	CUSTOS_TRY(custos_vault_find_any_key(c, name, &key, err));
	const struct custos_json *destruction = custos_json_get(key, "destruction");
	long long entry = (long long)custos_json_int(destruction, "log_index", -1);
	const char *time = custos_json_text(destruction, "time"), *state = custos_json_text(key, "state");
	if (!custos_state_is_live(key) && strcmp(state, "destroyed") == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "if it should not have been: `custos key restore FILE` takes an exported container back",
		                 "key %s was destroyed on %s (log entry %lld)", name, time == NULL ? "?" : time, entry);
	if (!custos_state_is_live(key))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "`custos key destroy` goes on with it; `custos key restore FILE` takes an exported container back",
		                 "key %s is being destroyed: that was begun on %s (log entry %lld) and has not come to its end", name,
		                 time == NULL ? "?" : time, entry);
	*ret_key = key;
	return CUSTOS_OK;
}

void custos_vault_key_done(struct custos_vault_key *key)
{
	custos_buf_done(&key->spki);
	custos_buf_done(&key->container);
}

custos_rc custos_vault_load_key(struct custos_custody *c, const struct custos_json *record, struct custos_vault_key *ret_key, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_vault_key_done) struct custos_vault_key key = { 0 };
	const char *type = custos_json_text(record, "type"), *id = custos_json_text(record, "id");
	const char *container = custos_json_text(record, "container_sha256");
	CUSTOS_REQUIRE(type != NULL && custos_key_type_parse(type, &key.ref.type), err, CUSTOS_E_TAMPERED, "the log names an unknown key type");
	key.kek = custos_state_generation(record);
	CUSTOS_TRY(custos_vault_get_blob(c, "the key's public key", custos_json_text(record, "spki_sha256"), &key.spki, err));
	if (container != NULL)
		CUSTOS_TRY(custos_vault_get_blob(c, "the key's container", container, &key.container, err));
	key.class = container == NULL ? CUSTOS_CLASS_SIGN_ONLY : custos_key_is_sealed(record) ? CUSTOS_CLASS_SEALED : CUSTOS_CLASS_DEPLOYABLE;
	if (id != NULL)
		CUSTOS_REQUIRE(custos_text_unhex(id, key.id, sizeof key.id), err, CUSTOS_E_TAMPERED, "the log names an unusable key id");
	*ret_key = key;
	key = (struct custos_vault_key){ 0 };
	ret_key->ref.spki = custos_buf_view(&ret_key->spki);
	ret_key->ref.container = custos_buf_view(&ret_key->container);
	ret_key->ref.id = id != NULL ? ret_key->id : NULL;
	return CUSTOS_OK;
}

enum key_class { DEPLOYABLE, SIGN_ONLY, SEALED };

static custos_rc parse_class(const char *text, enum key_class *ret, struct custos_err *err)
{
	if (strcmp(text, "deployable") == 0)
		*ret = DEPLOYABLE;
	else if (strcmp(text, "sign-only") == 0)
		*ret = SIGN_ONLY;
	else if (strcmp(text, "sealed") == 0)
		*ret = SEALED;
	else
		CUSTOS_FAIL(err, CUSTOS_E_USAGE, "a key is deployable, sealed or sign-only, not \"%s\"", text);
	return CUSTOS_OK;
}

custos_rc custos_vault_check_deployable(const struct custos_custody *c, struct custos_err *err)
{
	const char *label = custos_json_text(custos_json_get(c->state.genesis, "token"), "label");
	if (!custos_state_has_kek(&c->state))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY,
		                 custos_sealing_of(c) != NULL ? "take --class sealed: born in a courier, opened by the token; or --class sign-only: a key that stays on the token"
		                                              : "take --class sign-only: a key that stays on the token",
		                 "token “%s” cannot wrap keys: no key of this custody is deployable",
		                 label == NULL ? "" : label);
	return CUSTOS_OK;
}

static custos_rc check_new(const struct custos_custody *c, const char *name, const char *type, enum custos_key_type *ret_type,
                           enum key_class class, struct custos_err *err)
{
	if (!custos_text_is_name(name))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "1 to 63 of a-z 0-9 . _ -, beginning with a letter or digit", "\"%s\" is not a name", name);
	if (!custos_key_type_parse(type, ret_type))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "rsa-2048, rsa-3072, rsa-4096, rsa-6144, rsa-8192, ec-p256, ec-p384, ec-p521, ed25519",
		                 "\"%s\" is not a key type", type);
	if (class == DEPLOYABLE)
		CUSTOS_TRY(custos_vault_check_deployable(c, err));
	if (class == SEALED)
		CUSTOS_TRY(custos_sealed_check(c, *ret_type, err));
	if (custos_state_key(&c->state, name) != NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "names are given once; `custos key list` shows them", "there is a key named %s already", name);
	return CUSTOS_OK;
}

void custos_vault_label_key(const char *name, const uint8_t id[static 16], char ret_label[static CUSTOS_VAULT_LABEL_SIZE])
{
	snprintf(ret_label, CUSTOS_VAULT_LABEL_SIZE, "custos-%.63s-%02x%02x%02x%02x", name, id[0], id[1], id[2], id[3]);
}

/* Public key and container into the store, the birth into the log: one transaction. */
custos_rc custos_vault_append_key(struct custos_custody *c, const char *name, const struct custos_token_key *key, const uint8_t *id,
                                  struct custos_err *err)
{
	return custos_vault_append_successor(c, name, NULL, key, id, err);
}

custos_rc custos_vault_append_successor(struct custos_custody *c, const char *name, const char *renews, const struct custos_token_key *key, const uint8_t *id, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_text(fields, "key", name);
	if (renews != NULL)
		custos_json_set_text(fields, "renews", renews);
	custos_json_set_text(fields, "type", custos_key_type_name(key->type));
	custos_json_set_text(fields, "class", id != NULL ? "sign-only" : "deployable");
	custos_json_set_text(fields, "born", "token");
	CUSTOS_TRY(custos_vault_put_blob(c, "spki", custos_buf_view(&key->spki), hash, err));
	custos_json_set_hex(fields, "spki_sha256", hash, sizeof hash);
	if (id != NULL) {
		custos_json_set_hex(fields, "id", id, 16);
	} else {
		CUSTOS_TRY(custos_vault_put_blob(c, "container", custos_buf_view(&key->container), hash, err));
		custos_json_set_hex(fields, "container_sha256", hash, sizeof hash);
		custos_json_set_int(fields, "kek", c->open_kek);
	}
	/* somebody may have taken the name while the token was at work */
	CUSTOS_REQUIRE(custos_state_key(&c->state, name) == NULL, err, CUSTOS_E_POLICY, "there is a key named %s already", name);
	return custos_vault_append(c, "key.generate", fields, NULL, err);
}

custos_rc custos_key_generate(struct custos_custody *c, const char *name, const char *type_name, const char *class_name,
                              struct custos_json **ret_key, struct custos_err *err)
{
	enum custos_key_type type;
	enum key_class class = DEPLOYABLE;
	struct custos_token *token;
	uint8_t id[16];
	CUSTOS_CLEANUP(custos_token_key_done) struct custos_token_key key = { 0 };
	CUSTOS_TRY(parse_class(class_name, &class, err));
	CUSTOS_TRY(check_new(c, name, type_name, &type, class, err));
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	if (class == SEALED) {
		CUSTOS_TRY(custos_sealed_generate(c, name, type, err));
		return custos_key_show(c, name, ret_key, err);
	}
	if (class == SIGN_ONLY) {
		char label[CUSTOS_VAULT_LABEL_SIZE];
		CUSTOS_TRY(custos_random(id, sizeof id, err));
		custos_vault_label_key(name, id, label);
		CUSTOS_TRY(custos_token_key_generate_sign_only(token, type, id, label, &key, err));
	} else {
		CUSTOS_TRY(custos_token_key_generate(token, type, &key, err));
	}
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = custos_vault_append_key(c, name, &key, class == SIGN_ONLY ? id : NULL, err);
	if (rc == CUSTOS_OK)
		rc = custos_vault_commit(c, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(c);
		return rc;
	}
	return custos_key_show(c, name, ret_key, err);
}

/* The record, with what may not be in it as null. Takes `deployed` over. */
static struct custos_json *show(const struct custos_json *key, struct custos_json *deployed)
{
	struct custos_json *shown = custos_json_copy(key);
	if (custos_json_get(shown, "certificate") == NULL)
		custos_json_set(shown, "certificate", NULL);
	custos_json_set(shown, "deployed", deployed);
	if (custos_json_get(shown, "drilled") == NULL)
		custos_json_set(shown, "drilled", NULL);
	return shown;
}

custos_rc custos_key_show(struct custos_custody *c, const char *name, struct custos_json **ret_key, struct custos_err *err)
{
	const struct custos_json *key, *targets;
	CUSTOS_TRY(custos_vault_find_any_key(c, name, &key, err));
	CUSTOS_TRY(custos_state_targets(&c->state, &targets, err));
	struct custos_json *deployed = custos_json_array();
	for (void *it = custos_json_first(targets); it != NULL; it = custos_json_next(targets, it)) {
		const char *by = custos_json_text(custos_json_get(custos_json_value(it), "deployed"), "key");
		if (by != NULL && strcmp(by, name) == 0)
			custos_json_push(deployed, custos_json_string(custos_json_key(it)));
	}
	*ret_key = show(key, deployed);
	return CUSTOS_OK;
}

/* Adds the target to those of this name. */
static void note(struct custos_json *by_name, const char *name, const char *target)
{
	if (custos_json_get(by_name, name) == NULL)
		custos_json_set(by_name, name, custos_json_array());
	custos_json_push(custos_json_child(by_name, name), custos_json_string(target));
}

/* The targets are gone through once, not once for each key. */
custos_rc custos_key_list(struct custos_custody *c, struct custos_json **ret_keys, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *keys = custos_json_array();
	CUSTOS_AUTO(custos_json) *deployed = custos_json_object();
	const struct custos_json *known, *targets;
	CUSTOS_TRY(custos_state_keys(&c->state, &known, err));
	CUSTOS_TRY(custos_state_targets(&c->state, &targets, err));
	for (void *it = custos_json_first(targets); it != NULL; it = custos_json_next(targets, it)) {
		const char *by = custos_json_text(custos_json_get(custos_json_value(it), "deployed"), "key");
		if (by != NULL)
			note(deployed, by, custos_json_key(it));
	}
	for (void *it = custos_json_first(known); it != NULL; it = custos_json_next(known, it)) {
		const struct custos_json *on = custos_json_get(deployed, custos_json_key(it));
		custos_json_push(keys, show(custos_json_value(it), on == NULL ? custos_json_array() : custos_json_ref(on)));
	}
	*ret_keys = CUSTOS_TAKE(keys);
	return CUSTOS_OK;
}

/* Under the lock: the hosts that were looked at are still those of these names. */
static custos_rc check_targets(const struct custos_custody *c, const struct custos_json *names, const struct custos_json *seen,
                               struct custos_err *err)
{
	for (size_t i = 0; i < custos_json_count(names); i++) {
		const char *name = custos_json_string_value(custos_json_at(names, i));
		int64_t now = custos_json_int(custos_state_target(&c->state, name), "log_index", -1);
		if (now != custos_json_integer_value(custos_json_at(seen, i), -1))
			CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "look at it again with `custos target show`, then decide",
			                 "target %s was removed or replaced meanwhile", name);
	}
	return CUSTOS_OK;
}

custos_rc custos_key_allow(struct custos_custody *c, const char *name, const char *const targets[], size_t count,
                           struct custos_json **ret_key, struct custos_err *err)
{
	const struct custos_json *key, *target;
	CUSTOS_TRY(custos_vault_find_key(c, name, &key, err));
	CUSTOS_REQUIRE(custos_json_text(key, "container_sha256") != NULL, err, CUSTOS_E_POLICY, "key %s is sign-only: it never leaves the token", name);
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	CUSTOS_AUTO(custos_json) *seen = custos_json_array();
	struct custos_json *list = custos_json_array();
	struct custos_token *token;
	custos_json_set_text(fields, "key", name);
	custos_json_set(fields, "targets", list);
	for (size_t i = 0; i < count; i++) {
		CUSTOS_TRY(custos_vault_find_target(c, targets[i], &target, err));
		custos_json_push(list, custos_json_string(targets[i]));
		custos_json_push(seen, custos_json_integer(custos_json_int(target, "log_index", -1)));
	}
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = check_targets(c, list, seen, err);
	if (rc == CUSTOS_OK)
		rc = custos_vault_append(c, "key.allow", fields, NULL, err);
	if (rc == CUSTOS_OK)
		rc = custos_vault_commit(c, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(c);
		return rc;
	}
	return custos_key_show(c, name, ret_key, err);
}
