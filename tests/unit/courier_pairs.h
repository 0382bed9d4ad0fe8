/* Key pairs of the courier's tests: made anew every time, sealed the way custos-token would seal them. */
#ifndef COURIER_PAIRS_H
#define COURIER_PAIRS_H

#include "target_fixture.h"

#include "base/wire.h"
#include "crypto/seal.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

struct pair {
	EVP_PKEY *key;
	X509 *cert;
	struct custos_buf leaf, pem;         /* DER and PEM of the certificate */
};

/* Takes the key. */
static inline void make_pair_of(struct pair *p, const char *name, EVP_PKEY *key)
{
	p->key = key;
	p->cert = X509_new();
	assert_non_null(p->key);
	assert_non_null(p->cert);
	X509_set_version(p->cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(p->cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(p->cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(p->cert), 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(p->cert), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(p->cert, X509_get_subject_name(p->cert));
	X509_set_pubkey(p->cert, p->key);
	assert_true(X509_sign(p->cert, p->key, EVP_PKEY_is_a(p->key, "ED25519") ? NULL : EVP_sha256()) > 0);
	uint8_t *der = NULL;
	int len = i2d_X509(p->cert, &der);
	assert_true(len > 0);
	assert_int_equal(custos_buf_append(&p->leaf, der, (size_t)len, NULL), CUSTOS_OK);
	OPENSSL_free(der);
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_X509(bio, p->cert), 1);
	char *text;
	long text_len = BIO_get_mem_data(bio, &text);
	assert_int_equal(custos_buf_append(&p->pem, text, (size_t)text_len, NULL), CUSTOS_OK);
	BIO_free(bio);
}

static inline void make_pair(struct pair *p, const char *name)
{
	make_pair_of(p, name, EVP_RSA_gen(2048));
}

static inline void pair_done(struct pair *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->cert);
	custos_buf_done(&p->leaf);
	custos_buf_done(&p->pem);
}

static inline void pair_key_pem(const struct pair *p, struct custos_buf *pem)
{
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, p->key, NULL, NULL, 0, NULL, NULL), 1);
	char *text;
	long len = BIO_get_mem_data(bio, &text);
	assert_int_equal(custos_buf_append(pem, text, (size_t)len, NULL), CUSTOS_OK);
	BIO_free(bio);
}

struct der {
	uint8_t *ptr;
	size_t len;
};

static inline custos_rc fill_secret(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(bytes, ((struct der *)ctx)->ptr, len);
	return CUSTOS_OK;
}

static inline void seal_bytes(const void *data, size_t len, const uint8_t *courier_point, uint8_t *point, struct custos_buf *sealed)
{
	struct custos_secret *secret = NULL;
	struct custos_err err = { 0 };
	struct der bytes = { malloc(len), len };
	memcpy(bytes.ptr, data, len);
	if (custos_secret_new(len, &secret, &err) != CUSTOS_OK || custos_secret_expose(secret, fill_secret, &bytes, &err) != CUSTOS_OK ||
	    custos_seal(secret, courier_point, point, sealed, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	free(bytes.ptr);
	custos_secret_free(secret);
}

static inline void seal_key(const struct pair *p, const uint8_t *courier_point, uint8_t *point, struct custos_buf *sealed)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(p->key);
	uint8_t *der = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	assert_true(len > 0);
	seal_bytes(der, (size_t)len, courier_point, point, sealed);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
}

/* RFC 4251 5 */
static inline void put_mpint(struct custos_wire_out *w, const BIGNUM *n)
{
	uint8_t bytes[40] = { 0 };
	int len = BN_bn2bin(n, bytes + 1);
	bool pad = len > 0 && (bytes[1] & 0x80) != 0;
	custos_wire_put_bytes(w, CUSTOS_BYTES(bytes + (pad ? 0 : 1), (size_t)len + (pad ? 1 : 0)));
}

#endif
