/* One login: see login.h. With the token's own PIN pad no PIN exists on this side of it. */
#include "vault/login.h"
#include "memory/secret.h"

#include <stdio.h>

static enum custos_pin_way choose(const struct custos_pin *pin, const struct custos_token_info *info)
{
	if (pin->choose == NULL)
		return CUSTOS_PIN_BY_GET;
	return pin->choose(pin->ctx, info->protected_path ? CUSTOS_PIN_PAD_PRESENT : CUSTOS_PIN_PAD_NONE);
}

custos_rc custos_vault_log_in(struct custos_token *token, const struct custos_pin *pin, bool *ret_asked, struct custos_err *err)
{
	const struct custos_token_info *info = custos_token_info(token);
	char what[128];
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	if (ret_asked != NULL)
		*ret_asked = false;
	snprintf(what, sizeof what, "PIN of token %s (serial %s)", info->label, info->serial);
	if (choose(pin, info) == CUSTOS_PIN_BY_GET) {
		CUSTOS_TRY(pin->get(pin->ctx, what, &secret, err));
	} else if (pin->announce != NULL && info->protected_path && !info->pin_locked && !info->pin_final_try) {
		/* nobody is sent to a pad that will not ask */
		pin->announce(pin->ctx, what);
	}
	if (ret_asked != NULL)
		*ret_asked = true;
	return custos_token_login(token, secret, err);
}
