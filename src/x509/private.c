/* Two tables: top-level names that nobody can register, and address ranges that belong to nobody. Names and ranges set apart for documentation are not in them. */
#include "x509/private.h"

#include <strings.h>

static const char *const domains[] = {
	"local", "lan", "localdomain", "localhost", "internal", "intranet", "private", "corp", "home", "home.arpa", "test", "invalid", "onion",
};

struct range {
	const unsigned char first[16];
	int len, bits;
	const char *why;
};

#define PRIVATE "is an address of a private network (RFC 1918)"
#define OWN "is an address of the machine itself"
#define LINK "is an address of the local link"
static const struct range ranges[] = {
	{ { 10 }, 4, 8, PRIVATE },
	{ { 172, 16 }, 4, 12, PRIVATE },
	{ { 192, 168 }, 4, 16, PRIVATE },
	{ { 100, 64 }, 4, 10, "is an address behind a carrier's translation (RFC 6598)" },
	{ { 127 }, 4, 8, OWN },
	{ { 0 }, 4, 8, "is an address of no machine" },
	{ { 169, 254 }, 4, 16, LINK },
	{ { 0 }, 16, 127, OWN }, /* :: and ::1 */
	{ { 0xfe, 0x80 }, 16, 10, LINK },
	{ { 0xfc }, 16, 7, "is an address of a private network (RFC 4193)" },
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 16, 96, "is an IPv4 address in the form of an IPv6 one" },
};

static bool is_within(const struct range *range, const unsigned char *address, int len)
{
	int whole = range->bits / 8, rest = range->bits % 8;
	if (len != range->len || memcmp(address, range->first, (size_t)whole) != 0)
		return false;
	return rest == 0 || (address[whole] ^ range->first[whole]) >> (8 - rest) == 0;
}

static const char *private_address(const ASN1_OCTET_STRING *address)
{
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (is_within(&ranges[i], ASN1_STRING_get0_data(address), ASN1_STRING_length(address)))
			return ranges[i].why;
	return NULL;
}

static const char *private_host(const char *host, size_t len)
{
	if (memchr(host, '.', len) == NULL)
		return "has no domain";
	for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
		size_t n = strlen(domains[i]);
		if (len > n && host[len - n - 1] == '.' && strncasecmp(host + len - n, domains[i], n) == 0)
			return "is in a domain that nobody can register";
	}
	return NULL;
}

const char *custos_private_reason(const GENERAL_NAME *name)
{
	int type = -1;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
	if (type == GEN_IPADD)
		return private_address(value);
	return type == GEN_DNS ? private_host((const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)) : NULL;
}
