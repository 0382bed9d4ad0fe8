/* What a person writes down about a request, as YAML: a template of its own, and the same fields in an entry of a longer list.
 *
 *   subject: CN=host.example.com,O=Example     RFC 4514
 *   san: ["dns:host.example.com", …]           or one text
 *   profile: server                            or esxi
 *   signature: default                         or rsa-pss
 *   must_staple: no
 *   private_ca: no
 *
 * Whether a CA would take it is the lint's affair. */
#ifndef CUSTOS_X509_TEMPLATE_H
#define CUSTOS_X509_TEMPLATE_H

#include "data/yaml.h"
#include "x509/csr.h"

/* The fields but `san`, for custos_yaml_known(). */
#define CUSTOS_CSR_FIELDS "subject", "profile", "signature", "must_staple", "private_ca"
/* A field that is not there is as in `otherwise`; nothing but these is looked at, and ret_spec->sans is left alone. Texts are the tree's. */
CUSTOS_RC custos_csr_read_fields(const struct custos_yaml *map, const struct custos_csr_spec *otherwise, struct custos_csr_spec *ret_spec, struct custos_err *err);

/* A template says some of it: what it does not is NULL. */
struct custos_csr_template {
	struct custos_yaml *root;
	const char **sans;           /* what spec.sans points to */
	struct custos_csr_spec spec;
};
/* CUSTOS_E_INPUT with file and line. */
CUSTOS_RC custos_csr_template_read(struct custos_bytes yaml, const char *file, struct custos_csr_template *ret_template, struct custos_err *err);
void custos_csr_template_done(struct custos_csr_template *template);

#endif
