/* custos token list | show | init | doctor */
#include "cli/document.h"
#include "cli/new_file.h"
#include "cli/output.h"
#include "cli/rows.h"

#include <string.h>

static const struct custos_option module_options[] = {
	{ "--module", CUSTOS_OPTION_TEXT, "MODULE", "PKCS#11 module: a name in the system's directory or a path owned by root (or CUSTOS_MODULE)" },
	{ 0 },
};

static custos_rc need_module(const struct custos_call *call, const char **ret, struct custos_err *err)
{
	*ret = custos_call_text(call, "--module", getenv("CUSTOS_MODULE"));
	if (*ret == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "--module MODULE, e.g. --module libsofthsm2.so, or CUSTOS_MODULE", "no PKCS#11 module was named");
	return CUSTOS_OK;
}

static const struct custos_column token_lines[] = {
	{ "label", "label" },     { "serial", "serial" },   { "manufacturer", "manufacturer" }, { "model", "model" }, { "firmware", "firmware" },
	{ "profile", "profile" }, { "tier", "tier" },       { "URI", "uri" },                   { "module", "module" }, { "initialized", "initialized" },
	{ "PIN count low", "pin_count_low" }, { "PIN final try", "pin_final_try" }, { "PIN locked", "pin_locked" },
	{ "file put back from its copy", "repaired" }, { NULL, NULL },
};

static custos_rc list(struct custos_call *call, struct custos_err *err)
{
	const char *module;
	CUSTOS_AUTO_DOCUMENT *tokens = NULL;
	CUSTOS_TRY(need_module(call, &module, err));
	CUSTOS_TRY(custos_tokens_list(module, &tokens, err));
	static const struct custos_column columns[] = {
		{ "LABEL", "label" }, { "SERIAL", "serial" }, { "MODEL", "model" }, { "PROFILE", "profile" }, { "TIER", "tier" },
		{ "URI", "uri" }, { NULL, NULL },
	};
	custos_out(call, tokens, columns);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_token_list = {
	.noun = "token", .verb = "list", .args = "", .summary = "the tokens of a module, with tier and profile", .options = module_options,
	.needs = CUSTOS_READS, .run = list,
};

static custos_rc show(struct custos_call *call, struct custos_err *err)
{
	const char *module;
	CUSTOS_AUTO_DOCUMENT *token = NULL;
	CUSTOS_TRY(need_module(call, &module, err));
	CUSTOS_TRY(custos_tokens_show(module, call->args[0], &token, err));
	custos_out(call, token, token_lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_token_show = {
	.noun = "token", .verb = "show", .args = "URI", .summary = "one token", .min_args = 1, .max_args = 1, .options = module_options,
	.needs = CUSTOS_READS, .run = show,
};

static const struct custos_option init_options[] = {
	{ "--label", CUSTOS_OPTION_TEXT, "LABEL", "the new token's label" },
	{ "--so-pin-source", CUSTOS_OPTION_TEXT, "SRC", "where the security officer's PIN comes from (tty)" },
	{ "--module", CUSTOS_OPTION_TEXT, "MODULE", "PKCS#11 module (or CUSTOS_MODULE)" },
	{ 0 },
};

static custos_rc so_pin(void *ctx, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	const struct custos_call *call = ctx;
	return custos_pin_read(custos_call_text(call, "--so-pin-source", NULL), what, ret_secret, err);
}

static custos_rc init(struct custos_call *call, struct custos_err *err)
{
	const char *module, *label = custos_call_text(call, "--label", NULL);
	struct custos_pin so = { .ctx = call, .get = so_pin };
	CUSTOS_AUTO_DOCUMENT *token = NULL;
	CUSTOS_TRY(need_module(call, &module, err));
	if (label == NULL)
		CUSTOS_FAIL(err, CUSTOS_E_USAGE, "the new token needs a label: --label LABEL");
	CUSTOS_TRY(custos_tokens_init(module, call->count > 0 ? call->args[0] : NULL, label, &so, &call->pin, &token, err));
	custos_out(call, token, token_lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_token_init = {
	.noun = "token", .verb = "init", .args = "[URI]", .summary = "make an empty slot a token, with its PINs", .max_args = 1,
	.options = init_options,
	.needs = CUSTOS_READS, .run = init,
};

static const struct custos_option doctor_options[] = {
	{ "--module", CUSTOS_OPTION_TEXT, "MODULE", "PKCS#11 module (or CUSTOS_MODULE)" },
	{ "--for", CUSTOS_OPTION_TEXT, "TIER", "hardened, basic or sign-only; what the profile promises" },
	{ "--profile", CUSTOS_OPTION_TEXT, "FILE", "hold the token against this profile (the shipped one that fits)" },
	{ "--write-profile", CUSTOS_OPTION_TEXT, "FILE", "write what was found as a profile to a new file" },
	{ "--large", CUSTOS_OPTION_FLAG, NULL, "make RSA keys of 6144 and 8192 bits, too, which takes minutes" },
	{ "--clean", CUSTOS_OPTION_FLAG, NULL, "remove half-made objects and empty files" },
	{ 0 },
};

static custos_rc write_profile(const char *path, const struct custos_json *report, struct custos_err *err)
{
	const char *yaml = custos_json_text(report, "profile_yaml");
	if (yaml == NULL)
		CUSTOS_FAIL(err, CUSTOS_E_POLICY, "%s is not written: there is no profile for a token that is unusable", path);
	CUSTOS_AUTO_NEW_FILE file = { 0 };
	CUSTOS_TRY(custos_new_file_make(&file, path, err));
	return custos_new_file_write(&file, yaml, err);
}

static void report_text(const struct custos_call *call, const struct custos_json *report)
{
	static const struct custos_column checks[] = { { "CHECK", "name" }, { "VERDICT", "verdict" }, { "SEEN", "seen" }, { NULL, NULL } };
	static const struct custos_column lines[] = {
		{ "token", "token.label" }, { "serial", "token.serial" }, { "profile", "profile" }, { "promised", "promised" }, { "tier", "tier" }, { "because", "reason" }, { NULL, NULL },
	};
	custos_out(call, custos_json_get(report, "checks"), checks);
	custos_out_text("\n");
	custos_out(call, report, lines);
}

static custos_rc doctor(struct custos_call *call, struct custos_err *err)
{
	const char *module, *path = custos_call_text(call, "--write-profile", NULL);
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	CUSTOS_TRY(need_module(call, &module, err));
	unsigned flags = (custos_call_flag(call, "--clean") ? (unsigned)CUSTOS_DOCTOR_CLEAN : 0) | (custos_call_flag(call, "--large") ? (unsigned)CUSTOS_DOCTOR_LARGE : 0);
	const struct custos_doctor_options options = { .asked_tier = custos_call_text(call, "--for", NULL), .profile = custos_call_text(call, "--profile", NULL), .flags = flags };
	custos_rc rc = custos_tokens_examine(module, call->args[0], &options, &call->pin,
	                                     &report, err);
	if (report == NULL)
		return rc;
	if (call->json)
		custos_out_json(report);
	else
		report_text(call, report);
	if (path != NULL)
		CUSTOS_TRY(write_profile(path, report, err));
	return rc;
}

const struct custos_command custos_cmd_token_doctor = {
	.noun = "token", .verb = "doctor", .args = "URI", .summary = "try the token and attack it, on throw-away objects; a verdict with reasons", .min_args = 1, .max_args = 1,
	.options = doctor_options,
	.needs = CUSTOS_READS | CUSTOS_NEEDS_LOGIN, .run = doctor,
};
