/* Ephemeral P-256 agreement and RFC 5649 (AES-256 key wrap with padding) for what travels between the processes.
 * The wrapping key is the 32-byte shared secret Z itself (PKCS#11 CKM_ECDH1_DERIVE with CKD_NULL) or, bound, what X9.63 makes of it. */
#ifndef CUSTOS_CRYPTO_SEAL_H
#define CUSTOS_CRYPTO_SEAL_H

#include "base/permit.h"
#include "memory/secret.h"

struct custos_ephemeral;

CUSTOS_RC custos_ephemeral_new(struct custos_ephemeral **ret_key, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err);
/* A pair that is not ephemeral: a custodian's P-256 key, from PKCS#8 with its public point (key_file.h). For the process that opens what was sealed to it. */
CUSTOS_RC custos_ephemeral_load(struct custos_secret *pkcs8, struct custos_ephemeral **ret_key, struct custos_err *err);
/* The point of a P-256 key from its SPKI, checked to lie on the curve: what can be sealed to. CUSTOS_E_INPUT: it is another kind of key. */
CUSTOS_RC custos_seal_point(struct custos_bytes spki, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err);
void custos_ephemeral_free(struct custos_ephemeral *key); /* wipes */
CUSTOS_DEFINE_FREEP(custos_ephemeral);
/* Seals a secret to a peer's point with a fresh key pair; ret_point is its public half. */
CUSTOS_RC custos_seal(struct custos_secret *secret, const uint8_t peer_point[static CUSTOS_POINT_SIZE], uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_buf *sealed, struct custos_err *err);
/* Unwraps straight into a secret. A wrong key, a damaged blob or an off-curve point fails and leaves nothing behind. Z never leaves locked memory. */
CUSTOS_RC custos_unseal(struct custos_ephemeral *key, const uint8_t peer_point[static CUSTOS_POINT_SIZE], struct custos_bytes sealed, struct custos_secret **ret_secret, struct custos_err *err);
/* The wrapping key is KDF(Z, binding): ANSI X9.63 with SHA-256 (SEC 1, 3.6.1; PKCS#11 CKD_SHA256_KDF). What was sealed with another binding does not open. */
CUSTOS_RC custos_unseal_bound(struct custos_ephemeral *key, const uint8_t peer_point[static CUSTOS_POINT_SIZE], const uint8_t binding[static CUSTOS_HASH_SIZE], struct custos_bytes sealed,
                              struct custos_secret **ret_secret, struct custos_err *err);
/* RFC 5649 alone, under an AES-256 key that is there. */
CUSTOS_RC custos_unwrap_secret(struct custos_secret *wrapping_key, struct custos_bytes sealed, struct custos_secret **ret_secret, struct custos_err *err);

#endif
