/* The doctor's second opinion, given keys that were wrapped here in every form a token was seen to use, and in none. */
#include "crypto/trial.h"
#include "crypto/verify.h"
#include "memory/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { ROOM = 4096 };

struct made {
	EVP_PKEY *key;
	uint8_t pkcs8[ROOM];
	size_t len;
	struct custos_buf spki;
};
static struct made rsa, ec, other;
static uint8_t kek[CUSTOS_TRIAL_KEY_SIZE], iv[CUSTOS_TRIAL_IV_SIZE];

static void make(struct made *m, EVP_PKEY *key)
{
	struct custos_err err = { 0 };
	uint8_t *at = m->pkcs8, *der = NULL;
	assert_non_null(key);
	m->key = key;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	m->len = (size_t)i2d_PKCS8_PRIV_KEY_INFO(info, &at);
	PKCS8_PRIV_KEY_INFO_free(info);
	int len = i2d_PUBKEY(key, &der);
	assert_true(len > 0 && m->len < ROOM - 32);
	assert_int_equal(custos_buf_append(&m->spki, der, (size_t)len, &err), CUSTOS_OK);
	OPENSSL_free(der);
}

/* The key with zero bytes behind it, by any cipher; `block` fills up as PKCS#7 does. */
static size_t wrap(const struct made *m, const EVP_CIPHER *cipher, size_t zeros, size_t block, uint8_t *out)
{
	uint8_t plain[ROOM] = { 0 };
	size_t len = m->len + zeros;
	memcpy(plain, m->pkcs8, m->len);
	if (block > 0) {
		size_t count = block - len % block;
		memset(plain + len, (int)count, count);
		len += count;
	}
	int done = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, kek, EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CBC_MODE ? iv : NULL, NULL), 1);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &done, plain, (int)len), 1);
	EVP_CIPHER_CTX_free(ctx);
	return (size_t)done;
}

