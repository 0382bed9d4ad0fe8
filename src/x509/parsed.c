/* Facts about what was parsed. Everything a stranger wrote goes through name.h before it becomes text. */
#include "x509/parsed.h"
#include "base/clock.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "data/json.h"
#include "x509/cert.h"
#include "x509/name.h"

#include <limits.h>
#include <stdio.h>
#include <time.h>

static custos_rc whole(size_t taken, size_t len, const char *what, struct custos_err *err)
{
	CUSTOS_REQUIRE(taken == len, err, CUSTOS_E_INPUT, "the %s is followed by bytes that do not belong to it", what);
	return CUSTOS_OK;
}

custos_rc custos_parsed_cert(struct custos_bytes der, X509 **ret_cert, struct custos_err *err)
{
	const unsigned char *p = der.ptr;
	CUSTOS_AUTO_OSSL(cert) X509 *cert = der.len > LONG_MAX || der.len == 0 ? NULL : d2i_X509(NULL, &p, (long)der.len);
	if (cert == NULL)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, custos_x509_drain(), "not a DER certificate");
	CUSTOS_TRY(whole((size_t)(p - der.ptr), der.len, "certificate", err));
	*ret_cert = CUSTOS_TAKE(cert);
	return CUSTOS_OK;
}

custos_rc custos_parsed_request(struct custos_bytes der, X509_REQ **ret_request, struct custos_err *err)
{
	const unsigned char *p = der.ptr;
	CUSTOS_AUTO_OSSL(request) X509_REQ *request = der.len > LONG_MAX || der.len == 0 ? NULL : d2i_X509_REQ(NULL, &p, (long)der.len);
	if (request == NULL)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, custos_x509_drain(), "not a DER certificate request");
	CUSTOS_TRY(whole((size_t)(p - der.ptr), der.len, "certificate request", err));
	*ret_request = CUSTOS_TAKE(request);
	return CUSTOS_OK;
}

void custos_parsed_key_name(EVP_PKEY *key, char out[static CUSTOS_KEY_NAME_SIZE])
{
	char group[32] = "";
	if (key == NULL) {
		snprintf(out, CUSTOS_KEY_NAME_SIZE, "unknown");
	} else if (EVP_PKEY_is_a(key, "RSA")) {
		snprintf(out, CUSTOS_KEY_NAME_SIZE, "rsa-%d", EVP_PKEY_get_bits(key));
	} else if (EVP_PKEY_is_a(key, "EC")) {
		if (EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
			snprintf(group, sizeof group, "unnamed");
		bool p256 = strcmp(group, "prime256v1") == 0, p384 = strcmp(group, "secp384r1") == 0, p521 = strcmp(group, "secp521r1") == 0;
		snprintf(out, CUSTOS_KEY_NAME_SIZE, "ec-%s", p256 ? "p256" : p384 ? "p384" : p521 ? "p521" : group);
	} else if (EVP_PKEY_is_a(key, "ED25519")) {
		snprintf(out, CUSTOS_KEY_NAME_SIZE, "ed25519");
	} else {
		const char *type = EVP_PKEY_get0_type_name(key);
		snprintf(out, CUSTOS_KEY_NAME_SIZE, "%.40s", type == NULL ? "unknown" : type);
	}
	custos_x509_drain();
}

custos_rc custos_parsed_spki(X509_PUBKEY *key, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_drop_der) unsigned char *der = NULL;
	int len = key == NULL ? 0 : i2d_X509_PUBKEY(key, &der);
	if (len <= 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, custos_x509_drain(), "the public key cannot be encoded");
	return custos_buf_append(spki, der, (size_t)len, err);
}

bool custos_parsed_time(const ASN1_TIME *time, int64_t *ret_unix_seconds)
{
	struct tm utc;
	if (time == NULL || ASN1_TIME_to_tm(time, &utc) != 1) {
		custos_x509_drain();
		return false;
	}
	*ret_unix_seconds = (int64_t)timegm(&utc);
	return true;
}

GENERAL_NAMES *custos_parsed_cert_names(const X509 *cert, bool *ret_broken)
{
	int critical = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
	*ret_broken = names == NULL && critical != -1;
	custos_x509_drain();
	return names;
}

GENERAL_NAMES *custos_parsed_request_names(X509_REQ *request, bool *ret_broken)
{
	CUSTOS_CLEANUP(custos_drop_extensions) STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	int critical = -1;
	GENERAL_NAMES *names = extensions == NULL ? NULL : X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, NULL);
	*ret_broken = names == NULL && critical != -1;
	custos_x509_drain();
	return names;
}

bool custos_parsed_must_staple(X509_REQ *request)
{
	CUSTOS_CLEANUP(custos_drop_extensions) STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	TLS_FEATURE *features = extensions == NULL ? NULL : X509V3_get_d2i(extensions, NID_tlsfeature, NULL, NULL);
	bool staple = false;
	for (int i = 0; features != NULL && i < sk_ASN1_INTEGER_num(features); i++)
		staple = staple || ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == CUSTOS_TLS_STATUS_REQUEST;
	sk_ASN1_INTEGER_pop_free(features, ASN1_INTEGER_free);
	custos_x509_drain();
	return staple;
}

