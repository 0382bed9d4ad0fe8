/* Token profiles: strict reading, and the ones that are compiled in. */
#include "token/profile.h"
#include "base/text.h"
#include "data/yaml.h"

#include <stdio.h>

#define SHIPPED(name) \
	extern const char custos_token_profile_##name[]; \
	extern const size_t custos_token_profile_##name##_len
SHIPPED(softhsm);
SHIPPED(nss);
SHIPPED(opencryptoki);
SHIPPED(tpm2);

static const char *const tier_words[] = { "sign-only", "basic", "hardened", NULL };
static const char *const copy_words[] = { "none", "softhsm", NULL };
static const char *const format_words[] = { "rfc5649", NULL };
static const char *const seal_words[] = { "none", "rsa-oaep-sha256", "ecdh-p256", NULL };
static const char *const rsa_words[] = { "rsa-pkcs", "sha256-rsa-pkcs", NULL };
static const char *const pss_words[] = { "none", "rsa-pkcs-pss", NULL };
static const char *const ecdsa_words[] = { "ecdsa", "ecdsa-sha", NULL };
static const char *const session_words[] = { "one-a-thread", "one", NULL };

/* Never among them: class, token, private, sensitive, extractable and what a key may be used for. A token that is unsure of those is no token.
 * The last five (CUSTOS_LOOSE_ATTRIBUTES) are heard where it does not matter: for a key that was just unwrapped to a session object, and for public
 * keys. */
static const char *const optional_attributes[] = {
	"modifiable", "copyable", "allowed_mechanisms", "wrap_template", "unwrap_template", "local", "key_gen_mechanism", "always_sensitive", "never_extractable",
	"sign_recover", "verify_recover", "value_len", "decrypt", "unwrap", "derive", "verify", "encrypt", NULL,
};
/* What tier hardened consists of. */
enum { ENFORCED = 0x1f };

uint32_t custos_attribute_bit(const char *name)
{
	for (unsigned i = 0; optional_attributes[i] != NULL; i++)
		if (strcmp(optional_attributes[i], name) == 0)
			return 1u << i;
	return 0;
}

void custos_attribute_names(uint32_t bits, char *out, size_t size)
{
	out[0] = '\0';
	for (unsigned i = 0; optional_attributes[i] != NULL; i++) {
		size_t used = strlen(out);
		if ((bits & 1u << i) != 0)
			snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", optional_attributes[i]);
	}
}

const char *custos_tier_name(enum custos_tier tier)
{
	return tier == CUSTOS_TIER_UNUSABLE ? "unusable" : tier_words[tier];
}

bool custos_key_types_include(const struct custos_key_types *types, enum custos_key_type type)
{
	for (size_t i = 0; i < types->count; i++)
		if (types->of[i] == type)
			return true;
	return false;
}

/* How strong a type is among those of its kind; 0 for another kind. */
static size_t strength(enum custos_key_type type, bool of_rsa)
{
	return of_rsa ? custos_key_type_bits(type) : custos_key_type_point_size(type);
}

bool custos_key_types_nearest(const struct custos_key_types *types, enum custos_key_type wanted, enum custos_key_type *ret_nearest)
{
	bool of_rsa = custos_key_type_bits(wanted) > 0;
	/* Ed25519 is as strong as P-256 */
	size_t want = wanted == CUSTOS_KEY_ED25519 ? strength(CUSTOS_KEY_EC_P256, false) : strength(wanted, of_rsa), best = 0;
	for (size_t i = 0; i < types->count; i++) {
		size_t is = strength(types->of[i], of_rsa);
		/* the strongest of the weaker ones; when there are none, the weakest of the stronger ones */
		bool better = is > 0 && (best == 0 || (is <= want ? best > want || is > best : best > want && is < best));
		if (!better)
			continue;
		best = is;
		*ret_nearest = types->of[i];
	}
	if (best == 0 && types->count > 0)
		*ret_nearest = custos_key_types_include(types, CUSTOS_KEY_EC_P256) ? CUSTOS_KEY_EC_P256 : types->of[0];
	return types->count > 0;
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
	static const char *const known[] = { "mechanism", "format", "padding", "ec_point_attribute", NULL };
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
	return custos_yaml_get(wrap, "ec_point_attribute") == NULL ? CUSTOS_OK : read_mechanism(wrap, "ec_point_attribute", &p->ec_point_attribute, err);
}

