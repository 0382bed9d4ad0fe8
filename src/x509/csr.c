/* Building a request around a signature made elsewhere: OpenSSL encodes, the signer signs, OpenSSL verifies what came back. */
#include "x509/csr.h"
#include "x509/cert.h"
#include "x509/lint.h"
#include "x509/parsed.h"

#include <limits.h>
#include <openssl/rsa.h>

enum { PSS_SALT = 32 };

struct custos_csr_draft {
	X509_REQ *request;
	X509_NAME *subject;
	GENERAL_NAMES *names;
	struct custos_buf spki, tbs;
	int purpose;                 /* NID of the extended key usage */
	unsigned flags;
};

static int purpose_of(const struct custos_csr_spec *spec)
{
	return spec->profile != NULL && strcmp(spec->profile, "client") == 0 ? NID_client_auth : NID_server_auth;
}

static custos_rc out_of_memory(struct custos_err *err)
{
	CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, custos_x509_drain(), "the certificate request cannot be built");
}

static bool push_extension(STACK_OF(X509_EXTENSION) *list, X509_EXTENSION *extension)
{
	if (extension != NULL && sk_X509_EXTENSION_push(list, extension) > 0)
		return true;
	X509_EXTENSION_free(extension);
	return false;
}

static bool push_key_usage(STACK_OF(X509_EXTENSION) *list, const char *key_type, int purpose)
{
	enum { DIGITAL_SIGNATURE = 0, KEY_ENCIPHERMENT = 2 }; /* RFC 5280 4.2.1.3 */
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	bool set = usage != NULL && ASN1_BIT_STRING_set_bit(usage, DIGITAL_SIGNATURE, 1) == 1 &&
	           (strncmp(key_type, "rsa-", 4) != 0 || purpose != NID_server_auth || ASN1_BIT_STRING_set_bit(usage, KEY_ENCIPHERMENT, 1) == 1);
	bool pushed = set && push_extension(list, X509V3_EXT_i2d(NID_key_usage, 1, usage));
	ASN1_BIT_STRING_free(usage);
	return pushed;
}

static bool push_purpose(STACK_OF(X509_EXTENSION) *list, int purpose)
{
	EXTENDED_KEY_USAGE *purposes = EXTENDED_KEY_USAGE_new();
	bool pushed = purposes != NULL && sk_ASN1_OBJECT_push(purposes, OBJ_nid2obj(purpose)) > 0 && push_extension(list, X509V3_EXT_i2d(NID_ext_key_usage, 0, purposes));
	EXTENDED_KEY_USAGE_free(purposes);
	return pushed;
}

/* RFC 7633: the feature is the TLS extension status_request. */
static bool push_must_staple(STACK_OF(X509_EXTENSION) *list)
{
	TLS_FEATURE *features = sk_ASN1_INTEGER_new_null();
	ASN1_INTEGER *feature = ASN1_INTEGER_new();
	bool held = features != NULL && feature != NULL && ASN1_INTEGER_set(feature, CUSTOS_TLS_STATUS_REQUEST) == 1 && sk_ASN1_INTEGER_push(features, feature) > 0;
	if (!held)
		ASN1_INTEGER_free(feature);
	bool pushed = held && push_extension(list, X509V3_EXT_i2d(NID_tlsfeature, 0, features));
	sk_ASN1_INTEGER_pop_free(features, ASN1_INTEGER_free);
	return pushed;
}

/* Decoding a public key is what costs most here: once, for the request and for the name of its type. */
static custos_rc set_key(struct custos_csr_draft *draft, char key_type[static CUSTOS_KEY_NAME_SIZE], struct custos_err *err)
{
	struct custos_bytes spki = custos_buf_view(&draft->spki);
	const unsigned char *p = spki.ptr;
	CUSTOS_AUTO_OSSL(pkey) EVP_PKEY *key = spki.len == 0 ? NULL : d2i_PUBKEY(NULL, &p, (long)spki.len);
	if (key == NULL || p != spki.ptr + spki.len || X509_REQ_set_pubkey(draft->request, key) != 1)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, custos_x509_drain(), "the public key of the signer cannot be read");
	custos_parsed_key_name(key, key_type);
	return CUSTOS_OK;
}

