/* What a certificate request is to ask for, put together from where it may be said: the options, the certificate it is to be like, a template, the defaults. */
#ifndef CUSTOS_VAULT_REQUEST_H
#define CUSTOS_VAULT_REQUEST_H

#include "token/client.h"
#include "x509/like.h"
#include "x509/template.h"

struct custos_request {
	struct custos_csr_spec spec;        /* every member is set; texts are the options' or those below */
	struct custos_csr_template template;
	struct custos_csr_like like;
	struct custos_json *problems;       /* the array of problem.h: what was not copied */
};

CUSTOS_RC custos_request_assemble(const struct custos_csr_options *options, struct custos_request *ret_request, struct custos_err *err);
void custos_request_done(struct custos_request *request);

/* "default" or "rsa-pss" for a key of this type. */
CUSTOS_RC custos_request_algorithm(const char *word, enum custos_key_type type, enum custos_signature *ret_algorithm, struct custos_err *err);

#endif
