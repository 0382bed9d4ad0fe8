/* What a look at a host has found: the facts of CUSTOS_SCRIPT_INSPECT, put into the words and paths of its plan. Pure; what the host said stays data.
 *
 * An obstacle is what would stop a deployment: a fact `why`, before it perhaps `hint`, and `refused` or `locked` when it is a rule and not a failure. */
#ifndef CUSTOS_TARGET_INSPECTION_H
#define CUSTOS_TARGET_INSPECTION_H

#include "target/script.h"

/* {"version","login_offered":[…],"files":[{"kind","path","present","mode","owner","sha256" (the certificate file's alone)}],"room":[{"directory","free_kib","needed_kib"}],
 * "report":[{"name","says"}],"obstacles":[{"category","reason","hint"}]}. Members the host said nothing of are empty, or null. NULL when out of memory. */
struct custos_json *custos_inspection_describe(const struct custos_plan *plan, const struct custos_reply *facts);
/* One obstacle more, for an inspection that came to none of its own. */
void custos_inspection_add_obstacle(struct custos_json *inspection, custos_rc category, const char *reason, const char *hint);

#endif
