/* custos deploy, rollback, release list | resolve */
#include "cli/delivery.h"
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"

#include <custos/deploy.h>
#include <string.h>

static const struct custos_option deploy_options[] = {
	{ "--dry-run", CUSTOS_OPTION_FLAG, NULL, "log in, look, say what would be done; change nothing" },
	{ "--confirm-within", CUSTOS_OPTION_TEXT, "SECONDS", "the host puts the old pair back by itself unless confirmed in this time (300)" },
	{ "--reason", CUSTOS_OPTION_TEXT, "TEXT", "goes into the log" },
	{ 0 },
};

static custos_rc password(void *ctx, const char *source, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	(void)ctx;
	/* a target's record is shared data: it may not name a program to run */
	CUSTOS_REQUIRE(strncmp(source, "exec:", 5) != 0, err, CUSTOS_E_POLICY, "a target's record may not name a program as password source");
	return custos_pin_read(source, what, ret_secret, err);
}

custos_rc custos_call_delivery(struct custos_call *call, struct custos_deploy_options *options, struct custos_err *err)
{
	const char *seconds = custos_call_text(call, "--confirm-within", "300");
	char *end;
	unsigned long within = strtoul(seconds, &end, 10);
	CUSTOS_REQUIRE(*end == '\0' && within >= 10 && within <= 86400, err, CUSTOS_E_USAGE,
	               "--confirm-within takes 10 to 86400 seconds, not \"%s\"", seconds);
	*options = (struct custos_deploy_options){
		.flags = custos_call_flag(call, "--dry-run") ? CUSTOS_DEPLOY_DRY_RUN : 0,
		.confirm_within_s = (unsigned)within,
		.reason = custos_call_text(call, "--reason", NULL),
		.progress = custos_out_progress,
		.progress_ctx = call,
		.password = password,
		.agent_socket = getenv("SSH_AUTH_SOCK"),
	};
	return CUSTOS_OK;
}

void custos_out_plan(const struct custos_json *plan)
{
	for (size_t i = 0; i < custos_json_count(plan); i++) {
		const struct custos_json *step = custos_json_at(plan, i);
		const char *what = custos_json_text(step, "what"), *command = custos_json_text(step, "command");
		custos_out_line("  %zu. %s", i + 1, what == NULL ? "" : what);
		if (command != NULL && command[0] != '\0')
			custos_out_line("       %s", command);
	}
}

static void show_results(const struct custos_call *call, const struct custos_json *results)
{
	static const struct custos_column columns[] = {
		{ "TARGET", "target" }, { "RESULT", "result" }, { "EXPOSED MS", "exposure_ms" }, { "LOG", "log_index" }, { "REASON", "reason" },
		{ NULL, NULL },
	};
	if (results == NULL || custos_json_count(results) == 0)
		return;
	custos_out(call, results, columns);
	for (size_t i = 0; !call->json && i < custos_json_count(results); i++)
		custos_out_plan(custos_json_get(custos_json_at(results, i), "plan"));
}

static custos_rc deploy(struct custos_call *call, struct custos_err *err)
{
	struct custos_deploy_options options;
	CUSTOS_AUTO_DOCUMENT *results = NULL;
	CUSTOS_TRY(custos_call_delivery(call, &options, err));
	custos_rc rc = custos_deploy(call->custody, call->args[0], call->args + 1, call->count - 1, &options, &results, err);
	show_results(call, results);
	return rc;
}

const struct custos_command custos_cmd_deploy = {
	.noun = "deploy", .args = "KEY TARGET…", .summary = "release a key to its hosts, verify what they serve, or roll back",
	.min_args = 2, .max_args = CUSTOS_ARGS_MAX, .options = deploy_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = deploy,
};

static custos_rc rollback(struct custos_call *call, struct custos_err *err)
{
	struct custos_deploy_options options;
	CUSTOS_AUTO_DOCUMENT *results = NULL;
	CUSTOS_TRY(custos_call_delivery(call, &options, err));
	custos_rc rc = custos_rollback(call->custody, call->args[0], &options, &results, err);
	show_results(call, results);
	return rc;
}

static const struct custos_option rollback_options[] = {
	{ "--reason", CUSTOS_OPTION_TEXT, "TEXT", "goes into the log" },
	{ 0 },
};

const struct custos_command custos_cmd_rollback = {
	.noun = "rollback", .args = "TARGET", .summary = "the previous pair back, verified, logged", .min_args = 1, .max_args = 1,
	.options = rollback_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = rollback,
};

static custos_rc list(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *open = NULL;
	CUSTOS_TRY(custos_release_list(call->custody, &open, err));
	static const struct custos_column columns[] = {
		{ "RELEASE", "index" }, { "STATE", "state" }, { "KEY", "key" }, { "SINCE", "time" }, { NULL, NULL }
	};
	custos_out(call, open, columns);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_release_list = {
	.noun = "release", .verb = "list", .args = "", .summary = "releases without a known outcome",
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = list,
};

static const struct custos_option resolve_options[] = {
	{ "--as", CUSTOS_OPTION_TEXT, "done|failed", "what a person found out" },
	{ "--note", CUSTOS_OPTION_TEXT, "TEXT", "how it was found out; goes into the log" },
	{ 0 },
};

static custos_rc resolve(struct custos_call *call, struct custos_err *err)
{
	const char *as = custos_call_text(call, "--as", NULL), *note = custos_call_text(call, "--note", NULL);
	char *end;
	unsigned long long index = strtoull(call->args[0], &end, 10);
	CUSTOS_REQUIRE(*end == '\0' && call->args[0][0] >= '0' && call->args[0][0] <= '9', err, CUSTOS_E_USAGE,
	               "\"%s\" is not the index of a release", call->args[0]);
	CUSTOS_REQUIRE(as != NULL && note != NULL, err, CUSTOS_E_USAGE, "say --as done or --as failed, and --note how you know");
	CUSTOS_TRY(custos_release_resolve(call->custody, index, as, note, err));
	custos_out_line("release %llu resolved as %s", index, as);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_release_resolve = {
	.noun = "release", .verb = "resolve", .args = "INDEX", .summary = "close a release whose outcome a person knows", .min_args = 1,
	.max_args = 1, .options = resolve_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES, .run = resolve,
};
