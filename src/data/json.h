/* JSON inside the library: canonical lines and strict parsing. The tree itself is <custos/json.h>. */
#ifndef CUSTOS_DATA_JSON_H
#define CUSTOS_DATA_JSON_H

#include "base/bytes.h"
#include <custos/json.h>

CUSTOS_DEFINE_FREEP(custos_json);

/* One line of sorted, compact, ASCII-only JSON without newline: the form that is hashed. Appends to `line`. */
CUSTOS_RC custos_json_line(const struct custos_json *json, struct custos_buf *line, struct custos_err *err);
/* Strict: one document, no duplicate keys, no trailing bytes, no NUL, UTF-8. `what` names the input in errors. */
CUSTOS_RC custos_json_parse(struct custos_bytes text, const char *what, struct custos_json **ret_json, struct custos_err *err);

#endif