/* RSASSA-PSS-params (RFC 4055 3.1): SHA-256, MGF1 with SHA-256, 32 bytes of salt. */
static ASN1_STRING *pss_parameters(void)
{
	ASN1_STRING *packed = NULL, *digest = NULL;
	X509_ALGOR *inner = X509_ALGOR_new();
	RSA_PSS_PARAMS *pss = RSA_PSS_PARAMS_new();
	bool made = inner != NULL && pss != NULL && (pss->hashAlgorithm = X509_ALGOR_new()) != NULL && (pss->maskGenAlgorithm = X509_ALGOR_new()) != NULL &&
	            (pss->saltLength = ASN1_INTEGER_new()) != NULL && ASN1_INTEGER_set(pss->saltLength, PSS_SALT) == 1;
	if (made) {
		X509_ALGOR_set_md(pss->hashAlgorithm, EVP_sha256());
		X509_ALGOR_set_md(inner, EVP_sha256());
		digest = ASN1_item_pack(inner, ASN1_ITEM_rptr(X509_ALGOR), NULL);
	}
	if (digest != NULL && X509_ALGOR_set0(pss->maskGenAlgorithm, OBJ_nid2obj(NID_mgf1), V_ASN1_SEQUENCE, digest) == 1) {
		digest = NULL;
		packed = ASN1_item_pack(pss, ASN1_ITEM_rptr(RSA_PSS_PARAMS), NULL);
	}
	ASN1_STRING_free(digest);
	RSA_PSS_PARAMS_free(pss);
	X509_ALGOR_free(inner);
	return packed;
}

static custos_rc set_pss(X509_REQ *request, struct custos_err *err)
{
	ASN1_STRING *parameters = pss_parameters();
	X509_ALGOR *value = X509_ALGOR_new();
	bool set = parameters != NULL && value != NULL && X509_ALGOR_set0(value, OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, parameters) == 1;
	if (!set)
		ASN1_STRING_free(parameters);
	set = set && X509_REQ_set1_signature_algo(request, value) == 1;
	X509_ALGOR_free(value);
	return set ? CUSTOS_OK : out_of_memory(err);
}

static custos_rc set_algorithm(X509_REQ *request, enum custos_signature algorithm, struct custos_err *err)
{
	static const struct {
		enum custos_signature algorithm;
		int nid, parameter;
	} known[] = {
		{ CUSTOS_SIGNATURE_ED25519, NID_ED25519, V_ASN1_UNDEF },
		{ CUSTOS_SIGNATURE_ECDSA_SHA256, NID_ecdsa_with_SHA256, V_ASN1_UNDEF },
		{ CUSTOS_SIGNATURE_ECDSA_SHA384, NID_ecdsa_with_SHA384, V_ASN1_UNDEF },
		{ CUSTOS_SIGNATURE_ECDSA_SHA512, NID_ecdsa_with_SHA512, V_ASN1_UNDEF },
		{ CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, NID_sha256WithRSAEncryption, V_ASN1_NULL },
	};
	if (algorithm == CUSTOS_SIGNATURE_RSA_PSS_SHA256)
		return set_pss(request, err);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (known[i].algorithm != algorithm)
			continue;
		X509_ALGOR *value = X509_ALGOR_new();
		bool set = value != NULL && X509_ALGOR_set0(value, OBJ_nid2obj(known[i].nid), known[i].parameter, NULL) == 1 && X509_REQ_set1_signature_algo(request, value) == 1;
		X509_ALGOR_free(value);
		return set ? CUSTOS_OK : out_of_memory(err);
	}
	CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "the signer's algorithm is not known");
}

