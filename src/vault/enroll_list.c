/* The list of keys to enroll: strict YAML in, entries with their defaults out. What is wrong with the list as a list is refused here, with file and line,
 * before anything is made; what is wrong with one entry's names is that entry's affair, later. */
#include "vault/enroll.h"
#include "base/text.h"
#include "x509/template.h"

static const char *const key_words[] = { "name", "type", "class", "san", CUSTOS_CSR_FIELDS, NULL };
/* no name and no san: what is said once for all cannot be said of one host */
static const char *const default_words[] = { "type", "class", CUSTOS_CSR_FIELDS, NULL };

struct defaults {
	const char *type, *class;
	struct custos_csr_spec spec;
};

void custos_enroll_list_done(struct custos_enroll_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->entries[i].sans);
	free(list->entries);
	custos_yaml_free(list->root);
	*list = (struct custos_enroll_list){ 0 };
}

static const struct custos_yaml *at_key(const struct custos_yaml *map, const char *key)
{
	const struct custos_yaml *node = custos_yaml_get(map, key);
	return node == NULL ? map : node;
}

/* What both the defaults and an entry may say, each checked where it stands. */
static custos_rc read_shared(const struct custos_yaml *map, const struct defaults *otherwise, struct defaults *said, struct custos_enroll_entry *entry,
                             struct custos_err *err)
{
	static const char *const classes[] = { "deployable", "sign-only", NULL };
	size_t word;
	CUSTOS_TRY(custos_yaml_text(map, "type", otherwise->type, &said->type, err));
	if (!custos_key_type_parse(said->type, &entry->type))
		return custos_yaml_refuse(at_key(map, "type"), err, "\"%.40s\" is not a key type (rsa-2048, rsa-3072, rsa-4096, rsa-6144, rsa-8192, ec-p256, ec-p384, ec-p521, ed25519)", said->type);
	CUSTOS_TRY(custos_yaml_word(map, "class", classes, otherwise->class, &word, err));
	said->class = classes[word];
	entry->class = word == 0 ? CUSTOS_CLASS_DEPLOYABLE : CUSTOS_CLASS_SIGN_ONLY;
	return custos_csr_read_fields(map, &otherwise->spec, &said->spec, err);
}

static custos_rc read_defaults(const struct custos_yaml *root, struct defaults *ret_defaults, struct custos_err *err)
{
	static const struct defaults built_in = { "rsa-2048", "deployable", { .subject = "", .profile = "server", .signature = "default" } };
	const struct custos_yaml *map = custos_yaml_get(root, "defaults");
	struct custos_enroll_entry ignored;
	*ret_defaults = built_in;
	if (map == NULL)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_yaml_known(map, default_words, err));
	return read_shared(map, &built_in, ret_defaults, &ignored, err);
}

static custos_rc read_entry(const struct custos_yaml *map, const struct defaults *defaults, struct custos_enroll_entry *entry, struct custos_err *err)
{
	struct defaults said = { 0 };
	CUSTOS_TRY(custos_yaml_known(map, key_words, err));
	entry->line = custos_yaml_line(map);
	CUSTOS_TRY(custos_yaml_text(map, "name", CUSTOS_YAML_REQUIRED, &entry->name, err));
	if (!custos_text_is_name(entry->name))
		return custos_yaml_refuse(at_key(map, "name"), err, "\"%.80s\" is not a name: 1 to 63 of a-z 0-9 . _ -, beginning with a letter or digit", entry->name);
	CUSTOS_TRY(read_shared(map, defaults, &said, entry, err));
	CUSTOS_TRY(custos_yaml_texts(map, "san", &entry->sans, err));
	if (entry->sans[0] == NULL)
		return custos_yaml_refuse(at_key(map, "san"), err, "key %s asks for no name: \"san\" is missing or empty", entry->name);
	entry->spec = said.spec;
	entry->spec.sans = entry->sans;
	return CUSTOS_OK;
}

/* `seen`: name → line where it was first given. */
static custos_rc refuse_twice(const struct custos_yaml *map, const struct custos_enroll_entry *entry, struct custos_json *seen, struct custos_err *err)
{
	int64_t line = custos_json_int(seen, entry->name, 0);
	if (line != 0)
		return custos_yaml_refuse(at_key(map, "name"), err, "key %s is in the list twice; the first time in line %lld", entry->name, (long long)line);
	custos_json_set_int(seen, entry->name, entry->line);
	return CUSTOS_OK;
}

static custos_rc read_entries(const struct custos_yaml *keys, const struct defaults *defaults, struct custos_enroll_list *list, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *seen = custos_json_object();
	size_t count = custos_yaml_count(keys);
	if (custos_yaml_kind(keys) != CUSTOS_YAML_LIST || count == 0)
		return custos_yaml_refuse(keys, err, "a list of keys is expected here");
	if (count > CUSTOS_ENROLL_MAX)
		return custos_yaml_refuse(keys, err, "more than %d keys in one list", CUSTOS_ENROLL_MAX);
	list->entries = calloc(count, sizeof *list->entries);
	CUSTOS_REQUIRE(list->entries != NULL && seen != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	list->count = count;
	for (size_t i = 0; i < count; i++) {
		const struct custos_yaml *map = custos_yaml_at(keys, i);
		CUSTOS_TRY(read_entry(map, defaults, &list->entries[i], err));
		CUSTOS_TRY(refuse_twice(map, &list->entries[i], seen, err));
	}
	return CUSTOS_OK;
}

custos_rc custos_enroll_read(struct custos_bytes yaml, const char *file, struct custos_enroll_list *ret_list, struct custos_err *err)
{
	static const char *const root_words[] = { "defaults", "keys", NULL };
	CUSTOS_CLEANUP(custos_enroll_list_done) struct custos_enroll_list list = { 0 };
	struct defaults defaults;
	CUSTOS_TRY(custos_yaml_parse(yaml, file, &list.root, err));
	/* a bare list is one without defaults */
	const struct custos_yaml *keys = list.root;
	if (custos_yaml_kind(list.root) != CUSTOS_YAML_LIST) {
		CUSTOS_TRY(custos_yaml_known(list.root, root_words, err));
		keys = custos_yaml_get(list.root, "keys");
		if (keys == NULL)
			return custos_yaml_refuse(list.root, err, "\"keys\" is missing");
	}
	CUSTOS_TRY(read_defaults(list.root, &defaults, err));
	CUSTOS_TRY(read_entries(keys, &defaults, &list, err));
	*ret_list = list;
	list = (struct custos_enroll_list){ 0 };
	return CUSTOS_OK;
}
