/* Targets: hosts with their pins, added by a person, kept in the log. */
#include "vault/file.h"
#include "vault/release.h"

#include <stdio.h>

custos_rc custos_vault_find_target(const struct custos_custody *c, const char *name, const struct custos_json **ret_target, struct custos_err *err)
{
	const struct custos_json *target = custos_state_target(&c->state, name);
	CUSTOS_TRY(custos_state_check(&c->state, err));
	if (target == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "`custos target list` shows them", "there is no target named %s", name);
	*ret_target = target;
	return CUSTOS_OK;
}

/* The profile's text: built in, or a file. */
static custos_rc read_profile(const char *profile, struct custos_buf *yaml, struct custos_err *err)
{
	struct custos_bytes builtin = custos_profile_builtin(profile);
	if (builtin.len > 0)
		return custos_buf_append(yaml, builtin.ptr, builtin.len, err);
	if (strchr(profile, '/') == NULL && strchr(profile, '.') == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "esxi is built in; any other is a YAML file, e.g. --profile ./nginx.yaml",
		                 "there is no profile named %s", profile);
	return custos_file_read(profile, yaml, err);
}

/* How to log in, as far as it is built. A program as password source could be run by whoever may change the store. */
static custos_rc check_login(const struct custos_json *target, struct custos_err *err)
{
	const char *auth = custos_json_text(target, "auth");
	if (auth == NULL || (strcmp(auth, "agent") != 0 && strncmp(auth, "agent:", 6) != 0 && strncmp(auth, "key:", 4) != 0 &&
	                     strncmp(auth, "password:", 9) != 0))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "agent, agent:SHA256:…, key:FILE or password:SRC", "\"%s\" is not a way to log in",
		                 auth == NULL ? "" : auth);
	CUSTOS_REQUIRE(strncmp(auth, "password:exec:", 14) != 0, err, CUSTOS_E_POLICY, "a target's record may not name a program as password source");
	return CUSTOS_OK;
}

custos_rc custos_target_add(struct custos_custody *c, const struct custos_json *record, struct custos_json **ret_target, struct custos_err *err)
{
	CUSTOS_AUTO_BUF yaml = { .max = 1 << 20 };
	CUSTOS_AUTO(custos_profile) *profile = NULL;
	CUSTOS_AUTO(custos_json) *target = custos_json_copy(record);
	const char *name = custos_json_text(target, "name"), *profile_name = custos_json_text(target, "profile");
	uint8_t hash[CUSTOS_HASH_SIZE];
	struct custos_token *token;
	CUSTOS_REQUIRE(name != NULL && profile_name != NULL, err, CUSTOS_E_USAGE, "a target needs a name and a profile");
	if (custos_state_target(&c->state, name) != NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "remove it first if this is another host", "there is a target named %s already", name);
	CUSTOS_TRY(read_profile(profile_name, &yaml, err));
	CUSTOS_TRY(custos_profile_parse(custos_buf_view(&yaml), profile_name, &profile, err));
	CUSTOS_TRY(custos_target_check(target, err));
	CUSTOS_TRY(check_login(target, err));
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = custos_vault_put_blob(c, "profile", custos_buf_view(&yaml), hash, err);
	if (rc == CUSTOS_OK) {
		CUSTOS_AUTO(custos_json) *fields = custos_json_object();
		custos_json_set_hex(target, "profile_sha256", hash, sizeof hash);
		custos_json_set(fields, "target", custos_json_ref(target));
		rc = custos_state_target(&c->state, name) == NULL ? custos_vault_append(c, "target.add", fields, NULL, err)
		                                                  : custos_err_set(err, CUSTOS_E_POLICY, 0, "there is a target named %s already", name);
	}
	if (rc == CUSTOS_OK)
		rc = custos_vault_commit(c, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(c);
		return rc;
	}
	return custos_target_show(c, name, ret_target, err);
}

custos_rc custos_target_remove(struct custos_custody *c, const char *name, struct custos_err *err)
{
	const struct custos_json *target;
	CUSTOS_TRY(custos_vault_find_target(c, name, &target, err));
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_text(fields, "target", name);
	return custos_vault_record(c, "target.remove", fields, NULL, err);
}

/* The record and the keys that may go there. Takes `keys` over. */
static struct custos_json *show(const struct custos_json *target, struct custos_json *keys)
{
	struct custos_json *shown = custos_json_copy(target);
	custos_json_set(shown, "allowed_keys", keys);
	if (custos_json_get(shown, "deployed") == NULL)
		custos_json_set(shown, "deployed", NULL);
	return shown;
}

custos_rc custos_target_show(struct custos_custody *c, const char *name, struct custos_json **ret_target, struct custos_err *err)
{
	const struct custos_json *target, *known;
	CUSTOS_TRY(custos_vault_find_target(c, name, &target, err));
	CUSTOS_TRY(custos_state_keys(&c->state, &known, err));
	struct custos_json *keys = custos_json_array();
	for (void *it = custos_json_first(known); it != NULL; it = custos_json_next(known, it))
		if (custos_state_is_allowed(custos_json_value(it), name))
			custos_json_push(keys, custos_json_string(custos_json_key(it)));
	*ret_target = show(target, keys);
	return CUSTOS_OK;
}

/* Adds the key to every target it may go to. */
static void note_allowed(struct custos_json *by_target, const char *name, const struct custos_json *key)
{
	const struct custos_json *targets = custos_json_get(key, "targets");
	for (size_t i = 0; i < custos_json_count(targets); i++) {
		const char *target = custos_json_string_value(custos_json_at(targets, i));
		if (custos_json_get(by_target, target) == NULL)
			custos_json_set(by_target, target, custos_json_array());
		custos_json_push(custos_json_child(by_target, target), custos_json_string(name));
	}
}

/* The keys are gone through once, not once for each target. */
custos_rc custos_target_list(struct custos_custody *c, struct custos_json **ret_targets, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *targets = custos_json_array();
	CUSTOS_AUTO(custos_json) *allowed = custos_json_object();
	const struct custos_json *known, *keys;
	CUSTOS_TRY(custos_state_targets(&c->state, &known, err));
	CUSTOS_TRY(custos_state_keys(&c->state, &keys, err));
	for (void *it = custos_json_first(keys); it != NULL; it = custos_json_next(keys, it))
		note_allowed(allowed, custos_json_key(it), custos_json_value(it));
	for (void *it = custos_json_first(known); it != NULL; it = custos_json_next(known, it)) {
		const struct custos_json *to = custos_json_get(allowed, custos_json_key(it));
		custos_json_push(targets, show(custos_json_value(it), to == NULL ? custos_json_array() : custos_json_ref(to)));
	}
	*ret_targets = CUSTOS_TAKE(targets);
	return CUSTOS_OK;
}
