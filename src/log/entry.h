/* One entry of the log: a line of sorted compact ASCII JSON with the members event, index, time and v, and whatever the event
 * says besides. The hash covers exactly these bytes, so there is one way to write an entry and everything else is refused. */
#ifndef CUSTOS_LOG_ENTRY_H
#define CUSTOS_LOG_ENTRY_H

#include "base/clock.h"
#include "data/json.h"

enum { CUSTOS_ENTRY_VERSION = 1, CUSTOS_ENTRY_MAX = 65535 /* a bundle counts an entry's bytes in 16 bits */ };

/* Appends the line to `leaf`. `fields` is borrowed and may be NULL. */
CUSTOS_RC custos_entry_encode(const char *event, uint64_t index, int64_t unix_time, const struct custos_json *fields,
                              struct custos_buf *leaf, struct custos_err *err);
/* CUSTOS_E_TAMPERED, naming the entry, unless the bytes are exactly what custos_entry_encode() would have written for this index. */
CUSTOS_RC custos_entry_decode(struct custos_bytes leaf, uint64_t index, struct custos_json **ret_entry, struct custos_err *err);

#endif
