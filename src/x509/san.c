/* Syntax of the four kinds of names. Host names by RFC 5890 2.3.1 (letters, digits, hyphen), what is outside ASCII as its A-labels, a wildcard only as the
 * whole first label. */
#include "x509/san.h"
#include "x509/idn.h"
#include "x509/uri.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <strings.h>

#define IDN_WHY "is outside ASCII and no name of IDNA 2008"
#define IDN_REMEDY "write it as it is registered, in lower case, or as its A-label, the form that starts with xn--"

static bool is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *label, size_t len)
{
	if (len == 0 || len > 63 || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alnum(label[i]) && label[i] != '-')
			return false;
	return true;
}

static bool is_address(const char *text)
{
	struct in6_addr ignored;
	return inet_pton(AF_INET, text, &ignored) == 1 || inet_pton(AF_INET6, text, &ignored) == 1;
}

static const char *bad_label(const char *label, size_t len)
{
	if (memchr(label, '*', len) != NULL)
		return "has a wildcard elsewhere than as its whole first label";
	if (len > 63)
		return "has a part of more than 63 characters";
	return memchr(label, '_', len) != NULL ? "holds an underscore, which no host name may" : "is no host name";
}

const char *custos_san_bad_host(const char *host, const char **ret_remedy)
{
	const char *name = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
	size_t labels = 0, len = strlen(host);
	bool digits_only = true;
	*ret_remedy = "write ip: for an address";
	if (is_address(host))
		return "is an address, not a host name";
	*ret_remedy = "give a full host name such as host.example.com";
	/* RFC 1034 3.1: 255 octets with the root's; RFC 5280 4.2.1.6 has names without it */
	if (len == 0 || len > 253)
		return len == 0 ? "is empty" : "is longer than 253 characters";
	if (len > 1 && host[len - 1] == '.') {
		*ret_remedy = "leave the dot at the end out";
		return "ends with a dot, which a name in a certificate does not";
	}
	for (const char *label = name;; labels++) {
		size_t n = strcspn(label, ".");
		if (!is_label(label, n))
			return bad_label(label, n);
		digits_only = strspn(label, "0123456789") == n;
		if (label[n] == '\0')
			break;
		label += n + 1;
	}
	if (digits_only) {
		*ret_remedy = "write ip: for an address";
		return "looks like an address, not a host name";
	}
	if (!custos_idn_is_whole(host)) {
		*ret_remedy = IDN_REMEDY;
		return "has an A-label (xn--) that stands for nothing";
	}
	return name != host && labels == 0 ? "is a wildcard for a whole top-level domain" : NULL;
}

