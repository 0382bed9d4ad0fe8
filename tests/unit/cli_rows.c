/* The table of commands as it is shipped: each row says everything, once, and fits the parser. */
#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static const char *const globals[] = { "-C", "--json", "--pin-source", "--quiet", "--help" };

static void check_option(const struct custos_command *c, const struct custos_option *o)
{
	assert_true(o->kind == CUSTOS_OPTION_FLAG || o->kind == CUSTOS_OPTION_TEXT || o->kind == CUSTOS_OPTION_LIST);
	/* help shows the placeholder of what takes a value, and of nothing else */
	assert_int_equal(o->value != NULL, o->kind != CUSTOS_OPTION_FLAG);
	assert_true(o->summary != NULL && o->summary[0] != '\0');
	assert_true(o->name[0] == '-' && o->name[1] != '\0' && strchr(o->name, '=') == NULL);
	assert_true(strncmp(o->name, "--", 2) == 0 ? o->name[2] != '\0' : strlen(o->name) == 2);
	for (size_t g = 0; g < sizeof globals / sizeof *globals; g++)
		assert_string_not_equal(o->name, globals[g]);
	for (const struct custos_option *before = c->options; before != o; before++)
		assert_string_not_equal(o->name, before->name);
}

static void every_row_says_everything(void **state)
{
	(void)state;
	for (size_t i = 0; custos_commands[i] != NULL; i++) {
		const struct custos_command *c = custos_commands[i];
		assert_non_null(c->run);
		assert_non_null(c->args);
		assert_true(c->summary != NULL && c->summary[0] != '\0');
		assert_true(c->min_args <= c->max_args && c->max_args <= CUSTOS_ARGS_MAX);
		assert_int_equal(c->args[0] == '\0', c->max_args == 0);
		/* what is logged is signed, and signing needs the token */
		if ((c->needs & CUSTOS_MUTATES) != 0 && (c->needs & CUSTOS_NEEDS_CUSTODY) != 0)
			assert_true((c->needs & CUSTOS_NEEDS_LOGIN) != 0);
		/* what runs without locked memory must have nothing to do with secrets */
		if ((c->needs & CUSTOS_JUDGES) != 0)
			assert_int_equal(c->needs & (CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES), 0);
		for (const struct custos_option *o = c->options; o != NULL && o->name != NULL; o++)
			check_option(c, o);
	}
}

static void no_row_hides_another(void **state)
{
	(void)state;
	for (size_t i = 0; custos_commands[i] != NULL; i++)
		for (size_t k = 0; k < i; k++) {
			const struct custos_command *a = custos_commands[k], *b = custos_commands[i];
			if (strcmp(a->noun, b->noun) != 0)
				continue;
			/* a noun alone would take every verb for an argument */
			assert_non_null(a->verb);
			assert_non_null(b->verb);
			assert_string_not_equal(a->verb, b->verb);
		}
}

static void every_row_is_found_by_its_words(void **state)
{
	(void)state;
	for (size_t i = 0; custos_commands[i] != NULL; i++) {
		const struct custos_command *c = custos_commands[i];
		static struct custos_call call;
		char program[] = "custos", noun[64], verb[64];
		char *argv[] = { program, noun, c->verb == NULL ? NULL : verb, NULL };
		memset(&call, 0, sizeof call);
		strcpy(noun, c->noun);
		strcpy(verb, c->verb == NULL ? "" : c->verb);
		assert_int_equal(custos_call_parse(c->verb == NULL ? 2 : 3, argv, &call, NULL), CUSTOS_OK);
		assert_ptr_equal(call.command, c);
		assert_int_equal(call.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_says_everything),
		cmocka_unit_test(no_row_hides_another),
		cmocka_unit_test(every_row_is_found_by_its_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
