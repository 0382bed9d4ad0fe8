/* The list of problems: append only, in the order found. */
#include "x509/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void custos_problems_add(struct custos_problems *list, const char *code, enum custos_severity severity, const char *remedy, const char *format, ...)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity * 2 + 8;
		struct custos_problem *grown = reallocarray(list->items, capacity, sizeof *grown);
		if (grown == NULL) {
			list->lost = true;
			return;
		}
		list->items = grown;
		list->capacity = capacity;
	}
	char *text = NULL;
	va_list ap;
	va_start(ap, format);
	int len = vasprintf(&text, format, ap);
	va_end(ap);
	char *copy = strdup(remedy);
	if (len < 0 || copy == NULL) {
		if (len >= 0)
			free(text);
		free(copy);
		list->lost = true;
		return;
	}
	list->items[list->count++] = (struct custos_problem){ .code = code, .severity = severity, .text = text, .remedy = copy };
}

void custos_problems_done(struct custos_problems *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].text);
		free(list->items[i].remedy);
	}
	free(list->items);
	*list = (struct custos_problems){ 0 };
}

size_t custos_problems_count(const struct custos_problems *list, enum custos_severity at_least)
{
	size_t n = 0;
	for (size_t i = 0; i < list->count; i++)
		n += list->items[i].severity >= at_least;
	return n;
}

const struct custos_problem *custos_problems_find(const struct custos_problems *list, const char *code)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].code, code) == 0)
			return &list->items[i];
	return NULL;
}

void custos_problems_accept(struct custos_problems *list, const char *code)
{
	for (size_t i = 0; i < list->count; i++) {
		struct custos_problem *p = &list->items[i];
		if (strcmp(p->code, code) != 0 || p->severity != CUSTOS_SEVERITY_ERROR)
			continue;
		char *text = NULL;
		if (asprintf(&text, "%s (accepted by request)", p->text) < 0) {
			list->lost = true;
			continue;
		}
		free(p->text);
		p->text = text;
		p->severity = CUSTOS_SEVERITY_WARNING;
		p->accepted = true;
	}
}

bool custos_problems_accepted(const struct custos_problems *list, const char *code)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i].accepted && strcmp(list->items[i].code, code) == 0)
			return true;
	return false;
}

custos_rc custos_problems_whole(const struct custos_problems *list, struct custos_err *err)
{
	CUSTOS_REQUIRE(!list->lost, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

static const char *severity_name(enum custos_severity severity)
{
	return severity == CUSTOS_SEVERITY_ERROR ? "error" : severity == CUSTOS_SEVERITY_WARNING ? "warning" : "fixed";
}

struct custos_json *custos_problems_json(const struct custos_problems *list)
{
	struct custos_json *array = custos_json_array();
	for (size_t i = 0; i < list->count; i++) {
		struct custos_json *one = custos_json_object();
		custos_json_set_text(one, "code", list->items[i].code);
		custos_json_set_text(one, "severity", severity_name(list->items[i].severity));
		custos_json_set_text(one, "text", list->items[i].text);
		custos_json_set_text(one, "remedy", list->items[i].remedy);
		if (list->items[i].accepted)
			custos_json_set_bool(one, "accepted", true);
		custos_json_push(array, one);
	}
	return array;
}

/* Which error says best why: of another key's certificate nothing else matters, and that there is no certificate is explained by everything else. */
static int weight_of(const char *code)
{
	return strcmp(code, "other_key") == 0 ? 2 : strcmp(code, "no_certificate") == 0 ? 0 : 1;
}

custos_rc custos_problems_refuse(const struct custos_json *problems, struct custos_err *err)
{
	const struct custos_json *chosen = NULL;
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *p = custos_json_at(problems, i);
		if (strcmp(custos_json_text(p, "severity"), "error") != 0)
			continue;
		if (chosen == NULL || weight_of(custos_json_text(p, "code")) > weight_of(custos_json_text(chosen, "code")))
			chosen = p;
	}
	if (chosen == NULL)
		return CUSTOS_OK;
	custos_rc rc = custos_err_set(err, CUSTOS_E_INPUT, 0, "%s", custos_json_text(chosen, "text"));
	custos_err_hint(err, "%s", custos_json_text(chosen, "remedy"));
	return rc;
}
