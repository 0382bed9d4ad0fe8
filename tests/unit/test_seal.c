/* Sealing, against an RFC 5649 written down here from the RFC (and held to the RFC's own vectors), in both directions; every damage refused;
 * nothing of secret or Z left in ordinary memory. */
#include "crypto/seal.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/random.h>

#include "child.h"
#include "ownmemory.h"

static uint64_t be64(const uint8_t *p)
{
	uint64_t v = 0;
	for (size_t i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static void xor_counter(uint8_t *a, uint64_t t)
{
	for (size_t i = 0; i < 8; i++)
		a[i] ^= (uint8_t)(t >> (8 * (7 - i)));
}

static void one_block(const EVP_CIPHER *ecb, const uint8_t *key, int encrypt, uint8_t block[16])
{
	uint8_t out[32];
	int len = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	assert_int_equal(EVP_CipherInit_ex2(ctx, ecb, key, NULL, encrypt, NULL), 1);
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	assert_int_equal(EVP_CipherUpdate(ctx, out, &len, block, 16), 1);
	assert_int_equal(len, 16);
	memcpy(block, out, 16);
	EVP_CIPHER_CTX_free(ctx);
}

/* RFC 5649 4.1 with RFC 3394 2.2.1. Returns the length of `out`. */
static size_t reference_wrap(const EVP_CIPHER *ecb, const uint8_t *key, const uint8_t *plain, size_t len, uint8_t *out)
{
	size_t n = (len + 7) / 8;
	uint8_t block[16] = { 0xa6, 0x59, 0x59, 0xa6, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
	memset(out, 0, 8 * (n + 1));
	memcpy(out + 8, plain, len);
	if (n == 1) {
		memcpy(block + 8, out + 8, 8);
		one_block(ecb, key, 1, block);
		memcpy(out, block, 16);
		return 16;
	}
	for (uint64_t t = 1; t <= 6 * n; t++) {
		uint8_t *r = out + 8 * (1 + (t - 1) % n);
		memcpy(block + 8, r, 8);
		one_block(ecb, key, 1, block);
		xor_counter(block, t);
		memcpy(r, block + 8, 8);
	}
	memcpy(out, block, 8);
	return 8 * (n + 1);
}

/* RFC 5649 4.2. Returns the length of the plaintext, 0 when the integrity check fails. */
static size_t reference_unwrap(const EVP_CIPHER *ecb, const uint8_t *key, const uint8_t *sealed, size_t len, uint8_t *out)
{
	size_t n = len / 8 - 1;
	uint8_t block[16];
	memcpy(block, sealed, 8);
	memcpy(out, sealed + 8, 8 * n);
	if (n == 1) {
		memcpy(block + 8, out, 8);
		one_block(ecb, key, 0, block);
		memcpy(out, block + 8, 8);
	}
	for (uint64_t t = 6 * n; n > 1 && t > 0; t--) {
		uint8_t *r = out + 8 * ((t - 1) % n);
		xor_counter(block, t);
		memcpy(block + 8, r, 8);
		one_block(ecb, key, 0, block);
		memcpy(r, block + 8, 8);
	}
	uint64_t iv = be64(block), plain = iv & 0xffffffff;
	return iv >> 32 == 0xa65959a6 && plain <= 8 * n && plain > 8 * (n - 1) ? (size_t)plain : 0;
}

static void the_reference_is_rfc_5649(void **state)
{
	(void)state;
	static const struct {
		const char *plain, *sealed;
		size_t len, sealed_len;
	} vectors[] = {
		{ "c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a", 20, 32 },
		{ "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f", 7, 16 },
	};
	uint8_t kek[24], plain[32], sealed[64], out[64];
	assert_true(custos_text_unhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", kek, sizeof kek));
	for (size_t i = 0; i < 2; i++) {
		assert_true(custos_text_unhex(vectors[i].plain, plain, vectors[i].len));
		assert_true(custos_text_unhex(vectors[i].sealed, sealed, vectors[i].sealed_len));
		assert_int_equal(reference_wrap(EVP_aes_192_ecb(), kek, plain, vectors[i].len, out), vectors[i].sealed_len);
		assert_memory_equal(out, sealed, vectors[i].sealed_len);
		assert_int_equal(reference_unwrap(EVP_aes_192_ecb(), kek, sealed, vectors[i].sealed_len, out), vectors[i].len);
		assert_memory_equal(out, plain, vectors[i].len);
	}
}

/* A peer that is not our code: its point, and Z with another point. */
struct peer {
	EVP_PKEY *key;
	uint8_t point[CUSTOS_POINT_SIZE];
};

static struct peer new_peer(void)
{
	struct peer p = { .key = EVP_EC_gen("P-256") };
	size_t len = 0;
	assert_int_equal(EVP_PKEY_get_octet_string_param(p.key, "encoded-pub-key", p.point, sizeof p.point, &len), 1);
	assert_int_equal(len, CUSTOS_POINT_SIZE);
	return p;
}

static void peer_z(const struct peer *p, const uint8_t *other_point, uint8_t z[32])
{
	EVP_PKEY *other = EVP_PKEY_new();
	size_t len = 32;
	assert_int_equal(EVP_PKEY_copy_parameters(other, p->key), 1);
	assert_int_equal(EVP_PKEY_set1_encoded_public_key(other, other_point, CUSTOS_POINT_SIZE), 1);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p->key, NULL);
	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(ctx, other), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, z, &len), 1);
	assert_int_equal(len, 32);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(other);
}

static custos_rc fill(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(bytes, ctx, len);
	return CUSTOS_OK;
}

static custos_rc unmask(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(((uint8_t *)ctx)[i] ^ NEEDLE_MASK);
	return CUSTOS_OK;
}

static custos_rc same(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	return memcmp(ctx, bytes, len) == 0 ? CUSTOS_OK : CUSTOS_E_TAMPERED;
}

static struct custos_secret *new_secret(uint8_t *bytes, size_t len)
{
	struct custos_secret *secret = NULL;
	assert_int_equal(custos_secret_new(len, &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, fill, bytes, NULL), CUSTOS_OK);
	return secret;
}

static void assert_secret(struct custos_secret *secret, uint8_t *bytes, size_t len)
{
	assert_non_null(secret);
	assert_int_equal(custos_secret_length(secret), len);
	assert_int_equal(custos_secret_expose(secret, same, bytes, NULL), CUSTOS_OK);
}

static void what_is_sealed_opens(void **state)
{
	(void)state;
	static uint8_t data[5000];
	unsigned seed = (unsigned)getpid();
	print_message("seed %u\n", seed);
	for (unsigned i = 0; i < 4096; i++) {
		/* every short length, then any */
		size_t len = i < 128 ? i + 1 : 1 + (unsigned)rand_r(&seed) % sizeof data;
		CUSTOS_AUTO(custos_ephemeral) *key = NULL;
		CUSTOS_AUTO(custos_secret) *opened = NULL;
		CUSTOS_AUTO_BUF sealed = { 0 };
		uint8_t point[CUSTOS_POINT_SIZE], sealer[CUSTOS_POINT_SIZE];
		assert_int_equal(getrandom(data, len < 256 ? len : 256, 0), len < 256 ? len : 256);
		CUSTOS_AUTO(custos_secret) *secret = new_secret(data, len);
		assert_int_equal(custos_ephemeral_new(&key, point, NULL), CUSTOS_OK);
		assert_int_equal(custos_seal(secret, point, sealer, &sealed, NULL), CUSTOS_OK);
		assert_int_equal(sealed.len, (len + 7) / 8 * 8 + 8);
		assert_memory_not_equal(point, sealer, sizeof point);
		assert_int_equal(custos_unseal(key, sealer, custos_buf_view(&sealed), &opened, NULL), CUSTOS_OK);
		assert_secret(opened, data, len);
	}
}

static void another_implementation_reads_and_writes_it(void **state)
{
	(void)state;
	uint8_t data[200], z[32], out[256], sealer[CUSTOS_POINT_SIZE], point[CUSTOS_POINT_SIZE];
	struct peer p = new_peer();
	for (size_t len = 1; len <= sizeof data; len += len < 20 ? 1 : 13) {
		CUSTOS_AUTO_BUF sealed = { 0 };
		CUSTOS_AUTO(custos_ephemeral) *key = NULL;
		CUSTOS_AUTO(custos_secret) *opened = NULL;
		assert_int_equal(getrandom(data, len, 0), len);
		CUSTOS_AUTO(custos_secret) *secret = new_secret(data, len);
		assert_int_equal(custos_seal(secret, p.point, sealer, &sealed, NULL), CUSTOS_OK);
		peer_z(&p, sealer, z);
		assert_int_equal(reference_unwrap(EVP_aes_256_ecb(), z, sealed.ptr, sealed.len, out), len);
		assert_memory_equal(out, data, len);
		assert_int_equal(custos_ephemeral_new(&key, point, NULL), CUSTOS_OK);
		peer_z(&p, point, z);
		size_t sealed_len = reference_wrap(EVP_aes_256_ecb(), z, data, len, out);
		assert_int_equal(custos_unseal(key, p.point, CUSTOS_BYTES(out, sealed_len), &opened, NULL), CUSTOS_OK);
		assert_secret(opened, data, len);
	}
	EVP_PKEY_free(p.key);
}

/* One exchange in 256 has a Z that begins with a zero byte; it is part of the key. */
static void z_keeps_its_leading_zeros(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_ephemeral) *key = NULL;
	CUSTOS_AUTO(custos_secret) *opened = NULL;
	uint8_t point[CUSTOS_POINT_SIZE], z[32] = { 1 }, out[64], data[24] = "a key with a leading 0";
	struct peer p = { 0 };
	assert_int_equal(custos_ephemeral_new(&key, point, NULL), CUSTOS_OK);
	for (unsigned i = 0; z[0] != 0; i++) {
		assert_true(i < 20000);
		EVP_PKEY_free(p.key);
		p = new_peer();
		peer_z(&p, point, z);
	}
	size_t len = reference_wrap(EVP_aes_256_ecb(), z, data, sizeof data, out);
	assert_int_equal(custos_unseal(key, p.point, CUSTOS_BYTES(out, len), &opened, NULL), CUSTOS_OK);
	assert_secret(opened, data, sizeof data);
	EVP_PKEY_free(p.key);
}

