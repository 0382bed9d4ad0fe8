/* Fields of frames: bounds are checked here and nowhere else. */
#include "base/wire.h"

static const uint8_t *take(struct custos_wire *r, size_t len)
{
	if (r->failed || r->rest.len < len) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *at = r->rest.ptr;
	r->rest.ptr += len;
	r->rest.len -= len;
	return at;
}

static uint64_t number(struct custos_wire *r, size_t len)
{
	const uint8_t *at = take(r, len);
	uint64_t v = 0;
	for (size_t i = 0; at != NULL && i < len; i++)
		v = v << 8 | at[i];
	return v;
}

uint8_t custos_wire_u8(struct custos_wire *r)
{
	return (uint8_t)number(r, 1);
}

uint32_t custos_wire_u32(struct custos_wire *r)
{
	return (uint32_t)number(r, 4);
}

uint64_t custos_wire_u64(struct custos_wire *r)
{
	return number(r, 8);
}

struct custos_bytes custos_wire_bytes(struct custos_wire *r)
{
	size_t len = custos_wire_u32(r);
	const uint8_t *at = take(r, len);
	return at == NULL ? CUSTOS_BYTES(NULL, 0) : CUSTOS_BYTES(at, len);
}

char *custos_wire_text(struct custos_wire *r)
{
	struct custos_bytes b = custos_wire_bytes(r);
	if (r->failed || (b.len > 0 && memchr(b.ptr, 0, b.len) != NULL)) {
		r->failed = true;
		return NULL;
	}
	char *copy = calloc(b.len + 1, 1);
	if (copy == NULL)
		r->failed = true;
	else if (b.len > 0)
		memcpy(copy, b.ptr, b.len);
	return copy;
}

void custos_wire_fixed(struct custos_wire *r, uint8_t *out, size_t len)
{
	const uint8_t *at = take(r, len);
	if (at != NULL)
		memcpy(out, at, len);
	else
		memset(out, 0, len);
}

custos_rc custos_wire_end(const struct custos_wire *r, const char *what, struct custos_err *err)
{
	CUSTOS_REQUIRE(!r->failed, err, CUSTOS_E_INTERNAL, "%s message is truncated", what);
	CUSTOS_REQUIRE(r->rest.len == 0, err, CUSTOS_E_INTERNAL, "%s message has %zu trailing bytes", what, r->rest.len);
	return CUSTOS_OK;
}

static void put(struct custos_wire_out *w, const void *data, size_t len)
{
	if (w->rc == CUSTOS_OK)
		w->rc = custos_buf_append(w->buf, data, len, w->err);
}

static void put_number(struct custos_wire_out *w, uint64_t v, size_t len)
{
	uint8_t be[8];
	for (size_t i = 0; i < len; i++)
		be[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
	put(w, be, len);
}

void custos_wire_put_u8(struct custos_wire_out *w, uint8_t v)
{
	put_number(w, v, 1);
}

void custos_wire_put_u32(struct custos_wire_out *w, uint32_t v)
{
	put_number(w, v, 4);
}

void custos_wire_put_u64(struct custos_wire_out *w, uint64_t v)
{
	put_number(w, v, 8);
}

void custos_wire_put_bytes(struct custos_wire_out *w, struct custos_bytes v)
{
	put_number(w, v.len, 4);
	put(w, v.ptr, v.len);
}

void custos_wire_put_text(struct custos_wire_out *w, const char *v)
{
	custos_wire_put_bytes(w, v == NULL ? CUSTOS_BYTES(NULL, 0) : CUSTOS_BYTES_STR(v));
}

void custos_wire_put_fixed(struct custos_wire_out *w, const uint8_t *v, size_t len)
{
	put(w, v, len);
}
