/* A small certification authority for the x509 tests: keys and certificates made on the spot by OpenSSL, nothing kept in the tree. */
#ifndef CUSTOS_TESTS_X509_PKI_H
#define CUSTOS_TESTS_X509_PKI_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "x509/openssl.h"

#include "base/bytes.h"

#define LAB __attribute__((unused)) static
enum { LAB_NOW = 1800000000, LAB_DAY = 86400 };

struct lab_spec {
	const char *cn;
	const char *sans;        /* as in openssl.cnf, e.g. "DNS:a.example.com,IP:192.0.2.1"; NULL: none */
	const char *usage, *purpose;
	bool ca, md_sha1, pss, no_key_ids;
	int64_t from, until;     /* days relative to LAB_NOW; both 0 means -10 to +100 */
	EVP_PKEY *key;
	X509 *issuer;            /* NULL: self-signed */
	EVP_PKEY *issuer_key;
};

LAB EVP_PKEY *lab_ec(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	assert_non_null(key);
	return key;
}

LAB EVP_PKEY *lab_rsa(unsigned bits)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);
	assert_non_null(key);
	return key;
}

LAB void lab_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

LAB void lab_sign(X509 *cert, EVP_PKEY *key, const struct lab_spec *s)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, s->md_sha1 ? EVP_sha1() : EVP_sha256(), NULL, key), 1);
	if (s->pss)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_true(X509_sign_ctx(cert, ctx) > 0);
	EVP_MD_CTX_free(ctx);
}

LAB X509 *lab_issue(struct lab_spec s)
{
	X509 *cert = X509_new(), *issuer = s.issuer == NULL ? cert : s.issuer;
	EVP_PKEY *signer = s.issuer_key == NULL ? s.key : s.issuer_key;
	bool dates = s.from != 0 || s.until != 0;
	unsigned char serial[8];
	assert_non_null(cert);
	arc4random_buf(serial, sizeof serial);
	serial[0] &= 0x7f;
	serial[0] |= 0x40;
	BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
	BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	X509_set_version(cert, X509_VERSION_3);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "O", MBSTRING_UTF8, (const unsigned char *)"Example", -1, -1, 0);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8, (const unsigned char *)s.cn, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	X509_set_pubkey(cert, s.key);
	ASN1_TIME_set(X509_getm_notBefore(cert), LAB_NOW + LAB_DAY * (dates ? s.from : -10));
	ASN1_TIME_set(X509_getm_notAfter(cert), LAB_NOW + LAB_DAY * (dates ? s.until : 100));
	if (!s.no_key_ids) {
		lab_extension(cert, issuer, NID_subject_key_identifier, "hash");
		lab_extension(cert, issuer, NID_authority_key_identifier, "keyid");
	}
	if (s.ca)
		lab_extension(cert, issuer, NID_basic_constraints, "critical,CA:TRUE");
	if (s.usage != NULL || s.ca)
		lab_extension(cert, issuer, NID_key_usage, s.usage != NULL ? s.usage : "critical,keyCertSign,cRLSign");
	if (s.purpose != NULL)
		lab_extension(cert, issuer, NID_ext_key_usage, s.purpose);
	if (s.sans != NULL)
		lab_extension(cert, issuer, NID_subject_alt_name, s.sans);
	lab_sign(cert, signer, &s);
	ERR_clear_error();
	return cert;
}

LAB X509 *lab_root(const char *cn, EVP_PKEY *key)
{
	return lab_issue((struct lab_spec){ .cn = cn, .ca = true, .key = key });
}

LAB X509 *lab_ca(const char *cn, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	return lab_issue((struct lab_spec){ .cn = cn, .ca = true, .key = key, .issuer = issuer, .issuer_key = issuer_key });
}

LAB X509 *lab_leaf(const char *host, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	char sans[300];
	snprintf(sans, sizeof sans, "DNS:%s", host);
	return lab_issue((struct lab_spec){ .cn = host, .sans = sans, .purpose = "serverAuth", .usage = "critical,digitalSignature,keyEncipherment", .key = key, .issuer = issuer, .issuer_key = issuer_key });
}

/* Appends. */
LAB void lab_der(struct custos_buf *out, X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);
	assert_true(len > 0);
	assert_int_equal(custos_buf_append(out, der, (size_t)len, NULL), CUSTOS_OK);
	OPENSSL_free(der);
}

LAB void lab_take_bio(struct custos_buf *out, BIO *bio)
{
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);
	assert_int_equal(custos_buf_append(out, data, (size_t)len, NULL), CUSTOS_OK);
	BIO_free(bio);
}

LAB void lab_pem(struct custos_buf *out, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	lab_take_bio(out, bio);
}

LAB void lab_armour(struct custos_buf *out, const char *label, const void *data, size_t len)
{
	BIO *bio = BIO_new(BIO_s_mem());
	assert_true(PEM_write_bio(bio, label, "", data, (long)len) > 0);
	lab_take_bio(out, bio);
}

LAB void lab_spki(struct custos_buf *out, EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	assert_true(len > 0);
	assert_int_equal(custos_buf_append(out, der, (size_t)len, NULL), CUSTOS_OK);
	OPENSSL_free(der);
}

/* A PKCS#7 bundle without signers, as CAs send it. */
LAB void lab_pkcs7(struct custos_buf *out, X509 *const *certs, size_t count)
{
	PKCS7 *p7 = PKCS7_new();
	unsigned char *der = NULL;
	assert_int_equal(PKCS7_set_type(p7, NID_pkcs7_signed), 1);
	assert_int_equal(PKCS7_content_new(p7, NID_pkcs7_data), 1);
	PKCS7_set_detached(p7, 1);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(PKCS7_add_certificate(p7, certs[i]), 1);
	int len = i2d_PKCS7(p7, &der);
	assert_true(len > 0);
	assert_int_equal(custos_buf_append(out, der, (size_t)len, NULL), CUSTOS_OK);
	OPENSSL_free(der);
	PKCS7_free(p7);
}

LAB void lab_request(struct custos_buf *out, const char *cn, const char *sans, EVP_PKEY *key)
{
	X509_REQ *request = X509_REQ_new();
	unsigned char *der = NULL;
	X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);
	X509_REQ_set_pubkey(request, key);
	if (sans != NULL) {
		STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
		sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, sans));
		X509_REQ_add_extensions(request, list);
		sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	}
	assert_true(X509_REQ_sign(request, key, EVP_sha256()) > 0);
	int len = i2d_X509_REQ(request, &der);
	assert_true(len > 0);
	assert_int_equal(custos_buf_append(out, der, (size_t)len, NULL), CUSTOS_OK);
	OPENSSL_free(der);
	X509_REQ_free(request);
}

#endif
