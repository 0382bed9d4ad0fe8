/* What a custody demands of certificates beyond what clients do: custody.yaml's `certificates`, and the names that the key's targets are verified by. */
#ifndef CUSTOS_VAULT_CERT_POLICY_H
#define CUSTOS_VAULT_CERT_POLICY_H

#include "vault/vault.h"
#include "x509/check.h"

struct custos_cert_policy {
	struct custos_validity_limit validity;
	struct custos_anchors *system;       /* what `validity` borrows */
	struct custos_blocklist *blocklist;  /* NULL: none */
	char blocklist_sha256[2 * CUSTOS_HASH_SIZE + 1];
	char **names;                        /* NULL-terminated */
};

/* `key` is a record. CUSTOS_E_POLICY when the blocklist could have been written by others, CUSTOS_E_INPUT when it is none. */
CUSTOS_RC custos_cert_policy_load(const struct custos_custody *c, const struct custos_json *key, struct custos_cert_policy *ret_policy, struct custos_err *err);
void custos_cert_policy_done(struct custos_cert_policy *policy);
/* What was in force, for the log: {"max_days","blocklist_sha256"?}. */
struct custos_json *custos_cert_policy_json(const struct custos_custody *c, const struct custos_cert_policy *policy);

/* The key answers for the leaf: it signs a challenge on the token, and the signature verifies under the public key in the certificate. */
CUSTOS_RC custos_vault_prove_leaf(struct custos_custody *c, const struct custos_json *key, struct custos_bytes leaf, struct custos_err *err);

#endif
