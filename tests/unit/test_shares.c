/* Shares of a secret: any K of N give it back and fewer do not; the written form against a second encoder, whatever a person does to it; and nothing of secret or
 * shares in memory that is not locked, in a process that is set up like the one that splits. */
#include "crypto/heap.h"
#include "crypto/shares.h"
#include "memory/scrub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <ctype.h>
#include <libgfshare.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/random.h>

#include "child.h"
#include "ownmemory.h"

enum { N_MAX = CUSTOS_SHARES_MAX, SET = 0x0a1b2c3d, HEAD = 15 /* letters that all shares of a set begin with, and a few more */ };

static custos_rc copy_in(void *ctx, uint8_t *out, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(out, ctx, len);
	return CUSTOS_OK;
}

static custos_rc copy_out(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	memcpy(ctx, bytes, len);
	return CUSTOS_OK;
}

static struct custos_secret *secret_of(const void *bytes, size_t len)
{
	struct custos_secret *secret = NULL;
	uint8_t copy[1024];
	memcpy(copy, bytes, len);
	assert_int_equal(custos_secret_new(len, &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, copy_in, copy, NULL), CUSTOS_OK);
	return secret;
}

static void bytes_of(struct custos_secret *secret, void *out)
{
	assert_int_equal(custos_secret_expose(secret, copy_out, out, NULL), CUSTOS_OK);
}

static struct custos_secret *kek(uint8_t out[CUSTOS_SHARE_VALUE])
{
	assert_int_equal(getrandom(out, CUSTOS_SHARE_VALUE, 0), CUSTOS_SHARE_VALUE);
	return secret_of(out, CUSTOS_SHARE_VALUE);
}

