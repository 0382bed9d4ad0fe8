/* The only code that prints. stdout carries data, stderr "custos: error: …" and "custos: hint: …". What a token, a host or a CA
 * called itself is shown with control characters escaped. */
#ifndef CUSTOS_CLI_OUTPUT_H
#define CUSTOS_CLI_OUTPUT_H

#include "cli/command.h"

/* A column or a line: heading and the path of the member, dots between names. */
struct custos_column {
	const char *heading, *path;
};

/* One JSON document when --json was given, else a table (array) or lines (object) by `columns`, ended by a NULL heading. */
void custos_out(const struct custos_call *call, const struct custos_json *json, const struct custos_column *columns);
/* The same table whatever the call says, for a part of a document. */
void custos_out_table(const struct custos_json *rows, const struct custos_column *columns);
void custos_out_json(const struct custos_json *json);
void custos_out_text(const char *text);
void custos_out_line(const char *format, ...) CUSTOS_PRINTF(1, 2);
/* Value at a dotted path as text; "" when absent or null; numbers in decimal, arrays joined by ", ". Caller frees. */
char *custos_out_value(const struct custos_json *json, const char *path);
void custos_out_error(const struct custos_err *err);
/* Each problem with its remedy, on stderr: "custos: warning: …". */
void custos_out_warnings(const struct custos_json *problems);
/* A progress line on stderr, only on a terminal and not with --quiet. */
void custos_out_progress(void *call, const char *target, const char *line);
/* How far something long is, in one line that is written over until it is done; only on a terminal and not with --quiet. */
void custos_out_count(const struct custos_call *call, const char *what, size_t done, size_t total);
/* Everything written to stdout has arrived. */
CUSTOS_RC custos_out_flush(struct custos_err *err);

#endif
