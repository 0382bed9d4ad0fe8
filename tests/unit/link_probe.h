/* What the test of link/spawn.h and its helper say to each other. */
#ifndef CUSTOS_TESTS_LINK_PROBE_H
#define CUSTOS_TESTS_LINK_PROBE_H

#include "link/channel.h"

/* DO: text, what to do (report, hang, leave). TOLD: text. */
enum { PROBE_DO = 1, PROBE_TOLD };
static const struct custos_link_rule probe_rules[] = {
	{ PROBE_DO, CUSTOS_SIDE_KEEPER, 1u << 0, 1, 0, "DO" },
	{ PROBE_TOLD, CUSTOS_SIDE_HELPER, 1u << 1, 0, 0, "TOLD" },
};
static const struct custos_link_protocol probe_protocol = { "probe", probe_rules, sizeof probe_rules / sizeof *probe_rules };

enum { PROBE_LEAVES_WITH = 42 };

#endif
