/* custos help, custos version */
#include "cli/document.h"
#include "cli/output.h"
#include "cli/rows.h"

static custos_rc help(struct custos_call *call, struct custos_err *err)
{
	if (call->count > 0)
		return custos_help_noun(call->args[0], err);
	custos_help_all();
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_help = {
	.noun = "help", .args = "[NOUN]", .summary = "this list, or one noun in full", .max_args = 1, .run = help,
};

static custos_rc version(struct custos_call *call, struct custos_err *err)
{
	(void)err;
	CUSTOS_AUTO_DOCUMENT *json = custos_json_object();
	custos_json_set_text(json, "name", "custos");
	custos_json_set_text(json, "version", CUSTOS_VERSION);
	if (call->json)
		custos_out_json(json);
	else
		custos_out_line("custos %s", CUSTOS_VERSION);
	return CUSTOS_OK;
}

const struct custos_command custos_cmd_version = {
	.noun = "version", .args = "", .summary = "the version", .needs = CUSTOS_READS, .run = version,
};
