/* Tables, lines, JSON and errors. */
#include "cli/output.h"
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Shown text never moves the cursor: C0, DEL, C1 and whatever is not UTF-8 (a lone C1 byte moves it on some terminals) are escaped. */
static void put_safe(FILE *to, const char *text)
{
	const uint8_t *c = (const uint8_t *)text;
	for (size_t left = strlen(text); left > 0;) {
		size_t len = *c < 0x20 || *c == 0x7f ? 0 : custos_text_utf8_length(c, left);
		if (len == 0)
			fprintf(to, "\\x%02x", *c);
		else
			fwrite(c, 1, len, to);
		c += len == 0 ? 1 : len;
		left -= len == 0 ? 1 : len;
	}
}

void custos_out_text(const char *text)
{
	fputs(text, stdout);
}

void custos_out_line(const char *format, ...)
{
	CUSTOS_AUTO_STR *line = NULL;
	va_list ap;
	va_start(ap, format);
	int len = vasprintf(&line, format, ap);
	va_end(ap);
	/* after a failure the pointer is undefined */
	if (len < 0)
		line = NULL;
	put_safe(stdout, line == NULL ? "out of memory" : line);
	fputc('\n', stdout);
}

void custos_out_json(const struct custos_json *json)
{
	CUSTOS_AUTO_STR *text = custos_json_pretty(json);
	fputs(text == NULL ? "" : text, stdout);
}

static const struct custos_json *walk(const struct custos_json *json, const char *path)
{
	char name[64];
	for (const char *at = path; json != NULL && *at != '\0';) {
		const char *dot = strchr(at, '.');
		size_t len = dot == NULL ? strlen(at) : (size_t)(dot - at);
		snprintf(name, sizeof name, "%.*s", (int)len, at);
		json = custos_json_get(json, name);
		at += len + (dot != NULL);
	}
	return json;
}

static char *join(const struct custos_json *array)
{
	size_t room = 1;
	for (size_t i = 0; i < custos_json_count(array); i++) {
		const char *text = custos_json_string_value(custos_json_at(array, i));
		room += 24 + (text == NULL ? 0 : strlen(text));
	}
	char *all = calloc(room, 1), *at = all;
	for (size_t i = 0; all != NULL && i < custos_json_count(array); i++) {
		const struct custos_json *item = custos_json_at(array, i);
		const char *text = custos_json_string_value(item), *comma = i == 0 ? "" : ", ";
		if (text != NULL)
			at += sprintf(at, "%s%s", comma, text);
		else if (custos_json_is_integer(item))
			at += sprintf(at, "%s%lld", comma, (long long)custos_json_integer_value(item, 0));
	}
	return all;
}

char *custos_out_value(const struct custos_json *json, const char *path)
{
	const struct custos_json *value = walk(json, path);
	const char *text = custos_json_string_value(value);
	char number[32];
	if (text != NULL)
		return strdup(text);
	if (custos_json_is_integer(value)) {
		snprintf(number, sizeof number, "%lld", (long long)custos_json_integer_value(value, 0));
		return strdup(number);
	}
	if (custos_json_is_array(value))
		return join(value);
	if (custos_json_is_object(value)) /* a record stands for itself by its name */
		return custos_out_value(value, "name");
	if (custos_json_is_boolean(value))
		return strdup(custos_json_truth(value) ? "yes" : "no");
	return strdup("");
}

void custos_out_table(const struct custos_json *rows, const struct custos_column *columns)
{
	enum { COLUMNS_MAX = 12 };
	size_t width[COLUMNS_MAX] = { 0 }, count = 0;
	for (; count < COLUMNS_MAX && columns[count].heading != NULL; count++) {
		width[count] = strlen(columns[count].heading);
		for (size_t r = 0; r < custos_json_count(rows); r++) {
			CUSTOS_AUTO_STR *value = custos_out_value(custos_json_at(rows, r), columns[count].path);
			if (value != NULL && strlen(value) > width[count])
				width[count] = strlen(value);
		}
	}
	for (size_t r = 0; r <= custos_json_count(rows); r++) {
		for (size_t k = 0; k < count; k++) {
			CUSTOS_AUTO_STR *value = r == 0 ? strdup(columns[k].heading) : custos_out_value(custos_json_at(rows, r - 1), columns[k].path);
			const char *shown = value == NULL || value[0] == '\0' ? "-" : value;
			put_safe(stdout, shown);
			if (k + 1 < count)
				printf("%*s", (int)(width[k] + 2 - (strlen(shown) < width[k] ? strlen(shown) : width[k])), "");
		}
		fputc('\n', stdout);
	}
}

static void lines(const struct custos_json *json, const struct custos_column *columns)
{
	size_t width = 0;
	for (size_t k = 0; columns[k].heading != NULL; k++)
		if (strlen(columns[k].heading) > width)
			width = strlen(columns[k].heading);
	for (size_t k = 0; columns[k].heading != NULL; k++) {
		CUSTOS_AUTO_STR *value = custos_out_value(json, columns[k].path);
		if (value == NULL || value[0] == '\0')
			continue;
		printf("%-*s  ", (int)width, columns[k].heading);
		put_safe(stdout, value);
		fputc('\n', stdout);
	}
}

void custos_out(const struct custos_call *call, const struct custos_json *json, const struct custos_column *columns)
{
	if (call->json)
		custos_out_json(json);
	else if (custos_json_is_array(json) && custos_json_count(json) == 0)
		custos_out_line("none");
	else if (custos_json_is_array(json))
		custos_out_table(json, columns);
	else
		lines(json, columns);
}

void custos_out_error(const struct custos_err *err)
{
	fflush(stdout);
	fputs("custos: error: ", stderr);
	put_safe(stderr, err->msg[0] != '\0' ? err->msg : custos_rc_name(err->rc));
	fputc('\n', stderr);
	if (err->hint[0] != '\0') {
		fputs("custos: hint: ", stderr);
		put_safe(stderr, err->hint);
		fputc('\n', stderr);
	}
}

static void put_line(const char *prefix, const char *text)
{
	fputs(prefix, stderr);
	put_safe(stderr, text == NULL ? "" : text);
	fputc('\n', stderr);
}

void custos_out_warnings(const struct custos_json *problems)
{
	fflush(stdout);
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *problem = custos_json_at(problems, i);
		put_line("custos: warning: ", custos_json_text(problem, "text"));
		put_line("custos: hint: ", custos_json_text(problem, "remedy"));
	}
}

void custos_out_progress(void *call, const char *target, const char *line)
{
	const struct custos_call *c = call;
	if (c->quiet || !isatty(STDERR_FILENO))
		return;
	fputs("custos: ", stderr);
	put_safe(stderr, target);
	fputs(": ", stderr);
	put_safe(stderr, line);
	fputc('\n', stderr);
}

void custos_out_count(const struct custos_call *call, const char *what, size_t done, size_t total)
{
	if (!call->quiet && isatty(STDERR_FILENO))
		fprintf(stderr, "\rcustos: %s: %zu of %zu%s", what, done, total, done == total ? "\n" : "");
}

custos_rc custos_out_flush(struct custos_err *err)
{
	CUSTOS_REQUIRE(fflush(stdout) == 0 && !ferror(stdout), err, CUSTOS_E_SYSTEM, "cannot write to standard output: %s", strerror(errno));
	return CUSTOS_OK;
}
