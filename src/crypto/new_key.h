/* A key that libcrypto makes, and one signature by a key that was opened: what a courier does for keys of class sealed. Nowhere else: libcrypto's heap and the
 * stack must be locked. */
#ifndef CUSTOS_CRYPTO_NEW_KEY_H
#define CUSTOS_CRYPTO_NEW_KEY_H

#include "base/signer.h"
#include "memory/secret.h"

/* `type` as custos names it: "rsa-2048" to "rsa-6144", "ec-p256", "ec-p384", "ec-p521". *ret_pkcs8 is the caller's; `spki` is appended to. */
CUSTOS_RC custos_key_birth(const char *type, struct custos_secret **ret_pkcs8, struct custos_buf *spki, struct custos_err *err);
/* A signature over `message` as enum custos_signature defines it. CUSTOS_E_TAMPERED unless the key is that of `spki` and can sign so. */
CUSTOS_RC custos_key_sign_once(struct custos_secret *pkcs8, struct custos_bytes spki, enum custos_signature algorithm, struct custos_bytes message, struct custos_buf *signature,
                               struct custos_err *err);

#endif
