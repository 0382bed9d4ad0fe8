/* libcrypto on a locked heap: from its first call or not at all. Each case is a process of its own, because there is no way back. */
#include "crypto/digest.h"
#include "crypto/heap.h"
#include "crypto/pem.h"
#include "crypto/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "child.h"

enum { SIZE = 1024 * 1024 };

static int used_before(void *ctx)
{
	(void)ctx;
	struct custos_arena *arena = NULL;
	struct custos_err err = { 0 };
	EVP_MD_CTX_free(EVP_MD_CTX_new());
	if (custos_arena_new(SIZE, &arena, NULL) != CUSTOS_OK)
		return 2;
	return custos_crypto_use_arena(arena, &err) == CUSTOS_E_INTERNAL && custos_arena_in_use(arena) == 0 && strstr(err.msg, "libcrypto") != NULL ? 0 : 3;
}

static void too_late_is_refused(void **state)
{
	(void)state;
	assert_child_exits(used_before, NULL, 0);
}

static int twice(void *ctx)
{
	(void)ctx;
	struct custos_arena *arena = NULL;
	if (custos_arena_new(SIZE, &arena, NULL) != CUSTOS_OK || custos_crypto_use_arena(arena, NULL) != CUSTOS_OK)
		return 2;
	return custos_crypto_use_arena(arena, NULL) == CUSTOS_E_INTERNAL ? 0 : 3;
}

static void twice_is_refused(void **state)
{
	(void)state;
	assert_child_exits(twice, NULL, 0);
}

static int with_size(void *ctx)
{
	struct custos_arena *arena = NULL;
	struct custos_err err = { 0 };
	uint8_t hash[32];
	if (custos_arena_new(*(size_t *)ctx, &arena, NULL) != CUSTOS_OK)
		return 2;
	if (custos_crypto_use_arena(arena, &err) != CUSTOS_OK)
		return err.rc == CUSTOS_E_INTERNAL && strstr(err.msg, "too small") != NULL ? 10 : 3;
	return custos_sha256(CUSTOS_BYTES_STR("x"), hash, NULL) == CUSTOS_OK && custos_arena_peak(arena) > 4096 ? 11 : 4;
}

static void a_heap_too_small_is_refused(void **state)
{
	(void)state;
	assert_child_exits(with_size, &(size_t){ 4096 }, 10);
	assert_child_exits(with_size, &(size_t){ CUSTOS_CRYPTO_HEAP_MIN - 4096 }, 10);
	assert_child_exits(with_size, &(size_t){ CUSTOS_CRYPTO_HEAP_MIN }, 11);
}

/* What a courier does with libcrypto, over and over: what is not given back would show as growth. */
static bool one_release(void)
{
	CUSTOS_AUTO(custos_ephemeral) *key = NULL;
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	CUSTOS_AUTO(custos_secret) *opened = NULL;
	CUSTOS_AUTO_BUF sealed = { 0 };
	uint8_t point[CUSTOS_POINT_SIZE], sealer[CUSTOS_POINT_SIZE];
	return custos_secret_new(1217, &secret, NULL) == CUSTOS_OK && custos_ephemeral_new(&key, point, NULL) == CUSTOS_OK &&
	       custos_seal(secret, point, sealer, &sealed, NULL) == CUSTOS_OK &&
	       custos_unseal(key, sealer, custos_buf_view(&sealed), &opened, NULL) == CUSTOS_OK && custos_secret_length(opened) == 1217;
}

static int work(void *ctx)
{
	(void)ctx;
	struct custos_arena *arena = NULL;
	if (custos_secret_start(NULL) != CUSTOS_OK || custos_arena_new(SIZE, &arena, NULL) != CUSTOS_OK || custos_crypto_use_arena(arena, NULL) != CUSTOS_OK)
		return 2;
	if (!one_release() || custos_arena_in_use(arena) < 4096)
		return 3;
	size_t settled = custos_arena_in_use(arena);
	for (int i = 0; i < 200; i++)
		if (!one_release())
			return 4;
	if (custos_arena_in_use(arena) != settled)
		return 5;
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	bool made = rsa != NULL;
	EVP_PKEY_free(rsa);
	fprintf(stderr, "libcrypto's locked heap: %zu settled, %zu at most, of %d (%s)\n", settled, custos_arena_peak(arena), SIZE, custos_arena_backend(arena));
	return made && custos_arena_peak(arena) < SIZE ? 0 : 6;
}

static void everything_comes_from_the_arena_and_goes_back(void **state)
{
	(void)state;
	assert_child_exits(work, NULL, 0);
}

static char configuration[] = "/tmp/custos-unit-XXXXXX";

/* A configuration that makes every digest unavailable: harmless, and visible. Real ones can name a library to load. */
static int with_configuration(void *ctx)
{
	struct custos_arena *arena = NULL;
	uint8_t hash[32];
	setenv("OPENSSL_CONF", configuration, 1);
	if (*(bool *)ctx && (custos_arena_new(SIZE, &arena, NULL) != CUSTOS_OK || custos_crypto_use_arena(arena, NULL) != CUSTOS_OK))
		return 2;
	return custos_sha256(CUSTOS_BYTES_STR("x"), hash, NULL) == CUSTOS_OK ? 10 : 11;
}

static void no_configuration_is_read(void **state)
{
	(void)state;
	static const char text[] = "openssl_conf = c\n[c]\nalg_section = a\n[a]\ndefault_properties = nowhere=yes\n";
	CUSTOS_AUTO_FD fd = mkstemp(configuration);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	assert_child_exits(with_configuration, &(bool){ false }, 11);
	assert_child_exits(with_configuration, &(bool){ true }, 10);
	unlink(configuration);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_late_is_refused),
		cmocka_unit_test(twice_is_refused),
		cmocka_unit_test(a_heap_too_small_is_refused),
		cmocka_unit_test(everything_comes_from_the_arena_and_goes_back),
		cmocka_unit_test(no_configuration_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
