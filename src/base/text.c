/* Strict parsing and safe display. Nothing here knows a locale. */
#include "base/text.h"

#include <stdio.h>

bool custos_text_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return false;
	for (const char *c = text; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return false;
		uint64_t digit = (uint64_t)(*c - '0');
		if (v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	if (v < min || v > max)
		return false;
	*ret = v;
	return true;
}

void custos_text_hex(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool custos_text_unhex(const char *text, uint8_t *out, size_t len)
{
	if (strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool custos_text_is_name(const char *text)
{
	size_t len = strlen(text);
	if (len == 0 || len > 63 || !is_alnum(text[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(text[i]) && text[i] != '.' && text[i] != '_' && text[i] != '-')
			return false;
	return true;
}

char *custos_text_dup(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

size_t custos_text_utf8_length(const uint8_t *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
	if (len == 0 || len > left)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	/* U+0080 to U+009F are control characters too */
	return len == 2 && p[0] == 0xc2 && p[1] < 0xa0 ? 0 : len;
}

static size_t base64_run(const uint8_t *p, size_t left)
{
	size_t n = 0;
	while (n < left && ((p[n] >= 'A' && p[n] <= 'Z') || (p[n] >= 'a' && p[n] <= 'z') || (p[n] >= '0' && p[n] <= '9') || p[n] == '+' ||
	                    p[n] == '/' || p[n] == '='))
		n++;
	return n;
}

static bool starts_pem(const uint8_t *p, size_t left)
{
	static const char begin[] = "-----BEGIN";
	return left >= sizeof begin - 1 && memcmp(p, begin, sizeof begin - 1) == 0;
}

static size_t pem_length(const uint8_t *p, size_t left)
{
	static const char end[] = "-----END";
	for (size_t i = 0; i + sizeof end - 1 <= left; i++)
		if (memcmp(p + i, end, sizeof end - 1) == 0) {
			size_t stop = i;
			while (stop < left && p[stop] != '\n')
				stop++;
			return stop;
		}
	return left;
}

char *custos_text_safe(struct custos_bytes said, size_t max)
{
	enum { LONG_RUN = 40 };
	CUSTOS_AUTO_BUF out = { .max = 8 * (max + 16) };
	bool cut = said.len > max;
	size_t shown = cut ? max : said.len;
	custos_rc rc = CUSTOS_OK;
	/* what is masked is looked for in all that was said: a cut must not make a piece of it look harmless */
	for (size_t i = 0; i < shown && rc == CUSTOS_OK;) {
		const uint8_t *p = said.ptr + i;
		size_t left = said.len - i, run = base64_run(p, left), utf8 = custos_text_utf8_length(p, left);
		if (starts_pem(p, left)) {
			rc = custos_buf_append_str(&out, "[PEM block]", NULL);
			i += pem_length(p, left);
		} else if (run > LONG_RUN) {
			rc = custos_buf_append_str(&out, "[base64]", NULL);
			i += run;
		} else if (run > 0) {
			rc = custos_buf_append(&out, p, run < shown - i ? run : shown - i, NULL);
			i += run;
		} else if (utf8 == 0 || *p < 0x20 || *p == 0x7f) {
			rc = custos_buf_printf(&out, NULL, "\\x%02x", *p);
			i++;
		} else {
			if (utf8 <= shown - i)
				rc = custos_buf_append(&out, p, utf8, NULL);
			i += utf8;
		}
	}
	if (rc == CUSTOS_OK && cut)
		rc = custos_buf_append_str(&out, "…", NULL);
	return rc == CUSTOS_OK ? strdup(out.ptr == NULL ? "" : (char *)out.ptr) : NULL;
}
