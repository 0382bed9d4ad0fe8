/* Times as text: exactly one form each way, and never an undefined buffer. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <time.h>

static void there_and_back(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds;
		const char *text;
	} known[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ 2147483648, "2038-01-19T03:14:08Z" },
		{ 4102444800, "2100-01-01T00:00:00Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		char text[CUSTOS_TIME_TEXT];
		int64_t seconds = 1;
		custos_clock_text(known[i].seconds, text);
		assert_string_equal(text, known[i].text);
		assert_true(custos_clock_parse(known[i].text, &seconds));
		assert_true(seconds == known[i].seconds);
	}
}

/* The zone of whoever runs custos must not matter. */
static void the_zone_does_not_matter(void **state)
{
	(void)state;
	int64_t seconds = 0;
	char text[CUSTOS_TIME_TEXT];
	assert_int_equal(setenv("TZ", "XYZ-14", 1), 0);
	tzset();
	custos_clock_text(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00Z");
	assert_true(custos_clock_parse("2026-07-01T12:00:00Z", &seconds));
	assert_true(seconds == 1782907200);
	unsetenv("TZ");
	tzset();
}

static void only_the_exact_form_is_read(void **state)
{
	(void)state;
	static const char *const refused[] = {
		"", "2026", "2026-11-23", "2026-11-23T07:00:00", "2026-11-23T07:00:00z", "2026-11-23 07:00:00Z", "2026-11-23T07:00:00Z ",
			" 2026-11-23T07:00:00Z",
		"2026-11-23T07:00:00ZZ", "2026-11-23T07:00:00+00:00", "2026-11-23T07:00:00.0Z", "2026-1-23T07:00:00Z",
			"2026- 1-23T07:00:00Z", "2026-11-23T7:00:00Z",
		"2026-11-23T 7:00:00Z", "2026-02-29T00:00:00Z", "2026-02-31T00:00:00Z", "2026-04-31T00:00:00Z", "2026-00-10T00:00:00Z",
			"2026-13-01T00:00:00Z",
		"2026-11-00T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T07:60:00Z", "2026-11-23T07:00:60Z", "2026-11-23T07:00:61Z",
			"26-11-23T07:00:00Z",
		"12026-11-23T07:00:00Z", "-2026-11-23T07:00:00Z", "+2026-11-23T07:00:00Z", "0x7e-11-23T07:00:00Z", "2026-11-23T07:00:00Z\n",
	};
	int64_t seconds = 4711;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (custos_clock_parse(refused[i], &seconds))
			fail_msg("\"%s\" was taken for a time", refused[i]);
	assert_true(seconds == 4711);
}

/* A certificate may say anything. */
static void years_that_do_not_fit_give_nothing(void **state)
{
	(void)state;
	static const int64_t wild[] = { 253402300800, INT64_MAX, INT64_MIN, -62135596801 };
	for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
		char text[CUSTOS_TIME_TEXT];
		memset(text, 'x', sizeof text);
		custos_clock_text(wild[i], text);
		assert_string_equal(text, "");
	}
}

static void the_monotonic_clock_goes_forward(void **state)
{
	(void)state;
	int64_t before = custos_clock_monotonic_ms();
	for (int i = 0; i < 10000; i++) {
		int64_t now = custos_clock_monotonic_ms();
		assert_true(now >= before);
		before = now;
	}
	int64_t unix_now = custos_clock_unix();
	assert_true(unix_now <= (int64_t)time(NULL) && unix_now > 1700000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(the_zone_does_not_matter),
		cmocka_unit_test(only_the_exact_form_is_read),
		cmocka_unit_test(years_that_do_not_fit_give_nothing),
		cmocka_unit_test(the_monotonic_clock_goes_forward),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
