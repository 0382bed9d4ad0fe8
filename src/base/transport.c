/* The words for the ways of transport. */
#include "base/transport.h"

#include <string.h>

static const char *const names[CUSTOS_TRANSPORT_COUNT] = { "ecdh-p256", "ecdh-p256-kdf", "rsa-oaep", "rsa-oaep-sha1" };

const char *custos_transport_name(enum custos_transport transport)
{
	return (unsigned)transport < CUSTOS_TRANSPORT_COUNT ? names[transport] : "unknown";
}

bool custos_transport_parse(const char *name, enum custos_transport *ret_transport)
{
	for (unsigned i = 0; i < CUSTOS_TRANSPORT_COUNT; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*ret_transport = (enum custos_transport)i;
		return true;
	}
	return false;
}

bool custos_transport_needs_key(enum custos_transport transport)
{
	return transport == CUSTOS_TRANSPORT_RSA_OAEP || transport == CUSTOS_TRANSPORT_RSA_OAEP_SHA1;
}
