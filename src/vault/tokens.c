/* Tokens without a custody: what is there, and making one ready. */
#include "token/client.h"
#include <custos/custody.h>

custos_rc custos_tokens_list(const char *module, struct custos_json **ret_tokens, struct custos_err *err)
{
	struct custos_token_where where = { .module = module };
	return custos_token_list(&where, ret_tokens, err);
}

custos_rc custos_tokens_show(const char *module, const char *uri, struct custos_json **ret_token, struct custos_err *err)
{
	struct custos_token_where where = { .module = module, .uri = uri };
	CUSTOS_AUTO(custos_token) *token = NULL;
	CUSTOS_TRY(custos_token_open(&where, &token, err));
	*ret_token = custos_token_info_json(custos_token_info(token));
	if (custos_token_info(token)->repaired)
		custos_json_set_bool(*ret_token, "repaired", true);
	return CUSTOS_OK;
}

custos_rc custos_tokens_init(const char *module, const char *uri, const char *label, const struct custos_pin *so_pin,
                             const struct custos_pin *pin, struct custos_json **ret_token, struct custos_err *err)
{
	struct custos_token_where where = { .module = module, .uri = uri };
	CUSTOS_AUTO(custos_secret) *so = NULL;
	CUSTOS_AUTO(custos_secret) *user = NULL;
	CUSTOS_TRY(so_pin->get(so_pin->ctx, "new security officer PIN", &so, err));
	CUSTOS_TRY(pin->get(pin->ctx, "new user PIN", &user, err));
	return custos_token_init(&where, label, so, user, ret_token, err);
}
