/* Strict text: whole-string integers, hex, safe display of what a stranger sent. */
#ifndef CUSTOS_BASE_TEXT_H
#define CUSTOS_BASE_TEXT_H

#include "base/bytes.h"

/* The whole of `text` is a decimal number in [min, max] without sign, space or leading zero. */
CUSTOS_MUST bool custos_text_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret);
/* Lower-case hex with a NUL; `out` holds 2 * len + 1 characters. */
void custos_text_hex(const uint8_t *data, size_t len, char *out);
/* Exactly 2 * len lower-case digits into `out`; false otherwise. */
CUSTOS_MUST bool custos_text_unhex(const char *text, uint8_t *out, size_t len);
/* A name a person gives to a key or a target: 1 to 63 of [a-z0-9._-], starting with a letter or digit. */
CUSTOS_MUST bool custos_text_is_name(const char *text);
/* Copies at most `max` bytes for display: control characters and invalid UTF-8 escaped as \xHH, PEM blocks and runs of
 * base64 over 40 characters masked. For whatever a host, a token or a CA says. Result is the caller's to free. */
char *custos_text_safe(struct custos_bytes said, size_t max);
/* Length of the UTF-8 sequence at `p`, 0 when it is not one, is cut off, or is a control character of U+0080 to U+009F. Overlong
 * forms and surrogates are none. */
CUSTOS_MUST size_t custos_text_utf8_length(const uint8_t *p, size_t left);
/* NULL for NULL and when out of memory; the copy is the caller's to free. */
char *custos_text_dup(const char *text);

#endif
