/* In place of crypto/heap.c: OpenSSL's own secure heap instead of all of libcrypto in an arena, as most programs do it that care at all; and libssh2 on malloc. */
#include "crypto/heap.h"

#include <libssh2.h>
#include <openssl/crypto.h>

enum { HEAP = 1 << 18, SMALLEST = 32 };

custos_rc custos_crypto_use_arena(struct custos_arena *arena, struct custos_err *err)
{
	(void)arena;
	CUSTOS_REQUIRE(CRYPTO_secure_malloc_init(HEAP, SMALLEST) == 1, err, CUSTOS_E_SYSTEM, "the secure heap cannot be locked");
	CUSTOS_REQUIRE(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) == 1, err, CUSTOS_E_SYSTEM, "libcrypto does not start");
	return CUSTOS_OK;
}

/* Names the linker makes (--wrap). */
LIBSSH2_SESSION *__real_libssh2_session_init_ex(LIBSSH2_ALLOC_FUNC((*allocate)), LIBSSH2_FREE_FUNC((*release)), LIBSSH2_REALLOC_FUNC((*reallocate)), void *abstract);
LIBSSH2_SESSION *__wrap_libssh2_session_init_ex(LIBSSH2_ALLOC_FUNC((*allocate)), LIBSSH2_FREE_FUNC((*release)), LIBSSH2_REALLOC_FUNC((*reallocate)), void *abstract);

LIBSSH2_SESSION *__wrap_libssh2_session_init_ex(LIBSSH2_ALLOC_FUNC((*allocate)), LIBSSH2_FREE_FUNC((*release)), LIBSSH2_REALLOC_FUNC((*reallocate)), void *abstract)
{
	(void)allocate, (void)release, (void)reallocate;
	return __real_libssh2_session_init_ex(NULL, NULL, NULL, abstract);
}

void *custos_crypto_heap_alloc(size_t len)
{
	return malloc(len);
}

void custos_crypto_heap_release(void *p)
{
	free(p);
}

bool custos_crypto_has_arena(void)
{
	return true;
}
