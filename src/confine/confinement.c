/* A confinement from its making to its entry: see confinement.h. */
#include "confine/parts.h"

custos_rc custos_confinement_new(struct custos_confinement **ret_confinement, struct custos_err *err)
{
	struct custos_confinement *c = calloc(1, sizeof *c);
	CUSTOS_REQUIRE(c != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	c->ruleset = -1;
	*ret_confinement = c;
	return CUSTOS_OK;
}

void custos_confinement_free(struct custos_confinement *c)
{
	if (c == NULL)
		return;
	custos_close_fd(&c->ruleset);
	custos_confine_free_filter(c);
	free(c);
}

custos_rc custos_confinement_enter(struct custos_confinement *c, struct custos_err *err)
{
	/* files first: the system calls that do it are not among those a filter leaves */
	CUSTOS_TRY(custos_confine_enter_ruleset(c, err));
	return custos_confine_enter_filter(c, err);
}
