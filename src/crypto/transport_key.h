/* A courier's RSA key for one release, for tokens that agree on no key: the token wraps an AES-256 key under it, and the released key under that
 * (RFC 8017 7.1; RFC 5649). */
#ifndef CUSTOS_CRYPTO_TRANSPORT_KEY_H
#define CUSTOS_CRYPTO_TRANSPORT_KEY_H

#include "base/permit.h"
#include "memory/secret.h"

struct custos_transport_key;
enum { CUSTOS_TRANSPORT_KEY_BYTES = 384 /* of the modulus */ };

/* RSA-3072; `spki` is appended to. Takes about half a second. */
CUSTOS_RC custos_transport_key_new(struct custos_transport_key **ret_key, struct custos_buf *spki, struct custos_err *err);
void custos_transport_key_free(struct custos_transport_key *key); /* wipes */
CUSTOS_DEFINE_FREEP(custos_transport_key);

struct custos_transport_parcel {
	enum custos_transport transport;         /* one that needs such a key */
	struct custos_bytes wrapping_key;        /* under the RSA key */
	struct custos_bytes sealed;              /* under the wrapping key */
	const uint8_t *binding;                  /* CUSTOS_HASH_SIZE bytes: OAEP's label, where the transport has one */
};
/* CUSTOS_E_TAMPERED when it does not open, whatever the reason is. */
CUSTOS_RC custos_transport_key_open(struct custos_transport_key *key, const struct custos_transport_parcel *parcel, struct custos_secret **ret_secret, struct custos_err *err);

#endif
