/* custos csr create, custos cert accept | show */
#include "cli/document.h"
#include "cli/new_file.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/rows.h"

#include <stdio.h>
#include <string.h>

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

/* The facts about one certificate or request, as they are not in a table. */
static void facts_text(const struct custos_call *call, const struct custos_json *one)
{
	static const struct custos_column facts[] = {
		{ "subject", "subject" }, { "names", "sans" }, { "valid from", "not_before" }, { "until", "not_after" }, { "key", "key_type" }, { "SHA-256 of the key", "spki_sha256" },
		{ NULL, NULL },
	};
	custos_out_text("\n");
	custos_out(call, one, facts);
}

/* What was found, the chain, the server's certificate (or what else was given, when that is not much), and every problem with its remedy. */
static void report_text(const struct custos_call *call, const struct custos_json *report)
{
	enum { FEW = 5 };
	static const struct custos_column files[] = {
		{ "FILE", "file" }, { "LINE", "line" }, { "IS", "what" }, { "SUBJECT", "subject" }, { "UNTIL", "not_after" }, { NULL, NULL },
	};
	static const struct custos_column chain[] = { { "CHAIN", "subject" }, { "ISSUED BY", "issuer" }, { "UNTIL", "not_after" }, { NULL, NULL } };
	const struct custos_json *problems = custos_json_get(report, "problems"), *found = custos_json_get(report, "files"), *served = custos_json_get(report, "chain");
	custos_out(call, found, files);
	if (custos_json_count(served) > 0) {
		custos_out_text("\n");
		custos_out(call, served, chain);
		facts_text(call, custos_json_at(served, 0));
	}
	for (size_t i = 0; custos_json_count(served) == 0 && custos_json_count(found) <= FEW && i < custos_json_count(found); i++)
		if (custos_json_text(custos_json_at(found, i), "spki_sha256") != NULL)
			facts_text(call, custos_json_at(found, i));
	custos_out_text("\n");
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *p = custos_json_at(problems, i);
		const char *remedy = custos_json_text(p, "remedy");
		custos_out_line("%s: %s", custos_json_text(p, "severity"), custos_json_text(p, "text"));
		if (remedy != NULL && remedy[0] != '\0')
			custos_out_line("       %s", remedy);
	}
	const char *who = strcmp(custos_json_text(report, "for"), "client") == 0 ? "client" : "server";
	if (custos_json_bool(report, "usable", false))
		custos_out_line("a %s can use this", who);
	else
		custos_out_line("no %s could use this", who);
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

/* Each names one problem by its code, with - for _. */
#define ACCEPT "--accept-"
enum { OTHERS = 1 /* options before those that accept */ };
static const struct custos_option accept_options[] = {
	{ "--pass-phrase", CUSTOS_OPTION_TEXT, "SRC", "where the pass phrase of PKCS#12 files comes from: a PIN source" },
	{ "--accept-expired", CUSTOS_OPTION_FLAG, NULL, "a certificate that has expired" },
	{ "--accept-not-yet-valid", CUSTOS_OPTION_FLAG, NULL, "one that begins later" },
	{ "--accept-long-validity", CUSTOS_OPTION_FLAG, NULL, "one that is valid for longer than the policy has it" },
	{ "--accept-san-missing", CUSTOS_OPTION_FLAG, NULL, "one that lacks names of the request" },
	{ "--accept-no-server-auth", CUSTOS_OPTION_FLAG, NULL, "one that is not meant for TLS servers" },
	{ "--accept-key-usage", CUSTOS_OPTION_FLAG, NULL, "one whose key may not sign handshakes" },
	{ "--accept-self-signed", CUSTOS_OPTION_FLAG, NULL, "one that no CA has signed" },
	{ "--accept-untrusted-root", CUSTOS_OPTION_FLAG, NULL, "a chain that ends at no trust anchor" },
	{ "--accept-missing-intermediate", CUSTOS_OPTION_FLAG, NULL, "a chain with a gap" },
	{ "--accept-client-refuses", CUSTOS_OPTION_FLAG, NULL, "what a client with the trust anchors refuses" },
	{ "--accept-sha1-signature", CUSTOS_OPTION_FLAG, NULL, "signatures with SHA-1" },
	{ "--accept-weak-rsa", CUSTOS_OPTION_FLAG, NULL, "RSA keys of less than 2048 bits" },
	{ "--accept-weak-ec", CUSTOS_OPTION_FLAG, NULL, "EC keys of less than 256 bits" },
	{ "--accept-close-primes", CUSTOS_OPTION_FLAG, NULL, "RSA keys that Fermat's method factors" },
	{ "--accept-roca", CUSTOS_OPTION_FLAG, NULL, "RSA keys with the fingerprint of ROCA" },
	{ "--accept-blocked-key", CUSTOS_OPTION_FLAG, NULL, "keys on the blocklist" },
	{ "--accept-ec-for-esxi", CUSTOS_OPTION_FLAG, NULL, "an EC key for ESXi" },
	{ "--accept-large-rsa-for-esxi", CUSTOS_OPTION_FLAG, NULL, "an RSA key of more than 8192 bits for ESXi" },
	{ "--accept-pss-for-esxi", CUSTOS_OPTION_FLAG, NULL, "RSASSA-PSS signatures for ESXi" },
	{ 0 },
};
enum { ACCEPTED_MAX = sizeof accept_options / sizeof *accept_options, CODE_SIZE = 32 };

