/* scheme ":" "//" [ user "@" ] host [ ":" port ] [ path … ]. Nothing is decoded: a host with %HH in it is none that a certificate may name. */
#include "x509/uri.h"

static size_t until(struct custos_bytes text, const char *stops)
{
	size_t n = 0;
	while (n < text.len && (text.ptr[n] == '\0' || strchr(stops, text.ptr[n]) == NULL))
		n++;
	return n;
}

static struct custos_bytes from(struct custos_bytes text, size_t start)
{
	return CUSTOS_BYTES(text.ptr + start, text.len - start);
}

bool custos_uri_host(struct custos_bytes uri, struct custos_bytes *ret_host)
{
	size_t scheme = until(uri, ":");
	if (uri.len - scheme < 3 || memcmp(uri.ptr + scheme, "://", 3) != 0)
		return false;
	struct custos_bytes rest = from(uri, scheme + 3);
	rest.len = until(rest, "/?#");
	for (size_t at = until(rest, "@"); at < rest.len; at = until(rest, "@"))
		rest = from(rest, at + 1);
	bool literal = rest.len > 0 && rest.ptr[0] == '[';
	if (literal)
		rest = from(rest, 1);
	rest.len = until(rest, literal ? "]" : ":");
	*ret_host = rest;
	return true;
}
