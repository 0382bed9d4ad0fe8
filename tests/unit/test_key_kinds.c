/* P-521 and Ed25519, which came later than the kinds that test_pem.c takes apart: read by others as what they are, compared with their certificates, and
 * refused when anything about their form is not as it must be. */
#include "crypto/digest.h"
#include "crypto/pem.h"
#include "crypto/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

struct key {
	EVP_PKEY *pkey;
	uint8_t der[512];
	size_t len;
	struct custos_buf spki;
};
enum { P521, P521_BARE, ED25519, KINDS };
static struct key keys[KINDS], others[KINDS];

static void make(EVP_PKEY *pkey, struct key *k)
{
	uint8_t *at = k->der, *spki = NULL;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, NULL), spki_len = i2d_PUBKEY(pkey, &spki);
	assert_in_range(len, 1, sizeof k->der);
	k->len = (size_t)i2d_PKCS8_PRIV_KEY_INFO(info, &at);
	k->pkey = pkey;
	assert_int_equal(custos_buf_append(&k->spki, spki, (size_t)spki_len, NULL), CUSTOS_OK);
	OPENSSL_free(spki);
	PKCS8_PRIV_KEY_INFO_free(info);
}

static EVP_PKEY *bare(EVP_PKEY *pkey)
{
	assert_int_equal(EVP_PKEY_set_int_param(pkey, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 0), 1);
	return pkey;
}

static void make_set(struct key *set)
{
	make(EVP_EC_gen("P-521"), &set[P521]);
	make(bare(EVP_EC_gen("P-521")), &set[P521_BARE]);
	make(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), &set[ED25519]);
}

static custos_rc fill(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(bytes, ctx, len);
	return CUSTOS_OK;
}

static struct custos_secret *secret_of(uint8_t *der, size_t len)
{
	struct custos_secret *secret = NULL;
	assert_int_equal(custos_secret_new(len, &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, fill, der, NULL), CUSTOS_OK);
	return secret;
}

static custos_rc reads_as(void *ctx, uint8_t *text, size_t len, struct custos_err *err)
{
	const struct key *k = ctx;
	BIO *bio = BIO_new_mem_buf(text, (int)len);
	EVP_PKEY *read = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	bool same = read != NULL && EVP_PKEY_eq(read, k->pkey) == 1;
	EVP_PKEY_free(read);
	BIO_free(bio);
	CUSTOS_REQUIRE(same, err, CUSTOS_E_TAMPERED, "another key");
	return CUSTOS_OK;
}

static void others_read_them(void **state)
{
	(void)state;
	static const unsigned formats[] = { CUSTOS_PEM_PKCS8, CUSTOS_PEM_TRADITIONAL };
	for (size_t i = 0; i < KINDS; i++) {
		struct custos_secret *der = secret_of(keys[i].der, keys[i].len);
		for (size_t f = 0; f < 2; f++) {
			struct custos_secret *pem = NULL;
			assert_int_equal(custos_pem_from_pkcs8(der, formats[f], 0, &pem, NULL), CUSTOS_OK);
			assert_int_equal(custos_secret_expose(pem, reads_as, &keys[i], NULL), CUSTOS_OK);
			assert_int_equal(custos_secret_expose(pem, reads_as, &others[i], NULL), CUSTOS_E_TAMPERED);
			custos_secret_free(pem);
		}
		assert_int_equal(custos_key_matches_spki(der, 0, custos_buf_view(&keys[i].spki), NULL), CUSTOS_OK);
		/* where nothing public stands in the key, its kind is all that can be compared */
		assert_int_equal(custos_key_matches_spki(der, 0, custos_buf_view(&others[i].spki), NULL), i == P521 ? CUSTOS_E_TAMPERED : CUSTOS_OK);
		for (size_t j = 0; j < KINDS; j++)
			if ((i == ED25519) != (j == ED25519))
				assert_int_equal(custos_key_matches_spki(der, 0, custos_buf_view(&keys[j].spki), NULL), CUSTOS_E_TAMPERED);
		custos_secret_free(der);
	}
}

