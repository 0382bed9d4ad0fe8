/* Strict YAML from anybody: a tree that keeps its promises, or an error that names the file. */
#include "data/yaml.h"

#include "fuzz.h"

static void walk(const struct custos_yaml *node, unsigned depth)
{
	MUST(depth <= 16);
	MUST(custos_yaml_line(node) >= 1);
	MUST((custos_yaml_scalar(node) != NULL) == (custos_yaml_kind(node) == CUSTOS_YAML_SCALAR));
	MUST(custos_yaml_at(node, custos_yaml_count(node)) == NULL);
	for (size_t i = 0; i < custos_yaml_count(node); i++) {
		const char *key = custos_yaml_key_at(node, i);
		MUST((key != NULL) == (custos_yaml_kind(node) == CUSTOS_YAML_MAP));
		/* unique: the first that is found is this one */
		MUST(key == NULL || (key[0] != '\0' && custos_yaml_get(node, key) == custos_yaml_at(node, i)));
		walk(custos_yaml_at(node, i), depth + 1);
	}
}

static void must_name_the_place(custos_rc rc, const struct custos_err *err)
{
	MUST(rc == CUSTOS_OK || (rc == CUSTOS_E_INPUT && strncmp(err->msg, "fuzz.yaml:", 10) == 0 && err->msg[10] >= '0' && err->msg[10] <= '9'));
}

/* Getters on every map, for keys that are there and one that is not. */
static void ask(const struct custos_yaml *map)
{
	static const char *const words[] = { "a", "b", NULL };
	for (size_t i = 0; i <= custos_yaml_count(map); i++) {
		const char *key = i < custos_yaml_count(map) ? custos_yaml_key_at(map, i) : "absent, hopefully", *text = NULL, **texts = NULL;
		struct custos_err err[6] = { 0 };
		uint64_t number = 5;
		size_t word = 0;
		bool truth;
		must_name_the_place(custos_yaml_text(map, key, CUSTOS_YAML_REQUIRED, &text, &err[0]), &err[0]);
		must_name_the_place(custos_yaml_u64(map, key, 5, 500, 5, &number, &err[1]), &err[1]);
		MUST(number >= 5 && number <= 500);
		must_name_the_place(custos_yaml_bool(map, key, true, &truth, &err[2]), &err[2]);
		must_name_the_place(custos_yaml_word(map, key, words, "b", &word, &err[3]), &err[3]);
		MUST(word < 2);
		must_name_the_place(custos_yaml_texts(map, key, &texts, &err[4]), &err[4]);
		free(texts);
		must_name_the_place(custos_yaml_known(map, words, &err[5]), &err[5]);
	}
}

static void ask_all(const struct custos_yaml *node)
{
	if (custos_yaml_kind(node) == CUSTOS_YAML_MAP)
		ask(node);
	for (size_t i = 0; i < custos_yaml_count(node); i++)
		ask_all(custos_yaml_at(node, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	struct custos_err err = { 0 };
	custos_rc rc = custos_yaml_parse(CUSTOS_BYTES(data, size), "fuzz.yaml", &root, &err);
	MUST((rc == CUSTOS_OK) == (root != NULL));
	must_name_the_place(rc, &err);
	if (root != NULL) {
		walk(root, 0);
		ask_all(root);
	}
	return 0;
}
