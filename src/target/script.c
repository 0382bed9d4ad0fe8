/* Composes remote commands: assignments of quoted values, the embedded host.sh, one call, the trailer. The shell code lives in
 * host.sh, arm.sh and inspect.sh; here is only what makes values harmless. Must never be given a secret: there is no parameter for one. */
#include "target/script.h"

#include "base/text.h"

#include <stdio.h>

extern const char custos_host_sh[], custos_arm_sh[], custos_inspect_sh[];
extern const size_t custos_host_sh_len, custos_arm_sh_len, custos_inspect_sh_len;

/* A key of RSA-4096 in PEM has 3.3 KiB; the rest is for directories and block sizes. */
enum { KEY_ROOM = 16384, SAFE_MAX = 240 };

static custos_rc quote_into(struct custos_buf *b, const char *text, size_t len, struct custos_err *err)
{
	CUSTOS_TRY(custos_buf_append(b, "'", 1, err));
	for (size_t i = 0; i < len;) {
		size_t run = i;
		while (run < len && text[run] != '\'')
			run++;
		CUSTOS_TRY(custos_buf_append(b, text + i, run - i, err));
		if (run < len)
			CUSTOS_TRY(custos_buf_append_str(b, "'\\''", err));
		i = run < len ? run + 1 : run;
	}
	return custos_buf_append(b, "'", 1, err);
}

static custos_rc quote(struct custos_buf *b, const char *value, struct custos_err *err)
{
	CUSTOS_REQUIRE(custos_recipe_is_line(value, CUSTOS_SCRIPT_MAX), err, CUSTOS_E_INPUT, "a value for the host holds a control character");
	return quote_into(b, value, strlen(value), err);
}

static custos_rc assign(struct custos_buf *b, const char *name, const char *value, struct custos_err *err)
{
	CUSTOS_TRY(custos_buf_printf(b, err, "%s=", name));
	CUSTOS_TRY(quote(b, value, err));
	return custos_buf_append(b, "\n", 1, err);
}

static custos_rc assign_number(struct custos_buf *b, const char *name, size_t value, struct custos_err *err)
{
	return custos_buf_printf(b, err, "%s=%zu\n", name, value);
}

/* Shell text without its comment lines. */
static custos_rc append_code(struct custos_buf *b, const char *code, size_t len, struct custos_err *err)
{
	const char *end = code + len;
	while (code < end) {
		const char *newline = memchr(code, '\n', (size_t)(end - code));
		const char *next = newline == NULL ? end : newline + 1;
		if (*code != '#' && *code != '\n')
			CUSTOS_TRY(custos_buf_append(b, code, (size_t)(next - code), err));
		code = next;
	}
	return CUSTOS_OK;
}

static custos_rc where(struct custos_buf *b, const struct custos_plan *plan, struct custos_err *err)
{
	char path[512];
	const char *staging = plan->recipe.staging;
	CUSTOS_TRY(custos_buf_append_str(b, "umask 077\nexport LC_ALL=C PATH=\"$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin\"\n", err));
	CUSTOS_TRY(assign(b, "N", plan->nonce, err));
	CUSTOS_TRY(assign(b, "T", plan->name, err));
	CUSTOS_TRY(assign(b, "S", staging, err));
	snprintf(path, sizeof path, "%s/.custos-%s", staging, plan->nonce);
	CUSTOS_TRY(assign(b, "D", path, err));
	snprintf(path, sizeof path, "%s/.custos.lock", staging);
	return assign(b, "L", path, err);
}

static custos_rc files(struct custos_buf *b, const struct custos_recipe *r, struct custos_err *err)
{
	static const char *const names[CUSTOS_FILE_KINDS] = { "CERT", "KEY", "BOTH" };
	char name[16];
	for (size_t i = 0; i < CUSTOS_FILE_KINDS; i++) {
		CUSTOS_TRY(assign(b, names[i], r->files[i].path, err));
		snprintf(name, sizeof name, "%s_MODE", names[i]);
		CUSTOS_TRY(assign(b, name, r->files[i].mode, err));
		snprintf(name, sizeof name, "%s_OWNER", names[i]);
		CUSTOS_TRY(assign(b, name, r->files[i].owner, err));
	}
	return assign(b, "HOW", r->replace == CUSTOS_REPLACE_RENAME ? "rename" : "in-place", err);
}

