/* Certificates that are well-formed for OpenSSL and odd all the same: for each there is a line that says what it is, and none that a person could accept away. */
#include "x509_trust.h"

#include "data/json.h"
#include "x509/check.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>

static int setup(void **state)
{
	struct lab_trust *f = calloc(1, sizeof *f);
	f->root_key = lab_ec();
	f->ca_key = lab_ec();
	f->key = lab_ec();
	lab_trust_begin(f, 400);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct lab_trust *f = *state;
	lab_trust_end(f);
	free(f);
	return 0;
}

/* In order but for what is changed later: sign() again then. */
static X509 *leaf_with(const struct lab_trust *f, EVP_PKEY *key, const char *sans)
{
	return lab_issue((struct lab_spec){ .cn = "a.example.com", .sans = sans, .usage = "critical,digitalSignature", .purpose = "serverAuth", .key = key == NULL ? f->key : key, .issuer = f->ca,
	                                    .issuer_key = f->ca_key });
}

static X509 *signed_again(const struct lab_trust *f, X509 *leaf, const EVP_MD *digest)
{
	assert_true(X509_sign(leaf, f->ca_key, digest) > 0);
	return leaf;
}

static X509 *of_key(const struct lab_trust *f, EVP_PKEY *key)
{
	assert_non_null(key);
	X509 *leaf = leaf_with(f, key, "DNS:a.example.com");
	EVP_PKEY_free(key);
	return leaf;
}

