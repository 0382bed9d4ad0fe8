/* fault: runs a command and lets something go wrong at one of its system calls, or at one of any process it has started.
 *
 *   fault [-o REPORT] [-p PROGRAM] [-c CALL] [-v VICTIM] [-x LOOKER] [-b PROGRAM:CALLS] [-e STEP] [-l] N ACTION COMMAND…
 *
 * The N-th call that counts (0: none) is hit; with -e every STEP-th after it too. ACTION is kill (SIGKILL, before the call has an effect), short
 * (half of what was to be written is), look (LOOKER runs while the caller stands still) or an error: eio, enospc, eperm, enosys. What counts are
 * the calls of the table below, all of them or those of PROGRAM, or those called CALL, with -b from when PROGRAM has made
 * CALLS calls; kill takes VICTIM instead of the caller.
 *
 * By seccomp user notification: no tracer (TracerPid stays 0), fork and exec are followed, non-dumpable processes are reached, and raw calls are
 * seen as well as libc's. Ends when the last process has ended. REPORT tells how many calls there were and what was hit, with -l every call. As root. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "crash/notify.h"

enum { NAME_MAX_SIZE = 64, PROGRAMS_MAX = 16 };

/* Calls with an effect outside the process, and those that memory is locked with. An openat only when it may write. */
static const struct call {
	int number;
	const char *name;
} calls[] = {
	{ SYS_openat, "openat" },       { SYS_write, "write" },         { SYS_pwrite64, "pwrite64" },   { SYS_writev, "writev" },   { SYS_pwritev, "pwritev" },
	{ SYS_fsync, "fsync" },         { SYS_fdatasync, "fdatasync" }, { SYS_syncfs, "syncfs" },       { SYS_rename, "rename" },   { SYS_renameat, "renameat" },
	{ SYS_renameat2, "renameat2" }, { SYS_unlink, "unlink" },       { SYS_unlinkat, "unlinkat" },   { SYS_link, "link" },       { SYS_linkat, "linkat" },
	{ SYS_mkdir, "mkdir" },         { SYS_mkdirat, "mkdirat" },     { SYS_ftruncate, "ftruncate" }, { SYS_fallocate, "fallocate" }, { SYS_fchmod, "fchmod" },
	{ SYS_sendto, "sendto" },       { SYS_sendmsg, "sendmsg" },     { SYS_connect, "connect" },     { SYS_execve, "execve" },   { SYS_execveat, "execveat" },
	{ SYS_mlock, "mlock" },         { SYS_mlock2, "mlock2" },       { 447, "memfd_secret" },
};
enum { CALLS = sizeof calls / sizeof *calls };

enum doing { KILL, SHORT, LOOK, FAIL };
static const struct action {
	const char *name;
	enum doing doing;
	int error;
} actions[] = {
	{ "kill", KILL, 0 }, { "short", SHORT, 0 }, { "look", LOOK, 0 }, { "eio", FAIL, EIO }, { "enospc", FAIL, ENOSPC }, { "eperm", FAIL, EPERM }, { "enosys", FAIL, ENOSYS },
};

struct program {
	char name[NAME_MAX_SIZE];
	pid_t newest;            /* the process that was seen running it last */
	long calls;
};

struct run {
	const char *report_path, *program, *call, *victim, *looker;
	bool lists;
	char begin_program[NAME_MAX_SIZE];
	long begin_calls;
	long at, step, counted, seen, hits;
	const struct action *action;
	int listener;
	struct program programs[PROGRAMS_MAX];
	size_t program_count;
	FILE *report;
};

static void die(const char *what)
{
	fprintf(stderr, "fault: error: %s: %s\n", what, strerror(errno));
	_exit(125);
}

/* ---- the command's side ---- */

