/* The one way out of this process: at the ordinary end, from a fatal signal, from the watchdog. A terminal is put back, every locked page is wiped, the registers
 * are cleared, nothing runs after it: no exit handler (libcrypto's would look for its heap), no buffer, no destructor.
 *
 * All signals are blocked but those that report a fault of this program, and the watchdog's: they run on a locked stack of their own, because a signal frame
 * holds the vector registers, and those may hold a key. `signal_stack` is mutable state of the process because a signal handler has no other way to know it. */
#include "courier/terminal.h"

#include "memory/pages.h"
#include "memory/scrub.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>

enum { SIGNAL_STACK = 32 * 1024 };
static const int ENDING[] = { SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE };

static struct custos_pages signal_stack;

void custos_courier_end(int status)
{
	custos_terminal_close();
	custos_pages_wipe_all(NULL);
	custos_scrub_stack();
	custos_scrub_and_exit(NULL, 0, status);
}

static void end_on_signal(int number)
{
	(void)number;
	custos_terminal_close();
	custos_pages_wipe_all(&signal_stack);
	custos_scrub_and_exit(signal_stack.base, signal_stack.size, CUSTOS_E_INTERNAL);
}

custos_rc custos_courier_guard(struct custos_err *err)
{
	sigset_t blocked;
	struct sigaction action = { .sa_handler = end_on_signal, .sa_flags = SA_ONSTACK };
	CUSTOS_TRY(custos_pages_map(SIGNAL_STACK, &signal_stack, err));
	const stack_t stack = { .ss_sp = signal_stack.base, .ss_size = signal_stack.size };
	bool done = sigaltstack(&stack, NULL) == 0 && sigfillset(&blocked) == 0 && sigfillset(&action.sa_mask) == 0;
	for (size_t i = 0; i < sizeof ENDING / sizeof *ENDING; i++)
		done = done && sigaction(ENDING[i], &action, NULL) == 0 && sigdelset(&blocked, ENDING[i]) == 0;
	CUSTOS_REQUIRE(done && sigprocmask(SIG_SETMASK, &blocked, NULL) == 0, err, CUSTOS_E_SYSTEM, "signals cannot be blocked: %s", strerror(errno));
	return CUSTOS_OK;
}

void custos_courier_watch(unsigned seconds)
{
	const struct itimerval time = { .it_value = { .tv_sec = (time_t)seconds } };
	(void)setitimer(ITIMER_REAL, &time, NULL); /* fails for times that are no times only */
}
