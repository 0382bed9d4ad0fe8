/* custos csr create */
#include "cli/document.h"
#include "cli/new_file.h"
#include "cli/output.h"
#include "cli/rows.h"

static const struct custos_option csr_options[] = {
	{ "--subject", CUSTOS_OPTION_TEXT, "DN", "RFC 4514, e.g. CN=esxi1.example.com" },
	{ "--san", CUSTOS_OPTION_LIST, "KIND:NAME", "dns:, ip:, email: or uri:; may be given often" },
	{ "--profile", CUSTOS_OPTION_TEXT, "PROFILE", "server (default), esxi or client" },
	{ "--signature", CUSTOS_OPTION_TEXT, "KIND", "default, or rsa-pss" },
	{ "--must-staple", CUSTOS_OPTION_FLAG, NULL, "the server will always send an OCSP response (RFC 7633)" },
	{ "--private-ca", CUSTOS_OPTION_FLAG, NULL, "the CA is your own: private names are asked for" },
	{ "--like", CUSTOS_OPTION_TEXT, "CERT", "subject and names of this certificate" },
	{ "--template", CUSTOS_OPTION_TEXT, "FILE", "what is not said otherwise, in YAML" },
	{ "-o", CUSTOS_OPTION_TEXT, "FILE", "write the request to a new file" },
	{ 0 },
};

static custos_rc create(struct custos_call *call, struct custos_err *err)
{
	const char *path = custos_call_text(call, "-o", NULL);
	CUSTOS_CLEANUP(custos_call_list_done) const char **sans = custos_call_list(call, "--san");
	CUSTOS_AUTO_DOCUMENT *document = NULL;
	CUSTOS_AUTO_NEW_FILE file = { 0 };
	CUSTOS_TRY(custos_new_file_make(&file, path, err));
	const struct custos_csr_options options = {
		.subject = custos_call_text(call, "--subject", NULL),
		.sans = sans,
		.profile = custos_call_text(call, "--profile", NULL),
		.signature = custos_call_text(call, "--signature", NULL),
		.flags = (custos_call_flag(call, "--must-staple") ? CUSTOS_CSR_MUST_STAPLE : 0u) | (custos_call_flag(call, "--private-ca") ? CUSTOS_CSR_PRIVATE_CA : 0u),
		.like_file = custos_call_text(call, "--like", NULL),
		.template_file = custos_call_text(call, "--template", NULL),
	};
	CUSTOS_TRY(custos_csr_request_as(call->custody, call->args[0], &options, &document, err));
	const char *pem = custos_json_text(document, "csr");
	if (custos_new_file_write(&file, pem, err) != CUSTOS_OK) {
		custos_err_hint(err, "make room, and ask for it once more; the request that was signed is in the log already");
		return CUSTOS_E_SYSTEM;
	}
	custos_json_set_text(document, "file", path);
	custos_out_warnings(custos_json_get(document, "problems"));
	if (call->json)
		custos_out_json(document);
	else if (path == NULL)
		custos_out_text(pem);
	else
		custos_out_line("request for key %s written to %s; send it to the CA", call->args[0], path);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_csr_create = {
	.noun = "csr", .verb = "create", .args = "NAME", .summary = "a certificate request, signed on the token", .min_args = 1,
	.max_args = 1, .options = csr_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = create,
};
