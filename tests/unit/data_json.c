/* JSON: one canonical form, one strict way in, and output that a terminal cannot be commanded with. */
#include "data/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static custos_rc parse(const char *text, size_t len, struct custos_json **ret_json, struct custos_err *err)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	memcpy(copy, text, len);
	custos_rc rc = custos_json_parse(CUSTOS_BYTES(copy, len), "entry 7", ret_json, err);
	free(copy);
	return rc;
}

static char *line_of(const char *text)
{
	CUSTOS_AUTO(custos_json) *json = NULL;
	struct custos_buf line = { 0 };
	assert_int_equal(parse(text, strlen(text), &json, NULL), CUSTOS_OK);
	assert_int_equal(custos_json_line(json, &line, NULL), CUSTOS_OK);
	return (char *)line.ptr;
}

static void assert_line(const char *text, const char *expected)
{
	CUSTOS_AUTO_STR *line = line_of(text);
	assert_string_equal(line, expected);
}

static void lines_are_canonical(void **state)
{
	(void)state;
	assert_line(" { \"b\" : 1 ,\n \"a\" : [ true , false , null ] } ", "{\"a\":[true,false,null],\"b\":1}");
	/* sorted by bytes, at every depth, upper case first */
	assert_line("{\"a\":1,\"B\":2,\"aa\":3,\"_\":4,\"x\":{\"2\":0,\"10\":0}}", "{\"B\":2,\"_\":4,\"a\":1,\"aa\":3,\"x\":{\"10\":0,\"2\":0}}");
	/* one spelling of each character */
	assert_line("[\"\\u0041\\u00fc\\/\"]", "[\"A\\u00FC/\"]");
	assert_line("[\"ü€\"]", "[\"\\u00FC\\u20AC\"]");
	assert_line("[\"\\ud834\\udd1e\"]", "[\"\\uD834\\uDD1E\"]");
	assert_line("[\"\\n\\t\\\"\\\\\"]", "[\"\\n\\t\\\"\\\\\"]");
	assert_line("[-9223372036854775808,9223372036854775807]", "[-9223372036854775808,9223372036854775807]");
}

/* A canonical line read and written again is the same line; the order of insertion is not seen. */
static void canonical_is_a_fixed_point(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_json) *one = custos_json_object();
	CUSTOS_AUTO(custos_json) *two = custos_json_object();
	custos_json_set_text(one, "z", "letzter");
	custos_json_set_int(one, "a", 1);
	custos_json_set_int(two, "a", 1);
	custos_json_set_text(two, "z", "letzter");
	CUSTOS_AUTO_BUF first = { 0 };
	CUSTOS_AUTO_BUF second = { 0 };
	assert_int_equal(custos_json_line(one, &first, NULL), CUSTOS_OK);
	assert_int_equal(custos_json_line(two, &second, NULL), CUSTOS_OK);
	assert_string_equal((char *)first.ptr, (char *)second.ptr);
	assert_true(custos_json_equal(one, two));
	CUSTOS_AUTO_STR *again = line_of((char *)first.ptr);
	assert_string_equal(again, (char *)first.ptr);
}

static void only_one_strict_document(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
	} refused[] = {
#define BAD(t) { t, sizeof(t) - 1 }
		BAD(""), BAD(" "), BAD("{"), BAD("{}{}"), BAD("{} x"), BAD("{}\0"), BAD("[1,]"), BAD("{\"a\":1,}"), BAD("{a:1}"),
			BAD("{'a':1}"), BAD("[01]"), BAD("[+1]"),
		BAD("[.5]"), BAD("[NaN]"), BAD("[Infinity]"), BAD("[1e999]"), BAD("[9223372036854775808]"), BAD("[\"\t\"]"),
			BAD("[\"\n\"]"), BAD("[\"\\x41\"]"),
		BAD("[\"a\\u0000b\"]"), BAD("{\"a\\u0000b\":1}"), BAD("[\"a\0b\"]"), BAD("[\"\xff\"]"), BAD("[\"\xc0\xaf\"]"),
			BAD("[\"\xed\xa0\x80\"]"), BAD("[\"\\ud800\"]"),
		BAD("\xef\xbb\xbf{}"), BAD("// x\n{}"), BAD("/**/{}"), BAD("True"), BAD("\"text\""), BAD("7"), BAD("null"),
			BAD("[\"unterminated"), BAD("[tru]"),
		BAD("{\"a\":1,\"a\":1}"), BAD("{\"a\":1,\"\\u0061\":2}"), BAD("[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]"),
	};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct custos_json *json = NULL;
		struct custos_err err = { 0 };
		if (parse(refused[i].text, refused[i].len, &json, &err) == CUSTOS_OK)
			fail_msg("number %zu, %s, was read", i, refused[i].text);
		assert_null(json);
		assert_int_equal(err.rc, CUSTOS_E_INPUT);
		assert_non_null(strstr(err.msg, "entry 7: line "));
	}
	struct custos_json *json = NULL;
	assert_int_equal(custos_json_parse(CUSTOS_BYTES(NULL, 0), "nothing", &json, NULL), CUSTOS_E_INPUT);
}

