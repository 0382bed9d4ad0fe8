/* Internal to this layer: a private key as libcrypto holds it, in and out of PKCS#8, for the two files that may have one (key_file.c reads them, new_key.c
 * makes them). In a courier only, whose libcrypto allocates from locked memory. */
#ifndef CUSTOS_CRYPTO_KEY_PAIR_H
#define CUSTOS_CRYPTO_KEY_PAIR_H

#include "crypto/openssl.h"
#include "memory/secret.h"

/* A kind that custos takes, whose numbers belong together; appends its SPKI. */
CUSTOS_RC custos_key_judge(EVP_PKEY *key, struct custos_buf *spki, struct custos_err *err);
/* PKCS#8 as the rest of custos handles it. The secret is the caller's. */
CUSTOS_RC custos_key_encode(EVP_PKEY *key, struct custos_secret **ret_pkcs8, struct custos_err *err);
/* And back: EVP_PKEY_free() is the caller's. */
CUSTOS_RC custos_key_decode(struct custos_secret *pkcs8, EVP_PKEY **ret_key, struct custos_err *err);

#endif
