/* Verification in software. What the key is decides what a signature by it may be: an algorithm that does not fit its key does not verify. */
#include "crypto/verify.h"
#include "crypto/openssl.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { PSS_SALT = 32 };

static bool fits(const EVP_PKEY *key, enum custos_signature algorithm)
{
	const char *group = custos_ec_group(key);
	switch (algorithm) {
	case CUSTOS_SIGNATURE_ED25519:
		return EVP_PKEY_is_a(key, "ED25519") == 1;
	case CUSTOS_SIGNATURE_ECDSA_SHA256:
		return group != NULL && strcmp(group, "P-256") == 0;
	case CUSTOS_SIGNATURE_ECDSA_SHA384:
		return group != NULL && strcmp(group, "P-384") == 0;
	case CUSTOS_SIGNATURE_ECDSA_SHA512:
		return group != NULL && strcmp(group, "P-521") == 0;
	case CUSTOS_SIGNATURE_RSA_PKCS1_SHA256:
	case CUSTOS_SIGNATURE_RSA_PSS_SHA256:
		return EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) >= 2048;
	}
	return false;
}

static const EVP_MD *digest_of(enum custos_signature algorithm)
{
	switch (algorithm) {
	case CUSTOS_SIGNATURE_ED25519:
		return NULL;
	case CUSTOS_SIGNATURE_ECDSA_SHA384:
		return EVP_sha384();
	case CUSTOS_SIGNATURE_ECDSA_SHA512:
		return EVP_sha512();
	default:
		return EVP_sha256();
	}
}

static EVP_PKEY *read_spki(struct custos_bytes spki)
{
	const uint8_t *at = spki.ptr;
	if (spki.len == 0 || spki.len > 16384)
		return NULL;
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
	ERR_clear_error();
	return key != NULL && at == spki.ptr + spki.len ? CUSTOS_TAKE(key) : NULL;
}

