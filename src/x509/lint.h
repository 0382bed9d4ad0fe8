/* The lint of a request: what csr.c and the public custos_csr_lint() share. */
#ifndef CUSTOS_X509_LINT_H
#define CUSTOS_X509_LINT_H

#include "x509/csr.h"
#include "x509/openssl.h"
#include "x509/problem.h"

/* *ret_subject and *ret_names are what the spec says, encoded; either may be NULL when there are errors. */
CUSTOS_RC custos_lint(const struct custos_csr_spec *spec, const char *key_type_name, struct custos_problems *problems, X509_NAME **ret_subject,
                      GENERAL_NAMES **ret_names, struct custos_err *err);

#endif