/* So deep that a parser without a limit would run out of stack. */
static void depth_is_limited(void **state)
{
	(void)state;
	enum { DEEP = 500000 };
	char *text = malloc(DEEP);
	memset(text, '[', DEEP);
	struct custos_json *json = NULL;
	assert_int_equal(custos_json_parse(CUSTOS_BYTES(text, DEEP), "deep", &json, NULL), CUSTOS_E_INPUT);
	for (size_t i = 0; i + 5 <= DEEP; i += 5)
		memcpy(text + i, "{\"a\":", 5);
	assert_int_equal(custos_json_parse(CUSTOS_BYTES(text, DEEP), "deep", &json, NULL), CUSTOS_E_INPUT);
	free(text);
}

static void errors_name_the_line(void **state)
{
	(void)state;
	struct custos_json *json = NULL;
	struct custos_err err = { 0 };
	static const char text[] = "{\n \"a\": 1,\n \"a\": 2\n}";
	assert_int_equal(parse(text, sizeof text - 1, &json, &err), CUSTOS_E_INPUT);
	assert_non_null(strstr(err.msg, "line 3"));
	assert_non_null(strstr(err.msg, "duplicate"));
}

static void getters_take_nothing_for_something_else(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_json) *o = NULL;
	static const char text[] = "{\"t\":\"7\",\"n\":7,\"b\":true,\"r\":7.0,\"z\":null,\"l\":[1,\"x\"]}";
	assert_int_equal(parse(text, sizeof text - 1, &o, NULL), CUSTOS_OK);
	assert_int_equal(custos_json_int(o, "t", -1), -1);
	assert_int_equal(custos_json_int(o, "r", -1), -1);
	assert_int_equal(custos_json_int(o, "n", -1), 7);
	assert_null(custos_json_text(o, "n"));
	assert_null(custos_json_text(o, "z"));
	assert_null(custos_json_text(o, "absent"));
	assert_string_equal(custos_json_text(o, "t"), "7");
	assert_true(custos_json_bool(o, "n", true));
	assert_false(custos_json_bool(o, "t", false));
	assert_true(custos_json_truth(custos_json_get(o, "b")));
	assert_false(custos_json_truth(custos_json_get(o, "n")));
	assert_int_equal(custos_json_count(custos_json_get(o, "t")), 0);
	assert_null(custos_json_at(custos_json_get(o, "l"), 2));
	assert_null(custos_json_at(o, 0));
	/* and nothing at all is nothing everywhere */
	assert_null(custos_json_get(NULL, "x"));
	assert_null(custos_json_text(NULL, "x"));
	assert_int_equal(custos_json_count(NULL), 0);
	assert_null(custos_json_first(NULL));
	assert_false(custos_json_equal(NULL, NULL));
	assert_null(custos_json_ref(NULL));
	custos_json_free(NULL);
}

static void a_copy_is_deep_and_a_reference_is_not(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_json) *o = custos_json_object();
	custos_json_set(o, "inner", custos_json_object());
	CUSTOS_AUTO(custos_json) *copy = custos_json_copy(o);
	CUSTOS_AUTO(custos_json) *ref = custos_json_ref(o);
	custos_json_set_int(custos_json_child(o, "inner"), "x", 1);
	assert_int_equal(custos_json_int(custos_json_get(copy, "inner"), "x", 0), 0);
	assert_int_equal(custos_json_int(custos_json_get(ref, "inner"), "x", 0), 1);
}

