/* Does a private key belong to a certificate? Public numbers only are compared, at places the DER walk found; the key is not parsed. */
#include "crypto/openssl.h"
#include "crypto/pem.h"
#include "crypto/pkcs8.h"

#include <openssl/core_names.h>
#include <openssl/x509.h>

CUSTOS_OPENSSL_FREEP(x509, X509, X509_free);

struct leaf {
	const EVP_PKEY *key;
	unsigned padding_max;
};

static bool same_number(const EVP_PKEY *key, const char *name, struct custos_span number)
{
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *theirs = NULL;
	uint8_t bytes[2048];
	if (EVP_PKEY_get_bn_param(key, name, &theirs) != 1)
		return false;
	int len = BN_num_bytes(theirs);
	return len > 0 && (size_t)len <= sizeof bytes && (size_t)len == number.len && BN_bn2bin(theirs, bytes) == len && memcmp(bytes, number.at, number.len) == 0;
}

static bool same_point(const EVP_PKEY *key, struct custos_span point)
{
	uint8_t bytes[133];
	size_t len = 0;
	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, bytes, sizeof bytes, &len) != 1)
		return false;
	return len == point.len && memcmp(bytes, point.at, len) == 0;
}

static custos_rc compare(void *ctx, uint8_t *der, size_t len, struct custos_err *err)
{
	const struct leaf *leaf = ctx;
	struct custos_pkcs8 ours;
	CUSTOS_TRY(custos_pkcs8_walk((struct custos_span){ der, len }, leaf->padding_max, &ours, err));
	bool same;
	if (ours.kind == CUSTOS_PKCS8_RSA) {
		same = EVP_PKEY_is_a(leaf->key, "RSA") == 1 && same_number(leaf->key, OSSL_PKEY_PARAM_RSA_N, ours.modulus) &&
		       same_number(leaf->key, OSSL_PKEY_PARAM_RSA_E, ours.exponent);
	} else if (ours.kind == CUSTOS_PKCS8_ED25519) {
		/* nothing public stands in it: the token has signed a challenge with it, and the served certificate will tell */
		same = EVP_PKEY_is_a(leaf->key, "ED25519") == 1;
	} else {
		const char *group = custos_ec_group(leaf->key);
		same = group != NULL && strcmp(group, ours.group) == 0 && (ours.point.len == 0 || same_point(leaf->key, ours.point));
	}
	ERR_clear_error();
	CUSTOS_REQUIRE(same, err, CUSTOS_E_TAMPERED, "the key is not the one the certificate was issued for");
	return CUSTOS_OK;
}

custos_rc custos_key_matches_leaf(struct custos_secret *der, unsigned padding_max, struct custos_bytes leaf_der, struct custos_err *err)
{
	const uint8_t *at = leaf_der.ptr;
	CUSTOS_REQUIRE(leaf_der.len > 0 && leaf_der.len <= 1 << 20, err, CUSTOS_E_INPUT, "a leaf certificate of %zu bytes", leaf_der.len);
	CUSTOS_AUTO_OPENSSL(x509) X509 *x509 = d2i_X509(NULL, &at, (long)leaf_der.len);
	struct leaf leaf = { .padding_max = padding_max };
	if (x509 == NULL || at != leaf_der.ptr + leaf_der.len || (leaf.key = X509_get0_pubkey(x509)) == NULL)
		return custos_openssl_fail(err, CUSTOS_E_INPUT, "the leaf is not a certificate");
	return custos_secret_expose(der, compare, &leaf, err);
}

custos_rc custos_key_matches_spki(struct custos_secret *der, unsigned padding_max, struct custos_bytes spki, struct custos_err *err)
{
	const uint8_t *at = spki.ptr;
	CUSTOS_REQUIRE(spki.len > 0 && spki.len <= 16384, err, CUSTOS_E_INPUT, "a public key of %zu bytes", spki.len);
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
	if (key == NULL || at != spki.ptr + spki.len)
		return custos_openssl_fail(err, CUSTOS_E_INPUT, "not a public key");
	struct leaf leaf = { .key = key, .padding_max = padding_max };
	return custos_secret_expose(der, compare, &leaf, err);
}
