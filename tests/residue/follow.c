/* The run: starts the command, finds its processes, attaches to each when it is past its own start, and turns what the kernel tells into stops.
 *
 * A process that was traced from its first instruction on would refuse to work, and rightly. So nobody is traced before it sleeps in a call that
 * waits for somebody else, or is in its sandbox; a courier that was never caught so makes the run worthless, and the report says so. */
#include "trace.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NAP_US = 60, TREE_EVERY_US = 2000, HOLD_MS = 500, INSTANT_MIN_US = 6 };

int64_t residue_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- tracees ---- */

struct tracee *residue_find(struct run *r, pid_t tid)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->tracees[i].tid == tid)
			return &r->tracees[i];
	return NULL;
}

struct tracee *residue_first_of(struct run *r, enum residue_role role)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->tracees[i].role == role)
			return &r->tracees[i];
	return NULL;
}

struct tracee *residue_add(struct run *r, pid_t tid, pid_t process, enum residue_role role)
{
	if (r->count == TRACEES_MAX)
		residue_die("more than %d threads to follow", TRACEES_MAX);
	r->tracees[r->count] = (struct tracee){ .tid = tid, .process = process, .role = role, .calls = role != ROLE_TOKEN || r->options->token_random > 0 };
	return &r->tracees[r->count++];
}

static void drop(struct run *r, struct tracee *t)
{
	*t = r->tracees[--r->count];
}

void residue_resume(struct tracee *t, int signal)
{
	t->stopped = false;
	/* that it was killed meanwhile is told by waitpid */
	(void)ptrace(t->calls ? PTRACE_SYSCALL : PTRACE_CONT, t->tid, 0, signal);
}

/* ---- starting and attaching ---- */

static pid_t start(char **command)
{
	pid_t pid = fork();
	if (pid < 0)
		residue_die("cannot fork");
	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	return pid;
}

static void attach(struct run *r, pid_t pid, enum residue_role role)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXIT;
	if (role == ROLE_COURIER)
		options |= PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
	if (residue_find(r, pid) != NULL || ptrace(PTRACE_SEIZE, pid, 0, options) != 0)
		return;
	struct tracee *t = residue_add(r, pid, pid, role);
	int status;
	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0 || waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status)) {
		drop(r, t);
		return;
	}
	t->stopped = true;
	r->report->of[role].processes++;
	if (role == ROLE_COURIER) {
		r->phase = PHASE_BEFORE;
		r->stops = r->samples = r->random = 0;
		snprintf(r->state, sizeof r->state, "%s", "started");
		residue_report_state(r->report, r->state);
	}
	residue_look(r, t, r->phase, true);
	residue_handle(r, t, status);
}

/* Keeper and token are past their start, PIN included, when there is a courier; where it is to be held up, the keeper is caught while it waits for the courier's
 * first word. */
void residue_attach_all(struct run *r)
{
	bool courier = r->report->of[ROLE_COURIER].processes > 0;
	residue_tree_look(&r->tree);
	for (size_t i = 0; i < r->tree.count && r->options->hold_up; i++)
		courier = courier || (r->tree.processes[i].known && r->tree.processes[i].role == ROLE_COURIER);
	for (size_t i = 0; i < r->tree.count; i++) {
		struct residue_process *p = &r->tree.processes[i];
		if (!p->known || p->gone || residue_find(r, p->pid) != NULL || !residue_is_ready(p->pid, p->role))
			continue;
		if (p->role == ROLE_COURIER || courier)
			attach(r, p->pid, p->role);
	}
}

/* ---- waiting ---- */

static void end_of(struct run *r, pid_t pid, int status)
{
	struct tracee *t = residue_find(r, pid);
	if (t != NULL) {
		bool keeper = t->role == ROLE_KEEPER;
		drop(r, t);
		if (keeper)
			residue_release(r);
	}
	if (pid != r->command)
		return;
	r->command_ended = true;
	r->report->command_status = status;
	residue_tree_look(&r->tree);
	r->report->token_gone = true;
	for (size_t i = 0; i < r->tree.count; i++)
		if (r->tree.processes[i].known && r->tree.processes[i].role == ROLE_TOKEN && !r->tree.processes[i].gone)
			r->report->token_gone = false;
}

static void event(struct run *r, pid_t pid, int status)
{
	if (!WIFSTOPPED(status)) {
		end_of(r, pid, status);
		return;
	}
	struct tracee *t = residue_find(r, pid);
	/* the first stop of a thread may come before the news that it was born */
	if (t == NULL)
		t = residue_add(r, pid, pid, ROLE_COURIER);
	residue_handle(r, t, status);
}

static bool next_event(struct run *r)
{
	int status;
	for (size_t i = 0; i < r->count; i++)
		if (r->tracees[i].pending) {
			r->tracees[i].pending = false;
			event(r, r->tracees[i].tid, r->tracees[i].status);
			return true;
		}
	pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);
	if (pid > 0)
		event(r, pid, status);
	return pid > 0;
}

