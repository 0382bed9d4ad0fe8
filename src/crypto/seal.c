/* One secret to one peer: ephemeral P-256, Z as AES-256 key, RFC 5649.
 *
 * Plaintext and Z are only ever in secrets: also the wrapped text is made inside one, because libcrypto copies the plaintext to the output buffer
 * before it encrypts it there. KWP has no associated data: what a parcel is for is bound elsewhere (the log, the channel's state). */
#include "crypto/seal.h"
#include "crypto/openssl.h"
#include "crypto/seal_key.h"
#include "memory/scrub.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>

enum { Z_SIZE = 32, SEALED_MIN = 16, SEALED_MAX = 65536 };

custos_rc custos_ephemeral_new(struct custos_ephemeral **ret_key, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err)
{
	CUSTOS_AUTO(custos_ephemeral) *e = calloc(1, sizeof *e);
	uint8_t point[CUSTOS_POINT_SIZE];
	size_t len = 0;
	CUSTOS_REQUIRE(e != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	e->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	if (e->key == NULL || EVP_PKEY_get_octet_string_param(e->key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point, sizeof point, &len) != 1 || len != sizeof point ||
	    point[0] != 4)
		return custos_openssl_fail(err, CUSTOS_E_SYSTEM, "cannot make an ephemeral key");
	memcpy(ret_point, point, sizeof point);
	*ret_key = CUSTOS_TAKE(e);
	return CUSTOS_OK;
}

void custos_ephemeral_free(struct custos_ephemeral *e)
{
	if (e == NULL)
		return;
	EVP_PKEY_free(e->key); /* libcrypto clears private scalars */
	free(e);
}

static custos_rc write_z(void *ctx, uint8_t *z, size_t len, struct custos_err *err)
{
	EVP_PKEY_CTX *agreement = ctx;
	size_t got = 0;
	/* libcrypto pads on the left to the size of the field: leading zeros of Z belong to the key. */
	if (EVP_PKEY_derive(agreement, NULL, &got) != 1 || got != len || EVP_PKEY_derive(agreement, z, &got) != 1 || got != len)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot agree on a key");
	return CUSTOS_OK;
}

static custos_rc agree(struct custos_ephemeral *e, const uint8_t *peer_point, struct custos_secret **ret_z, struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(pkey) EVP_PKEY *peer = custos_ec_public("P-256", CUSTOS_BYTES(peer_point, CUSTOS_POINT_SIZE));
	CUSTOS_REQUIRE(peer != NULL, err, CUSTOS_E_TAMPERED, "the other side's public point is not on P-256");
	CUSTOS_AUTO_OPENSSL(pkey_ctx) EVP_PKEY_CTX *agreement = EVP_PKEY_CTX_new_from_pkey(NULL, e->key, NULL);
	if (agreement == NULL || EVP_PKEY_derive_init(agreement) != 1 || EVP_PKEY_derive_set_peer(agreement, peer) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot agree on a key");
	CUSTOS_AUTO(custos_secret) *z = NULL;
	CUSTOS_TRY(custos_secret_new(Z_SIZE, &z, err));
	CUSTOS_TRY(custos_secret_expose(z, write_z, agreement, err));
	*ret_z = CUSTOS_TAKE(z);
	return CUSTOS_OK;
}

enum direction { UNWRAP = 0, WRAP = 1 };

/* The chain of exposures of one AES-KWP call: key, then input, then output. */
struct kwp {
	enum direction direction;
	EVP_CIPHER_CTX *cipher;
	struct custos_secret *plain;   /* input of WRAP */
	struct custos_bytes sealed;    /* input of UNWRAP */
	struct custos_secret *out;
	const uint8_t *in;
	size_t in_len;
	size_t out_len;
};

static custos_rc write_out(void *ctx, uint8_t *out, size_t room, struct custos_err *err)
{
	struct kwp *k = ctx;
	int len = 0;
	/* On failure libcrypto clears in_len bytes of the output, whatever the plaintext would have been. */
	CUSTOS_REQUIRE(room >= k->in_len + 16 || (k->direction == UNWRAP && room >= k->in_len), err, CUSTOS_E_INTERNAL, "key wrap buffer too small");
	/* One call, and both answers count: an empty input is answered with 1 and no bytes. */
	int verdict = EVP_CipherUpdate(k->cipher, out, &len, k->in, (int)k->in_len);
	ERR_clear_error();
	CUSTOS_REQUIRE(verdict == 1 && len > 0 && (size_t)len <= room, err, CUSTOS_E_TAMPERED, "a sealed parcel does not open: it is damaged, or sealed to another key");
	k->out_len = (size_t)len;
	return CUSTOS_OK;
}

static custos_rc with_plain(void *ctx, uint8_t *plain, size_t len, struct custos_err *err)
{
	struct kwp *k = ctx;
	k->in = plain;
	k->in_len = len;
	return custos_secret_expose(k->out, write_out, k, err);
}

static custos_rc with_key(void *ctx, uint8_t *z, size_t len, struct custos_err *err)
{
	struct kwp *k = ctx;
	CUSTOS_REQUIRE(len == Z_SIZE, err, CUSTOS_E_INTERNAL, "a wrapping key of %zu bytes", len);
	EVP_CIPHER_CTX_set_flags(k->cipher, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_CipherInit_ex2(k->cipher, EVP_aes_256_wrap_pad(), z, NULL, (int)k->direction, NULL) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot wrap keys");
	if (k->direction == WRAP)
		return custos_secret_expose(k->plain, with_plain, k, err);
	k->in = k->sealed.ptr;
	k->in_len = k->sealed.len;
	return custos_secret_expose(k->out, write_out, k, err);
}

static custos_rc run_kwp(struct kwp *k, struct custos_secret *z, struct custos_err *err)
{
	CUSTOS_AUTO_OPENSSL(cipher_ctx) EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	CUSTOS_REQUIRE(cipher != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	k->cipher = cipher;
	custos_rc rc = custos_secret_expose(z, with_key, k, err);
	k->cipher = NULL;
	return rc;
}

static custos_rc append_sealed(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	return custos_buf_append(ctx, bytes, len, err);
}

static custos_rc seal_to(struct custos_secret *secret, const uint8_t *peer_point, uint8_t *ret_point, struct custos_buf *sealed, struct custos_err *err)
{
	CUSTOS_AUTO(custos_ephemeral) *e = NULL;
	CUSTOS_AUTO(custos_secret) *z = NULL;
	CUSTOS_AUTO(custos_secret) *out = NULL;
	uint8_t point[CUSTOS_POINT_SIZE];
	size_t len = custos_secret_length(secret);
	CUSTOS_REQUIRE(len > 0 && len <= SEALED_MAX - SEALED_MIN, err, CUSTOS_E_INTERNAL, "a secret of %zu bytes", len);
	CUSTOS_TRY(custos_ephemeral_new(&e, point, err));
	CUSTOS_TRY(agree(e, peer_point, &z, err));
	CUSTOS_TRY(custos_secret_new(len + 16, &out, err));
	struct kwp k = { .direction = WRAP, .plain = secret, .out = out };
	CUSTOS_TRY(run_kwp(&k, z, err));
	CUSTOS_REQUIRE(k.out_len == (len + 7) / 8 * 8 + 8, err, CUSTOS_E_INTERNAL, "key wrap gave %zu bytes for %zu", k.out_len, len);
	custos_secret_shorten(out, k.out_len);
	CUSTOS_TRY(custos_secret_expose(out, append_sealed, sealed, err));
	memcpy(ret_point, point, sizeof point);
	return CUSTOS_OK;
}

custos_rc custos_seal(struct custos_secret *secret, const uint8_t peer_point[static CUSTOS_POINT_SIZE], uint8_t ret_point[static CUSTOS_POINT_SIZE],
                      struct custos_buf *sealed, struct custos_err *err)
{
	custos_rc rc = seal_to(secret, peer_point, ret_point, sealed, err);
	/* The keeper has neither a locked stack nor an epilogue. */
	custos_scrub_stack();
	custos_scrub_registers();
	return rc;
}

custos_rc custos_unwrap_secret(struct custos_secret *wrapping_key, struct custos_bytes sealed, struct custos_secret **ret_secret, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *out = NULL;
	CUSTOS_REQUIRE(sealed.len >= SEALED_MIN && sealed.len <= SEALED_MAX && sealed.len % 8 == 0, err, CUSTOS_E_TAMPERED, "a sealed parcel of %zu bytes", sealed.len);
	CUSTOS_TRY(custos_secret_new(sealed.len, &out, err));
	struct kwp k = { .direction = UNWRAP, .sealed = sealed, .out = out };
	CUSTOS_TRY(run_kwp(&k, wrapping_key, err));
	custos_secret_shorten(out, k.out_len);
	*ret_secret = CUSTOS_TAKE(out);
	return CUSTOS_OK;
}

custos_rc custos_unseal(struct custos_ephemeral *e, const uint8_t peer_point[static CUSTOS_POINT_SIZE], struct custos_bytes sealed, struct custos_secret **ret_secret,
                        struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *z = NULL;
	CUSTOS_TRY(agree(e, peer_point, &z, err));
	return custos_unwrap_secret(z, sealed, ret_secret, err);
}

/* One exposure inside the other: Z goes in, the wrapping key comes out. */
struct derivation {
	EVP_KDF_CTX *kdf;
	struct custos_secret *out;
	const uint8_t *z;
	size_t z_len;
	const uint8_t *binding;
};

static custos_rc derive_key(void *ctx, uint8_t *out, size_t len, struct custos_err *err)
{
	struct derivation *d = ctx;
	char digest[] = "SHA256";
	uint8_t info[CUSTOS_HASH_SIZE];
	memcpy(info, d->binding, sizeof info);
	const OSSL_PARAM parameters[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)d->z, d->z_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof info),
		OSSL_PARAM_construct_end(),
	};
	if (EVP_KDF_derive(d->kdf, out, len, parameters) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot derive a key");
	return CUSTOS_OK;
}

static custos_rc derive_from(void *ctx, uint8_t *z, size_t len, struct custos_err *err)
{
	struct derivation *d = ctx;
	d->z = z;
	d->z_len = len;
	return custos_secret_expose(d->out, derive_key, d, err);
}

static custos_rc bind(struct custos_secret *z, const uint8_t *binding, struct custos_secret **ret_key, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *key = NULL;
	CUSTOS_TRY(custos_secret_new(Z_SIZE, &key, err));
	EVP_KDF *x963 = EVP_KDF_fetch(NULL, "X963KDF", NULL);
	CUSTOS_AUTO_OPENSSL(kdf_ctx) EVP_KDF_CTX *ctx = x963 == NULL ? NULL : EVP_KDF_CTX_new(x963);
	EVP_KDF_free(x963);
	if (ctx == NULL)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot derive a key");
	struct derivation d = { .kdf = ctx, .out = key, .binding = binding };
	CUSTOS_TRY(custos_secret_expose(z, derive_from, &d, err));
	*ret_key = CUSTOS_TAKE(key);
	return CUSTOS_OK;
}

custos_rc custos_unseal_bound(struct custos_ephemeral *e, const uint8_t peer_point[static CUSTOS_POINT_SIZE], const uint8_t binding[static CUSTOS_HASH_SIZE], struct custos_bytes sealed,
                              struct custos_secret **ret_secret, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *z = NULL;
	CUSTOS_AUTO(custos_secret) *key = NULL;
	CUSTOS_TRY(agree(e, peer_point, &z, err));
	CUSTOS_TRY(bind(z, binding, &key, err));
	return custos_unwrap_secret(key, sealed, ret_secret, err);
}
