/* How the report of `cert check` and `cert accept` is shown. */
#ifndef CUSTOS_CLI_REPORT_H
#define CUSTOS_CLI_REPORT_H

#include "cli/command.h"

/* What was found, the chain, and every problem with its remedy; nothing when `report` is NULL. */
void custos_cli_show_report(const struct custos_call *call, const struct custos_json *report);

#endif
