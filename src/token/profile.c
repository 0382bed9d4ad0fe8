/* Token profiles: strict reading, and the ones that are compiled in. */
#include "token/profile.h"
#include "base/text.h"
#include "data/yaml.h"

extern const char custos_token_profile_softhsm[];
extern const size_t custos_token_profile_softhsm_len;

static const char *const tier_words[] = { "sign-only", "basic", "hardened", NULL };
static const char *const copy_words[] = { "none", "softhsm", NULL };
static const char *const format_words[] = { "rfc5649", NULL };

const char *custos_tier_name(enum custos_tier tier)
{
	return tier_words[tier];
}

bool custos_key_types_include(const struct custos_key_types *types, enum custos_key_type type)
{
	for (size_t i = 0; i < types->count; i++)
		if (types->of[i] == type)
			return true;
	return false;
}

static custos_rc copy_text(const struct custos_yaml *map, const char *key, const char *otherwise, char *to, size_t size, struct custos_err *err)
{
	const char *text;
	CUSTOS_TRY(custos_yaml_text(map, key, otherwise, &text, err));
	size_t len = strlen(text);
	if (len >= size)
		return custos_yaml_refuse(map, err, "%s is longer than %zu characters", key, size - 1);
	memcpy(to, text, len + 1);
	return CUSTOS_OK;
}

static custos_rc read_types(const struct custos_yaml *map, const char *key, struct custos_key_types *types, struct custos_err *err)
{
	const char **names = NULL;
	CUSTOS_TRY(custos_yaml_texts(map, key, &names, err));
	custos_rc rc = CUSTOS_OK;
	types->count = 0;
	for (size_t i = 0; names[i] != NULL && rc == CUSTOS_OK; i++) {
		enum custos_key_type type;
		if (!custos_key_type_parse(names[i], &type))
			rc = custos_yaml_refuse(map, err, "%s: unknown key type “%s”", key, names[i]);
		else if (custos_key_types_include(types, type))
			rc = custos_yaml_refuse(map, err, "%s: %s is named twice", key, names[i]);
		else
			types->of[types->count++] = type;
	}
	free(names);
	return rc;
}

/* Mechanisms are written as the specification writes them, in hex; vendors' own have the top bit set. */
static custos_rc read_mechanism(const struct custos_yaml *map, const char *key, unsigned long *ret_mechanism, struct custos_err *err)
{
	const char *text;
	CUSTOS_TRY(custos_yaml_text(map, key, CUSTOS_YAML_REQUIRED, &text, err));
	size_t digits = strspn(text + (strncmp(text, "0x", 2) == 0 ? 2 : 0), "0123456789abcdef");
	if (strncmp(text, "0x", 2) != 0 || digits == 0 || digits > 8 || text[2 + digits] != '\0')
		return custos_yaml_refuse(map, err, "%s is not a mechanism number like 0x210a", key);
	*ret_mechanism = strtoul(text + 2, NULL, 16);
	return CUSTOS_OK;
}

static custos_rc read_wrap(const struct custos_yaml *root, struct custos_token_profile *p, struct custos_err *err)
{
	static const char *const known[] = { "mechanism", "format", "padding", NULL };
	const struct custos_yaml *wrap = custos_yaml_get(root, "wrap");
	if (wrap == NULL && p->tier == CUSTOS_TIER_SIGN_ONLY)
		return CUSTOS_OK;
	if (wrap == NULL)
		return custos_yaml_refuse(root, err, "wrap is missing");
	CUSTOS_TRY(custos_yaml_known(wrap, known, err));
	CUSTOS_TRY(read_mechanism(wrap, "mechanism", &p->wrap_mechanism, err));
	size_t word;
	CUSTOS_TRY(custos_yaml_word(wrap, "format", format_words, CUSTOS_YAML_REQUIRED, &word, err));
	p->wrap_format = (enum custos_wrap_format)word;
	uint64_t padding;
	CUSTOS_TRY(custos_yaml_u64(wrap, "padding", 0, 7, 0, &padding, err));
	p->padding = (unsigned)padding;
	return CUSTOS_OK;
}

static custos_rc read_keys(const struct custos_yaml *root, struct custos_token_profile *p, struct custos_err *err)
{
	static const char *const known[] = { "deployable", "sign_only", "log", NULL };
	const struct custos_yaml *keys = custos_yaml_get(root, "keys");
	if (keys == NULL)
		return custos_yaml_refuse(root, err, "keys is missing");
	CUSTOS_TRY(custos_yaml_known(keys, known, err));
	CUSTOS_TRY(read_types(keys, "deployable", &p->deployable, err));
	CUSTOS_TRY(read_types(keys, "sign_only", &p->sign_only, err));
	CUSTOS_TRY(read_types(keys, "log", &p->log, err));
	if (p->tier == CUSTOS_TIER_SIGN_ONLY && p->deployable.count > 0)
		return custos_yaml_refuse(keys, err, "a sign-only token cannot have deployable keys");
	for (size_t i = 0; i < p->log.count; i++)
		if (p->log.of[i] != CUSTOS_KEY_ED25519 && p->log.of[i] != CUSTOS_KEY_EC_P256)
			return custos_yaml_refuse(keys, err, "log: only ed25519 and ec-p256 can sign the log");
	return CUSTOS_OK;
}

