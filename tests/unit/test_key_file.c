/* Key files in every form people have: read to the PKCS#8 of the same key; damaged in every place: refused, or still that key; and nothing of it left in memory
 * that is not locked, in a process that is set up like the one that reads them. */
#include "crypto/heap.h"
#include "crypto/key_file.h"
#include "memory/scrub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "child.h"
#include "ownmemory.h"

static custos_rc fill(void *ctx, uint8_t *out, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(out, ctx, len);
	return CUSTOS_OK;
}

static struct custos_secret *secret_of(const void *bytes, size_t len)
{
	struct custos_secret *secret = NULL;
	union {
		const void *in;
		void *out;
	} view = { bytes };
	assert_int_equal(custos_secret_new(len, &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, fill, view.out, NULL), CUSTOS_OK);
	return secret;
}

static custos_rc compare(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const unsigned char *at = bytes;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, (long)len);
	bool same = key != NULL && EVP_PKEY_eq(key, ctx) == 1 && at == bytes + len;
	EVP_PKEY_free(key);
	CUSTOS_REQUIRE(same, err, CUSTOS_E_INPUT, "another key");
	return CUSTOS_OK;
}

static void assert_is(EVP_PKEY *key, struct custos_secret *pkcs8, struct custos_bytes spki)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	assert_int_equal(custos_secret_expose(pkcs8, compare, key, NULL), CUSTOS_OK);
	assert_int_equal(spki.len, len);
	assert_memory_equal(spki.ptr, der, spki.len);
	OPENSSL_free(der);
}

/* Reads the bytes; *ret_encrypted as told. The key, when there is one, must be `key`. */
static custos_rc try(EVP_PKEY *key, const void *bytes, size_t len, const char *phrase, bool *ret_encrypted, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *file = secret_of(bytes, len), *given = phrase == NULL ? NULL : secret_of(phrase, strlen(phrase)), *pkcs8 = NULL;
	CUSTOS_AUTO_BUF spki = { 0 };
	custos_rc rc = custos_key_file_read(file, given, ret_encrypted, &pkcs8, &spki, err);
	if (rc != CUSTOS_OK) {
		assert_null(pkcs8);
		assert_true(err->msg[0] != '\0');
	} else if (*ret_encrypted) {
		assert_null(pkcs8);
		assert_int_equal(spki.len, 0);
	} else {
		assert_is(key, pkcs8, custos_buf_view(&spki));
	}
	return rc;
}

enum form { PKCS8_PEM, PKCS8_DER, OLD_PEM, OLD_DER, LOCKED_PEM, LOCKED_DER, LOCKED_OLD_PEM, FORMS };

static size_t write_form(EVP_PKEY *key, enum form form, BIO *bio)
{
	static const char phrase[] = "open sesame";
	const EVP_CIPHER *cipher = EVP_aes_256_cbc();
	const unsigned char *old = (const unsigned char *)phrase;
	int done = 0;
	switch (form) {
	case PKCS8_PEM: done = PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL); break;
	case PKCS8_DER: done = i2d_PKCS8PrivateKey_bio(bio, key, NULL, NULL, 0, NULL, NULL); break;
	case OLD_PEM: done = PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL); break;
	case OLD_DER: done = i2d_PrivateKey_bio(bio, key); break;
	case LOCKED_PEM: done = PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, phrase, sizeof phrase - 1, NULL, NULL); break;
	case LOCKED_DER: done = i2d_PKCS8PrivateKey_bio(bio, key, cipher, phrase, sizeof phrase - 1, NULL, NULL); break;
	case LOCKED_OLD_PEM: done = PEM_write_bio_PrivateKey_traditional(bio, key, cipher, old, sizeof phrase - 1, NULL, NULL); break;
	case FORMS: break;
	}
	assert_int_equal(done, 1);
	return (size_t)BIO_ctrl_pending(bio);
}

static EVP_PKEY *keys[4];

static void every_form_is_the_same_key(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
		for (enum form form = 0; form < FORMS; form++) {
			BIO *bio = BIO_new(BIO_s_mem());
			char *bytes = NULL;
			size_t len = write_form(keys[k], form, bio);
			struct custos_err err = { 0 };
			bool encrypted = true, locked = form >= LOCKED_PEM;
			assert_int_equal(BIO_get_mem_data(bio, &bytes), (long)len);
			if (try(keys[k], bytes, len, "open sesame", &encrypted, &err) != CUSTOS_OK)
				fail_msg("key %zu, form %d: %s", k, form, err.msg);
			assert_false(encrypted);
			assert_int_equal(try(keys[k], bytes, len, NULL, &encrypted, &err), CUSTOS_OK);
			assert_int_equal(encrypted, locked);
			if (locked) {
				assert_int_equal(try(keys[k], bytes, len, "open sesam", &encrypted, &err), CUSTOS_E_AUTH);
				assert_non_null(strstr(err.msg, "does not open it"));
			}
			BIO_free(bio);
		}
}

