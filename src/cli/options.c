/* The command line: global options anywhere, then noun and verb, then what the row knows. No abbreviations. */
#include "base/bytes.h"
#include "cli/command.h"

#include <string.h>

static const struct custos_option global_dir = { "-C", CUSTOS_OPTION_TEXT, "DIR", "the custody directory" };
static const struct custos_option global_json = { "--json", CUSTOS_OPTION_FLAG, NULL, "one JSON document on stdout" };
static const struct custos_option global_pin = { "--pin-source", CUSTOS_OPTION_TEXT, "SRC", "tty, fd:N, file:PATH, exec:COMMAND, pinpad" };
static const struct custos_option global_quiet = { "--quiet", CUSTOS_OPTION_FLAG, NULL, "no progress lines" };
static const struct custos_option global_help = { "--help", CUSTOS_OPTION_FLAG, NULL, "help for this command" };
static const struct custos_option *const globals[] = { &global_dir, &global_json, &global_pin, &global_quiet, &global_help };

static const struct custos_option *find_option(const struct custos_command *command, const char *word, size_t len)
{
	for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
		if (strlen(globals[i]->name) == len && memcmp(globals[i]->name, word, len) == 0)
			return globals[i];
	for (const struct custos_option *o = command == NULL ? NULL : command->options; o != NULL && o->name != NULL; o++)
		if (strlen(o->name) == len && memcmp(o->name, word, len) == 0)
			return o;
	return NULL;
}

/* The option a word names, with or without a value joined by =; *ret_value is that value or NULL. */
static const struct custos_option *read_option(const struct custos_command *command, const char *word, const char **ret_value)
{
	const char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
	*ret_value = equals == NULL ? NULL : equals + 1;
	return find_option(command, word, equals == NULL ? strlen(word) : (size_t)(equals - word));
}

static const struct custos_command *find_command(const char *noun, const char *verb)
{
	for (size_t i = 0; custos_commands[i] != NULL; i++) {
		const struct custos_command *c = custos_commands[i];
		if (strcmp(c->noun, noun) == 0 && (c->verb == NULL || (verb != NULL && strcmp(c->verb, verb) == 0)))
			return c;
	}
	return NULL;
}

static bool is_group(const char *noun)
{
	for (size_t i = 0; custos_commands[i] != NULL; i++)
		if (strcmp(custos_commands[i]->noun, noun) == 0 && custos_commands[i]->verb != NULL)
			return true;
	return false;
}

/* Words that are no command. Of a group the hint names what there is, for who nearly knew. */
static custos_rc refuse_words(const char *noun, const char *verb, struct custos_err *err)
{
	if (!is_group(noun))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "`custos help` lists the commands", "there is no command \"%s%s%s\"", noun, verb != NULL ? " " : "", verb != NULL ? verb : "");
	custos_rc rc = verb == NULL ? custos_err_set(err, CUSTOS_E_USAGE, 0, "\"%s\" needs a subcommand", noun)
	                            : custos_err_set(err, CUSTOS_E_USAGE, 0, "\"%s\" has no subcommand \"%s\"", noun, verb);
	CUSTOS_AUTO_BUF verbs = { 0 };
	for (size_t i = 0; custos_commands[i] != NULL; i++)
		if (strcmp(custos_commands[i]->noun, noun) == 0 && custos_buf_printf(&verbs, NULL, "%s%s", verbs.len > 0 ? ", " : "", custos_commands[i]->verb) != CUSTOS_OK)
			return rc;
	custos_err_hint(err, "one of: %s; `custos %s --help` says what they do", (char *)verbs.ptr, noun);
	return rc;
}

/* Before anything is known of options and their values: a group has no option that takes one. */
static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

/* The first two words that are neither options nor values of global ones. */
static custos_rc find_row(int argc, char **argv, struct custos_call *call, int used[static 2], struct custos_err *err)
{
	const char *words[2] = { NULL, NULL };
	size_t found = 0;
	used[0] = used[1] = -1;
	for (int i = 1; i < argc && found < 2; i++) {
		if (argv[i][0] == '-' && argv[i][1] != '\0') {
			const char *value;
			const struct custos_option *o = read_option(NULL, argv[i], &value);
			if (o != NULL && o->kind != CUSTOS_OPTION_FLAG)
				i += value == NULL;
			else if (o == NULL && found > 0)
				break;
			continue;
		}
		used[found] = i;
		words[found++] = argv[i];
	}
	if (found == 0)
		return CUSTOS_OK;
	call->command = find_command(words[0], words[1]);
	if (call->command == NULL && found == 1 && is_group(words[0]) && asks_for_help(argc, argv)) {
		call->group = words[0];
		return CUSTOS_OK;
	}
	if (call->command == NULL)
		return refuse_words(words[0], words[1], err);
	if (call->command->verb == NULL)
		used[1] = -1;
	return CUSTOS_OK;
}

