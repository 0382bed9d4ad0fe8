/* In place of courier/stack.c: the stack a process is born with. */
#include "courier/courier.h"

custos_rc custos_courier_on_locked_stack(struct custos_err *err)
{
	return custos_courier_serve(err);
}
