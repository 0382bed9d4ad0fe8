/* A private key as a token wraps it (PKCS#8 DER, perhaps with zero bytes after it) on its way to a server's key file. The key is never given to
 * libcrypto: its decoders copy. (But see key_file.h.) */
#ifndef CUSTOS_CRYPTO_PEM_H
#define CUSTOS_CRYPTO_PEM_H

#include "memory/secret.h"

enum custos_pem_format {
	CUSTOS_PEM_PKCS8 = 0,       /* PRIVATE KEY */
	CUSTOS_PEM_TRADITIONAL = 1, /* RSA PRIVATE KEY (PKCS#1) or EC PRIVATE KEY (SEC1, with its curve) */
};

/* PEM text (64 columns, no closing NUL) in a new secret, in constant time for a given key type and size. Accepted are rsaEncryption and
 * id-ecPublicKey on P-256 or P-384, PKCS#8 version 0 without attributes, then at most `padding_max` zero bytes; anything else is CUSTOS_E_TOKEN. */
CUSTOS_RC custos_pem_from_pkcs8(struct custos_secret *der, unsigned format, unsigned padding_max, struct custos_secret **ret_pem, struct custos_err *err);

/* CUSTOS_E_TAMPERED unless the key belongs to the certificate: RSA modulus and exponent, or EC curve and (when the key carries it) public point. An
 * EC key without its public point is only known to be on the right curve: the challenge signed before the release proves the rest. */
CUSTOS_RC custos_key_matches_leaf(struct custos_secret *der, unsigned padding_max, struct custos_bytes leaf_der, struct custos_err *err);
/* The same with a bare public key (SubjectPublicKeyInfo). */
CUSTOS_RC custos_key_matches_spki(struct custos_secret *der, unsigned padding_max, struct custos_bytes spki, struct custos_err *err);

#endif
