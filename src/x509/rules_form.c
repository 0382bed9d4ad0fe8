/* Rules about the form of a certificate: what OpenSSL reads without a word, and what other clients refuse (RFC 5280; for servers the Baseline Requirements of the
 * CA/Browser Forum). Names and extensions are looked at up to a number that no certificate of a server has. */
#include "x509/name.h"
#include "x509/parsed.h"
#include "x509/rules.h"
#include "x509/san.h"

#include <openssl/core_names.h>

#define ADD(code, severity, remedy, ...) custos_problems_add(r->problems, code, CUSTOS_SEVERITY_##severity, remedy, __VA_ARGS__)
#define ASK_AGAIN "ask the CA for a correct certificate"
enum { EXTENSIONS_MAX = 100, NAMES_MAX = 1000, SHOWN_MAX = 3, OID_SIZE = 80 };

/* RFC 5280 4.1.2.5: seconds and Z, no fractions, no other time zone. Clients that compare characters refuse everything else. */
static bool is_plain(const ASN1_TIME *time)
{
	int digits = ASN1_STRING_type(time) == V_ASN1_UTCTIME ? 12 : 14;
	const unsigned char *text = ASN1_STRING_get0_data(time);
	bool plain = ASN1_STRING_length(time) == digits + 1 && text[digits] == 'Z';
	for (int i = 0; plain && i < digits; i++)
		plain = text[i] >= '0' && text[i] <= '9';
	return plain;
}

static void check_times(const struct custos_rules *r, const X509 *cert, const char *subject)
{
	const ASN1_TIME *from = X509_get0_notBefore(cert), *until = X509_get0_notAfter(cert);
	int64_t begins, ends;
	if (!custos_parsed_time(from, &begins) || !custos_parsed_time(until, &ends))
		return; /* said elsewhere */
	if (ends < begins)
		ADD("bad_dates", ERROR, ASK_AGAIN, "'%.300s' ends before it begins", subject);
	if (!is_plain(from) || !is_plain(until))
		ADD("bad_dates", ERROR, ASK_AGAIN, "'%.300s': its dates are not written as clients want them (without seconds, with fractions of them, or in a time zone)", subject);
}

static void check_extensions(const struct custos_rules *r, const X509 *cert, const char *subject)
{
	int count = X509_get_ext_count(cert);
	for (int i = 0; i < count && i < EXTENSIONS_MAX; i++) {
		X509_EXTENSION *extension = X509_get_ext(cert, i);
		const ASN1_OBJECT *what = X509_EXTENSION_get_object(extension);
		char text[OID_SIZE] = "";
		bool twice = false;
		OBJ_obj2txt(text, sizeof text, what, 0);
		for (int k = 0; k < i; k++)
			twice = twice || OBJ_cmp(X509_EXTENSION_get_object(X509_get_ext(cert, k)), what) == 0;
		if (twice) /* RFC 5280 4.2 */
			ADD("duplicate_extension", ERROR, ASK_AGAIN, "'%.300s' has the extension '%s' twice, and clients refuse it", subject, text);
		else if (OBJ_obj2nid(what) == NID_ct_precert_poison) /* RFC 6962 3.1 */
			ADD("precertificate", ERROR, "give the certificate itself, which the CA sent besides or after it",
			    "'%.300s' is a precertificate, made for the logs of Certificate Transparency alone", subject);
		else if (X509_EXTENSION_get_critical(extension) && X509_supported_extension(extension) != 1)
			ADD("unknown_critical", ERROR, "ask the CA for a certificate without it", "'%.300s' has a critical extension that clients do not know (%s), and so they refuse it",
			    subject, text);
	}
}

void custos_rules_form(const struct custos_rules *r, struct x509_st *cert, const char *subject)
{
	check_times(r, cert, subject);
	check_extensions(r, cert, subject);
}

/* Of which curve, and written how. */
static void check_curve(const struct custos_rules *r, X509 *leaf, EVP_PKEY *key, const char *subject)
{
	char type[CUSTOS_KEY_NAME_SIZE];
	const unsigned char *point = NULL;
	int len = 0, explicit_curve = 0;
	custos_parsed_key_name(key, type);
	bool known = strcmp(type, "ec-p256") == 0 || strcmp(type, "ec-p384") == 0 || strcmp(type, "ec-p521") == 0;
	if (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_curve) == 1 && explicit_curve == 1) {
		/* RFC 5480 2.1.1 */
		ADD("explicit_curve", ERROR, "generate a key on a curve that is called by its name", "the EC key of '%.300s' comes with the parameters of its curve instead of its name, which clients refuse",
		    subject);
		return;
	}
	if (!known && EVP_PKEY_get_bits(key) >= 256)
		ADD("uncommon_curve", ERROR, "use the curve P-256 or P-384", "'%.300s' has a key of type %s, a curve that no client offers by default", subject, type);
	if (strcmp(type, "ec-p521") == 0)
		ADD("p521_key", WARNING, "use the curve P-256 or P-384, if browsers are to come", "'%.300s' has a key of type ec-p521, which not all browsers take", subject);
	if (X509_PUBKEY_get0_param(NULL, &point, &len, NULL, X509_get_X509_PUBKEY(leaf)) == 1 && len > 0 && (point[0] == 2 || point[0] == 3))
		ADD("compressed_point", WARNING, "ask for a certificate with the point as a whole", "the EC key of '%.300s' is a compressed point, which not all clients read", subject);
}

