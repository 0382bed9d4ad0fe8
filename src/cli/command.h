/* A command is a row: everything about it stands in the table, and help, checks and the manual are made from it. */
#ifndef CUSTOS_CLI_COMMAND_H
#define CUSTOS_CLI_COMMAND_H

#include "base/attr.h"
#include <custos/custody.h>

#include <stdbool.h>
#include <stddef.h>

enum custos_option_kind { CUSTOS_OPTION_FLAG = 1, CUSTOS_OPTION_TEXT, CUSTOS_OPTION_LIST };

struct custos_option {
	const char *name;      /* "--type", or "-o" */
	enum custos_option_kind kind;
	const char *value;     /* what it takes, e.g. "TYPE"; NULL for flags */
	const char *summary;
};

enum custos_needs {
	CUSTOS_NEEDS_CUSTODY = 1u << 0,  /* -C or CUSTOS_DIR; opened and verified before the command runs */
	CUSTOS_NEEDS_LOGIN = 1u << 1,    /* logs in to the token: a PIN will be asked for */
	CUSTOS_MUTATES = 1u << 2,        /* leaves a signed entry in the log */
	CUSTOS_READS = 1u << 3,          /* takes --json */
	CUSTOS_JUDGES = 1u << 4,         /* runs also where memory cannot be locked or the process is traced, to say so: no secret may be made */
};

struct custos_call;

struct custos_command {
	const char *noun, *verb;         /* verb NULL: the noun alone */
	const char *args;                /* for people: "NAME TARGET…" */
	const char *summary;
	size_t min_args, max_args;
	const struct custos_option *options;
	unsigned needs;
	custos_rc (*run)(struct custos_call *call, struct custos_err *err);
	/* How it ends for a caller with rules of its own, errors before `run` included: prints and returns the exit code; -1: as every command does. May be NULL. */
	int (*conclude)(const struct custos_call *call, const struct custos_err *err);
};

enum { CUSTOS_ARGS_MAX = 512, CUSTOS_GIVEN_MAX = 128 };

/* One invocation. */
struct custos_call {
	const struct custos_command *command;
	const char *group;               /* a noun whose commands are to be listed; `command` is NULL then */
	const char *dir, *pin_source;
	bool json, quiet;
	const char *args[CUSTOS_ARGS_MAX];
	size_t count;
	struct {
		const struct custos_option *option;
		const char *value;
	} given[CUSTOS_GIVEN_MAX];
	size_t given_count;
	struct custos_custody *custody;
	struct custos_pin pin;
	struct custos_json *result;      /* what `run` leaves for `conclude` */
};

/* NULL-terminated, in the order of help. */
extern const struct custos_command *const custos_commands[];

/* options.c */
CUSTOS_RC custos_call_parse(int argc, char **argv, struct custos_call *ret_call, struct custos_err *err);
const char *custos_call_text(const struct custos_call *call, const char *option, const char *otherwise);
bool custos_call_flag(const struct custos_call *call, const char *option);
/* Values of a repeatable option, NULL-terminated; the array is the caller's: CUSTOS_CLEANUP(custos_call_list_done). NULL when out of memory. */
const char **custos_call_list(const struct custos_call *call, const char *option);
void custos_call_list_done(const char ***list);

/* help.c */
void custos_help_all(void);
CUSTOS_RC custos_help_noun(const char *noun, struct custos_err *err);
/* The commands of one noun, a line each. */
void custos_help_group(const char *noun);
void custos_help_command(const struct custos_command *command);

/* pin.c */
/* Reads a PIN or password from a source: tty (also NULL), fd:N, file:PATH, exec:COMMAND; from `pinpad` nothing can be read. `what` is the prompt and names it in errors. */
CUSTOS_RC custos_pin_read(const char *source, const char *what, struct custos_secret **ret_secret, struct custos_err *err);
/* A source as a callback; it must outlive the pin. NULL: the token's own pad if it has one, else the terminal. */
struct custos_pin custos_cli_source(char *source);
/* The call's PIN source as a callback: --pin-source, else custody.yaml's, else the token's own pad or the terminal. */
struct custos_pin custos_call_pin(struct custos_call *call);

#endif
