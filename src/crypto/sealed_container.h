/* The container of a key of class sealed: PKCS#8 under AES-256-GCM with a content key of its own, which is sealed to the token's sealing key.
 *
 *   text "custos-sealed-1" · text origin · text key · text type · fixed 32 SHA-256 of the key's SPKI · fixed 32 SHA-256 of the sealing key's SPKI
 *   · u8 method · fixed 65 point (ecdh-p256; else zeros) · bytes content key, sealed · fixed 12 IV · bytes ciphertext with the tag of 16 bytes behind it
 *
 * (fields as in base/wire.h). Everything before the ciphertext is authenticated with it, so a container says for which key of which custody it is, and
 * opens as nothing else. rsa-oaep-sha256: RFC 8017 7.1, SHA-256 for label and MGF1, empty label. ecdh-p256: crypto/seal.h. */
#ifndef CUSTOS_CRYPTO_SEALED_CONTAINER_H
#define CUSTOS_CRYPTO_SEALED_CONTAINER_H

#include "base/permit.h"
#include "memory/secret.h"

enum custos_sealing { CUSTOS_SEALING_NONE, CUSTOS_SEALING_RSA_OAEP_SHA256, CUSTOS_SEALING_ECDH_P256 };
enum { CUSTOS_CONTENT_KEY_SIZE = 32, CUSTOS_SEALED_IV_SIZE = 12, CUSTOS_SEALED_MAX = 32768 };

const char *custos_sealing_name(enum custos_sealing method);                            /* "rsa-oaep-sha256" …, "" for none */
CUSTOS_MUST bool custos_sealing_parse(const char *name, enum custos_sealing *ret_method);

/* What a content key is sealed to: the public half of the token's sealing key. */
struct custos_sealing_key {
	enum custos_sealing method;
	struct custos_bytes spki;
};
struct custos_sealed_key {
	uint8_t point[CUSTOS_POINT_SIZE]; /* ecdh-p256; else zeros */
	struct custos_buf sealed;
};
/* `sealed` is the caller's. CUSTOS_E_INPUT when the public key does not fit the method. */
CUSTOS_RC custos_content_key_seal(struct custos_secret *content_key, const struct custos_sealing_key *to, struct custos_sealed_key *ret_sealed, struct custos_err *err);
/* Random bytes. */
CUSTOS_RC custos_content_key_new(struct custos_secret **ret_key, struct custos_err *err);

/* Whose key it is. */
struct custos_sealed_name {
	char origin[256], key[64], type[16];
	uint8_t spki_sha256[CUSTOS_HASH_SIZE];
};
struct custos_sealed_container {
	struct custos_sealed_name name;
	uint8_t sealing_sha256[CUSTOS_HASH_SIZE];
	enum custos_sealing method;
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_bytes content_key;      /* sealed; this and the next two borrow */
	uint8_t iv[CUSTOS_SEALED_IV_SIZE];
	struct custos_bytes head, ciphertext; /* head: everything before the ciphertext */
};
/* Seals under a fresh content key; appends to `container`. */
CUSTOS_RC custos_sealed_container_make(struct custos_secret *pkcs8, const struct custos_sealed_name *name, const struct custos_sealing_key *to, struct custos_buf *container,
                                       struct custos_err *err);
/* The form only. CUSTOS_E_TAMPERED when it is none of version 1. */
CUSTOS_RC custos_sealed_container_parse(struct custos_bytes container, struct custos_sealed_container *ret_container, struct custos_err *err);
/* CUSTOS_E_TAMPERED, and nothing is left, unless ciphertext and head are what was sealed with this content key. */
CUSTOS_RC custos_sealed_container_open(const struct custos_sealed_container *container, struct custos_secret *content_key, struct custos_secret **ret_pkcs8, struct custos_err *err);

#endif
