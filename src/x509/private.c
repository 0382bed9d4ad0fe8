/* Two tables: top-level names that nobody can register, and address ranges that belong to nobody (the IANA registries of special-purpose addresses, RFC 6890,
 * that the Baseline Requirements 1.6.1 call reserved). Names and ranges set apart for documentation are not in them. */
#include "x509/private.h"
#include "x509/uri.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#define NOBODYS "is in a domain that nobody can register"
static const struct {
	const char *name, *why;
} domains[] = {
	{ "local", NOBODYS }, { "lan", NOBODYS }, { "localdomain", NOBODYS }, { "localhost", NOBODYS }, { "internal", NOBODYS }, { "intranet", NOBODYS }, { "private", NOBODYS },
	{ "corp", NOBODYS }, { "home", NOBODYS }, { "home.arpa", NOBODYS }, { "test", NOBODYS }, { "invalid", NOBODYS }, { "alt", NOBODYS } /* RFC 9476 */,
	/* ballot SC-086 */
	{ "in-addr.arpa", "is in the zone of addresses" }, { "ip6.arpa", "is in the zone of addresses" },
};

struct range {
	const unsigned char first[16];
	int len, bits;
	const char *why;
};

#define PRIVATE "is an address of a private network (RFC 1918)"
#define OWN "is an address of the machine itself"
#define LINK "is an address of the local link"
#define GROUP "is an address of a group of machines (multicast)"
#define SPECIAL "is an address set apart by IANA, which no host has"
static const struct range ranges[] = {
	{ { 10 }, 4, 8, PRIVATE },
	{ { 172, 16 }, 4, 12, PRIVATE },
	{ { 192, 168 }, 4, 16, PRIVATE },
	{ { 100, 64 }, 4, 10, "is an address behind a carrier's translation (RFC 6598)" },
	{ { 127 }, 4, 8, OWN },
	{ { 0 }, 4, 8, "is an address of no machine" },
	{ { 169, 254 }, 4, 16, LINK },
	{ { 192, 0, 0 }, 4, 24, SPECIAL },
	{ { 192, 88, 99 }, 4, 24, SPECIAL },
	{ { 198, 18 }, 4, 15, SPECIAL },
	{ { 224 }, 4, 4, GROUP },
	{ { 240 }, 4, 4, SPECIAL },
	{ { 0 }, 16, 127, OWN }, /* :: and ::1 */
	{ { 0xfe, 0x80 }, 16, 10, LINK },
	{ { 0xfc }, 16, 7, "is an address of a private network (RFC 4193)" },
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 16, 96, "is an IPv4 address in the form of an IPv6 one" },
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 16, 48, SPECIAL },
	{ { 0x01 }, 16, 64, SPECIAL },
	{ { 0x20, 0x02 }, 16, 16, "is an IPv4 address in the form of an IPv6 one" },
	{ { 0x5f }, 16, 16, SPECIAL },
	{ { 0xff }, 16, 8, GROUP },
};

static bool is_within(const struct range *range, const unsigned char *address, int len)
{
	int whole = range->bits / 8, rest = range->bits % 8;
	if (len != range->len || memcmp(address, range->first, (size_t)whole) != 0)
		return false;
	return rest == 0 || (address[whole] ^ range->first[whole]) >> (8 - rest) == 0;
}

static const char *private_address(const unsigned char *address, int len)
{
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (is_within(&ranges[i], address, len))
			return ranges[i].why;
	return NULL;
}

/* Names of the third version are keys themselves, and a public CA may certify them (Baseline Requirements, appendix B); others are nobody's. */
static bool is_onion(struct custos_bytes host, bool *ret_whole)
{
	enum { SUFFIX = 6, KEY = 56 };
	if (host.len < SUFFIX || strncasecmp((const char *)host.ptr + host.len - SUFFIX, ".onion", SUFFIX) != 0)
		return false;
	size_t label = 0, end = host.len - SUFFIX;
	while (label < end && host.ptr[end - label - 1] != '.')
		label++;
	*ret_whole = label == KEY;
	return true;
}

static const char *private_name(struct custos_bytes host)
{
	bool whole;
	if (memchr(host.ptr, '.', host.len) == NULL)
		return "has no domain";
	if (is_onion(host, &whole))
		return whole ? NULL : NOBODYS;
	for (size_t i = 0; i < sizeof domains / sizeof *domains; i++) {
		size_t n = strlen(domains[i].name);
		if (host.len > n && host.ptr[host.len - n - 1] == '.' && strncasecmp((const char *)host.ptr + host.len - n, domains[i].name, n) == 0)
			return domains[i].why;
	}
	return NULL;
}

/* A name, or an address where names and addresses may stand. */
static const char *private_host(struct custos_bytes host)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[16];
	snprintf(text, sizeof text, "%.*s", host.len < sizeof text ? (int)host.len : 0, (const char *)host.ptr);
	if (inet_pton(AF_INET, text, address) == 1)
		return private_address(address, 4);
	if (inet_pton(AF_INET6, text, address) == 1)
		return private_address(address, 16);
	return host.len == 0 ? NULL : private_name(host);
}

const char *custos_private_reason(const GENERAL_NAME *name)
{
	int type = -1;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
	if (type != GEN_IPADD && type != GEN_DNS && type != GEN_EMAIL && type != GEN_URI)
		return NULL;
	struct custos_bytes text = CUSTOS_BYTES(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)), host;
	if (type == GEN_IPADD)
		return private_address(text.ptr, (int)text.len);
	if (type == GEN_DNS)
		return private_name(text);
	if (type == GEN_URI)
		return custos_uri_host(text, &host) ? private_host(host) : NULL;
	const uint8_t *at = memchr(text.ptr, '@', text.len);
	return at == NULL ? NULL : private_name(CUSTOS_BYTES(at + 1, text.len - (size_t)(at + 1 - text.ptr)));
}
