/* RSA-OAEP for what a token cannot seal by agreement: see transport_key.h. The AES key comes out of the RSA key straight into a secret. */
#include "crypto/transport_key.h"
#include "crypto/openssl.h"
#include "crypto/seal.h"

#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { BITS = 8 * CUSTOS_TRANSPORT_KEY_BYTES, AES_SIZE = 32 };

struct custos_transport_key {
	EVP_PKEY *key;
};

custos_rc custos_transport_key_new(struct custos_transport_key **ret_key, struct custos_buf *spki, struct custos_err *err)
{
	CUSTOS_AUTO(custos_transport_key) *k = calloc(1, sizeof *k);
	CUSTOS_REQUIRE(k != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	k->key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)BITS);
	unsigned char *der = NULL;
	int len = k->key == NULL ? 0 : i2d_PUBKEY(k->key, &der);
	if (len <= 0)
		return custos_openssl_fail(err, CUSTOS_E_SYSTEM, "cannot make a transport key");
	custos_rc rc = custos_buf_append(spki, der, (size_t)len, err);
	OPENSSL_free(der);
	CUSTOS_TRY(rc);
	*ret_key = CUSTOS_TAKE(k);
	return CUSTOS_OK;
}

void custos_transport_key_free(struct custos_transport_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->key); /* libcrypto clears private numbers */
	free(k);
}

/* The label becomes the context's. */
static bool set_label(EVP_PKEY_CTX *ctx, const uint8_t *binding)
{
	uint8_t *label = OPENSSL_memdup(binding, CUSTOS_HASH_SIZE);
	if (label != NULL && EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, CUSTOS_HASH_SIZE) == 1)
		return true;
	OPENSSL_free(label);
	return false;
}

static bool set_up(EVP_PKEY_CTX *ctx, const struct custos_transport_parcel *p)
{
	bool labelled = p->transport == CUSTOS_TRANSPORT_RSA_OAEP;
	const EVP_MD *digest = labelled ? EVP_sha256() : EVP_sha1();
	return ctx != NULL && EVP_PKEY_decrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_oaep_md(ctx, digest) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest) == 1 && (!labelled || set_label(ctx, p->binding));
}

struct decryption {
	EVP_PKEY_CTX *ctx;
	struct custos_bytes in;
	size_t out_len;
};

static custos_rc decrypt(void *ctx, uint8_t *out, size_t len, struct custos_err *err)
{
	struct decryption *d = ctx;
	d->out_len = len;
	int verdict = EVP_PKEY_decrypt(d->ctx, out, &d->out_len, d->in.ptr, d->in.len);
	ERR_clear_error();
	CUSTOS_REQUIRE(verdict == 1 && d->out_len == AES_SIZE, err, CUSTOS_E_TAMPERED, "a sealed parcel does not open: it is damaged, or sealed to another key");
	return CUSTOS_OK;
}

custos_rc custos_transport_key_open(struct custos_transport_key *k, const struct custos_transport_parcel *p, struct custos_secret **ret_secret, struct custos_err *err)
{
	CUSTOS_REQUIRE(custos_transport_needs_key(p->transport), err, CUSTOS_E_INTERNAL, "transport %s has no such key", custos_transport_name(p->transport));
	CUSTOS_REQUIRE(p->wrapping_key.len == CUSTOS_TRANSPORT_KEY_BYTES, err, CUSTOS_E_TAMPERED, "a sealed key of %zu bytes", p->wrapping_key.len);
	CUSTOS_AUTO_OPENSSL(pkey_ctx) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->key, NULL);
	if (!set_up(ctx, p))
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot open a sealed key");
	CUSTOS_AUTO(custos_secret) *aes = NULL;
	CUSTOS_TRY(custos_secret_new(CUSTOS_TRANSPORT_KEY_BYTES, &aes, err));
	struct decryption d = { .ctx = ctx, .in = p->wrapping_key };
	CUSTOS_TRY(custos_secret_expose(aes, decrypt, &d, err));
	custos_secret_shorten(aes, d.out_len);
	return custos_unwrap_secret(aes, p->sealed, ret_secret, err);
}