static void assert_refused(struct custos_ephemeral *key, const uint8_t *point, const uint8_t *sealed, size_t len)
{
	struct custos_secret *opened = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(custos_unseal(key, point, CUSTOS_BYTES(sealed, len), &opened, &err), CUSTOS_E_TAMPERED);
	assert_null(opened);
	assert_true(err.msg[0] != '\0');
}

static void every_damage_is_refused(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_ephemeral) *key = NULL;
	CUSTOS_AUTO(custos_ephemeral) *other = NULL;
	uint8_t data[70] = "data", point[CUSTOS_POINT_SIZE], other_point[CUSTOS_POINT_SIZE], sealer[CUSTOS_POINT_SIZE];
	static const size_t lengths[] = { 1, 8, 9, 16, 70 };
	assert_int_equal(custos_ephemeral_new(&key, point, NULL), CUSTOS_OK);
	assert_int_equal(custos_ephemeral_new(&other, other_point, NULL), CUSTOS_OK);
	for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
		CUSTOS_AUTO_BUF sealed = { 0 };
		CUSTOS_AUTO(custos_secret) *secret = new_secret(data, lengths[l]);
		CUSTOS_AUTO(custos_secret) *opened = NULL;
		assert_int_equal(custos_seal(secret, point, sealer, &sealed, NULL), CUSTOS_OK);
		for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
			sealed.ptr[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			assert_refused(key, sealer, sealed.ptr, sealed.len);
			sealed.ptr[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		for (size_t len = 0; len < sealed.len; len++)
			assert_refused(key, sealer, sealed.ptr, len);
		uint8_t longer[128] = { 0 };
		memcpy(longer, sealed.ptr, sealed.len);
		assert_refused(key, sealer, longer, sealed.len + 8);
		assert_refused(other, sealer, sealed.ptr, sealed.len);
		assert_refused(key, other_point, sealed.ptr, sealed.len);
		assert_refused(key, point, sealed.ptr, sealed.len);
		assert_int_equal(custos_unseal(key, sealer, custos_buf_view(&sealed), &opened, NULL), CUSTOS_OK);
	}
}

