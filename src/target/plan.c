/* Plans: a target's record and its profile become what is to be done on one host. Pure: JSON in, bytes out. The record comes
 * from the log, the profile from a file; both are checked here, and the decoded plan is checked again in the courier. */
#include "target/plan.h"

#include "base/text.h"
#include "data/json.h"
#include "target/profile.h"
#include "target/script.h"

#include <stdio.h>

enum { NONCE_DIGITS = 16, HOSTKEYS_MAX = 16 };

/* "host" or "[v6]", then ":port" unless the usual one is meant. */
static bool is_endpoint(const char *text)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : NULL, *colon = strchr(end == NULL ? text : end, ':');
	uint64_t port;
	size_t host = colon == NULL ? strlen(text) : (size_t)(colon - text);
	if (host == 0 || host > 255 || (colon != NULL && !custos_text_u64(colon + 1, 1, 65535, &port)))
		return false;
	bool v6 = text[0] == '[' && text[host - 1] == ']' && host > 2;
	const char *others = v6 ? ":.%" : ".-_";
	for (size_t i = v6 ? 1 : 0; i < (v6 ? host - 1 : host); i++) {
		char c = text[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) && strchr(others, c) == NULL)
			return false;
	}
	return text[0] != '-';
}

static bool is_fingerprint(const char *text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	return strncmp(text, "SHA256:", 7) == 0 && strlen(text) == 7 + 43 && strspn(text + 7, alphabet) == 43;
}

static bool is_user(const char *user)
{
	size_t len = strlen(user);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)user[i] <= 0x20 || user[i] == 0x7f)
			return false;
	return len >= 1 && len <= 64 && user[0] != '-';
}

static bool is_sni(const char *sni)
{
	return custos_recipe_is_line(sni, 255) && strchr(sni, ' ') == NULL;
}

static bool is_hex(const char *text, size_t digits)
{
	return strlen(text) == digits && strspn(text, "0123456789abcdef") == digits;
}

/* The kind of login: the word before the colon. NULL when it is none. */
static const char *auth_kind(const char *auth)
{
	static const struct {
		const char *start, *kind;
	} kinds[] = { { "password:", "password" }, { "agent:", "agent" }, { "key:", "key" }, { "token:", "token" } };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t n = strlen(kinds[i].start);
		if (strncmp(auth, kinds[i].start, n) == 0 && auth[n] != '\0')
			return kinds[i].kind;
	}
	return strcmp(auth, "agent") == 0 ? "agent" : strcmp(auth, "password") == 0 ? "password" : NULL;
}

static custos_rc check_list(const struct custos_json *target, const char *name, const char *key, const char *what, bool (*good)(const char *), size_t max,
                            const char *remedy, struct custos_err *err)
{
	const struct custos_json *list = custos_json_get(target, key);
	if (!custos_json_is_array(list) || custos_json_count(list) == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, remedy, "target %s has no %s", name, what);
	CUSTOS_REQUIRE(custos_json_count(list) <= max, err, CUSTOS_E_INPUT, "target %s has more than %zu of %s", name, max, key);
	for (size_t i = 0; i < custos_json_count(list); i++) {
		const char *item = custos_json_string_value(custos_json_at(list, i));
		if (item == NULL || !good(item))
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, remedy, "target %s: \"%.80s\" is not a %s", name, item == NULL ? "" : item, what);
	}
	return CUSTOS_OK;
}

custos_rc custos_target_check(const struct custos_json *target, struct custos_err *err)
{
	const char *name = custos_json_text(target, "name");
	if (name == NULL || !custos_text_is_name(name))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "a name is 1 to 63 of a-z, 0-9, dot, dash and underscore", "\"%.80s\" cannot be a target's name", name == NULL ? "" : name);
	const char *address = custos_json_text(target, "address"), *user = custos_json_text(target, "user"), *auth = custos_json_text(target, "auth");
	const char *profile = custos_json_text(target, "profile"), *sni = custos_json_text(target, "sni"), *group = custos_json_text(target, "group");
	if (address == NULL || !is_endpoint(address))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "write host:port, for example esx1.example.com:22", "target %s: \"%.80s\" is not an address", name, address == NULL ? "" : address);
	CUSTOS_REQUIRE(user != NULL && is_user(user), err, CUSTOS_E_INPUT, "target %s: the user to log in as is missing or not usable", name);
	CUSTOS_REQUIRE(profile != NULL && profile[0] != '\0', err, CUSTOS_E_INPUT, "target %s names no profile", name);
	if (auth == NULL || auth_kind(auth) == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "use key:FILE, agent, token:URI or password:SRC", "target %s: unknown way to log in", name);
	CUSTOS_REQUIRE(sni == NULL || is_sni(sni), err, CUSTOS_E_INPUT, "target %s: the server name (sni) is not usable", name);
	CUSTOS_REQUIRE(group == NULL || group[0] == '\0' || custos_text_is_name(group), err, CUSTOS_E_INPUT, "target %s: \"%.80s\" cannot be a group's name", name, group);
	CUSTOS_TRY(check_list(target, name, "hostkeys", "host key fingerprint", is_fingerprint, HOSTKEYS_MAX,
	                      "compare `custos target scan` with the host's console and pin what it shows: SHA256: and 43 characters", err));
	return check_list(target, name, "verify", "address to verify", is_endpoint, CUSTOS_VERIFY_MAX, "write host:port, where a TLS client finds the service", err);
}

