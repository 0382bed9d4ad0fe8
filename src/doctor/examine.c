/* The table of checks, and the report. */
#include "doctor/machine.h"
#include "data/json.h"
#include <custos/doctor.h>

#include <stdarg.h>
#include <stdio.h>

const struct custos_check custos_checks[] = {
	{ "swap", "Swap", custos_judge_swap },
	{ "hibernation", "Hibernation", custos_judge_hibernation },
	{ "core-dumps", "Core dumps", custos_judge_core_dumps },
	{ "locked-memory", "Locked memory", custos_judge_locked_memory },
	{ "secret-memory", "Secret memory", custos_judge_secret_memory },
	{ "freed-pages", "Freed pages", custos_judge_freed_pages },
	{ "tracer", "Tracing", custos_judge_tracer },
	{ "ptrace-scope", "Tracing", custos_judge_ptrace_scope },
	{ "processes", "Who sees processes", custos_judge_processes },
	{ "landlock", "The kernel", custos_judge_landlock },
	{ "seccomp", "The kernel", custos_judge_seccomp },
	{ "lockdown", "The kernel", custos_judge_lockdown },
	{ "user", "A user of its own", custos_judge_user },
	{ "lock-directory", "Where things lie", custos_judge_lock_directory },
	{ "helpers", "Where things lie", custos_judge_helpers },
	{ NULL, NULL, NULL },
};

static const char *const verdicts[] = {
	[CUSTOS_VERDICT_OK] = "ok", [CUSTOS_VERDICT_INFO] = "info", [CUSTOS_VERDICT_WARN] = "warn", [CUSTOS_VERDICT_FAIL] = "fail",
};

void custos_finding_set(struct custos_finding *f, enum custos_verdict verdict, const char *remedy, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(f->found, sizeof f->found, format, ap);
	va_end(ap);
	snprintf(f->remedy, sizeof f->remedy, "%s", remedy == NULL ? "" : remedy);
	f->verdict = verdict;
}

void custos_machine_word(const char *text, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);
	out[0] = '\0';
	for (const char *at = text == NULL ? NULL : strstr(text, name); at != NULL; at = strstr(at + 1, name)) {
		bool begins = at == text || at[-1] == '\n' || at[-1] == ' ';
		if (!begins || (at[len] != ':' && at[len] != '='))
			continue;
		at += len + 1;
		at += strspn(at, " \t");
		snprintf(out, size, "%.*s", (int)strcspn(at, " \t\n"), at);
		/* the last one counts, as on the kernel's command line */
	}
}

static struct custos_json *say(const struct custos_check *check, const struct custos_finding *f)
{
	struct custos_json *said = custos_json_object();
	char remedy[512];
	custos_json_set_text(said, "name", check->name);
	custos_json_set_text(said, "verdict", verdicts[f->verdict]);
	custos_json_set_text(said, "found", f->found);
	snprintf(remedy, sizeof remedy, "%s (HARDENING.md, %s)", f->remedy, check->section);
	custos_json_set_text(said, "remedy", f->remedy[0] == '\0' ? NULL : remedy);
	return said;
}

custos_rc custos_machine_examine(const char *root, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_machine_done) struct custos_machine machine;
	custos_machine_read(root, &machine);
	custos_machine_probe(&machine);
	enum custos_verdict worst = CUSTOS_VERDICT_OK;
	size_t counts[sizeof verdicts / sizeof *verdicts] = { 0 };
	struct custos_json *checks = custos_json_array();
	for (const struct custos_check *check = custos_checks; check->name != NULL; check++) {
		struct custos_finding finding = { 0 };
		check->judge(&machine, &finding);
		counts[finding.verdict]++;
		worst = finding.verdict > worst ? finding.verdict : worst;
		custos_json_push(checks, say(check, &finding));
	}
	struct custos_json *report = custos_json_object();
	custos_json_set_text(report, "verdict", verdicts[worst]);
	custos_json_set_int(report, "fails", (int64_t)counts[CUSTOS_VERDICT_FAIL]);
	custos_json_set_int(report, "warns", (int64_t)counts[CUSTOS_VERDICT_WARN]);
	custos_json_set(report, "checks", checks);
	CUSTOS_REQUIRE(report != NULL && custos_json_count(checks) == sizeof custos_checks / sizeof *custos_checks - 1, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_report = report;
	return CUSTOS_OK;
}
