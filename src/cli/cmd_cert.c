/* custos cert accept | show */
#include "cli/document.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/rows.h"

#include <stdio.h>
#include <string.h>

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
