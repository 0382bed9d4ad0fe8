/* The token's end of a transport, written from the standards and not from our code: ECDH with Z or with X9.63 over it, RSA-OAEP around an AES key, RFC 5649 under
 * what came of it. */
#ifndef CUSTOS_TESTS_TRANSPORT_PEER_H
#define CUSTOS_TESTS_TRANSPORT_PEER_H

#include "base/permit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

enum { PEER_SEALED_MAX = 16384 };

struct peer_parcel {
	uint8_t point[CUSTOS_POINT_SIZE];
	uint8_t wrapping_key[512], sealed[PEER_SEALED_MAX];
	size_t wrapping_key_len, sealed_len;
};

static inline void peer_wrap(const uint8_t key[32], const uint8_t *plain, size_t len, struct peer_parcel *p)
{
	int out = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	assert_true(len + 16 <= sizeof p->sealed);
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_wrap_pad(), NULL, key, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, p->sealed, &out, plain, (int)len), 1);
	p->sealed_len = (size_t)out;
	EVP_CIPHER_CTX_free(ctx);
}

/* `binding` NULL: Z itself. Else SHA-256(Z || 00000001 || binding), which is X9.63 for one block. */
static inline void peer_seal_agreed(const uint8_t *courier_point, const uint8_t *binding, const uint8_t *plain, size_t len, struct peer_parcel *p)
{
	uint8_t z[32 + 4 + CUSTOS_HASH_SIZE] = { 0 }, key[32];
	size_t point_len = 0, z_len = 32;
	EVP_PKEY *own = EVP_EC_gen("P-256"), *other = EVP_PKEY_new();
	memset(p, 0, sizeof *p);
	assert_int_equal(EVP_PKEY_get_octet_string_param(own, "encoded-pub-key", p->point, sizeof p->point, &point_len), 1);
	assert_int_equal(EVP_PKEY_copy_parameters(other, own), 1);
	assert_int_equal(EVP_PKEY_set1_encoded_public_key(other, courier_point, CUSTOS_POINT_SIZE), 1);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
	assert_true(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, other) == 1 && EVP_PKEY_derive(ctx, z, &z_len) == 1);
	memcpy(key, z, sizeof key);
	if (binding != NULL) {
		z[35] = 1;
		memcpy(z + 36, binding, CUSTOS_HASH_SIZE);
		SHA256(z, sizeof z, key);
	}
	peer_wrap(key, plain, len, p);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
}

static inline void peer_seal_to_key(enum custos_transport transport, struct custos_bytes spki, const uint8_t *binding, const uint8_t *plain, size_t len, struct peer_parcel *p)
{
	uint8_t key[32];
	const unsigned char *at = spki.ptr;
	memset(p, 0, sizeof *p);
	memset(key, 0x5c, sizeof key);
	EVP_PKEY *courier = d2i_PUBKEY(NULL, &at, (long)spki.len);
	assert_non_null(courier);
	assert_int_equal(EVP_PKEY_get_bits(courier), 3072);
	const EVP_MD *digest = transport == CUSTOS_TRANSPORT_RSA_OAEP ? EVP_sha256() : EVP_sha1();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(courier, NULL);
	assert_true(EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_oaep_md(ctx, digest) == 1 &&
	            EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, digest) == 1);
	if (transport == CUSTOS_TRANSPORT_RSA_OAEP)
		assert_int_equal(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_memdup(binding, CUSTOS_HASH_SIZE), CUSTOS_HASH_SIZE), 1);
	p->wrapping_key_len = sizeof p->wrapping_key;
	assert_int_equal(EVP_PKEY_encrypt(ctx, p->wrapping_key, &p->wrapping_key_len, key, sizeof key), 1);
	peer_wrap(key, plain, len, p);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(courier);
}

#endif
