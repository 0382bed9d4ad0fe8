/* A root that is trusted, an intermediate and a key for leaves: for tests that judge certificates. */
#ifndef CUSTOS_TESTS_X509_TRUST_H
#define CUSTOS_TESTS_X509_TRUST_H

#include "x509_pki.h"

#include "x509/anchors.h"

struct lab_trust {
	EVP_PKEY *root_key, *ca_key, *key;
	X509 *root, *ca;
	struct custos_anchors *anchors;
};

LAB struct custos_anchors *lab_anchors(X509 *root)
{
	struct custos_anchors *anchors = NULL;
	CUSTOS_AUTO_BUF pem = { 0 };
	lab_pem(&pem, root);
	assert_int_equal(custos_anchors_new(&anchors, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_add_pem(anchors, custos_buf_view(&pem), "root.pem", NULL), CUSTOS_OK);
	return anchors;
}

/* The keys are there already and become its own. Both certificates are valid for that many days before and after LAB_NOW. */
LAB void lab_trust_begin(struct lab_trust *t, int64_t days)
{
	t->root = lab_issue((struct lab_spec){ .cn = "Lab Root", .ca = true, .key = t->root_key, .from = -days, .until = days });
	t->ca = lab_issue((struct lab_spec){ .cn = "Lab CA", .ca = true, .key = t->ca_key, .issuer = t->root, .issuer_key = t->root_key, .from = -days, .until = days });
	t->anchors = lab_anchors(t->root);
}

LAB void lab_trust_end(struct lab_trust *t)
{
	X509_free(t->root);
	X509_free(t->ca);
	EVP_PKEY_free(t->root_key);
	EVP_PKEY_free(t->ca_key);
	EVP_PKEY_free(t->key);
	custos_anchors_free(t->anchors);
}

#endif
