/* custos target scan | add | list | show | remove */
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"

#include <custos/deploy.h>
#include <stdio.h>
#include <string.h>

static custos_rc scan(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *found = NULL;
	CUSTOS_TRY(custos_target_scan(call->args[0], &found, err));
	static const struct custos_column lines[] = { { "address", "address" }, { "host key", "hostkeys" }, { "software", "banner" }, { NULL, NULL } };
	custos_out(call, found, lines);
	if (!call->json)
		custos_out_line("Compare the host key with what the host's own console shows before you pin it.");
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_target_scan = {
	.noun = "target", .verb = "scan", .args = "HOST[:PORT]", .summary = "print a host's key fingerprint for comparison; stores nothing",
	.min_args = 1, .max_args = 1,
	.needs = CUSTOS_READS, .run = scan,
};

static const struct custos_option add_options[] = {
	{ "--address", CUSTOS_OPTION_TEXT, "HOST[:PORT]", "where its SSH server listens" },
	{ "--user", CUSTOS_OPTION_TEXT, "USER", "who logs in (root)" },
	{ "--profile", CUSTOS_OPTION_TEXT, "PROFILE", "esxi, or a YAML file" },
	{ "--hostkey", CUSTOS_OPTION_LIST, "SHA256:…", "its host key, compared with the console; mandatory" },
	{ "--verify", CUSTOS_OPTION_LIST, "HOST:PORT", "where the certificate is served (the host, port 443)" },
	{ "--sni", CUSTOS_OPTION_TEXT, "NAME", "the name clients ask for" },
	{ "--auth", CUSTOS_OPTION_TEXT, "HOW", "agent (default), agent:SHA256:…, key:FILE, password:SRC" },
	{ "--group", CUSTOS_OPTION_TEXT, "GROUP", "hosts that share one courier" },
	{ "--ssh-legacy", CUSTOS_OPTION_FLAG, NULL, "allow the SHA-1 algorithms of old hosts" },
	{ 0 },
};

static void set_list(struct custos_json *record, const char *key, const char *const *list)
{
	struct custos_json *array = custos_json_array();
	for (size_t i = 0; list != NULL && list[i] != NULL; i++)
		custos_json_push(array, custos_json_string(list[i]));
	custos_json_set(record, key, array);
}

/* Where the port of an address begins; NULL when it has none. */
static const char *find_port(const char *address)
{
	const char *bracket = strrchr(address, ']');
	return strchr(bracket != NULL ? bracket : address, ':');
}

static void with_ssh_port(const char *address, char *out, size_t size)
{
	snprintf(out, size, find_port(address) != NULL ? "%s" : "%s:22", address);
}

/* Unless said otherwise the certificate is served by the same host at the port of HTTPS. */
static void default_verify(const char *address, char *out, size_t size)
{
	const char *colon = find_port(address);
	snprintf(out, size, "%.*s:443", (int)(colon != NULL ? (size_t)(colon - address) : strlen(address)), address);
}

static custos_rc add(struct custos_call *call, struct custos_err *err)
{
	const char *address = custos_call_text(call, "--address", NULL), *profile = custos_call_text(call, "--profile", NULL);
	CUSTOS_CLEANUP(custos_call_list_done) const char **pins = custos_call_list(call, "--hostkey");
	CUSTOS_CLEANUP(custos_call_list_done) const char **verify = custos_call_list(call, "--verify");
	CUSTOS_AUTO_DOCUMENT *record = custos_json_object();
	CUSTOS_AUTO_DOCUMENT *target = NULL;
	char text[300];
	CUSTOS_REQUIRE(address != NULL, err, CUSTOS_E_USAGE, "a target needs --address HOST[:PORT]");
	CUSTOS_REQUIRE(profile != NULL, err, CUSTOS_E_USAGE, "a target needs --profile: esxi, or a YAML file");
	if (pins == NULL || pins[0] == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "`custos target scan HOST` prints it; compare it with the host's console",
		                 "a target needs its host key: --hostkey SHA256:…");
	custos_json_set_text(record, "name", call->args[0]);
	with_ssh_port(address, text, sizeof text);
	custos_json_set_text(record, "address", text);
	custos_json_set_text(record, "user", custos_call_text(call, "--user", "root"));
	custos_json_set_text(record, "profile", profile);
	set_list(record, "hostkeys", pins);
	if (verify != NULL && verify[0] != NULL) {
		set_list(record, "verify", verify);
	} else {
		const char *one[] = { text, NULL };
		default_verify(address, text, sizeof text);
		set_list(record, "verify", one);
	}
	custos_json_set_text(record, "sni", custos_call_text(call, "--sni", ""));
	custos_json_set_text(record, "auth", custos_call_text(call, "--auth", "agent"));
	custos_json_set_text(record, "group", custos_call_text(call, "--group", ""));
	custos_json_set_bool(record, "ssh_legacy", custos_call_flag(call, "--ssh-legacy"));
	CUSTOS_TRY(custos_target_add(call->custody, record, &target, err));
	static const struct custos_column lines[] = {
		{ "target", "name" }, { "address", "address" }, { "host key", "hostkeys" }, { "profile", "profile" },
		{ "verified at", "verify" }, { NULL, NULL },
	};
	custos_out(call, target, lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_target_add = {
	.noun = "target", .verb = "add", .args = "NAME", .summary = "a host, with its pinned host key", .min_args = 1, .max_args = 1,
	.options = add_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = add,
};

static custos_rc list(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *targets = NULL;
	CUSTOS_TRY(custos_target_list(call->custody, &targets, err));
	static const struct custos_column columns[] = {
		{ "TARGET", "name" }, { "ADDRESS", "address" }, { "USER", "user" }, { "PROFILE", "profile" }, { "KEY", "deployed.key" },
		{ "SINCE", "deployed.time" }, { NULL, NULL },
	};
	custos_out(call, targets, columns);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_target_list = {
	.noun = "target", .verb = "list", .args = "", .summary = "all hosts", .needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = list,
};

static custos_rc show(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_AUTO_DOCUMENT *target = NULL;
	CUSTOS_TRY(custos_target_show(call->custody, call->args[0], &target, err));
	static const struct custos_column lines[] = {
		{ "target", "name" }, { "address", "address" }, { "user", "user" }, { "login", "auth" }, { "host key", "hostkeys" },
		{ "profile", "profile" }, { "verified at", "verify" }, { "SNI", "sni" }, { "group", "group" }, { "keys allowed", "allowed_keys" },
		{ "deployed", "deployed.key" }, { "since", "deployed.time" },
		{ "copy of the previous pair", "deployed.backup" }, { NULL, NULL },
	};
	custos_out(call, target, lines);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_target_show = {
	.noun = "target", .verb = "show", .args = "NAME", .summary = "one host", .min_args = 1, .max_args = 1,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = show,
};

static custos_rc removal(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_TRY(custos_target_remove(call->custody, call->args[0], err));
	custos_out_line("target %s removed; no key may go there any more", call->args[0]);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_target_remove = {
	.noun = "target", .verb = "remove", .args = "NAME", .summary = "forget a host, and every key's permission for it", .min_args = 1, .max_args = 1,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES, .run = removal,
};
