/* The report as text: what was found, the chain, the server's certificate (or what else was given, when that is not much), and every problem with its remedy. */
#include "cli/report.h"
#include "cli/output.h"

#include <string.h>

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
