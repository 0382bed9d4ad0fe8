/* Keys that want the PIN before each signature (CKA_ALWAYS_AUTHENTICATE). */
#ifndef CUSTOS_TOKEN_CONTEXT_LOGIN_H
#define CUSTOS_TOKEN_CONTEXT_LOGIN_H

#include "token/session.h"

/* After the login. When the profile says so, or a private key on the token, the session takes the PIN out of *pin (NULL: it was entered at the token's own pad) and keeps it
 * in locked memory until custos_context_free(); else the caller keeps it, to free it. */
CUSTOS_RC custos_context_settle(struct custos_session *session, struct custos_secret **pin, struct custos_err *err);
/* Before C_SignInit: whether signing has come to its end in this process, because a login for a signature failed. */
CUSTOS_RC custos_context_check(const struct custos_session *session, struct custos_err *err);
/* Between C_SignInit and C_Sign: logs in once more when `key` wants it. After one that failed, in whichever session of the process, no other is tried. */
CUSTOS_RC custos_context_log_in(const struct custos_session *session, CK_OBJECT_HANDLE key, struct custos_err *err);
void custos_context_free(struct custos_context *context); /* wipes; NULL is fine */

#endif