static X509 *ed25519(const struct lab_trust *f) { return of_key(f, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")); }
static X509 *ed448(const struct lab_trust *f) { return of_key(f, EVP_PKEY_Q_keygen(NULL, NULL, "ED448")); }
static X509 *x25519(const struct lab_trust *f) { return of_key(f, EVP_PKEY_Q_keygen(NULL, NULL, "X25519")); }
static X509 *p192(const struct lab_trust *f) { return of_key(f, EVP_EC_gen("prime192v1")); }
static X509 *p224(const struct lab_trust *f) { return of_key(f, EVP_EC_gen("P-224")); }
static X509 *p521(const struct lab_trust *f) { return of_key(f, EVP_EC_gen("P-521")); }
static X509 *secp256k1(const struct lab_trust *f) { return of_key(f, EVP_EC_gen("secp256k1")); }
static X509 *brainpool(const struct lab_trust *f) { return of_key(f, EVP_EC_gen("brainpoolP256r1")); }

static EVP_PKEY *ec_written(const char *parameter, const char *how)
{
	EVP_PKEY *key = lab_ec();
	assert_int_equal(EVP_PKEY_set_utf8_string_param(key, parameter, how), 1);
	return key;
}

static X509 *explicit_curve(const struct lab_trust *f) { return of_key(f, ec_written(OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT)); }
static X509 *compressed(const struct lab_trust *f) { return of_key(f, ec_written(OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed")); }

static X509 *pss_of(const struct lab_trust *f, size_t bits)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
	EVP_PKEY_CTX_free(ctx);
	return of_key(f, key);
}

static X509 *pss(const struct lab_trust *f) { return pss_of(f, 2048); }
static X509 *weak_pss(const struct lab_trust *f) { return pss_of(f, 1024); }

/* Of numbers that are no group: only what kind it is is looked at. */
static X509 *dsa(const struct lab_trust *f)
{
	EVP_PKEY *key = NULL;
	static const char *const parts[] = { OSSL_PKEY_PARAM_FFC_P, OSSL_PKEY_PARAM_FFC_Q, OSSL_PKEY_PARAM_FFC_G, OSSL_PKEY_PARAM_PUB_KEY };
	static const int bits[] = { 2048, 256, 2000, 2000 };
	BIGNUM *numbers[4];
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
	for (int i = 0; i < 4; i++) {
		numbers[i] = BN_new();
		BN_rand(numbers[i], bits[i], BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
		assert_int_equal(OSSL_PARAM_BLD_push_BN(build, parts[i], numbers[i]), 1);
	}
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	for (int i = 0; i < 4; i++)
		BN_free(numbers[i]);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	EVP_PKEY_CTX_free(ctx);
	return of_key(f, key);
}

/* ML-DSA-65 (FIPS 204), which this OpenSSL does not know. */
static X509 *unknown_key(const struct lab_trust *f)
{
	X509 *leaf = leaf_with(f, NULL, "DNS:a.example.com");
	unsigned char *bytes = OPENSSL_zalloc(1952);
	assert_int_equal(X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(leaf), OBJ_txt2obj("2.16.840.1.101.3.4.3.18", 1), V_ASN1_UNDEF, NULL, bytes, 1952), 1);
	return signed_again(f, leaf, EVP_sha256());
}

static X509 *version_1(const struct lab_trust *f)
{
	X509 *leaf = lab_issue((struct lab_spec){ .cn = "a.example.com", .no_key_ids = true, .key = f->key, .issuer = f->ca, .issuer_key = f->ca_key });
	X509_set_version(leaf, X509_VERSION_1);
	return signed_again(f, leaf, EVP_sha256());
}

static X509 *version_1_with_names(const struct lab_trust *f)
{
	X509 *leaf = leaf_with(f, NULL, "DNS:a.example.com");
	X509_set_version(leaf, X509_VERSION_1);
	return signed_again(f, leaf, EVP_sha256());
}

static X509 *extended(const struct lab_trust *f, const char *oid, int critical)
{
	X509 *leaf = leaf_with(f, NULL, "DNS:a.example.com");
	ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2);
	X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, critical, value);
	assert_int_equal(X509_add_ext(leaf, extension, -1), 1);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(object);
	return signed_again(f, leaf, EVP_sha256());
}

static X509 *unknown_critical(const struct lab_trust *f) { return extended(f, "1.3.6.1.4.1.99999.1", 1); }
static X509 *unknown_extension(const struct lab_trust *f) { return extended(f, "1.3.6.1.4.1.99999.1", 0); }
static X509 *precertificate(const struct lab_trust *f) { return extended(f, "1.3.6.1.4.1.11129.2.4.3", 1); }

static X509 *twice(const struct lab_trust *f, int nid, const char *value)
{
	X509 *leaf = leaf_with(f, NULL, "DNS:a.example.com");
	lab_extension(leaf, f->ca, nid, value);
	return signed_again(f, leaf, EVP_sha256());
}

static X509 *two_usages(const struct lab_trust *f) { return twice(f, NID_key_usage, "critical,digitalSignature"); }
static X509 *two_sans(const struct lab_trust *f) { return twice(f, NID_subject_alt_name, "DNS:b.example.com"); }

static X509 *signed_by(const struct lab_trust *f, const EVP_MD *digest) { return signed_again(f, leaf_with(f, NULL, "DNS:a.example.com"), digest); }
static X509 *sha1(const struct lab_trust *f) { return signed_by(f, EVP_sha1()); }

/* By an RSA key: there is no ECDSA with MD5. */
static X509 *md5_under(EVP_PKEY *issuer_key, X509 *issuer, EVP_PKEY *key)
{
	X509 *leaf = lab_leaf("a.example.com", key, issuer, issuer_key);
	assert_true(X509_sign(leaf, issuer_key, EVP_md5()) > 0);
	return leaf;
}

/* In the signature's algorithm within and without what is signed, or without alone, another number. */
static X509 *other_algorithm(const struct lab_trust *f, bool everywhere)
{
	static const unsigned char ecdsa[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };
	CUSTOS_AUTO_BUF der = { 0 };
	X509 *leaf = leaf_with(f, NULL, "DNS:a.example.com");
	int found = 0;
	lab_der(&der, leaf);
	X509_free(leaf);
	for (size_t i = der.len - sizeof ecdsa + 1; i-- > 0;)
		if (memcmp(der.ptr + i, ecdsa, sizeof ecdsa) == 0 && (found++ == 0 || everywhere))
			der.ptr[i + sizeof ecdsa - 1] = everywhere ? 0x7f : 0x03;
	assert_int_equal(found, 2);
	const unsigned char *p = der.ptr;
	leaf = d2i_X509(NULL, &p, (long)der.len);
	assert_non_null(leaf);
	return leaf;
}

static X509 *unknown_signature(const struct lab_trust *f) { return other_algorithm(f, true); }
static X509 *two_signatures(const struct lab_trust *f) { return other_algorithm(f, false); }

static X509 *at(const struct lab_trust *f, const char *from, const char *until)
{
	X509 *leaf = leaf_with(f, NULL, "DNS:a.example.com");
	const char *texts[] = { from, until };
	ASN1_TIME *times[] = { X509_getm_notBefore(leaf), X509_getm_notAfter(leaf) };
	for (int i = 0; i < 2; i++) {
		if (texts[i] == NULL)
			continue;
		times[i]->type = texts[i][0] == '2' && texts[i][1] == '0' ? V_ASN1_GENERALIZEDTIME : texts[i][0] == '9' ? V_ASN1_GENERALIZEDTIME : V_ASN1_UTCTIME;
		assert_int_equal(ASN1_STRING_set(times[i], texts[i], -1), 1);
	}
	return signed_again(f, leaf, EVP_sha256());
}

/* LAB_NOW is 2027-01-15 */
static X509 *no_end(const struct lab_trust *f) { return at(f, NULL, "99991231235959Z"); }
static X509 *ends_before(const struct lab_trust *f) { return at(f, "270110000000Z", "270109235959Z"); }
static X509 *fractions(const struct lab_trust *f) { return at(f, NULL, "20270301000000.5Z"); }
static X509 *no_seconds(const struct lab_trust *f) { return at(f, "2701010000Z", NULL); }
static X509 *in_a_zone(const struct lab_trust *f) { return at(f, NULL, "270301000000+0100"); }
static X509 *no_time(const struct lab_trust *f) { return at(f, NULL, "279901000000Z"); }

static X509 *named(const struct lab_trust *f, int type, const void *cn, int len)
{
	X509 *leaf = leaf_with(f, NULL, "DNS:a.example.com");
	X509_NAME *name = X509_NAME_new();
	assert_true(len == 0 || X509_NAME_add_entry_by_NID(name, NID_commonName, type, cn, len, -1, 0) == 1);
	X509_set_subject_name(leaf, name);
	X509_NAME_free(name);
	return signed_again(f, leaf, EVP_sha256());
}

static X509 *no_subject(const struct lab_trust *f) { return named(f, 0, NULL, 0); }
static X509 *bmp(const struct lab_trust *f) { return named(f, V_ASN1_BMPSTRING, "\0B\0\374\0c\0h", 8); }
static X509 *t61(const struct lab_trust *f) { return named(f, V_ASN1_T61STRING, "B\374ch", 4); }

static X509 *no_subject_critical(const struct lab_trust *f)
{
	X509 *leaf = leaf_with(f, NULL, "critical,DNS:a.example.com");
	X509_NAME *name = X509_NAME_new();
	X509_set_subject_name(leaf, name);
	X509_NAME_free(name);
	return signed_again(f, leaf, EVP_sha256());
}

static X509 *cn_only(const struct lab_trust *f) { return leaf_with(f, NULL, NULL); }
static X509 *mail_only(const struct lab_trust *f) { return leaf_with(f, NULL, "email:a@example.com"); }
static X509 *u_label(const struct lab_trust *f) { return leaf_with(f, NULL, "DNS:b\303\274cher.example"); }
static X509 *u_label_among(const struct lab_trust *f) { return leaf_with(f, NULL, "DNS:b\303\274cher.example,DNS:xn--bcher-kva.example"); }
static X509 *url_as_name(const struct lab_trust *f) { return leaf_with(f, NULL, "DNS:https://a.example.com/"); }
static X509 *address_as_name(const struct lab_trust *f) { return leaf_with(f, NULL, "DNS:192.0.2.1,IP:192.0.2.1"); }
static X509 *dot_at_end(const struct lab_trust *f) { return leaf_with(f, NULL, "DNS:a.example.com."); }
static X509 *wide(const struct lab_trust *f) { return leaf_with(f, NULL, "DNS:*.com"); }
static X509 *inner_wildcard(const struct lab_trust *f) { return leaf_with(f, NULL, "DNS:a.*.example.com,DNS:a.example.com"); }
static X509 *underscore(const struct lab_trust *f) { return leaf_with(f, NULL, "DNS:a_b.example.com,DNS:A.EXAMPLE.COM"); }

static X509 *ec_with_encipherment(const struct lab_trust *f)
{
	return lab_issue((struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .usage = "digitalSignature,keyEncipherment", .key = f->key, .issuer = f->ca, .issuer_key = f->ca_key });
}

static const struct {
	X509 *(*make)(const struct lab_trust *f);
	const char *code;       /* NULL: nothing to say */
	const char *severity, *words;
} cases[] = {
	{ ed25519, "eddsa_key", "warning", "ed25519, which browsers do not take" },
	{ ed448, "eddsa_key", "warning", "ED448, which browsers do not take" },
	{ x25519, "key_type", "error", "X25519, with which no TLS server signs" },
	{ dsa, "key_type", "error", "DSA, with which no TLS server signs" },
	{ unknown_key, "bad_key", "error", "unknown type (2.16.840.1.101.3.4.3.18)" },
	{ pss, "pss_key", "warning", "RSASSA-PSS alone" },
	{ weak_pss, "weak_rsa", "error", "RSA key of 1024 bits" },
	{ p192, "weak_ec", "error", "EC key of 192 bits" },
	{ p224, "weak_ec", "error", "EC key of 224 bits" },
	{ p521, "p521_key", "warning", "not all browsers" },
	{ secp256k1, "uncommon_curve", "error", "ec-secp256k1, a curve that no client offers" },
	{ brainpool, "uncommon_curve", "error", "ec-brainpoolP256r1, a curve" },
	{ explicit_curve, "explicit_curve", "error", "the parameters of its curve instead of its name" },
	{ compressed, "compressed_point", "warning", "a compressed point" },
	{ version_1, "old_version", "error", "of version 1" },
	{ version_1, "no_san", "error", "names no host" },
	{ version_1_with_names, "old_version", "error", "of version 1" },
	{ unknown_critical, "unknown_critical", "error", "a critical extension that clients do not know (1.3.6.1.4.1.99999.1)" },
	{ unknown_extension, NULL, NULL, NULL },
	{ precertificate, "precertificate", "error", "a precertificate" },
	{ two_usages, "duplicate_extension", "error", "'X509v3 Key Usage' twice" },
	{ two_sans, "duplicate_extension", "error", "'X509v3 Subject Alternative Name' twice" },
	{ sha1, "sha1_signature", "error", "SHA-1" },
	{ unknown_signature, "unknown_signature", "error", "in a way that clients do not know (1.2.840.10045.4.3.127)" },
	{ two_signatures, "bad_signature", "error", "two different things" },
	{ no_end, "no_end", "warning", "has no end" },
	{ ends_before, "bad_dates", "error", "ends before it begins" },
	{ fractions, "bad_dates", "error", "not written as clients want them" },
	{ no_seconds, "bad_dates", "error", "not written as clients want them" },
	{ in_a_zone, "bad_dates", "error", "not written as clients want them" },
	{ no_time, "bad_dates", "error", "the validity cannot be read" },
	{ no_subject, "san_not_critical", "warning", "no subject" },
	{ no_subject_critical, NULL, NULL, NULL },
	{ bmp, NULL, NULL, "CN=B\303\274ch" },
	{ t61, NULL, NULL, "CN=B\303\274ch" },
	{ cn_only, "no_san", "error", "names no host" },
	{ mail_only, "no_san", "error", "neither a host name nor an address" },
	{ u_label, "no_usable_name", "error", "no name by which" },
	{ u_label, "odd_name", "warning", "outside ASCII, and clients look for its A-labels (xn--): dns:b\303\274cher.example" },
	{ u_label_among, "odd_name", "warning", "outside ASCII" },
	{ url_as_name, "no_usable_name", "error", "no name by which" },
	{ address_as_name, "odd_name", "warning", "is an address, not a host name: dns:192.0.2.1" },
	{ dot_at_end, "odd_name", "warning", "ends with a dot" },
	{ wide, "odd_name", "warning", "a whole top-level domain" },
	{ inner_wildcard, "odd_name", "warning", "elsewhere than as its whole first label" },
	{ underscore, NULL, NULL, NULL },
	{ ec_with_encipherment, "usage_for_rsa", "warning", "keyEncipherment, which a key of type ec-p256 cannot do" },
};

static struct custos_json *report_of(const struct lab_trust *f, X509 *leaf, X509 *ca, const struct custos_anchors *trust, const char *const *accept)
{
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	CUSTOS_AUTO_BUF pem = { 0 };
	struct custos_json *report = NULL;
	const struct custos_check_options options = { .now_unix = LAB_NOW, .trust = trust, .accept = accept };
	lab_pem(&pem, leaf);
	lab_pem(&pem, ca == NULL ? f->ca : ca);
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_add(bag, "bag.pem", custos_buf_view(&pem), NULL), CUSTOS_OK);
	assert_int_equal(custos_cert_check(bag, &options, &report, NULL, NULL), CUSTOS_OK);
	return report;
}

static const struct custos_json *find(const struct custos_json *report, const char *code, const char *words)
{
	const struct custos_json *problems = custos_json_get(report, "problems");
	for (size_t i = 0; i < custos_json_count(problems); i++)
		if (strcmp(custos_json_text(custos_json_at(problems, i), "code"), code) == 0 && strstr(custos_json_text(custos_json_at(problems, i), "text"), words) != NULL)
			return custos_json_at(problems, i);
	return NULL;
}

static void fail_with(const struct custos_json *report, const char *what)
{
	char *text = custos_json_pretty(custos_json_get(report, "problems"));
	print_error("%s\n", text);
	free(text);
	fail_msg("%s", what);
}

/* With anchors and without; the verdict is the severity's. */
static void each_has_its_line(void **state)
{
	const struct lab_trust *f = *state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int trusting = 0; trusting < 2; trusting++) {
			X509 *leaf = cases[i].make(f);
			CUSTOS_AUTO(custos_json) *report = report_of(f, leaf, NULL, trusting ? f->anchors : NULL, NULL);
			const char *code = cases[i].code;
			bool usable = custos_json_bool(report, "usable", false), error = code != NULL && strcmp(cases[i].severity, "error") == 0;
			X509_free(leaf);
			if (code == NULL) {
				const char *subject = custos_json_text(custos_json_at(custos_json_get(report, "chain"), 0), "subject");
				if (custos_json_count(custos_json_get(report, "problems")) != 0 || !usable)
					fail_with(report, "nothing to say was expected");
				if (cases[i].words != NULL)
					assert_string_equal(subject, cases[i].words);
				continue;
			}
			const struct custos_json *p = find(report, code, cases[i].words);
			if (p == NULL)
				fail_with(report, cases[i].words);
			assert_string_equal(custos_json_text(p, "severity"), cases[i].severity);
			/* a warning is not the only thing that is wrong with some of them */
			if (error && usable)
				fail_with(report, "an error, and usable");
			if (!error && !usable && strcmp(code, "odd_name") != 0)
				fail_with(report, "a warning, and not usable");
		}
}

