/* Watching a command by seccomp user notification: no tracer (TracerPid stays 0), fork and exec are followed, non-dumpable processes are reached, and raw calls are
 * seen as well as libc's. As root. The program that includes it has a die() of its own. */
#ifndef CUSTOS_TESTS_NOTIFY_H
#define CUSTOS_TESTS_NOTIFY_H

#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what);

/* In the command's process: `install` loads the filter and returns its listener. The listener's number goes through shared memory, and the process stops until it was
 * fetched: any call that would hand it over is one that the filter already holds up. */
static inline void notify_become(char **command, int (*install)(void), volatile int *shared)
{
	int listener = install();
	*shared = listener;
	if (listener < 0)
		_exit(125);
	raise(SIGSTOP);
	close(listener);
	execvp(command[0], command);
	_exit(127);
}

static inline pid_t notify_start(char **command, int (*install)(void), int *ret_listener)
{
	int status;
	volatile int *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		die("subreaper");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		notify_become(command, install, shared);
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		die("cannot install the filter");
	int process = pidfd_open(pid, 0);
	*ret_listener = pidfd_getfd(process, *shared, 0);
	if (*ret_listener < 0)
		die("cannot fetch the listener");
	close(process);
	kill(pid, SIGCONT);
	return pid;
}

/* The next call that waits for an answer; false when its caller died while it waited. */
static inline bool notify_next(int listener, struct seccomp_notif *ret_call)
{
	*ret_call = (struct seccomp_notif){ 0 };
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, ret_call) == 0;
}

static inline void notify_answer(int listener, struct seccomp_notif_resp *answer)
{
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, answer);
}

/* Until everybody is gone; the exit status of the command, 128 + signal when one ended it. We are the subreaper, and reap at every tick: some kernels count a
 * zombie among the filter's users. */
static inline int notify_serve(int listener, pid_t command, void (*serve_one)(void *ctx), void *ctx)
{
	enum { TICK_MS = 50 };
	int status = 0, ended = 0;
	for (;;) {
		struct pollfd p = { .fd = listener, .events = POLLIN };
		(void)poll(&p, 1, TICK_MS);
		if ((p.revents & POLLIN) != 0)
			serve_one(ctx);
		else if (p.revents != 0)
			break;
		for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
			if (pid == command)
				ended = status;
	}
	while (waitpid(command, &status, 0) == command)
		ended = status;
	return WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended);
}

#endif
