/* Internal to this layer: where things stand in a private key, found by walking DER inside locked memory. Tags and lengths are looked
 * at, key bytes are not; nothing is copied. */
#ifndef CUSTOS_CRYPTO_PKCS8_H
#define CUSTOS_CRYPTO_PKCS8_H

#include "base/bytes.h"

/* A place inside a secret, valid as long as its exposure. Not a custos_bytes: those are public. */
struct custos_span {
	const uint8_t *at;
	size_t len;
};

enum custos_pkcs8_kind { CUSTOS_PKCS8_RSA, CUSTOS_PKCS8_EC, CUSTOS_PKCS8_ED25519 };

struct custos_pkcs8 {
	enum custos_pkcs8_kind kind;
	struct custos_span whole;       /* PrivateKeyInfo without the padding after it */
	struct custos_span inner;       /* RSAPrivateKey or ECPrivateKey */
	/* RSA: public numbers, without leading zeros */
	struct custos_span modulus, exponent;
	/* EC */
	const char *group;              /* "P-256", "P-384" or "P-521" */
	struct custos_span curve;       /* the curve's OBJECT IDENTIFIER, with tag and length */
	struct custos_span scalar;      /* the private OCTET STRING, with tag and length */
	struct custos_span point;       /* uncompressed public point; len 0 when the key carries none */
	struct custos_span point_field; /* [1] with tag and length; len 0 when there is none */
};

/* PrivateKeyInfo (RFC 5208 5) of version 0, rsaEncryption (RFC 8017 A.1.2, two primes) or id-ecPublicKey (RFC 5915 3) on P-256, P-384 or P-521, or
 * id-Ed25519 (RFC 8410 7), then at most `padding_max` zero bytes. Anything else, attributes included, is CUSTOS_E_TOKEN: what comes here came from a token. */
CUSTOS_RC custos_pkcs8_walk(struct custos_span der, size_t padding_max, struct custos_pkcs8 *ret_key, struct custos_err *err);

#endif