static struct custos_share read_text(struct custos_secret *text)
{
	struct custos_share share = { 0 };
	struct custos_err err = { 0 };
	if (custos_share_read(text, &share, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	return share;
}

/* A split, read back from its written form. */
static void split(const uint8_t *bytes, unsigned k, unsigned n, struct custos_share shares[])
{
	CUSTOS_AUTO(custos_secret) *secret = secret_of(bytes, CUSTOS_SHARE_VALUE);
	struct custos_secret *texts[N_MAX];
	assert_int_equal(custos_shares_split(secret, SET, k, n, texts, NULL), CUSTOS_OK);
	for (unsigned i = 0; i < n; i++) {
		shares[i] = read_text(texts[i]);
		assert_int_equal(shares[i].label.set, SET);
		assert_int_equal(shares[i].label.threshold, k);
		assert_int_equal(shares[i].label.number, i + 1);
		custos_secret_free(texts[i]);
	}
}

static void drop(struct custos_share shares[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		custos_share_done(&shares[i]);
}

static bool gives(const struct custos_share shares[], size_t count, const uint8_t *bytes)
{
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	uint8_t out[CUSTOS_SHARE_VALUE];
	assert_int_equal(custos_shares_combine(shares, count, &secret, NULL), CUSTOS_OK);
	bytes_of(secret, out);
	return memcmp(out, bytes, sizeof out) == 0;
}

static void any_k_give_it_back_and_fewer_do_not(void **state)
{
	(void)state;
	static const unsigned plans[][2] = { { 2, 2 }, { 2, 3 }, { 3, 3 }, { 3, 5 }, { 4, 7 }, { 7, 8 } };
	for (size_t p = 0; p < sizeof plans / sizeof *plans; p++) {
		unsigned k = plans[p][0], n = plans[p][1], tried = 0;
		uint8_t bytes[CUSTOS_SHARE_VALUE];
		struct custos_share shares[N_MAX], chosen[N_MAX];
		custos_secret_free(kek(bytes));
		split(bytes, k, n, shares);
		for (unsigned mask = 0; mask < 1u << n; mask++) {
			unsigned count = 0;
			for (unsigned i = 0; i < n; i++)
				if ((mask >> i & 1) != 0)
					chosen[count++] = shares[n - 1 - i]; /* in another order than they were made in */
			if (count >= k) {
				assert_true(gives(chosen, count, bytes));
				tried++;
			} else if (count == k - 1) {
				CUSTOS_AUTO(custos_secret) *secret = NULL;
				struct custos_err err = { 0 };
				assert_int_equal(custos_shares_combine(chosen, count, &secret, &err), CUSTOS_E_INPUT);
				assert_null(secret);
				/* nor when they say that they are enough; one alone is no set */
				for (unsigned i = 0; i < count; i++)
					chosen[i].label.threshold = (uint8_t)count;
				assert_true(count == 0 || !gives(chosen, count, bytes));
			}
		}
		assert_true(tried >= 1);
		drop(shares, n);
	}
}

static void as_many_as_there_may_be(void **state)
{
	(void)state;
	uint8_t bytes[CUSTOS_SHARE_VALUE];
	struct custos_share shares[N_MAX];
	custos_secret_free(kek(bytes));
	split(bytes, 2, N_MAX, shares);
	for (unsigned a = 0; a < N_MAX; a++)
		for (unsigned b = 0; b < N_MAX; b++)
			if (a != b)
				assert_true(gives((struct custos_share[]){ shares[a], shares[b] }, 2, bytes));
	drop(shares, N_MAX);
	split(bytes, N_MAX, N_MAX, shares);
	assert_true(gives(shares, N_MAX, bytes));
	drop(shares, N_MAX);
}

static void plans_that_are_none(void **state)
{
	(void)state;
	static const unsigned plans[][2] = { { 0, 0 }, { 1, 1 }, { 1, 3 }, { 0, 3 }, { 4, 3 }, { 2, 21 }, { 21, 21 }, { 2, 256 + 3 } };
	uint8_t bytes[CUSTOS_SHARE_VALUE];
	CUSTOS_AUTO(custos_secret) *secret = kek(bytes), *short_one = secret_of(bytes, 31), *long_one = secret_of(bytes, 32);
	struct custos_secret *texts[300] = { NULL };
	(void)long_one;
	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		struct custos_err err = { 0 };
		assert_int_equal(custos_shares_split(secret, SET, plans[i][0], plans[i][1], texts, &err), CUSTOS_E_INPUT);
		assert_null(texts[0]);
	}
	assert_int_equal(custos_shares_split(short_one, SET, 2, 3, texts, NULL), CUSTOS_E_INTERNAL);
	for (unsigned i = 0; i < 3; i++)
		assert_null(texts[i]);
}

/* The coefficients are random: the same secret twice is other shares, in every place; and no share is the secret. */
static void two_splits_differ(void **state)
{
	(void)state;
	static const uint8_t zeros[CUSTOS_SHARE_VALUE];
	uint8_t first[CUSTOS_SHARE_VALUE], second[CUSTOS_SHARE_VALUE];
	struct custos_share a[5], b[5];
	split(zeros, 3, 5, a);
	split(zeros, 3, 5, b);
	for (unsigned i = 0; i < 5; i++) {
		bytes_of(a[i].value, first);
		bytes_of(b[i].value, second);
		assert_memory_not_equal(first, second, sizeof first);
		assert_memory_not_equal(first, zeros, sizeof first);
		/* and not one byte for all places */
		assert_memory_not_equal(first, first + 16, 16);
	}
	drop(a, 5);
	drop(b, 5);
}

static void sets_that_do_not_belong_together(void **state)
{
	(void)state;
	uint8_t bytes[CUSTOS_SHARE_VALUE], other[CUSTOS_SHARE_VALUE];
	struct custos_share shares[5], others[5], chosen[5];
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	struct custos_err err = { 0 };
	custos_secret_free(kek(bytes));
	custos_secret_free(kek(other));
	split(bytes, 3, 5, shares);
	split(other, 3, 5, others);

	memcpy(chosen, shares, sizeof chosen);
	chosen[2] = chosen[0];
	assert_int_equal(custos_shares_combine(chosen, 3, &secret, &err), CUSTOS_E_INPUT);
	assert_string_equal(err.msg, "share 1 was given twice");

	err = (struct custos_err){ 0 };
	chosen[2] = shares[2];
	chosen[2].label.set++;
	assert_int_equal(custos_shares_combine(chosen, 3, &secret, &err), CUSTOS_E_INPUT);
	assert_string_equal(err.msg, "share 3 is of another set than share 1");
	chosen[2] = shares[2];
	chosen[2].label.threshold = 2;
	assert_int_equal(custos_shares_combine(chosen, 3, &secret, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_shares_combine(shares, 0, &secret, NULL), CUSTOS_E_INPUT);

	/* a share of another secret under the same id: with one more than are needed it shows, wherever it stands */
	for (unsigned at = 0; at < 5; at++) {
		memcpy(chosen, shares, sizeof chosen);
		chosen[at] = others[at];
		assert_int_equal(custos_shares_combine(chosen, 5, &secret, NULL), CUSTOS_E_INPUT);
		assert_int_equal(custos_shares_combine(chosen, 4, &secret, NULL), at < 4 ? CUSTOS_E_INPUT : CUSTOS_OK);
		custos_secret_free(CUSTOS_TAKE(secret));
	}
	assert_null(secret);
	drop(shares, 5);
	drop(others, 5);
}

/* ---- the written form ---- */

/* RFC 4648 6, with the table that the code must not have. */
static void reference_text(const struct custos_share *share, char out[CUSTOS_SHARE_TEXT + 1])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint8_t packed[44] = { 1, (uint8_t)(share->label.set >> 24), (uint8_t)(share->label.set >> 16), (uint8_t)(share->label.set >> 8), (uint8_t)share->label.set, share->label.threshold,
		               share->label.number },
	        hash[32];
	bytes_of(share->value, packed + 7);
	SHA256(packed, 39, hash);
	memcpy(packed + 39, hash, 4);
	size_t len = 0;
	for (unsigned i = 0; i < 69; i++) {
		unsigned v = 0;
		for (unsigned bit = 5 * i; bit < 5 * i + 5; bit++)
			v = v << 1 | ((unsigned)packed[bit / 8] >> (7 - bit % 8) & 1u);
		out[len++] = alphabet[v];
		if (i == 34 || i == 68)
			out[len++] = '\n';
		else if (i % 5 == 4)
			out[len++] = ' ';
	}
	assert_int_equal(len, CUSTOS_SHARE_TEXT);
	out[len] = '\0';
}

static struct custos_share some_share(uint8_t fill)
{
	uint8_t bytes[CUSTOS_SHARE_VALUE];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(fill + 37 * i);
	return (struct custos_share){ .label = { .set = 0xdeadbeef - (uint32_t)fill, .threshold = (uint8_t)(2 + fill % 19), .number = (uint8_t)(1 + fill % 20) }, .value = secret_of(bytes, sizeof bytes) };
}

static void written_as_the_reference_writes_it(void **state)
{
	(void)state;
	/* every value of a byte stands in every place of a group */
	for (unsigned fill = 0; fill < 256; fill++) {
		CUSTOS_CLEANUP(custos_share_done) struct custos_share share = some_share((uint8_t)fill);
		CUSTOS_CLEANUP(custos_share_done) struct custos_share again = { 0 };
		CUSTOS_AUTO(custos_secret) *text = NULL;
		char want[CUSTOS_SHARE_TEXT + 1], got[CUSTOS_SHARE_TEXT + 1] = "";
		uint8_t before[CUSTOS_SHARE_VALUE], after[CUSTOS_SHARE_VALUE];
		reference_text(&share, want);
		assert_int_equal(custos_share_write(&share, &text, NULL), CUSTOS_OK);
		assert_int_equal(custos_secret_length(text), CUSTOS_SHARE_TEXT);
		bytes_of(text, got);
		assert_string_equal(got, want);
		again = read_text(text);
		bytes_of(share.value, before);
		bytes_of(again.value, after);
		assert_memory_equal(before, after, sizeof before);
		assert_memory_equal(&share.label, &again.label, sizeof share.label);
	}
}

static custos_rc try(const char *text, size_t len, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *typed = secret_of(text, len);
	CUSTOS_CLEANUP(custos_share_done) struct custos_share share = { 0 };
	custos_rc rc = custos_share_read(typed, &share, err);
	assert_int_equal(share.value == NULL, rc != CUSTOS_OK);
	return rc;
}

static void every_byte_where_a_letter_is(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_share_done) struct custos_share share = some_share(77);
	char text[CUSTOS_SHARE_TEXT + 1];
	reference_text(&share, text);
	for (size_t at = 0; at < 69 + 14; at += 6) {
		char was = text[at];
		for (unsigned c = 0; c < 256; c++) {
			struct custos_err err = { 0 };
			bool same = toupper((int)c) == was && c < 128;
			bool alphabet = (c >= '2' && c <= '7') || (c < 128 && isalpha((int)c)), blank = c == ' ' || c == '-' || (c >= 9 && c <= 13);
			text[at] = (char)c;
			assert_int_equal(try(text, CUSTOS_SHARE_TEXT, &err), same ? CUSTOS_OK : CUSTOS_E_INPUT);
			assert_int_equal(custos_share_count_symbols((const uint8_t *)text, CUSTOS_SHARE_TEXT), alphabet ? 69 : 68);
			const char *why = same ? "" : alphabet ? "checksum" : blank ? "has 68" : "no share has";
			if (strstr(err.msg, why) == NULL)
				fail_msg("%u in place %zu: %s", c, at, err.msg);
		}
		text[at] = was;
	}
}

static void typed_as_people_type(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_share_done) struct custos_share share = some_share(123);
	char text[CUSTOS_SHARE_TEXT + 1], typed[512];
	reference_text(&share, text);
	struct custos_err err = { 0 };
	size_t len = 0;
	for (const char *c = text; *c != '\0'; c++)
		if (isalnum((unsigned char)*c))
			typed[len++] = (char)tolower((unsigned char)*c);
	assert_int_equal(try(typed, len, &err), CUSTOS_OK);
	len = 0;
	for (const char *c = text; *c != '\0'; c++)
		len += (size_t)snprintf(typed + len, sizeof typed - len, "%c%s", *c, *c == ' ' ? "-- \t" : "\r\n");
	assert_int_equal(try(typed, len, &err), CUSTOS_OK);
	memset(typed, ' ', sizeof typed);
	memcpy(typed + 100, text, CUSTOS_SHARE_TEXT);
	assert_int_equal(try(typed, sizeof typed, &err), CUSTOS_OK);

