/* AES key wrap with padding (RFC 5649) under a known key: NIST's vectors, a forger who has the key, and custos's own opening of it. The vectors (SP 800-38F, KWP)
 * are read where Debian's python3-cryptography-vectors installs them, none is copied here; without the package a test that needs them is skipped, with CI=true
 * in the environment it fails. Include after crypto/seal.h and cmocka.h. */
#ifndef CUSTOS_TESTS_KWP_H
#define CUSTOS_TESTS_KWP_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KWP_DIR "/usr/lib/python3/dist-packages/cryptography_vectors/keywrap/kwtestvectors/"
enum { KWP_KEY = 32, KWP_PLAIN_MAX = 512, KWP_SEALED_MAX = KWP_PLAIN_MAX + 8 };

struct kwp_vector {
	const char *file;
	unsigned long count; /* its number within its length */
	uint8_t key[KWP_KEY], plain[KWP_PLAIN_MAX], sealed[KWP_SEALED_MAX];
	size_t key_len, plain_len, sealed_len;
	bool refused;        /* FAIL: it must not open */
};

/* Bytes of hexadecimal text up to the line's end; anything else in it fails the test. */
static inline size_t kwp_unhex(const char *text, uint8_t *out, size_t room)
{
	size_t len = strcspn(text, "\r\n");
	assert_true(len % 2 == 0 && len / 2 <= room);
	for (size_t i = 0; i < len; i += 2) {
		const char pair[3] = { text[i], text[i + 1], '\0' };
		char *end = NULL;
		out[i / 2] = (uint8_t)strtoul(pair, &end, 16);
		assert_ptr_equal(end, pair + 2);
	}
	return len / 2;
}

static inline FILE *kwp_open(const char *name)
{
	char path[256];
	snprintf(path, sizeof path, KWP_DIR "%s", name);
	FILE *file = fopen(path, "r");
	const char *ci = getenv("CI");
	if (file == NULL && ci != NULL && strcmp(ci, "true") == 0)
		fail_msg("%s is missing (Debian: apt-get install python3-cryptography-vectors)", path);
	if (file == NULL) {
		print_message("%s is missing (Debian: apt-get install python3-cryptography-vectors)\n", path);
		skip();
	}
	return file;
}

/* Calls `use` for each vector of the file. Returns how many there were; a line that is not understood fails the test. */
static inline size_t kwp_each(const char *name, void (*use)(const struct kwp_vector *vector, void *ctx), void *ctx)
{
	static char line[2 * KWP_SEALED_MAX + 64];
	struct kwp_vector v = { .file = name };
	FILE *file = kwp_open(name);
	size_t read = 0;
	while (fgets(line, sizeof line, file) != NULL) {
		bool told = false;
		if (sscanf(line, "COUNT = %lu", &v.count) == 1)
			v.key_len = v.plain_len = v.sealed_len = 0;
		else if (strncmp(line, "K = ", 4) == 0)
			v.key_len = kwp_unhex(line + 4, v.key, sizeof v.key);
		else if (strncmp(line, "C = ", 4) == 0)
			v.sealed_len = kwp_unhex(line + 4, v.sealed, sizeof v.sealed);
		else if (strncmp(line, "P = ", 4) == 0)
			v.plain_len = kwp_unhex(line + 4, v.plain, sizeof v.plain);
		else if (strncmp(line, "FAIL", 4) == 0)
			told = true;
		else if (strchr("#[\r\n", line[0]) == NULL)
			fail_msg("%s: not understood: %s", name, line);
		v.refused = told;
		told = told || v.plain_len > 0;
		if (told && v.key_len > 0 && v.sealed_len > 0) {
			use(&v, ctx);
			read++;
			v.key_len = 0;
		}
	}
	fclose(file);
	return read;
}

static inline custos_rc kwp_fill(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(bytes, ctx, len);
	return CUSTOS_OK;
}

static inline custos_rc kwp_same(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	return memcmp(ctx, bytes, len) == 0 ? CUSTOS_OK : CUSTOS_E_TAMPERED;
}

/* What custos_unseal() does after the agreement. Refused means: the right category, a message, and nothing in the caller's hands. */
static inline bool kwp_opens(const uint8_t *key, size_t key_len, const uint8_t *sealed, size_t len, const uint8_t *plain, size_t plain_len)
{
	CUSTOS_AUTO(custos_secret) *z = NULL;
	struct custos_secret *out = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(custos_secret_new(key_len, &z, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(z, kwp_fill, (void *)(uintptr_t)key, NULL), CUSTOS_OK);
	custos_rc rc = custos_unwrap_secret(z, CUSTOS_BYTES(sealed, len), &out, &err);
	if (rc != CUSTOS_OK) {
		assert_int_equal(rc, CUSTOS_E_TAMPERED);
		assert_null(out);
		assert_true(err.msg[0] != '\0');
		return false;
	}
	assert_int_equal(custos_secret_length(out), plain_len);
	assert_int_equal(custos_secret_expose(out, kwp_same, (void *)(uintptr_t)plain, NULL), CUSTOS_OK);
	custos_secret_free(out);
	return true;
}

/* Wraps whole blocks under any 8-byte value where RFC 5649 has its constant and the length: what a forger with the key could make. */
static inline size_t kwp_forge(const uint8_t *key, const uint8_t iv[8], const uint8_t *blocks, size_t len, uint8_t *out)
{
	int got = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (len == 8) { /* RFC 5649 4.1: one block is one AES block with its IV */
		uint8_t both[16];
		memcpy(both, iv, 8);
		memcpy(both + 8, blocks, 8);
		assert_int_equal(EVP_EncryptInit_ex2(ctx, EVP_aes_256_ecb(), key, NULL, NULL), 1);
		EVP_CIPHER_CTX_set_padding(ctx, 0);
		assert_int_equal(EVP_EncryptUpdate(ctx, out, &got, both, 16), 1);
		OPENSSL_cleanse(both, sizeof both);
	} else {
		assert_int_equal(EVP_EncryptInit_ex2(ctx, EVP_aes_256_wrap(), key, iv, NULL), 1);
		assert_int_equal(EVP_EncryptUpdate(ctx, out, &got, blocks, (int)len), 1);
	}
	EVP_CIPHER_CTX_free(ctx);
	assert_int_equal(got, len + 8);
	return len + 8;
}

static inline void kwp_iv(uint32_t length, uint8_t iv[8])
{
	static const uint8_t constant[4] = { 0xa6, 0x59, 0x59, 0xa6 };
	memcpy(iv, constant, 4);
	for (unsigned i = 0; i < 4; i++)
		iv[4 + i] = (uint8_t)(length >> (24 - 8 * i));
}

#endif
