/* Starting and ending the helpers. Nothing but the channel is inherited: not a descriptor, and for the courier not an
 * environment variable. What was opened (and hashed) is what is executed. */
#include "link/spawn.h"
#include "base/clock.h"
#include "confine/confinement.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { SEND_S = 20 };

const char *custos_helper_directory(void)
{
	return CUSTOS_HELPER_DIR;
}

custos_rc custos_helper_open(const char *name, int *ret_fd, struct custos_err *err)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", CUSTOS_HELPER_DIR, name);
	CUSTOS_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_SYSTEM,
		                 "custos and its helpers are installed together; reinstall, or build with a preset to run from the build directory",
		                 "cannot open the helper %s: %s", path, strerror(errno));
	struct stat st;
	CUSTOS_REQUIRE(fstat(fd, &st) == 0 && S_ISREG(st.st_mode), err, CUSTOS_E_SYSTEM, "the helper %s is not a regular file", path);
	CUSTOS_REQUIRE((st.st_uid == 0 || st.st_uid == geteuid()) && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0, err, CUSTOS_E_SYSTEM,
	               "the helper %s can be written by others", path);
	*ret_fd = custos_take_fd(&fd);
	return CUSTOS_OK;
}

extern char **environ;

/* Between fork and exec: only async-signal-safe calls. No death signal is set: a helper sees the channel close and ends in its own way. */
static void become_helper(int exe_fd, int channel_fd, const char *name, unsigned flags, struct custos_confinement *confinement)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (confinement != NULL && custos_confinement_enter(confinement, NULL) != CUSTOS_OK)
		_exit(127);
	/* move both out of the way of descriptors 0 to 4 first: a keeper that was started without stdin has one of them there */
	int channel_high = fcntl(channel_fd, F_DUPFD, 10), exe_high = fcntl(exe_fd, F_DUPFD, 10);
	int null_fd = open("/dev/null", O_RDWR);
	if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0)
		_exit(127);
	/* what stands at 2 without being inheritable is no stderr; left closed, the helper's first file would become it */
	int stderr_flags = fcntl(STDERR_FILENO, F_GETFD);
	if ((stderr_flags < 0 || (stderr_flags & FD_CLOEXEC) != 0) && dup2(null_fd, STDERR_FILENO) < 0)
		_exit(127);
	if (channel_high < 0 || exe_high < 0 || dup2(channel_high, CUSTOS_HELPER_FD) < 0 || dup2(exe_high, CUSTOS_HELPER_FD + 1) < 0)
		_exit(127);
	if (fcntl(CUSTOS_HELPER_FD + 1, F_SETFD, FD_CLOEXEC) < 0 || syscall(SYS_close_range, CUSTOS_HELPER_FD + 2, ~0u, 0) != 0)
		_exit(127);
	char *const argv[] = { (char *)(uintptr_t)name, NULL };
	/* with a time zone libc never looks for one in a file */
	char zone[] = "TZ=UTC0";
	char *const clean[] = { zone, NULL };
	fexecve(CUSTOS_HELPER_FD + 1, argv, (flags & CUSTOS_SPAWN_CLEAN_ENVIRONMENT) != 0 ? clean : environ);
	_exit(127);
}

custos_rc custos_helper_start(int exe_fd, const char *name, unsigned flags, struct custos_confinement *confinement, const struct custos_link_protocol *protocol,
                              struct custos_helper *ret_helper, struct custos_err *err)
{
	int pair[2];
	CUSTOS_REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, err, CUSTOS_E_SYSTEM,
	               "cannot make a channel to %s: %s", name, strerror(errno));
	CUSTOS_AUTO_FD ours = pair[0];
	CUSTOS_AUTO_FD theirs = pair[1];
	/* room for a frame of the greatest length, whatever the system's default is */
	int room = 4 * CUSTOS_FRAME_BODY_MAX;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	/* a helper that asks and does not listen must not hold its keeper up for ever */
	const struct timeval patience = { .tv_sec = SEND_S };
	CUSTOS_REQUIRE(setsockopt(ours, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0, err, CUSTOS_E_SYSTEM,
	               "cannot make a channel to %s: %s", name, strerror(errno));
	pid_t pid = fork();
	CUSTOS_REQUIRE(pid >= 0, err, CUSTOS_E_SYSTEM, "cannot start %s: %s", name, strerror(errno));
	if (pid == 0)
		become_helper(exe_fd, theirs, name, flags, confinement);
	*ret_helper = (struct custos_helper){
		.pid = pid,
		.channel = { .fd = custos_take_fd(&ours), .side = CUSTOS_SIDE_KEEPER, .protocol = protocol, .peer = name },
	};
	return CUSTOS_OK;
}

int custos_helper_stop(struct custos_helper *helper, int grace_ms)
{
	int status = 0;
	custos_channel_close(&helper->channel);
	if (helper->pid <= 0)
		return 0;
	int pidfd = (int)syscall(SYS_pidfd_open, helper->pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int64_t deadline = custos_clock_monotonic_ms() + grace_ms;
	int ready = 0;
	do {
		int64_t left = deadline - custos_clock_monotonic_ms();
		ready = pidfd < 0 ? 0 : poll(&p, 1, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		kill(helper->pid, SIGKILL);
	while (waitpid(helper->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pidfd >= 0)
		close(pidfd);
	helper->pid = 0;
	return status;
}

custos_rc custos_helper_attach(const struct custos_link_protocol *protocol, struct custos_channel *ret_channel, struct custos_err *err)
{
	int type = 0;
	socklen_t len = sizeof type;
	if (getsockopt(CUSTOS_HELPER_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "it is started by custos and is of no use alone", "this program was not started by custos");
	fcntl(CUSTOS_HELPER_FD, F_SETFD, FD_CLOEXEC);
	*ret_channel = (struct custos_channel){ .fd = CUSTOS_HELPER_FD, .side = CUSTOS_SIDE_HELPER, .protocol = protocol, .peer = "keeper" };
	return CUSTOS_OK;
}