static custos_rc fill(struct custos_csr_draft *draft, enum custos_signature algorithm, const char *key_type, struct custos_err *err)
{
	X509_REQ *request = draft->request;
	CUSTOS_CLEANUP(custos_drop_extensions) STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
	int critical = X509_NAME_entry_count(draft->subject) == 0; /* RFC 5280 4.2.1.6 */
	if (extensions == NULL || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 || X509_REQ_set_subject_name(request, draft->subject) != 1)
		return out_of_memory(err);
	bool named = sk_GENERAL_NAME_num(draft->names) == 0 || push_extension(extensions, X509V3_EXT_i2d(NID_subject_alt_name, critical, draft->names));
	if (!named || !push_key_usage(extensions, key_type, draft->purpose) || !push_purpose(extensions, draft->purpose) ||
	    ((draft->flags & CUSTOS_CSR_MUST_STAPLE) != 0 && !push_must_staple(extensions)) || X509_REQ_add_extensions(request, extensions) != 1)
		return out_of_memory(err);
	return set_algorithm(request, algorithm, err);
}

static custos_rc to_be_signed(X509_REQ *request, struct custos_buf *tbs, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_drop_der) unsigned char *der = NULL;
	int len = i2d_re_X509_REQ_tbs(request, &der);
	if (len <= 0)
		return out_of_memory(err);
	return custos_buf_append(tbs, der, (size_t)len, err);
}

static custos_rc set_signature(X509_REQ *request, struct custos_bytes signature, struct custos_err *err)
{
	CUSTOS_AUTO_BUF copy = { .max = 4096 };
	CUSTOS_REQUIRE(signature.len > 0, err, CUSTOS_E_TOKEN, "the signer returned an empty signature");
	CUSTOS_TRY(custos_buf_append(&copy, signature.ptr, signature.len, err));
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	if (bits == NULL || ASN1_BIT_STRING_set(bits, copy.ptr, (int)copy.len) != 1) {
		ASN1_BIT_STRING_free(bits);
		return out_of_memory(err);
	}
	bits->flags &= ~(ASN1_STRING_FLAG_BITS_LEFT | 0x07);
	bits->flags |= ASN1_STRING_FLAG_BITS_LEFT; /* a signature has no unused bits, whatever its last byte is */
	X509_REQ_set0_signature(request, bits);
	return CUSTOS_OK;
}

static bool same_names(X509_REQ *request, const GENERAL_NAMES *wanted)
{
	bool broken = false;
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *got = custos_parsed_request_names(request, &broken);
	if (got == NULL)
		return !broken && sk_GENERAL_NAME_num(wanted) == 0;
	if (sk_GENERAL_NAME_num(got) != sk_GENERAL_NAME_num(wanted))
		return false;
	for (int i = 0; i < sk_GENERAL_NAME_num(got); i++)
		if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(got, i), sk_GENERAL_NAME_value(wanted, i)) != 0)
			return false;
	return true;
}

static bool has_purpose(X509_REQ *request, int purpose)
{
	CUSTOS_CLEANUP(custos_drop_extensions) STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	EXTENDED_KEY_USAGE *purposes = extensions == NULL ? NULL : X509V3_get_d2i(extensions, NID_ext_key_usage, NULL, NULL);
	bool has = purposes != NULL && sk_ASN1_OBJECT_num(purposes) == 1 && OBJ_obj2nid(sk_ASN1_OBJECT_value(purposes, 0)) == purpose;
	EXTENDED_KEY_USAGE_free(purposes);
	return has;
}

