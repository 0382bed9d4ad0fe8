/* The command line, with a table of our own: global options anywhere, each word in one place, nothing guessed. */
#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static custos_rc no_run(struct custos_call *call, struct custos_err *err)
{
	(void)call, (void)err;
	return CUSTOS_OK;
}

static const struct custos_option generate_options[] = {
	{ "--type", CUSTOS_OPTION_TEXT, "TYPE", "" }, { "--force", CUSTOS_OPTION_FLAG, NULL, "" }, { "-o", CUSTOS_OPTION_TEXT, "FILE", "" },
	{ "--san", CUSTOS_OPTION_LIST, "SAN", "" }, { 0 },
};
static const struct custos_command key_generate = { "key", "generate", "NAME", "", 1, 1, generate_options, CUSTOS_READS, no_run, NULL };
static const struct custos_command key_list = { "key", "list", "", "", 0, 0, NULL, CUSTOS_READS, no_run, NULL };
static const struct custos_command deploy = { "deploy", NULL, "KEY TARGET…", "", 2, 600, generate_options, 0, no_run, NULL };
const struct custos_command *const custos_commands[] = { &key_generate, &key_list, &deploy, NULL };

static struct custos_call call;
static struct custos_err err;

static custos_rc parse(const char *const words[])
{
	union {
		const char *const *in;
		char **out;
	} argv = { .in = words };
	int argc = 0;
	while (words[argc] != NULL)
		argc++;
	memset(&call, 0, sizeof call);
	memset(&err, 0, sizeof err);
	return custos_call_parse(argc, argv.out, &call, &err);
}
#define PARSE(...) parse((const char *const[]){ "custos", __VA_ARGS__, NULL })

static void assert_parses(custos_rc rc)
{
	if (rc != CUSTOS_OK)
		fail_msg("%s", err.msg);
}

