/* `status --check --nagios`: what a plugin of Nagios, Icinga or any monitoring that took over its rules prints. */
#ifndef CUSTOS_CLI_NAGIOS_H
#define CUSTOS_CLI_NAGIOS_H

#include "cli/command.h"

/* -1 unless --nagios was given. One line on standard output, "CUSTOS OK|WARNING|CRITICAL|UNKNOWN - text | performance data", and 0, 1, 2 or 3. */
int custos_nagios_conclude(const struct custos_call *call, const struct custos_err *err);

#endif
