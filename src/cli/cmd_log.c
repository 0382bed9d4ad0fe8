/* custos log show | verify | checkpoint | publish */
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"

static const struct custos_option show_options[] = {
	{ "--from", CUSTOS_OPTION_TEXT, "N", "begin with entry N" },
	{ 0 },
};

static custos_rc show(struct custos_call *call, struct custos_err *err)
{
	const char *from = custos_call_text(call, "--from", "0");
	char *end;
	unsigned long long first = strtoull(from, &end, 10);
	CUSTOS_AUTO_DOCUMENT *entries = NULL;
	CUSTOS_REQUIRE(*end == '\0' && from[0] >= '0' && from[0] <= '9', err, CUSTOS_E_USAGE, "--from takes the index of an entry, not \"%s\"", from);
	CUSTOS_TRY(custos_journal_show(call->custody, first, &entries, err));
	static const struct custos_column columns[] = {
		{ "INDEX", "index" }, { "TIME", "time" }, { "EVENT", "event" }, { "KEY", "key" }, { "TARGET", "target" },
		{ "INTENT", "intent" }, { "RESULT", "result" }, { NULL, NULL },
	};
	custos_out(call, entries, columns);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_log_show = {
	.noun = "log", .verb = "show", .args = "", .summary = "the entries", .options = show_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = show,
};

static const struct custos_option verify_options[] = {
	{ "--dir", CUSTOS_OPTION_TEXT, "PUBLISHED", "verify a published log instead, without token, store or custody" },
	{ "--vkey", CUSTOS_OPTION_TEXT, "VKEY", "its verification key" },
	{ "--since", CUSTOS_OPTION_TEXT, "FILE", "an older checkpoint that must be contained" },
	{ 0 },
};

static custos_rc verify(struct custos_call *call, struct custos_err *err)
{
	const char *dir = custos_call_text(call, "--dir", NULL), *vkey = custos_call_text(call, "--vkey", NULL);
	const char *since = custos_call_text(call, "--since", NULL);
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	if (dir != NULL) {
		if (vkey == NULL)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "custos init printed it; `custos log checkpoint` prints it again",
			                 "a published log is verified by its key: --vkey VKEY");
		CUSTOS_TRY(custos_journal_verify_published(dir, vkey, since, &report, err));
	} else {
		const char *custody = call->dir != NULL ? call->dir : getenv("CUSTOS_DIR");
		CUSTOS_TRY(custos_custody_open(custody, NULL, &call->custody, err));
		CUSTOS_TRY(custos_journal_verify(call->custody, since, &report, err));
	}
	static const struct custos_column lines[] = {
		{ "log", "origin" }, { "size", "size" }, { "root", "root" }, { "open releases", "open_releases" }, { "warnings", "warnings" }, { NULL, NULL },
	};
	custos_out(call, report, lines);
	const struct custos_json *successions = custos_json_get(report, "successions");
	for (size_t i = 0; !call->json && i < custos_json_count(successions); i++)
		custos_out_line("until entry %lld under the key %s", (long long)custos_json_int(custos_json_at(successions, i), "index", 0),
		                custos_json_text(custos_json_at(successions, i), "vkey"));
	if (!call->json)
		custos_out_line("verified: every entry, the tree, the signature");
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_log_verify = {
	.noun = "log", .verb = "verify", .args = "", .summary = "tree, signatures, sequence, intents and outcomes",
	.options = verify_options,
	.needs = CUSTOS_READS, .run = verify,
};

static custos_rc checkpoint(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *json = NULL;
	CUSTOS_TRY(custos_journal_checkpoint(call->custody, &json, err));
	if (call->json)
		custos_out_json(json);
	else
		custos_out_text(custos_json_text(json, "checkpoint"));
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_log_checkpoint = {
	.noun = "log", .verb = "checkpoint", .args = "", .summary = "the newest signed checkpoint, to be remembered elsewhere",
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = checkpoint,
};

static custos_rc publish(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	CUSTOS_TRY(custos_journal_publish(call->custody, call->args[0], &report, err));
	static const struct custos_column lines[] = {
		{ "published to", "dir" }, { "size", "size" }, { "root", "root" }, { "vkey", "vkey" }, { NULL, NULL }
	};
	custos_out(call, report, lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_log_publish = {
	.noun = "log", .verb = "publish", .args = "DIR", .summary = "write C2SP tlog-tiles that others' software verifies", .min_args = 1, .max_args = 1,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = publish,
};
