/* Weak RSA keys, by number theory of the public modulus.
 *
 * ROCA: Nemec, Sys, Svenda, Klinec, Matyas, "The Return of Coppersmith's Attack", ACM CCS 2017 (CVE-2017-15361). The library's primes are
 * k·M + (65537^a mod M), M the product of the first primes, so that its moduli are powers of 65537 modulo M. Whether N is one is told without M: take the
 * discrete logarithm modulo each prime, which a loop over at most 166 values finds, and see whether one exponent fits them all (the Chinese remainder
 * theorem for moduli that are not coprime: any two must agree modulo the greatest common divisor of their orders). M of the smallest keys goes to 167, that of larger
 * ones further: 167 is enough for all of them, and a modulus made otherwise passes with a chance of less than 2^-140. */
#include "crypto/weak_key.h"
#include "base/text.h"
#include "crypto/openssl.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>

enum {
	MODULUS_BITS_MAX = 16384,
	SPKI_MAX = 16384,
	SMALL_FACTOR_MAX = 751,
	FERMAT_ROUNDS = 100,
	ROCA_PRIME_MAX = 167,
	ROCA_PRIMES = 38,     /* odd ones */
	ROCA_GENERATOR = 65537,
};
#define FAILED ((BN_ULONG)-1)

CUSTOS_OPENSSL_FREEP(bn_ctx, BN_CTX, BN_CTX_free);

static custos_rc read_key(struct custos_bytes spki, EVP_PKEY **ret_key, struct custos_err *err)
{
	const uint8_t *at = spki.ptr;
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = spki.len == 0 || spki.len > SPKI_MAX ? NULL : d2i_PUBKEY(NULL, &at, (long)spki.len);
	ERR_clear_error();
	CUSTOS_REQUIRE(key != NULL && at == spki.ptr + spki.len, err, CUSTOS_E_INPUT, "not a public key");
	*ret_key = CUSTOS_TAKE(key);
	return CUSTOS_OK;
}

/* NULL for a key of another type. */
static BIGNUM *part_of(const EVP_PKEY *key, const char *name)
{
	BIGNUM *number = NULL;
	if ((EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) && EVP_PKEY_get_bn_param(key, name, &number) != 1)
		number = NULL;
	ERR_clear_error();
	return number;
}

/* Every odd number: one that is not prime has a prime factor that came before it. */
static bool has_small_factor(const BIGNUM *n)
{
	bool found = !BN_is_odd(n);
	for (BN_ULONG p = 3; p <= SMALL_FACTOR_MAX && !found; p += 2)
		found = BN_mod_word(n, p) == 0;
	return found;
}

static unsigned gcd(unsigned a, unsigned b)
{
	while (b != 0) {
		unsigned rest = a % b;
		a = b;
		b = rest;
	}
	return a;
}

/* The order of the generator modulo p, and the exponent it has to be raised to for `wanted`; false when there is none. */
static bool logarithm(unsigned p, unsigned wanted, unsigned *ret_exponent, unsigned *ret_order)
{
	const unsigned g = ROCA_GENERATOR % p;
	unsigned power = 1, exponent = 0;
	bool found = false;
	do {
		if (power == wanted) {
			*ret_exponent = exponent;
			found = true;
		}
		power = power * g % p;
		exponent++;
	} while (power != 1);
	*ret_order = exponent;
	return found;
}

static bool is_prime(unsigned n)
{
	for (unsigned d = 3; d * d <= n; d += 2)
		if (n % d == 0)
			return false;
	return true;
}

static bool is_roca(const BIGNUM *n)
{
	unsigned exponents[ROCA_PRIMES], orders[ROCA_PRIMES];
	size_t count = 0;
	for (unsigned p = 3; p <= ROCA_PRIME_MAX; p += 2) {
		BN_ULONG rest = is_prime(p) ? BN_mod_word(n, p) : FAILED;
		if (!is_prime(p))
			continue;
		if (count == ROCA_PRIMES || rest == FAILED || !logarithm(p, (unsigned)rest, &exponents[count], &orders[count]))
			return false;
		for (size_t i = 0; i < count; i++) {
			unsigned both = gcd(orders[i], orders[count]);
			if (exponents[i] % both != exponents[count] % both)
				return false;
		}
		count++;
	}
	return count == ROCA_PRIMES;
}

/* *root: the largest integer whose square is not above n, by Newton's method from above. */
static bool square_root(BIGNUM *root, const BIGNUM *n, BN_CTX *ctx)
{
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *next = BN_new();
	if (next == NULL || BN_one(root) != 1 || BN_lshift(root, root, (BN_num_bits(n) + 1) / 2) != 1)
		return false;
	for (int i = 0; i < MODULUS_BITS_MAX; i++) {
		if (BN_div(next, NULL, n, root, ctx) != 1 || BN_add(next, next, root) != 1 || BN_rshift1(next, next) != 1)
			return false;
		if (BN_cmp(next, root) >= 0)
			return true;
		if (BN_copy(root, next) == NULL)
			return false;
	}
	return false;
}

