/* What is in a PKCS#12 file (RFC 7292), for those who want its certificates and nothing else.
 *
 * A private key in it is counted. An encrypted one stays encrypted: its pass phrase is not even tried on it. The rest is decrypted into locked memory, because only
 * afterwards is it known what it was; certificates leave it, keys do not. */
#ifndef CUSTOS_CRYPTO_PKCS12_H
#define CUSTOS_CRYPTO_PKCS12_H

#include "base/bytes.h"
#include <custos/secret.h>

enum custos_p12_verdict {
	CUSTOS_P12_OPENED = 1,
	CUSTOS_P12_LOCKED,     /* neither no pass phrase nor the one that was given opens it */
	CUSTOS_P12_DAMAGED,
	CUSTOS_P12_OUTDATED,   /* encrypted with something that OpenSSL keeps for old times' sake only, such as RC2 */
	CUSTOS_P12_COSTLY,     /* asks for more work or more locked memory than such a file needs */
};

struct custos_p12 {
	enum custos_p12_verdict verdict;
	struct custos_buf certs;          /* DER certificates, one after the other */
	size_t encrypted_keys, plain_keys;
};
void custos_p12_done(struct custos_p12 *p12);
#define CUSTOS_AUTO_P12 CUSTOS_CLEANUP(custos_p12_done) struct custos_p12

/* `pass_phrase` may be NULL; without one, and with an empty one, it is tried in any case. `iterations` is what deriving keys may still cost, and is
 * lowered. Fails for want of memory only; the rest is a verdict. What could be read is there whatever the verdict. */
CUSTOS_RC custos_p12_read(struct custos_bytes der, struct custos_secret *pass_phrase, uint64_t *iterations, struct custos_p12 *ret, struct custos_err *err);

#endif