struct accepted {
	char codes[ACCEPTED_MAX][CODE_SIZE];
	const char *list[ACCEPTED_MAX];
};

static void read_accepted(const struct custos_call *call, struct accepted *ret)
{
	size_t count = 0;
	for (const struct custos_option *o = accept_options + OTHERS; o->name != NULL; o++) {
		if (!custos_call_flag(call, o->name))
			continue;
		char *code = ret->codes[count];
		snprintf(code, CODE_SIZE, "%s", o->name + strlen(ACCEPT));
		for (char *c = code; *c != '\0'; c++)
			*c = *c == '-' ? '_' : *c;
		ret->list[count++] = code;
	}
	ret->list[count] = NULL;
}

/* Which options would take what was refused, when each error has one. */
static void show_way_round(const struct custos_json *report)
{
	const struct custos_json *problems = custos_json_get(report, "problems");
	char options[ACCEPTED_MAX * (CODE_SIZE + sizeof ACCEPT)] = "";
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *p = custos_json_at(problems, i);
		const struct custos_option *o = accept_options + OTHERS;
		char name[CODE_SIZE + sizeof ACCEPT];
		if (strcmp(custos_json_text(p, "severity"), "error") != 0)
			continue;
		snprintf(name, sizeof name, " %s%s", ACCEPT, custos_json_text(p, "code"));
		for (char *c = name; *c != '\0'; c++)
			*c = *c == '_' ? '-' : *c;
		while (o->name != NULL && strcmp(o->name, name + 1) != 0)
			o++;
		if (o->name == NULL)
			return;
		if (strstr(options, name) == NULL)
			strncat(options, name, sizeof options - strlen(options) - 1);
	}
	if (options[0] != '\0')
		custos_out_line("to take it all the same, which is logged:%s", options);
}

static void free_secret(struct custos_secret **secret)
{
	custos_secret_free(*secret);
}

static custos_rc accept(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	CUSTOS_CLEANUP(free_secret) struct custos_secret *pass_phrase = NULL;
	const char *source = custos_call_text(call, "--pass-phrase", NULL);
	struct accepted accepted;
	read_accepted(call, &accepted);
	if (source != NULL)
		CUSTOS_TRY(custos_pin_read(source, "pass phrase of the PKCS#12 files", &pass_phrase, err));
	const struct custos_accept_options options = { .accept = accepted.list, .pass_phrase = pass_phrase };
	custos_rc rc = custos_cert_accept(call->custody, call->args[0], call->args + 1, call->count - 1, &options, &report, err);
	custos_cli_show_report(call, report);
	if (rc != CUSTOS_OK && report != NULL && !call->json)
		show_way_round(report);
	return rc;
}

const struct custos_command custos_cmd_cert_accept = {
	.noun = "cert", .verb = "accept", .args = "NAME FILE…", .summary = "take what the CA sent for this key, in any form and order",
	.min_args = 2, .max_args = CUSTOS_ARGS_MAX, .options = accept_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = accept,
};

static const struct custos_option show_options[] = {
	{ "--pem", CUSTOS_OPTION_FLAG, NULL, "leaf, then intermediates, as PEM" },
	{ 0 },
};

static custos_rc show(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_STR *pem = NULL;
	CUSTOS_AUTO_DOCUMENT *cert = NULL;
	if (custos_call_flag(call, "--pem"))
		CUSTOS_TRY(custos_cert_show_pem(call->custody, call->args[0], &pem, err));
	if (pem != NULL && !call->json) {
		custos_out_text(pem);
		return CUSTOS_OK;
	}
	CUSTOS_TRY(custos_cert_show(call->custody, call->args[0], &cert, err));
	if (pem != NULL)
		custos_json_set_text(cert, "pem", pem);
	static const struct custos_column lines[] = {
		{ "key", "key" },           { "subject", "subject" },     { "names", "sans" },       { "issuer", "issuer" }, { "serial", "serial" },
		{ "from", "not_before" }, { "until", "not_after" }, { "days left", "days_left" }, { "renew from", "renew_from" }, { "SHA-256", "leaf_sha256" },
		{ "in spite of", "accepted" },
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
