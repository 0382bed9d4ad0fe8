/* Where a URI leads: the host in its authority (RFC 3986 3.2). */
#ifndef CUSTOS_X509_URI_H
#define CUSTOS_X509_URI_H

#include "base/bytes.h"

/* The host, without user, port and the brackets of an IPv6 address; borrowed. False when the URI has no authority ("urn:uuid:…"), and then there is no host to judge. */
CUSTOS_MUST bool custos_uri_host(struct custos_bytes uri, struct custos_bytes *ret_host);

#endif
