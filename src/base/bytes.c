/* Bounded growable buffers. Growth beyond `max` is an error of the caller's input, not a crash. */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>

enum { DEFAULT_MAX = 1 << 20 };

bool custos_bytes_equal(struct custos_bytes a, struct custos_bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

custos_rc custos_buf_extend(struct custos_buf *b, size_t len, uint8_t **ret_at, struct custos_err *err)
{
	size_t max = b->max ? b->max : DEFAULT_MAX;
	CUSTOS_REQUIRE(len <= max && b->len <= max - len, err, CUSTOS_E_INPUT, "more than %zu bytes", max);
	if (b->len + len + 1 > b->cap) {
		size_t cap = (b->len + len + 1) * 2;
		uint8_t *grown = realloc(b->ptr, cap);
		CUSTOS_REQUIRE(grown != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		b->ptr = grown;
		b->cap = cap;
	}
	*ret_at = b->ptr + b->len;
	b->len += len;
	b->ptr[b->len] = 0;
	return CUSTOS_OK;
}

custos_rc custos_buf_append(struct custos_buf *b, const void *data, size_t len, struct custos_err *err)
{
	uint8_t *at;
	CUSTOS_TRY(custos_buf_extend(b, len, &at, err));
	if (len > 0)
		memcpy(at, data, len);
	return CUSTOS_OK;
}

custos_rc custos_buf_append_str(struct custos_buf *b, const char *text, struct custos_err *err)
{
	return custos_buf_append(b, text, strlen(text), err);
}

custos_rc custos_buf_printf(struct custos_buf *b, struct custos_err *err, const char *format, ...)
{
	va_list ap, again;
	va_start(ap, format);
	va_copy(again, ap);
	int len = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	uint8_t *at = NULL;
	custos_rc rc = len < 0 ? custos_err_set(err, CUSTOS_E_INTERNAL, 0, "bad format") : custos_buf_extend(b, (size_t)len, &at, err);
	if (rc == CUSTOS_OK)
		vsnprintf((char *)at, (size_t)len + 1, format, again);
	va_end(again);
	return rc;
}

void custos_buf_done(struct custos_buf *b)
{
	free(b->ptr);
	*b = (struct custos_buf){ .max = b->max };
}