/* A wrapped length that lies about its padding (RFC 5649 3): non-zero padding, length 0, length one block too small or too large. */
/* PKCS#8 of an EVP_PKEY, as a custodian's key file is decoded to. */
static struct custos_secret *pkcs8_of(EVP_PKEY *key)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	unsigned char *der = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	assert_true(len > 0);
	struct custos_secret *secret = new_secret(der, (size_t)len);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
	return secret;
}

static void spki_of(EVP_PKEY *key, struct custos_buf *spki)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);
	assert_int_equal(custos_buf_append(spki, der, (size_t)len, NULL), CUSTOS_OK);
	OPENSSL_free(der);
}

static void a_custodian_s_key_opens_what_is_sealed_to_it(void **state)
{
	(void)state;
	uint8_t bytes[83], point[CUSTOS_POINT_SIZE], to[CUSTOS_POINT_SIZE];
	assert_int_equal(getrandom(bytes, sizeof bytes, 0), sizeof bytes);
	struct custos_secret *secret = new_secret(bytes, sizeof bytes), *opened = NULL;
	/* a scalar with leading zeros comes about once in 256 keys */
	for (unsigned i = 0; i < 300; i++) {
		struct peer p = new_peer();
		struct custos_secret *pkcs8 = pkcs8_of(p.key);
		struct custos_ephemeral *key = NULL;
		CUSTOS_AUTO_BUF sealed = { 0 };
		CUSTOS_AUTO_BUF spki = { 0 };
		spki_of(p.key, &spki);
		assert_int_equal(custos_seal_point(custos_buf_view(&spki), to, NULL), CUSTOS_OK);
		assert_memory_equal(to, p.point, sizeof to);
		assert_int_equal(custos_seal(secret, to, point, &sealed, NULL), CUSTOS_OK);
		assert_int_equal(custos_ephemeral_load(pkcs8, &key, NULL), CUSTOS_OK);
		assert_int_equal(custos_unseal(key, point, custos_buf_view(&sealed), &opened, NULL), CUSTOS_OK);
		assert_secret(opened, bytes, sizeof bytes);
		custos_secret_free(CUSTOS_TAKE(opened));
		custos_secret_free(pkcs8);
		custos_ephemeral_free(key);
		EVP_PKEY_free(p.key);
	}
	custos_secret_free(secret);
}