static custos_rc read_pin(const struct custos_yaml *root, struct custos_token_profile *p, struct custos_err *err)
{
	static const char *const known[] = { "min", "max", NULL };
	const struct custos_yaml *pin = custos_yaml_get(root, "pin");
	if (pin == NULL)
		return custos_yaml_refuse(root, err, "pin is missing");
	CUSTOS_TRY(custos_yaml_known(pin, known, err));
	uint64_t min, max;
	CUSTOS_TRY(custos_yaml_u64(pin, "min", 0, 255, 4, &min, err));
	CUSTOS_TRY(custos_yaml_u64(pin, "max", 1, 255, 255, &max, err));
	if (min > max)
		return custos_yaml_refuse(pin, err, "min is greater than max");
	p->pin_min = (unsigned)min;
	p->pin_max = (unsigned)max;
	return CUSTOS_OK;
}

custos_rc custos_token_profile_parse(struct custos_bytes yaml, const char *file, struct custos_token_profile *ret_profile, struct custos_err *err)
{
	static const char *const known[] = { "name", "match", "tier", "token_file_copy", "wrap", "keys", "pin", NULL };
	static const char *const known_match[] = { "module", "manufacturer", "model", NULL };
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	struct custos_token_profile p = { 0 };
	CUSTOS_TRY(custos_yaml_parse(yaml, file, &root, err));
	CUSTOS_TRY(custos_yaml_known(root, known, err));
	CUSTOS_TRY(copy_text(root, "name", CUSTOS_YAML_REQUIRED, p.name, sizeof p.name, err));
	if (!custos_text_is_name(p.name))
		return custos_yaml_refuse(root, err, "name: “%s” is not a name", p.name);
	const struct custos_yaml *match = custos_yaml_get(root, "match");
	if (match == NULL)
		return custos_yaml_refuse(root, err, "match is missing");
	CUSTOS_TRY(custos_yaml_known(match, known_match, err));
	CUSTOS_TRY(copy_text(match, "module", "", p.module, sizeof p.module, err));
	CUSTOS_TRY(copy_text(match, "manufacturer", CUSTOS_YAML_REQUIRED, p.manufacturer, sizeof p.manufacturer, err));
	CUSTOS_TRY(copy_text(match, "model", CUSTOS_YAML_REQUIRED, p.model, sizeof p.model, err));
	size_t word;
	CUSTOS_TRY(custos_yaml_word(root, "tier", tier_words, CUSTOS_YAML_REQUIRED, &word, err));
	p.tier = (enum custos_tier)word;
	CUSTOS_TRY(custos_yaml_word(root, "token_file_copy", copy_words, "none", &word, err));
	p.file_copy = (enum custos_file_copy)word;
	CUSTOS_TRY(read_wrap(root, &p, err));
	CUSTOS_TRY(read_keys(root, &p, err));
	CUSTOS_TRY(read_pin(root, &p, err));
	*ret_profile = p;
	return CUSTOS_OK;
}

static custos_rc shipped(size_t index, struct custos_token_profile *ret_profile, bool *ret_found, struct custos_err *err)
{
	const struct {
		const char *file;
		struct custos_bytes yaml;
	} all[] = {
		{ "softhsm.yaml", CUSTOS_BYTES(custos_token_profile_softhsm, custos_token_profile_softhsm_len) },
	};
	*ret_found = index < sizeof all / sizeof *all;
	return *ret_found ? custos_token_profile_parse(all[index].yaml, all[index].file, ret_profile, err) : CUSTOS_OK;
}

custos_rc custos_token_profile_named(const char *name, struct custos_token_profile *ret_profile, struct custos_err *err)
{
	struct custos_token_profile p = { 0 };
	bool found = true;
	for (size_t i = 0; found; i++) {
		CUSTOS_TRY(shipped(i, &p, &found, err));
		if (found && strcmp(p.name, name) == 0) {
			*ret_profile = p;
			return CUSTOS_OK;
		}
	}
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "profiles are compiled in; “token list” shows which one fits", "there is no token profile called “%.31s”", name);
}

custos_rc custos_token_profile_for_module(const char *path, struct custos_token_profile *ret_profile, bool *ret_found, struct custos_err *err)
{
	const char *slash = strrchr(path, '/'), *file = slash == NULL ? path : slash + 1;
	struct custos_token_profile p = { 0 };
	bool found = true;
	for (size_t i = 0; found; i++) {
		CUSTOS_TRY(shipped(i, &p, &found, err));
		if (found && strcmp(p.module, file) == 0) {
			*ret_profile = p;
			*ret_found = true;
			return CUSTOS_OK;
		}
	}
	*ret_found = false;
	return CUSTOS_OK;
}

custos_rc custos_token_profile_for_token(const char *manufacturer, const char *model, struct custos_token_profile *ret_profile, bool *ret_found, struct custos_err *err)
{
	struct custos_token_profile p = { 0 };
	bool found = true;
	for (size_t i = 0; found; i++) {
		CUSTOS_TRY(shipped(i, &p, &found, err));
		if (found && custos_token_profile_fits(&p, manufacturer, model)) {
			*ret_profile = p;
			*ret_found = true;
			return CUSTOS_OK;
		}
	}
	*ret_found = false;
	return CUSTOS_OK;
}

bool custos_token_profile_fits(const struct custos_token_profile *profile, const char *manufacturer, const char *model)
{
	return strcmp(profile->manufacturer, manufacturer) == 0 && strcmp(profile->model, model) == 0;
}
