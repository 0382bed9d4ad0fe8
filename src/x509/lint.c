/* What is wrong with a request is said before the token signs it: a CA refuses it days later, a client only in production. */
#include "x509/lint.h"
#include "x509/dn.h"
#include "x509/name.h"
#include "x509/private.h"
#include "x509/san.h"

#include <strings.h>

#define ADD(code, severity, remedy, ...) custos_problems_add(problems, code, CUSTOS_SEVERITY_##severity, remedy, __VA_ARGS__)
enum { NAMES_MAX = 100 };

static bool is_esxi(const struct custos_csr_spec *spec)
{
	return spec->profile != NULL && strcmp(spec->profile, "esxi") == 0;
}

static bool is_client(const struct custos_csr_spec *spec)
{
	return spec->profile != NULL && strcmp(spec->profile, "client") == 0;
}

static bool for_private_ca(const struct custos_csr_spec *spec)
{
	return (spec->flags & CUSTOS_CSR_PRIVATE_CA) != 0;
}

static void lint_signature(const struct custos_csr_spec *spec, const char *key_type, struct custos_problems *problems)
{
	bool pss = spec->signature != NULL && strcmp(spec->signature, "rsa-pss") == 0;
	if (spec->signature != NULL && !pss && strcmp(spec->signature, "default") != 0)
		ADD("unknown_signature", ERROR, "use 'default' or 'rsa-pss'", "'%.100s' is no known signature of a request", spec->signature);
	if (pss && is_esxi(spec))
		ADD("pss_for_esxi", ERROR, "leave the signature at PKCS#1 v1.5", "ESXi does not support RSASSA-PSS");
	if (pss && key_type != NULL && strncmp(key_type, "rsa-", 4) != 0)
		ADD("pss_without_rsa", ERROR, "leave it at the default", "a key of type %.40s does not sign by RSASSA-PSS", key_type);
}

static void lint_profile(const struct custos_csr_spec *spec, const char *key_type, struct custos_problems *problems)
{
	if (spec->profile != NULL && strcmp(spec->profile, "server") != 0 && !is_esxi(spec) && !is_client(spec))
		ADD("unknown_profile", ERROR, "use 'server', 'esxi' or 'client'", "'%.100s' is no known profile of a request", spec->profile);
	if (is_esxi(spec) && key_type != NULL && strncmp(key_type, "rsa-", 4) != 0)
		ADD("ec_for_esxi", ERROR, "generate an rsa-2048 or rsa-3072 key for this host", "the key is of type %.40s; ESXi supports RSA only", key_type);
	if (is_esxi(spec) && (spec->flags & CUSTOS_CSR_MUST_STAPLE) != 0)
		ADD("must_staple_for_esxi", ERROR, "leave must-staple out", "ESXi staples no OCSP response, and clients would refuse the certificate");
	if (is_client(spec) && (spec->flags & CUSTOS_CSR_MUST_STAPLE) != 0)
		ADD("must_staple_for_client", ERROR, "leave must-staple out", "only servers staple OCSP responses");
	if (key_type != NULL && (strcmp(key_type, "rsa-512") == 0 || strcmp(key_type, "rsa-1024") == 0))
		ADD("weak_rsa", ERROR, "use a key of 2048 bits or more", "the key is of type %.40s, which no client accepts", key_type);
}

/* What may be asked of nobody but a CA of one's own. */
static void lint_private(const struct custos_csr_spec *spec, const GENERAL_NAME *name, const char *shown, struct custos_problems *problems)
{
	const char *why = for_private_ca(spec) ? NULL : custos_private_reason(name);
	/* Baseline Requirements 7.1.2.7.12 */
	if (!for_private_ca(spec) && !is_client(spec) && why == NULL && (name->type == GEN_EMAIL || name->type == GEN_URI))
		ADD("not_from_public_ca", WARNING, "leave it out; or ask a CA of your own, and say so (--private-ca, private_ca: yes)",
		    "the name '%s' is no host: public CAs leave such names out of a server's certificate, which is then refused for lacking it", shown);
	if (why != NULL)
		ADD("private_name", ERROR, "ask for a registered name, or say that the CA is your own (--private-ca, private_ca: yes)",
		    "the name '%s' %s; a public CA may not certify it", shown, why);
}