static custos_rc give(struct custos_call *call, const struct custos_option *option, const char *value, struct custos_err *err)
{
	CUSTOS_REQUIRE(call->given_count < CUSTOS_GIVEN_MAX, err, CUSTOS_E_USAGE, "too many options");
	if (option->kind != CUSTOS_OPTION_LIST)
		for (size_t i = 0; i < call->given_count; i++)
			CUSTOS_REQUIRE(call->given[i].option != option, err, CUSTOS_E_USAGE, "%s is given twice", option->name);
	call->given[call->given_count].option = option;
	call->given[call->given_count++].value = value;
	return CUSTOS_OK;
}

/* One option and its value, joined by = or in the next word. */
static custos_rc take_option(struct custos_call *call, int argc, char **argv, int *i, struct custos_err *err)
{
	const char *word = argv[*i], *value;
	const struct custos_option *o = read_option(call->command, word, &value);
	/* not what stands behind the =: it may be what somebody took for the place of a PIN */
	if (o == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "add --help to see what it takes", "this command has no option %.*s", (int)strcspn(word, "="), word);
	if (o->kind == CUSTOS_OPTION_FLAG) {
		CUSTOS_REQUIRE(value == NULL, err, CUSTOS_E_USAGE, "%s takes no value", o->name);
		return give(call, o, "", err);
	}
	if (value != NULL)
		return give(call, o, value, err);
	CUSTOS_REQUIRE(*i + 1 < argc, err, CUSTOS_E_USAGE, "%s needs a value: %s", o->name, o->value);
	return give(call, o, argv[++*i], err);
}

static custos_rc take_argument(struct custos_call *call, const char *word, struct custos_err *err)
{
	CUSTOS_REQUIRE(call->count + 1 < CUSTOS_ARGS_MAX, err, CUSTOS_E_USAGE, "too many arguments");
	call->args[call->count++] = word;
	return CUSTOS_OK;
}

/* What is wrong does not hide what stands behind it: how a failure is to be told (--json, --nagios) may. */
custos_rc custos_call_parse(int argc, char **argv, struct custos_call *call, struct custos_err *err)
{
	int words[2];
	bool only_args = false;
	custos_rc first = CUSTOS_OK;
	CUSTOS_TRY(find_row(argc, argv, call, words, err));
	for (int i = 1; i < argc; i++) {
		if (i == words[0] || i == words[1])
			continue;
		if (!only_args && strcmp(argv[i], "--") == 0) {
			only_args = true;
			continue;
		}
		bool option = !only_args && argv[i][0] == '-' && argv[i][1] != '\0';
		struct custos_err *tell = first == CUSTOS_OK ? err : NULL;
		custos_rc rc = option ? take_option(call, argc, argv, &i, tell) : take_argument(call, argv[i], tell);
		first = first == CUSTOS_OK ? rc : first;
	}
	call->dir = custos_call_text(call, "-C", NULL);
	call->pin_source = custos_call_text(call, "--pin-source", NULL);
	call->json = custos_call_flag(call, "--json");
	call->quiet = custos_call_flag(call, "--quiet");
	return first;
}

const char *custos_call_text(const struct custos_call *call, const char *option, const char *otherwise)
{
	for (size_t i = 0; i < call->given_count; i++)
		if (strcmp(call->given[i].option->name, option) == 0)
			return call->given[i].value;
	return otherwise;
}

bool custos_call_flag(const struct custos_call *call, const char *option)
{
	return custos_call_text(call, option, NULL) != NULL;
}

const char **custos_call_list(const struct custos_call *call, const char *option)
{
	const char **list = calloc(call->given_count + 1, sizeof *list);
	size_t n = 0;
	for (size_t i = 0; list != NULL && i < call->given_count; i++)
		if (strcmp(call->given[i].option->name, option) == 0)
			list[n++] = call->given[i].value;
	return list;
}

void custos_call_list_done(const char ***list)
{
	free(*list);
}