/* The words that choose between ways to do the same thing. */
static custos_rc read_choices(const struct custos_yaml *root, struct custos_token_profile *p, struct custos_err *err)
{
	static const char *const known_sign[] = { "rsa", "ecdsa", "pss", NULL };
	const struct custos_yaml *sign = custos_yaml_get(root, "sign");
	const char *transport_words[CUSTOS_TRANSPORT_COUNT + 1] = { NULL };
	for (unsigned i = 0; i < CUSTOS_TRANSPORT_COUNT; i++)
		transport_words[i] = custos_transport_name((enum custos_transport)i);
	size_t rsa = CUSTOS_RSA_DIGEST_INFO, ecdsa = CUSTOS_ECDSA_DIGEST, pss = CUSTOS_PSS_NONE, transport, seal, sessions, copy;
	if (sign != NULL) {
		CUSTOS_TRY(custos_yaml_known(sign, known_sign, err));
		CUSTOS_TRY(custos_yaml_word(sign, "rsa", rsa_words, rsa_words[0], &rsa, err));
		CUSTOS_TRY(custos_yaml_word(sign, "ecdsa", ecdsa_words, ecdsa_words[0], &ecdsa, err));
		CUSTOS_TRY(custos_yaml_word(sign, "pss", pss_words, pss_words[0], &pss, err));
	}
	CUSTOS_TRY(custos_yaml_word(root, "transport", transport_words, transport_words[0], &transport, err));
	CUSTOS_TRY(custos_yaml_word(root, "seal", seal_words, seal_words[0], &seal, err));
	CUSTOS_TRY(custos_yaml_word(root, "sessions", session_words, session_words[0], &sessions, err));
	CUSTOS_TRY(custos_yaml_word(root, "token_file_copy", copy_words, copy_words[0], &copy, err));
	CUSTOS_TRY(custos_yaml_bool(root, "session_objects", true, &p->session_objects, err));
	CUSTOS_TRY(custos_yaml_bool(root, "always_authenticate", false, &p->always_authenticate, err));
	if (!p->session_objects && p->tier != CUSTOS_TIER_SIGN_ONLY)
		return custos_yaml_refuse(root, err, "session_objects: only a sign-only token can do without them");
	p->rsa = (enum custos_rsa_signing)rsa;
	p->ecdsa = (enum custos_ecdsa_signing)ecdsa;
	p->pss = (enum custos_pss_signing)pss;
	p->transport = (enum custos_transport)transport;
	p->sealing = (enum custos_sealing)seal;
	p->sessions = (enum custos_sessions)sessions;
	p->file_copy = (enum custos_file_copy)copy;
	return CUSTOS_OK;
}

static custos_rc read_omitted(const struct custos_yaml *map, const char *key, const struct custos_token_profile *p, uint32_t *ret_bits, struct custos_err *err)
{
	const char **names = NULL;
	CUSTOS_TRY(custos_yaml_texts(map, key, &names, err));
	custos_rc rc = CUSTOS_OK;
	uint32_t bits = 0;
	for (size_t i = 0; names[i] != NULL && rc == CUSTOS_OK; i++) {
		uint32_t bit = custos_attribute_bit(names[i]);
		if (bit == 0)
			rc = custos_yaml_refuse(map, err, "%s: “%s” is no attribute that may be left out", key, names[i]);
		else if ((bits & bit) != 0)
			rc = custos_yaml_refuse(map, err, "%s: %s is named twice", key, names[i]);
		else if ((bit & ENFORCED) != 0 && p->tier == CUSTOS_TIER_HARDENED)
			rc = custos_yaml_refuse(map, err, "%s: without %s a token is not hardened", key, names[i]);
		bits |= bit;
	}
	free(names);
	*ret_bits = bits;
	return rc;
}

