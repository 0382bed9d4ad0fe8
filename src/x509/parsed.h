/* Facts about parsed certificates and requests: what cert.h offers for DER, for those in this layer who hold the parsed thing. */
#ifndef CUSTOS_X509_PARSED_H
#define CUSTOS_X509_PARSED_H

#include "base/bytes.h"
#include "x509/openssl.h"
#include <custos/json.h>

enum { CUSTOS_KEY_NAME_SIZE = 48 };

/* "rsa-2048", "ec-p256", "ec-p384", "ec-p521", "ed25519", else what OpenSSL calls it; "unknown" for NULL. */
void custos_parsed_key_name(EVP_PKEY *key, char out[static CUSTOS_KEY_NAME_SIZE]);
CUSTOS_RC custos_parsed_cert(struct custos_bytes der, X509 **ret_cert, struct custos_err *err);
CUSTOS_RC custos_parsed_request(struct custos_bytes der, X509_REQ **ret_request, struct custos_err *err);
CUSTOS_RC custos_parsed_spki(X509_PUBKEY *key, struct custos_buf *spki, struct custos_err *err);
CUSTOS_RC custos_parsed_cert_facts(X509 *cert, struct custos_json **ret_facts, struct custos_err *err);
CUSTOS_RC custos_parsed_request_facts(X509_REQ *request, struct custos_json **ret_facts, struct custos_err *err);
/* NULL when there are none or they cannot be decoded; *ret_broken tells which. Caller frees. */
GENERAL_NAMES *custos_parsed_cert_names(const X509 *cert, bool *ret_broken);
GENERAL_NAMES *custos_parsed_request_names(X509_REQ *request, bool *ret_broken);
enum { CUSTOS_TLS_STATUS_REQUEST = 5 }; /* RFC 6066; as a TLS feature it is must-staple */
CUSTOS_MUST bool custos_parsed_must_staple(X509_REQ *request);
CUSTOS_MUST bool custos_parsed_time(const ASN1_TIME *time, int64_t *ret_unix_seconds);
/* DNS names (wildcards as clients match them) and addresses only; the common name is never asked, as no modern client does. */
CUSTOS_MUST bool custos_parsed_covers(X509 *cert, const char *name);

#endif
