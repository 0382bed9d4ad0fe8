/* libcrypto on a locked heap. */
#ifndef CUSTOS_CRYPTO_HEAP_H
#define CUSTOS_CRYPTO_HEAP_H

#include "memory/arena.h"

enum { CUSTOS_CRYPTO_HEAP_MIN = 512 * 1024 }; /* a release with TLS and SSH has been seen to use 450 KiB */

/* Every allocation libcrypto makes in this process comes from `arena`, which must live as long as the process. Must be the first use of libcrypto: later
 * it fails (CUSTOS_E_INTERNAL), and so does a second call or an arena below the minimum. Also keeps libcrypto from reading a configuration file, which could load code. */
CUSTOS_RC custos_crypto_use_arena(struct custos_arena *arena, struct custos_err *err);
/* The same heap for a library beside libcrypto that keeps secrets in memory of its own: as malloc() and free(). */
void *custos_crypto_heap_alloc(size_t len);
void custos_crypto_heap_release(void *p);
CUSTOS_MUST bool custos_crypto_has_arena(void);

#endif
