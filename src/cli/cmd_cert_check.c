/* custos cert check: of use to anybody who has certificates, and so without a custody, a token or a log. */
#include "cli/document.h"
#include "cli/new_file.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/rows.h"
#include <custos/inspect.h>

static const struct custos_option check_options[] = {
	{ "--for", CUSTOS_OPTION_TEXT, "PROFILE", "also apply the rules of server, esxi or client" },
	{ "--trust", CUSTOS_OPTION_TEXT, "FILE", "judge by these trust anchors (PEM), or by system" },
	{ "--key", CUSTOS_OPTION_TEXT, "KEY", "whose it must be: SHA-256 of the public key, or a file with a request or public key" },
	{ "--servername", CUSTOS_OPTION_TEXT, "NAME", "demand that the certificate has this name, and ask a host for it" },
	{ "--pass-phrase", CUSTOS_OPTION_TEXT, "SRC", "where the pass phrase of PKCS#12 files comes from: a PIN source" },
	{ "-o", CUSTOS_OPTION_TEXT, "FILE", "write the certificate and its intermediates to a new file, in the right order" },
	{ 0 },
};

static void free_secret(struct custos_secret **secret)
{
	custos_secret_free(*secret);
}

static custos_rc inspect(struct custos_call *call, struct custos_json **ret_report, char **ret_pem, struct custos_err *err)
{
	CUSTOS_CLEANUP(free_secret) struct custos_secret *pass_phrase = NULL;
	const char *source = custos_call_text(call, "--pass-phrase", NULL);
	if (source != NULL)
		CUSTOS_TRY(custos_pin_read(source, "pass phrase of the PKCS#12 files", &pass_phrase, err));
	struct custos_inspect_options options = {
		.for_profile = custos_call_text(call, "--for", NULL),
		.trust = custos_call_text(call, "--trust", NULL),
		.key = custos_call_text(call, "--key", NULL),
		.server_name = custos_call_text(call, "--servername", NULL),
		.pass_phrase = pass_phrase,
	};
	CUSTOS_TRY(custos_inspect_confine(call->args, call->count, custos_call_text(call, "-o", NULL), err));
	return custos_cert_inspect(call->args, call->count, &options, ret_report, ret_pem, err);
}

static custos_rc check(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	CUSTOS_AUTO_STR *pem = NULL;
	CUSTOS_AUTO_NEW_FILE file = { 0 };
	const char *path = custos_call_text(call, "-o", NULL);
	/* made afterwards, for it may lie in a directory that is read; but what exists is said at once */
	CUSTOS_TRY(custos_new_file_foresee(path, err));
	custos_rc rc = inspect(call, &report, &pem, err);
	custos_cli_show_report(call, report);
	CUSTOS_TRY(rc);
	CUSTOS_TRY(custos_new_file_make(&file, path, err));
	return custos_new_file_write(&file, pem, err);
}

const struct custos_command custos_cmd_cert_check = {
	.noun = "cert", .verb = "check", .args = "FILE…|HOST:PORT",
	.summary = "say what each file is, or what a host serves, and whether a server could use it; needs no custody", .min_args = 1,
	.max_args = CUSTOS_ARGS_MAX, .options = check_options,
	.needs = CUSTOS_READS, .run = check,
};
