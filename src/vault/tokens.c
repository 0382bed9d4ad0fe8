/* Tokens without a custody: what is there, and making one ready. */
#include "data/json.h"
#include "link/token.h"
#include "token/doctor.h"
#include "vault/file.h"
#include "vault/login.h"
#include "vault/vault.h"

#include <stdio.h>
#include <string.h>

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
	if (pin->choose != NULL && pin->choose(pin->ctx, CUSTOS_PIN_PAD_NONE) == CUSTOS_PIN_ON_PAD)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "use the device's own tool, or name another PIN source", "the PINs of a new token cannot be set on its own PIN pad");
	CUSTOS_AUTO(custos_secret) *so = NULL;
	CUSTOS_AUTO(custos_secret) *user = NULL;
	CUSTOS_TRY(so_pin->get(so_pin->ctx, "new security officer PIN", &so, err));
	CUSTOS_TRY(pin->get(pin->ctx, "new user PIN", &user, err));
	return custos_token_init(&where, label, so, user, ret_token, err);
}

custos_rc custos_vault_read_profile(const char *path, struct custos_buf *ret_text, struct custos_err *err)
{
	struct custos_token_profile ignored;
	CUSTOS_TRY(custos_file_read(path, ret_text, err));
	CUSTOS_TRY(custos_token_profile_parse(custos_buf_view(ret_text), path, &ignored, err));
	/* custos-token tells a profile from the name of one by that */
	CUSTOS_REQUIRE(memchr(ret_text->ptr, '\n', ret_text->len) != NULL, err, CUSTOS_E_INPUT, "%s is no profile of several lines", path);
	return CUSTOS_OK;
}

static custos_rc examine(struct custos_token *token, unsigned flags, const struct custos_pin *pin, struct custos_json *checks, struct custos_err *err)
{
	unsigned probe_flags = ((flags & CUSTOS_DOCTOR_CLEAN) != 0 ? (unsigned)CUSTOS_PROBE_CLEAN : 0) | ((flags & CUSTOS_DOCTOR_LARGE) != 0 ? (unsigned)CUSTOS_PROBE_LARGE : 0);
	CUSTOS_TRY(custos_doctor_look(token, probe_flags, checks, err));
	CUSTOS_TRY(custos_vault_log_in(token, pin, NULL, err));
	return custos_doctor_examine(token, probe_flags, checks, err);
}

static struct custos_json *doctor_report(const struct custos_token_info *info, const struct custos_json *checks, enum custos_tier tier, const char *reason)
{
	struct custos_json *report = custos_json_object();
	CUSTOS_AUTO_BUF yaml = { 0 };
	struct custos_err none = { 0 };
	bool is_known = strcmp(info->profile, "unknown") != 0;
	custos_json_set(report, "token", custos_token_info_json(info));
	custos_json_set_text(report, "profile", is_known ? info->profile : NULL);
	custos_json_set_text(report, "promised", is_known ? info->tier : NULL);
	custos_json_set_text(report, "tier", custos_tier_name(tier));
	custos_json_set_text(report, "reason", reason);
	custos_json_set(report, "checks", custos_json_ref(checks));
	if (custos_doctor_profile(info, checks, &yaml, &none) == CUSTOS_OK)
		custos_json_set_text(report, "profile_yaml", (const char *)yaml.ptr);
	return report;
}

custos_rc custos_tokens_examine(const char *module, const char *uri, const struct custos_doctor_options *options, const struct custos_pin *pin, struct custos_json **ret_report,
                                struct custos_err *err)
{
	const char *asked_tier = options->asked_tier;
	CUSTOS_AUTO_BUF profile = { 0 };
	struct custos_token_where where = { .module = module, .uri = uri, .profile = CUSTOS_PROFILE_ANY };
	CUSTOS_AUTO(custos_token) *token = NULL;
	CUSTOS_AUTO(custos_json) *checks = custos_json_array();
	enum custos_tier asked = CUSTOS_TIER_SIGN_ONLY;
	char reason[512];
	CUSTOS_REQUIRE(asked_tier == NULL || custos_tier_parse(asked_tier, &asked), err, CUSTOS_E_USAGE, "there is no tier “%s”", asked_tier);
	if (options->profile != NULL) {
		CUSTOS_TRY(custos_vault_read_profile(options->profile, &profile, err));
		where.profile = (const char *)profile.ptr;
	}
	CUSTOS_TRY(custos_token_open(&where, &token, err));
	const struct custos_token_info *info = custos_token_info(token);
	CUSTOS_REQUIRE(asked_tier != NULL || custos_tier_parse(info->tier, &asked), err, CUSTOS_E_TOKEN, "custos-token told of a tier that is none");
	CUSTOS_TRY(examine(token, options->flags, pin, checks, err));
	enum custos_tier tier = custos_doctor_judge(checks, reason, sizeof reason);
	*ret_report = doctor_report(info, checks, tier, reason);
	custos_json_set_text(*ret_report, "asked", custos_tier_name(asked));
	if (tier < asked)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "the checks say what is wrong with it", "token “%s” is %s, not %s: %s", info->label, custos_tier_name(tier), custos_tier_name(asked), reason);
	return CUSTOS_OK;
}
