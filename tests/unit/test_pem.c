/* Keys made by libcrypto: our PEM against libcrypto's, byte for byte; everything that is not exactly such a key refused; key against certificate. */
#include "crypto/pem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { DER_MAX = 4096 };

struct key {
	EVP_PKEY *pkey;
	uint8_t der[DER_MAX]; /* PKCS#8 */
	size_t len;
};

enum kind { RSA_2048, RSA_3072, EC_P256, EC_P384, EC_P256_BARE, EC_P384_BARE, RSA_OTHER, EC_OTHER, KINDS };

static void to_pkcs8(EVP_PKEY *pkey, struct key *to)
{
	uint8_t *at = to->der;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(pkey);
	assert_non_null(info);
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, NULL);
	assert_in_range(len, 1, DER_MAX);
	to->len = (size_t)i2d_PKCS8_PRIV_KEY_INFO(info, &at);
	to->pkey = pkey;
	PKCS8_PRIV_KEY_INFO_free(info);
}

/* As SoftHSM wraps EC keys: without the public point. */
static EVP_PKEY *bare(EVP_PKEY *pkey)
{
	assert_int_equal(EVP_PKEY_set_int_param(pkey, OSSL_PKEY_PARAM_EC_INCLUDE_PUBLIC, 0), 1);
	return pkey;
}

static int make_all(void **state)
{
	static struct key keys[KINDS];
	if (custos_secret_start(NULL) != CUSTOS_OK)
		return -1;
	to_pkcs8(EVP_RSA_gen(2048), &keys[RSA_2048]);
	to_pkcs8(EVP_RSA_gen(3072), &keys[RSA_3072]);
	to_pkcs8(EVP_EC_gen("P-256"), &keys[EC_P256]);
	to_pkcs8(EVP_EC_gen("P-384"), &keys[EC_P384]);
	to_pkcs8(bare(EVP_EC_gen("P-256")), &keys[EC_P256_BARE]);
	to_pkcs8(bare(EVP_EC_gen("P-384")), &keys[EC_P384_BARE]);
	to_pkcs8(EVP_RSA_gen(2048), &keys[RSA_OTHER]);
	to_pkcs8(EVP_EC_gen("P-256"), &keys[EC_OTHER]);
	*state = keys;
	return 0;
}

static int free_all(void **state)
{
	struct key *keys = *state;
	for (size_t i = 0; i < KINDS; i++)
		EVP_PKEY_free(keys[i].pkey);
	return 0;
}

struct plain {
	const uint8_t *bytes;
	size_t len;
};

static custos_rc fill(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(bytes, ((struct plain *)ctx)->bytes, len);
	return CUSTOS_OK;
}

static struct custos_secret *secret_of(const uint8_t *bytes, size_t len)
{
	struct custos_secret *secret = NULL;
	assert_int_equal(custos_secret_new(len, &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, fill, &(struct plain){ bytes, len }, NULL), CUSTOS_OK);
	return secret;
}

static custos_rc copy_out(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(ctx, bytes, len);
	((char *)ctx)[len] = '\0';
	return CUSTOS_OK;
}

static custos_rc to_pem(const uint8_t *der, size_t len, unsigned format, unsigned padding, char *text, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *pem = NULL;
	CUSTOS_AUTO(custos_secret) *secret = secret_of(der, len);
	custos_rc rc = custos_pem_from_pkcs8(secret, format, padding, &pem, err);
	assert_true((rc == CUSTOS_OK) == (pem != NULL));
	if (pem != NULL)
		assert_int_equal(custos_secret_expose(pem, copy_out, text, NULL), CUSTOS_OK);
	return rc;
}

static void libcryptos_pem(EVP_PKEY *pkey, unsigned format, char *text)
{
	char *at;
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_equal(format == CUSTOS_PEM_PKCS8 ? PEM_write_bio_PKCS8PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) :
	                                              PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
	long len = BIO_get_mem_data(bio, &at);
	assert_in_range(len, 1, 2 * DER_MAX - 1);
	memcpy(text, at, (size_t)len);
	text[len] = '\0';
	BIO_free(bio);
}