void custos_plan_done(struct custos_plan *plan)
{
	char *const texts[] = { plan->name, plan->user, plan->hostkeys, plan->auth, plan->sni, plan->nonce, plan->previous_backup, plan->custody_leaf };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	custos_recipe_done(&plan->recipe);
	*plan = (struct custos_plan){ 0 };
}

bool custos_plan_is_backup(const struct custos_plan *plan, const char *path)
{
	char name[96];
	int name_len = snprintf(name, sizeof name, "/.custos-%s-", plan->name);
	const char *last = strrchr(path, '/');
	if (!custos_recipe_is_path(path) || strncmp(last, name, (size_t)name_len) != 0 || last[name_len] == '\0')
		return false;
	size_t len = (size_t)(last - path);
	for (size_t i = 0; i < plan->recipe.backup_count; i++) {
		const char *place = plan->recipe.backups[i];
		size_t want = strlen(place);
		bool glob = want > 0 && place[want - 1] == '*';
		want -= glob;
		if (strncmp(path, place, want) == 0 && (glob ? len > want && memchr(path + want, '/', len - want) == NULL : len == want))
			return true;
	}
	return false;
}

void custos_target_name_at(const struct custos_json *target, size_t endpoint, char out[static 256])
{
	const char *sni = custos_json_text(target, "sni"), *at = custos_json_string_value(custos_json_at(custos_json_get(target, "verify"), endpoint));
	const char *end = at != NULL && at[0] == '[' ? strchr(at, ']') : NULL;
	if (sni != NULL && sni[0] != '\0')
		snprintf(out, 256, "%s", sni);
	else if (end != NULL)
		snprintf(out, 256, "%.*s", (int)(end - at - 1), at + 1);
	else
		snprintf(out, 256, "%.*s", at == NULL ? 0 : (int)strcspn(at, ":"), at == NULL ? "" : at);
}

/* What the courier relies on, whoever wrote the bytes. An empty list of host keys is legal: nobody is logged in to then, only the key's
 * fingerprint is reported. */
static custos_rc check_plan(const struct custos_plan *p, struct custos_err *err)
{
	CUSTOS_REQUIRE(custos_text_is_name(p->name), err, CUSTOS_E_INPUT, "a plan's target has no usable name");
	CUSTOS_REQUIRE(is_user(p->user), err, CUSTOS_E_INPUT, "plan for %s: no usable user", p->name);
	CUSTOS_REQUIRE(custos_recipe_is_line(p->hostkeys, 2048), err, CUSTOS_E_INPUT, "plan for %s: host keys are not usable", p->name);
	CUSTOS_REQUIRE(is_sni(p->sni), err, CUSTOS_E_INPUT, "plan for %s: the server name (sni) is not usable", p->name);
	CUSTOS_REQUIRE(p->verify_count >= 1 && p->verify_count <= CUSTOS_VERIFY_MAX, err, CUSTOS_E_INPUT, "plan for %s: no endpoint to verify", p->name);
	CUSTOS_REQUIRE(is_hex(p->nonce, NONCE_DIGITS), err, CUSTOS_E_INPUT, "plan for %s: the nonce is not %d hex digits", p->name, NONCE_DIGITS);
	CUSTOS_REQUIRE(p->previous_backup[0] == '\0' || custos_recipe_is_path(p->previous_backup), err, CUSTOS_E_INPUT, "plan for %s: the previous backup is not a plain absolute path", p->name);
	CUSTOS_REQUIRE(p->custody_leaf[0] == '\0' || is_hex(p->custody_leaf, 64), err, CUSTOS_E_INPUT, "plan for %s: the leaf in custody is not a hash", p->name);
	CUSTOS_REQUIRE(p->confirm_within_s >= 1 && p->confirm_within_s <= CUSTOS_CONFIRM_MAX_S, err, CUSTOS_E_INPUT, "plan for %s: the dead man's switch is out of range", p->name);
	CUSTOS_TRY(custos_recipe_check(&p->recipe, err));
	/* it is put back, or removed, by root of the host: an outcome in the log names it, and outcomes may be unsigned */
	CUSTOS_REQUIRE(p->previous_backup[0] == '\0' || custos_plan_is_backup(p, p->previous_backup), err, CUSTOS_E_INPUT,
	               "plan for %s: %s is not where profile %s keeps copies", p->name, p->previous_backup, p->recipe.profile);
	return CUSTOS_OK;
}