static void keys_of_another_kind_are_no_custodian_s(void **state)
{
	(void)state;
	uint8_t point[CUSTOS_POINT_SIZE];
	EVP_PKEY *keys[] = { EVP_EC_gen("P-384"), EVP_RSA_gen(2048), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
	for (size_t i = 0; i < 3; i++) {
		struct custos_secret *pkcs8 = pkcs8_of(keys[i]);
		struct custos_ephemeral *key = NULL;
		CUSTOS_AUTO_BUF spki = { 0 };
		spki_of(keys[i], &spki);
		assert_int_equal(custos_seal_point(custos_buf_view(&spki), point, NULL), CUSTOS_E_INPUT);
		assert_int_not_equal(custos_ephemeral_load(pkcs8, &key, NULL), CUSTOS_OK);
		assert_null(key);
		custos_secret_free(pkcs8);
		EVP_PKEY_free(keys[i]);
	}
	/* every bit of a good one */
	struct peer p = new_peer();
	CUSTOS_AUTO_BUF spki = { 0 };
	spki_of(p.key, &spki);
	for (size_t bit = 0; bit < 8 * spki.len; bit++) {
		spki.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(custos_seal_point(custos_buf_view(&spki), point, NULL), CUSTOS_E_INPUT);
		spki.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t len = 0; len < spki.len; len++)
		assert_int_equal(custos_seal_point(CUSTOS_BYTES(spki.ptr, len), point, NULL), CUSTOS_E_INPUT);
	EVP_PKEY_free(p.key);
}

static void lying_lengths_are_refused(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_ephemeral) *key = NULL;
	uint8_t point[CUSTOS_POINT_SIZE], z[32], data[24] = { 0 }, sealed[40];
	struct peer p = new_peer();
	assert_int_equal(custos_ephemeral_new(&key, point, NULL), CUSTOS_OK);
	peer_z(&p, point, z);
	for (size_t claimed = 0; claimed <= 40; claimed++) {
		/* RFC 3394 with the RFC 5649 IV over 24 bytes whose last is 1 */
		uint8_t block[16] = { 0xa6, 0x59, 0x59, 0xa6, 0, 0, 0, (uint8_t)claimed };
		data[23] = 1;
		memcpy(sealed + 8, data, 24);
		for (uint64_t t = 1; t <= 18; t++) {
			uint8_t *r = sealed + 8 * (1 + (t - 1) % 3);
			memcpy(block + 8, r, 8);
			one_block(EVP_aes_256_ecb(), z, 1, block);
			xor_counter(block, t);
			memcpy(r, block + 8, 8);
		}
		memcpy(sealed, block, 8);
		if (claimed != 24) {
			assert_refused(key, p.point, sealed, 32);
		} else {
			CUSTOS_AUTO(custos_secret) *opened = NULL;
			assert_int_equal(custos_unseal(key, p.point, CUSTOS_BYTES(sealed, 32), &opened, NULL), CUSTOS_OK);
			assert_secret(opened, data, 24);
		}
	}
	EVP_PKEY_free(p.key);
}

