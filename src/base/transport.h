/* How a released key travels from the token to one courier. The word stands in the token's profile and in the log's intent. */
#ifndef CUSTOS_BASE_TRANSPORT_H
#define CUSTOS_BASE_TRANSPORT_H

#include "base/attr.h"

#include <stdbool.h>

/* An entry of the log that names none is from a time when there was only the first. */
enum custos_transport {
	CUSTOS_TRANSPORT_ECDH_P256,      /* an ephemeral P-256 pair on each side; Z itself is the wrapping key */
	CUSTOS_TRANSPORT_ECDH_P256_KDF,  /* the same; the wrapping key is X9.63 with SHA-256 over Z and the intent's leaf hash */
	CUSTOS_TRANSPORT_RSA_OAEP,       /* an AES key of the token's, under the courier's ephemeral RSA key: OAEP, SHA-256, the leaf hash as label */
	CUSTOS_TRANSPORT_RSA_OAEP_SHA1,  /* the same with SHA-1 and without a label, for tokens that know nothing else */
};
enum { CUSTOS_TRANSPORT_COUNT = 4 };

const char *custos_transport_name(enum custos_transport transport);   /* "ecdh-p256" …, "unknown" */
CUSTOS_MUST bool custos_transport_parse(const char *name, enum custos_transport *ret_transport);
/* Whether the courier needs a key besides its P-256 pair, made for this one release. */
CUSTOS_MUST bool custos_transport_needs_key(enum custos_transport transport);

#endif
