/* What is printed: no byte of a stranger's commands the terminal, data goes to stdout and trouble to stderr, nothing is cut. */
#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static char out[200000], err_out[200000];
static int files[2], kept[2];

static void begin(void)
{
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		files[i] = memfd_create("captured", MFD_CLOEXEC);
		kept[i] = fcntl(i + 1, F_DUPFD_CLOEXEC, 10);
		dup2(files[i], i + 1);
	}
}

static void end(void)
{
	char *const to[] = { out, err_out };
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		dup2(kept[i], i + 1);
		close(kept[i]);
		ssize_t n = pread(files[i], to[i], sizeof out - 1, 0);
		to[i][n < 0 ? 0 : n] = '\0';
		close(files[i]);
	}
}

static struct custos_json *parse(const char *member, const char *text)
{
	struct custos_json *o = custos_json_object();
	custos_json_set_text(o, member, text);
	return o;
}

static void lines_never_command_a_terminal(void **state)
{
	(void)state;
	static const struct {
		const char *said, *shown;
	} cases[] = {
		{ "plain", "plain\n" },
		{ "\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J\n" },
		{ "a\r\nb\tc\x7f\b", "a\\x0d\\x0ab\\x09c\\x7f\\x08\n" },
		{ "\xc2\x9b" "31m", "\\xc2\\x9b31m\n" },
		/* a lone C1 byte: the same command on a terminal that is not UTF-8 */
		{ "\x9b" "31m", "\\x9b31m\n" },
		{ "\xc2", "\\xc2\n" },
		{ "caf\xe9", "caf\\xe9\n" },
		{ "\xed\xa0\x80\xc0\x9b", "\\xed\\xa0\\x80\\xc0\\x9b\n" },
		{ "Zürich €", "Zürich €\n" },
		{ "100%s%n", "100%s%n\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin();
		custos_out_line("%s", cases[i].said);
		end();
		assert_string_equal(out, cases[i].shown);
		assert_string_equal(err_out, "");
	}
}

static void a_long_line_is_whole(void **state)
{
	(void)state;
	enum { LONG = 100000 };
	char *text = malloc(LONG + 1);
	memset(text, 'x', LONG);
	text[LONG] = '\0';
	begin();
	custos_out_line("<%s>", text);
	end();
	assert_int_equal(strlen(out), LONG + 3);
	assert_string_equal(out + LONG + 1, ">\n");
	free(text);
}

static void errors_are_two_safe_lines(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	assert_int_equal(custos_err_set_hinted(&err, CUSTOS_E_INPUT, "look\nat it", "cannot open %s",
		"evil\n\x1b[1mcustos: error: other"), CUSTOS_E_INPUT);
	begin();
	custos_out_line("data");
	custos_out_error(&err);
	end();
	assert_string_equal(out, "data\n");
	assert_string_equal(err_out, "custos: error: cannot open evil\\x0a\\x1b[1mcustos: error: other\ncustos: hint: look\\x0aat it\n");
	/* an error that says nothing still says what kind it is */
	struct custos_err silent = { .rc = CUSTOS_E_STORE };
	begin();
	custos_out_error(&silent);
	end();
	assert_string_equal(err_out, "custos: error: store\n");
}

static const struct custos_column columns[] = { { "NAME", "name" }, { "STATE", "inner.state" }, { "MANY", "many" }, { NULL, NULL } };

static struct custos_json *row(const char *name, const char *inner)
{
	struct custos_json *r = custos_json_object();
	custos_json_set_text(r, "name", name);
	custos_json_set(r, "inner", parse("state", inner));
	return r;
}

static void tables(void **state)
{
	(void)state;
	struct custos_call call = { 0 };
	struct custos_json *rows = custos_json_array();
	begin();
	custos_out(&call, rows, columns);
	end();
	assert_string_equal(out, "none\n");
	custos_json_push(rows, row("a\x1b[2J\nb", NULL));
	custos_json_push(rows, row("web", "ok"));
	struct custos_json *many = custos_json_array();
	custos_json_push(many, custos_json_string("x"));
	custos_json_push(many, custos_json_integer(-7));
	custos_json_set(custos_json_item(rows, 1), "many", many);
	begin();
	custos_out(&call, rows, columns);
	end();
	/* one line for the heading and one for each row, whatever a name holds */
	size_t lines = 0;
	for (const char *c = out; *c != '\0'; c++) {
		lines += *c == '\n';
		assert_true(*c == '\n' || (unsigned char)*c >= 0x20);
	}
	assert_int_equal(lines, 3);
	assert_non_null(strstr(out, "a\\x1b[2J\\x0ab"));
	assert_non_null(strstr(out, "x, -7\n"));
	/* what is absent is a dash */
	assert_non_null(strstr(out, "  -  "));
	custos_json_free(rows);
}

static void one_object_is_lines(void **state)
{
	(void)state;
	struct custos_call call = { 0 };
	struct custos_json *one = row("web\n", NULL);
	begin();
	custos_out(&call, one, columns);
	end();
	assert_string_equal(out, "NAME   web\\x0a\n");
	custos_json_free(one);
}

static void json_is_one_document(void **state)
{
	(void)state;
	struct custos_call call = { .json = true };
	struct custos_json *one = row("\x1b[2J \x7f \xc2\x9b x", NULL), *empty = custos_json_array();
	begin();
	custos_out(&call, one, columns);
	end();
	for (const char *c = out; *c != '\0'; c++)
		assert_true(*c == '\n' || ((unsigned char)*c >= 0x20 && *c != 0x7f && (unsigned char)*c != 0x9b));
	assert_non_null(strstr(out, "\\u001B[2J \\u007F \\u009B x"));
	begin();
	custos_out(&call, empty, columns);
	end();
	assert_string_equal(out, "[]\n");
	custos_json_free(one);
	custos_json_free(empty);
}

static void assert_value(const struct custos_json *json, const char *path, const char *expected)
{
	char *value = custos_out_value(json, path);
	assert_string_equal(value, expected);
	free(value);
}

static void values_at_a_path(void **state)
{
	(void)state;
	struct custos_json *o = row("web", "ok");
	custos_json_set_int(o, "n", INT64_MIN);
	custos_json_set_bool(o, "yes", true);
	custos_json_set(o, "null", NULL);
	custos_json_set(o, "none", custos_json_array());
	assert_value(o, "name", "web");
	assert_value(o, "inner.state", "ok");
	assert_value(o, "n", "-9223372036854775808");
	assert_value(o, "yes", "yes");
	assert_value(o, "null", "");
	assert_value(o, "none", "");
	assert_value(o, "inner", "");
	assert_value(o, "absent", "");
	assert_value(o, "name.state", "");
	assert_value(o, "inner.state.deeper", "");
	assert_value(o, ".", "");
	assert_value(o, "inner..state", "");
	/* a name longer than any of ours finds nothing, and does not find what it begins with */
	char longest[200];
	memset(longest, 'n', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	assert_value(o, longest, "");
	assert_value(NULL, "name", "");
	custos_json_free(o);
}

/* Progress is for people at a terminal: captured output stays clean. */
static void progress_only_on_a_terminal(void **state)
{
	(void)state;
	struct custos_call call = { 0 };
	begin();
	custos_out_progress(&call, "host", "switching");
	end();
	assert_string_equal(err_out, "");
	assert_string_equal(out, "");
}

static void a_full_disk_is_noticed(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	fflush(stdout);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(full >= 0);
	dup2(full, STDOUT_FILENO);
	custos_out_line("data");
	custos_rc rc = custos_out_flush(&err);
	dup2(saved, STDOUT_FILENO);
	clearerr(stdout);
	close(saved);
	close(full);
	assert_int_equal(rc, CUSTOS_E_SYSTEM);
	assert_non_null(strstr(err.msg, "standard output"));
	assert_int_equal(custos_out_flush(&err), CUSTOS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_never_command_a_terminal),
		cmocka_unit_test(a_long_line_is_whole),
		cmocka_unit_test(errors_are_two_safe_lines),
		cmocka_unit_test(tables),
		cmocka_unit_test(one_object_is_lines),
		cmocka_unit_test(json_is_one_document),
		cmocka_unit_test(values_at_a_path),
		cmocka_unit_test(progress_only_on_a_terminal),
		cmocka_unit_test(a_full_disk_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
