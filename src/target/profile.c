/* Profiles: strict YAML in, a recipe and the rules about keys out. Every complaint names the file and the line. A profile
 * is data about a kind of server; nothing in here knows ESXi. */
#include "target/profile.h"

#include "base/text.h"
#include "data/yaml.h"

extern const char custos_profile_esxi_yaml[];
extern const size_t custos_profile_esxi_yaml_len;

struct custos_bytes custos_profile_builtin(const char *name)
{
	if (strcmp(name, "esxi") == 0)
		return CUSTOS_BYTES(custos_profile_esxi_yaml, custos_profile_esxi_yaml_len);
	return CUSTOS_BYTES(NULL, 0);
}

void custos_profile_free(struct custos_profile *profile)
{
	if (profile == NULL)
		return;
	for (size_t i = 0; i < profile->key_type_count; i++)
		free(profile->key_types[i]);
	free(profile->keys_because);
	custos_recipe_done(&profile->recipe);
	free(profile);
}

static custos_rc copy(const char *text, char **ret, struct custos_err *err)
{
	char *made = strdup(text);
	CUSTOS_REQUIRE(made != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	free(*ret);
	*ret = made;
	return CUSTOS_OK;
}

static const struct custos_yaml *at_key(const struct custos_yaml *map, const char *key)
{
	const struct custos_yaml *node = custos_yaml_get(map, key);
	return node == NULL ? map : node;
}

/* A text of one line. */
static custos_rc line(const struct custos_yaml *map, const char *key, const char *otherwise, char **ret, struct custos_err *err)
{
	const char *text;
	CUSTOS_TRY(custos_yaml_text(map, key, otherwise, &text, err));
	if (!custos_recipe_is_line(text, 2048))
		return custos_yaml_refuse(at_key(map, key), err, "%s is too long or holds a control character", key);
	if (otherwise == CUSTOS_YAML_REQUIRED && text[0] == '\0')
		return custos_yaml_refuse(at_key(map, key), err, "%s is empty", key);
	return copy(text, ret, err);
}

static custos_rc path(const struct custos_yaml *map, const char *key, const char *otherwise, char **ret, struct custos_err *err)
{
	CUSTOS_TRY(line(map, key, otherwise, ret, err));
	if ((*ret)[0] != '\0' && !custos_recipe_is_path(*ret))
		return custos_yaml_refuse(at_key(map, key), err, "%s \"%s\" is not a plain absolute path", key, *ret);
	return CUSTOS_OK;
}

static custos_rc milliseconds(const struct custos_yaml *map, const char *key, uint64_t min, uint64_t max, uint64_t otherwise, uint32_t *ret, struct custos_err *err)
{
	uint64_t value;
	CUSTOS_TRY(custos_yaml_u64(map, key, min, max, otherwise, &value, err));
	*ret = (uint32_t)value;
	return CUSTOS_OK;
}

static custos_rc read_file(const struct custos_yaml *files, const char *name, struct custos_recipe_file *file, struct custos_err *err)
{
	static const char *const known[] = { "path", "mode", "owner", NULL };
	const struct custos_yaml *node = custos_yaml_get(files, name);
	if (node == NULL) {
		CUSTOS_TRY(copy("", &file->path, err));
		CUSTOS_TRY(copy("0600", &file->mode, err));
		return copy("root:root", &file->owner, err);
	}
	CUSTOS_TRY(custos_yaml_known(node, known, err));
	CUSTOS_TRY(path(node, "path", CUSTOS_YAML_REQUIRED, &file->path, err));
	CUSTOS_TRY(line(node, "mode", CUSTOS_YAML_REQUIRED, &file->mode, err));
	CUSTOS_TRY(line(node, "owner", "root:root", &file->owner, err));
	if (!custos_recipe_is_mode(file->mode))
		return custos_yaml_refuse(at_key(node, "mode"), err, "mode \"%s\" is not a file mode such as \"0600\"", file->mode);
	if (!custos_recipe_is_owner(file->owner))
		return custos_yaml_refuse(at_key(node, "owner"), err, "owner \"%s\" is not user:group", file->owner);
	/* the last digit: what the world may do with a private key */
	if (strcmp(name, "certificate") != 0 && file->mode[strlen(file->mode) - 1] != '0')
		return custos_yaml_refuse(at_key(node, "mode"), err, "mode \"%s\" lets everybody on the host read the private key", file->mode);
	return CUSTOS_OK;
}

static custos_rc read_files(const struct custos_yaml *root, struct custos_recipe *r, struct custos_err *err)
{
	static const char *const known[] = { "certificate", "key", "combined", NULL };
	static const char *const ways[] = { "in-place", "rename", NULL };
	const struct custos_yaml *files = custos_yaml_get(root, "files");
	if (files == NULL)
		return custos_yaml_refuse(root, err, "files is missing");
	CUSTOS_TRY(custos_yaml_known(files, known, err));
	CUSTOS_TRY(read_file(files, "certificate", &r->files[CUSTOS_FILE_CERTIFICATE], err));
	CUSTOS_TRY(read_file(files, "key", &r->files[CUSTOS_FILE_KEY], err));
	CUSTOS_TRY(read_file(files, "combined", &r->files[CUSTOS_FILE_COMBINED], err));
	size_t way;
	CUSTOS_TRY(custos_yaml_word(root, "replace", ways, "rename", &way, err));
	r->replace = (uint8_t)way;
	return CUSTOS_OK;
}

static custos_rc read_texts(const struct custos_yaml *root, const char *key, char **slots, size_t max, uint32_t *ret_count, struct custos_err *err)
{
	const char **texts = NULL;
	CUSTOS_TRY(custos_yaml_texts(root, key, &texts, err));
	custos_rc rc = CUSTOS_OK;
	size_t n = 0;
	for (; rc == CUSTOS_OK && texts[n] != NULL; n++) {
		if (n == max)
			rc = custos_yaml_refuse(at_key(root, key), err, "%s has more than %zu items", key, max);
		else if (!custos_recipe_is_line(texts[n], 200))
			rc = custos_yaml_refuse(at_key(root, key), err, "an item of %s is too long or holds a control character", key);
		else
			rc = copy(texts[n], &slots[n], err);
	}
	free(texts);
	CUSTOS_TRY(rc);
	*ret_count = (uint32_t)n;
	return CUSTOS_OK;
}

static custos_rc list_of(const struct custos_yaml *root, const char *key, size_t max, const struct custos_yaml **ret_list, size_t *ret_count, struct custos_err *err)
{
	*ret_list = custos_yaml_get(root, key);
	*ret_count = 0;
	if (*ret_list == NULL)
		return CUSTOS_OK;
	if (custos_yaml_kind(*ret_list) != CUSTOS_YAML_LIST)
		return custos_yaml_refuse(*ret_list, err, "%s is not a list", key);
	*ret_count = custos_yaml_count(*ret_list);
	if (*ret_count > max)
		return custos_yaml_refuse(*ret_list, err, "%s has more than %zu items", key, max);
	return CUSTOS_OK;
}

static custos_rc read_refusals(const struct custos_yaml *root, struct custos_recipe *r, struct custos_err *err)
{
	static const char *const known[] = { "if", "because", "remedy", NULL };
	const struct custos_yaml *list;
	size_t n;
	CUSTOS_TRY(list_of(root, "refuse", CUSTOS_RECIPE_REFUSALS_MAX, &list, &n, err));
	for (size_t i = 0; i < n; i++) {
		const struct custos_yaml *node = custos_yaml_at(list, i);
		CUSTOS_TRY(custos_yaml_known(node, known, err));
		CUSTOS_TRY(line(node, "if", CUSTOS_YAML_REQUIRED, &r->refusals[i].when, err));
		CUSTOS_TRY(line(node, "because", CUSTOS_YAML_REQUIRED, &r->refusals[i].because, err));
		CUSTOS_TRY(line(node, "remedy", "", &r->refusals[i].remedy, err));
	}
	r->refusal_count = (uint32_t)n;
	return CUSTOS_OK;
}

static custos_rc read_reports(const struct custos_yaml *root, struct custos_recipe *r, struct custos_err *err)
{
	static const char *const known[] = { "name", "run", NULL };
	const struct custos_yaml *list;
	size_t n;
	CUSTOS_TRY(list_of(root, "report", CUSTOS_RECIPE_REPORTS_MAX, &list, &n, err));
	for (size_t i = 0; i < n; i++) {
		const struct custos_yaml *node = custos_yaml_at(list, i);
		CUSTOS_TRY(custos_yaml_known(node, known, err));
		CUSTOS_TRY(line(node, "name", CUSTOS_YAML_REQUIRED, &r->reports[i].name, err));
		CUSTOS_TRY(line(node, "run", CUSTOS_YAML_REQUIRED, &r->reports[i].run, err));
	}
	r->report_count = (uint32_t)n;
	return CUSTOS_OK;
}

static custos_rc read_reload(const struct custos_yaml *root, struct custos_recipe *r, struct custos_err *err)
{
	static const char *const known[] = { "name", "only_if", "run", "budget_ms", "settle_ms", NULL };
	const struct custos_yaml *list;
	size_t n;
	CUSTOS_TRY(list_of(root, "reload", CUSTOS_RECIPE_STEPS_MAX, &list, &n, err));
	if (n == 0)
		return custos_yaml_refuse(at_key(root, "reload"), err, "reload names no way to reload the service");
	for (size_t i = 0; i < n; i++) {
		const struct custos_yaml *node = custos_yaml_at(list, i);
		struct custos_recipe_step *s = &r->steps[i];
		CUSTOS_TRY(custos_yaml_known(node, known, err));
		CUSTOS_TRY(line(node, "name", CUSTOS_YAML_REQUIRED, &s->name, err));
		CUSTOS_TRY(line(node, "only_if", "", &s->only_if, err));
		CUSTOS_TRY(line(node, "run", CUSTOS_YAML_REQUIRED, &s->run, err));
		CUSTOS_TRY(milliseconds(node, "budget_ms", 100, 600000, 10000, &s->budget_ms, err));
		CUSTOS_TRY(milliseconds(node, "settle_ms", 0, 600000, 0, &s->settle_ms, err));
	}
	r->step_count = (uint32_t)n;
	return CUSTOS_OK;
}

static custos_rc read_verify(const struct custos_yaml *root, struct custos_recipe *r, struct custos_err *err)
{
	static const char *const known[] = { "probes", "interval_ms", "alive", "alive_ms", NULL };
	static const char *const known_persist[] = { "run", "proof", NULL };
	const struct custos_yaml *verify = custos_yaml_get(root, "verify"), *persist = custos_yaml_get(root, "persist");
	if (verify == NULL)
		return custos_yaml_refuse(root, err, "verify is missing");
	CUSTOS_TRY(custos_yaml_known(verify, known, err));
	CUSTOS_TRY(milliseconds(verify, "probes", 1, 100, 3, &r->probes, err));
	CUSTOS_TRY(milliseconds(verify, "interval_ms", 100, 60000, 1000, &r->interval_ms, err));
	CUSTOS_TRY(line(verify, "alive", "", &r->alive, err));
	CUSTOS_TRY(milliseconds(verify, "alive_ms", 0, 600000, 10000, &r->alive_ms, err));
	if (persist == NULL) {
		CUSTOS_TRY(copy("", &r->persist, err));
		return copy("", &r->proof, err);
	}
	CUSTOS_TRY(custos_yaml_known(persist, known_persist, err));
	CUSTOS_TRY(line(persist, "run", CUSTOS_YAML_REQUIRED, &r->persist, err));
	return path(persist, "proof", "", &r->proof, err);
}

static custos_rc read_keys(const struct custos_yaml *root, struct custos_profile *p, struct custos_err *err)
{
	static const char *const formats[] = { "pkcs8", "pkcs1", NULL };
	static const char *const types[] = { "rsa-2048", "rsa-3072", "rsa-4096", "rsa-6144", "rsa-8192", "ec-p256", "ec-p384", "ec-p521", "ed25519", NULL };
	uint32_t n;
	CUSTOS_TRY(read_texts(root, "keys", p->key_types, CUSTOS_PROFILE_KEYS_MAX, &n, err));
	p->key_type_count = n;
	for (size_t i = 0; i < n; i++) {
		size_t t = 0;
		while (types[t] != NULL && strcmp(types[t], p->key_types[i]) != 0)
			t++;
		if (types[t] == NULL)
			return custos_yaml_refuse(at_key(root, "keys"), err, "\"%s\" is not a key type (rsa-2048, rsa-3072, rsa-4096, rsa-6144, rsa-8192, ec-p256, ec-p384, ec-p521, ed25519)", p->key_types[i]);
	}
	CUSTOS_TRY(line(root, "keys_because", "", &p->keys_because, err));
	size_t format;
	CUSTOS_TRY(custos_yaml_word(root, "key_format", formats, "pkcs8", &format, err));
	p->key_format = (unsigned)format;
	return CUSTOS_OK;
}

static custos_rc read_root(const struct custos_yaml *root, struct custos_profile *p, struct custos_err *err)
{
	static const char *const known[] = { "name", "keys", "keys_because", "key_format", "files", "replace", "become", "staging", "backup", "version", "report", "require",
	                                     "refuse", "test", "reload", "verify", "persist", NULL };
	struct custos_recipe *r = &p->recipe;
	CUSTOS_TRY(custos_yaml_known(root, known, err));
	CUSTOS_TRY(line(root, "name", CUSTOS_YAML_REQUIRED, &r->profile, err));
	if (!custos_text_is_name(r->profile))
		return custos_yaml_refuse(at_key(root, "name"), err, "\"%s\" is not a name of [a-z0-9._-]", r->profile);
	CUSTOS_TRY(read_keys(root, p, err));
	CUSTOS_TRY(read_files(root, r, err));
	CUSTOS_TRY(line(root, "become", "", &r->become, err));
	CUSTOS_TRY(path(root, "staging", "/tmp", &r->staging, err));
	CUSTOS_TRY(read_texts(root, "backup", r->backups, CUSTOS_RECIPE_BACKUPS_MAX, &r->backup_count, err));
	CUSTOS_TRY(line(root, "version", "", &r->version, err));
	CUSTOS_TRY(read_reports(root, r, err));
	CUSTOS_TRY(line(root, "test", "", &r->test, err));
	CUSTOS_TRY(read_texts(root, "require", r->tools, CUSTOS_RECIPE_TOOLS_MAX, &r->tool_count, err));
	CUSTOS_TRY(read_refusals(root, r, err));
	CUSTOS_TRY(read_reload(root, r, err));
	CUSTOS_TRY(read_verify(root, r, err));
	struct custos_err why = { 0 };
	if (custos_recipe_check(r, &why) != CUSTOS_OK)
		return custos_yaml_refuse(root, err, "%s", why.msg);
	return CUSTOS_OK;
}

custos_rc custos_profile_parse(struct custos_bytes yaml, const char *name, struct custos_profile **ret_profile, struct custos_err *err)
{
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	CUSTOS_TRY(custos_yaml_parse(yaml, name, &root, err));
	__attribute__((cleanup(custos_profile_freep))) struct custos_profile *p = calloc(1, sizeof *p);
	CUSTOS_REQUIRE(p != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(read_root(root, p, err));
	*ret_profile = CUSTOS_TAKE(p);
	return CUSTOS_OK;
}

unsigned custos_profile_key_format(const struct custos_profile *profile)
{
	return profile->key_format;
}

custos_rc custos_profile_accepts(const struct custos_profile *profile, const char *key_type, struct custos_err *err)
{
	if (profile->key_type_count == 0)
		return CUSTOS_OK;
	for (size_t i = 0; i < profile->key_type_count; i++)
		if (strcmp(profile->key_types[i], key_type) == 0)
			return CUSTOS_OK;
	CUSTOS_AUTO_BUF types = { 0 };
	for (size_t i = 0; i < profile->key_type_count; i++)
		CUSTOS_TRY(custos_buf_printf(&types, err, "%s%s", i > 0 ? ", " : "", profile->key_types[i]));
	custos_rc rc = custos_err_set(err, CUSTOS_E_POLICY, 0, "profile %s does not take %s keys%s%s", profile->recipe.profile, key_type,
	                              profile->keys_because[0] != '\0' ? ": " : "", profile->keys_because);
	custos_err_hint(err, "make a key of type %s", (char *)types.ptr);
	return rc;
}
