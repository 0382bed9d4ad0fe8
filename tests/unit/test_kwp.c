/* How a parcel is opened, RFC 5649 under a known key: NIST's vectors, and every way of being wrong that the format has. What is refused is refused without a trace:
 * no secret is handed out, and what was decrypted before it was found wrong is in no memory of the process. */
#include "crypto/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/random.h>

#include "kwp.h"
#include "ownmemory.h"

enum { BLOCKS_MAX = 5, ROOM = 8 * BLOCKS_MAX };

/* ---- NIST ---- */

struct tally {
	size_t opened, refused, other_keys;
};

static void judge_vector(const struct kwp_vector *v, void *ctx)
{
	struct tally *tally = ctx;
	if (v->key_len != KWP_KEY) {
		tally->other_keys++;
		return;
	}
	bool opened = kwp_opens(v->key, v->key_len, v->sealed, v->sealed_len, v->plain, v->plain_len);
	if (opened == v->refused)
		fail_msg("%s, %zu bytes, COUNT %lu: %s", v->file, v->sealed_len, v->count, opened ? "opened, NIST refuses it" : "refused, NIST opens it");
	tally->opened += opened;
	tally->refused += !opened;
}

/* Goal: what NIST says opens does, byte for byte, and what it refuses is refused. custos has AES-256 only; the vectors of the shorter keys are counted and told. */
static void nist_agrees(void **state)
{
	(void)state;
	static const char *const ours[] = { "KWP_AD_256.txt", "KWP_AE_256.txt" };
	static const char *const others[] = { "KWP_AD_128.txt", "KWP_AE_128.txt", "KWP_AD_192.txt", "KWP_AE_192.txt" };
	struct tally tally = { 0 };
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(kwp_each(ours[i], judge_vector, &tally), 500);
	assert_int_equal(tally.opened, 900);
	assert_int_equal(tally.refused, 100);
	assert_int_equal(tally.other_keys, 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(kwp_each(others[i], judge_vector, &tally), 500);
	assert_int_equal(tally.other_keys, 2000);
	print_message("NIST KWP: %zu opened, %zu refused; %zu of AES-128 and AES-192 are not custos's\n", tally.opened, tally.refused, tally.other_keys);
}

static void with_short_key(const struct kwp_vector *v, void *ctx)
{
	CUSTOS_AUTO(custos_secret) *z = NULL;
	struct custos_secret *out = NULL;
	struct custos_err err = { 0 };
	(void)ctx;
	assert_int_equal(custos_secret_new(v->key_len, &z, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(z, kwp_fill, (void *)(uintptr_t)v->key, NULL), CUSTOS_OK);
	assert_int_equal(custos_unwrap_secret(z, CUSTOS_BYTES(v->sealed, v->sealed_len), &out, &err), CUSTOS_E_INTERNAL);
	assert_null(out);
}

/* Goal: a shorter key is not silently something else's key: valid AES-128 and AES-192 vectors do not open. */
static void shorter_keys_are_refused(void **state)
{
	(void)state;
	assert_int_equal(kwp_each("KWP_AE_128.txt", with_short_key, NULL), 500);
	assert_int_equal(kwp_each("KWP_AE_192.txt", with_short_key, NULL), 500);
}

/* ---- the format's own edges ---- */

static void forge_vector(const struct kwp_vector *v, void *ctx)
{
	uint8_t iv[8], blocks[KWP_PLAIN_MAX + 8] = { 0 }, out[KWP_SEALED_MAX + 8];
	size_t len = (v->plain_len + 7) / 8 * 8;
	(void)ctx;
	kwp_iv((uint32_t)v->plain_len, iv);
	memcpy(blocks, v->plain, v->plain_len);
	assert_int_equal(kwp_forge(v->key, iv, blocks, len, out), v->sealed_len);
	assert_memory_equal(out, v->sealed, v->sealed_len);
}

/* Goal: the forger of the tests below writes the format as NIST does, or its forgeries prove nothing. */
static void the_forger_is_good(void **state)
{
	(void)state;
	assert_int_equal(kwp_each("KWP_AE_256.txt", forge_vector, NULL), 500);
}

struct sample {
	uint8_t key[KWP_KEY], plain[ROOM], sealed[ROOM + 16];
	size_t len, sealed_len;
};

/* A good one of `len` bytes, which opens. */
static void make_sample(size_t len, struct sample *s)
{
	uint8_t iv[8];
	memset(s, 0, sizeof *s);
	s->len = len;
	assert_int_equal(getrandom(s->key, sizeof s->key, 0), sizeof s->key);
	assert_int_equal(getrandom(s->plain, len, 0), (ssize_t)len);
	kwp_iv((uint32_t)len, iv);
	s->sealed_len = kwp_forge(s->key, iv, s->plain, (len + 7) / 8 * 8, s->sealed);
	assert_true(kwp_opens(s->key, sizeof s->key, s->sealed, s->sealed_len, s->plain, len));
}

static void assert_refused(const struct sample *s, const uint8_t *sealed, size_t len)
{
	assert_false(kwp_opens(s->key, sizeof s->key, sealed, len, s->plain, s->len));
}

/* Goal: any length that the blocks could not have is refused: 0, smaller by a block or more, larger, very large; one they could have needs its padding to be zero. */
static void only_the_true_length(void **state)
{
	(void)state;
	static const uint32_t far[] = { 0x80000000, 0xffffffff, 0xfffffff8, 0x01000000, 0x00010000, 0x00000100 };
	uint8_t iv[8], forged[ROOM + 8];
	for (size_t len = 1; len <= ROOM; len++) {
		struct sample s;
		size_t whole = (len + 7) / 8 * 8;
		make_sample(len, &s);
		s.plain[len - 1] |= 1; /* so that a shorter length has padding that is not zero */
		for (uint32_t told = 0; told <= whole + 16; told++) {
			kwp_iv(told, iv);
			size_t sealed_len = kwp_forge(s.key, iv, s.plain, whole, forged);
			bool right = told >= len && told <= whole;
			if (kwp_opens(s.key, sizeof s.key, forged, sealed_len, s.plain, told) != right)
				fail_msg("%zu bytes that say they are %u: %s", len, (unsigned)told, right ? "refused" : "opened");
		}
		for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
			kwp_iv(far[i] | (uint32_t)len, iv);
			assert_refused(&s, forged, kwp_forge(s.key, iv, s.plain, whole, forged));
			kwp_iv(far[i], iv);
			assert_refused(&s, forged, kwp_forge(s.key, iv, s.plain, whole, forged));
		}
	}
}

/* Goal: each bit of the padding counts. */
static void padding_is_zero(void **state)
{
	(void)state;
	for (size_t len = 1; len <= ROOM; len++) {
		struct sample s;
		uint8_t iv[8], forged[ROOM + 8];
		size_t whole = (len + 7) / 8 * 8;
		make_sample(len, &s);
		kwp_iv((uint32_t)len, iv);
		for (size_t bit = 8 * len; bit < 8 * whole; bit++) {
			s.plain[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			assert_refused(&s, forged, kwp_forge(s.key, iv, s.plain, whole, forged));
			s.plain[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
	}
}

/* Goal: each bit of the constant counts, and what was wrapped without a length (RFC 3394 and its constant) is not taken. */
static void the_constant_is_the_constant(void **state)
{
	(void)state;
	static const uint8_t rfc3394[8] = { 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6 };
	for (size_t blocks = 1; blocks <= BLOCKS_MAX; blocks++) {
		struct sample s;
		uint8_t iv[8], forged[ROOM + 8];
		make_sample(8 * blocks, &s);
		for (unsigned bit = 0; bit < 32; bit++) {
			kwp_iv((uint32_t)s.len, iv);
			iv[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			assert_refused(&s, forged, kwp_forge(s.key, iv, s.plain, s.len, forged));
		}
		assert_refused(&s, forged, kwp_forge(s.key, rfc3394, s.plain, s.len, forged));
		memset(iv, 0, sizeof iv);
		assert_refused(&s, forged, kwp_forge(s.key, iv, s.plain, s.len, forged));
	}
}

/* Goal: every length it could be cut to, everything up to two blocks more, every bit of it and of the key. */
static void every_bit_and_every_length_counts(void **state)
{
	(void)state;
	static const size_t lengths[] = { 1, 7, 8, 9, 16, 31, 32, ROOM };
	for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
		struct sample s;
		uint8_t longer[ROOM + 32] = { 0 };
		make_sample(lengths[l], &s);
		memcpy(longer, s.sealed, s.sealed_len);
		for (size_t len = 0; len <= s.sealed_len + 16; len++)
			if (len != s.sealed_len)
				assert_refused(&s, longer, len);
		for (size_t bit = 0; bit < 8 * s.sealed_len; bit++) {
			s.sealed[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			assert_refused(&s, s.sealed, s.sealed_len);
			s.sealed[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		for (size_t bit = 0; bit < 8 * sizeof s.key; bit++) {
			s.key[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			assert_refused(&s, s.sealed, s.sealed_len);
			s.key[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		assert_true(kwp_opens(s.key, sizeof s.key, s.sealed, s.sealed_len, s.plain, s.len));
	}
}

/* Goal: the sizes that custos itself sets: nothing below one block, nothing above 64 KiB, and nothing decrypted to find that out. */
static void sizes_have_an_end(void **state)
{
	(void)state;
	static uint8_t blocks[65536], forged[65536 + 16];
	static const size_t lengths[] = { 65536 - 8, 65536 };
	uint8_t iv[8], key[KWP_KEY] = { 7 };
	for (size_t i = 0; i < 2; i++) {
		kwp_iv((uint32_t)lengths[i], iv);
		size_t len = kwp_forge(key, iv, blocks, lengths[i], forged);
		assert_true(kwp_opens(key, sizeof key, forged, len, blocks, lengths[i]) == (len <= 65536));
	}
}

/* Goal: a parcel whose plaintext came out right and whose constant, length or padding did not leaves that plaintext nowhere, in locked memory neither; one that opens
 * has it in locked memory only, or the search finds nothing because it cannot. */
static void nothing_of_it_stays(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip();
#endif
	enum { LEN = 36, WHOLE = 40 };
	static uint8_t masked[LEN];
	uint8_t iv[8], key[KWP_KEY], blocks[WHOLE], forged[4][WHOLE + 8];
	CUSTOS_AUTO(custos_secret) *z = NULL;
	struct custos_secret *out = NULL;
	assert_int_equal(getrandom(key, sizeof key, 0), sizeof key);
	assert_int_equal(getrandom(blocks, LEN, 0), LEN);
	memset(blocks + LEN, 0, WHOLE - LEN);
	for (size_t how = 0; how < 4; how++) {
		kwp_iv(how == 1 ? WHOLE + 1 : LEN, iv);
		iv[0] ^= how == 2;
		blocks[WHOLE - 1] = how == 3;
		kwp_forge(key, iv, blocks, WHOLE, forged[how]);
	}
	for (size_t i = 0; i < LEN; i++)
		masked[i] = blocks[i] ^ NEEDLE_MASK;
	OPENSSL_cleanse(blocks, sizeof blocks);
	assert_int_equal(custos_secret_new(sizeof key, &z, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(z, kwp_fill, key, NULL), CUSTOS_OK);
	assert_int_equal(count_windows(masked, LEN, false), 0);
	for (size_t how = 1; how < 4; how++) {
		assert_int_equal(custos_unwrap_secret(z, CUSTOS_BYTES(forged[how], WHOLE + 8), &out, NULL), CUSTOS_E_TAMPERED);
		assert_null(out);
		assert_int_equal(count_windows(masked, LEN, false), 0);
		assert_int_equal(count_windows(masked, LEN, true), 0);
	}
	assert_int_equal(custos_unwrap_secret(z, CUSTOS_BYTES(forged[0], WHOLE + 8), &out, NULL), CUSTOS_OK);
	assert_int_equal(count_windows(masked, LEN, false), 0);
	assert_int_equal(count_windows(masked, LEN, true), LEN - 7);
	custos_secret_free(out);
	assert_int_equal(count_windows(masked, LEN, true), 0);
}

static int start(void **state)
{
	(void)state;
	return custos_secret_start(NULL) == CUSTOS_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_it_stays),
		cmocka_unit_test(nist_agrees),
		cmocka_unit_test(shorter_keys_are_refused),
		cmocka_unit_test(the_forger_is_good),
		cmocka_unit_test(only_the_true_length),
		cmocka_unit_test(padding_is_zero),
		cmocka_unit_test(the_constant_is_the_constant),
		cmocka_unit_test(every_bit_and_every_length_counts),
		cmocka_unit_test(sizes_have_an_end),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
