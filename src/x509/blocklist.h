/* Keys that are not to be certified, by the hash of their public half: an organisation's own list, or one of those that Debian made of the keys it once
 * generated without randomness (CVE-2008-0166).
 *
 * Text, one key a line: 64 hexadecimal digits are the SHA-256 of the SPKI; 40 are the SHA-1 of what `openssl rsa -modulus` prints, and 20 its last half, as in
 * Debian's package openssl-blacklist. Empty lines and lines that begin with # are nothing. */
#ifndef CUSTOS_X509_BLOCKLIST_H
#define CUSTOS_X509_BLOCKLIST_H

#include "base/bytes.h"

enum { CUSTOS_BLOCKLIST_TEXT_MAX = 32 << 20 };
struct custos_blocklist;

/* CUSTOS_E_INPUT with file and line when a line is something else: a list that was half understood would block half. */
CUSTOS_RC custos_blocklist_parse(struct custos_bytes text, const char *file, struct custos_blocklist **ret_list, struct custos_err *err);
void custos_blocklist_free(struct custos_blocklist *list);
CUSTOS_DEFINE_FREEP(custos_blocklist);
CUSTOS_RC custos_blocklist_find(const struct custos_blocklist *list, struct custos_bytes spki, bool *ret_found, struct custos_err *err);

#endif
