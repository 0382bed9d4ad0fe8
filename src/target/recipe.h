/* The recipe: what a profile says about a kind of host, in the form that travels inside a plan. Public data.
 *
 * A recipe is checked twice: when it is read from YAML (with line numbers) and when it is decoded in the courier, which
 * believes nobody. Commands are one line of `sh` each and are run on the host as the login user (or through `become`). */
#ifndef CUSTOS_TARGET_RECIPE_H
#define CUSTOS_TARGET_RECIPE_H

#include "base/wire.h"

enum { CUSTOS_RECIPE_STEPS_MAX = 8, CUSTOS_RECIPE_REFUSALS_MAX = 8, CUSTOS_RECIPE_BACKUPS_MAX = 8, CUSTOS_RECIPE_TOOLS_MAX = 32, CUSTOS_RECIPE_REPORTS_MAX = 8 };

/* `combined` is chain and key in one file, for servers that want it so. A path of "" means that the file is not used. */
enum custos_recipe_file_kind { CUSTOS_FILE_CERTIFICATE, CUSTOS_FILE_KEY, CUSTOS_FILE_COMBINED, CUSTOS_FILE_KINDS };
enum custos_recipe_replace { CUSTOS_REPLACE_IN_PLACE, CUSTOS_REPLACE_RENAME };

struct custos_recipe_file {
	char *path;
	char *mode, *owner;         /* for a file that is not there yet; one that is there keeps its own */
};

struct custos_recipe_step {
	char *name;
	char *only_if;              /* "": always */
	char *run;
	uint32_t budget_ms;         /* for the command, and again until the new leaf is seen for the first time */
	uint32_t settle_ms;         /* how long the new leaf must stay; shorter (recipe.alive_ms) where `alive` gives evidence. 0: the probes suffice */
};

struct custos_recipe_refusal {
	char *when, *because, *remedy;
};

/* What `custos target probe` tells of a host: a heading and the command that prints it. Judges nothing. */
struct custos_recipe_report {
	char *name, *run;
};

struct custos_recipe {
	char *profile;              /* its name */
	struct custos_recipe_file files[CUSTOS_FILE_KINDS];
	uint8_t replace;            /* enum custos_recipe_replace */
	char *become;               /* prefix such as "sudo -n", or "" */
	char *staging;              /* directory for the lock and the staged files */
	char *version, *test, *alive, *persist, *proof; /* commands; `proof` is a file that must change when the state was saved */
	uint32_t probes, interval_ms, alive_ms;
	uint32_t step_count, refusal_count, backup_count, tool_count, report_count;
	struct custos_recipe_step steps[CUSTOS_RECIPE_STEPS_MAX];
	struct custos_recipe_refusal refusals[CUSTOS_RECIPE_REFUSALS_MAX];
	char *backups[CUSTOS_RECIPE_BACKUPS_MAX];       /* directories, first usable one; may end with `*` */
	char *tools[CUSTOS_RECIPE_TOOLS_MAX];
	struct custos_recipe_report reports[CUSTOS_RECIPE_REPORTS_MAX];
};

void custos_recipe_done(struct custos_recipe *recipe);
void custos_recipe_put(struct custos_wire_out *out, const struct custos_recipe *recipe);
/* Fills a zero recipe; what is wrong shows in `in->failed`. Fields may be NULL then; custos_recipe_done() copes. */
void custos_recipe_get(struct custos_wire *in, struct custos_recipe *recipe);
/* Everything that can be checked without the YAML's line numbers (CUSTOS_E_INPUT). */
CUSTOS_RC custos_recipe_check(const struct custos_recipe *recipe, struct custos_err *err);

/* What may be written where. */
CUSTOS_MUST bool custos_recipe_is_line(const char *text, size_t max);   /* no control characters */
CUSTOS_MUST bool custos_recipe_is_path(const char *text);               /* absolute, no empty, `.` or `..` component, [A-Za-z0-9/._+@=-] */
CUSTOS_MUST bool custos_recipe_is_mode(const char *text);               /* 3 or 4 octal digits */
CUSTOS_MUST bool custos_recipe_is_owner(const char *text);              /* user:group */
CUSTOS_MUST bool custos_recipe_is_tool(const char *text);

#endif