/* xorshift64*: the same seed, the same instants. */
static uint64_t noise(struct run *r)
{
	r->noise ^= r->noise >> 12;
	r->noise ^= r->noise << 25;
	r->noise ^= r->noise >> 27;
	return r->noise * UINT64_C(0x2545F4914F6CDD1D) >> 33;
}

static void part_processor(struct run *r)
{
	if (r->shared_with == 0)
		return;
	(void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ .sched_priority = 0 });
	(void)sched_setaffinity(0, sizeof r->affinity, &r->affinity);
	(void)sched_setaffinity(r->shared_with, sizeof r->affinity, &r->affinity);
	r->shared_with = 0;
}

/* Scanner and process share one processor while instants are taken, and the scanner goes first: the other runs only while the scanner naps, so a
 * nap of a few microseconds is a few microseconds of its work, whatever a wake-up across processors would cost. */
void residue_share_processor(struct run *r, pid_t process)
{
	if (r->shared_with == process)
		return;
	part_processor(r);
	cpu_set_t one;
	int here = sched_getcpu();
	if (r->options->random == 0 || here < 0 || sched_getaffinity(0, sizeof r->affinity, &r->affinity) != 0)
		return;
	CPU_ZERO(&one);
	CPU_SET((size_t)here, &one);
	r->shared_with = process;
	/* what is not allowed makes the instants fewer, no worse */
	(void)sched_setaffinity(0, sizeof one, &one);
	(void)sched_setaffinity(process, sizeof one, &one);
	(void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 });
	(void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
}

static bool waits(const struct tracee *t)
{
#ifdef SYS_poll
	if (t->in_call && t->call == SYS_poll)
		return true;
#endif
	return t->in_call && (t->call == SYS_ppoll || t->call == SYS_recvmsg);
}

static bool wants_an_instant(struct run *r)
{
	if (r->phase == PHASE_SECTION)
		return r->random < r->options->random;
	return r->phase == PHASE_BEFORE && r->token_random < r->options->token_random && residue_first_of(r, ROLE_COURIER) != NULL && residue_first_of(r, ROLE_KEEPER) != NULL;
}

/* A running courier between the key's arrival and its handing over is stopped at some instant of the next microseconds, unless it stops by itself
 * first; and so is custos-token before that, when everybody is traced. One that waits for another is left alone: nothing changes in it. False: there
 * is none. */
static bool take_an_instant(struct run *r)
{
	struct tracee *t = NULL;
	enum residue_role role = r->phase == PHASE_SECTION ? ROLE_COURIER : ROLE_TOKEN;
	if (!wants_an_instant(r)) {
		part_processor(r);
		return false;
	}
	for (size_t i = 0; i < r->count; i++)
		if (r->tracees[i].role == role && !r->tracees[i].stopped && !r->tracees[i].interrupted)
			t = &r->tracees[i];
	if (t != NULL && role == ROLE_TOKEN)
		residue_share_processor(r, t->process);
	if (t == NULL || waits(t))
		return false;
	nanosleep(&(struct timespec){ .tv_nsec = (INSTANT_MIN_US + (long)(noise(r) % r->options->apart_us)) * 1000 }, NULL);
	if (!next_event(r))
		t->interrupted = ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) == 0;
	return true;
}

static void release_the_long_held(struct run *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->tracees[i].held && residue_now_us() / 1000 - r->tracees[i].held_since_ms > HOLD_MS) {
			residue_release(r);
			return;
		}
}

static bool is_over(const struct run *r)
{
	if (!r->command_ended || r->count > 0)
		return false;
	for (size_t i = 0; i < r->tree.count; i++)
		if (r->tree.processes[i].known && !r->tree.processes[i].gone)
			return false;
	return true;
}

void residue_follow(struct residue_options *options, const struct residue_needles *needles, char **command, struct residue_report *report)
{
	struct run *r = calloc(1, sizeof *r);
	if (r == NULL)
		residue_die("out of memory");
	*r = (struct run){ .options = options, .needles = needles, .report = report, .noise = UINT64_C(0x9E3779B97F4A7C15) ^ options->seed };
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		residue_die("cannot adopt orphans");
	residue_tree_begin(&r->tree);
	r->command = start(command);
	int64_t deadline = residue_now_us() + (int64_t)options->timeout_s * 1000000, tree_at = 0;
	while (!is_over(r)) {
		bool busy = next_event(r) || take_an_instant(r);
		int64_t now = residue_now_us();
		if (now > deadline)
			residue_die("not over after %u s, in state %s", options->timeout_s, r->state);
		/* a look at the tree takes as long as all that the courier does with the key */
		if (now >= tree_at && r->shared_with == 0) {
			residue_attach_all(r);
			/* who is to be caught in time is looked for all the time */
			tree_at = residue_now_us() + (options->hold_up ? 0 : TREE_EVERY_US);
		}
		release_the_long_held(r);
		if (!busy)
			nanosleep(&(struct timespec){ .tv_nsec = NAP_US * 1000 }, NULL);
	}
	part_processor(r);
	for (size_t i = 0; i < r->tree.count; i++)
		report->couriers_started += r->tree.processes[i].known && r->tree.processes[i].role == ROLE_COURIER;
	free(r->tree.foreign);
	free(r);
}
