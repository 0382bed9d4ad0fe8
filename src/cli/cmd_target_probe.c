/* custos target probe */
#include "cli/delivery.h"
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"

#include <string.h>

static void show_files(const struct custos_json *files)
{
	static const struct custos_column columns[] = {
		{ "FILE", "kind" }, { "PATH", "path" }, { "THERE", "present" }, { "MODE", "mode" }, { "OWNER", "owner" }, { NULL, NULL },
	};
	custos_out_text("\n");
	custos_out_table(files, columns);
}

static void show_room(const struct custos_json *rooms)
{
	static const struct custos_column columns[] = { { "ROOM IN", "directory" }, { "FREE KIB", "free_kib" }, { "NEEDED KIB", "needed_kib" }, { NULL, NULL } };
	if (custos_json_count(rooms) == 0)
		return;
	custos_out_text("\n");
	custos_out_table(rooms, columns);
}

static void show_reports(const struct custos_json *reports)
{
	static const struct custos_column columns[] = { { "ASKED", "name" }, { "THE HOST SAYS", "says" }, { NULL, NULL } };
	if (custos_json_count(reports) == 0)
		return;
	custos_out_text("\n");
	custos_out_table(reports, columns);
}

static void show_obstacles(const struct custos_json *obstacles)
{
	if (custos_json_count(obstacles) == 0)
		custos_out_text("\nNothing was found that would stop a deployment.\n");
	else
		custos_out_text("\nWhat would stop a deployment:\n");
	for (size_t i = 0; i < custos_json_count(obstacles); i++) {
		const struct custos_json *obstacle = custos_json_at(obstacles, i);
		const char *reason = custos_json_text(obstacle, "reason"), *hint = custos_json_text(obstacle, "hint");
		custos_out_line("  - %s", reason == NULL ? "" : reason);
		if (hint != NULL)
			custos_out_line("    %s", hint);
	}
}

static void show(const struct custos_call *call, const struct custos_json *probe)
{
	static const struct custos_column lines[] = {
		{ "target", "target" }, { "address", "address" }, { "profile", "profile" }, { "version", "version" }, { "logs in as", "user" }, { "by", "auth" }, { "the host offers", "login_offered" },
		{ "serves", "served_leaf_sha256" }, { "as deployed", "serves_what_was_deployed" }, { NULL, NULL },
	};
	custos_out(call, probe, lines);
	if (call->json)
		return;
	show_files(custos_json_get(probe, "files"));
	show_room(custos_json_get(probe, "room"));
	show_reports(custos_json_get(probe, "report"));
	show_obstacles(custos_json_get(probe, "obstacles"));
	custos_out_text("\nWhat `custos deploy` would do there:\n");
	custos_out_plan(custos_json_get(probe, "plan"));
}

static custos_rc probe(struct custos_call *call, struct custos_err *err)
{
	struct custos_deploy_options options;
	CUSTOS_AUTO_DOCUMENT *found = NULL;
	CUSTOS_TRY(custos_call_delivery(call, &options, err));
	custos_rc rc = custos_target_probe(call->custody, call->args[0], &options, &found, err);
	if (found != NULL)
		show(call, found);
	return rc;
}

const struct custos_command custos_cmd_target_probe = {
	.noun = "target", .verb = "probe", .args = "NAME", .summary = "log in and look: what a host is, what would stop a deployment, and its steps", .min_args = 1, .max_args = 1,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = probe,
};