	/* cut off anywhere, or with something behind it */
	for (size_t i = 1; i < CUSTOS_SHARE_TEXT - 1; i++)
		assert_int_equal(try(text, i, NULL), CUSTOS_E_INPUT);
	memcpy(typed, text, CUSTOS_SHARE_TEXT);
	typed[CUSTOS_SHARE_TEXT] = 'A';
	assert_int_equal(try(typed, CUSTOS_SHARE_TEXT + 1, NULL), CUSTOS_E_INPUT);
	memset(typed, 'A', sizeof typed);
	assert_int_equal(try(typed, sizeof typed, NULL), CUSTOS_E_INPUT);
	assert_int_equal(try("----", 4, NULL), CUSTOS_E_INPUT);
	char endless[CUSTOS_SHARE_TEXT_MAX + 1];
	memset(endless, ' ', sizeof endless);
	memcpy(endless, text, CUSTOS_SHARE_TEXT);
	assert_int_equal(try(endless, sizeof endless, NULL), CUSTOS_E_INPUT);
}

/* Two letters exchanged, one repeated, one for another: what people do. */
static void what_people_do_wrong_shows(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_share_done) struct custos_share share = some_share(9);
	char text[CUSTOS_SHARE_TEXT + 1], typed[CUSTOS_SHARE_TEXT + 1];
	reference_text(&share, text);
	for (size_t i = 0; i + 2 < CUSTOS_SHARE_TEXT; i++) {
		memcpy(typed, text, sizeof typed);
		typed[i] = text[i + 1];
		typed[i + 1] = text[i];
		if (text[i] != text[i + 1] && isalnum((unsigned char)text[i]) && isalnum((unsigned char)text[i + 1]))
			assert_int_equal(try(typed, CUSTOS_SHARE_TEXT, NULL), CUSTOS_E_INPUT);
	}
	/* the last letter carries one bit that belongs to nothing: there is one text for a share */
	memcpy(typed, text, sizeof typed);
	char *last = &typed[CUSTOS_SHARE_TEXT - 2];
	assert_true(isupper((unsigned char)*last) || isdigit((unsigned char)*last));
	*last = (char)(*last + 1);
	if (isalnum((unsigned char)*last) && *last <= 'Z')
		assert_int_equal(try(typed, CUSTOS_SHARE_TEXT, NULL), CUSTOS_E_INPUT);
}