/* Words alone are no proof that a client refuses: OpenSSL's verifier does, where it looks. */
static void no_option_takes_them(void **state)
{
	const struct lab_trust *f = *state;
	static const char *const everything[] = { "ec_for_esxi", "expired", "not_yet_valid", "sha1_signature", "pss_for_esxi", "large_rsa_for_esxi", "self_signed", "san_missing", "no_server_auth",
		                                      "untrusted_root", "missing_intermediate", "client_refuses", "long_validity", "weak_rsa", "weak_ec", "close_primes", "roca", "blocked_key", "key_usage", NULL };
	size_t tried = 0;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (cases[i].code == NULL || strcmp(cases[i].severity, "error") != 0 || custos_check_may_accept(cases[i].code))
			continue;
		X509 *leaf = cases[i].make(f);
		CUSTOS_AUTO(custos_json) *report = report_of(f, leaf, NULL, f->anchors, everything);
		X509_free(leaf);
		if (custos_json_bool(report, "usable", false))
			fail_with(report, cases[i].code);
		tried++;
	}
	assert_true(tried > 15);
}

/* The same of whoever issued it: what is served is judged whole. */
static void issuers_are_judged(void **state)
{
	const struct lab_trust *f = *state;
	for (int kind = 0; kind < 2; kind++) {
		X509 *ca = lab_issue((struct lab_spec){ .cn = "Odd CA", .ca = true, .key = f->ca_key, .issuer = f->root, .issuer_key = f->root_key });
		if (kind == 0) {
			X509_getm_notAfter(ca)->type = V_ASN1_GENERALIZEDTIME;
			ASN1_STRING_set(X509_getm_notAfter(ca), "20270401000000.25Z", -1);
		} else {
			lab_extension(ca, f->root, NID_key_usage, "critical,keyCertSign");
		}
		assert_true(X509_sign(ca, f->root_key, EVP_sha256()) > 0);
		X509 *leaf = lab_issue((struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = f->key, .issuer = ca, .issuer_key = f->ca_key });
		CUSTOS_AUTO(custos_json) *report = report_of(f, leaf, ca, NULL, NULL);
		if (custos_json_bool(report, "usable", false))
			fail_with(report, "usable");
		assert_true(kind == 1 || find(report, "bad_dates", "'CN=Odd CA,O=Example'") != NULL);
		X509_free(leaf);
		X509_free(ca);
	}
}

static void a_broken_digest(void **state)
{
	const struct lab_trust *f = *state;
	EVP_PKEY *ca_key = lab_rsa(2048);
	X509 *ca = lab_ca("RSA CA", ca_key, f->root, f->root_key), *leaf = md5_under(ca_key, ca, ca_key);
	CUSTOS_AUTO(custos_json) *report = report_of(f, leaf, ca, NULL, NULL);
	const struct custos_json *p = find(report, "weak_signature", "broken digest (MD5)");
	if (p == NULL || custos_json_bool(report, "usable", false))
		fail_with(report, "MD5");
	X509_free(leaf);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_line), cmocka_unit_test(no_option_takes_them), cmocka_unit_test(issuers_are_judged), cmocka_unit_test(a_broken_digest),
	};
	return cmocka_run_group_tests_name("x509 odd", tests, setup, teardown);
}
