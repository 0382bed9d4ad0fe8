/* Big-endian fields for frames between the three processes. A reader never reads past its end and remembers the first
 * failure, so a message is decoded field by field and checked once with custos_wire_end(). */
#ifndef CUSTOS_BASE_WIRE_H
#define CUSTOS_BASE_WIRE_H

#include "base/bytes.h"

struct custos_wire {
	struct custos_bytes rest;
	bool failed;
};

static inline struct custos_wire custos_wire_read(struct custos_bytes body)
{
	return (struct custos_wire){ .rest = body };
}
uint8_t custos_wire_u8(struct custos_wire *r);
uint32_t custos_wire_u32(struct custos_wire *r);
uint64_t custos_wire_u64(struct custos_wire *r);
/* u32 length, then that many bytes; the view borrows from the frame. */
struct custos_bytes custos_wire_bytes(struct custos_wire *r);
/* The same for text: a NUL inside is a failure; the copy is the caller's to free, NULL on failure. */
char *custos_wire_text(struct custos_wire *r);
/* Exactly `len` bytes into `out`, zeros on failure. */
void custos_wire_fixed(struct custos_wire *r, uint8_t *out, size_t len);
/* All fields were there and nothing follows them. `what` names the message. */
CUSTOS_RC custos_wire_end(const struct custos_wire *r, const char *what, struct custos_err *err);

/* Writers append; the first failure (buffer full) is kept in `rc` so that they can be chained. */
struct custos_wire_out {
	struct custos_buf *buf;
	struct custos_err *err;
	custos_rc rc;
};
void custos_wire_put_u8(struct custos_wire_out *w, uint8_t v);
void custos_wire_put_u32(struct custos_wire_out *w, uint32_t v);
void custos_wire_put_u64(struct custos_wire_out *w, uint64_t v);
void custos_wire_put_bytes(struct custos_wire_out *w, struct custos_bytes v);
void custos_wire_put_text(struct custos_wire_out *w, const char *v); /* NULL is written as "" */
void custos_wire_put_fixed(struct custos_wire_out *w, const uint8_t *v, size_t len);

#endif
