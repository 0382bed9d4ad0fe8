/* Signatures made by libcrypto keys, damaged in every byte; public keys put together from their parts; strict base64. */
#include "crypto/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

static const char MESSAGE[] = "release.intent";

struct signed_message {
	EVP_PKEY *key;
	enum custos_signature algorithm;
	uint8_t spki[1024], signature[1024];
	size_t spki_len, signature_len;
};

static void sign_with(EVP_PKEY *key, enum custos_signature algorithm, const EVP_MD *md, struct signed_message *to)
{
	uint8_t *at = to->spki;
	*to = (struct signed_message){ .key = key, .algorithm = algorithm, .signature_len = sizeof to->signature };
	assert_non_null(key);
	to->spki_len = (size_t)i2d_PUBKEY(key, &at);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, md, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, to->signature, &to->signature_len, (const uint8_t *)MESSAGE, strlen(MESSAGE)), 1);
	EVP_MD_CTX_free(ctx);
}

enum { ED25519, P256, P384, RSA2048, KINDS };

static int make_all(void **state)
{
	static struct signed_message all[KINDS];
	sign_with(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), CUSTOS_SIGNATURE_ED25519, NULL, &all[ED25519]);
	sign_with(EVP_EC_gen("P-256"), CUSTOS_SIGNATURE_ECDSA_SHA256, EVP_sha256(), &all[P256]);
	sign_with(EVP_EC_gen("P-384"), CUSTOS_SIGNATURE_ECDSA_SHA384, EVP_sha384(), &all[P384]);
	sign_with(EVP_RSA_gen(2048), CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, EVP_sha256(), &all[RSA2048]);
	*state = all;
	return 0;
}

static int free_all(void **state)
{
	struct signed_message *all = *state;
	for (size_t i = 0; i < KINDS; i++)
		EVP_PKEY_free(all[i].key);
	return 0;
}

static custos_rc check(const struct signed_message *s, enum custos_signature algorithm, const char *message)
{
	struct custos_err err = { 0 };
	custos_rc rc = custos_verify("the log key", CUSTOS_BYTES(s->spki, s->spki_len), algorithm, CUSTOS_BYTES_STR(message),
	                             CUSTOS_BYTES(s->signature, s->signature_len), &err);
	assert_true(rc == CUSTOS_OK || strstr(err.msg, "the log key") != NULL);
	return rc;
}

