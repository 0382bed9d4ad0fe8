/* custos csr create, custos cert accept | show */
#include "cli/document.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/rows.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const struct custos_option csr_options[] = {
	{ "--subject", CUSTOS_OPTION_TEXT, "DN", "RFC 4514, e.g. CN=esxi1.example.com" },
	{ "--san", CUSTOS_OPTION_LIST, "KIND:NAME", "dns:, ip:, email: or uri:; may be given often" },
	{ "--profile", CUSTOS_OPTION_TEXT, "PROFILE", "server (default) or esxi" },
	{ "--signature", CUSTOS_OPTION_TEXT, "KIND", "default, or rsa-pss" },
	{ "-o", CUSTOS_OPTION_TEXT, "FILE", "write the request to a new file" },
	{ 0 },
};

/* A new file: what exists is never overwritten. */
static custos_rc create_file(const char *path, int *ret_fd, struct custos_err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name a file that does not exist", "cannot make %s: %s", path, strerror(errno));
	*ret_fd = fd;
	return CUSTOS_OK;
}

static custos_rc create(struct custos_call *call, struct custos_err *err)
{
	const char *path = custos_call_text(call, "-o", NULL);
	CUSTOS_CLEANUP(custos_call_list_done) const char **sans = custos_call_list(call, "--san");
	CUSTOS_AUTO_STR *pem = NULL;
	CUSTOS_AUTO_FD fd = -1;
	if (path != NULL)
		CUSTOS_TRY(create_file(path, &fd, err));
	const struct custos_csr_options options = {
		.subject = custos_call_text(call, "--subject", ""),
		.sans = sans,
		.profile = custos_call_text(call, "--profile", "server"),
		.signature = custos_call_text(call, "--signature", NULL),
	};
	custos_rc rc = custos_csr_request_signed(call->custody, call->args[0], &options, &pem, err);
	if (rc == CUSTOS_OK && path != NULL && (write(fd, pem, strlen(pem)) != (ssize_t)strlen(pem) || fsync(fd) != 0))
		rc = custos_err_set(err, CUSTOS_E_SYSTEM, errno, "cannot write %s: %s", path, strerror(errno));
	if (rc != CUSTOS_OK && path != NULL)
		unlink(path);
	CUSTOS_TRY(rc);
	CUSTOS_AUTO_DOCUMENT *document = custos_json_object();
	custos_json_set_text(document, "key", call->args[0]);
	custos_json_set_text(document, "file", path);
	custos_json_set_text(document, "csr", pem);
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

/* What was found, the chain, and every problem with its remedy. */
static void report_text(const struct custos_call *call, const struct custos_json *report)
{
	static const struct custos_column files[] = {
		{ "FILE", "file" }, { "LINE", "line" }, { "IS", "kind" }, { "SUBJECT", "subject" }, { "UNTIL", "not_after" }, { NULL, NULL },
	};
	static const struct custos_column chain[] = { { "CHAIN", "subject" }, { "ISSUED BY", "issuer" }, { "UNTIL", "not_after" }, { NULL, NULL } };
	const struct custos_json *problems = custos_json_get(report, "problems");
	custos_out(call, custos_json_get(report, "files"), files);
	if (custos_json_count(custos_json_get(report, "chain")) > 0) {
		custos_out_text("\n");
		custos_out(call, custos_json_get(report, "chain"), chain);
	}
	custos_out_text("\n");
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *p = custos_json_at(problems, i);
		const char *remedy = custos_json_text(p, "remedy");
		custos_out_line("%s: %s", custos_json_text(p, "severity"), custos_json_text(p, "text"));
		if (remedy != NULL && remedy[0] != '\0')
			custos_out_line("       %s", remedy);
	}
	custos_out_line("%s", custos_json_bool(report, "usable", false) ? "a server can use this" : "no server could use this");
}

void custos_cli_show_report(const struct custos_call *call, const struct custos_json *report)
{
	if (report == NULL)
		return;
	if (call->json)
		custos_out_json(report);
	else
		report_text(call, report);
}

static custos_rc accept(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	custos_rc rc = custos_cert_accept(call->custody, call->args[0], call->args + 1, call->count - 1, &report, err);
	custos_cli_show_report(call, report);
	return rc;
}

const struct custos_command custos_cmd_cert_accept = {
	.noun = "cert", .verb = "accept", .args = "NAME FILE…", .summary = "take what the CA sent for this key, in any form and order",
	.min_args = 2, .max_args = CUSTOS_ARGS_MAX,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = accept,
};

static const struct custos_option show_options[] = {
	{ "--pem", CUSTOS_OPTION_FLAG, NULL, "leaf, then intermediates, as PEM" },
	{ 0 },
};

static custos_rc show(struct custos_call *call, struct custos_err *err)
{
	if (custos_call_flag(call, "--pem")) {
		CUSTOS_AUTO_STR *pem = NULL;
		CUSTOS_TRY(custos_cert_show_pem(call->custody, call->args[0], &pem, err));
		custos_out_text(pem);
		return CUSTOS_OK;
	}
	CUSTOS_AUTO_DOCUMENT *cert = NULL;
	CUSTOS_TRY(custos_cert_show(call->custody, call->args[0], &cert, err));
	static const struct custos_column lines[] = {
		{ "key", "key" },           { "subject", "subject" },     { "names", "sans" },       { "issuer", "issuer" }, { "serial", "serial" },
		{ "from", "not_before" }, { "until", "not_after" }, { "days left", "days_left" }, { "SHA-256", "leaf_sha256" },
		{ "accepted", "time" }, { NULL, NULL },
	};
	custos_out(call, cert, lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_cert_show = {
	.noun = "cert", .verb = "show", .args = "NAME", .summary = "the accepted certificate of a key", .min_args = 1, .max_args = 1,
	.options = show_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = show,
};
