/* Internal to this layer: what a pair of seal.h is. */
#ifndef CUSTOS_CRYPTO_SEAL_KEY_H
#define CUSTOS_CRYPTO_SEAL_KEY_H

#include "crypto/openssl.h"
#include "crypto/seal.h"

struct custos_ephemeral {
	EVP_PKEY *key;
};

#endif
