/* Rules for leaf and intermediates. ESXi's are those of its documentation: RSA only (at most 8192 bits), no RSASSA-PSS, no SHA-1, key usage for
 * signing and key encipherment, wildcards not supported. */
#include "x509/rules.h"
#include "base/clock.h"
#include "crypto/digest.h"
#include "x509/cert.h"
#include "x509/name.h"
#include "x509/parsed.h"
#include "x509/san.h"

#include <stdio.h>

#define ADD(code, severity, remedy, ...) custos_problems_add(r->problems, code, CUSTOS_SEVERITY_##severity, remedy, __VA_ARGS__)

static void check_dates(const struct custos_rules *r, const X509 *cert, const char *subject)
{
	int64_t from = 0, until = 0;
	char text[CUSTOS_TIME_TEXT];
	if (!custos_parsed_time(X509_get0_notBefore(cert), &from) || !custos_parsed_time(X509_get0_notAfter(cert), &until)) {
		ADD("bad_dates", ERROR, "ask the CA for a correct certificate", "'%.300s': the validity cannot be read", subject);
		return;
	}
	if (until < r->options->now_unix) {
		custos_clock_text(until, text);
		ADD("expired", ERROR, "renew it, or give the renewed one", "'%.300s' expired on %s", subject, text);
	}
	if (from > r->options->now_unix) {
		custos_clock_text(from, text);
		ADD("not_yet_valid", ERROR, "wait until then, or set the clock of this machine right", "'%.300s' is not valid before %s", subject, text);
	}
}

static void check_signature(const struct custos_rules *r, X509 *cert, const char *subject)
{
	int digest = NID_undef, key = NID_undef;
	X509_get_signature_info(cert, &digest, &key, NULL, NULL);
	if (X509_self_signed(cert, 0) == 1)
		return; /* nobody relies on its signature */
	if (digest == NID_sha1 || digest == NID_md5_sha1)
		ADD("sha1_signature", ERROR, "ask the CA for a certificate signed with SHA-256", "'%.300s' is signed with SHA-1, which clients refuse", subject);
	else if (digest == NID_md5 || digest == NID_md4 || digest == NID_md2)
		ADD("weak_signature", ERROR, "ask the CA for a certificate signed with SHA-256",
		    "'%.300s' is signed with a broken digest (%s)", subject, OBJ_nid2sn(digest));
	if (r->esxi && key == NID_rsassaPss)
		ADD("pss_for_esxi", ERROR, "ask the CA for a signature in PKCS#1 v1.5", "'%.300s' is signed with RSASSA-PSS, which ESXi does not support", subject);
}

static void check_strength(const struct custos_rules *r, X509 *cert, const char *subject)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	if (key == NULL) {
		char type[80] = "";
		ASN1_OBJECT *algorithm = NULL;
		if (X509_PUBKEY_get0_param(&algorithm, NULL, NULL, NULL, X509_get_X509_PUBKEY(cert)) == 1)
			OBJ_obj2txt(type, sizeof type, algorithm, 0);
		ADD("bad_key", ERROR, "use a key of a common type (rsa-2048, ec-p256)", "'%.300s': its public key is damaged or of an unknown type (%s)", subject, type);
	} else if ((EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) && EVP_PKEY_get_bits(key) < 2048) {
		ADD("weak_rsa", ERROR, "use a key of 2048 bits or more", "'%.300s' has an RSA key of %d bits, less than 2048", subject, EVP_PKEY_get_bits(key));
	} else if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) < 256) {
		ADD("weak_ec", ERROR, "use the curve P-256 or P-384", "'%.300s' has an EC key of %d bits, less than 256", subject, EVP_PKEY_get_bits(key));
	}
}

void custos_rules_issuer(const struct custos_rules *r, struct x509_st *issuer)
{
	CUSTOS_AUTO_STR *subject = custos_name_text(X509_get_subject_name(issuer));
	const char *s = subject == NULL ? "" : subject;
	check_dates(r, issuer, s);
	check_signature(r, issuer, s);
	check_strength(r, issuer, s);
	custos_rules_form(r, issuer, s);
	custos_x509_drain();
}

static void check_for_esxi(const struct custos_rules *r, X509 *leaf)
{
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	char type[CUSTOS_KEY_NAME_SIZE];
	custos_parsed_key_name(key, type);
	if (key != NULL && !EVP_PKEY_is_a(key, "RSA"))
		ADD("ec_for_esxi", ERROR, "generate an rsa-2048 or rsa-3072 key for this host", "the certificate has a key of type %s; ESXi supports RSA only", type);
	else if (key != NULL && EVP_PKEY_get_bits(key) > 8192)
		ADD("large_rsa_for_esxi", ERROR, "use a key of 2048 to 8192 bits", "the key has %d bits; ESXi takes at most 8192", EVP_PKEY_get_bits(key));
	uint32_t usage = X509_get_key_usage(leaf); /* all bits when the extension is absent */
	if ((usage & KU_DIGITAL_SIGNATURE) == 0 || (usage & KU_KEY_ENCIPHERMENT) == 0)
		ADD("usage_for_esxi", WARNING, "ask the CA for key usage digitalSignature and keyEncipherment",
		    "the key usage lacks digitalSignature or keyEncipherment, which ESXi asks for");
}

