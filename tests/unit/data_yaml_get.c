/* Typed getters: what is wanted or one line that says where and what instead. */
#include "data/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char text[] =
	"word: red\n"             /* 1 */
	"number: 42\n"
	"negative: -1\n"
	"octal: 017\n"
	"spaced: ' 42'\n"         /* 5 */
	"empty:\n"
	"yes: yes\n"
	"False: false\n"
	"on: on\n"
	"list: [a, b]\n"          /* 10 */
	"mixed:\n"
	"  - a\n"
	"  - {b: c}\n"
	"map: {x: 1}\n"
	"none: []\n";             /* 15 */

static int set_up(void **state)
{
	struct custos_yaml *root = NULL;
	assert_int_equal(custos_yaml_parse(CUSTOS_BYTES_STR(text), "p.yaml", &root, NULL), CUSTOS_OK);
	*state = root;
	return 0;
}

static int tear_down(void **state)
{
	custos_yaml_free(*state);
	return 0;
}

static void assert_refused(custos_rc rc, struct custos_err *err, const char *place)
{
	assert_int_equal(rc, CUSTOS_E_INPUT);
	if (strncmp(err->msg, place, strlen(place)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", err->msg, place);
	custos_err_clear(err);
}

static void texts(void **state)
{
	struct custos_err err = { 0 };
	const char *got = "untouched";
	assert_refused(custos_yaml_text(*state, "list", NULL, &got, &err), &err, "p.yaml:10: ");
	assert_refused(custos_yaml_text(*state, "absent", CUSTOS_YAML_REQUIRED, &got, &err), &err, "p.yaml:1: \"absent\" is missing");
	assert_string_equal(got, "untouched");
	assert_int_equal(custos_yaml_text(*state, "absent", "otherwise", &got, &err), CUSTOS_OK);
	assert_string_equal(got, "otherwise");
	assert_int_equal(custos_yaml_text(*state, "absent", NULL, &got, &err), CUSTOS_OK);
	assert_null(got);
	assert_int_equal(custos_yaml_text(*state, "number", CUSTOS_YAML_REQUIRED, &got, &err), CUSTOS_OK);
	assert_string_equal(got, "42");
	assert_int_equal(custos_yaml_text(*state, "empty", "otherwise", &got, &err), CUSTOS_OK);
	assert_string_equal(got, "");
}

static void numbers(void **state)
{
	struct custos_err err = { 0 };
	uint64_t got = 7;
	static const char *const bad[][2] = { { "negative", "p.yaml:3: " }, { "octal", "p.yaml:4: " }, { "spaced", "p.yaml:5: " },
		{ "empty", "p.yaml:6: " }, { "list", "p.yaml:10: " }, { "map", "p.yaml:14: " } };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_refused(custos_yaml_u64(*state, bad[i][0], 0, 100, 0, &got, &err), &err, bad[i][1]);
	assert_refused(custos_yaml_u64(*state, "number", 43, 100, 0, &got, &err), &err, "p.yaml:2: \"number\" must be a number from 43 to 100");
	assert_refused(custos_yaml_u64(*state, "number", 0, 41, 0, &got, &err), &err, "p.yaml:2: ");
	assert_int_equal(got, 7);
	assert_int_equal(custos_yaml_u64(*state, "number", 42, 42, 0, &got, &err), CUSTOS_OK);
	assert_int_equal(got, 42);
	assert_int_equal(custos_yaml_u64(*state, "absent", 1, 2, 99, &got, &err), CUSTOS_OK);
	assert_int_equal(got, 99);
}

static void booleans(void **state)
{
	struct custos_err err = { 0 };
	bool got = false;
	assert_int_equal(custos_yaml_bool(*state, "yes", false, &got, &err), CUSTOS_OK);
	assert_true(got);
	assert_int_equal(custos_yaml_bool(*state, "False", true, &got, &err), CUSTOS_OK);
	assert_false(got);
	assert_int_equal(custos_yaml_bool(*state, "absent", true, &got, &err), CUSTOS_OK);
	assert_true(got);
	assert_refused(custos_yaml_bool(*state, "on", false, &got, &err), &err, "p.yaml:9: \"on\" must be one of no, yes, false, true");
	assert_refused(custos_yaml_bool(*state, "empty", false, &got, &err), &err, "p.yaml:6: ");
	assert_true(got);
}

static void words(void **state)
{
	static const char *const colours[] = { "blue", "red", NULL }, *const shapes[] = { "round", NULL };
	struct custos_err err = { 0 };
	size_t got = 9;
	assert_int_equal(custos_yaml_word(*state, "word", colours, CUSTOS_YAML_REQUIRED, &got, &err), CUSTOS_OK);
	assert_int_equal(got, 1);
	assert_int_equal(custos_yaml_word(*state, "absent", colours, "blue", &got, &err), CUSTOS_OK);
	assert_int_equal(got, 0);
	assert_refused(custos_yaml_word(*state, "word", shapes, "round", &got, &err), &err, "p.yaml:1: \"word\" must be one of round");
	assert_refused(custos_yaml_word(*state, "absent", shapes, CUSTOS_YAML_REQUIRED, &got, &err), &err, "p.yaml:1: \"absent\" is missing");
	assert_refused(custos_yaml_word(*state, "absent", shapes, NULL, &got, &err), &err, "p.yaml:1: ");
}

/* A default that is not among the words is refused, not indexed with. */
static void a_default_must_be_a_word(void **state)
{
	static const char *const colours[] = { "blue", NULL };
	size_t got = 9;
	assert_int_equal(custos_yaml_word(*state, "absent", colours, "green", &got, NULL), CUSTOS_E_INPUT);
	assert_int_equal(got, 9);
}

static void lists_of_texts(void **state)
{
	struct custos_err err = { 0 };
	const char **got = NULL;
	assert_int_equal(custos_yaml_texts(*state, "list", &got, &err), CUSTOS_OK);
	assert_string_equal(got[0], "a");
	assert_string_equal(got[1], "b");
	assert_null(got[2]);
	free(got);
	assert_int_equal(custos_yaml_texts(*state, "word", &got, &err), CUSTOS_OK);
	assert_string_equal(got[0], "red");
	assert_null(got[1]);
	free(got);
	static const char *const empty[] = { "absent", "none" };
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(custos_yaml_texts(*state, empty[i], &got, &err), CUSTOS_OK);
		assert_null(got[0]);
		free(got);
	}
	assert_refused(custos_yaml_texts(*state, "mixed", &got, &err), &err, "p.yaml:13: ");
	assert_refused(custos_yaml_texts(*state, "map", &got, &err), &err, "p.yaml:14: ");
}

static void a_key_nobody_asked_for_is_an_error(void **state)
{
	static const char *const some[] = { "x", "y", NULL }, *const others[] = { "y", NULL };
	struct custos_err err = { 0 };
	const struct custos_yaml *map = custos_yaml_get(*state, "map");
	assert_int_equal(custos_yaml_known(map, some, &err), CUSTOS_OK);
	assert_int_equal(custos_yaml_known(map, others, &err), CUSTOS_E_INPUT);
	assert_string_equal(err.msg, "p.yaml:14: \"x\" is not known here");
	assert_string_equal(err.hint, "known are: y");
	custos_err_clear(&err);
	assert_refused(custos_yaml_known(custos_yaml_get(*state, "list"), some, &err), &err, "p.yaml:10: a map is expected here");
	assert_refused(custos_yaml_known(custos_yaml_get(*state, "empty"), some, &err), &err, "p.yaml:6: a map is expected here");
}

/* More words than the message has room for. */
static void a_long_list_of_words_is_cut(void **state)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyz";
	const char *many[40];
	struct custos_err err = { 0 };
	size_t got;
	for (size_t i = 0; i < 39; i++)
		many[i] = word;
	many[39] = NULL;
	assert_refused(custos_yaml_word(*state, "word", many, "x", &got, &err), &err, "p.yaml:1: \"word\" must be one of abc");
	assert_refused(custos_yaml_known(custos_yaml_get(*state, "map"), many, &err), &err, "p.yaml:14: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(texts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(numbers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(booleans, set_up, tear_down),
		cmocka_unit_test_setup_teardown(words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_default_must_be_a_word, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lists_of_texts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_key_nobody_asked_for_is_an_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_long_list_of_words_is_cut, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