static custos_rc commands(struct custos_buf *b, const struct custos_recipe *r, struct custos_err *err)
{
	const struct {
		const char *name, *value;
	} rows[] = { { "VERSION", r->version }, { "TEST", r->test }, { "ALIVE", r->alive }, { "PERSIST", r->persist }, { "PROOF", r->proof } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		CUSTOS_TRY(assign(b, rows[i].name, rows[i].value, err));
	CUSTOS_TRY(custos_buf_append_str(b, "TOOLS='", err));
	for (size_t i = 0; i < r->tool_count; i++) /* words of a plain alphabet */
		CUSTOS_TRY(custos_buf_printf(b, err, "%s ", r->tools[i]));
	return custos_buf_append_str(b, "'\n", err);
}

static custos_rc call(struct custos_buf *b, const char *function, const char *const arguments[], size_t count, struct custos_err *err)
{
	CUSTOS_TRY(custos_buf_append_str(b, function, err));
	for (size_t i = 0; i < count; i++) {
		CUSTOS_TRY(custos_buf_append(b, " ", 1, err));
		CUSTOS_TRY(quote(b, arguments[i], err));
	}
	return custos_buf_append(b, "\n", 1, err);
}

/* The lists of a recipe as shell functions. */
static custos_rc lists(struct custos_buf *b, const struct custos_recipe *r, struct custos_err *err)
{
	CUSTOS_TRY(custos_buf_append_str(b, "refusals() {\n:\n", err));
	for (size_t i = 0; i < r->refusal_count; i++)
		CUSTOS_TRY(call(b, "refuse_if", (const char *const[]){ r->refusals[i].when, r->refusals[i].because, r->refusals[i].remedy }, 3, err));
	CUSTOS_TRY(custos_buf_append_str(b, "}\nladder() {\n", err));
	for (size_t i = 0; i < r->step_count; i++)
		CUSTOS_TRY(call(b, "step", (const char *const[]){ r->steps[i].only_if, r->steps[i].run }, 2, err));
	CUSTOS_TRY(custos_buf_append_str(b, "}\nplaces() {\nfor d in", err));
	for (size_t i = 0; i < r->backup_count; i++) {
		size_t len = strlen(r->backups[i]);
		bool glob = len > 0 && r->backups[i][len - 1] == '*';
		CUSTOS_TRY(custos_buf_append(b, " ", 1, err));
		CUSTOS_TRY(quote_into(b, r->backups[i], glob ? len - 1 : len, err));
		CUSTOS_TRY(custos_buf_append_str(b, glob ? "*" : "", err));
	}
	return custos_buf_append_str(b, "\ndo [ -d \"$d\" ] && try \"$d\" && return 0; done; return 1\n}\n", err);
}

/* Everything but the call. */
static custos_rc prelude(struct custos_buf *b, const struct custos_plan *plan, const struct custos_script_values *v, struct custos_err *err)
{
	const struct custos_recipe *r = &plan->recipe;
	CUSTOS_TRY(where(b, plan, err));
	CUSTOS_TRY(files(b, r, err));
	CUSTOS_TRY(commands(b, r, err));
	CUSTOS_TRY(assign(b, "B", v->backup, err));
	CUSTOS_TRY(assign(b, "PREV", plan->previous_backup, err));
	CUSTOS_TRY(assign(b, "JOB", v->from_backup ? "rollback" : "deploy", err));
	CUSTOS_TRY(assign(b, "KEEP", v->keep_copy ? "yes" : "no", err));
	CUSTOS_TRY(assign(b, "SUM", v->chain_sha256, err));
	CUSTOS_TRY(assign_number(b, "LEN", v->key_length, err));
	CUSTOS_TRY(assign_number(b, "NEED", v->chain_length + KEY_ROOM, err));
	CUSTOS_TRY(assign_number(b, "W", plan->confirm_within_s, err));
	CUSTOS_TRY(lists(b, r, err));
	return append_code(b, custos_host_sh, custos_host_sh_len, err);
}

static custos_rc compose_arm(struct custos_buf *b, const struct custos_plan *plan, const struct custos_script_values *v, struct custos_err *err)
{
	CUSTOS_AUTO_BUF inner = { .max = CUSTOS_SCRIPT_MAX };
	CUSTOS_TRY(prelude(&inner, plan, v, err));
	CUSTOS_TRY(custos_buf_append_str(&inner, "deadman\n", err));
	CUSTOS_TRY(where(b, plan, err));
	CUSTOS_TRY(custos_buf_append_str(b, "DEADMAN=", err));
	CUSTOS_TRY(quote_into(b, (char *)inner.ptr, inner.len, err));
	CUSTOS_TRY(custos_buf_append(b, "\n", 1, err));
	CUSTOS_TRY(append_code(b, custos_arm_sh, custos_arm_sh_len, err));
	return custos_buf_append_str(b, "( arm )\n", err);
}

/* The only script with the profile's reports: what is not needed to deploy is not sent along then. */
static custos_rc compose_inspect(struct custos_buf *b, const struct custos_plan *plan, const struct custos_script_values *v, struct custos_err *err)
{
	CUSTOS_TRY(prelude(b, plan, v, err));
	CUSTOS_TRY(append_code(b, custos_inspect_sh, custos_inspect_sh_len, err));
	CUSTOS_TRY(custos_buf_append_str(b, "reports() {\n:\n", err));
	for (size_t i = 0; i < plan->recipe.report_count; i++)
		CUSTOS_TRY(call(b, "report", (const char *const[]){ plan->recipe.reports[i].run }, 1, err));
	return custos_buf_append_str(b, "}\n( inspect )\n", err);
}

static custos_rc compose_body(enum custos_script which, const struct custos_plan *plan, const struct custos_script_values *v, struct custos_buf *b, struct custos_err *err)
{
	static const char *const calls[CUSTOS_SCRIPTS] = {
		[CUSTOS_SCRIPT_LOOK] = "survey look", [CUSTOS_SCRIPT_LOCK] = "lock", [CUSTOS_SCRIPT_PROBE] = "survey", [CUSTOS_SCRIPT_BACKUP] = "backup",
		[CUSTOS_SCRIPT_STAGE_CHAIN] = "stage_chain", [CUSTOS_SCRIPT_STAGE_KEY] = "stage_key", [CUSTOS_SCRIPT_SWITCH] = "switch",
		[CUSTOS_SCRIPT_SWITCH_BACK] = "put_previous_back", [CUSTOS_SCRIPT_ALIVE] = "alive", [CUSTOS_SCRIPT_PERSIST] = "persist",
		[CUSTOS_SCRIPT_DISARM] = "disarm", [CUSTOS_SCRIPT_RESTORE] = "restore \"$B\"", [CUSTOS_SCRIPT_PERSIST_AGAIN] = "persist_again",
		[CUSTOS_SCRIPT_CLEAN] = "clean",
	};
	if (which == CUSTOS_SCRIPT_ARM)
		return compose_arm(b, plan, v, err);
	if (which == CUSTOS_SCRIPT_INSPECT)
		return compose_inspect(b, plan, v, err);
	CUSTOS_TRY(prelude(b, plan, v, err));
	if (which != CUSTOS_SCRIPT_RELOAD)
		return custos_buf_printf(b, err, "( %s )\n", calls[which]);
	CUSTOS_REQUIRE(v->step < plan->recipe.step_count, err, CUSTOS_E_INTERNAL, "there is no reload step %zu", v->step);
	const struct custos_recipe_step *s = &plan->recipe.steps[v->step];
	CUSTOS_TRY(custos_buf_append_str(b, "( ", err));
	CUSTOS_TRY(call(b, "step", (const char *const[]){ s->only_if, s->run }, 2, err));
	return custos_buf_append_str(b, ")\n", err);
}

custos_rc custos_script_compose(enum custos_script which, const struct custos_plan *plan, const struct custos_script_values *values, struct custos_buf *command, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_SCRIPT_MAX };
	CUSTOS_AUTO_BUF whole = { .max = CUSTOS_SCRIPT_MAX };
	struct custos_err why = { 0 };
	custos_rc rc = compose_body(which, plan, values, &body, &why);
	if (rc == CUSTOS_OK)
		rc = custos_buf_append_str(&body, "printf \"%s\\n\" \"@@$N rc=$?\"\n", &why);
	if (rc == CUSTOS_OK)
		rc = custos_buf_printf(&whole, &why, "%s%s/bin/sh -c ", plan->recipe.become, plan->recipe.become[0] != '\0' ? " " : "");
	if (rc == CUSTOS_OK)
		rc = quote_into(&whole, (char *)body.ptr, body.len, &why);
	if (rc == CUSTOS_E_INPUT)
		CUSTOS_FAIL_HINT(err, rc, "shorten the profile's commands", "profile %s: a command for the host cannot be made: %s", plan->recipe.profile, why.msg);
	CUSTOS_REQUIRE(rc == CUSTOS_OK, err, rc, "%s", why.msg);
	return custos_buf_append(command, whole.ptr, whole.len, err);
}