/* A checksum is no proof that custos wrote it. */
static void well_written_nonsense(void **state)
{
	(void)state;
	static const struct custos_share_label labels[] = { { 1, 1, 1 }, { 1, 21, 1 }, { 1, 2, 0 }, { 1, 2, 21 }, { 1, 0, 1 }, { 1, 255, 255 } };
	char text[CUSTOS_SHARE_TEXT + 1];
	for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
		CUSTOS_CLEANUP(custos_share_done) struct custos_share share = some_share(1);
		share.label = labels[i];
		reference_text(&share, text);
		struct custos_err err = { 0 };
		assert_int_equal(try(text, CUSTOS_SHARE_TEXT, &err), CUSTOS_E_INPUT);
		assert_non_null(strstr(err.msg, "no share that custos wrote"));
	}
}

/* ---- where it all is ---- */

static int without_a_heap(void *ctx)
{
	(void)ctx;
	uint8_t bytes[CUSTOS_SHARE_VALUE] = { 1 };
	struct custos_secret *texts[2] = { NULL }, *secret = NULL;
	struct custos_share shares[2] = { 0 };
	if (custos_secret_start(NULL) != CUSTOS_OK)
		return 2;
	secret = secret_of(bytes, sizeof bytes);
	if (custos_shares_split(secret, SET, 2, 2, texts, NULL) != CUSTOS_E_INTERNAL || texts[0] != NULL)
		return 3;
	shares[0] = some_share(1);
	shares[1] = some_share(2);
	shares[1].label = shares[0].label;
	shares[0].label.threshold = shares[1].label.threshold = 2;
	shares[1].label.number++;
	return custos_shares_combine(shares, 2, &secret, NULL) == CUSTOS_E_INTERNAL ? 0 : 4;
}

