/* custos doctor */
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"
#include <custos/doctor.h>

#include <stdio.h>
#include <string.h>

/* The remedies of those that have one, in the order of the table. */
static struct custos_json *remedies(const struct custos_json *checks)
{
	struct custos_json *list = custos_json_array();
	for (size_t i = 0; i < custos_json_count(checks); i++)
		if (custos_json_text(custos_json_at(checks, i), "remedy") != NULL)
			custos_json_push(list, custos_json_ref(custos_json_at(checks, i)));
	return list;
}

static void report_text(const struct custos_call *call, const struct custos_json *checks)
{
	static const struct custos_column found[] = { { "CHECK", "name" }, { "VERDICT", "verdict" }, { "FOUND", "found" }, { NULL, NULL } };
	static const struct custos_column advice[] = { { "CHECK", "name" }, { "REMEDY", "remedy" }, { NULL, NULL } };
	CUSTOS_AUTO_DOCUMENT *list = remedies(checks);
	custos_out(call, checks, found);
	if (custos_json_count(list) > 0) {
		custos_out_text("\n");
		custos_out(call, list, advice);
	}
}

static custos_rc refuse(const struct custos_json *checks, int64_t fails, struct custos_err *err)
{
	char names[256] = "";
	for (size_t i = 0; i < custos_json_count(checks); i++) {
		const struct custos_json *check = custos_json_at(checks, i);
		size_t used = strlen(names);
		if (strcmp(custos_json_text(check, "verdict"), "fail") == 0)
			snprintf(names + used, sizeof names - used, "%s%s", used == 0 ? "" : ", ", custos_json_text(check, "name"));
	}
	CUSTOS_FAIL_HINT(err, CUSTOS_E_SYSTEM, "the remedies stand beside the checks; docs/HARDENING.md says more", "this machine fails %lld check%s: %s", (long long)fails,
	                 fails == 1 ? "" : "s", names);
}

static custos_rc doctor(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	CUSTOS_TRY(custos_machine_examine("", &report, err));
	const struct custos_json *checks = custos_json_get(report, "checks");
	if (call->json)
		custos_out_json(report);
	else
		report_text(call, checks);
	int64_t fails = custos_json_int(report, "fails", 0);
	return fails == 0 ? CUSTOS_OK : refuse(checks, fails, err);
}

const struct custos_command custos_cmd_doctor = {
	.noun = "doctor", .args = "", .summary = "is this machine fit to hold keys", .needs = CUSTOS_READS | CUSTOS_JUDGES, .run = doctor,
};
