/* Content keys, and sealing them to a token's sealing key: see sealed_container.h. In a courier; custos-token seals only random bytes that it has drawn to try its
 * key with. */
#include "crypto/digest.h"
#include "crypto/openssl.h"
#include "crypto/seal.h"
#include "crypto/sealed_container.h"
#include "crypto/verify.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { OAEP_MAX = 1024 };

static const char *const names[] = { [CUSTOS_SEALING_NONE] = "", [CUSTOS_SEALING_RSA_OAEP_SHA256] = "rsa-oaep-sha256", [CUSTOS_SEALING_ECDH_P256] = "ecdh-p256" };

const char *custos_sealing_name(enum custos_sealing method)
{
	return (size_t)method < sizeof names / sizeof *names ? names[method] : "";
}

bool custos_sealing_parse(const char *name, enum custos_sealing *ret_method)
{
	for (size_t i = 1; i < sizeof names / sizeof *names; i++)
		if (name != NULL && strcmp(names[i], name) == 0) {
			*ret_method = (enum custos_sealing)i;
			return true;
		}
	return false;
}

static custos_rc draw(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)ctx;
	return custos_random(bytes, len, err);
}

custos_rc custos_content_key_new(struct custos_secret **ret_key, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *key = NULL;
	CUSTOS_TRY(custos_secret_new(CUSTOS_CONTENT_KEY_SIZE, &key, err));
	CUSTOS_TRY(custos_secret_expose(key, draw, NULL, err));
	*ret_key = CUSTOS_TAKE(key);
	return CUSTOS_OK;
}

struct oaep {
	EVP_PKEY_CTX *ctx;
	uint8_t out[OAEP_MAX];
	size_t len;
};

static custos_rc encrypt(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct oaep *o = ctx;
	o->len = sizeof o->out;
	if (EVP_PKEY_encrypt(o->ctx, o->out, &o->len, bytes, len) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot seal to the token's key");
	return CUSTOS_OK;
}

static custos_rc seal_oaep(struct custos_secret *content_key, struct custos_bytes spki, struct custos_buf *sealed, struct custos_err *err)
{
	const uint8_t *at = spki.ptr;
	CUSTOS_REQUIRE(custos_spki_rsa_bits(spki) >= 2048 && custos_spki_rsa_bits(spki) <= 8 * OAEP_MAX, err, CUSTOS_E_INPUT, "the sealing key is no RSA key of 2048 bits or more");
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)spki.len);
	CUSTOS_AUTO_OPENSSL(pkey_ctx) EVP_PKEY_CTX *ctx = key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (ctx == NULL || EVP_PKEY_encrypt_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 || EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) != 1 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot seal to the token's key");
	struct oaep o = { .ctx = ctx };
	CUSTOS_TRY(custos_secret_expose(content_key, encrypt, &o, err));
	return custos_buf_append(sealed, o.out, o.len, err);
}

static custos_rc seal_ecdh(struct custos_secret *content_key, struct custos_bytes spki, struct custos_sealed_key *out, struct custos_err *err)
{
	CUSTOS_AUTO_BUF point = { .max = 256 };
	CUSTOS_TRY(custos_spki_raw(spki, &point, err));
	CUSTOS_REQUIRE(point.len == CUSTOS_POINT_SIZE, err, CUSTOS_E_INPUT, "the sealing key is no P-256 key");
	return custos_seal(content_key, point.ptr, out->point, &out->sealed, err);
}

custos_rc custos_content_key_seal(struct custos_secret *content_key, const struct custos_sealing_key *to, struct custos_sealed_key *ret_sealed, struct custos_err *err)
{
	struct custos_sealed_key out = { .sealed = { .max = OAEP_MAX } };
	custos_rc rc = to->method == CUSTOS_SEALING_RSA_OAEP_SHA256 ? seal_oaep(content_key, to->spki, &out.sealed, err)
	               : to->method == CUSTOS_SEALING_ECDH_P256     ? seal_ecdh(content_key, to->spki, &out, err)
	                                                            : custos_err_set(err, CUSTOS_E_INTERNAL, 0, "there is no way %u to seal", (unsigned)to->method);
	if (rc != CUSTOS_OK) {
		custos_buf_done(&out.sealed);
		return rc;
	}
	*ret_sealed = out;
	return CUSTOS_OK;
}
