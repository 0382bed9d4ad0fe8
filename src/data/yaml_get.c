/* Typed getters over the YAML tree: each says in one line what was expected where. */
#include "data/yaml.h"
#include "base/text.h"

static const char *join(const char *const words[], char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; words[i] != NULL; i++) {
		const char *comma = i == 0 ? "" : ", ";
		size_t need = strlen(comma) + strlen(words[i]);
		if (used + need + 1 > size)
			break;
		memcpy(out + used, comma, strlen(comma));
		memcpy(out + used + strlen(comma), words[i], strlen(words[i]) + 1);
		used += need;
	}
	return out;
}

custos_rc custos_yaml_known(const struct custos_yaml *node, const char *const known[], struct custos_err *err)
{
	char list[300];
	if (custos_yaml_kind(node) != CUSTOS_YAML_MAP)
		return custos_yaml_refuse(node, err, "a map is expected here, with the keys %s", join(known, list, sizeof list));
	for (size_t i = 0; i < custos_yaml_count(node); i++) {
		const char *key = custos_yaml_key_at(node, i);
		size_t k = 0;
		while (known[k] != NULL && strcmp(known[k], key) != 0)
			k++;
		if (known[k] == NULL) {
			custos_rc rc = custos_yaml_refuse(custos_yaml_at(node, i), err, "\"%s\" is not known here", key);
			custos_err_hint(err, "known are: %s", join(known, list, sizeof list));
			return rc;
		}
	}
	return CUSTOS_OK;
}

custos_rc custos_yaml_text(const struct custos_yaml *map, const char *key, const char *otherwise, const char **ret, struct custos_err *err)
{
	const struct custos_yaml *value = custos_yaml_get(map, key);
	if (value == NULL) {
		if (otherwise == CUSTOS_YAML_REQUIRED)
			return custos_yaml_refuse(map, err, "\"%s\" is missing", key);
		*ret = otherwise;
		return CUSTOS_OK;
	}
	const char *text = custos_yaml_scalar(value);
	if (text == NULL)
		return custos_yaml_refuse(value, err, "\"%s\" must be text", key);
	*ret = text;
	return CUSTOS_OK;
}

custos_rc custos_yaml_u64(const struct custos_yaml *map, const char *key, uint64_t min, uint64_t max, uint64_t otherwise, uint64_t *ret,
                          struct custos_err *err)
{
	const struct custos_yaml *value = custos_yaml_get(map, key);
	if (value == NULL) {
		*ret = otherwise;
		return CUSTOS_OK;
	}
	const char *text = custos_yaml_scalar(value);
	if (text == NULL || !custos_text_u64(text, min, max, ret))
		return custos_yaml_refuse(value, err, "\"%s\" must be a number from %llu to %llu", key, (unsigned long long)min, (unsigned long long)max);
	return CUSTOS_OK;
}

custos_rc custos_yaml_word(const struct custos_yaml *map, const char *key, const char *const words[], const char *otherwise, size_t *ret,
                           struct custos_err *err)
{
	const char *text;
	char list[300];
	CUSTOS_TRY(custos_yaml_text(map, key, otherwise, &text, err));
	for (size_t i = 0; words[i] != NULL; i++)
		if (text != NULL && strcmp(words[i], text) == 0) {
			*ret = i;
			return CUSTOS_OK;
		}
	const struct custos_yaml *value = custos_yaml_get(map, key);
	return custos_yaml_refuse(value == NULL ? map : value, err, "\"%s\" must be one of %s", key, join(words, list, sizeof list));
}

custos_rc custos_yaml_bool(const struct custos_yaml *map, const char *key, bool otherwise, bool *ret, struct custos_err *err)
{
	static const char *const words[] = { "no", "yes", "false", "true", NULL };
	size_t word;
	CUSTOS_TRY(custos_yaml_word(map, key, words, otherwise ? "yes" : "no", &word, err));
	*ret = (word & 1) != 0;
	return CUSTOS_OK;
}

custos_rc custos_yaml_texts(const struct custos_yaml *map, const char *key, const char ***ret, struct custos_err *err)
{
	const struct custos_yaml *value = custos_yaml_get(map, key);
	size_t count = value == NULL ? 0 : custos_yaml_kind(value) == CUSTOS_YAML_LIST ? custos_yaml_count(value) : 1;
	if (value != NULL && custos_yaml_kind(value) == CUSTOS_YAML_MAP)
		return custos_yaml_refuse(value, err, "\"%s\" must be a list of texts", key);
	const char **texts = calloc(count + 1, sizeof *texts);
	CUSTOS_REQUIRE(texts != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const struct custos_yaml *item = custos_yaml_kind(value) == CUSTOS_YAML_LIST ? custos_yaml_at(value, i) : value;
		texts[i] = custos_yaml_scalar(item);
		if (texts[i] == NULL) {
			free(texts);
			return custos_yaml_refuse(item, err, "\"%s\" must be a list of texts", key);
		}
	}
	*ret = texts;
	return CUSTOS_OK;
}
