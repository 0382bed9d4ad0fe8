/* What a token that was pulled, reset or lost its driver's connection answers: one of many return values, in the middle of anything. */
#ifndef CUSTOS_TOKEN_ABSENCE_H
#define CUSTOS_TOKEN_ABSENCE_H

#include "token/wire_info.h"

/* Does this CK_RV say that the token, or the session with it, is no longer there? */
CUSTOS_MUST bool custos_absence_is(long ckr);
/* A failure with such a native code names the token first and says what to do; any other stays as it is. */
void custos_absence_tell(const struct custos_token_info *token, struct custos_err *failure);

#endif