static void points_off_the_curve_are_refused(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_ephemeral) *key = NULL;
	CUSTOS_AUTO_BUF sealed = { 0 };
	uint8_t point[CUSTOS_POINT_SIZE], bad[CUSTOS_POINT_SIZE], sealer[CUSTOS_POINT_SIZE] = { 9 }, blob[32] = { 0 }, data[4] = "abc";
	CUSTOS_AUTO(custos_secret) *secret = new_secret(data, sizeof data);
	assert_int_equal(custos_ephemeral_new(&key, point, NULL), CUSTOS_OK);
	for (unsigned how = 0; how < 6; how++) {
		memcpy(bad, point, sizeof bad);
		switch (how) {
		case 0: bad[64] ^= 1; break;
		case 1: bad[1] ^= 0x80; break;
		case 2: memset(bad, 0, sizeof bad); break;        /* infinity, padded */
		case 3: memset(bad + 1, 0, 64); break;            /* (0, 0) */
		case 4: memset(bad + 1, 0xff, 32); break;         /* x not below p */
		case 5: bad[0] = 6 + (bad[64] & 1); break;        /* hybrid form */
		}
		assert_refused(key, bad, blob, sizeof blob);
		assert_int_equal(custos_seal(secret, bad, sealer, &sealed, NULL), CUSTOS_E_TAMPERED);
		assert_int_equal(sealed.len, 0);
		assert_int_equal(sealer[0], 9);
	}
}

/* The keeper seals a password on libcrypto's ordinary heap and on an ordinary stack. */
static void sealing_leaves_neither_secret_nor_z_behind(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip();
#endif
	enum { LEN = 40 };
	uint8_t masked[LEN], masked_z[32], sealer[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_BUF sealed = { 0 };
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	int ends[2], status = -1;
	struct peer p = new_peer();
	assert_int_equal(getrandom(masked, LEN, 0), LEN);
	assert_int_equal(custos_secret_new(LEN, &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, unmask, masked, NULL), CUSTOS_OK);
	assert_int_equal(custos_seal(secret, p.point, sealer, &sealed, NULL), CUSTOS_OK);
	assert_int_equal(count_windows(masked, LEN, false), 0);
	assert_int_equal(count_windows(masked, LEN, true), LEN - 7);
	/* Z is made again by the peer in a process of its own, and comes here masked. */
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		uint8_t z[32];
		peer_z(&p, sealer, z);
		for (size_t i = 0; i < sizeof z; i++)
			z[i] ^= NEEDLE_MASK;
		_exit(write(ends[1], z, sizeof z) == sizeof z ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(read(ends[0], masked_z, sizeof masked_z), sizeof masked_z);
	assert_int_equal(count_windows(masked_z, sizeof masked_z, false), 0);
	assert_int_equal(count_windows(masked_z, sizeof masked_z, true), 0);
	close(ends[0]);
	close(ends[1]);
	EVP_PKEY_free(p.key);
}

static int start(void **state)
{
	(void)state;
	return custos_secret_start(NULL) == CUSTOS_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_is_rfc_5649),
		cmocka_unit_test(sealing_leaves_neither_secret_nor_z_behind),
		cmocka_unit_test(what_is_sealed_opens),
		cmocka_unit_test(another_implementation_reads_and_writes_it),
		cmocka_unit_test(z_keeps_its_leading_zeros),
		cmocka_unit_test(every_damage_is_refused),
		cmocka_unit_test(a_custodian_s_key_opens_what_is_sealed_to_it),
		cmocka_unit_test(keys_of_another_kind_are_no_custodian_s),
		cmocka_unit_test(lying_lengths_are_refused),
		cmocka_unit_test(points_off_the_curve_are_refused),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