custos_rc custos_script_manual_way_back(const struct custos_plan *plan, const char *backup, struct custos_buf *text, struct custos_err *err)
{
	static const char *const names[CUSTOS_FILE_KINDS] = { "certificate", "key", "combined" };
	const struct custos_recipe *r = &plan->recipe;
	CUSTOS_TRY(custos_buf_append_str(text, "on the host run: ", err));
	for (size_t i = 0; i < CUSTOS_FILE_KINDS; i++)
		if (r->files[i].path[0] != '\0')
			CUSTOS_TRY(custos_buf_printf(text, err, "cat %s/%s > %s && ", backup, names[i], r->files[i].path));
	/* the strongest step, without its condition: whoever reads this can see whether it applies */
	for (size_t i = 0; i < r->step_count; i++)
		if (r->step_count == 1 || i > 0)
			CUSTOS_TRY(custos_buf_printf(text, err, "{ %s; }; ", r->steps[i].run));
	if (r->persist[0] != '\0')
		CUSTOS_TRY(custos_buf_printf(text, err, "%s; ", r->persist));
	return custos_buf_printf(text, err, "%s/modes lists the files' modes and owners", backup);
}

/* custos_text_safe takes a hash or a long path for base64; the two facts that are one are let through when they are of their form. */
static char *safe_value(const char *key, const char *value)
{
	bool hash = strcmp(key, "certificate.sha256") == 0 && strlen(value) == 64 && strspn(value, "0123456789abcdef") == 64;
	bool path = strcmp(key, "backup") == 0 && custos_recipe_is_path(value);
	return hash || path ? strdup(value) : custos_text_safe(CUSTOS_BYTES_STR(value), SAFE_MAX);
}