/* With what a TLS server can sign, and its clients verify. */
static void check_kind(const struct custos_rules *r, X509 *leaf, const char *subject)
{
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	char type[CUSTOS_KEY_NAME_SIZE];
	if (key == NULL || EVP_PKEY_is_a(key, "RSA"))
		return;
	custos_parsed_key_name(key, type);
	if (EVP_PKEY_is_a(key, "EC"))
		check_curve(r, leaf, key, subject);
	else if (EVP_PKEY_is_a(key, "RSA-PSS"))
		ADD("pss_key", WARNING, "use a common RSA key", "'%.300s' has an RSA key that is for RSASSA-PSS alone, which browsers do not take", subject);
	else if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
		ADD("eddsa_key", WARNING, "use a key of type rsa-2048 or ec-p256, if browsers are to come", "'%.300s' has a key of type %s, which browsers do not take", subject, type);
	else
		ADD("key_type", ERROR, "use a key of type rsa-2048 or ec-p256", "'%.300s' has a key of type %s, with which no TLS server signs today", subject, type);
	uint32_t usage = X509_get_key_usage(leaf); /* all bits when the extension is absent */
	/* RFC 8813 3, RFC 9295 2 */
	if (usage != UINT32_MAX && (usage & KU_KEY_ENCIPHERMENT) != 0 && !EVP_PKEY_is_a(key, "RSA-PSS"))
		ADD("usage_for_rsa", WARNING, "nothing to do for a CA of your own; a public one leaves it out", "the key usage has keyEncipherment, which a key of type %s cannot do", type);
}

/* Why no client will find the host by this name; NULL: it may. Underscores are no host name's, but clients match them. */
static const char *why_unusable(const GENERAL_NAME *name)
{
	char copy[256];
	const char *ignored;
	int type = -1;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
	size_t len = (size_t)ASN1_STRING_length(value);
	if (type == GEN_IPADD)
		return len == 4 || len == 16 ? NULL : "is no address";
	if (len >= sizeof copy)
		return "is longer than 253 characters";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = ASN1_STRING_get0_data(value)[i];
		if (c >= 0x80)
			return "is written in letters outside ASCII, and clients look for its A-labels (xn--)";
		copy[i] = c == '_' || c == '\0' ? 'a' : (char)c;
	}
	copy[len] = '\0';
	return custos_san_bad_host(copy, &ignored);
}

/* Names that are there, and names that are of use. */
static void check_names(const struct custos_rules *r, const GENERAL_NAMES *names, const char *subject)
{
	int hosts = 0, bad = 0;
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < NAMES_MAX; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_DNS && name->type != GEN_IPADD)
			continue;
		const char *why = why_unusable(name);
		hosts++;
		if (why == NULL || bad++ >= SHOWN_MAX)
			continue;
		CUSTOS_AUTO_STR *text = custos_name_alt_text(name);
		ADD("odd_name", WARNING, "ask the CA for a certificate with the name as clients use it", "a name in the certificate %s: %.300s", why, text == NULL ? "" : text);
	}
	if (hosts == 0)
		ADD("no_san", ERROR, "ask the CA for a certificate with subjectAltName; a common name alone is ignored by clients",
		    "'%.300s' names no host (its subjectAltName has neither a host name nor an address)", subject);
	else if (bad == hosts)
		ADD("no_usable_name", ERROR, "ask the CA for a certificate with the names as clients use them", "'%.300s' has no name by which a client could ask for a host", subject);
}

void custos_rules_leaf_form(const struct custos_rules *r, struct x509_st *leaf, const char *subject)
{
	int at = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);
	bool broken;
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *names = custos_parsed_cert_names(leaf, &broken);
	if (X509_get_version(leaf) != X509_VERSION_3)
		ADD("old_version", ERROR, ASK_AGAIN, "'%.300s' is a certificate of version %ld; clients want version 3, which alone has names", subject, X509_get_version(leaf) + 1);
	if (ASN1_STRING_length(X509_get0_notAfter(leaf)) == 15 && memcmp(ASN1_STRING_get0_data(X509_get0_notAfter(leaf)), "99991231235959Z", 15) == 0)
		ADD("no_end", WARNING, "ask the CA for one that ends: keys do not last for ever", "'%.300s' has no end (RFC 5280 4.1.2.5)", subject);
	if (at >= 0 && X509_NAME_entry_count(X509_get_subject_name(leaf)) == 0 && X509_EXTENSION_get_critical(X509_get_ext(leaf, at)) == 0)
		ADD("san_not_critical", WARNING, "ask the CA to mark subjectAltName as critical", "the certificate has no subject, and its names are not critical as they are to be then (RFC 5280 4.2.1.6)");
	if (!r->client && names != NULL && sk_GENERAL_NAME_num(names) > 0)
		check_names(r, names, subject);
	check_kind(r, leaf, subject);
	custos_x509_drain();
}