static struct custos_wrapped_look look_at(const uint8_t *wrapped, size_t len, const struct made *m)
{
	struct custos_wrapped_look look = { 0 };
	struct custos_err err = { 0 };
	if (custos_wrapped_look(kek, iv, CUSTOS_BYTES(wrapped, len), custos_buf_view(&m->spki), &look, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	return look;
}

/* Goal: each form is told by its name, the key in it is known for what it is, and so are up to seven zero bytes behind it, but not eight. */
static void forms_are_told_apart(void **state)
{
	(void)state;
	uint8_t out[ROOM];
	const struct made *const keys[] = { &rsa, &ec };
	for (size_t k = 0; k < 2; k++) {
		for (size_t zeros = 0; zeros <= 8; zeros++) {
			struct custos_wrapped_look look = look_at(out, wrap(keys[k], EVP_aes_256_wrap_pad(), zeros, 0, out), keys[k]);
			assert_int_equal(look.form, CUSTOS_WRAPPED_RFC5649);
			assert_int_equal(look.is_the_key, zeros <= 7);
			assert_int_equal(look.padding, zeros <= 7 ? zeros : 0);
		}
		size_t align = (8 - keys[k]->len % 8) % 8;
		struct custos_wrapped_look look = look_at(out, wrap(keys[k], EVP_aes_256_wrap(), align, 0, out), keys[k]);
		assert_true(look.form == CUSTOS_WRAPPED_RFC3394 && look.is_the_key && look.padding == align);
		look = look_at(out, wrap(keys[k], EVP_aes_256_wrap(), 0, 8, out), keys[k]);
		assert_true(look.form == CUSTOS_WRAPPED_RFC3394_PKCS7 && look.is_the_key && look.padding == 0);
		look = look_at(out, wrap(keys[k], EVP_aes_256_cbc(), 0, 16, out), keys[k]);
		assert_true(look.form == CUSTOS_WRAPPED_CBC_PKCS7 && look.is_the_key && look.padding == 0);
	}
}

/* Goal: what is made to test a token's look at the padding does not open for who looks at all of it, and does for who looks at the last byte only. */
static void padding_that_is_not_there(void **state)
{
	(void)state;
	uint8_t wrapped[CUSTOS_TRIAL_UNPADDED_SIZE], plain[CUSTOS_TRIAL_UNPADDED_SIZE];
	struct custos_err err = { 0 };
	int len = 0, last = 0;
	assert_int_equal(custos_wrapped_unpadded(kek, iv, wrapped, &err), CUSTOS_OK);
	EVP_CIPHER_CTX *strict = EVP_CIPHER_CTX_new();
	assert_true(EVP_DecryptInit_ex2(strict, EVP_aes_256_cbc(), kek, iv, NULL) == 1 && EVP_DecryptUpdate(strict, plain, &len, wrapped, sizeof wrapped) == 1);
	assert_int_equal(EVP_DecryptFinal_ex(strict, plain + len, &last), 0);
	assert_true(EVP_DecryptInit_ex2(strict, EVP_aes_256_cbc(), kek, iv, NULL) == 1 && EVP_CIPHER_CTX_set_padding(strict, 0) == 1);
	assert_true(EVP_DecryptUpdate(strict, plain, &len, wrapped, sizeof wrapped) == 1 && len == sizeof plain);
	assert_int_equal(plain[sizeof plain - 1], 16);
	EVP_CIPHER_CTX_free(strict);
}

/* Goal: another key in it, another key around it, a flipped bit, a cut: none of these is the key. */
static void nothing_else_is_the_key(void **state)
{
	(void)state;
	uint8_t out[ROOM];
	size_t len = wrap(&rsa, EVP_aes_256_wrap_pad(), 0, 0, out);
	struct custos_wrapped_look look = look_at(out, len, &other);
	assert_true(look.form == CUSTOS_WRAPPED_RFC5649 && !look.is_the_key);
	look = look_at(out, len, &ec);
	assert_true(look.form == CUSTOS_WRAPPED_RFC5649 && !look.is_the_key);
	for (size_t at = 0; at < len; at += len / 16) {
		out[at] ^= 1;
		look = look_at(out, len, &rsa);
		assert_true(look.form == CUSTOS_WRAPPED_UNKNOWN && !look.is_the_key);
		out[at] ^= 1;
	}
	kek[0] ^= 1;
	look = look_at(out, len, &rsa);
	assert_true(look.form == CUSTOS_WRAPPED_UNKNOWN && !look.is_the_key);
	kek[0] ^= 1;
	static const size_t lengths[] = { 0, 8, 15, 16, 17, 24 };
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
		assert_false(look_at(out, lengths[i], &rsa).is_the_key);
	assert_false(look_at(out, len - 8, &rsa).is_the_key);
	/* in the clear it is no wrapping at all */
	assert_false(look_at(rsa.pkcs8, rsa.len, &rsa).is_the_key);
}

static size_t sign_pss(const struct made *m, int salt, const uint8_t *message, size_t len, uint8_t *out)
{
	EVP_PKEY_CTX *how = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t size = ROOM;
	assert_int_equal(EVP_DigestSignInit(ctx, &how, EVP_sha256(), NULL, m->key), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, salt < 0 ? RSA_PKCS1_PADDING : RSA_PKCS1_PSS_PADDING), 1);
	assert_true(salt < 0 || EVP_PKEY_CTX_set_rsa_pss_saltlen(how, salt) == 1);
	assert_int_equal(EVP_DigestSign(ctx, out, &size, message, len), 1);
	EVP_MD_CTX_free(ctx);
	return size;
}

/* Goal: a PSS signature verifies with its own key, message, padding and salt length, and with nothing else. */
static void pss_is_verified(void **state)
{
	(void)state;
	static const uint8_t message[] = "a message", another[] = "b message";
	uint8_t out[ROOM];
	struct custos_bytes text = CUSTOS_BYTES(message, sizeof message);
	size_t len = sign_pss(&rsa, 32, message, sizeof message, out);
	assert_int_equal(custos_verify("it", custos_buf_view(&rsa.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, text, CUSTOS_BYTES(out, len), NULL), CUSTOS_OK);
	assert_int_equal(custos_verify("it", custos_buf_view(&other.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, text, CUSTOS_BYTES(out, len), NULL), CUSTOS_E_TOKEN);
	assert_int_equal(custos_verify("it", custos_buf_view(&ec.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, text, CUSTOS_BYTES(out, len), NULL), CUSTOS_E_TOKEN);
	assert_int_equal(custos_verify("it", CUSTOS_BYTES(NULL, 0), CUSTOS_SIGNATURE_RSA_PSS_SHA256, text, CUSTOS_BYTES(out, len), NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_verify("it", custos_buf_view(&rsa.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, CUSTOS_BYTES(another, sizeof another), CUSTOS_BYTES(out, len), NULL), CUSTOS_E_TOKEN);
	assert_int_equal(custos_verify("it", custos_buf_view(&rsa.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, text, CUSTOS_BYTES(out, len - 1), NULL), CUSTOS_E_TOKEN);
	out[len / 2] ^= 1;
	assert_int_equal(custos_verify("it", custos_buf_view(&rsa.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, text, CUSTOS_BYTES(out, len), NULL), CUSTOS_E_TOKEN);
	len = sign_pss(&rsa, 20, message, sizeof message, out);
	assert_int_equal(custos_verify("it", custos_buf_view(&rsa.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, text, CUSTOS_BYTES(out, len), NULL), CUSTOS_E_TOKEN);
	len = sign_pss(&rsa, -1, message, sizeof message, out);
	assert_int_equal(custos_verify("it", custos_buf_view(&rsa.spki), CUSTOS_SIGNATURE_RSA_PSS_SHA256, text, CUSTOS_BYTES(out, len), NULL), CUSTOS_E_TOKEN);
}

static int start(void **state)
{
	(void)state;
	if (custos_secret_start(NULL) != CUSTOS_OK || RAND_bytes(kek, sizeof kek) != 1 || RAND_bytes(iv, sizeof iv) != 1)
		return -1;
	make(&rsa, EVP_RSA_gen(2048));
	make(&other, EVP_RSA_gen(2048));
	make(&ec, EVP_EC_gen("P-256"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	struct made *const all[] = { &rsa, &other, &ec };
	for (size_t i = 0; i < 3; i++) {
		EVP_PKEY_free(all[i]->key);
		custos_buf_done(&all[i]->spki);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(forms_are_told_apart), cmocka_unit_test(padding_that_is_not_there), cmocka_unit_test(nothing_else_is_the_key), cmocka_unit_test(pss_is_verified) };
	return cmocka_run_group_tests_name("trial", tests, start, stop);
}
