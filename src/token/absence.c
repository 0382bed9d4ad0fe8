/* Telling that a token is gone: see absence.h. The values are PKCS#11's (2.40, table of CKR_*); the keeper's side has no header of it. */
#include "token/absence.h"

enum {
	SLOT_ID_INVALID = 0x3, DEVICE_ERROR = 0x30, DEVICE_REMOVED = 0x32, SESSION_CLOSED = 0xb0, SESSION_HANDLE_INVALID = 0xb3, TOKEN_NOT_PRESENT = 0xe0,
	TOKEN_NOT_RECOGNIZED = 0xe1
};

bool custos_absence_is(long ckr)
{
	switch (ckr) {
	case SLOT_ID_INVALID:
	case DEVICE_ERROR:
	case DEVICE_REMOVED:
	case SESSION_CLOSED:
	case SESSION_HANDLE_INVALID:
	case TOKEN_NOT_PRESENT:
	case TOKEN_NOT_RECOGNIZED:
		return true;
	default:
		return false;
	}
}

void custos_absence_tell(const struct custos_token_info *token, struct custos_err *failure)
{
	if (failure->rc != CUSTOS_E_TOKEN || !custos_absence_is(failure->native))
		return;
	struct custos_err told = { 0 };
	if (token->serial[0] != '\0')
		(void)custos_err_set(&told, CUSTOS_E_TOKEN, failure->native, "token “%s” (serial %s) is gone or out of order: %s", token->label, token->serial, failure->msg);
	else
		(void)custos_err_set(&told, CUSTOS_E_TOKEN, failure->native, "the token is gone or out of order: %s", failure->msg);
	/* whatever else the failure made somebody suspect (a damaged container, another KEK) was not found out */
	custos_err_hint(&told, "if it was removed, reset or cut off, put it back; then run the command again");
	*failure = told;
}
