/* In place of courier/sandbox.c: nothing is given up. */
#include "courier/courier.h"

custos_rc custos_courier_enter_sandbox(struct custos_err *err)
{
	(void)err;
	return CUSTOS_OK;
}