static custos_rc add_fact(struct custos_reply *reply, const char *line, size_t len, struct custos_err *err)
{
	const char *equals = memchr(line, '=', len);
	if (equals == NULL || reply->count == CUSTOS_REPLY_FACTS_MAX)
		return CUSTOS_OK;
	CUSTOS_AUTO_STR *key = strndup(line, (size_t)(equals - line)), *raw = strndup(equals + 1, len - (size_t)(equals - line) - 1);
	CUSTOS_REQUIRE(key != NULL && raw != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	char *value = safe_value(key, raw);
	CUSTOS_REQUIRE(value != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	reply->keys[reply->count] = CUSTOS_TAKE(key);
	reply->values[reply->count++] = value;
	return CUSTOS_OK;
}

static custos_rc add_line(struct custos_reply *reply, const char *line, size_t len, struct custos_err *err)
{
	uint64_t rc;
	char number[8];
	if (len > 3 && memcmp(line, "rc=", 3) == 0 && len < 3 + sizeof number) {
		snprintf(number, sizeof number, "%.*s", (int)(len - 3), line + 3);
		reply->complete = custos_text_u64(number, 0, 255, &rc);
		reply->rc = reply->complete ? (unsigned)rc : 255;
		return CUSTOS_OK;
	}
	return add_fact(reply, line, len, err);
}

custos_rc custos_reply_parse(struct custos_bytes out, const char *nonce, struct custos_reply *ret_reply, struct custos_err *err)
{
	__attribute__((cleanup(custos_reply_done))) struct custos_reply reply = { .rc = 255 };
	char mark[32];
	size_t mark_len = (size_t)snprintf(mark, sizeof mark, "@@%s ", nonce);
	const char *p = (const char *)out.ptr, *end = p + out.len;
	while (out.len > 0 && p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		if (newline == NULL) /* a line that was cut off is not a line */
			break;
		size_t len = (size_t)(newline - p);
		reply.complete = false; /* the trailer is the last line */
		if (len > mark_len && memcmp(p, mark, mark_len) == 0)
			CUSTOS_TRY(add_line(&reply, p + mark_len, len - mark_len, err));
		p = newline + 1;
	}
	if (!reply.complete)
		reply.rc = 255;
	*ret_reply = reply;
	reply = (struct custos_reply){ 0 };
	return CUSTOS_OK;
}

const char *custos_reply_get(const struct custos_reply *reply, const char *key)
{
	for (size_t i = 0; i < reply->count; i++)
		if (strcmp(reply->keys[i], key) == 0)
			return reply->values[i];
	return "";
}

void custos_reply_done(struct custos_reply *reply)
{
	for (size_t i = 0; i < reply->count; i++) {
		free(reply->keys[i]);
		free(reply->values[i]);
	}
	*reply = (struct custos_reply){ 0 };
}
