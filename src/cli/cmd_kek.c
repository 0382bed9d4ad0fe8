/* custos kek list | backup | restore, custos key rewrap */
#include "cli/backup.h"
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"

#include <stdlib.h>
#include <string.h>

static custos_rc list(struct custos_call *call, struct custos_err *err)
{
	static const struct custos_column columns[] = {
		{ "KEK", "generation" }, { "LABEL", "label" }, { "VARIANT", "variant" }, { "STATE", "state" }, { "KEYS", "keys" }, { "SINCE", "time" }, { "BACKUP", "kept_by" },
		{ NULL, NULL },
	};
	CUSTOS_AUTO_DOCUMENT *keks = NULL;
	CUSTOS_TRY(custos_kek_list(call->custody, &keks, err));
	custos_out(call, keks, columns);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_kek_list = {
	.noun = "kek", .verb = "list", .args = "", .summary = "the KEKs, one after the other, and what keeps their backup", .needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_READS, .run = list,
};

static void progress(void *ctx, size_t done, size_t total)
{
	custos_out_count(ctx, "rewrap", done, total);
}

static custos_rc rotate(struct custos_call *call, const char *where, struct custos_err *err)
{
	static const struct custos_column lines[] = {
		{ "KEK", "kek.label" }, { "generation", "generation" }, { "variant", "kek.variant" }, { "backup", "kek.backup.kind" }, { "set of shares", "kek.backup.set" }, { "keys moved", "moved" },
		{ "retired", "retired" }, { NULL, NULL },
	};
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	CUSTOS_CLEANUP(custos_cli_backup_done) struct custos_cli_backup backup = { 0 };
	CUSTOS_TRY(custos_cli_backup_read(call, where, &backup, err));
	const struct custos_kek_rotate_options options = { .backup = where != NULL ? &backup.wanted : NULL, .reason = custos_call_text(call, "--reason", NULL), .ctx = call, .progress = progress };
	CUSTOS_TRY(custos_kek_rotate(call->custody, &options, &report, err));
	custos_out(call, report, lines);
	const struct custos_json *gone = custos_json_get(report, "unrestorable"), *exported = custos_json_get(report, "exported");
	for (size_t i = 0; !call->json && i < custos_json_count(gone); i++)
		custos_out_line("destroyed key %s cannot be restored any more: its export was under the old KEK", custos_json_string_value(custos_json_at(gone, i)));
	for (size_t i = 0; !call->json && i < custos_json_count(exported); i++)
		custos_out_line("key %s was exported under the old KEK: export it again", custos_json_string_value(custos_json_at(exported, i)));
	return CUSTOS_OK;
}

static const struct custos_option rewrap_options[] = {
	{ "--to-new-kek", CUSTOS_OPTION_FLAG, NULL, "make a new KEK, move every key to it, destroy the old one; goes on with one that was interrupted" },
	CUSTOS_BACKUP_OPTIONS,
	{ "--reason", CUSTOS_OPTION_TEXT, "TEXT", "why; goes into the log" },
	{ 0 },
};

static custos_rc rewrap(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_REQUIRE(custos_call_flag(call, "--to-new-kek"), err, CUSTOS_E_USAGE, "say what they are to be wrapped under: --to-new-kek");
	return rotate(call, custos_call_text(call, "--kek-backup", NULL), err);
}

const struct custos_command custos_cmd_key_rewrap = {
	.noun = "key", .verb = "rewrap", .args = "", .summary = "every key to a new KEK", .options = rewrap_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = rewrap,
};

static const struct custos_option backup_options[] = {
	CUSTOS_BACKUP_DETAILS,
	{ "--reason", CUSTOS_OPTION_TEXT, "TEXT", "why; goes into the log" },
	{ 0 },
};

/* A KEK on a token never leaves it, so a backup is made with a new one. */
static custos_rc backup(struct custos_call *call, struct custos_err *err)
{
	return rotate(call, call->args[0], err);
}

const struct custos_command custos_cmd_kek_backup = {
	.noun = "kek", .verb = "backup", .args = "token:URI|shares:K/N", .summary = "a new KEK that has a backup; every key moves to it", .min_args = 1, .max_args = 1,
	.options = backup_options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = backup,
};

static const struct custos_option restore_options[] = {
	{ "--token", CUSTOS_OPTION_TEXT, "URI", "the token that takes the place of the old one" },
	{ "--module", CUSTOS_OPTION_TEXT, "MODULE", "its PKCS#11 module (that of the old one)" },
	{ "--share", CUSTOS_OPTION_LIST, "FILE", "a share file; repeatable. What is missing is asked for at the terminal" },
	{ "--share-key", CUSTOS_OPTION_LIST, "FILE", "the custodian's private key for it, in the same order" },
	{ "--pass-phrase", CUSTOS_OPTION_TEXT, "SRC", "where the pass phrases of those keys come from (tty)" },
	{ "--reason", CUSTOS_OPTION_TEXT, "TEXT", "why; goes into the log" },
	{ 0 },
};

static custos_rc pair_shares(const char *const *files, const char *const *keys, struct custos_kek_share **ret_shares, size_t *ret_count, struct custos_err *err)
{
	size_t count = 0, key_count = 0;
	while (files[count] != NULL)
		count++;
	while (keys[key_count] != NULL)
		key_count++;
	CUSTOS_REQUIRE(count == key_count, err, CUSTOS_E_USAGE, "each --share FILE needs the --share-key FILE that opens it");
	struct custos_kek_share *shares = calloc(count + 1, sizeof *shares);
	CUSTOS_REQUIRE(shares != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		shares[i] = (struct custos_kek_share){ files[i], keys[i] };
	*ret_shares = shares;
	*ret_count = count;
	return CUSTOS_OK;
}

static custos_rc restore_with(struct custos_call *call, const struct custos_kek_share *shares, size_t count, struct custos_err *err)
{
	static const struct custos_column lines[] = {
		{ "token", "token.label" }, { "serial", "token.serial" }, { "KEK", "kek.label" }, { "from", "from" }, { "log vkey", "vkey" }, { "before", "previous_vkey" }, { NULL, NULL },
	};
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	CUSTOS_AUTO_STR *source = strdup(custos_call_text(call, "--pass-phrase", "tty"));
	CUSTOS_REQUIRE(source != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	const struct custos_pin phrase = custos_cli_source(source);
	const struct custos_kek_restore_options options = {
		.token_uri = custos_call_text(call, "--token", NULL), .module = custos_call_text(call, "--module", NULL), .shares = shares, .share_count = count, .pass_phrase = &phrase,
		.reason = custos_call_text(call, "--reason", NULL) };
	CUSTOS_TRY(custos_kek_restore(call->dir != NULL ? call->dir : getenv("CUSTOS_DIR"), &options, &call->pin, &report, err));
	custos_out(call, report, lines);
	const struct custos_json *left = custos_json_get(report, "left_behind");
	for (size_t i = 0; !call->json && i < custos_json_count(left); i++)
		custos_out_line("key %s was on the old token only and is lost with it", custos_json_string_value(custos_json_at(left, i)));
	if (!call->json)
		custos_out_line("whoever verifies this log needs the new vkey; copies of its old checkpoints stay good with the old one");
	return CUSTOS_OK;
}

static custos_rc restore(struct custos_call *call, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_call_list_done) const char **files = custos_call_list(call, "--share");
	CUSTOS_CLEANUP(custos_call_list_done) const char **keys = custos_call_list(call, "--share-key");
	struct custos_kek_share *shares = NULL;
	size_t count = 0;
	CUSTOS_REQUIRE(files != NULL && keys != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(pair_shares(files, keys, &shares, &count, err));
	custos_rc rc = restore_with(call, shares, count, err);
	free(shares);
	return rc;
}

const struct custos_command custos_cmd_kek_restore = {
	.noun = "kek", .verb = "restore", .args = "", .summary = "go on with another token, which has the KEK or gets it from shares", .options = restore_options,
	.needs = CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = restore,
};
