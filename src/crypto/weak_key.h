/* Public keys whose private half anybody can compute, judged by the public key alone.
 *
 * Every test is bounded: what cannot be told in a few milliseconds is not looked for. That nothing is found says nothing of how the key was made. */
#ifndef CUSTOS_CRYPTO_WEAK_KEY_H
#define CUSTOS_CRYPTO_WEAK_KEY_H

#include "base/bytes.h"

enum custos_weakness {
	CUSTOS_WEAK_EXPONENT = 1u << 0,      /* RSA: the public exponent is even or less than 3 */
	CUSTOS_WEAK_SMALL_FACTOR = 1u << 1,  /* RSA: the modulus has a factor below 752 (CA/Browser Forum, Baseline Requirements, 6.1.6) */
	CUSTOS_WEAK_CLOSE_PRIMES = 1u << 2,  /* RSA: Fermat's method finds the primes in 100 rounds (the same, on generating key pairs) */
	CUSTOS_WEAK_ROCA = 1u << 3,          /* RSA: made by Infineon's RSALib, CVE-2017-15361 */
};
/* *ret_weaknesses: enum custos_weakness; 0 for keys that are not RSA. CUSTOS_E_INPUT when it is no public key. */
CUSTOS_RC custos_weak_key_look(struct custos_bytes spki, unsigned *ret_weaknesses, struct custos_err *err);

/* The fingerprint of Debian's lists of keys made without randomness (CVE-2008-0166, package openssl-blacklist): the last 20 hexadecimal digits of the SHA-1 of
 * what `openssl rsa -modulus` prints. "" for keys that are not RSA. */
enum { CUSTOS_WEAK_FINGERPRINT = 21 };
CUSTOS_RC custos_weak_key_fingerprint(struct custos_bytes spki, char ret_fingerprint[static CUSTOS_WEAK_FINGERPRINT], struct custos_err *err);

#endif
