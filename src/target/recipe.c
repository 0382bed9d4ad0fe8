/* A recipe's one description of its own fields, used for writing and for reading, so that the two cannot drift apart; and
 * the checks that make its texts safe to put into a command. Never looks at YAML or at a host. */
#include "target/recipe.h"

#include <stdio.h>

enum { LINE_MAX_BYTES = 2048, PATH_MAX_BYTES = 200, NAME_MAX_BYTES = 200 };

/* Exactly one of the two is set. */
struct codec {
	struct custos_wire_out *out;
	struct custos_wire *in;
};

static void text(struct codec *c, char **field)
{
	if (c->out != NULL)
		custos_wire_put_text(c->out, *field);
	else
		*field = custos_wire_text(c->in);
}

static void number(struct codec *c, uint32_t *field)
{
	if (c->out != NULL)
		custos_wire_put_u32(c->out, *field);
	else
		*field = custos_wire_u32(c->in);
}

static void byte(struct codec *c, uint8_t *field)
{
	if (c->out != NULL)
		custos_wire_put_u8(c->out, *field);
	else
		*field = custos_wire_u8(c->in);
}

static void count(struct codec *c, uint32_t *field, uint32_t max)
{
	number(c, field);
	if (c->in != NULL && *field > max) {
		c->in->failed = true;
		*field = 0;
	}
}

static void walk(struct codec *c, struct custos_recipe *r)
{
	text(c, &r->profile);
	for (size_t i = 0; i < CUSTOS_FILE_KINDS; i++) {
		text(c, &r->files[i].path);
		text(c, &r->files[i].mode);
		text(c, &r->files[i].owner);
	}
	byte(c, &r->replace);
	char **const texts[] = { &r->become, &r->staging, &r->version, &r->test, &r->alive, &r->persist, &r->proof };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		text(c, texts[i]);
	number(c, &r->probes);
	number(c, &r->interval_ms);
	number(c, &r->alive_ms);
	count(c, &r->step_count, CUSTOS_RECIPE_STEPS_MAX);
	for (size_t i = 0; i < r->step_count; i++) {
		text(c, &r->steps[i].name);
		text(c, &r->steps[i].only_if);
		text(c, &r->steps[i].run);
		number(c, &r->steps[i].budget_ms);
		number(c, &r->steps[i].settle_ms);
	}
	count(c, &r->refusal_count, CUSTOS_RECIPE_REFUSALS_MAX);
	for (size_t i = 0; i < r->refusal_count; i++) {
		text(c, &r->refusals[i].when);
		text(c, &r->refusals[i].because);
		text(c, &r->refusals[i].remedy);
	}
	count(c, &r->backup_count, CUSTOS_RECIPE_BACKUPS_MAX);
	for (size_t i = 0; i < r->backup_count; i++)
		text(c, &r->backups[i]);
	count(c, &r->tool_count, CUSTOS_RECIPE_TOOLS_MAX);
	for (size_t i = 0; i < r->tool_count; i++)
		text(c, &r->tools[i]);
	count(c, &r->report_count, CUSTOS_RECIPE_REPORTS_MAX);
	for (size_t i = 0; i < r->report_count; i++) {
		text(c, &r->reports[i].name);
		text(c, &r->reports[i].run);
	}
}

void custos_recipe_put(struct custos_wire_out *out, const struct custos_recipe *recipe)
{
	struct custos_recipe shallow = *recipe; /* writing does not change it */
	walk(&(struct codec){ .out = out }, &shallow);
}

void custos_recipe_get(struct custos_wire *in, struct custos_recipe *recipe)
{
	walk(&(struct codec){ .in = in }, recipe);
}

void custos_recipe_done(struct custos_recipe *r)
{
	free(r->profile);
	for (size_t i = 0; i < CUSTOS_FILE_KINDS; i++) {
		free(r->files[i].path);
		free(r->files[i].mode);
		free(r->files[i].owner);
	}
	char *const texts[] = { r->become, r->staging, r->version, r->test, r->alive, r->persist, r->proof };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	for (size_t i = 0; i < CUSTOS_RECIPE_STEPS_MAX; i++) {
		free(r->steps[i].name);
		free(r->steps[i].only_if);
		free(r->steps[i].run);
	}
	for (size_t i = 0; i < CUSTOS_RECIPE_REFUSALS_MAX; i++) {
		free(r->refusals[i].when);
		free(r->refusals[i].because);
		free(r->refusals[i].remedy);
	}
	for (size_t i = 0; i < CUSTOS_RECIPE_BACKUPS_MAX; i++)
		free(r->backups[i]);
	for (size_t i = 0; i < CUSTOS_RECIPE_TOOLS_MAX; i++)
		free(r->tools[i]);
	for (size_t i = 0; i < CUSTOS_RECIPE_REPORTS_MAX; i++) {
		free(r->reports[i].name);
		free(r->reports[i].run);
	}
	*r = (struct custos_recipe){ 0 };
}

