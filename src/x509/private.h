/* Names that mean something only where one is: a public CA may not certify them (CA/Browser Forum, Baseline Requirements). */
#ifndef CUSTOS_X509_PRIVATE_H
#define CUSTOS_X509_PRIVATE_H

#include "base/bytes.h"
#include "x509/openssl.h"

/* Why, as the rest of a sentence about the name; NULL when it is public. Of a mail address and of a URI the host
 * is judged; a URI without one, and names of other kinds, are not. */
const char *custos_private_reason(const GENERAL_NAME *name);

#endif