/* Every byte of the form matters; what is left of an Ed25519 key when its 32 bytes are taken away is form. */
static void a_form_that_is_not_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < 16; i++) {
		uint8_t changed[64];
		memcpy(changed, keys[ED25519].der, keys[ED25519].len);
		changed[i] ^= 0x01;
		struct custos_secret *der = secret_of(changed, keys[ED25519].len), *pem = NULL;
		assert_int_equal(custos_pem_from_pkcs8(der, CUSTOS_PEM_PKCS8, 0, &pem, NULL), CUSTOS_E_TOKEN);
		custos_secret_free(der);
	}
	/* as openCryptoki writes it: an ECPrivateKey inside */
	static uint8_t ec_inside[] = { 0x30, 0x33, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01, 0x01, 0x04, 0x20, [52] = 0 };
	struct custos_secret *der = secret_of(ec_inside, sizeof ec_inside), *pem = NULL;
	assert_int_equal(custos_pem_from_pkcs8(der, CUSTOS_PEM_PKCS8, 0, &pem, NULL), CUSTOS_E_TOKEN);
	custos_secret_free(der);
	/* a point that is one byte short */
	uint8_t shorter[512];
	memcpy(shorter, keys[P521].der, keys[P521].len);
	der = secret_of(shorter, keys[P521].len - 1);
	assert_int_equal(custos_pem_from_pkcs8(der, CUSTOS_PEM_PKCS8, 0, &pem, NULL), CUSTOS_E_TOKEN);
	custos_secret_free(der);
}

/* SHA-512 goes with P-521 and with nothing else. */
static void signatures_of_p521(void **state)
{
	(void)state;
	static const uint8_t message[] = "to be signed";
	const struct custos_bytes text = CUSTOS_BYTES(message, sizeof message);
	uint8_t signature[160], hash[64];
	size_t len = sizeof signature;
	static const EVP_MD *(*const digests[])(void) = { EVP_sha512, EVP_sha384, EVP_sha256 };
	for (size_t i = 0; i < 3; i++) {
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		len = sizeof signature;
		assert_true(EVP_DigestSignInit(ctx, NULL, digests[i](), NULL, keys[P521].pkey) == 1 && EVP_DigestSign(ctx, signature, &len, message, sizeof message) == 1);
		EVP_MD_CTX_free(ctx);
		struct custos_bytes made = CUSTOS_BYTES(signature, len);
		assert_int_equal(custos_verify("it", custos_buf_view(&keys[P521].spki), CUSTOS_SIGNATURE_ECDSA_SHA512, text, made, NULL), i == 0 ? CUSTOS_OK : CUSTOS_E_TOKEN);
		assert_int_equal(custos_verify("it", custos_buf_view(&others[P521].spki), CUSTOS_SIGNATURE_ECDSA_SHA512, text, made, NULL), CUSTOS_E_TOKEN);
		assert_int_equal(custos_verify("it", custos_buf_view(&keys[P521].spki), CUSTOS_SIGNATURE_ECDSA_SHA384, text, made, NULL), CUSTOS_E_TOKEN);
	}
	EVP_PKEY *p384 = EVP_EC_gen("P-384");
	uint8_t *spki = NULL;
	int spki_len = i2d_PUBKEY(p384, &spki);
	assert_int_equal(custos_verify("it", CUSTOS_BYTES(spki, (size_t)spki_len), CUSTOS_SIGNATURE_ECDSA_SHA512, text, CUSTOS_BYTES(signature, len), NULL), CUSTOS_E_TOKEN);
	OPENSSL_free(spki);
	EVP_PKEY_free(p384);
	/* FIPS 180-4, "abc" */
	assert_int_equal(custos_sha512(CUSTOS_BYTES_STR("abc"), hash, NULL), CUSTOS_OK);
	assert_int_equal(hash[0] << 8 | hash[63], 0xdd << 8 | 0x9f);
}

static int start(void **state)
{
	(void)state;
	if (custos_secret_start(NULL) != CUSTOS_OK)
		return -1;
	make_set(keys);
	make_set(others);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		EVP_PKEY_free(keys[i].pkey);
		EVP_PKEY_free(others[i].pkey);
		custos_buf_done(&keys[i].spki);
		custos_buf_done(&others[i].spki);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_read_them), cmocka_unit_test(a_form_that_is_not_right), cmocka_unit_test(signatures_of_p521),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
