/* RSA keys as they should not be, for the tests of who has to find them; made on the spot. */
#ifndef CUSTOS_TESTS_WEAK_RSA_H
#define CUSTOS_TESTS_WEAK_RSA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

#define WEAK __attribute__((unused)) static

WEAK BIGNUM *number(BN_ULONG value)
{
	BIGNUM *n = BN_new();
	assert_int_equal(BN_set_word(n, value), 1);
	return n;
}

/* An RSA key of which there is only the public half; the modulus is used up. */
WEAK EVP_PKEY *weak_key(BIGNUM *n, BN_ULONG exponent)
{
	EVP_PKEY *key = NULL;
	BIGNUM *e = number(exponent);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e), 1);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	BN_free(e);
	BN_free(n);
	return key;
}

WEAK BIGNUM *prime(int bits)
{
	BIGNUM *p = BN_new();
	assert_int_equal(BN_generate_prime_ex(p, bits, 0, NULL, NULL, NULL), 1);
	return p;
}

/* The next prime from n on, in place. */
WEAK void to_prime(BIGNUM *n, BN_CTX *ctx)
{
	if (!BN_is_odd(n))
		BN_add_word(n, 1);
	while (BN_check_prime(n, ctx, NULL) != 1)
		BN_add_word(n, 2);
}

WEAK BIGNUM *product(BIGNUM *p, BIGNUM *q, BN_CTX *ctx)
{
	BIGNUM *n = BN_new();
	assert_int_equal(BN_mul(n, p, q, ctx), 1);
	return n;
}

/* The whole pair of two primes, which are used up. */
WEAK EVP_PKEY *weak_pair(BIGNUM *p, BIGNUM *q, BN_CTX *ctx)
{
	EVP_PKEY *key = NULL;
	BIGNUM *n = product(p, q, ctx), *e = number(65537), *phi = BN_new();
	BN_sub_word(p, 1);
	BN_sub_word(q, 1);
	BN_mul(phi, p, q, ctx);
	BIGNUM *d;
	while ((d = BN_mod_inverse(NULL, e, phi, ctx)) == NULL)
		BN_add_word(e, 2);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *pctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, d), 1);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	assert_int_equal(EVP_PKEY_fromdata_init(pctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(pctx, &key, EVP_PKEY_KEYPAIR, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(pctx);
	BN_free(p);
	BN_free(q);
	BN_free(n);
	BN_free(e);
	BN_free(d);
	BN_free(phi);
	return key;
}

/* p·q with a q so far from p that Fermat's method needs about this many rounds: (q - p)² is 8·rounds·√n, and √n is about p. */
WEAK BIGNUM *close_modulus(BN_ULONG rounds, BN_CTX *ctx)
{
	BIGNUM *p = prime(1024), *distance = BN_new(), *q = BN_new();
	BN_copy(distance, p);
	BN_mul_word(distance, 8 * rounds);
	/* half the digits are enough of a square root: within a factor of two */
	int bits = BN_num_bits(distance);
	BN_one(q);
	BN_lshift(q, q, bits / 2);
	for (int i = 0; i < 64; i++) {
		BIGNUM *next = BN_new();
		BN_div(next, NULL, distance, q, ctx);
		BN_add(next, next, q);
		BN_rshift1(q, next);
		BN_free(next);
	}
	BN_add(q, q, p);
	to_prime(q, ctx);
	BIGNUM *n = product(p, q, ctx);
	BN_free(p);
	BN_free(q);
	BN_free(distance);
	return n;
}

WEAK bool is_small_prime(BN_ULONG n)
{
	for (BN_ULONG d = 2; d * d <= n; d++)
		if (n % d == 0)
			return false;
	return true;
}

/* The product of all primes up to `last`. */
WEAK BIGNUM *primorial(BN_ULONG last)
{
	BIGNUM *m = number(1);
	for (BN_ULONG p = 2; p <= last; p++)
		if (is_small_prime(p))
			BN_mul_word(m, p);
	return m;
}

/* A prime as RSALib made them: k·M + (65537^a mod M). */
WEAK BIGNUM *roca_prime(int bits, const BIGNUM *m, BN_CTX *ctx)
{
	BIGNUM *g = number(65537), *p = BN_new(), *k = BN_new(), *a = BN_new();
	do {
		BN_rand(a, 160, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY);
		BN_mod_exp(p, g, a, m, ctx);
		BN_rand(k, bits - BN_num_bits(m), BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY);
		BN_mul(k, k, m, ctx);
		BN_add(p, p, k);
	} while (BN_check_prime(p, ctx, NULL) != 1);
	BN_free(g);
	BN_free(k);
	BN_free(a);
	return p;
}

#endif