static custos_rc read_attributes(const struct custos_yaml *root, struct custos_token_profile *p, struct custos_err *err)
{
	static const char *const known[] = { "not_sent", "not_read", NULL };
	const struct custos_yaml *attributes = custos_yaml_get(root, "attributes");
	if (attributes == NULL)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_yaml_known(attributes, known, err));
	CUSTOS_TRY(read_omitted(attributes, "not_sent", p, &p->not_sent, err));
	return read_omitted(attributes, "not_read", p, &p->not_read, err);
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
		if (p->log.of[i] != CUSTOS_KEY_ED25519 && p->log.of[i] != CUSTOS_KEY_EC_P256 && p->log.of[i] != CUSTOS_KEY_RSA_3072)
			return custos_yaml_refuse(keys, err, "log: only ed25519, ec-p256 and rsa-3072 can sign the log");
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
	static const char *const known[] = { "name", "match", "parameters", "tier", "token_file_copy", "session_objects", "sessions", "always_authenticate", "wrap", "transport", "seal", "sign", "attributes", "keys",
		                                 "pin", NULL };
	static const char *const known_match[] = { "module", "manufacturer", "model", "firmware", NULL };
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
	CUSTOS_TRY(copy_text(match, "firmware", "", p.firmware, sizeof p.firmware, err));
	CUSTOS_TRY(copy_text(root, "parameters", "", p.parameters, sizeof p.parameters, err));
	size_t word;
	CUSTOS_TRY(custos_yaml_word(root, "tier", tier_words, CUSTOS_YAML_REQUIRED, &word, err));
	p.tier = (enum custos_tier)word;
	CUSTOS_TRY(read_choices(root, &p, err));
	CUSTOS_TRY(read_wrap(root, &p, err));
	CUSTOS_TRY(read_attributes(root, &p, err));
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
		{ "nss.yaml", CUSTOS_BYTES(custos_token_profile_nss, custos_token_profile_nss_len) },
		{ "opencryptoki.yaml", CUSTOS_BYTES(custos_token_profile_opencryptoki, custos_token_profile_opencryptoki_len) },
		{ "tpm2.yaml", CUSTOS_BYTES(custos_token_profile_tpm2, custos_token_profile_tpm2_len) },
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

custos_rc custos_token_profile_for_token(const struct custos_token_info *token, struct custos_token_profile *ret_profile, bool *ret_found, struct custos_err *err)
{
	struct custos_token_profile p = { 0 };
	bool found = true;
	for (size_t i = 0; found; i++) {
		CUSTOS_TRY(shipped(i, &p, &found, err));
		if (found && custos_token_profile_fits(&p, token)) {
			*ret_profile = p;
			*ret_found = true;
			return CUSTOS_OK;
		}
	}
	*ret_found = false;
	return CUSTOS_OK;
}

/* A version, or the beginning of one: 2.6 is 2.6 and 2.6.1, not 2.60. */
static bool is_version(const char *whole, const char *beginning)
{
	size_t len = strlen(beginning);
	return strncmp(whole, beginning, len) == 0 && (len == 0 || whole[len] == '\0' || whole[len] == '.');
}

bool custos_token_profile_fits(const struct custos_token_profile *profile, const struct custos_token_info *token)
{
	return strcmp(profile->manufacturer, token->manufacturer) == 0 && strcmp(profile->model, token->model) == 0 && is_version(token->firmware, profile->firmware);
}

void custos_token_profile_unknown(struct custos_token_profile *ret_profile)
{
	static const struct custos_key_types all = {
		{ CUSTOS_KEY_RSA_2048, CUSTOS_KEY_RSA_3072, CUSTOS_KEY_RSA_4096, CUSTOS_KEY_EC_P256, CUSTOS_KEY_EC_P384, CUSTOS_KEY_ED25519, CUSTOS_KEY_EC_P521, CUSTOS_KEY_RSA_6144,
		  CUSTOS_KEY_RSA_8192 }, 9,
	};
	*ret_profile = (struct custos_token_profile){ .name = "unknown", .tier = CUSTOS_TIER_SIGN_ONLY, .session_objects = true, .sign_only = all, .pin_max = 255 };
}