bool custos_recipe_is_line(const char *line, size_t max)
{
	if (strlen(line) > max)
		return false;
	for (const char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return true;
}

static bool only(const char *word, const char *others)
{
	for (const char *p = word; *p != '\0'; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')) && strchr(others, *p) == NULL)
			return false;
	return true;
}

bool custos_recipe_is_path(const char *path)
{
	size_t len = strlen(path);
	if (path[0] != '/' || len < 2 || len > PATH_MAX_BYTES || path[len - 1] == '/' || !only(path, "/._+@=-"))
		return false;
	for (const char *p = path; p != NULL; p = strchr(p + 1, '/')) {
		size_t part = strcspn(p + 1, "/");
		if (part == 0 || (part == 1 && p[1] == '.') || (part == 2 && p[1] == '.' && p[2] == '.'))
			return false;
	}
	return true;
}

bool custos_recipe_is_mode(const char *mode)
{
	size_t len = strlen(mode);
	return (len == 3 || len == 4) && strspn(mode, "01234567") == len;
}

bool custos_recipe_is_owner(const char *owner)
{
	const char *colon = strchr(owner, ':');
	return colon != NULL && colon != owner && colon[1] != '\0' && strchr(colon + 1, ':') == NULL && only(owner, ":._-") && owner[0] != '-' &&
	       strlen(owner) <= NAME_MAX_BYTES;
}

bool custos_recipe_is_tool(const char *tool)
{
	return tool[0] != '\0' && tool[0] != '-' && strlen(tool) <= NAME_MAX_BYTES && only(tool, "._+-");
}

static custos_rc check_files(const struct custos_recipe *r, struct custos_err *err)
{
	const struct custos_recipe_file *f = r->files;
	for (size_t i = 0; i < CUSTOS_FILE_KINDS; i++) {
		if (f[i].path[0] == '\0')
			continue;
		CUSTOS_REQUIRE(custos_recipe_is_path(f[i].path), err, CUSTOS_E_INPUT, "%s: \"%s\" is not a plain absolute path", r->profile, f[i].path);
		CUSTOS_REQUIRE(custos_recipe_is_mode(f[i].mode), err, CUSTOS_E_INPUT, "%s: \"%s\" is not a file mode", r->profile, f[i].mode);
		CUSTOS_REQUIRE(custos_recipe_is_owner(f[i].owner), err, CUSTOS_E_INPUT, "%s: \"%s\" is not user:group", r->profile, f[i].owner);
		for (size_t k = 0; k < i; k++)
			CUSTOS_REQUIRE(strcmp(f[i].path, f[k].path) != 0, err, CUSTOS_E_INPUT, "%s: %s is named twice", r->profile, f[i].path);
	}
	bool combined = f[CUSTOS_FILE_COMBINED].path[0] != '\0';
	CUSTOS_REQUIRE(combined || (f[CUSTOS_FILE_CERTIFICATE].path[0] != '\0' && f[CUSTOS_FILE_KEY].path[0] != '\0'), err, CUSTOS_E_INPUT,
	               "%s: neither certificate and key nor a combined file is named", r->profile);
	return CUSTOS_OK;
}

static custos_rc check_lists(const struct custos_recipe *r, struct custos_err *err)
{
	CUSTOS_REQUIRE(r->step_count > 0 && r->step_count <= CUSTOS_RECIPE_STEPS_MAX, err, CUSTOS_E_INPUT, "%s: no way to reload the service is named", r->profile);
	for (size_t i = 0; i < r->step_count; i++) {
		const struct custos_recipe_step *s = &r->steps[i];
		CUSTOS_REQUIRE(s->name[0] != '\0' && custos_recipe_is_line(s->name, NAME_MAX_BYTES) && s->run[0] != '\0' && custos_recipe_is_line(s->run, LINE_MAX_BYTES) &&
		               custos_recipe_is_line(s->only_if, LINE_MAX_BYTES),
		               err, CUSTOS_E_INPUT, "%s: reload step %zu is empty, too long or holds a control character", r->profile, i + 1);
		CUSTOS_REQUIRE(s->budget_ms >= 100 && s->budget_ms <= 600000 && s->settle_ms <= 600000, err, CUSTOS_E_INPUT, "%s: reload step %zu has times out of range",
		               r->profile, i + 1);
	}
	for (size_t i = 0; i < r->refusal_count; i++) {
		const struct custos_recipe_refusal *f = &r->refusals[i];
		CUSTOS_REQUIRE(f->when[0] != '\0' && custos_recipe_is_line(f->when, LINE_MAX_BYTES) && f->because[0] != '\0' && custos_recipe_is_line(f->because, NAME_MAX_BYTES) &&
		               custos_recipe_is_line(f->remedy, NAME_MAX_BYTES),
		               err, CUSTOS_E_INPUT, "%s: refusal %zu is empty, too long or holds a control character", r->profile, i + 1);
	}
	CUSTOS_REQUIRE(r->backup_count > 0, err, CUSTOS_E_INPUT, "%s: no backup directory is named", r->profile);
	for (size_t i = 0; i < r->backup_count; i++) {
		char path[PATH_MAX_BYTES + 1];
		size_t len = strlen(r->backups[i]);
		bool glob = len > 2 && r->backups[i][len - 1] == '*';
		CUSTOS_REQUIRE(len <= PATH_MAX_BYTES, err, CUSTOS_E_INPUT, "%s: a backup directory's name is too long", r->profile);
		/* the star itself stands for at least one ordinary character */
		snprintf(path, sizeof path, "%.*s%s", (int)(glob ? len - 1 : len), r->backups[i], glob ? "x" : "");
		CUSTOS_REQUIRE(custos_recipe_is_path(path), err, CUSTOS_E_INPUT, "%s: \"%s\" is not a plain absolute path", r->profile, r->backups[i]);
	}
	for (size_t i = 0; i < r->tool_count; i++)
		CUSTOS_REQUIRE(custos_recipe_is_tool(r->tools[i]), err, CUSTOS_E_INPUT, "%s: \"%s\" is not a program's name", r->profile, r->tools[i]);
	for (size_t i = 0; i < r->report_count; i++)
		CUSTOS_REQUIRE(r->reports[i].name[0] != '\0' && custos_recipe_is_line(r->reports[i].name, NAME_MAX_BYTES) && r->reports[i].run[0] != '\0' && custos_recipe_is_line(r->reports[i].run, LINE_MAX_BYTES),
		               err, CUSTOS_E_INPUT, "%s: report %zu is empty, too long or holds a control character", r->profile, i + 1);
	return CUSTOS_OK;
}

custos_rc custos_recipe_check(const struct custos_recipe *r, struct custos_err *err)
{
	CUSTOS_REQUIRE(r->profile[0] != '\0' && custos_recipe_is_line(r->profile, NAME_MAX_BYTES), err, CUSTOS_E_INPUT, "the profile has no usable name");
	CUSTOS_TRY(check_files(r, err));
	CUSTOS_REQUIRE(r->replace <= CUSTOS_REPLACE_RENAME, err, CUSTOS_E_INPUT, "%s: unknown way to replace files", r->profile);
	CUSTOS_REQUIRE(only(r->become, " ._/=-") && strlen(r->become) <= NAME_MAX_BYTES, err, CUSTOS_E_INPUT, "%s: \"become\" may hold words only", r->profile);
	CUSTOS_REQUIRE(custos_recipe_is_path(r->staging), err, CUSTOS_E_INPUT, "%s: staging \"%s\" is not a plain absolute path", r->profile, r->staging);
	const char *const commands[] = { r->version, r->test, r->alive, r->persist };
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		CUSTOS_REQUIRE(custos_recipe_is_line(commands[i], LINE_MAX_BYTES), err, CUSTOS_E_INPUT, "%s: a command is too long or holds a control character", r->profile);
	CUSTOS_REQUIRE(r->proof[0] == '\0' || custos_recipe_is_path(r->proof), err, CUSTOS_E_INPUT, "%s: proof \"%s\" is not a plain absolute path", r->profile, r->proof);
	CUSTOS_REQUIRE(r->probes >= 1 && r->probes <= 100 && r->interval_ms >= 100 && r->interval_ms <= 60000 && r->alive_ms <= 600000, err, CUSTOS_E_INPUT, "%s: verification numbers are out of range",
	               r->profile);
	return check_lists(r, err);
}