static bool is_square(const BIGNUM *n, BN_CTX *ctx, BIGNUM *root, BIGNUM *square)
{
	/* of the remainders modulo 64 twelve are those of squares */
	static const uint64_t squares = 1ull | 1ull << 1 | 1ull << 4 | 1ull << 9 | 1ull << 16 | 1ull << 17 | 1ull << 25 | 1ull << 33 | 1ull << 36 | 1ull << 41 | 1ull << 49 | 1ull << 57;
	BN_ULONG rest = BN_mod_word(n, 64);
	if (rest == FAILED || (squares >> rest & 1) == 0)
		return false;
	return square_root(root, n, ctx) && BN_sqr(square, root, ctx) == 1 && BN_cmp(square, n) == 0;
}

/* Fermat: n = a² - b² with a just above the root of n, when the primes are close to each other. */
static bool has_close_primes(const BIGNUM *n)
{
	CUSTOS_AUTO_OPENSSL(bn_ctx) BN_CTX *ctx = BN_CTX_new();
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *a = BN_new();
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *b2 = BN_new();
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *root = BN_new();
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *square = BN_new();
	if (ctx == NULL || a == NULL || b2 == NULL || root == NULL || square == NULL || !square_root(a, n, ctx))
		return false;
	for (int i = 0; i <= FERMAT_ROUNDS; i++) {
		/* the first round is the root itself: n is a square */
		if (BN_sqr(b2, a, ctx) != 1 || BN_sub(b2, b2, n) != 1)
			return false;
		if (BN_is_zero(b2) || (!BN_is_negative(b2) && is_square(b2, ctx, root, square)))
			return true;
		if (BN_add_word(a, 1) != 1)
			return false;
	}
	return false;
}

custos_rc custos_weak_key_look(struct custos_bytes spki, unsigned *ret_weaknesses, struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = NULL;
	CUSTOS_TRY(read_key(spki, &key, err));
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *n = part_of(key, OSSL_PKEY_PARAM_RSA_N);
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *e = part_of(key, OSSL_PKEY_PARAM_RSA_E);
	unsigned weaknesses = 0;
	if (n != NULL && e != NULL && BN_num_bits(n) <= MODULUS_BITS_MAX) {
		if (!BN_is_odd(e) || BN_is_one(e) || BN_is_negative(e))
			weaknesses |= CUSTOS_WEAK_EXPONENT;
		if (has_small_factor(n))
			weaknesses |= CUSTOS_WEAK_SMALL_FACTOR;
		else if (has_close_primes(n))
			weaknesses |= CUSTOS_WEAK_CLOSE_PRIMES;
		if (is_roca(n))
			weaknesses |= CUSTOS_WEAK_ROCA;
	}
	ERR_clear_error();
	*ret_weaknesses = weaknesses;
	return CUSTOS_OK;
}

custos_rc custos_weak_key_fingerprint(struct custos_bytes spki, char ret_fingerprint[static CUSTOS_WEAK_FINGERPRINT], struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = NULL;
	CUSTOS_TRY(read_key(spki, &key, err));
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *n = part_of(key, OSSL_PKEY_PARAM_RSA_N);
	ret_fingerprint[0] = '\0';
	if (n == NULL || BN_num_bits(n) > MODULUS_BITS_MAX)
		return CUSTOS_OK;
	CUSTOS_AUTO_BUF digits = { 0 };
	CUSTOS_AUTO_BUF line = { 0 };
	uint8_t *at, hash[20];
	size_t hash_len = 0, len = (size_t)BN_num_bytes(n);
	CUSTOS_TRY(custos_buf_extend(&digits, len, &at, err));
	CUSTOS_REQUIRE(BN_bn2bin(n, at) == (int)len, err, CUSTOS_E_INTERNAL, "cannot encode a modulus");
	CUSTOS_TRY(custos_buf_append_str(&line, "Modulus=", err));
	for (size_t i = 0; i < len; i++)
		CUSTOS_TRY(custos_buf_printf(&line, err, i == 0 ? "%X" : "%02X", digits.ptr[i])); /* as BN_print() does */
	CUSTOS_TRY(custos_buf_append_str(&line, "\n", err));
	/* a name that others gave these keys, nothing rests on it */
	if (EVP_Q_digest(NULL, "SHA1", NULL, line.ptr, line.len, hash, &hash_len) != 1 || hash_len != sizeof hash)
		return custos_openssl_fail(err, CUSTOS_E_SYSTEM, "cannot compute a SHA-1");
	custos_text_hex(hash + 10, 10, ret_fingerprint);
	return CUSTOS_OK;
}
