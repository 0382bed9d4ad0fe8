/* custos key generate | import | list | show | allow | drill | destroy | export | restore */
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"

#include <string.h>

static const struct custos_column key_lines[] = {
	{ "key", "name" },           { "type", "type" },           { "class", "class" },          { "public key", "spki_sha256" },
	{ "since", "created" },      { "born", "born" },           { "state", "state" },          { "may go to", "targets" },
	{ "request for", "csr.sans" }, { "certificate", "certificate.subject" },
	{ "valid until", "certificate.not_after" }, { "deployed to", "deployed" },
	{ "last drill", "drill.time" }, { "drill", "drill.result" }, { "exported", "exports" },
	{ "ended", "destruction.time" }, { "verdict", "destruction.verdict" }, { "because", "destruction.reason" }, { "but", "destruction.remaining" },
	{ "restored", "restored.time" }, { NULL, NULL },
};

static const struct custos_option generate_options[] = {
	{ "--type", CUSTOS_OPTION_TEXT, "TYPE", "rsa-2048 (default), rsa-3072, rsa-4096, rsa-6144, rsa-8192, ec-p256, ec-p384, ec-p521, ed25519" },
	{ "--class", CUSTOS_OPTION_TEXT, "CLASS", "deployable (default): kept wrapped; sealed: born in a courier, for tokens that cannot wrap; sign-only: never leaves the token" },
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

static const struct custos_option import_options[] = {
	{ "--reason", CUSTOS_OPTION_TEXT, "TEXT", "why; goes into the log" },
	{ "--pass-phrase", CUSTOS_OPTION_TEXT, "SRC", "where the pass phrase of an encrypted key comes from: a PIN source (tty)" },
	{ 0 },
};

static custos_rc import(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *key = NULL;
	CUSTOS_AUTO_STR *source = strdup(custos_call_text(call, "--pass-phrase", "tty"));
	CUSTOS_REQUIRE(source != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	const struct custos_pin phrase = custos_cli_source(source);
	const struct custos_import_options options = { .file = call->args[1], .reason = custos_call_text(call, "--reason", NULL), .pass_phrase = &phrase };
	CUSTOS_TRY(custos_key_import(call->custody, call->args[0], &options, &key, err));
	custos_out(call, key, key_lines);
	if (!call->json)
		custos_out_line("the file %s still holds the key in its old form: shred it, and every copy of it", call->args[1]);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_key_import = {
	.noun = "key", .verb = "import", .args = "NAME FILE", .summary = "adopt a private key from a file; not born on the token", .min_args = 2, .max_args = 2,
	.options = import_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = import,
};

static custos_rc list(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *keys = NULL;
	CUSTOS_TRY(custos_key_list(call->custody, &keys, err));
	static const struct custos_column columns[] = {
		{ "KEY", "name" }, { "TYPE", "type" }, { "CLASS", "class" }, { "CREATED", "created" }, { "BORN", "born" }, { "STATE", "state" },
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

static const struct custos_option drill_options[] = {
	{ "--all", CUSTOS_OPTION_FLAG, NULL, "every key that is not destroyed" },
	{ 0 },
};

static custos_rc drill(struct custos_call *call, struct custos_err *err)
{
	static const struct custos_column columns[] = { { "KEY", "key" }, { "DRILL", "result" }, { "LOG", "log_index" }, { "REASON", "reason" }, { NULL, NULL } };
	CUSTOS_AUTO_DOCUMENT *results = NULL;
	bool all = custos_call_flag(call, "--all");
	CUSTOS_REQUIRE(all == (call->count == 0), err, CUSTOS_E_USAGE, "name a key, or say --all");
	custos_rc rc = custos_key_drill(call->custody, all ? NULL : call->args[0], &results, err);
	if (results != NULL)
		custos_out(call, results, columns);
	return rc;
}

const struct custos_command custos_cmd_key_drill = {
	.noun = "key", .verb = "drill", .args = "[NAME]", .summary = "prove on the token that what is kept still is the key", .max_args = 1,
	.options = drill_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = drill,
};

static const struct custos_option destroy_options[] = {
	{ "--shred", CUSTOS_OPTION_FLAG, NULL, "write over the store's files where the container was" },
	{ "--reason", CUSTOS_OPTION_TEXT, "TEXT", "why; goes into the log" },
	{ "--even-if-deployed", CUSTOS_OPTION_FLAG, NULL, "hosts have it and go on serving it" },
	{ 0 },
};

static custos_rc destroy(struct custos_call *call, struct custos_err *err)
{
	static const struct custos_column lines[] = { { "key", "key" }, { "verdict", "verdict" }, { "public key", "spki_sha256" }, { "log", "log_index" }, { NULL, NULL } };
	CUSTOS_AUTO_DOCUMENT *verdict = NULL;
	const struct custos_destroy_options options = {
		.flags = (custos_call_flag(call, "--shred") ? CUSTOS_DESTROY_SHRED : 0) |
		         (custos_call_flag(call, "--even-if-deployed") ? CUSTOS_DESTROY_EVEN_IF_DEPLOYED : 0),
		.reason = custos_call_text(call, "--reason", NULL),
	};
	CUSTOS_TRY(custos_key_destroy(call->custody, call->args[0], &options, &verdict, err));
	custos_out(call, verdict, lines);
	const struct custos_json *remaining = custos_json_get(verdict, "remaining");
	for (size_t i = 0; !call->json && i < custos_json_count(remaining); i++)
		custos_out_line("but %s", custos_json_string_value(custos_json_at(remaining, i)));
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_key_destroy = {
	.noun = "key", .verb = "destroy", .args = "NAME", .summary = "the end of a key, and where it may still be", .min_args = 1, .max_args = 1,
	.options = destroy_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = destroy,
};

static const struct custos_option export_options[] = {
	{ "-o", CUSTOS_OPTION_TEXT, "FILE", "where it is written; the file must not exist" },
	{ 0 },
};

static custos_rc export(struct custos_call *call, struct custos_err *err)
{
	static const struct custos_column lines[] = { { "key", "key" }, { "container", "container_sha256" }, { "written to", "file" }, { "log", "log_index" }, { NULL, NULL } };
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	const char *file = custos_call_text(call, "-o", NULL);
	CUSTOS_REQUIRE(file != NULL, err, CUSTOS_E_USAGE, "say where it is to be written: -o FILE");
	CUSTOS_TRY(custos_key_export(call->custody, call->args[0], file, &report, err));
	custos_out(call, report, lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_key_export = {
	.noun = "key", .verb = "export", .args = "NAME", .summary = "the container, still wrapped, as a text file", .min_args = 1, .max_args = 1,
	.options = export_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = export,
};

static custos_rc restore(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *key = NULL;
	CUSTOS_TRY(custos_key_restore(call->custody, call->args[0], &key, err));
	custos_out(call, key, key_lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_key_restore = {
	.noun = "key", .verb = "restore", .args = "FILE", .summary = "an exported container back into the custody it came from", .min_args = 1, .max_args = 1,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = restore,
};