enum { TEXTS = 8 };

static void put(struct custos_wire_out *w, const char *const texts[TEXTS], const struct custos_plan *numbers, const struct custos_recipe *recipe)
{
	for (size_t i = 0; i < TEXTS; i++)
		custos_wire_put_text(w, texts[i]);
	custos_wire_put_u8(w, (uint8_t)((numbers->ssh_legacy ? 1 : 0) | (numbers->keep_backup ? 2 : 0)));
	custos_wire_put_u32(w, numbers->verify_count);
	custos_wire_put_u32(w, numbers->confirm_within_s);
	custos_recipe_put(w, recipe);
}

custos_rc custos_plan_encode(const struct custos_plan *p, struct custos_buf *out, struct custos_err *err)
{
	struct custos_wire_out w = { .buf = out, .err = err };
	const char *const texts[TEXTS] = { p->name, p->user, p->hostkeys, p->auth, p->sni, p->nonce, p->previous_backup, p->custody_leaf };
	put(&w, texts, p, &p->recipe);
	return w.rc;
}

static custos_rc decode(struct custos_bytes in, struct custos_plan *p, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(in);
	char **const texts[TEXTS] = { &p->name, &p->user, &p->hostkeys, &p->auth, &p->sni, &p->nonce, &p->previous_backup, &p->custody_leaf };
	for (size_t i = 0; i < TEXTS; i++)
		*texts[i] = custos_wire_text(&r);
	uint8_t flags = custos_wire_u8(&r);
	p->ssh_legacy = (flags & 1) != 0;
	p->keep_backup = (flags & 2) != 0;
	p->verify_count = custos_wire_u32(&r);
	p->confirm_within_s = custos_wire_u32(&r);
	custos_recipe_get(&r, &p->recipe);
	CUSTOS_TRY(custos_wire_end(&r, "plan", err));
	CUSTOS_REQUIRE(flags <= 3, err, CUSTOS_E_INPUT, "a plan has unknown flags");
	return check_plan(p, err);
}

custos_rc custos_plan_decode(struct custos_bytes in, struct custos_plan *ret_plan, struct custos_err *err)
{
	struct custos_plan plan = { 0 };
	custos_rc rc = decode(in, &plan, err);
	if (rc != CUSTOS_OK)
		custos_plan_done(&plan);
	else
		*ret_plan = plan;
	return rc;
}

static custos_rc join_hostkeys(const struct custos_json *list, struct custos_buf *out, struct custos_err *err)
{
	for (size_t i = 0; i < custos_json_count(list); i++)
		CUSTOS_TRY(custos_buf_printf(out, err, "%s%s", i > 0 ? " " : "", custos_json_string_value(custos_json_at(list, i))));
	return CUSTOS_OK;
}

