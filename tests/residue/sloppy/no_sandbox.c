/* In place of courier/sandbox.c: nothing is given up. */
#include "courier/courier.h"

custos_rc custos_courier_enter_sandbox(enum custos_courier_job job, struct custos_err *err)
{
	(void)job, (void)err;
	return CUSTOS_OK;
}
