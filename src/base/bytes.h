/* Public bytes: a borrowed view and an owned, bounded, growable buffer. Secrets have a type of their own (memory/secret.h)
 * and never travel in either of these. */
#ifndef CUSTOS_BASE_BYTES_H
#define CUSTOS_BASE_BYTES_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct custos_bytes {
	const uint8_t *ptr;
	size_t len;
};

struct custos_buf {
	uint8_t *ptr;    /* always one byte longer than len, and that byte is 0: text can be read in place */
	size_t len, cap;
	size_t max;      /* append fails beyond this; 0 means 1 MiB */
};

#define CUSTOS_BYTES(p, n) ((struct custos_bytes){ (const uint8_t *)(p), (n) })
#define CUSTOS_BYTES_STR(s) CUSTOS_BYTES((s), strlen(s))

static inline struct custos_bytes custos_buf_view(const struct custos_buf *b)
{
	return CUSTOS_BYTES(b->ptr, b->len);
}
bool custos_bytes_equal(struct custos_bytes a, struct custos_bytes b);

/* Usage: `CUSTOS_AUTO_BUF b = { .max = 65536 };` An empty buffer needs no allocation; ptr is NULL then. */
CUSTOS_RC custos_buf_append(struct custos_buf *b, const void *data, size_t len, struct custos_err *err);
CUSTOS_RC custos_buf_append_str(struct custos_buf *b, const char *text, struct custos_err *err);
CUSTOS_RC custos_buf_printf(struct custos_buf *b, struct custos_err *err, const char *format, ...) CUSTOS_PRINTF(3, 4);
/* Makes room for `len` more bytes and returns where they go in *ret_at; len is added to b->len. */
CUSTOS_RC custos_buf_extend(struct custos_buf *b, size_t len, uint8_t **ret_at, struct custos_err *err);
void custos_buf_done(struct custos_buf *b);
#define CUSTOS_AUTO_BUF CUSTOS_CLEANUP(custos_buf_done) struct custos_buf

#endif