static void members_are_walked_in_order(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_json) *o = custos_json_object();
	static const char *const names[] = { "z", "a", "m" };
	for (size_t i = 0; i < 3; i++)
		custos_json_set_int(o, names[i], (int64_t)i);
	custos_json_set(o, "n", NULL);
	size_t seen = 0;
	for (void *it = custos_json_first(o); it != NULL && seen < 3; it = custos_json_next(o, it), seen++) {
		assert_string_equal(custos_json_key(it), names[seen]);
		assert_int_equal(custos_json_integer_value(custos_json_value(it), -1), seen);
	}
	assert_int_equal(seen, 3);
	assert_int_equal(custos_json_count(o), 4);
	custos_json_remove(o, "n");
	assert_int_equal(custos_json_count(o), 3);
}

static void hex_is_exact(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_json) *o = custos_json_object();
	custos_json_set_hex(o, "h", (const uint8_t *)"\x00\xff\x0a", 3);
	custos_json_set_hex(o, "e", (const uint8_t *)"", 0);
	assert_string_equal(custos_json_text(o, "h"), "00ff0a");
	assert_string_equal(custos_json_text(o, "e"), "");
}

/* What a host calls itself reaches a terminal through --json too. */
static void pretty_never_commands_a_terminal(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_json) *o = custos_json_object();
	custos_json_set_text(o, "x", "\x1b[2J \x7f \xc2\x9b" "31m Zürich \xc2\xa0.\xc2\x80");
	CUSTOS_AUTO_STR *text = custos_json_pretty(o);
	assert_non_null(text);
	for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++) {
		assert_true(*c >= 0x20 || *c == '\n');
		assert_int_not_equal(*c, 0x7f);
		assert_false(*c == 0xc2 && c[1] < 0xa0);
	}
	assert_non_null(strstr(text, "Zürich"));
	assert_int_equal(text[strlen(text) - 1], '\n');
	/* and it is still the same document */
	CUSTOS_AUTO(custos_json) *again = NULL;
	assert_int_equal(parse(text, strlen(text), &again, NULL), CUSTOS_OK);
	assert_true(custos_json_equal(o, again));
}

static void text_that_is_not_utf8_is_null(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_json) *o = custos_json_object();
	custos_json_set_text(o, "bad", "caf\xe9");
	custos_json_set_text(o, "none", NULL);
	assert_int_equal(custos_json_count(o), 2);
	assert_null(custos_json_text(o, "bad"));
	CUSTOS_AUTO_BUF line = { 0 };
	assert_int_equal(custos_json_line(o, &line, NULL), CUSTOS_OK);
	assert_string_equal((char *)line.ptr, "{\"bad\":null,\"none\":null}");
}

static void a_line_too_long_for_its_buffer_is_refused(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_json) *o = custos_json_object();
	custos_json_set_text(o, "k", "value");
	CUSTOS_AUTO_BUF line = { .max = 12 };
	assert_int_equal(custos_json_line(o, &line, NULL), CUSTOS_E_INPUT);
	assert_int_equal(line.len, 0);
	line.max = 13;
	assert_int_equal(custos_json_line(o, &line, NULL), CUSTOS_OK);
	assert_int_equal(custos_json_line(NULL, &line, NULL), CUSTOS_E_INTERNAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_canonical),
		cmocka_unit_test(canonical_is_a_fixed_point),
		cmocka_unit_test(only_one_strict_document),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(errors_name_the_line),
		cmocka_unit_test(getters_take_nothing_for_something_else),
		cmocka_unit_test(a_copy_is_deep_and_a_reference_is_not),
		cmocka_unit_test(members_are_walked_in_order),
		cmocka_unit_test(hex_is_exact),
		cmocka_unit_test(pretty_never_commands_a_terminal),
		cmocka_unit_test(text_that_is_not_utf8_is_null),
		cmocka_unit_test(a_line_too_long_for_its_buffer_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
