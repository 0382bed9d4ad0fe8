/* SubjectPublicKeyInfo from the parts a PKCS#11 public object holds. A part that cannot belong to a key is refused here, before anything is
 * signed or logged with it. */
#include "crypto/openssl.h"
#include "crypto/verify.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

CUSTOS_OPENSSL_FREEP(param_bld, OSSL_PARAM_BLD, OSSL_PARAM_BLD_free);
CUSTOS_OPENSSL_FREEP(params, OSSL_PARAM, OSSL_PARAM_free);

static custos_rc append_spki(EVP_PKEY *key, struct custos_buf *spki, struct custos_err *err)
{
	uint8_t *at;
	int len = i2d_PUBKEY(key, NULL);
	if (len <= 0)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot encode a public key");
	CUSTOS_TRY(custos_buf_extend(spki, (size_t)len, &at, err));
	if (i2d_PUBKEY(key, &at) != len)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot encode a public key");
	return CUSTOS_OK;
}

static EVP_PKEY *rsa_public(const BIGNUM *n, const BIGNUM *e)
{
	CUSTOS_AUTO_OPENSSL(param_bld) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	CUSTOS_AUTO_OPENSSL(pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	if (build == NULL || ctx == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1)
		return NULL;
	CUSTOS_AUTO_OPENSSL(params) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	if (params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;
}

custos_rc custos_spki_rsa(struct custos_bytes modulus, struct custos_bytes exponent, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_REQUIRE(modulus.len > 0 && modulus.len <= 2049 && exponent.len > 0 && exponent.len <= 256, err, CUSTOS_E_INPUT,
	               "an RSA key with a modulus of %zu and an exponent of %zu bytes", modulus.len, exponent.len);
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *n = BN_bin2bn(modulus.ptr, (int)modulus.len, NULL);
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *e = BN_bin2bn(exponent.ptr, (int)exponent.len, NULL);
	CUSTOS_REQUIRE(n != NULL && e != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_REQUIRE(BN_num_bits(n) >= 2048 && BN_is_odd(n), err, CUSTOS_E_INPUT, "an RSA modulus of %d bits that is too short or even", BN_num_bits(n));
	CUSTOS_REQUIRE(BN_is_odd(e) && !BN_is_one(e) && BN_cmp(e, n) < 0, err, CUSTOS_E_INPUT, "an RSA exponent that is even, 1 or larger than the modulus");
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = rsa_public(n, e);
	if (key == NULL)
		return custos_openssl_fail(err, CUSTOS_E_INPUT, "not an RSA public key");
	return append_spki(key, spki, err);
}

custos_rc custos_spki_ec(const char *group, struct custos_bytes point, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = custos_ec_public(group, point);
	CUSTOS_REQUIRE(key != NULL, err, CUSTOS_E_INPUT, "not an uncompressed point on %s", group);
	return append_spki(key, spki, err);
}

custos_rc custos_spki_ed25519(struct custos_bytes public_key, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_REQUIRE(public_key.len == 32, err, CUSTOS_E_INPUT, "an Ed25519 public key of %zu bytes", public_key.len);
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key.ptr, public_key.len);
	if (key == NULL)
		return custos_openssl_fail(err, CUSTOS_E_INPUT, "not an Ed25519 public key");
	return append_spki(key, spki, err);
}
