/* Where secrets live. The bytes are reachable only through custos_secret_expose(), which a short list of files may call
 * (tests/lint keeps the list). */
#ifndef CUSTOS_MEMORY_SECRET_H
#define CUSTOS_MEMORY_SECRET_H

#include "base/bytes.h"
#include <custos/secret.h>

CUSTOS_DEFINE_FREEP(custos_secret);

/* A secret of `len` zero bytes, to be filled inside custos_secret_expose(). */
CUSTOS_RC custos_secret_new(size_t len, struct custos_secret **ret_secret, struct custos_err *err);
/* Hands the bytes to `use`; the view is valid only during the call. */
CUSTOS_RC custos_secret_expose(struct custos_secret *secret, custos_rc (*use)(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err),
                               void *ctx, struct custos_err *err);
/* Shortens a secret (the rest is wiped), e.g. after decoding into a larger buffer. */
void custos_secret_shorten(struct custos_secret *secret, size_t len);

#endif
