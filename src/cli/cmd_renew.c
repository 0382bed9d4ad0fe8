/* custos renew */
#include "cli/document.h"
#include "cli/new_file.h"
#include "cli/output.h"
#include "cli/rows.h"

static const struct custos_option options[] = {
	{ "--new-key", CUSTOS_OPTION_FLAG, NULL, "generate NAME.2, NAME.3, … of the same type for the same targets, and ask for that" },
	{ "-o", CUSTOS_OPTION_TEXT, "FILE", "write the request to a new file" },
	{ 0 },
};

/* What a person does next, as commands. */
static void say_next(const struct custos_json *report, const char *path)
{
	const char *key = custos_json_text(report, "key"), *renews = custos_json_text(report, "renews");
	CUSTOS_AUTO_STR *subject = custos_out_value(report, "subject");
	CUSTOS_AUTO_STR *sans = custos_out_value(report, "sans");
	const struct custos_json *targets = custos_json_get(report, "targets");
	custos_out_line("%s %s%s%s: request for %s (%s) written to %s", renews != NULL ? "new key" : "key", key, renews != NULL ? ", which renews " : "", renews != NULL ? renews : "",
	                subject == NULL ? "" : subject, sans == NULL ? "" : sans, path);
	custos_out_line("send it to the CA, then:");
	custos_out_line("  custos cert accept %s FILE…", key);
	for (size_t i = 0; i < custos_json_count(targets); i++)
		custos_out_line("  custos deploy %s %s", key, custos_json_string_value(custos_json_at(targets, i)));
	if (renews != NULL)
		custos_out_line("  custos key destroy %s        when no host serves it any more", renews);
}

static custos_rc renew(struct custos_call *call, struct custos_err *err)
{
	const char *path = custos_call_text(call, "-o", NULL);
	CUSTOS_AUTO_DOCUMENT *report = NULL;
	CUSTOS_AUTO_NEW_FILE file = { 0 };
	CUSTOS_TRY(custos_new_file_make(&file, path, err));
	CUSTOS_TRY(custos_key_renew(call->custody, call->args[0], custos_call_flag(call, "--new-key") ? CUSTOS_RENEW_NEW_KEY : 0, &report, err));
	const char *pem = custos_json_text(report, "csr");
	/* the request is in the log already; what is on the disk of it is said */
	if (custos_new_file_write(&file, pem, err) != CUSTOS_OK) {
		custos_err_hint(err, "make room, then `custos renew %s`: a request for the same key", custos_json_text(report, "key"));
		return CUSTOS_E_SYSTEM;
	}
	custos_json_set_text(report, "file", path);
	custos_out_warnings(custos_json_get(report, "problems"));
	if (call->json)
		custos_out_json(report);
	else if (path == NULL)
		custos_out_text(pem);
	else
		say_next(report, path);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_renew = {
	.noun = "renew", .args = "NAME", .summary = "a request like the last one: for the same key, or for a new one that takes its place", .min_args = 1, .max_args = 1, .options = options,
	.needs = CUSTOS_NEEDS_CUSTODY | CUSTOS_NEEDS_LOGIN | CUSTOS_MUTATES | CUSTOS_READS, .run = renew,
};