static void no_locked_heap_no_shares(void **state)
{
	(void)state;
	assert_child_exits(without_a_heap, NULL, 0);
}

#ifndef CUSTOS_SANITIZED
static void fill(unsigned char *out, unsigned int len)
{
	assert_int_equal(getrandom(out, len, 0), len);
}

static void mask(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= NEEDLE_MASK;
}

static custos_rc mask_out(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	uint8_t *out = ctx;
	for (size_t i = 0; i < len; i++)
		out[i] = bytes[i] ^ NEEDLE_MASK;
	return CUSTOS_OK;
}

static custos_rc make_random(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)ctx, (void)err;
	fill(bytes, (unsigned)len);
	return CUSTOS_OK;
}

/* libgfshare itself, holding a secret: it is there, on locked pages, and nowhere else; and gone with the context. */
static void library_is_on_locked_pages(void)
{
	uint8_t secret[CUSTOS_SHARE_VALUE], numbers[] = { 1, 2, 3 };
	gfshare_fill_rand = fill;
	gfshare_ctx *context = gfshare_ctx_init_enc(numbers, 3, 2, sizeof secret);
	assert_non_null(context);
	assert_true(mapping_of(context).locked);
	fill(secret, sizeof secret);
	gfshare_ctx_enc_setsecret(context, secret);
	mask(secret, sizeof secret);
	custos_scrub_stack();
	custos_scrub_registers();
	assert_int_equal(count_windows(secret, sizeof secret, false), 0);
	assert_true(count_windows(secret, sizeof secret, true) >= sizeof secret - 8);
	gfshare_ctx_free(context);
	assert_int_equal(count_windows(secret, sizeof secret, true), 0);
}