bool custos_parsed_covers(X509 *cert, const char *name)
{
	int matches = X509_check_ip_asc(cert, name, 0);
	if (matches != 1 && name[0] != '\0') {
		ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
		bool is_address = ip != NULL;
		ASN1_OCTET_STRING_free(ip);
		/* an address is never matched as a host name */
		matches = is_address ? 0 : X509_check_host(cert, name, strlen(name), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL);
	}
	custos_x509_drain();
	return matches == 1;
}

static void set_time(struct custos_json *facts, const char *key, const ASN1_TIME *time)
{
	int64_t seconds = 0;
	char text[CUSTOS_TIME_TEXT];
	if (!custos_parsed_time(time, &seconds)) {
		custos_json_set_text(facts, key, NULL);
		return;
	}
	custos_clock_text(seconds, text);
	custos_json_set_text(facts, key, text);
}

static void set_name(struct custos_json *facts, const char *key, const X509_NAME *name)
{
	CUSTOS_AUTO_STR *text = custos_name_text(name);
	custos_json_set_text(facts, key, text);
}

static void set_serial(struct custos_json *facts, const ASN1_INTEGER *serial)
{
	enum { SHOWN_MAX = 64 /* RFC 5280 allows 20 bytes */ };
	size_t len = (size_t)ASN1_STRING_length(serial);
	if (len > SHOWN_MAX)
		len = SHOWN_MAX;
	CUSTOS_AUTO_STR *text = malloc(2 * len + 2);
	if (text != NULL) {
		bool negative = ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER;
		text[0] = '-';
		custos_text_hex(ASN1_STRING_get0_data(serial), len, text + (negative ? 1 : 0));
	}
	custos_json_set_text(facts, "serial", text);
}

static custos_rc set_key(struct custos_json *facts, X509_PUBKEY *key, struct custos_err *err)
{
	CUSTOS_AUTO_BUF spki = { 0 };
	uint8_t hash[CUSTOS_HASH_SIZE];
	char name[CUSTOS_KEY_NAME_SIZE];
	CUSTOS_TRY(custos_parsed_spki(key, &spki, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&spki), hash, err));
	custos_json_set_hex(facts, "spki_sha256", hash, sizeof hash);
	custos_parsed_key_name(X509_PUBKEY_get0(key), name);
	custos_json_set_text(facts, "key_type", name);
	return CUSTOS_OK;
}

static void set_signature(struct custos_json *facts, int nid)
{
	custos_json_set_text(facts, "signature_algorithm", nid == NID_undef ? "unknown" : OBJ_nid2ln(nid));
}

custos_rc custos_parsed_cert_facts(X509 *cert, struct custos_json **ret_facts, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *facts = custos_json_object();
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *names = NULL;
	CUSTOS_CLEANUP(custos_drop_der) unsigned char *der = NULL;
	uint8_t hash[CUSTOS_HASH_SIZE];
	bool broken = false;
	set_name(facts, "subject", X509_get_subject_name(cert));
	set_name(facts, "issuer", X509_get_issuer_name(cert));
	names = custos_parsed_cert_names(cert, &broken);
	custos_json_set(facts, "sans", custos_name_alts_json(names));
	set_time(facts, "not_before", X509_get0_notBefore(cert));
	set_time(facts, "not_after", X509_get0_notAfter(cert));
	set_serial(facts, X509_get0_serialNumber(cert));
	CUSTOS_TRY(set_key(facts, X509_get_X509_PUBKEY(cert), err));
	set_signature(facts, X509_get_signature_nid(cert));
	custos_json_set_bool(facts, "ca", X509_check_ca(cert) != 0);
	int len = i2d_X509(cert, &der);
	CUSTOS_REQUIRE(len > 0, err, CUSTOS_E_INPUT, "the certificate cannot be encoded");
	CUSTOS_TRY(custos_sha256(CUSTOS_BYTES(der, (size_t)len), hash, err));
	custos_json_set_hex(facts, "sha256", hash, sizeof hash);
	custos_x509_drain();
	*ret_facts = CUSTOS_TAKE(facts);
	return CUSTOS_OK;
}

custos_rc custos_parsed_request_facts(X509_REQ *request, struct custos_json **ret_facts, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *facts = custos_json_object();
	bool broken = false;
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *names = custos_parsed_request_names(request, &broken);
	set_name(facts, "subject", X509_REQ_get_subject_name(request));
	custos_json_set(facts, "sans", custos_name_alts_json(names));
	CUSTOS_TRY(set_key(facts, X509_REQ_get_X509_PUBKEY(request), err));
	set_signature(facts, X509_REQ_get_signature_nid(request));
	custos_json_set_bool(facts, "must_staple", custos_parsed_must_staple(request));
	custos_x509_drain();
	*ret_facts = CUSTOS_TAKE(facts);
	return CUSTOS_OK;
}