static void assert_refused(custos_rc rc, const char *why)
{
	assert_int_equal(rc, CUSTOS_E_USAGE);
	if (strstr(err.msg, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static void rows_are_found(void **state)
{
	(void)state;
	assert_parses(PARSE("key", "generate", "web"));
	assert_ptr_equal(call.command, &key_generate);
	assert_int_equal(call.count, 1);
	assert_string_equal(call.args[0], "web");
	assert_null(call.args[1]);
	assert_parses(PARSE("deploy", "list", "generate"));
	assert_ptr_equal(call.command, &deploy);
	assert_int_equal(call.count, 2);
	assert_string_equal(call.args[0], "list");
	assert_parses(PARSE("deploy"));
	assert_ptr_equal(call.command, &deploy);
	assert_int_equal(call.count, 0);
	assert_parses(parse((const char *const[]){ "custos", NULL }));
	assert_null(call.command);
	assert_parses(parse((const char *const[]){ NULL }));
	assert_null(call.command);
}

static void nothing_is_abbreviated(void **state)
{
	(void)state;
	assert_refused(PARSE("key", "gen", "web"), "\"key\" has no subcommand \"gen\"");
	assert_refused(PARSE("key"), "\"key\" needs a subcommand");
	assert_non_null(strstr(err.hint, "one of: generate, list; `custos key --help`"));
	assert_refused(PARSE("Key", "list"), "no command");
	assert_refused(PARSE("key", ""), "has no subcommand \"\"");
	assert_refused(PARSE("key", "--json"), "\"key\" needs a subcommand");
	assert_refused(PARSE("key", "gen", "--help"), "has no subcommand \"gen\"");
	assert_refused(PARSE("key", "--", "--help"), "needs a subcommand");
	assert_refused(PARSE("", "list"), "no command");
	assert_refused(PARSE("dep"), "no command \"dep\"");
	assert_refused(PARSE("list", "key"), "no command");
	assert_refused(PARSE("key", "generate", "web", "--typ", "x"), "no option --typ");
	assert_refused(PARSE("key", "generate", "web", "--types", "x"), "no option --types");
	assert_refused(PARSE("key", "list", "--type", "x"), "no option --type");
	assert_refused(PARSE("key", "generate", "web", "-oFILE"), "no option");
	assert_refused(PARSE("key", "generate", "web", "-O", "f"), "no option");
	assert_refused(PARSE("--frobnicate"), "no option --frobnicate");
	assert_refused(PARSE("--js", "key", "list"), "no option");
}

/* A group asked for help lists itself; only then is it no mistake. */
static void a_group_is_listed(void **state)
{
	(void)state;
	assert_parses(PARSE("key", "--help"));
	assert_null(call.command);
	assert_string_equal(call.group, "key");
	assert_parses(PARSE("-C", "dir", "--help", "key"));
	assert_string_equal(call.group, "key");
	assert_parses(PARSE("deploy", "--help"));
	assert_ptr_equal(call.command, &deploy);
	assert_null(call.group);
	assert_parses(PARSE("key", "list", "--help"));
	assert_ptr_equal(call.command, &key_list);
	assert_null(call.group);
	assert_refused(PARSE("nokey", "--help"), "no command \"nokey\"");
}

/* Every place a global option can stand in, apart and joined. */
static void global_options_stand_anywhere(void **state)
{
	(void)state;
	static const char *const words[] = { "key", "generate", "web", "--type", "rsa" };
	static const char *const forms[][2] = { { "-C", "/custody" }, { "--pin-source", "fd:7" }, { "--pin-source=fd:7", NULL },
		{ "--json", NULL }, { "--quiet", NULL } };
	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
		for (size_t at = 0; at <= 5; at++) {
			const char *line[16] = { "custos" };
			size_t n = 1;
			/* between an option and its value it is the value */
			if (at == 4)
				continue;
			for (size_t i = 0; i <= 5; i++) {
				if (i == at) {
					line[n++] = forms[f][0];
					if (forms[f][1] != NULL)
						line[n++] = forms[f][1];
				}
				if (i < 5)
					line[n++] = words[i];
			}
			assert_parses(parse(line));
			assert_ptr_equal(call.command, &key_generate);
			assert_int_equal(call.count, 1);
			assert_string_equal(call.args[0], "web");
			assert_string_equal(custos_call_text(&call, "--type", ""), "rsa");
			assert_true(f != 0 || strcmp(call.dir, "/custody") == 0);
			assert_true((f != 1 && f != 2) || strcmp(call.pin_source, "fd:7") == 0);
			assert_int_equal(call.json, f == 3);
			assert_int_equal(call.quiet, f == 4);
		}
}

/* A value is a value, whatever it looks like. */
static void values_are_not_looked_at(void **state)
{
	(void)state;
	assert_parses(PARSE("-C", "key", "key", "generate", "generate", "--type", "--json"));
	assert_string_equal(call.dir, "key");
	assert_string_equal(call.args[0], "generate");
	assert_string_equal(custos_call_text(&call, "--type", ""), "--json");
	assert_false(call.json);
	assert_parses(PARSE("key", "generate", "web", "--type=a=b"));
	assert_string_equal(custos_call_text(&call, "--type", ""), "a=b");
	assert_parses(PARSE("key", "generate", "web", "--type="));
	assert_string_equal(custos_call_text(&call, "--type", "absent"), "");
	assert_parses(PARSE("key", "generate", "web", "-o", "-"));
	assert_string_equal(custos_call_text(&call, "-o", ""), "-");
	/* only long options are joined */
	assert_refused(PARSE("key", "generate", "web", "-o=x"), "no option -o");
	assert_refused(PARSE("-C=/custody", "key", "list"), "no option -C");
}

static void what_needs_a_value_gets_one(void **state)
{
	(void)state;
	assert_refused(PARSE("-C"), "-C needs a value");
	assert_refused(PARSE("key", "list", "--pin-source"), "--pin-source needs a value");
	assert_refused(PARSE("key", "generate", "web", "--type"), "--type needs a value: TYPE");
	assert_refused(PARSE("key", "list", "--json=yes"), "--json takes no value");
	assert_refused(PARSE("key", "list", "--json="), "--json takes no value");
	assert_refused(PARSE("key", "generate", "web", "--force=1"), "--force takes no value");
}

static void nothing_is_given_twice_but_lists(void **state)
{
	(void)state;
	assert_refused(PARSE("-C", "a", "key", "list", "-C", "b"), "-C is given twice");
	assert_refused(PARSE("-C", "a", "key", "list", "-C", "a"), "-C is given twice");
	assert_refused(PARSE("key", "list", "--json", "--json"), "--json is given twice");
	assert_refused(PARSE("key", "generate", "web", "--type", "a", "--type=b"), "--type is given twice");
	assert_parses(PARSE("key", "generate", "web", "--san", "dns:a", "--san=dns:b", "--san", "dns:a"));
	const char **sans = custos_call_list(&call, "--san");
	assert_string_equal(sans[0], "dns:a");
	assert_string_equal(sans[1], "dns:b");
	assert_string_equal(sans[2], "dns:a");
	assert_null(sans[3]);
	free(sans);
	sans = custos_call_list(&call, "--nothing");
	assert_null(sans[0]);
	free(sans);
}

static void two_dashes_end_the_options(void **state)
{
	(void)state;
	assert_parses(PARSE("deploy", "--json", "--", "--json", "-C", "--", "x"));
	assert_true(call.json);
	assert_null(call.dir);
	assert_int_equal(call.count, 4);
	assert_string_equal(call.args[0], "--json");
	assert_string_equal(call.args[2], "--");
	/* a lone dash is an argument, and so is nothing */
	assert_parses(PARSE("deploy", "-", ""));
	assert_int_equal(call.count, 2);
	assert_string_equal(call.args[1], "");
}

static void there_are_not_too_many(void **state)
{
	(void)state;
	const char *line[700] = { "custos", "deploy" };
	for (size_t i = 0; i < CUSTOS_ARGS_MAX - 1; i++)
		line[2 + i] = "x";
	assert_parses(parse(line));
	assert_int_equal(call.count, CUSTOS_ARGS_MAX - 1);
	assert_null(call.args[CUSTOS_ARGS_MAX - 1]);
	line[2 + CUSTOS_ARGS_MAX - 1] = "x";
	assert_refused(parse(line), "too many arguments");
	const char *lists[700] = { "custos", "deploy" };
	for (size_t i = 0; i < CUSTOS_GIVEN_MAX; i++)
		lists[2 + i] = "--san=x";
	assert_parses(parse(lists));
	lists[2 + CUSTOS_GIVEN_MAX] = "--san=x";
	assert_refused(parse(lists), "too many options");
}

/* Somebody takes a PIN for an option's value: it must not be repeated on the screen or in a log of it. */
static void what_may_be_a_pin_is_not_repeated(void **state)
{
	(void)state;
	assert_refused(PARSE("key", "list", "--pin=271828"), "no option --pin");
	assert_null(strstr(err.msg, "271828"));
	assert_null(strstr(err.hint, "271828"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_found),
		cmocka_unit_test(nothing_is_abbreviated), cmocka_unit_test(a_group_is_listed),
		cmocka_unit_test(global_options_stand_anywhere),
		cmocka_unit_test(values_are_not_looked_at),
		cmocka_unit_test(what_needs_a_value_gets_one),
		cmocka_unit_test(nothing_is_given_twice_but_lists),
		cmocka_unit_test(two_dashes_end_the_options),
		cmocka_unit_test(there_are_not_too_many),
		cmocka_unit_test(what_may_be_a_pin_is_not_repeated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