/* Writes a borrowed plan and reads it back: one copy routine, and the result has passed the courier's own checks. */
custos_rc custos_plan_build(const struct custos_json *target, const struct custos_profile *profile, const struct custos_plan_options *options, struct custos_plan *ret_plan,
                            struct custos_err *err)
{
	CUSTOS_TRY(custos_target_check(target, err));
	CUSTOS_AUTO_BUF hostkeys = { 0 };
	CUSTOS_TRY(join_hostkeys(custos_json_get(target, "hostkeys"), &hostkeys, err));
	const char *auth = auth_kind(custos_json_text(target, "auth")), *sni = custos_json_text(target, "sni");
	CUSTOS_AUTO_BUF bytes = { 0 };
	struct custos_wire_out w = { .buf = &bytes, .err = err };
	const char *const texts[TEXTS] = { custos_json_text(target, "name"), custos_json_text(target, "user"), (char *)hostkeys.ptr, auth, sni, options->nonce, options->previous_backup, options->custody_leaf };
	struct custos_plan numbers = { .ssh_legacy = custos_json_bool(target, "ssh_legacy", false), .keep_backup = options->keep_backup,
	                               .verify_count = (uint32_t)custos_json_count(custos_json_get(target, "verify")),
	                               .confirm_within_s = options->confirm_within_s == 0 ? CUSTOS_CONFIRM_DEFAULT_S : options->confirm_within_s };
	put(&w, texts, &numbers, &profile->recipe);
	CUSTOS_TRY(w.rc);
	struct custos_plan plan = { 0 };
	CUSTOS_TRY(custos_plan_decode(custos_buf_view(&bytes), &plan, err));
	/* the longest of the commands, for a deployment and for a look: better refused here than on the host */
	CUSTOS_AUTO_BUF longest = { 0 };
	custos_rc rc = custos_script_compose(CUSTOS_SCRIPT_ARM, &plan, &(struct custos_script_values){ .backup = "", .chain_sha256 = "" }, &longest, err);
	if (rc == CUSTOS_OK)
		rc = custos_script_compose(CUSTOS_SCRIPT_INSPECT, &plan, &(struct custos_script_values){ .backup = "", .chain_sha256 = "" }, &longest, err);
	if (rc != CUSTOS_OK)
		custos_plan_done(&plan);
	else
		*ret_plan = plan;
	return rc;
}

static void step(struct custos_json *steps, const char *name, const char *what, const char *command)
{
	struct custos_json *row = custos_json_object();
	custos_json_set_text(row, "step", name);
	custos_json_set_text(row, "what", what);
	if (command != NULL && command[0] != '\0')
		custos_json_set_text(row, "command", command);
	custos_json_push(steps, row);
}

struct custos_json *custos_plan_describe(const struct custos_plan *p)
{
	static const char *const kinds[] = { "certificate", "key", "combined" };
	const struct custos_recipe *r = &p->recipe;
	char what[512];
	struct custos_json *steps = custos_json_array();
	snprintf(what, sizeof what, "take the lock in %s", r->staging);
	step(steps, "lock", what, NULL);
	step(steps, "probe", "read the version; look for the tools, the present files, room and write permission", r->version);
	for (size_t i = 0; i < r->refusal_count; i++) {
		snprintf(what, sizeof what, "refuse when this succeeds, because %s", r->refusals[i].because);
		step(steps, "refuse", what, r->refusals[i].when);
	}
	snprintf(what, sizeof what, "copy the present pair, mode 0600, to the first usable of %u directories, %s first%s", r->backup_count, r->backups[0],
	         p->keep_backup ? "; it stays there" : p->custody_leaf[0] != '\0' ? "; removed after success if that pair is the one in custody" : "; removed after success");
	step(steps, "backup", what, NULL);
	snprintf(what, sizeof what, "arm the dead man's switch: without word for %u s the host goes back by itself", p->confirm_within_s);
	step(steps, "arm", what, NULL);
	step(steps, "stage", "upload the chain, compare its SHA-256 on the host; upload the key on standard input", NULL);
	if (r->test[0] != '\0')
		step(steps, "test", "test the staged files", r->test);
	for (size_t i = 0; i < CUSTOS_FILE_KINDS; i++) {
		if (r->files[i].path[0] == '\0')
			continue;
		snprintf(what, sizeof what, "%s the %s file %s", r->replace == CUSTOS_REPLACE_RENAME ? "replace" : "overwrite in place", kinds[i], r->files[i].path);
		step(steps, "switch", what, NULL);
	}
	for (size_t i = 0; i < r->step_count; i++) {
		snprintf(what, sizeof what, "%s%s%s", r->steps[i].name, r->steps[i].only_if[0] != '\0' ? "; only if this succeeds: " : "", r->steps[i].only_if);
		step(steps, "reload", what, r->steps[i].run);
	}
	snprintf(what, sizeof what, "%u probes of %u endpoint(s), %u ms apart, must all show the new certificate; anything else rolls back", r->probes, p->verify_count, r->interval_ms);
	step(steps, "verify", what, r->alive);
	if (r->persist[0] != '\0') {
		snprintf(what, sizeof what, "save the host's state%s%s", r->proof[0] != '\0' ? "; must change: " : "", r->proof);
		step(steps, "persist", what, r->persist);
	}
	step(steps, "disarm", "disarm the dead man's switch, remove the staged files and the lock", NULL);
	return steps;
}
