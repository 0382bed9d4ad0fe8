/* Strict parsing and safe display: near misses of numbers, hex and names; a stranger who wants his key or his escape sequences shown. */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

static void numbers_are_whole_and_in_range(void **state)
{
	(void)state;
	static const char *const refused[] = { "", " 1", "1 ", "+1", "-1", "-0", "01", "00", "0x1", "1e3", "1.0", "1,000",
		"18446744073709551616", "99999999999999999999",
		                               "184467440737095516150", "1\n", "\xd9\xa1", "٣" };
	uint64_t v = 4711;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (custos_text_u64(refused[i], 0, UINT64_MAX, &v))
			fail_msg("\"%s\" was taken for a number", refused[i]);
	assert_true(v == 4711);
	assert_true(custos_text_u64("0", 0, 0, &v) && v == 0);
	assert_true(custos_text_u64("18446744073709551615", 0, UINT64_MAX, &v) && v == UINT64_MAX);
	assert_true(custos_text_u64("65535", 1, 65535, &v) && v == 65535);
	assert_false(custos_text_u64("65536", 1, 65535, &v));
	assert_false(custos_text_u64("0", 1, 65535, &v));
	assert_true(v == 65535);
}

static void hex_is_lower_case_and_of_one_length(void **state)
{
	(void)state;
	uint8_t bytes[256], back[256];
	char text[513];
	for (int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	custos_text_hex(bytes, sizeof bytes, text);
	assert_int_equal(strlen(text), 512);
	assert_true(custos_text_unhex(text, back, sizeof back));
	assert_memory_equal(bytes, back, sizeof bytes);
	static const char *const refused[] = { "", "0", "000", "00000", "0G00", "00 0", "FF00", "0x00", "-100", "00\n0" };
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (custos_text_unhex(refused[i], back, 2))
			fail_msg("\"%s\" was taken for two bytes", refused[i]);
	assert_true(custos_text_unhex("", back, 0));
	custos_text_hex(bytes, 0, text);
	assert_string_equal(text, "");
}

static void names_cannot_leave_their_place(void **state)
{
	(void)state;
	static const char *const refused[] = { "", ".", "..", "-rf", "_x", "a/b", "../x", "A", "a b", "a\tb", "ä", "a\n", "a:b", "a*",
		"a\\b", "a%b", "a\x7f", "a$" };
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (custos_text_is_name(refused[i]))
			fail_msg("\"%s\" was taken for a name", refused[i]);
	char longest[65];
	memset(longest, 'a', sizeof longest);
	longest[64] = '\0';
	assert_false(custos_text_is_name(longest));
	longest[63] = '\0';
	assert_true(custos_text_is_name(longest));
	assert_true(custos_text_is_name("0"));
	assert_true(custos_text_is_name("esxi-01.example.com_2"));
}

static void assert_shown(const char *said, size_t len, size_t max, const char *expected)
{
	/* a copy without a byte behind it */
	uint8_t *copy = malloc(len > 0 ? len : 1);
	memcpy(copy, said, len);
	CUSTOS_AUTO_STR *shown = custos_text_safe(CUSTOS_BYTES(copy, len), max);
	free(copy);
	assert_non_null(shown);
	assert_string_equal(shown, expected);
}
#define SHOWN(said, max, expected) assert_shown(said, sizeof(said) - 1, max, expected)

static void control_characters_are_escaped(void **state)
{
	(void)state;
	SHOWN("plain text", 100, "plain text");
	SHOWN("\x1b[2Jgone", 100, "\\x1b[2Jgone");
	SHOWN("a\r\nb\t\0c\x7f", 100, "a\\x0d\\x0ab\\x09\\x00c\\x7f");
	/* C1 in UTF-8 and alone */
	SHOWN("\xc2\x9b" "31m", 100, "\\xc2\\x9b31m");
	SHOWN("\x9b" "31m", 100, "\\x9b31m");
	SHOWN("", 100, "");
	CUSTOS_AUTO_STR *nothing = custos_text_safe(CUSTOS_BYTES(NULL, 0), 10);
	assert_string_equal(nothing, "");
}

static void only_real_utf8_passes(void **state)
{
	(void)state;
	SHOWN("Zürich € 𝄞", 100, "Zürich € 𝄞");
	SHOWN("\xc0\xaf", 100, "\\xc0\\xaf");                   /* overlong / */
	SHOWN("\xe0\x80\xaf", 100, "\\xe0\\x80\\xaf");
	SHOWN("\xed\xa0\x80", 100, "\\xed\\xa0\\x80");          /* a surrogate */
	SHOWN("\xf4\x90\x80\x80", 100, "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
	SHOWN("\xf0\x8f\xbf\xbf", 100, "\\xf0\\x8f\\xbf\\xbf");
	SHOWN("\xe2\x82", 100, "\\xe2\\x82");                   /* cut off */
	SHOWN("\xff\xfe", 100, "\\xff\\xfe");
	SHOWN("\xc3" "A", 100, "\\xc3" "A");
}

static void keys_are_masked(void **state)
{
	(void)state;
	SHOWN("error: -----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\nbye", 200, "error: [PEM block]\\x0abye");
	/* never ended: nothing behind it is shown */
	SHOWN("x -----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\nand more", 200, "x [PEM block]");
	SHOWN("------BEGIN X\nc2VjcmV0", 200, "-[PEM block]");
	SHOWN("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB", 200, "[base64]");
	SHOWN("key: MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB;", 200, "key: [base64];");
	SHOWN("0123456789012345678901234567890123456789", 200, "0123456789012345678901234567890123456789");
	SHOWN("01234567890123456789012345678901234567890", 200, "[base64]");
}

/* Whoever chooses how much is said before the key must not get a piece of it past the mask by the cut. */
static void a_cut_does_not_unmask(void **state)
{
	(void)state;
	static const char key[] = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDJ";
	for (size_t before = 0; before < 60; before++) {
		char said[200];
		int len = snprintf(said, sizeof said, "%*s %s", (int)before, "", key);
		CUSTOS_AUTO_STR *shown = custos_text_safe(CUSTOS_BYTES(said, (size_t)len), 64);
		for (size_t i = 0; i + 8 < sizeof key; i++) {
			char window[9] = { 0 };
			memcpy(window, key + i, 8);
			assert_null(strstr(shown, window));
		}
	}
	SHOWN("abc -----BEGIN PRIVATE KEY-----\nc2VjcmV0", 16, "abc [PEM block]…");
}

static void at_most_max_bytes(void **state)
{
	(void)state;
	SHOWN("abcdef", 6, "abcdef");
	SHOWN("abcdefg", 6, "abcdef…");
	SHOWN("abcde€", 6, "abcde…");
	SHOWN("a", 0, "…");
	char noise[3000];
	memset(noise, 1, sizeof noise);
	CUSTOS_AUTO_STR *shown = custos_text_safe(CUSTOS_BYTES(noise, sizeof noise), 2000);
	assert_int_equal(strlen(shown), 4 * 2000 + strlen("…"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_whole_and_in_range),
		cmocka_unit_test(hex_is_lower_case_and_of_one_length),
		cmocka_unit_test(names_cannot_leave_their_place),
		cmocka_unit_test(control_characters_are_escaped),
		cmocka_unit_test(only_real_utf8_passes),
		cmocka_unit_test(keys_are_masked),
		cmocka_unit_test(a_cut_does_not_unmask),
		cmocka_unit_test(at_most_max_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
