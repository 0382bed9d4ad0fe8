/* Strict YAML: each refusal with its line, bombs refused while they are read, and the tree is what was written. */
#include "data/yaml.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

static custos_rc parse(const char *text, size_t len, struct custos_yaml **ret_root, struct custos_err *err)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	memcpy(copy, text, len);
	custos_rc rc = custos_yaml_parse(CUSTOS_BYTES(copy, len), "plan.yaml", ret_root, err);
	free(copy);
	return rc;
}

static struct custos_yaml *good(const char *text)
{
	struct custos_yaml *root = NULL;
	struct custos_err err = { 0 };
	if (parse(text, strlen(text), &root, &err) != CUSTOS_OK)
		fail_msg("%s\n%s", err.msg, text);
	return root;
}

static void the_tree_is_what_was_written(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_yaml) *root = good("# a comment\nname: esxi\nlist:\n  - one\n  - [ two, 'three ''3''' ]\n"
	                                       "map: { a: \"x: y # z\", b: }\ntext: |\n  first\n  second\n\"quoted key\": yes\n");
	assert_int_equal(custos_yaml_kind(root), CUSTOS_YAML_MAP);
	assert_int_equal(custos_yaml_count(root), 5);
	assert_string_equal(custos_yaml_scalar(custos_yaml_get(root, "name")), "esxi");
	assert_string_equal(custos_yaml_key_at(root, 1), "list");
	const struct custos_yaml *list = custos_yaml_get(root, "list"), *inner = custos_yaml_at(list, 1);
	assert_int_equal(custos_yaml_kind(list), CUSTOS_YAML_LIST);
	assert_int_equal(custos_yaml_count(list), 2);
	assert_string_equal(custos_yaml_scalar(custos_yaml_at(inner, 1)), "three '3'");
	const struct custos_yaml *map = custos_yaml_get(root, "map");
	assert_string_equal(custos_yaml_scalar(custos_yaml_get(map, "a")), "x: y # z");
	assert_string_equal(custos_yaml_scalar(custos_yaml_get(map, "b")), "");
	assert_string_equal(custos_yaml_scalar(custos_yaml_get(root, "text")), "first\nsecond\n");
	assert_string_equal(custos_yaml_scalar(custos_yaml_get(root, "quoted key")), "yes");
	assert_int_equal(custos_yaml_line(custos_yaml_get(root, "name")), 2);
	assert_int_equal(custos_yaml_line(inner), 5);
	assert_int_equal(custos_yaml_line(custos_yaml_get(map, "a")), 6);
}

static void asking_for_what_is_not_there(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_yaml) *root = good("a: [1]\n");
	const struct custos_yaml *list = custos_yaml_get(root, "a");
	assert_null(custos_yaml_get(root, "b"));
	assert_null(custos_yaml_get(list, "a"));
	assert_null(custos_yaml_get(NULL, "a"));
	assert_null(custos_yaml_at(list, 1));
	assert_null(custos_yaml_at(root, 99));
	assert_null(custos_yaml_key_at(list, 0));
	assert_null(custos_yaml_key_at(root, 1));
	assert_null(custos_yaml_scalar(list));
	assert_null(custos_yaml_scalar(NULL));
	custos_yaml_free(NULL);
}

