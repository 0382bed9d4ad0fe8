/* Secrets: made only in locked memory, wiped when cut or freed, read from a descriptor without a copy. */
#include "memory/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/prctl.h>
#include <sys/random.h>

#include "child.h"
#include "ownmemory.h"

static int before_start(void *ctx)
{
	(void)ctx;
	struct custos_secret *secret = NULL;
	return custos_secret_new(16, &secret, NULL) == CUSTOS_E_INTERNAL && secret == NULL ? 0 : 1;
}

static int lengthen(void *ctx)
{
	struct custos_secret *secret = NULL;
	if (custos_secret_start(NULL) != CUSTOS_OK || custos_secret_new(10, &secret, NULL) != CUSTOS_OK)
		return 1;
	custos_secret_shorten(secret, 10);
	custos_secret_shorten(secret, *(size_t *)ctx);
	return 0;
}

/* In children, and so before this process has an arena of its own, which a child would not see. */
static void lengthening_is_a_bug(void **state)
{
	(void)state;
	assert_child_exits(lengthen, &(size_t){ 9 }, 0);
	assert_child_dies(lengthen, &(size_t){ 11 }, SIGABRT);
}

static void none_before_memory_is_locked(void **state)
{
	(void)state;
	assert_child_exits(before_start, NULL, 0);
	struct custos_err err = { 0 };
	assert_int_equal(custos_secret_start(&err), CUSTOS_OK);
	assert_int_equal(custos_secret_start(&err), CUSTOS_OK);
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
}

static custos_rc show(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)len, (void)err;
	*(uint8_t **)ctx = bytes;
	return CUSTOS_OK;
}

static custos_rc refuse(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)ctx, (void)bytes, (void)len;
	CUSTOS_FAIL(err, CUSTOS_E_POLICY, "no");
}

static void starts_zero_shortens_and_wipes(void **state)
{
	(void)state;
	struct custos_secret *secret = NULL;
	uint8_t *bytes = NULL;
	assert_int_equal(custos_secret_new(100, &secret, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_length(secret), 100);
	assert_int_equal(custos_secret_expose(secret, show, &bytes, NULL), CUSTOS_OK);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(bytes[i], 0);
	memset(bytes, 0x77, 100);
	custos_secret_shorten(secret, 40);
	assert_int_equal(custos_secret_length(secret), 40);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(bytes[i], i < 40 ? 0x77 : 0);
	assert_int_equal(custos_secret_expose(secret, refuse, NULL, NULL), CUSTOS_E_POLICY);
#ifndef CUSTOS_SANITIZED
	struct mapping m = mapping_of(bytes);
	assert_true(m.locked && m.undumped);
#endif
	custos_secret_free(secret);
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(bytes[i], 0);
	custos_secret_free(NULL);
}

static void the_arena_is_finite(void **state)
{
	(void)state;
	static struct custos_secret *held[64];
	struct custos_err err = { 0 };
	size_t n = 0;
	custos_rc rc = CUSTOS_OK;
	assert_int_equal(custos_secret_new(0, &held[0], NULL), CUSTOS_E_INTERNAL);
	assert_int_equal(custos_secret_new(SIZE_MAX, &held[0], NULL), CUSTOS_E_INTERNAL);
	while (n < 64 && rc == CUSTOS_OK) {
		rc = custos_secret_new(16000, &held[n], &err);
		n += rc == CUSTOS_OK;
	}
	assert_int_equal(rc, CUSTOS_E_SYSTEM);
	assert_true(n >= 7);
	while (n > 0)
		custos_secret_free(held[--n]);
}

/* Puts text into a pipe, byte by byte when it is masked. */
static int pipe_with(const void *text, size_t len, uint8_t mask, bool closed)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < len; i++) {
		uint8_t byte = (uint8_t)(((const uint8_t *)text)[i] ^ mask);
		assert_int_equal(write(ends[1], &byte, 1), 1);
	}
	if (closed)
		close(ends[1]);
	return ends[0];
}

struct line_case {
	const char *text;
	size_t len, max;
	custos_rc rc;
	const char *secret;
};

struct expected {
	const char *text;
	bool same;
};

static custos_rc compare(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	struct expected *e = ctx;
	e->same = len == strlen(e->text) && memcmp(bytes, e->text, len) == 0;
	return CUSTOS_OK;
}

