/* custos init, custos status */
#include "cli/backup.h"
#include "cli/document.h"
#include "cli/nagios.h"
#include "cli/output.h"
#include "cli/rows.h"

#include <custos/deploy.h>
#include <string.h>

static const struct custos_option init_options[] = {
	{ "--token", CUSTOS_OPTION_TEXT, "URI", "the token, as a PKCS#11 URI (RFC 7512) that selects exactly one" },
	{ "--module", CUSTOS_OPTION_TEXT, "MODULE", "its PKCS#11 module: a name in the system's directory or a path owned by root" },
	{ "--origin", CUSTOS_OPTION_TEXT, "NAME", "name of the log, e.g. custody.example/lab" },
	{ "--store", CUSTOS_OPTION_TEXT, "URL", "where state and log are kept (sqlite:custody.db)" },
	{ "--profile", CUSTOS_OPTION_TEXT, "FILE", "the token's profile (the shipped one that fits)" },
	{ "--trust", CUSTOS_OPTION_TEXT, "FILE", "trust anchors of the clients, PEM (the system's)" },
	CUSTOS_BACKUP_OPTIONS,
	{ 0 },
};

static custos_rc init(struct custos_call *call, struct custos_err *err)
{
	struct custos_init_options options = {
		.dir = call->args[0],
		.module = custos_call_text(call, "--module", getenv("CUSTOS_MODULE")),
		.token_uri = custos_call_text(call, "--token", NULL),
		.origin = custos_call_text(call, "--origin", NULL),
		.store = custos_call_text(call, "--store", NULL),
		.trust = custos_call_text(call, "--trust", NULL),
		.profile = custos_call_text(call, "--profile", NULL),
	};
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	if (options.token_uri == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "`custos token list` shows what is there", "no token was named: --token URI");
	CUSTOS_CLEANUP(custos_cli_backup_done) struct custos_cli_backup backup = { 0 };
	CUSTOS_TRY(custos_cli_backup_read(call, custos_call_text(call, "--kek-backup", NULL), &backup, err));
	options.kek_backup = &backup.wanted;
	CUSTOS_TRY(custos_custody_init(&options, &call->pin, &report, err));
	static const struct custos_column lines[] = {
		{ "custody", "dir" },       { "token", "token.label" }, { "serial", "token.serial" }, { "tier", "token.tier" }, { "KEK", "kek.label" },
		{ "KEK backup", "kek.variant" }, { "kept by", "kek.backup.kind" }, { "set of shares", "kek.backup.set" }, { "sealing key", "sealing_key.label" }, { "log", "origin" },        { "log vkey", "vkey" },       { "log size", "size" },   { "log root", "root" },
		{ NULL, NULL },
	};
	custos_out(call, report, lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_init = {
	.noun = "init", .args = "DIR", .summary = "make a custody: KEK and log key on the token, the log begun", .min_args = 1, .max_args = 1,
	.options = init_options, .needs = CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = init,
};

static const struct custos_option status_options[] = {
	{ "--check", CUSTOS_OPTION_FLAG, NULL, "exit non-zero when something needs a person" },
	{ "--nagios", CUSTOS_OPTION_FLAG, NULL, "with --check: one line and the exit codes of a monitoring plugin" },
	{ "--probe", CUSTOS_OPTION_FLAG, NULL, "also compare what each target serves with what is stored" },
	{ 0 },
};

static void status_text(const struct custos_call *call, const struct custos_json *status)
{
	static const struct custos_column head[] = {
		{ "token", "token.label" }, { "tier", "token.tier" }, { "KEK", "kek.variant" },    { "log", "log.origin" },
		{ "entries", "log.size" },  { "root", "log.root" },   { "unsigned", "log.unsigned" }, { NULL, NULL },
	};
	static const struct custos_column keys[] = {
		{ "KEY", "name" }, { "TYPE", "type" }, { "CLASS", "class" }, { "DAYS LEFT", "days_left" }, { "RENEW FROM", "renewal.from" },
		{ "CERTIFICATE", "certificate.subject" }, { "DEPLOYED", "deployed" }, { "STATE", "state" }, { "LAST DRILL", "drill.time" },
		{ "DRILL", "drill.result" }, { NULL, NULL },
	};
	static const struct custos_column targets[] = {
		{ "TARGET", "name" }, { "ADDRESS", "address" }, { "PROFILE", "profile" }, { "KEY", "deployed.key" },
		{ "SINCE", "deployed.time" }, { "NEEDS A PERSON", "attention" }, { NULL, NULL },
	};
	static const struct custos_column open[] = {
		{ "OPEN RELEASE", "index" }, { "KEY", "key" }, { "STATE", "state" }, { "SINCE", "time" }, { NULL, NULL },
	};
	custos_out(call, status, head);
	custos_out_text("\n");
	custos_out(call, custos_json_get(status, "keys"), keys);
	custos_out_text("\n");
	custos_out(call, custos_json_get(status, "targets"), targets);
	if (custos_json_count(custos_json_get(status, "open_releases")) > 0) {
		custos_out_text("\n");
		custos_out(call, custos_json_get(status, "open_releases"), open);
	}
	const struct custos_json *kek = custos_json_get(status, "kek");
	if (custos_json_text(kek, "variant") == NULL)
		custos_out_text("\nKEK: none; this token cannot wrap keys, and those on it are lost with it\n");
	else if (!custos_json_bool(kek, "backup", false))
		custos_out_text("\nKEK: no backup; if the token is lost, deployable keys are lost with it\n");
	if (custos_json_int(kek, "waiting", 0) > 0)
		custos_out_text("\nKEK: keys are still under the old one; `custos key rewrap --to-new-kek` goes on with it\n");
	const struct custos_json *attention = custos_json_get(status, "attention");
	for (size_t i = 0; i < custos_json_count(attention); i++)
		custos_out_line("%s%s: %s", i == 0 ? "\n" : "", custos_json_text(custos_json_at(attention, i), "level"), custos_json_text(custos_json_at(attention, i), "text"));
}

/* One row for each endpoint. */
static void probe_text(const struct custos_call *call, const struct custos_json *status)
{
	static const struct custos_column columns[] = {
		{ "SERVED BY", "target" }, { "AT", "address" }, { "RESULT", "result" }, { "CERTIFICATE", "served.subject" }, { "UNTIL", "served.not_after" },
		{ "TRUSTED", "trusted" }, { "WHY NOT", "why" }, { NULL, NULL },
	};
	CUSTOS_AUTO_DOCUMENT *rows = custos_json_array();
	const struct custos_json *targets = custos_json_get(status, "targets");
	for (size_t i = 0; i < custos_json_count(targets); i++) {
		const struct custos_json *target = custos_json_at(targets, i), *probes = custos_json_get(target, "probe");
		for (size_t k = 0; k < custos_json_count(probes); k++) {
			struct custos_json *row = custos_json_copy(custos_json_at(probes, k));
			custos_json_set_text(row, "target", custos_json_text(target, "name"));
			custos_json_push(rows, row);
		}
	}
	custos_out_text("\n");
	custos_out(call, rows, columns);
}

static custos_rc status(struct custos_call *call, struct custos_err *err)
{
	bool check = custos_call_flag(call, "--check"), nagios = custos_call_flag(call, "--nagios"), probe = custos_call_flag(call, "--probe");
	CUSTOS_REQUIRE(!nagios || (check && !call->json), err, CUSTOS_E_USAGE, "--nagios goes with --check, and not with --json");
	CUSTOS_TRY(custos_custody_status(call->custody, &call->result, err));
	if (probe)
		CUSTOS_TRY(custos_status_probe(call->custody, call->result, nagios ? NULL : custos_out_progress, call, err));
	if (nagios)
		return CUSTOS_OK;
	if (call->json)
		custos_out_json(call->result);
	else
		status_text(call, call->result);
	if (probe && !call->json)
		probe_text(call, call->result);
	const struct custos_json *attention = custos_json_get(call->result, "attention");
	size_t count = custos_json_count(attention);
	if (check && count > 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, custos_json_text(custos_json_at(attention, 0), "text"), "%zu thing%s a person", count, count == 1 ? " needs" : "s need");
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_status = {
	.noun = "status", .args = "", .summary = "keys, certificates, targets, open releases, the log", .max_args = 0,
	.options = status_options, .needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = status, .conclude = custos_nagios_conclude,
};