static void what_was_signed_verifies_and_nothing_else(void **state)
{
	struct signed_message *all = *state;
	for (size_t k = 0; k < KINDS; k++) {
		struct signed_message s = all[k];
		assert_int_equal(check(&s, s.algorithm, MESSAGE), CUSTOS_OK);
		assert_int_equal(check(&s, s.algorithm, "release.intend"), CUSTOS_E_TOKEN);
		assert_int_equal(check(&s, s.algorithm, ""), CUSTOS_E_TOKEN);
		for (size_t bit = 0; bit < 8 * s.signature_len; bit++) {
			s.signature[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			assert_int_equal(check(&s, s.algorithm, MESSAGE), CUSTOS_E_TOKEN);
			s.signature[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		for (size_t len = 0; len <= s.signature_len + 1; len++) {
			struct signed_message cut = s;
			cut.signature_len = len;
			assert_int_equal(check(&cut, s.algorithm, MESSAGE), len == s.signature_len ? CUSTOS_OK : CUSTOS_E_TOKEN);
		}
		for (size_t other = 0; other < KINDS; other++)
			if (other != k)
				assert_int_equal(check(&s, all[other].algorithm, MESSAGE), CUSTOS_E_TOKEN);
	}
}

static void another_key_does_not_verify(void **state)
{
	struct signed_message *all = *state, other = all[P256];
	EVP_PKEY *key = EVP_EC_gen("P-256");
	uint8_t *at = other.spki;
	other.spki_len = (size_t)i2d_PUBKEY(key, &at);
	assert_int_equal(check(&other, other.algorithm, MESSAGE), CUSTOS_E_TOKEN);
	EVP_PKEY_free(key);
}

static void a_weak_or_broken_key_is_refused(void **state)
{
	struct signed_message *all = *state, weak, s = all[P256];
	sign_with(EVP_RSA_gen(1024), CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, EVP_sha256(), &weak);
	assert_int_equal(check(&weak, weak.algorithm, MESSAGE), CUSTOS_E_TOKEN);
	EVP_PKEY_free(weak.key);
	for (size_t len = 0; len < s.spki_len; len++) {
		struct signed_message cut = s;
		cut.spki_len = len;
		assert_int_equal(check(&cut, s.algorithm, MESSAGE), CUSTOS_E_INPUT);
	}
	s.spki_len++;
	assert_int_equal(check(&s, s.algorithm, MESSAGE), CUSTOS_E_INPUT);
	s.spki_len--;
	s.spki[s.spki_len - 1] ^= 1; /* off the curve */
	assert_int_equal(check(&s, s.algorithm, MESSAGE), CUSTOS_E_INPUT);
}

static void ecdsa_forms_convert_both_ways(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 512; i++) {
		uint8_t raw[96];
		size_t size = i % 2 == 0 ? 32 : 48;
		CUSTOS_AUTO_BUF der = { 0 };
		CUSTOS_AUTO_BUF back = { 0 };
		for (size_t at = 0; at < sizeof raw; at++)
			raw[at] = (uint8_t)(at * 37 + i * 101 + 1);
		/* leading zeros, and leading bits that need one */
		memset(raw, 0, i % 5);
		raw[size] = i % 3 == 0 ? 0xff : raw[size];
		assert_int_equal(custos_ecdsa_to_der(CUSTOS_BYTES(raw, 2 * size), &der, NULL), CUSTOS_OK);
		assert_int_equal(custos_ecdsa_from_der(custos_buf_view(&der), size, &back, NULL), CUSTOS_OK);
		assert_int_equal(back.len, 2 * size);
		assert_memory_equal(back.ptr, raw, 2 * size);
	}
}

static void odd_ecdsa_signatures_are_refused(void **state)
{
	(void)state;
	static const uint8_t zero[64] = { 0 };
	static const struct {
		const char *der;
		size_t len;
	} bad[] = {
		{ "", 0 },
		{ "\x30\x06\x02\x01\x01\x02\x01", 7 },                 /* cut */
		{ "\x30\x06\x02\x01\x01\x02\x01\x01\x00", 9 },         /* trailing byte */
		{ "\x30\x07\x02\x02\x00\x01\x02\x01\x01", 9 },         /* leading zero */
		{ "\x30\x81\x06\x02\x01\x01\x02\x01\x01", 9 },         /* long length */
		{ "\x30\x06\x02\x01\x81\x02\x01\x01", 8 },             /* negative */
		{ "\x30\x06\x02\x01\x00\x02\x01\x01", 8 },             /* zero */
		{ "\x30\x80\x02\x01\x01\x02\x01\x01\x00\x00", 10 },    /* indefinite */
		{ "\x30\x08\x02\x03\x01\x00\x00\x02\x01\x01", 10 },    /* larger than the two bytes asked for */
	};
	CUSTOS_AUTO_BUF out = { 0 };
	assert_int_equal(custos_ecdsa_from_der(CUSTOS_BYTES("\x30\x06\x02\x01\x01\x02\x01\x01", 8), 2, &out, NULL), CUSTOS_OK);
	assert_int_equal(out.len, 4);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(custos_ecdsa_from_der(CUSTOS_BYTES(bad[i].der, bad[i].len), 2, &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_ecdsa_to_der(CUSTOS_BYTES(zero, 64), &out, NULL), CUSTOS_E_TOKEN);
	assert_int_equal(custos_ecdsa_to_der(CUSTOS_BYTES(zero, 63), &out, NULL), CUSTOS_E_TOKEN);
	assert_int_equal(out.len, 4);
}

static void spki_from_parts_is_libcryptos(void **state)
{
	struct signed_message *all = *state;
	BIGNUM *n = NULL, *e = NULL;
	uint8_t number[300] = { 0 }, exponent[8], point[97];
	size_t len = 0;
	CUSTOS_AUTO_BUF rsa = { 0 };
	CUSTOS_AUTO_BUF ec = { 0 };
	CUSTOS_AUTO_BUF ed = { 0 };
	CUSTOS_AUTO_BUF raw = { 0 };
	assert_int_equal(EVP_PKEY_get_bn_param(all[RSA2048].key, "n", &n), 1);
	assert_int_equal(EVP_PKEY_get_bn_param(all[RSA2048].key, "e", &e), 1);
	/* with a leading zero, as some tokens give it */
	int n_len = BN_bn2bin(n, number + 1) + 1, e_len = BN_bn2bin(e, exponent);
	assert_int_equal(custos_spki_rsa(CUSTOS_BYTES(number, (size_t)n_len), CUSTOS_BYTES(exponent, (size_t)e_len), &rsa, NULL), CUSTOS_OK);
	assert_int_equal(rsa.len, all[RSA2048].spki_len);
	assert_memory_equal(rsa.ptr, all[RSA2048].spki, rsa.len);
	for (size_t k = P256; k <= P384; k++) {
		custos_buf_done(&ec);
		assert_int_equal(EVP_PKEY_get_octet_string_param(all[k].key, "encoded-pub-key", point, sizeof point, &len), 1);
		assert_int_equal(custos_spki_ec(k == P256 ? "P-256" : "P-384", CUSTOS_BYTES(point, len), &ec, NULL), CUSTOS_OK);
		assert_int_equal(ec.len, all[k].spki_len);
		assert_memory_equal(ec.ptr, all[k].spki, ec.len);
	}
	assert_int_equal(custos_spki_raw(CUSTOS_BYTES(all[ED25519].spki, all[ED25519].spki_len), &raw, NULL), CUSTOS_OK);
	assert_int_equal(raw.len, 32);
	assert_int_equal(custos_spki_ed25519(custos_buf_view(&raw), &ed, NULL), CUSTOS_OK);
	assert_memory_equal(ed.ptr, all[ED25519].spki, all[ED25519].spki_len);
	custos_buf_done(&raw);
	assert_int_equal(custos_spki_raw(CUSTOS_BYTES(all[P256].spki, all[P256].spki_len), &raw, NULL), CUSTOS_OK);
	assert_int_equal(raw.len, 65);
	assert_int_equal(custos_spki_raw(CUSTOS_BYTES(all[P384].spki, all[P384].spki_len), &raw, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_spki_raw(CUSTOS_BYTES(all[RSA2048].spki, all[RSA2048].spki_len), &raw, NULL), CUSTOS_E_INPUT);
	assert_int_equal(raw.len, 65);
	BN_free(n);
	BN_free(e);
}

static void parts_that_are_no_key_are_refused(void **state)
{
	struct signed_message *all = *state;
	uint8_t number[256], point[65];
	size_t len = 0;
	BIGNUM *n = NULL;
	CUSTOS_AUTO_BUF out = { 0 };
	struct custos_bytes e = CUSTOS_BYTES("\x01\x00\x01", 3);
	assert_int_equal(EVP_PKEY_get_bn_param(all[RSA2048].key, "n", &n), 1);
	assert_int_equal(BN_bn2bin(n, number), 256);
	BN_free(n);
	assert_int_equal(custos_spki_rsa(CUSTOS_BYTES(number + 1, 255), e, &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_spki_rsa(CUSTOS_BYTES(number, 256), CUSTOS_BYTES("\x01", 1), &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_spki_rsa(CUSTOS_BYTES(number, 256), CUSTOS_BYTES("\x10", 1), &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_spki_rsa(CUSTOS_BYTES(NULL, 0), e, &out, NULL), CUSTOS_E_INPUT);
	number[255] ^= 1;
	assert_int_equal(custos_spki_rsa(CUSTOS_BYTES(number, 256), e, &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(EVP_PKEY_get_octet_string_param(all[P256].key, "encoded-pub-key", point, sizeof point, &len), 1);
	assert_int_equal(custos_spki_ec("P-256", CUSTOS_BYTES(point, 64), &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_spki_ec("P-384", CUSTOS_BYTES(point, 65), &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_spki_ec("P-521", CUSTOS_BYTES(point, 65), &out, NULL), CUSTOS_E_INPUT);
	point[64] ^= 1;
	assert_int_equal(custos_spki_ec("P-256", CUSTOS_BYTES(point, 65), &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_spki_ed25519(CUSTOS_BYTES(point, 31), &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(out.len, 0);
}

static void base64_of_every_length(void **state)
{
	(void)state;
	static const char *const rfc4648[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };
	for (size_t len = 0; len <= 6; len++) {
		CUSTOS_AUTO_BUF text = { 0 };
		assert_int_equal(custos_base64_encode(CUSTOS_BYTES("foobar", len), &text, NULL), CUSTOS_OK);
		assert_string_equal(len == 0 ? "" : (char *)text.ptr, rfc4648[len]);
	}
	uint8_t data[300];
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 167 + i / 7);
	for (size_t len = 0; len <= sizeof data; len++) {
		CUSTOS_AUTO_BUF text = { 0 };
		CUSTOS_AUTO_BUF back = { 0 };
		assert_int_equal(custos_buf_append_str(&text, "x: ", NULL), CUSTOS_OK);
		assert_int_equal(custos_base64_encode(CUSTOS_BYTES(data, len), &text, NULL), CUSTOS_OK);
		assert_int_equal(strlen((char *)text.ptr), text.len);
		assert_int_equal(custos_base64_decode((char *)text.ptr + 3, text.len - 3, &back, NULL), CUSTOS_OK);
		assert_true(custos_bytes_equal(custos_buf_view(&back), CUSTOS_BYTES(data, len)));
	}
}

static void loose_base64_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = { "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8=Zm8=", "====", "Z===", "=Zg=", " Zm9", "Zm9 ", "Zm9\n", "Zm 9", "Zm9v\n\n\n\n",
	                                   "Zm9-", "Zm9_", "Zm9.", "Zm8=\n", "Zg==Zg==", "\xc3\xa4Zm" };
	CUSTOS_AUTO_BUF out = { 0 };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(custos_base64_decode(bad[i], strlen(bad[i]), &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_base64_decode("Zm9v\0\0\0\0", 8, &out, NULL), CUSTOS_E_INPUT);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_signed_verifies_and_nothing_else),
		cmocka_unit_test(another_key_does_not_verify),
		cmocka_unit_test(a_weak_or_broken_key_is_refused),
		cmocka_unit_test(ecdsa_forms_convert_both_ways),
		cmocka_unit_test(odd_ecdsa_signatures_are_refused),
		cmocka_unit_test(spki_from_parts_is_libcryptos),
		cmocka_unit_test(parts_that_are_no_key_are_refused),
		cmocka_unit_test(base64_of_every_length),
		cmocka_unit_test(loose_base64_is_refused),
	};
	return cmocka_run_group_tests(tests, make_all, free_all);
}