static void each_refusal_names_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *place, *why;
	} refused[] = {
		{ "", "plan.yaml:1:", "empty" },
		{ "# only a comment\n", "plan.yaml:2:", "empty" },
		{ "a: 1\na: 2\n", "plan.yaml:2:", "first in line 1" },
		{ "a: 1\n'a': 2\n", "plan.yaml:2:", "twice" },
		{ "a: 1\n\"\\x61\": 2\n", "plan.yaml:2:", "twice" },
		{ "x:\n  - b: 1\n    c: 2\n    b: 3\n", "plan.yaml:4:", "first in line 2" },
		{ "a: &x 1\nb: *x\n", "plan.yaml:1:", "anchors" },
		{ "a: 1\nb: *x\n", "plan.yaml:2:", "aliases" },
		{ "a:\n  <<: *base\n", "plan.yaml:2:", "aliases" },
		{ "*x : 1\n", "plan.yaml:1:", "aliases" },
		{ "a: !!str 1\n", "plan.yaml:1:", "tags" },
		{ "\na: !custom { b: 1 }\n", "plan.yaml:2:", "tags" },
		{ "a: !!set [ 1 ]\n", "plan.yaml:1:", "tags" },
		{ "!!map a: 1\n", "plan.yaml:1:", "tags" },
		{ "a: 1\n---\nb: 2\n", "plan.yaml:2:", "second document" },
		{ "a: 1\n...\n---\nb: 2\n", "plan.yaml:3:", "second document" },
		{ "? [ 1, 2 ]\n: x\n", "plan.yaml:1:", "key must be plain text" },
		{ "? { a: 1 }\n: x\n", "plan.yaml:1:", "key must be plain text" },
		{ ": x\n", "plan.yaml:1:", "key" },
		{ "'': x\n", "plan.yaml:1:", "key must be plain text" },
		{ "a: \"x\\0y\"\n", "plan.yaml:1:", "NUL" },
		{ "\"x\\0y\": 1\n", "plan.yaml:1:", "NUL" },
		{ "a: [1, 2\n", "plan.yaml:2:", "" },
		{ "a: \"open\n", "plan.yaml:2:", "" },
		{ "a: b: c\n", "plan.yaml:1:", "" },
		{ "a:\n\t- tab\n", "plan.yaml:2:", "" },
		{ "a: 1\n b: 2\n", "plan.yaml:2:", "" },
		{ "a: \x01\n", "plan.yaml:1:", "" },
		{ "a: \xff\n", "plan.yaml:1:", "" },
		{ "a: \xc0\xaf\n", "plan.yaml:1:", "" },
		{ "a: {\n", "plan.yaml:2:", "" },
		{ "%YAML 9.9\n---\na: 1\n", "plan.yaml:1:", "" },
	};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		struct custos_yaml *root = NULL;
		struct custos_err err = { 0 };
		if (parse(refused[i].text, strlen(refused[i].text), &root, &err) == CUSTOS_OK)
			fail_msg("this was read:\n%s", refused[i].text);
		assert_null(root);
		assert_int_equal(err.rc, CUSTOS_E_INPUT);
		if (strncmp(err.msg, refused[i].place, strlen(refused[i].place)) != 0 || strstr(err.msg, refused[i].why) == NULL)
			fail_msg("\"%s\" for\n%s", err.msg, refused[i].text);
	}
	struct custos_yaml *root = NULL;
	assert_int_equal(custos_yaml_parse(CUSTOS_BYTES(NULL, 0), "none", &root, NULL), CUSTOS_E_INPUT);
	assert_int_equal(parse("a: 1\0b: 2\n", 10, &root, NULL), CUSTOS_E_INPUT);
	assert_int_equal(parse("\xff\xfe" "a\0:\0 \0" "1\0", 10, &root, NULL), CUSTOS_E_INPUT);
}

static void nest(struct custos_buf *b, const char *open, const char *inner, const char *close, size_t depth)
{
	for (size_t i = 0; i < depth; i++)
		assert_int_equal(custos_buf_append_str(b, open, NULL), CUSTOS_OK);
	assert_int_equal(custos_buf_append_str(b, inner, NULL), CUSTOS_OK);
	for (size_t i = 0; i < depth; i++)
		assert_int_equal(custos_buf_append_str(b, close, NULL), CUSTOS_OK);
}

static void depth_is_limited(void **state)
{
	(void)state;
	static const struct {
		size_t depth;
		custos_rc rc;
	} tries[] = { { 16, CUSTOS_OK }, { 17, CUSTOS_E_INPUT }, { 20000, CUSTOS_E_INPUT } };
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
		CUSTOS_AUTO_BUF lists = { 0 };
		CUSTOS_AUTO_BUF maps = { 0 };
		CUSTOS_AUTO(custos_yaml) *a = NULL;
		CUSTOS_AUTO(custos_yaml) *b = NULL;
		nest(&lists, "[\n", "x", "]", tries[i].depth);
		nest(&maps, "{ k:\n", "x", "}", tries[i].depth);
		assert_int_equal(parse((char *)lists.ptr, lists.len, &a, NULL), tries[i].rc);
		assert_int_equal(parse((char *)maps.ptr, maps.len, &b, NULL), tries[i].rc);
	}
}