static void a_damaged_file_is_refused_or_still_the_key(void **state)
{
	(void)state;
	unsigned char *der = NULL;
	int len = i2d_PrivateKey(keys[1], &der);
	bool encrypted;
	size_t refused = 0;
	for (int cut = 1; cut < len; cut++) {
		struct custos_err err = { 0 };
		assert_int_equal(try(keys[1], der, (size_t)cut, "x", &encrypted, &err), CUSTOS_E_INPUT);
	}
	for (int at = 0; at < len; at++)
		for (int bit = 0; bit < 8; bit += 3) {
			struct custos_err err = { 0 };
			der[at] ^= (unsigned char)(1 << bit);
			/* whatever is taken is compared with the key by try() */
			refused += try(keys[1], der, (size_t)len, "x", &encrypted, &err) != CUSTOS_OK;
			der[at] ^= (unsigned char)(1 << bit);
		}
	/* all but a byte or two that decoders do not look at */
	assert_true(refused + 6 >= (size_t)len * 3);
	OPENSSL_clear_free(der, (size_t)len);
}

static void what_is_not_to_be_kept_is_refused(void **state)
{
	(void)state;
	EVP_PKEY *others[] = { EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2056),
		                   EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		BIO *bio = BIO_new(BIO_s_mem());
		char *bytes = NULL;
		struct custos_err err = { 0 };
		bool encrypted;
		size_t len = write_form(others[i], PKCS8_PEM, bio);
		assert_int_equal(BIO_get_mem_data(bio, &bytes), (long)len);
		assert_int_equal(try(others[i], bytes, len, NULL, &encrypted, &err), CUSTOS_E_INPUT);
		assert_non_null(strstr(err.msg, "custos takes RSA of 2048, 3072, 4096, 6144 or 8192 bits and EC on P-256, P-384 or P-521"));
		BIO_free(bio);
		EVP_PKEY_free(others[i]);
	}
}

static void texts_that_are_no_key(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"x", "-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY-----PRIVATE KEY-----",
		"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct custos_err err = { 0 };
		bool encrypted;
		if (try(NULL, texts[i], strlen(texts[i]), NULL, &encrypted, &err) != CUSTOS_E_INPUT)
			fail_msg("%s", texts[i]);
	}
}

#ifndef CUSTOS_SANITIZED
/* A courier in small: libcrypto on a locked heap, the file in a secret. Everything here that holds the key is locked, but for the stack, which a courier has
 * locked too. */
static int leaves_nothing(void *ctx)
{
	static uint8_t masked[128];
	struct custos_arena *arena = NULL;
	struct custos_secret *pkcs8 = NULL;
	struct custos_buf spki = { 0 };
	BIGNUM *prime = NULL;
	char *pem = NULL;
	bool encrypted;
	(void)ctx;
	if (custos_secret_start(NULL) != CUSTOS_OK || custos_arena_new(1024 * 1024, &arena, NULL) != CUSTOS_OK || custos_crypto_use_arena(arena, NULL) != CUSTOS_OK)
		return 2;
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	BIO *bio = BIO_new(BIO_s_mem());
	size_t len = write_form(key, LOCKED_PEM, bio);
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR1, &prime) != 1 || BN_bn2binpad(prime, masked, sizeof masked) != sizeof masked || BIO_get_mem_data(bio, &pem) != (long)len)
		return 3;
	for (size_t i = 0; i < sizeof masked; i++)
		masked[i] ^= NEEDLE_MASK;
	custos_scrub_stack();
	custos_scrub_registers();
	if (count_windows(masked, sizeof masked, false) != 0)
		return 4;
	struct custos_secret *file = secret_of(pem, len), *phrase = secret_of("open sesame", 11);
	if (custos_key_file_read(file, phrase, &encrypted, &pkcs8, &spki, NULL) != CUSTOS_OK || encrypted)
		return 5;
	custos_scrub_stack();
	custos_scrub_registers();
	if (count_windows(masked, sizeof masked, false) != 0)
		return 6;
	return count_windows(masked, sizeof masked, true) == 0 ? 7 : 0;
}

static void nothing_is_left_where_it_is_not_locked(void **state)
{
	(void)state;
	assert_child_exits(leaves_nothing, NULL, 0);
}
#endif

static int make_keys(void **state)
{
	(void)state;
	if (custos_secret_start(NULL) != CUSTOS_OK)
		return -1;
	keys[0] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	keys[1] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	keys[2] = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
	keys[3] = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)3072);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

int main(void)
{
	int failed = 0;
#ifndef CUSTOS_SANITIZED
	/* first, in a child: neither locked memory nor libcrypto's heap can be had twice */
	const struct CMUnitTest alone[] = { cmocka_unit_test(nothing_is_left_where_it_is_not_locked) };
	failed = cmocka_run_group_tests(alone, NULL, NULL);
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_that_are_no_key),
		cmocka_unit_test(every_form_is_the_same_key),
		cmocka_unit_test(a_damaged_file_is_refused_or_still_the_key),
		cmocka_unit_test(what_is_not_to_be_kept_is_refused),
	};
	return failed + cmocka_run_group_tests(tests, make_keys, free_keys);
}