static void shares_are_on_locked_pages(void)
{
	uint8_t needle[CUSTOS_SHARE_VALUE], value[3][CUSTOS_SHARE_VALUE], text[3][CUSTOS_SHARE_TEXT];
	struct custos_secret *secret = NULL, *texts[3], *whole = NULL;
	struct custos_share shares[3] = { 0 };
	/* never in the clear on this stack */
	assert_int_equal(custos_secret_new(CUSTOS_SHARE_VALUE, &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, make_random, NULL, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_expose(secret, mask_out, needle, NULL), CUSTOS_OK);
	assert_int_equal(custos_shares_split(secret, SET, 2, 3, texts, NULL), CUSTOS_OK);
	custos_secret_free(secret);
	custos_scrub_stack();
	custos_scrub_registers();
	assert_int_equal(count_windows(needle, sizeof needle, false), 0);
	/* what is left of it in the clear is nothing: not where it was split, not in the secret */
	assert_int_equal(count_windows(needle, sizeof needle, true), 0);
	for (unsigned i = 0; i < 3; i++) {
		shares[i] = read_text(texts[i]);
		assert_int_equal(custos_secret_expose(shares[i].value, mask_out, value[i], NULL), CUSTOS_OK);
		assert_int_equal(custos_secret_expose(texts[i], mask_out, text[i], NULL), CUSTOS_OK);
	}
	assert_int_equal(custos_shares_combine(shares, 3, &whole, NULL), CUSTOS_OK);
	custos_scrub_stack();
	custos_scrub_registers();
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(count_windows(value[i], sizeof value[i], false), 0);
		assert_true(count_windows(value[i], sizeof value[i], true) > 0);
		assert_int_equal(count_windows(text[i] + HEAD, sizeof text[i] - HEAD, false), 0);
		assert_true(count_windows(text[i] + HEAD, sizeof text[i] - HEAD, true) > 0);
		custos_share_done(&shares[i]);
		custos_secret_free(texts[i]);
		assert_int_equal(count_windows(value[i], sizeof value[i], true), 0);
		assert_int_equal(count_windows(text[i] + HEAD, sizeof text[i] - HEAD, true), 0);
	}
	assert_int_equal(count_windows(needle, sizeof needle, false), 0);
	assert_true(count_windows(needle, sizeof needle, true) > 0);
	custos_secret_free(whole);
	assert_int_equal(count_windows(needle, sizeof needle, true), 0);
}

static void nothing_is_where_it_is_not_locked(void **state)
{
	(void)state;
	library_is_on_locked_pages();
	shares_are_on_locked_pages();
}
#endif

static int lock_memory(void **state)
{
	struct custos_arena *arena = NULL;
	(void)state;
	return custos_secret_start(NULL) == CUSTOS_OK && custos_arena_new(CUSTOS_CRYPTO_HEAP_MIN, &arena, NULL) == CUSTOS_OK && custos_crypto_use_arena(arena, NULL) == CUSTOS_OK ? 0 : -1;
}

int main(void)
{
	/* first: locked memory cannot be had twice */
	const struct CMUnitTest before[] = { cmocka_unit_test(no_locked_heap_no_shares) };
	const struct CMUnitTest tests[] = {
#ifndef CUSTOS_SANITIZED
		cmocka_unit_test(nothing_is_where_it_is_not_locked),
#endif
		cmocka_unit_test(any_k_give_it_back_and_fewer_do_not),
		cmocka_unit_test(as_many_as_there_may_be),
		cmocka_unit_test(plans_that_are_none),
		cmocka_unit_test(two_splits_differ),
		cmocka_unit_test(sets_that_do_not_belong_together),
		cmocka_unit_test(written_as_the_reference_writes_it),
		cmocka_unit_test(every_byte_where_a_letter_is),
		cmocka_unit_test(typed_as_people_type),
		cmocka_unit_test(what_people_do_wrong_shows),
		cmocka_unit_test(well_written_nonsense),
	};
	int failed = cmocka_run_group_tests(before, NULL, NULL);
	return failed + cmocka_run_group_tests(tests, lock_memory, NULL);
}