static void check_wildcards(const struct custos_rules *r, const GENERAL_NAMES *names)
{
	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		CUSTOS_AUTO_STR *text = custos_name_alt_text(sk_GENERAL_NAME_value(names, i));
		if (r->esxi && text != NULL && strncmp(text, "dns:*", 5) == 0)
			ADD("wildcard_for_esxi", WARNING, "get a certificate with the full name of the host",
			    "the certificate names a wildcard (%.300s), which ESXi does not support", text + 4);
		if (text != NULL && strstr(text, "\\x00") != NULL)
			ADD("hostile_name", ERROR, "do not use this certificate and tell the CA", "a name in the certificate holds a NUL byte: %.300s", text);
	}
}

static void check_purpose(const struct custos_rules *r, X509 *leaf)
{
	uint32_t purposes = X509_get_extended_key_usage(leaf); /* all bits when the extension is absent */
	if (r->client && (purposes & XKU_SSL_CLIENT) == 0 && (purposes & XKU_ANYEKU) == 0)
		ADD("no_client_auth", ERROR, "ask the CA for a TLS client certificate", "the certificate is not meant for a TLS client (extended key usage lacks clientAuth)");
	else if (!r->client && (purposes & XKU_SSL_SERVER) == 0 && (purposes & XKU_ANYEKU) == 0)
		ADD("no_server_auth", ERROR, "ask the CA for a TLS server certificate",
		    "the certificate is not meant for a TLS server (extended key usage lacks serverAuth)");
	bool self_signed = X509_self_signed(leaf, 1) == 1;
	if (self_signed && r->anchored)
		ADD("self_signed", WARNING, "nothing to do, if every client was told to trust it",
		    "the certificate is self-signed; it is one of the trust anchors given");
	else if (self_signed)
		ADD("self_signed", ERROR, "send the request to a CA and give the certificate that comes back",
		    "the certificate is self-signed; no client trusts it unless told to");
	else if (X509_check_ca(leaf) == 1)
		ADD("leaf_is_ca", WARNING, "ask the CA for a certificate that is no CA", "the server's certificate may itself issue certificates");
}