static void size_is_limited(void **state)
{
	(void)state;
	enum { LIMIT = 1 << 20 };
	char *text = malloc(LIMIT + 1);
	memset(text, '#', LIMIT + 1);
	memcpy(text, "a: 1 ", 5);
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(parse(text, LIMIT, &root, NULL), CUSTOS_OK);
	struct custos_yaml *none = NULL;
	assert_int_equal(parse(text, LIMIT + 1, &none, &err), CUSTOS_E_INPUT);
	assert_non_null(strstr(err.msg, "plan.yaml"));
	free(text);
}

/* A map in which every key is compared with every other must not take minutes. */
static void keys_are_limited(void **state)
{
	(void)state;
	static const size_t counts[] = { 1024, 1025, 90000 };
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		CUSTOS_AUTO_BUF text = { 0 };
		CUSTOS_AUTO(custos_yaml) *root = NULL;
		struct custos_err err = { 0 };
		for (size_t k = 0; k < counts[i]; k++)
			assert_int_equal(custos_buf_printf(&text, NULL, "k%05zu:\n", k), CUSTOS_OK);
		int64_t before = custos_clock_monotonic_ms();
		custos_rc rc = parse((char *)text.ptr, text.len, &root, &err);
		assert_int_equal(rc, counts[i] <= 1024 ? CUSTOS_OK : CUSTOS_E_INPUT);
		if (rc != CUSTOS_OK)
			assert_non_null(strstr(err.msg, "plan.yaml:1025:"));
		assert_true(custos_clock_monotonic_ms() - before < 20000);
	}
}

/* A list is as long as the file allows. */
static void lists_are_not(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF text = { 0 };
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	for (size_t k = 0; k < 20000; k++)
		assert_int_equal(custos_buf_printf(&text, NULL, "- {n: k%zu}\n", k), CUSTOS_OK);
	assert_int_equal(parse((char *)text.ptr, text.len, &root, NULL), CUSTOS_OK);
	assert_int_equal(custos_yaml_count(root), 20000);
	assert_string_equal(custos_yaml_scalar(custos_yaml_get(custos_yaml_at(root, 19999), "n")), "k19999");
	assert_int_equal(custos_yaml_line(custos_yaml_at(root, 19999)), 20000);
}

/* Every prefix of a good document is a document or an error, never a crash or a leak. */
static void every_truncation(void **state)
{
	(void)state;
	static const char text[] = "%YAML 1.1\n---\na: [x, {b: 'c''', \"d\\u00e9\": e}]\nf: >-\n  folded\n  text\ng:\n- h\n- i: |2\n    j\n...\n";
	for (size_t len = 0; len < sizeof text; len++) {
		CUSTOS_AUTO(custos_yaml) *root = NULL;
		struct custos_err err = { 0 };
		custos_rc rc = parse(text, len, &root, &err);
		assert_true(rc == CUSTOS_OK ? root != NULL : rc == CUSTOS_E_INPUT && root == NULL && err.msg[0] != '\0');
	}
}

static void an_error_at_a_node(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_yaml) *root = good("a: 1\nb:\n  - x\n");
	struct custos_err err = { 0 };
	assert_int_equal(custos_yaml_refuse(custos_yaml_at(custos_yaml_get(root, "b"), 0), &err, "%s is %d too many", "x", 1), CUSTOS_E_INPUT);
	assert_string_equal(err.msg, "plan.yaml:3: x is 1 too many");
}

static void the_name_is_copied(void **state)
{
	(void)state;
	char name[] = "first.yaml";
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(custos_yaml_parse(CUSTOS_BYTES_STR("a: {b: c}\n"), name, &root, NULL), CUSTOS_OK);
	memset(name, 'x', sizeof name - 1);
	(void)custos_yaml_refuse(custos_yaml_get(custos_yaml_get(root, "a"), "b"), &err, "no");
	assert_string_equal(err.msg, "first.yaml:1: no");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_tree_is_what_was_written),
		cmocka_unit_test(asking_for_what_is_not_there),
		cmocka_unit_test(each_refusal_names_its_line),
		cmocka_unit_test(depth_is_limited),
		cmocka_unit_test(size_is_limited),
		cmocka_unit_test(keys_are_limited),
		cmocka_unit_test(lists_are_not),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(an_error_at_a_node),
		cmocka_unit_test(the_name_is_copied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
