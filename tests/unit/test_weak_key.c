/* Weak RSA keys: a key of each kind is made on the spot and found, its honest neighbour is not. */
#include "weak_rsa.h"

#include "crypto/weak_key.h"

/* Its SPKI. */
static struct custos_buf key_of(BIGNUM *n, BN_ULONG exponent)
{
	struct custos_buf spki = { 0 };
	EVP_PKEY *key = weak_key(n, exponent);
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	assert_true(len > 0);
	assert_int_equal(custos_buf_append(&spki, der, (size_t)len, NULL), CUSTOS_OK);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return spki;
}

static unsigned look(struct custos_buf spki)
{
	unsigned weaknesses = ~0u;
	struct custos_err err = { 0 };
	assert_int_equal(custos_weak_key_look(custos_buf_view(&spki), &weaknesses, &err), CUSTOS_OK);
	custos_buf_done(&spki);
	return weaknesses;
}

static void honest_keys(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		EVP_PKEY *key = i < 2 ? EVP_RSA_gen(2048) : i == 2 ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		struct custos_buf spki = { 0 };
		unsigned char *der = NULL;
		int len = i2d_PUBKEY(key, &der);
		assert_int_equal(custos_buf_append(&spki, der, (size_t)len, NULL), CUSTOS_OK);
		assert_int_equal(look(spki), 0);
		OPENSSL_free(der);
		EVP_PKEY_free(key);
	}
}

