/* custos key generate | list | show | allow */
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"

static const struct custos_column key_lines[] = {
	{ "key", "name" },           { "type", "type" },           { "class", "class" },          { "public key", "spki_sha256" },
	{ "born", "created" },       { "may go to", "targets" },   { "request for", "csr.sans" }, { "certificate", "certificate.subject" },
	{ "valid until", "certificate.not_after" }, { "deployed to", "deployed" }, { NULL, NULL },
};

static const struct custos_option generate_options[] = {
	{ "--type", CUSTOS_OPTION_TEXT, "TYPE", "rsa-2048 (default), rsa-3072, rsa-4096, ec-p256, ec-p384, ed25519" },
	{ "--class", CUSTOS_OPTION_TEXT, "CLASS", "deployable (default): kept wrapped; sign-only: never leaves the token" },
	{ 0 },
};

static custos_rc generate(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *key = NULL;
	CUSTOS_TRY(custos_key_generate(call->custody, call->args[0], custos_call_text(call, "--type", "rsa-2048"),
	                               custos_call_text(call, "--class", "deployable"), &key, err));
	custos_out(call, key, key_lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_key_generate = {
	.noun = "key", .verb = "generate", .args = "NAME", .summary = "a key, born on the token", .min_args = 1, .max_args = 1,
	.options = generate_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = generate,
};

static custos_rc list(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *keys = NULL;
	CUSTOS_TRY(custos_key_list(call->custody, &keys, err));
	static const struct custos_column columns[] = {
		{ "KEY", "name" }, { "TYPE", "type" }, { "CLASS", "class" }, { "CREATED", "created" },
		{ "CERTIFICATE UNTIL", "certificate.not_after" }, { "MAY GO TO", "targets" }, { NULL, NULL },
	};
	custos_out(call, keys, columns);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_key_list = {
	.noun = "key", .verb = "list", .args = "", .summary = "all keys", .needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = list,
};

static custos_rc show(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *key = NULL;
	CUSTOS_TRY(custos_key_show(call->custody, call->args[0], &key, err));
	custos_out(call, key, key_lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_key_show = {
	.noun = "key", .verb = "show", .args = "NAME", .summary = "one key", .min_args = 1, .max_args = 1,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = show,
};

static custos_rc allow(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *key = NULL;
	CUSTOS_TRY(custos_key_allow(call->custody, call->args[0], call->args + 1, call->count - 1, &key, err));
	custos_out(call, key, key_lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_key_allow = {
	.noun = "key", .verb = "allow", .args = "NAME TARGET…", .summary = "which hosts this key may go to; deploy refuses others",
	.min_args = 2, .max_args = CUSTOS_ARGS_MAX,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = allow,
};
