/* Names as text. Nothing here decides anything: comparisons are made on the encoded names, not on what is shown. */
#include "x509/name.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { TEXT_MAX = 1024 };

static bool may_be_shown(unsigned long c)
{
	bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
	bool direction = c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
	return !control && !direction && !(c >= 0xd800 && c < 0xe000) && c <= 0x10ffff;
}

char *custos_name_escape(struct custos_bytes said, size_t max)
{
	CUSTOS_AUTO_BUF out = { .max = 4 * max + 16 };
	custos_rc rc = CUSTOS_OK;
	size_t i = 0;
	while (rc == CUSTOS_OK && i < said.len && out.len < max) {
		unsigned long c = 0;
		int n = UTF8_getc(said.ptr + i, said.len - i > 4 ? 4 : (int)(said.len - i), &c);
		if (n > 0 && may_be_shown(c)) {
			rc = custos_buf_append(&out, said.ptr + i, (size_t)n, NULL);
			i += (size_t)n;
		} else {
			rc = custos_buf_printf(&out, NULL, "\\x%02x", said.ptr[i]);
			i++;
		}
	}
	if (rc == CUSTOS_OK && i < said.len)
		rc = custos_buf_append_str(&out, CUSTOS_NAME_CUT, NULL);
	return rc == CUSTOS_OK ? strdup(out.ptr == NULL ? "" : (char *)out.ptr) : NULL;
}

char *custos_name_text(const X509_NAME *name)
{
	if (name == NULL || X509_NAME_entry_count(name) == 0)
		return strdup("(no name)");
	CUSTOS_AUTO_OSSL(bio) BIO *bio = BIO_new(BIO_s_mem());
	if (bio == NULL)
		return NULL;
	unsigned long readable = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
	if (X509_NAME_print_ex(bio, name, 0, readable) < 0) {
		/* a string that is not what its type says: bytes instead of characters */
		(void)BIO_reset(bio);
		if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_UTF8_CONVERT) < 0)
			(void)BIO_puts(bio, "(unreadable name)");
	}
	custos_x509_drain();
	char *data = NULL;
	long len = BIO_get_mem_data(bio, &data);
	return custos_name_escape(CUSTOS_BYTES(data, len > 0 ? (size_t)len : 0), TEXT_MAX);
}

static char *prefixed(const char *prefix, const ASN1_STRING *value)
{
	CUSTOS_AUTO_STR *text = custos_name_escape(CUSTOS_BYTES(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)), TEXT_MAX);
	char *whole = NULL;
	return text == NULL || asprintf(&whole, "%s:%s", prefix, text) < 0 ? NULL : whole;
}

static char *address(const ASN1_OCTET_STRING *value)
{
	char text[INET6_ADDRSTRLEN], *whole = NULL;
	int len = ASN1_STRING_length(value);
	if (len != 4 && len != 16)
		return strdup("ip:(invalid)");
	if (inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text, sizeof text) == NULL || asprintf(&whole, "ip:%s", text) < 0)
		return NULL;
	return whole;
}

char *custos_name_alt_text(const GENERAL_NAME *name)
{
	int type = -1;
	const void *value = GENERAL_NAME_get0_value(name, &type);
	switch (type) {
	case GEN_DNS:
		return prefixed("dns", value);
	case GEN_EMAIL:
		return prefixed("email", value);
	case GEN_URI:
		return prefixed("uri", value);
	case GEN_IPADD:
		return address(value);
	case GEN_DIRNAME: {
		CUSTOS_AUTO_STR *text = custos_name_text(value);
		char *whole = NULL;
		return text == NULL || asprintf(&whole, "other:directory name %s", text) < 0 ? NULL : whole;
	}
	default:
		return strdup("other:(not shown)");
	}
}

struct custos_json *custos_name_alts_json(const GENERAL_NAMES *names)
{
	struct custos_json *array = custos_json_array();
	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		CUSTOS_AUTO_STR *text = custos_name_alt_text(sk_GENERAL_NAME_value(names, i));
		custos_json_push(array, custos_json_string(text));
	}
	return array;
}
