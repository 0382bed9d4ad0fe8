/* The rules a certificate must keep, one function a group. They add problems and decide nothing else. */
#ifndef CUSTOS_X509_RULES_H
#define CUSTOS_X509_RULES_H

#include "x509/check.h"

struct custos_rules {
	struct custos_problems *problems;
	const struct custos_check_options *options;
	bool esxi, client;         /* `client`: the certificate is one that servers judge */
	bool anchored;             /* the chain ends at a trust anchor */
};

/* About the inputs: containers, requests and keys taken for certificates, damaged blocks. */
void custos_rules_inputs(const struct custos_rules *rules, const struct custos_bag *bag);
/* About the leaf: key, names, purpose, dates, signature. */
CUSTOS_RC custos_rules_leaf(const struct custos_rules *rules, struct x509_st *leaf, struct custos_err *err);
/* About an intermediate: dates, signature, key. */
void custos_rules_issuer(const struct custos_rules *rules, struct x509_st *issuer);

/* rules_form.c: what is malformed or of no use to clients, of any certificate that is served, and of the leaf alone. `subject` names the certificate. */
void custos_rules_form(const struct custos_rules *rules, struct x509_st *cert, const char *subject);
void custos_rules_leaf_form(const struct custos_rules *rules, struct x509_st *leaf, const char *subject);

/* rules_policy.c: how long the leaf may last when the chain ends with `last`; a key that others can compute, or that is on the blocklist; a key usage that ends every handshake; the
 * names that hosts are verified by. `subject` names the certificate. */
void custos_rules_validity(const struct custos_rules *rules, struct x509_st *leaf, struct x509_st *last, const char *subject);
CUSTOS_RC custos_rules_key(const struct custos_rules *rules, struct x509_st *cert, const char *subject, struct custos_err *err);
void custos_rules_usage(const struct custos_rules *rules, struct x509_st *leaf);
void custos_rules_asked_names(const struct custos_rules *rules, struct x509_st *leaf);
/* Days that a certificate of a public CA may be valid for when it begins at this time. */
unsigned custos_rules_public_days(int64_t not_before);

#endif
