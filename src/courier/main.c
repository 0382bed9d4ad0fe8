/* custos-courier: started by custos, one for each key and group of hosts. Hardens itself before anything else, keeps libcrypto, libssh2 and its
 * own stack on locked pages, and ends through one epilogue. Of no use when started by hand. */
#include "courier/courier.h"

#include <stdio.h>
#include <time.h>

static custos_rc run(struct custos_err *err)
{
	CUSTOS_TRY(custos_courier_guard(err));
	/* libc looks the time zone up when it is first asked for a date; later there are no files any more */
	tzset();
	CUSTOS_TRY(custos_secret_start(err));
	return custos_courier_on_locked_stack(err);
}

/* No stdio stream: the sandbox leaves one no system call to look at its file with. A line that cannot be written is lost; the keeper says that this process has ended. */
static void complain(const struct custos_err *err)
{
	char line[sizeof err->msg + 64];
	int len = snprintf(line, sizeof line, "custos-courier: error: %s\n", err->msg);
	(void)!write(STDERR_FILENO, line, len < (int)sizeof line ? (size_t)len : sizeof line - 1);
}

int main(void)
{
	struct custos_err err = { 0 };
	custos_rc rc = run(&err);
	if (rc != CUSTOS_OK)
		complain(&err);
	custos_courier_end((int)rc);
}
