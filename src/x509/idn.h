/* Host names outside ASCII, by libidn2 and IDNA 2008 (RFC 5891): nothing is mapped, folded or dropped in silence. */
#ifndef CUSTOS_X509_IDN_H
#define CUSTOS_X509_IDN_H

#include "base/bytes.h"

/* The form with A-labels (xn--…) of a UTF-8 host name, whose ASCII labels stay as they are. *ret_ascii is the caller's; NULL, with CUSTOS_OK, when there is
 * no such form: upper case outside ASCII, a symbol, a character without width, broken UTF-8. */
CUSTOS_RC custos_idn_to_ascii(const char *host, char **ret_ascii, struct custos_err *err);
/* Does each A-label of an ASCII name decode? */
CUSTOS_MUST bool custos_idn_is_whole(const char *ascii);

#endif