static void hex_of(struct custos_bytes spki, char out[static 17])
{
	uint8_t hash[CUSTOS_HASH_SIZE] = { 0 };
	if (custos_spki_sha256(spki, hash, NULL) != CUSTOS_OK)
		memset(hash, 0, sizeof hash);
	for (size_t i = 0; i < 8; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static void type_of(struct custos_bytes spki, char out[static CUSTOS_KEY_NAME_SIZE])
{
	CUSTOS_AUTO_BUF name = { 0 };
	bool known = custos_spki_key_type(spki, &name, NULL) == CUSTOS_OK;
	snprintf(out, CUSTOS_KEY_NAME_SIZE, "%s", known ? (const char *)name.ptr : "unknown");
}

/* Types first: an RSA certificate with an EC key even passes some servers' own tests. */
static bool check_key(const struct custos_rules *r, struct custos_bytes own, struct custos_bytes wanted, const char *whose)
{
	char own_type[CUSTOS_KEY_NAME_SIZE], wanted_type[CUSTOS_KEY_NAME_SIZE], own_hex[17], wanted_hex[17];
	if (custos_bytes_equal(own, wanted))
		return true;
	type_of(own, own_type);
	type_of(wanted, wanted_type);
	hex_of(own, own_hex);
	hex_of(wanted, wanted_hex);
	if (strcmp(own_type, wanted_type) != 0)
		ADD("other_key", ERROR, "give the certificate that was issued for this key's request",
		    "the certificate belongs to another key: it is for a key of type %s, %s is of type %s", own_type, whose, wanted_type);
	else
		ADD("other_key", ERROR, "give the certificate that was issued for this key's request",
		    "the certificate belongs to another key: it is for %s… (SHA-256 of the public key), %s is %s…",
		    own_hex, whose, wanted_hex);
	return false;
}

static bool is_covered(X509 *leaf, const GENERAL_NAMES *own, GENERAL_NAME *wanted, const char *text)
{
	for (int i = 0; own != NULL && i < sk_GENERAL_NAME_num(own); i++)
		if (custos_san_equal(sk_GENERAL_NAME_value(own, i), wanted))
			return true;
	/* a wildcard of the certificate covers a plain name of the request */
	return wanted->type == GEN_DNS && strchr(text, '*') == NULL && strchr(text, '\\') == NULL && custos_parsed_covers(leaf, text + 4);
}

/* What a CA adds ("www", or a stranger's name) is valid for whoever has the key, and a renewal would ask for it. */
static custos_rc check_added_names(const struct custos_rules *r, const GENERAL_NAMES *own, const GENERAL_NAMES *wanted, struct custos_err *err)
{
	CUSTOS_AUTO_BUF added = { .max = 4096 };
	for (int i = 0; own != NULL && i < sk_GENERAL_NAME_num(own) && added.len < 1024; i++) {
		bool asked = false;
		for (int k = 0; k < sk_GENERAL_NAME_num(wanted); k++)
			asked = asked || custos_san_equal(sk_GENERAL_NAME_value(own, i), sk_GENERAL_NAME_value(wanted, k));
		if (asked)
			continue;
		CUSTOS_AUTO_STR *text = custos_name_alt_text(sk_GENERAL_NAME_value(own, i));
		CUSTOS_REQUIRE(text != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		CUSTOS_TRY(custos_buf_printf(&added, err, "%s%.200s", added.len > 0 ? ", " : "", text));
	}
	if (added.len > 0)
		ADD("names_added", WARNING, "nothing to do, if these names are yours; else do not use it, and tell the CA",
		    "the certificate has names that the request did not ask for: %s", (const char *)added.ptr);
	return CUSTOS_OK;
}

static custos_rc check_request(const struct custos_rules *r, X509 *leaf, const GENERAL_NAMES *own, struct custos_bytes spki, bool key_was_checked, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(request) X509_REQ *request = NULL;
	CUSTOS_AUTO_BUF wanted_spki = { 0 }, missing = { .max = 4096 };
	bool broken = false;
	CUSTOS_TRY(custos_parsed_request(r->options->csr, &request, err));
	CUSTOS_TRY(custos_parsed_spki(X509_REQ_get_X509_PUBKEY(request), &wanted_spki, err));
	if (!key_was_checked)
		(void)!check_key(r, spki, custos_buf_view(&wanted_spki), "the request");
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *wanted = custos_parsed_request_names(request, &broken);
	for (int i = 0; wanted != NULL && i < sk_GENERAL_NAME_num(wanted); i++) {
		CUSTOS_AUTO_STR *text = custos_name_alt_text(sk_GENERAL_NAME_value(wanted, i));
		CUSTOS_REQUIRE(text != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		if (!is_covered(leaf, own, sk_GENERAL_NAME_value(wanted, i), text) && missing.len < 1024)
			CUSTOS_TRY(custos_buf_printf(&missing, err, "%s%.200s", missing.len > 0 ? ", " : "", text));
	}
	if (missing.len > 0)
		ADD("san_missing", ERROR, "ask the CA to issue it again with all names of the request",
		    "the certificate lacks names that the request asked for: %s", (const char *)missing.ptr);
	/* a request without names leaves them to the CA */
	return wanted == NULL || sk_GENERAL_NAME_num(wanted) == 0 ? CUSTOS_OK : check_added_names(r, own, wanted, err);
}

custos_rc custos_rules_leaf(const struct custos_rules *r, struct x509_st *leaf, struct custos_err *err)
{
	CUSTOS_AUTO_STR *subject = custos_name_text(X509_get_subject_name(leaf));
	CUSTOS_AUTO_BUF spki = { 0 };
	bool broken = false;
	CUSTOS_REQUIRE(subject != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_parsed_spki(X509_get_X509_PUBKEY(leaf), &spki, err));
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *names = custos_parsed_cert_names(leaf, &broken);
	if (r->options->spki.len > 0)
		(void)!check_key(r, custos_buf_view(&spki), r->options->spki, "the key");
	if (broken)
		ADD("bad_san", ERROR, "ask the CA for a correct certificate", "'%.300s': its names (subjectAltName) cannot be read", subject);
	else if (!r->client && (names == NULL || sk_GENERAL_NAME_num(names) == 0))
		ADD("no_san", ERROR, "ask the CA for a certificate with subjectAltName; a common name alone is ignored by clients",
		    "'%.300s' names no host (no subjectAltName)", subject);
	if (r->options->csr.len > 0)
		CUSTOS_TRY(check_request(r, leaf, names, custos_buf_view(&spki), r->options->spki.len > 0, err));
	check_wildcards(r, names);
	check_dates(r, leaf, subject);
	check_signature(r, leaf, subject);
	check_strength(r, leaf, subject);
	check_purpose(r, leaf);
	custos_rules_form(r, leaf, subject);
	custos_rules_leaf_form(r, leaf, subject);
	if (r->esxi)
		check_for_esxi(r, leaf);
	custos_x509_drain();
	return CUSTOS_OK;
}
