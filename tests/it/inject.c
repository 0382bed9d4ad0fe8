/* inject PID open PATH [write] | inject PID connect: makes a process do that one thing now, as code that took it over would, and lets it go on. Prints "ok" or the name of
 * the error; "dead" when the process did not survive it. For x86-64 (exit 77 elsewhere). Needs the right to trace. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#ifdef __x86_64__

enum { RED_ZONE = 128, PATH_ROOM = 512, SYSCALL_LENGTH = 2 };

static void refuse(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* False when the process has ended. */
static int stops(pid_t pid)
{
	int status = 0;
	return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
}

/* Runs one system call in the process, which stands behind one of its own; -EOWNERDEAD when that was its end. */
static long call_in(pid_t pid, struct user_regs_struct regs, long number, unsigned long a, unsigned long b, unsigned long c)
{
	regs.orig_rax = (unsigned long long)-1;
	regs.rax = (unsigned long long)number;
	regs.rdi = a;
	regs.rsi = b;
	regs.rdx = c;
	regs.rip -= SYSCALL_LENGTH;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &regs) != 0)
		refuse("cannot set registers");
	for (int stop = 0; stop < 2; stop++)
		if (ptrace(PTRACE_SYSCALL, pid, NULL, NULL) != 0 || !stops(pid))
			return -EOWNERDEAD;
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) != 0)
		refuse("cannot read registers");
	return (long)regs.rax;
}

static long do_it(pid_t pid, const struct user_regs_struct *regs, int argc, char **argv)
{
	if (strcmp(argv[2], "connect") == 0)
		return call_in(pid, *regs, SYS_socket, AF_INET, SOCK_STREAM, 0);
	char path[PATH_ROOM];
	unsigned long place = (regs->rsp - RED_ZONE - PATH_ROOM) & ~15ul;
	snprintf(path, sizeof path, "%s", argv[3]);
	struct iovec ours = { path, sizeof path }, theirs = { (void *)place, sizeof path };
	/* a stack on secret pages cannot be written from outside: then the call is made with a path that is none */
	if (process_vm_writev(pid, &ours, 1, &theirs, 1, 0) != (ssize_t)sizeof path)
		place = 0;
	return call_in(pid, *regs, SYS_openat, (unsigned long)AT_FDCWD, place, argc > 4 ? O_WRONLY | O_CREAT | O_CLOEXEC : O_RDONLY | O_CLOEXEC);
}

int main(int argc, char **argv)
{
	struct user_regs_struct regs;
	pid_t pid = argc > 2 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	if (pid <= 0 || (strcmp(argv[2], "connect") != 0 && argc < 4))
		return 2;
	if (ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACESYSGOOD) != 0 || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0 || !stops(pid))
		refuse("cannot stop the process");
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) != 0)
		refuse("cannot read registers");
	if ((long)regs.orig_rax < 0) {
		fprintf(stderr, "inject: the process was not waiting in a system call\n");
		return 3;
	}
	long result = do_it(pid, &regs, argc, argv);
	/* a filter that kills lets the call come back first, and the signal is waiting then */
	if (result >= 0 && call_in(pid, regs, SYS_close, (unsigned long)result, 0, 0) == -EOWNERDEAD)
		result = -EOWNERDEAD;
	if (result != -EOWNERDEAD) {
		/* what it was waiting in is begun again */
		regs.rax = regs.orig_rax;
		regs.orig_rax = (unsigned long long)-1;
		regs.rip -= SYSCALL_LENGTH;
		if (ptrace(PTRACE_SETREGS, pid, NULL, &regs) != 0 || ptrace(PTRACE_DETACH, pid, NULL, NULL) != 0)
			refuse("cannot let go");
	}
	puts(result >= 0 ? "ok" : result == -EOWNERDEAD ? "dead" : strerrorname_np((int)-result));
	return 0;
}

#else

int main(void)
{
	return 77;
}

#endif
