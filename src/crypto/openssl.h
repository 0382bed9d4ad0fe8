/* Internal to this layer: scope cleanup for libcrypto objects and its error queue as an error of ours. */
#ifndef CUSTOS_CRYPTO_OPENSSL_H
#define CUSTOS_CRYPTO_OPENSSL_H

#include "base/bytes.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#define CUSTOS_OPENSSL_FREEP(name, type, release) \
	static inline void custos_free_##name(type **p) \
	{ \
		release(*p); \
		*p = NULL; \
	} \
	_Static_assert(1, "")
CUSTOS_OPENSSL_FREEP(pkey, EVP_PKEY, EVP_PKEY_free);
CUSTOS_OPENSSL_FREEP(pkey_ctx, EVP_PKEY_CTX, EVP_PKEY_CTX_free);
CUSTOS_OPENSSL_FREEP(md_ctx, EVP_MD_CTX, EVP_MD_CTX_free);
CUSTOS_OPENSSL_FREEP(cipher_ctx, EVP_CIPHER_CTX, EVP_CIPHER_CTX_free);
CUSTOS_OPENSSL_FREEP(kdf_ctx, EVP_KDF_CTX, EVP_KDF_CTX_free);
CUSTOS_OPENSSL_FREEP(bn, BIGNUM, BN_clear_free);
CUSTOS_OPENSSL_FREEP(ecdsa_sig, ECDSA_SIG, ECDSA_SIG_free);
#define CUSTOS_AUTO_OPENSSL(name) CUSTOS_CLEANUP(custos_free_##name)

/* The first error in libcrypto's queue becomes the native code and, in words, the end of the message; the queue is empty afterwards. */
custos_rc custos_openssl_fail(struct custos_err *err, custos_rc rc, const char *what);

/* A P-256, P-384 or P-521 public key from its uncompressed point, checked to lie on the curve. NULL (queue emptied) when it does not. */
EVP_PKEY *custos_ec_public(const char *group, struct custos_bytes point);
/* "P-256", "P-384", "P-521" or NULL. */
const char *custos_ec_group(const EVP_PKEY *key);

#endif