/* Signed by what it says it is signed by: this stands outside of what the signature covers. */
static bool same_algorithm(const X509_REQ *request, const X509_REQ *wanted)
{
	const X509_ALGOR *got = NULL, *asked = NULL;
	X509_REQ_get0_signature(request, NULL, &got);
	X509_REQ_get0_signature(wanted, NULL, &asked);
	CUSTOS_CLEANUP(custos_drop_der) unsigned char *got_der = NULL, *asked_der = NULL;
	int got_len = i2d_X509_ALGOR(got, &got_der), asked_len = i2d_X509_ALGOR(asked, &asked_der);
	return got_len > 0 && got_len == asked_len && memcmp(got_der, asked_der, (size_t)got_len) == 0;
}

/* What leaves this function is what a CA will read: parsed anew from its bytes, verified and compared. */
static custos_rc verify(struct custos_bytes der, const struct custos_csr_draft *draft, struct custos_json **ret_facts, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(request) X509_REQ *request = NULL;
	CUSTOS_AUTO_BUF spki = { 0 }, again = { 0 };
	CUSTOS_TRY(custos_parsed_request(der, &request, err));
	EVP_PKEY *key = X509_REQ_get0_pubkey(request);
	if (key == NULL || X509_REQ_verify(request, key) != 1) {
		custos_rc rc = custos_err_set(err, CUSTOS_E_TOKEN, custos_x509_drain(), "the signature on the certificate request does not verify under the key's public half");
		custos_err_hint(err, "the token signed something else or with another key; nothing was kept");
		return rc;
	}
	CUSTOS_TRY(custos_parsed_spki(X509_REQ_get_X509_PUBKEY(request), &spki, err));
	CUSTOS_TRY(to_be_signed(request, &again, err));
	bool same = X509_REQ_get_version(request) == X509_REQ_VERSION_1 && X509_NAME_cmp(X509_REQ_get_subject_name(request), draft->subject) == 0 &&
	            custos_bytes_equal(custos_buf_view(&spki), custos_buf_view(&draft->spki)) && X509_REQ_get_attr_count(request) == 1 &&
	            same_names(request, draft->names) && custos_bytes_equal(custos_buf_view(&again), custos_buf_view(&draft->tbs)) &&
	            same_algorithm(request, draft->request) && custos_parsed_must_staple(request) == ((draft->flags & CUSTOS_CSR_MUST_STAPLE) != 0);
	CUSTOS_REQUIRE(same, err, CUSTOS_E_INTERNAL, "the certificate request does not say what was asked for");
	return ret_facts == NULL ? CUSTOS_OK : custos_parsed_request_facts(request, ret_facts, err);
}

static custos_rc refuse_errors(const struct custos_problems *problems, struct custos_err *err)
{
	for (size_t i = 0; i < problems->count; i++)
		if (problems->items[i].severity == CUSTOS_SEVERITY_ERROR)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, problems->items[i].remedy, "certificate request: %s", problems->items[i].text);
	return CUSTOS_OK;
}

void custos_csr_draft_free(struct custos_csr_draft *draft)
{
	if (draft == NULL)
		return;
	X509_REQ_free(draft->request);
	X509_NAME_free(draft->subject);
	GENERAL_NAMES_free(draft->names);
	custos_buf_done(&draft->spki);
	custos_buf_done(&draft->tbs);
	free(draft);
}

