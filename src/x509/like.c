/* Copying what a subscriber asks for; what a CA adds (identifiers, policies, places of revocation lists, timestamps) is the next CA's to add. What is copied
 * is read back and compared, so that a name nobody can write is refused rather than asked for as another one. */
#include "x509/like.h"
#include "x509/dn.h"
#include "x509/name.h"
#include "x509/parsed.h"
#include "x509/problem.h"
#include "x509/san.h"

#define WARN(code, remedy, ...) custos_problems_add(problems, code, CUSTOS_SEVERITY_WARNING, remedy, __VA_ARGS__)

void custos_csr_like_done(struct custos_csr_like *like)
{
	for (size_t i = 0; like->sans != NULL && like->sans[i] != NULL; i++)
		free(like->sans[i]);
	free(like->sans);
	free(like->subject);
	*like = (struct custos_csr_like){ 0 };
}

static custos_rc copy_subject(const X509 *cert, struct custos_csr_like *like, struct custos_err *err)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	CUSTOS_AUTO_OSSL(name) X509_NAME *again = NULL;
	like->subject = X509_NAME_entry_count(subject) == 0 ? strdup("") : custos_name_text(subject);
	CUSTOS_REQUIRE(like->subject != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	bool exact = custos_dn_parse(like->subject, &again, NULL) == CUSTOS_OK && X509_NAME_cmp(subject, again) == 0;
	custos_x509_drain();
	if (!exact)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give the subject with --subject", "the certificate's subject '%.300s' cannot be copied as it is", like->subject);
	return CUSTOS_OK;
}

static bool is_earlier(GENERAL_NAMES *names, int end)
{
	for (int i = 0; i < end; i++)
		if (custos_san_equal(sk_GENERAL_NAME_value(names, i), sk_GENERAL_NAME_value(names, end)))
			return true;
	return false;
}

/* What is malformed is for the lint to say; what reads as another name is refused here. */
static custos_rc check_name(const char *text, GENERAL_NAME *name, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(alt_name) GENERAL_NAME *again = NULL;
	const char *why = NULL, *remedy = NULL;
	CUSTOS_TRY(custos_san_parse(text, &again, &why, &remedy, err));
	if (again != NULL && GENERAL_NAME_cmp(name, again) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give the names with --san", "the certificate's name '%.200s' cannot be copied as it is", text);
	return CUSTOS_OK;
}

static custos_rc copy_names(const X509 *cert, struct custos_csr_like *like, struct custos_problems *problems, struct custos_err *err)
{
	bool broken = false;
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *names = custos_parsed_cert_names(cert, &broken);
	int count = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
	like->sans = calloc((size_t)count + 1, sizeof *like->sans);
	CUSTOS_REQUIRE(like->sans != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	if (broken)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give the names with --san", "the certificate's names cannot be read");
	for (int i = 0, kept = 0; i < count; i++) {
		CUSTOS_AUTO_STR *text = custos_name_alt_text(sk_GENERAL_NAME_value(names, i));
		CUSTOS_REQUIRE(text != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		if (strncmp(text, "other:", 6) == 0) {
			WARN("name_not_copied", "ask the CA for it, if it is needed", "a name is not copied: it is neither dns, ip, email nor uri (%.200s)", text + 6);
			continue;
		}
		if (is_earlier(names, i))
			continue;
		CUSTOS_TRY(check_name(text, sk_GENERAL_NAME_value(names, i), err));
		like->sans[kept++] = CUSTOS_TAKE(text);
	}
	return CUSTOS_OK;
}

/* Extensions that are copied, asked for anyway, or the CA's. */
static bool is_no_loss(int nid)
{
	static const int known[] = {
		NID_subject_alt_name, NID_key_usage, NID_ext_key_usage, NID_tlsfeature, NID_basic_constraints, NID_subject_key_identifier, NID_authority_key_identifier,
		NID_certificate_policies, NID_crl_distribution_points, NID_info_access, NID_ct_precert_scts, NID_issuer_alt_name, NID_freshest_crl,
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i] == nid)
			return true;
	return false;
}

static void warn_about_usage(X509 *cert, struct custos_problems *problems)
{
	uint32_t usage = X509_get_key_usage(cert);
	if (usage != UINT32_MAX && (usage & ~(uint32_t)(KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT)) != 0)
		WARN("usage_not_copied", "ask the CA for it, if it is needed", "the certificate's key usage has more than a server needs, which is not copied");
	EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	for (int i = 0; purposes != NULL && i < sk_ASN1_OBJECT_num(purposes); i++) {
		char text[80] = "";
		const ASN1_OBJECT *purpose = sk_ASN1_OBJECT_value(purposes, i);
		if (OBJ_obj2nid(purpose) == NID_server_auth)
			continue;
		OBJ_obj2txt(text, sizeof text, purpose, 0);
		WARN("purpose_not_copied", "ask the CA for it, if it is needed", "the certificate's purpose '%s' is not copied", text);
	}
	EXTENDED_KEY_USAGE_free(purposes);
}

static void warn_about_extensions(const X509 *cert, struct custos_problems *problems)
{
	for (int i = 0; i < X509_get_ext_count(cert); i++) {
		char text[80] = "";
		const ASN1_OBJECT *what = X509_EXTENSION_get_object(X509_get_ext(cert, i));
		if (OBJ_obj2nid(what) == NID_tlsfeature)
			WARN("must_staple_not_copied", "add --must-staple, if the server still staples", "the certificate's must-staple (TLS feature) is not copied");
		if (is_no_loss(OBJ_obj2nid(what)))
			continue;
		OBJ_obj2txt(text, sizeof text, what, 0);
		WARN("extension_not_copied", "ask the CA for it, if it is needed", "the certificate's extension '%s' is not copied", text);
	}
}

custos_rc custos_csr_like(struct custos_bytes cert_der, struct custos_csr_like *ret_like, struct custos_json **ret_problems, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(cert) X509 *cert = NULL;
	CUSTOS_AUTO_PROBLEMS problems = { 0 };
	CUSTOS_CLEANUP(custos_csr_like_done) struct custos_csr_like like = { 0 };
	CUSTOS_TRY(custos_parsed_cert(cert_der, &cert, err));
	CUSTOS_TRY(copy_subject(cert, &like, err));
	CUSTOS_TRY(copy_names(cert, &like, &problems, err));
	warn_about_usage(cert, &problems);
	warn_about_extensions(cert, &problems);
	custos_x509_drain();
	CUSTOS_TRY(custos_problems_whole(&problems, err));
	*ret_problems = custos_problems_json(&problems);
	*ret_like = like;
	like = (struct custos_csr_like){ 0 };
	return CUSTOS_OK;
}
