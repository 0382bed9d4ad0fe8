/* custos enroll */
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"

#include <string.h>

enum { JOBS_MAX = 16 };

static const struct custos_option enroll_options[] = {
	{ "--out", CUSTOS_OPTION_TEXT, "DIR", "where the requests go, DIR/NAME.csr; made when it is not there" },
	{ "--jobs", CUSTOS_OPTION_TEXT, "N", "sessions of the token that work at once, 1 to 16 (default: one a processor)" },
	{ 0 },
};

static custos_rc read_jobs(const struct custos_call *call, unsigned *ret_jobs, struct custos_err *err)
{
	const char *text = custos_call_text(call, "--jobs", NULL);
	unsigned long jobs = text == NULL ? 0 : strtoul(text, NULL, 10);
	/* one or two digits: nothing strtoul() could read otherwise */
	bool whole = text == NULL || (strspn(text, "0123456789") == strlen(text) && strlen(text) <= 2 && jobs >= 1 && jobs <= JOBS_MAX);
	CUSTOS_REQUIRE(whole, err, CUSTOS_E_USAGE, "--jobs takes a number from 1 to %d, not \"%s\"", JOBS_MAX, text == NULL ? "" : text);
	*ret_jobs = (unsigned)jobs;
	return CUSTOS_OK;
}

static void show_progress(void *ctx, size_t done, size_t total)
{
	custos_out_count(ctx, "enroll", done, total);
}

static custos_rc enroll(struct custos_call *call, struct custos_err *err)
{
	static const struct custos_column columns[] = { { "KEY", "name" }, { "TYPE", "type" }, { "RESULT", "result" }, { "REQUEST", "file" }, { "BECAUSE", "error" }, { NULL, NULL } };
	struct custos_enroll_options options = { .file = call->args[0], .out = custos_call_text(call, "--out", NULL), .ctx = call, .progress = show_progress };
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	if (options.out == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "name a directory with --out", "where the requests go is not said");
	CUSTOS_TRY(read_jobs(call, &options.jobs, err));
	custos_rc rc = custos_enroll(call->custody, &options, &report, err);
	if (report != NULL)
		custos_out(call, report, columns);
	return rc;
}

const struct custos_command custos_cmd_enroll = {
	.noun = "enroll", .args = "FILE", .summary = "the keys of a list and their requests, all at once", .min_args = 1, .max_args = 1, .options = enroll_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = enroll,
};
