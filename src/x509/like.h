/* A request like a certificate there is: its subject and its names, as texts that custos_csr_spec takes. */
#ifndef CUSTOS_X509_LIKE_H
#define CUSTOS_X509_LIKE_H

#include "base/bytes.h"
#include <custos/json.h>

struct custos_csr_like {
	char *subject;               /* "" when the certificate has none */
	char **sans;                 /* NULL-terminated; may be empty */
};

/* A subject or a name that these texts cannot say exactly is CUSTOS_E_INPUT. *ret_problems (of problem.h, warnings only) names what the certificate has and
 * a request made from this will not ask for. */
CUSTOS_RC custos_csr_like(struct custos_bytes cert_der, struct custos_csr_like *ret_like, struct custos_json **ret_problems, struct custos_err *err);
void custos_csr_like_done(struct custos_csr_like *like);

#endif