/* The name as it goes into the request: what is outside ASCII becomes A-labels. `host` may stand at the end of `text`; *ret_why when there is no such form. */
static custos_rc encode_host(const char *text, const char *host, char **ret_text, const char **ret_why, const char **ret_remedy, struct custos_err *err)
{
	CUSTOS_AUTO_STR *ascii = NULL;
	*ret_text = NULL;
	if (is_ascii(host))
		ascii = strdup(host);
	else
		CUSTOS_TRY(custos_idn_to_ascii(host, &ascii, err));
	if (ascii == NULL && !is_ascii(host)) {
		*ret_why = IDN_WHY;
		*ret_remedy = IDN_REMEDY;
		return CUSTOS_OK;
	}
	if (ascii == NULL || asprintf(ret_text, "%.*s%s", (int)(host - text), text, ascii) < 0)
		CUSTOS_FAIL(err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

static const char *bad_email(const char *email, const char **ret_remedy)
{
	const char *at = strrchr(email, '@');
	*ret_remedy = "give an address such as admin@example.com";
	if (!is_ascii(email))
		return "has letters outside ASCII before the @";
	if (at == NULL || at == email || strchr(email, '@') != at)
		return "is no mail address";
	/* RFC 5321 4.1.2 (a dot-string) and 4.5.3.1.1 */
	if (at - email > 64)
		return "has more than 64 characters before the @";
	for (const char *p = email; p < at; p++) {
		bool dot = *p == '.';
		if ((!is_alnum(*p) && strchr("!#$%&'*+-/=?^_`{|}~.", *p) == NULL) || (dot && (p == email || p + 1 == at || p[1] == '.')))
			return "is no mail address";
	}
	const char *ignored;
	return at[1] == '*' || custos_san_bad_host(at + 1, &ignored) != NULL ? "has no valid host after the @" : NULL;
}

/* RFC 5280 4.2.1.6: a URI that has an authority has a full host name in it, or an address. */
static const char *bad_authority(const char *uri)
{
	struct custos_bytes host;
	const char *ignored;
	char name[256];
	if (!custos_uri_host(CUSTOS_BYTES_STR(uri), &host))
		return NULL;
	if (host.len == 0 || host.len >= sizeof name)
		return host.len == 0 ? "names no host" : "has a host that is longer than 253 characters";
	memcpy(name, host.ptr, host.len);
	name[host.len] = '\0';
	if (is_address(name))
		return NULL;
	return name[0] == '*' || custos_san_bad_host(name, &ignored) != NULL ? "has a host that is neither a host name nor an address" : NULL;
}

static const char *bad_uri(const char *uri, const char **ret_remedy)
{
	*ret_remedy = "write its host as A-labels (xn--), the rest with %HH for each byte outside ASCII";
	if (!is_ascii(uri))
		return "is not ASCII";
	*ret_remedy = "give an absolute URI such as https://host.example.com/";
	size_t scheme = strcspn(uri, ":");
	if (uri[scheme] == '\0' || scheme == 0 || !isalpha((unsigned char)uri[0]) || uri[scheme + 1] == '\0')
		return "is no absolute URI";
	for (size_t i = 0; i < scheme; i++)
		if (!is_alnum(uri[i]) && strchr("+-.", uri[i]) == NULL)
			return "is no absolute URI";
	for (const char *p = uri; *p != '\0'; p++)
		if (*p <= 0x20 || *p == 0x7f || strchr("<>\"\\^`{|}", *p) != NULL)
			return "holds a character that no URI may hold";
	return bad_authority(uri);
}

static custos_rc make_text(int type, const char *value, GENERAL_NAME **ret_name, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(alt_name) GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();
	if (name == NULL || string == NULL || ASN1_STRING_set(string, value, -1) != 1) {
		ASN1_IA5STRING_free(string);
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, custos_x509_drain(), "out of memory");
	}
	GENERAL_NAME_set0_value(name, type, string);
	*ret_name = CUSTOS_TAKE(name);
	return CUSTOS_OK;
}

static custos_rc make_address(const char *value, GENERAL_NAME **ret_name, const char **ret_why, const char **ret_remedy, struct custos_err *err)
{
	CUSTOS_AUTO_OSSL(alt_name) GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_OCTET_STRING *address = a2i_IPADDRESS(value);
	custos_x509_drain();
	*ret_why = "is no IPv4 or IPv6 address";
	*ret_remedy = "write it like 192.0.2.1 or 2001:db8::1, without a prefix length";
	if (address == NULL)
		return CUSTOS_OK;
	if (name == NULL) {
		ASN1_OCTET_STRING_free(address);
		CUSTOS_FAIL(err, CUSTOS_E_SYSTEM, "out of memory");
	}
	GENERAL_NAME_set0_value(name, GEN_IPADD, address);
	*ret_name = CUSTOS_TAKE(name);
	return CUSTOS_OK;
}

custos_rc custos_san_parse(const char *text, GENERAL_NAME **ret_name, const char **ret_why, const char **ret_remedy, struct custos_err *err)
{
	*ret_name = NULL;
	if (strncmp(text, "ip:", 3) == 0)
		return make_address(text + 3, ret_name, ret_why, ret_remedy, err);
	if (strncmp(text, "dns:", 4) == 0 || strncmp(text, "email:", 6) == 0) {
		bool is_dns = text[0] == 'd';
		const char *value = text + (is_dns ? 4 : 6), *at = is_dns ? NULL : strrchr(value, '@');
		CUSTOS_AUTO_STR *encoded = NULL;
		CUSTOS_TRY(encode_host(value, at == NULL ? value : at + 1, &encoded, ret_why, ret_remedy, err));
		if (encoded == NULL)
			return CUSTOS_OK;
		*ret_why = is_dns ? custos_san_bad_host(encoded, ret_remedy) : bad_email(encoded, ret_remedy);
		return *ret_why != NULL ? CUSTOS_OK : make_text(is_dns ? GEN_DNS : GEN_EMAIL, encoded, ret_name, err);
	}
	if (strncmp(text, "uri:", 4) == 0) {
		*ret_why = bad_uri(text + 4, ret_remedy);
		return *ret_why != NULL ? CUSTOS_OK : make_text(GEN_URI, text + 4, ret_name, err);
	}
	*ret_why = "is of no known kind";
	*ret_remedy = "write dns:, ip:, email: or uri: before the name";
	return CUSTOS_OK;
}

bool custos_san_equal(GENERAL_NAME *a, GENERAL_NAME *b)
{
	if (a->type != b->type)
		return false;
	if (a->type != GEN_DNS)
		return GENERAL_NAME_cmp(a, b) == 0;
	int len = ASN1_STRING_length(a->d.dNSName);
	return len == ASN1_STRING_length(b->d.dNSName) &&
	       strncasecmp((const char *)ASN1_STRING_get0_data(a->d.dNSName), (const char *)ASN1_STRING_get0_data(b->d.dNSName), (size_t)len) == 0;
}
