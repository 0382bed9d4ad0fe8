/* Verification of signatures in software: the second opinion on everything a token says. */
#ifndef CUSTOS_CRYPTO_VERIFY_H
#define CUSTOS_CRYPTO_VERIFY_H

#include "base/signer.h"

/* CUSTOS_E_TOKEN when it does not verify (`who` names the signer in the message). ECDSA signatures are DER, Ed25519 64 bytes. */
CUSTOS_RC custos_verify(const char *who, struct custos_bytes spki, enum custos_signature algorithm, struct custos_bytes message, struct custos_bytes signature, struct custos_err *err);
/* PKCS#11 r‖s to DER and back. */
CUSTOS_RC custos_ecdsa_to_der(struct custos_bytes raw, struct custos_buf *der, struct custos_err *err);
CUSTOS_RC custos_ecdsa_from_der(struct custos_bytes der, size_t scalar_size, struct custos_buf *raw, struct custos_err *err);
/* SubjectPublicKeyInfo from what a PKCS#11 public object holds. */
CUSTOS_RC custos_spki_rsa(struct custos_bytes modulus, struct custos_bytes exponent, struct custos_buf *spki, struct custos_err *err);
CUSTOS_RC custos_spki_ec(const char *group /* "P-256", "P-384" or "P-521" */, struct custos_bytes point /* uncompressed */, struct custos_buf *spki, struct custos_err *err);
/* Modulus and exponent of an RSA SPKI, big endian. */
CUSTOS_RC custos_spki_rsa_numbers(struct custos_bytes spki, struct custos_buf *modulus, struct custos_buf *exponent, struct custos_err *err);
CUSTOS_RC custos_spki_ed25519(struct custos_bytes key /* 32 bytes */, struct custos_buf *spki, struct custos_err *err);
/* Of the modulus; 0 when it is not an RSA key. */
CUSTOS_MUST unsigned custos_spki_rsa_bits(struct custos_bytes spki);
/* The raw 32 bytes of an Ed25519 SPKI, or the uncompressed point of a P-256 one. */
CUSTOS_RC custos_spki_raw(struct custos_bytes spki, struct custos_buf *raw, struct custos_err *err);

CUSTOS_RC custos_base64_encode(struct custos_bytes data, struct custos_buf *text, struct custos_err *err); /* public data only */
/* Strict: canonical standard alphabet with padding, nothing else. */
CUSTOS_RC custos_base64_decode(const char *text, size_t len, struct custos_buf *data, struct custos_err *err);

#endif
