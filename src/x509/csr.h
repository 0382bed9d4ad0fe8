/* Certificate requests (PKCS#10, RFC 2986): linted before anything is signed, signed by whoever holds the key, verified in software and compared field
 * for field afterwards. */
#ifndef CUSTOS_X509_CSR_H
#define CUSTOS_X509_CSR_H

#include "base/signer.h"
#include <custos/csr.h>
#include <custos/json.h>

struct custos_csr_spec {
	const char *subject;         /* RFC 4514, e.g. "CN=esxi1.example.com,O=Example" */
	const char *const *sans;     /* "dns:x" "ip:x" "email:x" "uri:x", NULL-terminated; at least one, unless for a client */
	const char *profile;         /* "server" (also when NULL), "esxi" or "client" */
	const char *signature;       /* "default" (also when NULL) or "rsa-pss": what the lint and custos_csr_matches() go by; who signs says how it is signed */
	unsigned flags;              /* enum custos_csr_flag */
};

/* *ret_problems: the array of check.h's problems, empty when all is well; what it calls an error, custos_csr_create() refuses. `key_type_name`
 * ("rsa-2048", "ec-p256" …) may be NULL: then nothing is said about the key. Fails only for want of memory. */
CUSTOS_RC custos_csr_lint(const struct custos_csr_spec *spec, const char *key_type_name, struct custos_json **ret_problems, struct custos_err *err);

/* Appends the DER of a version 1 request with subjectAltName, keyUsage (digitalSignature, for RSA and a server also keyEncipherment), extendedKeyUsage serverAuth (profile client: clientAuth), and
 * the TLS feature status_request where must-staple is asked for; names outside ASCII as A-labels. A client needs no names when it has a subject. CUSTOS_E_INPUT
 * with the first problem when the lint finds an error, CUSTOS_E_TOKEN when the signature does not verify. */
CUSTOS_RC custos_csr_create(const struct custos_csr_spec *spec, const struct custos_signer *signer, struct custos_buf *der, struct custos_err *err);

/* The same in two steps, for whoever signs many at a time: what is to be signed, then the request from the signature over it. */
struct custos_csr_draft;
CUSTOS_RC custos_csr_begin(const struct custos_csr_spec *spec, struct custos_bytes spki, enum custos_signature algorithm, struct custos_csr_draft **ret_draft,
                           struct custos_err *err);
struct custos_bytes custos_csr_message(const struct custos_csr_draft *draft); /* borrowed */
/* Once. *ret_facts as of custos_csr_facts(); may be NULL. */
CUSTOS_RC custos_csr_finish(struct custos_csr_draft *draft, struct custos_bytes signature, struct custos_buf *der, struct custos_json **ret_facts, struct custos_err *err);
void custos_csr_draft_free(struct custos_csr_draft *draft);
CUSTOS_DEFINE_FREEP(custos_csr_draft);

/* Does a request ask for the spec's subject, names (in their order) and purpose, signed as it says, and for must-staple if it does? */
CUSTOS_RC custos_csr_matches(struct custos_bytes der, const struct custos_csr_spec *spec, bool *ret_matches, struct custos_err *err);

/* Appends PEM text; what is in the DER is not looked at. */
CUSTOS_RC custos_csr_pem(struct custos_bytes der, struct custos_buf *pem, struct custos_err *err);

#endif