static custos_rc lint_names(const struct custos_csr_spec *spec, struct custos_problems *problems, GENERAL_NAMES **ret_names, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	CUSTOS_REQUIRE(names != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; spec->sans != NULL && spec->sans[i] != NULL; i++) {
		CUSTOS_AUTO_OSSL(alt_name) GENERAL_NAME *name = NULL;
		const char *why = NULL, *remedy = NULL, *text = spec->sans[i];
		CUSTOS_AUTO_STR *shown = custos_name_escape(CUSTOS_BYTES_STR(text), 200);
		CUSTOS_REQUIRE(shown != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		if (i == NAMES_MAX) {
			ADD("too_many_names", ERROR, "split it into several certificates", "more than %d names", NAMES_MAX);
			break;
		}
		CUSTOS_TRY(custos_san_parse(text, &name, &why, &remedy, err));
		if (name == NULL) {
			ADD("bad_name", ERROR, remedy, "the name '%s' %s", shown, why);
			continue;
		}
		lint_private(spec, name, shown, problems);
		bool twice = false;
		for (int k = 0; k < sk_GENERAL_NAME_num(names); k++)
			twice = twice || custos_san_equal(sk_GENERAL_NAME_value(names, k), name);
		if (twice)
			ADD("duplicate_name", ERROR, "name it once", "the name '%s' is given twice", shown);
		if (is_esxi(spec) && strncmp(text, "dns:*", 5) == 0)
			ADD("wildcard_for_esxi", WARNING, "use the full name of the host", "the wildcard '%s' is not supported by ESXi", shown);
		CUSTOS_REQUIRE(sk_GENERAL_NAME_push(names, name) > 0, err, CUSTOS_E_SYSTEM, "out of memory");
		name = NULL; /* the stack owns it now */
	}
	if (sk_GENERAL_NAME_num(names) == 0 && custos_problems_find(problems, "bad_name") == NULL && !is_client(spec))
		ADD("no_san", ERROR, "add the name of the host, e.g. --san dns:host.example.com", "no name is asked for; a common name alone is ignored by clients");
	*ret_names = CUSTOS_TAKE(names);
	return CUSTOS_OK;
}

static bool value_is(const X509_NAME *subject, int nid, const char *wanted)
{
	int at = -1;
	while ((at = X509_NAME_get_index_by_NID(subject, nid, at)) >= 0) {
		const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
		size_t len = strlen(wanted);
		if ((size_t)ASN1_STRING_length(value) == len && strncasecmp((const char *)ASN1_STRING_get0_data(value), wanted, len) == 0)
			return true;
	}
	return false;
}

static bool is_among(const ASN1_STRING *common_name, const GENERAL_NAMES *names)
{
	CUSTOS_AUTO_STR *cn = custos_name_escape(CUSTOS_BYTES(ASN1_STRING_get0_data(common_name), (size_t)ASN1_STRING_length(common_name)), 300);
	for (int i = 0; cn != NULL && names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		CUSTOS_AUTO_STR *text = custos_name_alt_text(sk_GENERAL_NAME_value(names, i));
		const char *value = text == NULL ? NULL : strchr(text, ':');
		if (value != NULL && strcasecmp(value + 1, cn) == 0)
			return true;
	}
	return false;
}

static void lint_subject(const struct custos_csr_spec *spec, const X509_NAME *subject, const GENERAL_NAMES *names, struct custos_problems *problems)
{
	bool vmware = value_is(subject, NID_organizationalUnitName, "VMware ESX Server Default Certificate") || value_is(subject, NID_pkcs9_emailAddress, "ssl-certificates@vmware.com") ||
	              value_is(subject, NID_organizationName, "VMware, Inc") || value_is(subject, NID_organizationName, "VMware, Inc.");
	if (vmware)
		custos_problems_add(problems, "vmware_default_subject", for_private_ca(spec) ? CUSTOS_SEVERITY_WARNING : CUSTOS_SEVERITY_ERROR,
		                    "give your own subject, e.g. CN=host.example.com,O=Example", "this is the subject of VMware's default certificate, not yours");
	/* of a client the subject may be all there is */
	if (is_client(spec) && X509_NAME_entry_count(subject) == 0 && (names == NULL || sk_GENERAL_NAME_num(names) == 0))
		ADD("no_subject", ERROR, "give a subject, or a name with --san", "neither a subject nor a name is asked for");
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (at < 0) {
		if (is_esxi(spec))
			ADD("no_common_name", ERROR, "add CN= with the full name of the host", "the subject has no common name, which ESXi asks for");
		return;
	}
	if (X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		ADD("several_common_names", ERROR, "keep one CN and name the other hosts with --san", "the subject has more than one common name");
	const ASN1_STRING *cn = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	if (!is_client(spec) && !is_among(cn, names)) {
		CUSTOS_AUTO_STR *shown = custos_name_escape(CUSTOS_BYTES(ASN1_STRING_get0_data(cn), (size_t)ASN1_STRING_length(cn)), 100);
		ADD("common_name_not_named", ERROR, "add it with --san dns:…, or drop the CN (a name outside ASCII in its A-label form, xn--…)",
		    "the common name '%s' is not among the names asked for; CAs and clients demand it", shown == NULL ? "" : shown);
	}
}

custos_rc custos_lint(const struct custos_csr_spec *spec, const char *key_type_name, struct custos_problems *problems, X509_NAME **ret_subject, GENERAL_NAMES **ret_names, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(name) X509_NAME *subject = NULL;
	struct custos_err why = { 0 };
	lint_profile(spec, key_type_name, problems);
	lint_signature(spec, key_type_name, problems);
	CUSTOS_TRY(lint_names(spec, problems, ret_names, err));
	custos_rc rc = custos_dn_parse(spec->subject == NULL ? "" : spec->subject, &subject, &why);
	if (rc == CUSTOS_OK)
		lint_subject(spec, subject, *ret_names, problems);
	else if (rc == CUSTOS_E_INPUT)
		ADD("bad_subject", ERROR, why.hint, "%s", why.msg);
	else
		CUSTOS_FAIL_NATIVE(err, rc, why.native, "%s", why.msg);
	*ret_subject = CUSTOS_TAKE(subject);
	return custos_problems_whole(problems, err);
}

custos_rc custos_csr_lint(const struct custos_csr_spec *spec, const char *key_type_name, struct custos_json **ret_problems, struct custos_err *err)
{
	CUSTOS_AUTO_PROBLEMS problems = { 0 };
	CUSTOS_AUTO_OSSL(name) X509_NAME *subject = NULL;
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *names = NULL;
	CUSTOS_TRY(custos_lint(spec, key_type_name, &problems, &subject, &names, err));
	*ret_problems = custos_problems_json(&problems);
	return CUSTOS_OK;
}
