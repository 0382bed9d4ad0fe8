/* Keys made by libcrypto, on the locked heap of a courier: see new_key.h. */
#include "crypto/new_key.h"
#include "crypto/key_pair.h"
#include "crypto/pem.h"
#include "crypto/verify.h"

#include <openssl/rsa.h>

enum { SIGNATURE_MAX = 1024 };

static const struct {
	const char *type;
	unsigned bits;
	const char *group;
} makes[] = {
	{ "rsa-2048", 2048, NULL }, { "rsa-3072", 3072, NULL }, { "rsa-4096", 4096, NULL }, { "rsa-6144", 6144, NULL },
	{ "ec-p256", 0, "P-256" }, { "ec-p384", 0, "P-384" }, { "ec-p521", 0, "P-521" },
};

static custos_rc make(const char *type, EVP_PKEY **ret_key, struct custos_err *err)
{
	for (size_t i = 0; i < sizeof makes / sizeof *makes; i++) {
		if (strcmp(makes[i].type, type) != 0)
			continue;
		*ret_key = makes[i].group != NULL ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", makes[i].group) : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)makes[i].bits);
		if (*ret_key == NULL)
			return custos_openssl_fail(err, CUSTOS_E_SYSTEM, "cannot make a key");
		return CUSTOS_OK;
	}
	CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "rsa-2048, rsa-3072, rsa-4096, rsa-6144, ec-p256, ec-p384, ec-p521", "no %.40s key can be sealed", type);
}

custos_rc custos_key_birth(const char *type, struct custos_secret **ret_pkcs8, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = NULL;
	CUSTOS_TRY(make(type, &key, err));
	CUSTOS_TRY(custos_key_judge(key, spki, err));
	return custos_key_encode(key, ret_pkcs8, err);
}

static bool use_pss(EVP_PKEY_CTX *ctx)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

custos_rc custos_key_sign_once(struct custos_secret *pkcs8, struct custos_bytes spki, enum custos_signature algorithm, struct custos_bytes message, struct custos_buf *signature,
                               struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = NULL;
	CUSTOS_AUTO_OPENSSL(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *padding = NULL; /* belongs to ctx */
	uint8_t out[SIGNATURE_MAX];
	size_t len = sizeof out;
	CUSTOS_REQUIRE(ctx != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_key_matches_spki(pkcs8, 0, spki, err));
	CUSTOS_TRY(custos_key_decode(pkcs8, &key, err));
	const EVP_MD *md = algorithm == CUSTOS_SIGNATURE_ECDSA_SHA384 ? EVP_sha384() : algorithm == CUSTOS_SIGNATURE_ECDSA_SHA512 ? EVP_sha512() : EVP_sha256();
	if (EVP_DigestSignInit(ctx, &padding, md, NULL, key) != 1 || (algorithm == CUSTOS_SIGNATURE_RSA_PSS_SHA256 && !use_pss(padding)) || EVP_DigestSign(ctx, out, &len, message.ptr, message.len) != 1)
		return custos_openssl_fail(err, CUSTOS_E_TAMPERED, "the key that was opened cannot sign");
	/* also that the algorithm is the key's: what verifies is what was asked for */
	CUSTOS_TRY(custos_verify("the key that was opened", spki, algorithm, message, CUSTOS_BYTES(out, len), err));
	return custos_buf_append(signature, out, len, err);
}