#define LINE(t, m, r, s) { t, sizeof t - 1, m, r, s }
static void lines_are_read_exactly(void **state)
{
	(void)state;
	static const struct line_case cases[] = {
		LINE("1234\n", 16, CUSTOS_OK, "1234"),
		LINE("1234\r\n", 16, CUSTOS_OK, "1234"),
		LINE("1234", 16, CUSTOS_OK, "1234"),
		LINE(" 12 34 \nrest", 16, CUSTOS_OK, " 12 34 "),
		LINE("12\r34\n", 16, CUSTOS_OK, "12\r34"),
		LINE("1234\r\n", 4, CUSTOS_OK, "1234"),
		LINE("1234\n", 4, CUSTOS_OK, "1234"),
		LINE("1234", 4, CUSTOS_OK, "1234"),
		LINE("x\n", 1, CUSTOS_OK, "x"),
		LINE("TOPSECRET5\n", 9, CUSTOS_E_INPUT, NULL),
		LINE("TOPSECRET5\r\n", 9, CUSTOS_E_INPUT, NULL),
		LINE("TOPSECRET567890", 9, CUSTOS_E_INPUT, NULL),
		LINE("TOPSECRET\r\r\n", 9, CUSTOS_E_INPUT, NULL),
		LINE("TOP\0SECRET\n", 16, CUSTOS_E_INPUT, NULL),
		LINE("\n", 16, CUSTOS_E_INPUT, NULL),
		LINE("\r\n", 16, CUSTOS_E_INPUT, NULL),
		LINE("", 16, CUSTOS_E_INPUT, NULL),
		LINE("1234\n", 0, CUSTOS_E_INTERNAL, NULL),
		LINE("1234\n", 4097, CUSTOS_E_INTERNAL, NULL),
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CUSTOS_AUTO_FD fd = pipe_with(cases[i].text, cases[i].len, 0, true);
		CUSTOS_AUTO(custos_secret) *secret = NULL;
		struct custos_err err = { 0 };
		assert_int_equal(custos_secret_read_line(fd, cases[i].max, "PIN", &secret, &err), cases[i].rc);
		if (cases[i].rc == CUSTOS_OK) {
			struct expected e = { .text = cases[i].secret };
			assert_int_equal(custos_secret_expose(secret, compare, &e, NULL), CUSTOS_OK);
			assert_true(e.same);
		} else {
			assert_null(secret);
			assert_null(strstr(err.msg, "TOP"));
			assert_non_null(cases[i].rc == CUSTOS_E_INPUT ? strstr(err.msg, "PIN") : err.msg);
		}
	}
}

static void what_follows_the_line_stays_in_the_descriptor(void **state)
{
	(void)state;
	CUSTOS_AUTO_FD fd = pipe_with("one\ntwo\n", 8, 0, true);
	char rest[16] = "";
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	assert_int_equal(custos_secret_read_line(fd, 64, "PIN", &secret, NULL), CUSTOS_OK);
	assert_int_equal(read(fd, rest, sizeof rest), 4);
	assert_memory_equal(rest, "two\n", 4);
}

static void a_dead_descriptor_is_an_error(void **state)
{
	(void)state;
	struct custos_secret *secret = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(custos_secret_read_line(-1, 64, "PIN", &secret, &err), CUSTOS_E_SYSTEM);
	assert_non_null(strstr(err.msg, "PIN"));
}

static void a_line_is_nowhere_but_in_locked_memory(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip();
#endif
	uint8_t masked[24];
	assert_int_equal(getrandom(masked, sizeof masked, 0), sizeof masked);
	for (size_t i = 0; i < sizeof masked; i++)
		masked[i] = (uint8_t)(('a' + masked[i] % 26) ^ NEEDLE_MASK);
	CUSTOS_AUTO_FD fd = pipe_with(masked, sizeof masked, NEEDLE_MASK, true);
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	assert_int_equal(custos_secret_read_line(fd, 64, "PIN", &secret, NULL), CUSTOS_OK);
	assert_int_equal(count_windows(masked, sizeof masked, false), 0);
	assert_int_equal(count_windows(masked, sizeof masked, true), sizeof masked - 7); /* the search does find it where it is */
	custos_secret_free(secret);
	secret = NULL;
	assert_int_equal(count_windows(masked, sizeof masked, true), 0);
	/* and it does find what a careless program leaves behind */
	char *careless = malloc(sizeof masked);
	assert_non_null(careless);
	for (size_t i = 0; i < sizeof masked; i++)
		((volatile char *)careless)[i] = (char)(masked[i] ^ NEEDLE_MASK);
	assert_true(count_windows(masked, sizeof masked, false) > 0);
	free(careless);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengthening_is_a_bug),
		cmocka_unit_test(none_before_memory_is_locked), /* it starts the arena for those after it */
		cmocka_unit_test(starts_zero_shortens_and_wipes),
		cmocka_unit_test(the_arena_is_finite),
		cmocka_unit_test(lines_are_read_exactly),
		cmocka_unit_test(what_follows_the_line_stays_in_the_descriptor),
		cmocka_unit_test(a_dead_descriptor_is_an_error),
		cmocka_unit_test(a_line_is_nowhere_but_in_locked_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
