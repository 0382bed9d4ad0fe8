/* Closing the doors of a process: no core, no debugger, no new privileges, no file that others may read. Each setting is read back. */
#include "memory/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static custos_rc switch_off_cores(struct custos_err *err)
{
	/* RLIMIT_CORE alone is not enough: it is ignored when cores go to a pipe, and a core holds the registers too. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot make this process non-dumpable");
	struct rlimit none = { 0, 0 }, now = { 1, 1 };
	if (setrlimit(RLIMIT_CORE, &none) != 0 || getrlimit(RLIMIT_CORE, &now) != 0 || now.rlim_cur != 0 || now.rlim_max != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot switch off core dumps");
	return CUSTOS_OK;
}

/* The text of /proc/self/status, cut at `room`: TracerPid stands among its first lines. */
static custos_rc read_status(char *text, size_t room, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	while (fd >= 0 && len < room - 1) {
		ssize_t got = read(fd, text + len, room - 1 - len);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	text[len] = '\0';
	if (len == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_SYSTEM, "mount /proc", "cannot read /proc/self/status, so whether this process is traced is not known");
	return CUSTOS_OK;
}

static custos_rc refuse_tracer(struct custos_err *err)
{
	char text[4096];
	static const char field[] = "\nTracerPid:\t";
	CUSTOS_TRY(read_status(text, sizeof text, err));
	const char *at = strstr(text, field);
	CUSTOS_REQUIRE(at != NULL, err, CUSTOS_E_SYSTEM, "/proc/self/status does not say whether this process is traced");
	at += sizeof field - 1;
	if (at[0] != '0' || at[1] != '\n')
		CUSTOS_FAIL_HINT(err, CUSTOS_E_SYSTEM, "run it without strace, gdb or any other tracer",
		                 "this process is traced (by process %.*s); no secret may enter it", (int)strcspn(at, "\n"), at);
	return CUSTOS_OK;
}

custos_rc custos_harden_process(struct custos_err *err)
{
	umask(077);
	CUSTOS_TRY(switch_off_cores(err));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot give up new privileges");
	/* Last: from here on nobody can attach who was not attached before. */
	return refuse_tracer(err);
}

custos_rc custos_harden_limits(struct custos_err *err)
{
	const struct rlimit none = { 0, 0 };
	if (setrlimit(RLIMIT_NPROC, &none) != 0 || setrlimit(RLIMIT_FSIZE, &none) != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot give up processes and files: %s", strerror(errno));
	return CUSTOS_OK;
}