custos_rc custos_verify(const char *who, struct custos_bytes spki, enum custos_signature algorithm, struct custos_bytes message, struct custos_bytes signature,
                        struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = read_spki(spki);
	CUSTOS_REQUIRE(key != NULL, err, CUSTOS_E_INPUT, "the public key of %s is not a public key", who);
	CUSTOS_REQUIRE(fits(key, algorithm), err, CUSTOS_E_TOKEN, "the key of %s cannot have made a signature of this kind", who);
	EVP_PKEY_CTX *how = NULL; /* the digest context's own */
	CUSTOS_AUTO_OPENSSL(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ready = ctx != NULL && EVP_DigestVerifyInit(ctx, &how, digest_of(algorithm), NULL, key) == 1;
	if (algorithm == CUSTOS_SIGNATURE_RSA_PSS_SHA256)
		ready = ready && EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_pss_saltlen(how, PSS_SALT) == 1;
	if (!ready)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot verify signatures");
	int verdict = EVP_DigestVerify(ctx, signature.ptr, signature.len, message.ptr, message.len);
	ERR_clear_error();
	CUSTOS_REQUIRE(verdict == 1, err, CUSTOS_E_TOKEN, "the signature of %s does not verify", who);
	return CUSTOS_OK;
}

custos_rc custos_ecdsa_to_der(struct custos_bytes raw, struct custos_buf *der, struct custos_err *err)
{
	CUSTOS_REQUIRE(raw.len == 64 || raw.len == 96 || raw.len == 132, err, CUSTOS_E_TOKEN, "an ECDSA signature of %zu bytes", raw.len);
	int half = (int)raw.len / 2;
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *r = BN_bin2bn(raw.ptr, half, NULL);
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *s = BN_bin2bn(raw.ptr + half, half, NULL);
	CUSTOS_AUTO_OPENSSL(ecdsa_sig) ECDSA_SIG *sig = ECDSA_SIG_new();
	CUSTOS_REQUIRE(r != NULL && s != NULL && sig != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_REQUIRE(!BN_is_zero(r) && !BN_is_zero(s), err, CUSTOS_E_TOKEN, "an ECDSA signature with a zero in it");
	ECDSA_SIG_set0(sig, CUSTOS_TAKE(r), CUSTOS_TAKE(s));
	uint8_t text[160], *at = text;
	int len = i2d_ECDSA_SIG(sig, NULL);
	CUSTOS_REQUIRE(len > 0 && (size_t)len <= sizeof text && i2d_ECDSA_SIG(sig, &at) == len, err, CUSTOS_E_INTERNAL, "cannot encode an ECDSA signature");
	return custos_buf_append(der, text, (size_t)len, err);
}

custos_rc custos_ecdsa_from_der(struct custos_bytes der, size_t scalar_size, struct custos_buf *raw, struct custos_err *err)
{
	uint8_t again[160], out[132], *again_at = again;
	const uint8_t *at = der.ptr;
	CUSTOS_REQUIRE(scalar_size > 0 && 2 * scalar_size <= sizeof out, err, CUSTOS_E_INTERNAL, "ECDSA scalars of %zu bytes", scalar_size);
	CUSTOS_REQUIRE(der.len > 0 && der.len <= sizeof again, err, CUSTOS_E_INPUT, "an ECDSA signature of %zu bytes", der.len);
	CUSTOS_AUTO_OPENSSL(ecdsa_sig) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
	ERR_clear_error();
	/* Encoded again it must be the same: no BER, no trailing bytes, no leading zeros. */
	CUSTOS_REQUIRE(sig != NULL && i2d_ECDSA_SIG(sig, NULL) == (int)der.len && i2d_ECDSA_SIG(sig, &again_at) == (int)der.len &&
	                   memcmp(again, der.ptr, der.len) == 0,
	               err, CUSTOS_E_INPUT, "an ECDSA signature that is not DER");
	const BIGNUM *r = ECDSA_SIG_get0_r(sig), *s = ECDSA_SIG_get0_s(sig);
	CUSTOS_REQUIRE(!BN_is_negative(r) && !BN_is_negative(s) && !BN_is_zero(r) && !BN_is_zero(s) && BN_bn2binpad(r, out, (int)scalar_size) > 0 &&
	                   BN_bn2binpad(s, out + scalar_size, (int)scalar_size) > 0,
	               err, CUSTOS_E_INPUT, "an ECDSA signature of the wrong size");
	return custos_buf_append(raw, out, 2 * scalar_size, err);
}

unsigned custos_spki_rsa_bits(struct custos_bytes spki)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = read_spki(spki);
	return key != NULL && EVP_PKEY_is_a(key, "RSA") == 1 ? (unsigned)EVP_PKEY_get_bits(key) : 0;
}

custos_rc custos_spki_raw(struct custos_bytes spki, struct custos_buf *raw, struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = read_spki(spki);
	uint8_t out[65];
	size_t len = sizeof out;
	CUSTOS_REQUIRE(key != NULL, err, CUSTOS_E_INPUT, "not a public key");
	const char *group = custos_ec_group(key);
	if (EVP_PKEY_is_a(key, "ED25519") && EVP_PKEY_get_raw_public_key(key, out, &len) == 1 && len == 32)
		return custos_buf_append(raw, out, len, err);
	if (group != NULL && strcmp(group, "P-256") == 0 &&
	    EVP_PKEY_get_octet_string_param(key, "encoded-pub-key", out, sizeof out, &len) == 1 && len == sizeof out && out[0] == 4)
		return custos_buf_append(raw, out, len, err);
	ERR_clear_error();
	CUSTOS_FAIL(err, CUSTOS_E_INPUT, "neither an Ed25519 nor a P-256 public key");
}

static custos_rc append_number(const BIGNUM *n, struct custos_buf *out, struct custos_err *err)
{
	uint8_t *at;
	int len = BN_num_bytes(n);
	CUSTOS_TRY(custos_buf_extend(out, (size_t)len, &at, err));
	return BN_bn2bin(n, at) == len ? CUSTOS_OK : custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot encode a number");
}

custos_rc custos_spki_rsa_numbers(struct custos_bytes spki, struct custos_buf *modulus, struct custos_buf *exponent, struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = read_spki(spki);
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *n = NULL;
	CUSTOS_AUTO_OPENSSL(bn) BIGNUM *e = NULL;
	if (key == NULL || !EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_bn_param(key, "n", &n) != 1 || EVP_PKEY_get_bn_param(key, "e", &e) != 1) {
		ERR_clear_error();
		CUSTOS_FAIL(err, CUSTOS_E_INPUT, "not an RSA public key");
	}
	CUSTOS_TRY(append_number(n, modulus, err));
	return append_number(e, exponent, err);
}