custos_rc custos_csr_begin(const struct custos_csr_spec *spec, struct custos_bytes spki, enum custos_signature algorithm, struct custos_csr_draft **ret_draft,
                           struct custos_err *err)
{
	CUSTOS_AUTO_PROBLEMS problems = { 0 };
	char key_type[CUSTOS_KEY_NAME_SIZE];
	CUSTOS_AUTO(custos_csr_draft) *draft = calloc(1, sizeof *draft);
	CUSTOS_REQUIRE(draft != NULL && (draft->request = X509_REQ_new()) != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	draft->flags = spec->flags;
	draft->purpose = purpose_of(spec);
	CUSTOS_TRY(custos_buf_append(&draft->spki, spki.ptr, spki.len, err));
	CUSTOS_TRY(set_key(draft, key_type, err));
	CUSTOS_TRY(custos_lint(spec, key_type, &problems, &draft->subject, &draft->names, err));
	CUSTOS_TRY(refuse_errors(&problems, err));
	if (algorithm == CUSTOS_SIGNATURE_RSA_PSS_SHA256 && spec->profile != NULL && strcmp(spec->profile, "esxi") == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "leave the signature at PKCS#1 v1.5", "ESXi does not support RSASSA-PSS");
	CUSTOS_TRY(fill(draft, algorithm, key_type, err));
	CUSTOS_TRY(to_be_signed(draft->request, &draft->tbs, err));
	*ret_draft = CUSTOS_TAKE(draft);
	return CUSTOS_OK;
}

struct custos_bytes custos_csr_message(const struct custos_csr_draft *draft)
{
	return custos_buf_view(&draft->tbs);
}

custos_rc custos_csr_finish(struct custos_csr_draft *draft, struct custos_bytes signature, struct custos_buf *der, struct custos_json **ret_facts, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_drop_der) unsigned char *encoded = NULL;
	CUSTOS_TRY(set_signature(draft->request, signature, err));
	int len = i2d_X509_REQ(draft->request, &encoded);
	if (len <= 0)
		return out_of_memory(err);
	CUSTOS_TRY(verify(CUSTOS_BYTES(encoded, (size_t)len), draft, ret_facts, err));
	custos_x509_drain();
	return custos_buf_append(der, encoded, (size_t)len, err);
}

custos_rc custos_csr_create(const struct custos_csr_spec *spec, const struct custos_signer *signer, struct custos_buf *der, struct custos_err *err)
{
	CUSTOS_AUTO(custos_csr_draft) *draft = NULL;
	CUSTOS_AUTO_BUF signature = { .max = 4096 };
	CUSTOS_TRY(custos_csr_begin(spec, signer->spki, signer->algorithm, &draft, err));
	CUSTOS_TRY(signer->sign(signer->ctx, custos_csr_message(draft), &signature, err));
	return custos_csr_finish(draft, custos_buf_view(&signature), der, NULL, err);
}

custos_rc custos_csr_matches(struct custos_bytes der, const struct custos_csr_spec *spec, bool *ret_matches, struct custos_err *err)
{
	CUSTOS_AUTO_PROBLEMS problems = { 0 };
	CUSTOS_AUTO_OSSL(name) X509_NAME *subject = NULL;
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *names = NULL;
	CUSTOS_AUTO_OSSL(request) X509_REQ *request = NULL;
	CUSTOS_TRY(custos_lint(spec, NULL, &problems, &subject, &names, err));
	CUSTOS_TRY(custos_parsed_request(der, &request, err));
	bool pss = spec->signature != NULL && strcmp(spec->signature, "rsa-pss") == 0, staple = (spec->flags & CUSTOS_CSR_MUST_STAPLE) != 0;
	*ret_matches = subject != NULL && names != NULL && X509_NAME_cmp(X509_REQ_get_subject_name(request), subject) == 0 && same_names(request, names) &&
	               has_purpose(request, purpose_of(spec)) && (X509_REQ_get_signature_nid(request) == NID_rsassaPss) == pss && custos_parsed_must_staple(request) == staple;
	custos_x509_drain();
	return CUSTOS_OK;
}

custos_rc custos_csr_pem(struct custos_bytes der, struct custos_buf *pem, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(bio) BIO *bio = BIO_new(BIO_s_mem());
	CUSTOS_REQUIRE(der.len > 0 && der.len <= LONG_MAX, err, CUSTOS_E_INPUT, "not a DER certificate request");
	if (bio == NULL || PEM_write_bio(bio, PEM_STRING_X509_REQ, "", der.ptr, (long)der.len) <= 0)
		return out_of_memory(err);
	char *text = NULL;
	long len = BIO_get_mem_data(bio, &text);
	return custos_buf_append(pem, text, (size_t)len, err);
}
