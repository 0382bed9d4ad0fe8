/* Distinguished names as people write them: RFC 4514, e.g. "CN=esxi1.example.com,O=Example\, Inc,C=DE". The string is most specific first, the
 * encoding is the reverse. */
#ifndef CUSTOS_X509_DN_H
#define CUSTOS_X509_DN_H

#include "base/bytes.h"
#include "x509/openssl.h"

/* CUSTOS_E_INPUT, with the place, when it is no such name. Empty text gives the empty name. White space around separators is tolerated (RFC 2253 did); quoted strings are not. */
CUSTOS_RC custos_dn_parse(const char *text, X509_NAME **ret_name, struct custos_err *err);

#endif