static void no_key(void **state)
{
	(void)state;
	unsigned weaknesses = 77;
	char fingerprint[CUSTOS_WEAK_FINGERPRINT] = "untouched";
	struct custos_err err = { 0 };
	BIGNUM *n = prime(1024);
	struct custos_buf spki = key_of(n, 65537);
	assert_int_equal(custos_weak_key_look(CUSTOS_BYTES("junk", 4), &weaknesses, &err), CUSTOS_E_INPUT);
	assert_int_equal(custos_weak_key_look(CUSTOS_BYTES(NULL, 0), &weaknesses, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_weak_key_look(CUSTOS_BYTES(spki.ptr, spki.len + 1), &weaknesses, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_weak_key_fingerprint(CUSTOS_BYTES("junk", 4), fingerprint, NULL), CUSTOS_E_INPUT);
	assert_int_equal(weaknesses, 77);
	assert_string_equal(fingerprint, "untouched");
	custos_buf_done(&spki);
}

static void exponents_and_small_factors(void **state)
{
	(void)state;
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = prime(1024), *q = prime(1024), *n = product(p, q, ctx), *small = number(751), *large = number(757);
	assert_int_equal(look(key_of(BN_dup(n), 65537)), 0);
	assert_int_equal(look(key_of(BN_dup(n), 3)), 0);
	assert_int_equal(look(key_of(BN_dup(n), 1)), CUSTOS_WEAK_EXPONENT);
	assert_int_equal(look(key_of(BN_dup(n), 65536)), CUSTOS_WEAK_EXPONENT);
	assert_int_equal(look(key_of(product(n, small, ctx), 65537)), CUSTOS_WEAK_SMALL_FACTOR);
	assert_int_equal(look(key_of(product(n, large, ctx), 65537)), 0);
	BN_lshift1(n, n);
	assert_int_equal(look(key_of(n, 65537)), CUSTOS_WEAK_SMALL_FACTOR);
	BN_free(small);
	BN_free(large);
	BN_free(p);
	BN_free(q);
	BN_CTX_free(ctx);
}

static void close_primes(void **state)
{
	(void)state;
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p = prime(1024), *q = BN_dup(p);
	BN_add_word(q, 2);
	to_prime(q, ctx);
	assert_int_equal(look(key_of(product(p, q, ctx), 65537)), CUSTOS_WEAK_CLOSE_PRIMES);
	assert_int_equal(look(key_of(product(p, p, ctx), 65537)), CUSTOS_WEAK_CLOSE_PRIMES);
	assert_int_equal(look(key_of(close_modulus(90, ctx), 65537)), CUSTOS_WEAK_CLOSE_PRIMES);
	/* bounded: what takes longer is not found */
	assert_int_equal(look(key_of(close_modulus(120, ctx), 65537)), 0);
	BN_free(p);
	BN_free(q);
	BN_CTX_free(ctx);
}

static void roca(void **state)
{
	(void)state;
	/* M of keys of 512, 1024 and 2048 bits */
	static const struct {
		int bits;
		BN_ULONG last;
	} sizes[] = { { 512, 167 }, { 1024, 353 }, { 2048, 701 } };
	BN_CTX *ctx = BN_CTX_new();
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		BIGNUM *m = primorial(sizes[i].last);
		BIGNUM *p = roca_prime(sizes[i].bits / 2, m, ctx), *q = roca_prime(sizes[i].bits / 2, m, ctx), *honest = prime(sizes[i].bits / 2);
		assert_int_equal(look(key_of(product(p, q, ctx), 65537)), CUSTOS_WEAK_ROCA);
		assert_int_equal(look(key_of(product(p, honest, ctx), 65537)), 0);
		BN_free(p);
		BN_free(q);
		BN_free(honest);
		BN_free(m);
	}
	BN_CTX_free(ctx);
}

/* A modulus that is a power of 65537 modulo each small prime, but not the same power: what the older marker test calls ROCA. */
static void markers_alone_are_not_roca(void **state)
{
	(void)state;
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *n = number(1), *m = number(2);
	for (BN_ULONG p = 3; p <= 167; p += 2) {
		if (!is_small_prime(p))
			continue;
		/* 65537^2 modulo 11, 65537^1 modulo all others: the orders have a factor of 2 in common */
		BN_ULONG wanted = p == 11 ? 65537 % p * (65537 % p) % p : 65537 % p;
		while (BN_mod_word(n, p) != wanted)
			BN_add(n, n, m);
		BN_mul_word(m, p);
	}
	/* large enough, and without factors that would be found first */
	BIGNUM *k = prime(1800), *large = product(k, m, ctx);
	BN_add(large, large, n);
	unsigned weaknesses = look(key_of(BN_dup(large), 65537));
	assert_int_equal(weaknesses & CUSTOS_WEAK_ROCA, 0);
	/* the same with one exponent for all is */
	BIGNUM *g = number(65537);
	BN_sub(large, large, n);
	BN_add(large, large, g);
	assert_int_equal(look(key_of(BN_dup(large), 65537)) & CUSTOS_WEAK_ROCA, CUSTOS_WEAK_ROCA);
	BN_free(g);
	BN_free(k);
	BN_free(large);
	BN_free(n);
	BN_free(m);
	BN_CTX_free(ctx);
}

static void fingerprint_of_debian(void **state)
{
	(void)state;
	char text[600], hex[41] = "", fingerprint[CUSTOS_WEAK_FINGERPRINT];
	uint8_t hash[20];
	BIGNUM *n = prime(2048);
	char *digits = BN_bn2hex(n);
	int len = snprintf(text, sizeof text, "Modulus=%s\n", digits);
	assert_int_equal(EVP_Digest(text, (size_t)len, hash, NULL, EVP_sha1(), NULL), 1);
	for (int i = 0; i < 20; i++)
		snprintf(hex + 2 * i, 3, "%02x", hash[i]);
	struct custos_buf spki = key_of(n, 65537);
	assert_int_equal(custos_weak_key_fingerprint(custos_buf_view(&spki), fingerprint, NULL), CUSTOS_OK);
	assert_string_equal(fingerprint, hex + 20);
	custos_buf_done(&spki);
	OPENSSL_free(digits);
	/* a known one: `printf 'Modulus=C5\n' | sha1sum` */
	spki = key_of(number(0xc5), 3);
	assert_int_equal(custos_weak_key_fingerprint(custos_buf_view(&spki), fingerprint, NULL), CUSTOS_OK);
	assert_string_equal(fingerprint, "8faac7e795b2ab19cfc2");
	custos_buf_done(&spki);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest_keys), cmocka_unit_test(no_key), cmocka_unit_test(exponents_and_small_factors), cmocka_unit_test(close_primes),
		cmocka_unit_test(roca), cmocka_unit_test(markers_alone_are_not_roca), cmocka_unit_test(fingerprint_of_debian),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
