/* One certificate, one request, as DER: what is in it and what it covers. Every function takes exactly one object; trailing bytes are an error.
 * CUSTOS_E_INPUT when it does not parse. */
#ifndef CUSTOS_X509_CERT_H
#define CUSTOS_X509_CERT_H

#include "base/bytes.h"
#include "base/permit.h"
#include <custos/json.h>

/* Appends the DER SubjectPublicKeyInfo. */
CUSTOS_RC custos_cert_spki(struct custos_bytes der, struct custos_buf *spki, struct custos_err *err);
CUSTOS_RC custos_csr_spki(struct custos_bytes der, struct custos_buf *spki, struct custos_err *err);
CUSTOS_RC custos_spki_sha256(struct custos_bytes spki, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err);
/* "rsa-2048", "ec-p256" …; CUSTOS_E_INPUT when the SPKI cannot be read. Appends text. */
CUSTOS_RC custos_spki_key_type(struct custos_bytes spki, struct custos_buf *name, struct custos_err *err);

/* {"subject","issuer","sans":["dns:x"…],"not_before","not_after","serial","key_type","spki_sha256","sha256","signature_algorithm","ca"}. */
CUSTOS_RC custos_cert_facts(struct custos_bytes der, struct custos_json **ret_facts, struct custos_err *err);
/* {"subject","sans","key_type","spki_sha256","signature_algorithm","must_staple"}. */
CUSTOS_RC custos_csr_facts(struct custos_bytes der, struct custos_json **ret_facts, struct custos_err *err);

/* Whole days until notAfter, rounded down; negative when it has passed. */
CUSTOS_RC custos_cert_days_left(struct custos_bytes der, int64_t now_unix, int64_t *ret_days, struct custos_err *err);
/* Would a client that was asked for this DNS name or address accept it? The common name does not count. False also when it does not parse. */
CUSTOS_MUST bool custos_cert_covers(struct custos_bytes der, const char *name);

/* Appends PEM text, in the given order: the leaf first, then the intermediates. */
CUSTOS_RC custos_cert_pem(const struct custos_bytes *ders, size_t count, struct custos_buf *pem, struct custos_err *err);

#endif
