/* The place where the courier gives up what it does not need: called once after start-up, before anything from outside is read. Nothing is given
 * up here yet beyond what custos_secret_start() did (no new privileges, not dumpable, no core). */
#include "courier/courier.h"

custos_rc custos_courier_enter_sandbox(struct custos_err *err)
{
	(void)err;
	return CUSTOS_OK;
}
