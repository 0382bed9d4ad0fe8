/* What is wrong with a certificate, a chain or a request, in plain words and with its remedy. `code` is stable and
 * snake_case; `text` and `remedy` are one line each, lower-case, no full stop. */
#ifndef CUSTOS_X509_PROBLEM_H
#define CUSTOS_X509_PROBLEM_H

#include "base/attr.h"
#include <custos/json.h>

enum custos_severity {
	CUSTOS_SEVERITY_FIXED = 1, /* was wrong, has been put right, nothing to do */
	CUSTOS_SEVERITY_WARNING,   /* works, but somebody should look */
	CUSTOS_SEVERITY_ERROR,     /* a server could not use it, or must not */
};

struct custos_problem {
	const char *code;          /* static */
	enum custos_severity severity;
	char *text, *remedy;
	bool accepted;             /* was an error, and a person said that it may be */
};

struct custos_problems {
	struct custos_problem *items;
	size_t count, capacity;
	bool lost;                 /* memory ran out: the list is not complete, custos_problems_whole() fails */
};

void custos_problems_add(struct custos_problems *list, const char *code, enum custos_severity severity, const char *remedy, const char *format, ...) CUSTOS_PRINTF(5, 6);
void custos_problems_done(struct custos_problems *list);
#define CUSTOS_AUTO_PROBLEMS __attribute__((cleanup(custos_problems_done))) struct custos_problems

/* How many are at least this severe. */
size_t custos_problems_count(const struct custos_problems *list, enum custos_severity at_least);
const struct custos_problem *custos_problems_find(const struct custos_problems *list, const char *code); /* NULL when absent */
/* Turns errors with this code into warnings that say they were accepted. */
void custos_problems_accept(struct custos_problems *list, const char *code);
CUSTOS_MUST bool custos_problems_accepted(const struct custos_problems *list, const char *code);
CUSTOS_RC custos_problems_whole(const struct custos_problems *list, struct custos_err *err);
/* The first error of such a list (as JSON) as an error of ours: another key's certificate before everything else, that there is no certificate only when nothing says why.
 * CUSTOS_OK when there is none. */
CUSTOS_RC custos_problems_refuse(const struct custos_json *problems, struct custos_err *err);
/* [{"code","severity":"error"|"warning"|"fixed","text","remedy","accepted":true (only when it was)}] */
struct custos_json *custos_problems_json(const struct custos_problems *list);

#endif
