/* Buffers: bounded at exactly their limit, always text, unharmed by a refusal. */
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void bounded_at_exactly_max(void **state)
{
	(void)state;
	for (size_t max = 1; max < 40; max++) {
		CUSTOS_AUTO_BUF b = { .max = max };
		for (size_t i = 0; i < max; i++)
			assert_int_equal(custos_buf_append(&b, "x", 1, NULL), CUSTOS_OK);
		struct custos_err err = { 0 };
		assert_int_equal(custos_buf_append(&b, "y", 1, &err), CUSTOS_E_INPUT);
		assert_int_equal(b.len, max);
		assert_int_equal(b.ptr[max - 1], 'x');
		assert_int_equal(b.ptr[max], 0);
	}
}

static void lengths_that_wrap_are_refused(void **state)
{
	(void)state;
	static const size_t wild[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX - 15, (size_t)1 << 32, 17 };
	CUSTOS_AUTO_BUF b = { .max = 16 };
	uint8_t *at = NULL;
	assert_int_equal(custos_buf_append_str(&b, "eight by", NULL), CUSTOS_OK);
	for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
		assert_int_equal(custos_buf_extend(&b, wild[i], &at, NULL), CUSTOS_E_INPUT);
		assert_null(at);
		assert_string_equal((char *)b.ptr, "eight by");
	}
	assert_int_equal(custos_buf_extend(&b, 9, &at, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_buf_extend(&b, 8, &at, NULL), CUSTOS_OK);
}

static void no_max_means_one_mebibyte(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF b = { 0 };
	uint8_t *at;
	assert_int_equal(custos_buf_extend(&b, 1 << 20, &at, NULL), CUSTOS_OK);
	assert_int_equal(custos_buf_extend(&b, 1, &at, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_buf_extend(&b, 0, &at, NULL), CUSTOS_OK);
}

/* Whatever was appended, the byte behind is 0, and bytes are kept through every growth. */
static void always_text(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF b = { .max = 100000 };
	for (unsigned i = 0; i < 3000; i++) {
		uint8_t piece[37];
		memset(piece, (int)(i & 0xff), sizeof piece);
		assert_int_equal(custos_buf_append(&b, piece, i % sizeof piece, NULL), CUSTOS_OK);
		assert_int_equal(b.ptr[b.len], 0);
	}
	size_t at = 0;
	for (unsigned i = 0; i < 3000; i++)
		for (unsigned k = 0; k < i % 37; k++)
			assert_int_equal(b.ptr[at++], i & 0xff);
	assert_int_equal(at, b.len);
}

static void printf_stops_at_the_limit(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF b = { .max = 10 };
	assert_int_equal(custos_buf_printf(&b, NULL, "%s-%d", "abc", 12345), CUSTOS_OK);
	assert_string_equal((char *)b.ptr, "abc-12345");
	assert_int_equal(custos_buf_printf(&b, NULL, "%02x", 255), CUSTOS_E_INPUT);
	assert_string_equal((char *)b.ptr, "abc-12345");
	assert_int_equal(custos_buf_printf(&b, NULL, "%c", '!'), CUSTOS_OK);
	assert_int_equal(b.len, 10);
}

static void done_can_be_used_again(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF b = { .max = 4 };
	assert_int_equal(custos_buf_append_str(&b, "four", NULL), CUSTOS_OK);
	custos_buf_done(&b);
	assert_null(b.ptr);
	assert_int_equal(b.len, 0);
	/* the limit survives */
	assert_int_equal(custos_buf_append_str(&b, "fives", NULL), CUSTOS_E_INPUT);
	custos_buf_done(&b);
	custos_buf_done(&b);
}

static void equal_means_all_of_it(void **state)
{
	(void)state;
	assert_true(custos_bytes_equal(CUSTOS_BYTES(NULL, 0), CUSTOS_BYTES("x", 0)));
	assert_true(custos_bytes_equal(CUSTOS_BYTES("a\0b", 3), CUSTOS_BYTES("a\0b", 3)));
	assert_false(custos_bytes_equal(CUSTOS_BYTES("a\0b", 3), CUSTOS_BYTES("a\0c", 3)));
	assert_false(custos_bytes_equal(CUSTOS_BYTES("ab", 1), CUSTOS_BYTES("ab", 2)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounded_at_exactly_max),
		cmocka_unit_test(lengths_that_wrap_are_refused),
		cmocka_unit_test(no_max_means_one_mebibyte),
		cmocka_unit_test(always_text),
		cmocka_unit_test(printf_stops_at_the_limit),
		cmocka_unit_test(done_can_be_used_again),
		cmocka_unit_test(equal_means_all_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
