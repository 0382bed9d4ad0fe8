/* What the commands that log in to hosts share. */
#ifndef CUSTOS_CLI_DELIVERY_H
#define CUSTOS_CLI_DELIVERY_H

#include "cli/command.h"

#include <custos/deploy.h>

/* From the call's options: those that the command does not have count as not given. */
CUSTOS_RC custos_call_delivery(struct custos_call *call, struct custos_deploy_options *ret_options, struct custos_err *err);
/* The steps of a deployment, numbered, each with its command. */
void custos_out_plan(const struct custos_json *plan);

#endif
