/* Logging in to a token, whichever it is: the one place that decides between a PIN that is given to custos and one that is entered at the token. */
#ifndef CUSTOS_VAULT_LOGIN_H
#define CUSTOS_VAULT_LOGIN_H

#include "token/client.h"
#include <custos/custody.h>

/* One attempt. CUSTOS_E_AUTH: it was refused, or not made because it could be the last one; or there was no PIN to be had. *ret_asked (may be NULL) tells whether the token
 * was asked at all. */
CUSTOS_RC custos_vault_log_in(struct custos_token *token, const struct custos_pin *pin, bool *ret_asked, struct custos_err *err);

#endif