static bool loads_as(const char *text, const EVP_PKEY *pkey)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	EVP_PKEY *loaded = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	bool same = loaded != NULL && EVP_PKEY_eq(loaded, pkey) == 1;
	EVP_PKEY_free(loaded);
	BIO_free(bio);
	return same;
}

static void text_is_libcryptos_byte_for_byte(void **state)
{
	struct key *keys = *state;
	static char ours[2 * DER_MAX], theirs[2 * DER_MAX];
	for (size_t k = 0; k < KINDS; k++)
		for (unsigned format = 0; format <= 1; format++) {
			assert_int_equal(to_pem(keys[k].der, keys[k].len, format, 0, ours, NULL), CUSTOS_OK);
			libcryptos_pem(keys[k].pkey, format, theirs);
			assert_string_equal(ours, theirs);
			assert_true(loads_as(ours, keys[k].pkey));
		}
	assert_int_equal(keys[EC_P256_BARE].len, 67);
}

static void padding_after_the_key_is_left_out(void **state)
{
	struct key *keys = *state;
	static char ours[2 * DER_MAX], theirs[2 * DER_MAX];
	uint8_t padded[DER_MAX + 16] = { 0 };
	struct custos_err err = { 0 };
	for (size_t k = 0; k < KINDS; k++)
		for (unsigned zeros = 0; zeros <= 9; zeros++)
			for (unsigned format = 0; format <= 1; format++) {
				memset(padded, 0, sizeof padded);
				memcpy(padded, keys[k].der, keys[k].len);
				assert_int_equal(to_pem(padded, keys[k].len + zeros, format, 7, ours, NULL), zeros <= 7 ? CUSTOS_OK : CUSTOS_E_TOKEN);
				if (zeros > 7)
					continue;
				libcryptos_pem(keys[k].pkey, format, theirs);
				assert_string_equal(ours, theirs);
				if (zeros == 0)
					continue;
				assert_int_equal(to_pem(padded, keys[k].len + zeros, format, zeros - 1, ours, NULL), CUSTOS_E_TOKEN);
				padded[keys[k].len + zeros - 1] = 1;
				assert_int_equal(to_pem(padded, keys[k].len + zeros, format, 7, ours, NULL), CUSTOS_E_TOKEN);
			}
	assert_int_equal(to_pem(keys[0].der, keys[0].len, 2, 0, ours, &err), CUSTOS_E_INTERNAL);
}

/* Where key bytes begin (RSA: the modulus, without its sign byte): up to there every bit is structure. */
static const size_t structure[KINDS] = { [RSA_2048] = 38, [RSA_3072] = 38, [RSA_OTHER] = 38, [EC_P256] = 36, [EC_OTHER] = 36, [EC_P384] = 35, [EC_P256_BARE] = 35,
	                                 [EC_P384_BARE] = 32 };

