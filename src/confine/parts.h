/* What a confinement is made of; nothing outside this layer includes it. */
#ifndef CUSTOS_CONFINE_PARTS_H
#define CUSTOS_CONFINE_PARTS_H

#include "confine/confinement.h"

struct custos_confinement {
	int ruleset;          /* landlock's; -1: nothing is said about files */
	uint64_t file_rights; /* those the ruleset governs */
	void *filter;         /* libseccomp's; NULL: nothing is said about system calls */
};

/* landlock.c */
CUSTOS_RC custos_confine_enter_ruleset(struct custos_confinement *c, struct custos_err *err);
/* seccomp.c */
CUSTOS_RC custos_confine_enter_filter(struct custos_confinement *c, struct custos_err *err);
void custos_confine_free_filter(struct custos_confinement *c);

#endif
