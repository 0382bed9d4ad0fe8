/* Something that signs: the token layer implements it, the log and the CSR builder use it, and neither knows the other. */
#ifndef CUSTOS_BASE_SIGNER_H
#define CUSTOS_BASE_SIGNER_H

#include "base/bytes.h"

enum custos_signature {
	CUSTOS_SIGNATURE_ED25519 = 1,       /* RFC 8032, 64 bytes */
	CUSTOS_SIGNATURE_ECDSA_SHA256,      /* ASN.1 DER, P-256 */
	CUSTOS_SIGNATURE_ECDSA_SHA384,      /* ASN.1 DER, P-384 */
	CUSTOS_SIGNATURE_RSA_PKCS1_SHA256,  /* RFC 8017 8.2 */
	CUSTOS_SIGNATURE_ECDSA_SHA512,      /* ASN.1 DER, P-521 */
	CUSTOS_SIGNATURE_RSA_PSS_SHA256,    /* RFC 8017 8.1, MGF1 with SHA-256, salt of 32 bytes; only where it is asked for */
};

struct custos_signer {
	void *ctx;
	enum custos_signature algorithm;
	struct custos_bytes spki;           /* DER SubjectPublicKeyInfo of the key, borrowed */
	/* Signs `message` (not its digest). Whoever asks verifies the result in software. */
	CUSTOS_MUST custos_rc (*sign)(void *ctx, struct custos_bytes message, struct custos_buf *signature, struct custos_err *err);
};

#endif