/* openat: only with O_WRONLY, O_RDWR or O_CREAT among its flags; the other calls always. */
static int install_filter(void)
{
	struct sock_filter code[CALLS + 8];
	unsigned short n = 0, to_ask = 0;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	to_ask = CALLS + 4;
	for (int i = 1; i < CALLS; i++, n++)
		code[n] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, (unsigned char)(to_ask - n - 1), 0);
	code[n] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, (unsigned char)(to_ask - n - 2));
	n++;
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
	struct sock_fprog program = { n, code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		die("no-new-privs");
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

/* ---- our side ---- */

static const char *call_name(int number)
{
	for (int i = 0; i < CALLS; i++)
		if (calls[i].number == number)
			return calls[i].name;
	return "?";
}

static struct program *program_of(struct run *run, pid_t pid)
{
	char link[64], path[4096];
	snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
	ssize_t len = readlink(link, path, sizeof path - 1);
	path[len < 0 ? 0 : len] = '\0';
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? "?" : slash + 1;
	struct program *p = run->programs;
	while (p < run->programs + run->program_count && strncmp(p->name, name, sizeof p->name - 1) != 0)
		p++;
	if (p == run->programs + PROGRAMS_MAX)
		p--;
	if (p == run->programs + run->program_count) {
		run->program_count++;
		snprintf(p->name, sizeof p->name, "%s", name);
	}
	p->newest = pid;
	p->calls++;
	return p;
}

/* Writes half of what the caller wants to be written, to the caller's own open file. -1: it could not be done, the call goes on as it is. */
static ssize_t write_half(const struct seccomp_notif *q)
{
	size_t half = (size_t)q->data.args[2] / 2;
	bool at_offset = q->data.nr == SYS_pwrite64;
	if ((q->data.nr != SYS_write && !at_offset) || half == 0)
		return -1;
	int process = pidfd_open((pid_t)q->pid, 0), fd = pidfd_getfd(process, (int)q->data.args[0], 0);
	char *bytes = malloc(half);
	struct iovec local = { bytes, half }, remote = { (void *)(uintptr_t)q->data.args[1], half };
	ssize_t n = -1;
	if (bytes != NULL && fd >= 0 && process_vm_readv((pid_t)q->pid, &local, 1, &remote, 1, 0) == (ssize_t)half)
		n = at_offset ? pwrite(fd, bytes, half, (off_t)q->data.args[3]) : write(fd, bytes, half);
	free(bytes);
	close(fd);
	close(process);
	return n;
}

static void look(const struct run *run, pid_t caller)
{
	char pid[16];
	snprintf(pid, sizeof pid, "%d", (int)caller);
	pid_t looker = fork();
	if (looker == 0) {
		execl(run->looker, run->looker, pid, (char *)NULL);
		_exit(127);
	}
	while (looker > 0 && waitpid(looker, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Whether the caller is gone: it must not be answered then, or its call would have its effect in the moment before it dies. */
static bool kill_victim(const struct run *run, pid_t caller)
{
	pid_t victim = run->victim == NULL ? caller : 0;
	for (size_t i = 0; i < run->program_count && run->victim != NULL; i++)
		if (strcmp(run->programs[i].name, run->victim) == 0)
			victim = run->programs[i].newest;
	/* a victim that has not started yet, or has been reaped, is not there to be killed */
	if (victim > 0)
		kill(victim, SIGKILL);
	return victim == caller;
}

/* Whether the caller is to be answered. */
static bool act(struct run *run, const struct seccomp_notif *q, struct seccomp_notif_resp *answer)
{
	ssize_t n;
	switch (run->action->doing) {
	case KILL:
		return !kill_victim(run, (pid_t)q->pid);
	case LOOK:
		look(run, (pid_t)q->pid);
		break;
	case SHORT:
		n = write_half(q);
		if (n >= 0)
			*answer = (struct seccomp_notif_resp){ .id = q->id, .val = n };
		break;
	case FAIL:
		*answer = (struct seccomp_notif_resp){ .id = q->id, .error = -run->action->error };
		break;
	}
	return true;
}

static bool has_begun(const struct run *run)
{
	for (size_t i = 0; i < run->program_count; i++)
		if (strcmp(run->programs[i].name, run->begin_program) == 0)
			return run->programs[i].calls >= run->begin_calls;
	return run->begin_program[0] == '\0';
}

static void serve_one(void *ctx)
{
	struct run *run = ctx;
	struct seccomp_notif q;
	if (!notify_next(run->listener, &q))
		return;
	struct seccomp_notif_resp answer = { .id = q.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	struct program *program = program_of(run, (pid_t)q.pid);
	run->seen++;
	bool counts = has_begun(run) && (run->program == NULL || strcmp(run->program, program->name) == 0) && (run->call == NULL || strcmp(run->call, call_name(q.data.nr)) == 0);
	run->counted += counts;
	if (run->lists && run->report != NULL)
		fprintf(run->report, "call %ld %s %ld %s\n", run->seen, program->name, program->calls, call_name(q.data.nr));
	long past = run->counted - run->at;
	if (counts && run->at > 0 && (past == 0 || (past > 0 && run->step > 0 && past % run->step == 0))) {
		if (run->hits++ == 0 && run->report != NULL)
			fprintf(run->report, "hit %ld %s %s\n", run->counted, program->name, call_name(q.data.nr));
		if (!act(run, &q, &answer))
			return;
	}
	notify_answer(run->listener, &answer);
}

static int usage(void)
{
	fprintf(stderr, "usage: fault [-o REPORT] [-p PROGRAM] [-c CALL] [-v VICTIM] [-x LOOKER] [-b PROGRAM:CALLS] [-e STEP] [-l] N kill|short|look|eio|enospc|eperm|enosys COMMAND…\n");
	return 2;
}

static bool is_known_call(const char *name)
{
	for (int i = 0; i < CALLS; i++)
		if (strcmp(calls[i].name, name) == 0)
			return true;
	return false;
}

int main(int argc, char **argv)
{
	struct run run = { .listener = -1 };
	for (int option; (option = getopt(argc, argv, "+o:p:c:v:x:b:e:l")) != -1;) {
		switch (option) {
		case 'o': run.report_path = optarg; break;
		case 'p': run.program = optarg; break;
		case 'c': run.call = optarg; break;
		case 'v': run.victim = optarg; break;
		case 'x': run.looker = optarg; break;
		case 'b':
			if (sscanf(optarg, "%63[^:]:%ld", run.begin_program, &run.begin_calls) != 2)
				return usage();
			break;
		case 'e': run.step = atol(optarg); break;
		case 'l': run.lists = true; break;
		default: return usage();
		}
	}
	if (argc - optind < 3 || (run.call != NULL && !is_known_call(run.call)))
		return usage();
	run.at = atol(argv[optind]);
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strcmp(argv[optind + 1], actions[i].name) == 0)
			run.action = &actions[i];
	if (run.action == NULL || (run.action->doing == LOOK && run.looker == NULL))
		return usage();
	if (run.report_path != NULL && (run.report = fopen(run.report_path, "we")) == NULL)
		die(run.report_path);
	pid_t command = notify_start(argv + optind + 2, install_filter, &run.listener);
	int rc = notify_serve(run.listener, command, serve_one, &run);
	for (size_t i = 0; i < run.program_count && run.report != NULL; i++)
		fprintf(run.report, "program %s %ld\n", run.programs[i].name, run.programs[i].calls);
	if (run.report != NULL) {
		fprintf(run.report, "calls %ld\ncounted %ld\nexit %d\n", run.seen, run.counted, rc);
		if (fclose(run.report) != 0)
			die(run.report_path);
	}
	return rc;
}