static void every_bit_of_structure_counts(void **state)
{
	struct key *keys = *state;
	static char text[2 * DER_MAX];
	for (enum kind k = RSA_2048; k < KINDS; k++) {
		uint8_t der[DER_MAX];
		memcpy(der, keys[k].der, keys[k].len);
		size_t sign_byte = k == RSA_2048 || k == RSA_3072 || k == RSA_OTHER ? structure[k] - 1 : SIZE_MAX;
		for (size_t bit = 0; bit < 8 * structure[k]; bit++) {
			/* 00 before the modulus: other values make a larger number of it, which only the certificate can tell */
			if (bit / 8 == sign_byte)
				continue;
			der[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			assert_int_equal(to_pem(der, keys[k].len, 0, 7, text, NULL), CUSTOS_E_TOKEN);
			der[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		for (size_t len = 1; len < keys[k].len; len++)
			assert_int_equal(to_pem(der, len, len % 2, 7, text, NULL), CUSTOS_E_TOKEN);
	}
}

static void assert_not_accepted(const uint8_t *der, size_t len)
{
	static char text[2 * DER_MAX];
	struct custos_err err = { 0 };
	assert_int_equal(to_pem(der, len, 0, 7, text, &err), CUSTOS_E_TOKEN);
	assert_int_equal(to_pem(der, len, 1, 7, text, NULL), CUSTOS_E_TOKEN);
	assert_true(err.msg[0] != '\0');
}

static void other_structures_are_refused(void **state)
{
	struct key *keys = *state, other;
	uint8_t der[DER_MAX], *at = der;
	/* the inner structures alone */
	int len = i2d_PrivateKey(keys[RSA_2048].pkey, &at);
	assert_not_accepted(der, (size_t)len);
	at = der;
	len = i2d_PrivateKey(keys[EC_P256].pkey, &at);
	assert_not_accepted(der, (size_t)len);
	/* key types and curves custos does not deploy */
	to_pkcs8(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), &other);
	assert_not_accepted(other.der, other.len);
	EVP_PKEY_free(other.pkey);
	to_pkcs8(EVP_EC_gen("secp256k1"), &other);
	assert_not_accepted(other.der, other.len);
	EVP_PKEY_free(other.pkey);
	/* a curve written out */
	EVP_PKEY *explicit = EVP_EC_gen("P-256");
	assert_int_equal(EVP_PKEY_set_utf8_string_param(explicit, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT), 1);
	to_pkcs8(explicit, &other);
	assert_not_accepted(other.der, other.len);
	EVP_PKEY_free(explicit);
	/* an attribute after the key, well formed: [0] {} */
	memcpy(der, keys[EC_P256].der, keys[EC_P256].len);
	assert_int_equal(der[1], 0x81);
	der[2] = (uint8_t)(der[2] + 2);
	memcpy(der + keys[EC_P256].len, "\xa0\x00", 2);
	assert_not_accepted(der, keys[EC_P256].len + 2);
	/* a length with a leading zero */
	memcpy(der, "\x30\x82\x00", 3);
	memcpy(der + 3, keys[EC_P256].der + 2, keys[EC_P256].len - 2);
	assert_not_accepted(der, keys[EC_P256].len + 1);
	/* a negative modulus */
	memcpy(der, keys[RSA_2048].der, keys[RSA_2048].len);
	der[structure[RSA_2048] - 1] = 0x80;
	assert_not_accepted(der, keys[RSA_2048].len);
	/* indefinite length, and the length with one byte too many */
	memcpy(der, keys[EC_P256_BARE].der, 67);
	der[1] = 0x80;
	assert_not_accepted(der, 67);
	der[1] = 0x81;
	der[2] = 65;
	memcpy(der + 3, keys[EC_P256_BARE].der + 2, 65);
	assert_not_accepted(der, 68);
	memset(der, 0, 64);
	assert_not_accepted(der, 1);
	assert_not_accepted(der, 64);
}

/* Two curves in one key: RFC 5208 outside says P-256, RFC 5915 inside says P-384. */
static void two_curves_are_refused(void **state)
{
	struct key *keys = *state;
	uint8_t der[DER_MAX] = { 0x30, 0 }, *at = der;
	static const uint8_t outside[] = { 0x02, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
	static const uint8_t right[] = { 0xa0, 0x0a, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 }, wrong[] = { 0xa0, 7, 6, 5, 0x2b, 0x81, 4, 0, 0x22 };
	static char text[2 * DER_MAX];
	for (int i = 0; i < 2; i++) {
		size_t parameters = i == 0 ? sizeof right : sizeof wrong, inner = 37 + parameters, len;
		at = der + 2;
		memcpy(at, outside, sizeof outside);
		at += sizeof outside;
		*at++ = 4;
		*at++ = (uint8_t)(inner + 2);
		*at++ = 0x30;
		*at++ = (uint8_t)inner;
		memcpy(at, keys[EC_P256_BARE].der + 67 - 37, 37); /* version and scalar */
		memcpy(at + 37, i == 0 ? right : wrong, parameters);
		len = (size_t)(at - der) + inner;
		der[1] = (uint8_t)(len - 2);
		assert_int_equal(to_pem(der, len, 1, 0, text, NULL), i == 0 ? CUSTOS_OK : CUSTOS_E_TOKEN);
		assert_true(i == 1 || loads_as(text, keys[EC_P256_BARE].pkey));
	}
}

static size_t certificate(EVP_PKEY *pkey, uint8_t *der)
{
	X509 *x = X509_new();
	uint8_t *at = der;
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const uint8_t *)"host.example", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	assert_int_equal(X509_set_pubkey(x, pkey), 1);
	assert_true(X509_sign(x, pkey, EVP_sha256()) > 0);
	int len = i2d_X509(x, NULL);
	assert_in_range(len, 1, DER_MAX - 8);
	assert_int_equal(i2d_X509(x, &at), len);
	X509_free(x);
	return (size_t)len;
}

static custos_rc matches(const uint8_t *key, size_t key_len, const uint8_t *leaf, size_t leaf_len)
{
	CUSTOS_AUTO(custos_secret) *secret = secret_of(key, key_len);
	return custos_key_matches_leaf(secret, 7, CUSTOS_BYTES(leaf, leaf_len), NULL);
}

static void a_key_matches_its_certificate_only(void **state)
{
	struct key *keys = *state;
	static uint8_t leaves[KINDS][DER_MAX];
	for (size_t c = 0; c < KINDS; c++) {
		size_t leaf_len = certificate(keys[c].pkey, leaves[c]);
		for (size_t k = 0; k < KINDS; k++) {
			/* without its point an EC key fits every certificate of its curve; the challenge tells them apart */
			bool only_curve = (k == EC_P256_BARE && (c == EC_P256 || c == EC_OTHER)) || (k == EC_P384_BARE && c == EC_P384);
			custos_rc rc = matches(keys[k].der, keys[k].len, leaves[c], leaf_len);
			assert_int_equal(rc, k == c || only_curve ? CUSTOS_OK : CUSTOS_E_TAMPERED);
		}
		assert_int_equal(matches(keys[c].der, keys[c].len, leaves[c], leaf_len + 1), CUSTOS_E_INPUT);
		assert_int_equal(matches(keys[c].der, keys[c].len, leaves[c], leaf_len - 1), CUSTOS_E_INPUT);
		assert_int_equal(matches(keys[c].der, keys[c].len, leaves[c], 0), CUSTOS_E_INPUT);
		assert_int_equal(matches(keys[c].der, keys[c].len - 1, leaves[c], leaf_len), CUSTOS_E_TOKEN);
	}
}

static void every_bit_of_the_public_part_counts(void **state)
{
	struct key *keys = *state;
	static uint8_t leaf[DER_MAX], der[DER_MAX];
	size_t leaf_len = certificate(keys[RSA_2048].pkey, leaf), modulus = structure[RSA_2048];
	memcpy(der, keys[RSA_2048].der, keys[RSA_2048].len);
	/* modulus, then 02 03 01 00 01 */
	for (size_t bit = 8 * modulus; bit < 8 * (modulus + 256 + 5); bit++) {
		der[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_not_equal(matches(der, keys[RSA_2048].len, leaf, leaf_len), CUSTOS_OK);
		der[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	der[modulus - 1] = 1;
	assert_int_equal(matches(der, keys[RSA_2048].len, leaf, leaf_len), CUSTOS_E_TAMPERED);
	leaf_len = certificate(keys[EC_P256].pkey, leaf);
	memcpy(der, keys[EC_P256].der, keys[EC_P256].len);
	for (size_t bit = 8 * (keys[EC_P256].len - 64); bit < 8 * keys[EC_P256].len; bit++) {
		der[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_equal(matches(der, keys[EC_P256].len, leaf, leaf_len), CUSTOS_E_TAMPERED);
		der[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	assert_int_equal(matches(der, keys[EC_P256].len, leaf, leaf_len), CUSTOS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_libcryptos_byte_for_byte),
		cmocka_unit_test(padding_after_the_key_is_left_out),
		cmocka_unit_test(every_bit_of_structure_counts),
		cmocka_unit_test(other_structures_are_refused),
		cmocka_unit_test(two_curves_are_refused),
		cmocka_unit_test(a_key_matches_its_certificate_only),
		cmocka_unit_test(every_bit_of_the_public_part_counts),
	};
	return cmocka_run_group_tests(tests, make_all, free_all);
}
