/* In place of crypto/heap.c: libcrypto keeps malloc. */
#include "crypto/heap.h"

#include <openssl/crypto.h>

custos_rc custos_crypto_use_arena(struct custos_arena *arena, struct custos_err *err)
{
	(void)arena;
	CUSTOS_REQUIRE(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) == 1, err, CUSTOS_E_SYSTEM, "libcrypto does not start");
	return CUSTOS_OK;
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
