/* CRYPTO_set_mem_functions onto an arena.
 *
 * OpenSSL's own secure heap is not enough: decoders, BIOs and buffers copy whole keys to the ordinary heap and free them unwiped.
 * The allocation callbacks take no context, so `crypto_arena` is mutable state of the process; like libcrypto's setting itself it is
 * written once and never changed back. */
#include "crypto/heap.h"

#include <openssl/crypto.h>

static struct custos_arena *crypto_arena;

static void *heap_alloc(size_t len, const char *file, int line)
{
	(void)file, (void)line;
	return custos_arena_alloc(crypto_arena, len);
}

static void *heap_realloc(void *p, size_t len, const char *file, int line)
{
	(void)file, (void)line;
	return custos_arena_realloc(crypto_arena, p, len);
}

static void heap_release(void *p, const char *file, int line)
{
	(void)file, (void)line;
	custos_arena_release(crypto_arena, p);
}

custos_rc custos_crypto_use_arena(struct custos_arena *arena, struct custos_err *err)
{
	CUSTOS_REQUIRE(crypto_arena == NULL, err, CUSTOS_E_INTERNAL, "libcrypto was given a locked heap before");
	/* libcrypto itself crashes when its start runs out of memory, instead of failing. */
	CUSTOS_REQUIRE(custos_arena_size(arena) >= CUSTOS_CRYPTO_HEAP_MIN, err, CUSTOS_E_INTERNAL, "a locked heap of %zu bytes is too small for libcrypto",
	               custos_arena_size(arena));
	crypto_arena = arena;
	if (CRYPTO_set_mem_functions(heap_alloc, heap_realloc, heap_release) != 1) {
		crypto_arena = NULL;
		CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "libcrypto was used before it was given a locked heap");
	}
	CUSTOS_REQUIRE(OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS, NULL) == 1, err, CUSTOS_E_SYSTEM,
	               "libcrypto does not start on a locked heap of %zu bytes", custos_arena_size(arena));
	return CUSTOS_OK;
}

void *custos_crypto_heap_alloc(size_t len)
{
	return crypto_arena == NULL ? NULL : custos_arena_alloc(crypto_arena, len);
}

void custos_crypto_heap_release(void *p)
{
	if (p != NULL)
		custos_arena_release(crypto_arena, p);
}

bool custos_crypto_has_arena(void)
{
	return crypto_arena != NULL;
}
