/* Names for people: distinguished names and alternative names as text that is safe to show, whoever wrote them. */
#ifndef CUSTOS_X509_NAME_H
#define CUSTOS_X509_NAME_H

#include "base/bytes.h"
#include "x509/openssl.h"
#include <custos/json.h>

/* The end of a text that goes on. */
#define CUSTOS_NAME_CUT "…"

/* Valid UTF-8 stays; control characters, direction overrides and broken UTF-8 become \xHH. At most about `max` bytes, then CUSTOS_NAME_CUT. Caller frees; NULL
 * when out of memory. */
char *custos_name_escape(struct custos_bytes said, size_t max);
/* RFC 4514, e.g. "CN=esxi1.example.com,O=Example"; "(no name)" when empty. Caller frees; NULL when out of memory. */
char *custos_name_text(const X509_NAME *name);
/* "dns:x", "ip:x", "email:x", "uri:x", "other:…". Caller frees; NULL when out of memory. */
char *custos_name_alt_text(const GENERAL_NAME *name);
/* Array of such texts; empty when names is NULL. */
struct custos_json *custos_name_alts_json(const GENERAL_NAMES *names);

#endif
