/* What the courier gives up once it has everything it needs, before it says a word to the keeper or hears one from outside: root and every capability, every
 * file, every system call but those for working on descriptors it was handed, memory that could be executed. It cannot open, connect, fork,
 * execute or be traced by its user; whatever it wants beyond that it asks the keeper for. */
#include "courier/courier.h"

#include "confine/confinement.h"
#include "memory/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef CUSTOS_SANITIZED

/* Nothing that opens, connects, starts or changes a right; the numbers are the kernel's, and a processor has not all of them. */
static custos_rc allow_calls(struct custos_confinement *confinement, enum custos_courier_job job, struct custos_err *err)
{
	const uint64_t whole = UINT64_MAX;
	/* a terminal's settings, for those that are given one; of the other requests one types into it in its owner's name (TIOCSTI) */
	const int terminal = job == CUSTOS_JOB_SPLIT || job == CUSTOS_JOB_COMBINE ? SYS_ioctl : -1;
	const struct custos_confine_call calls[] = {
		/* the channel and the sockets that came through it */
		{ SYS_recvmsg, 0, 0, 0 }, { SYS_sendmsg, 0, 0, 0 }, { SYS_recvfrom, 0, 0, 0 }, { SYS_sendto, 0, 0, 0 }, { SYS_read, 0, 0, 0 }, { SYS_write, 0, 0, 0 },
		{ SYS_close, 0, 0, 0 }, { SYS_ppoll, 0, 0, 0 }, { SYS_fcntl, 1, whole, F_GETFL }, { SYS_fcntl, 1, whole, F_SETFL },
		{ SYS_getsockopt, 0, 0, 0 },
#ifdef SYS_poll
		{ SYS_poll, 0, 0, 0 },
#endif
		/* the file of a login key, which came through it too */
		{ SYS_pread64, 0, 0, 0 }, { SYS_fstat, 0, 0, 0 }, { SYS_newfstatat, 3, whole, AT_EMPTY_PATH },
		{ terminal, 1, whole, TCGETS }, { terminal, 1, whole, TCSETS }, { terminal, 1, whole, TCSETSW }, { terminal, 1, whole, TCSETSF },
		/* memory, never executable */
		{ SYS_brk, 0, 0, 0 }, { SYS_mmap, 2, PROT_EXEC, 0 }, { SYS_munmap, 0, 0, 0 }, { SYS_mremap, 0, 0, 0 }, { SYS_madvise, 0, 0, 0 },
		/* time, random numbers, libcrypto's locks; qsort() asks how much memory there is */
		{ SYS_clock_gettime, 0, 0, 0 }, { SYS_restart_syscall, 0, 0, 0 }, { SYS_gettimeofday, 0, 0, 0 }, { SYS_getrandom, 0, 0, 0 }, { SYS_futex, 0, 0, 0 }, { SYS_getpid, 0, 0, 0 },
		{ SYS_sysinfo, 0, 0, 0 },
		/* the watchdog and the end; abort() too ends in the epilogue */
		{ SYS_setitimer, 0, 0, 0 }, { SYS_rt_sigprocmask, 0, 0, 0 }, { SYS_gettid, 0, 0, 0 }, { SYS_tgkill, 0, whole, (uint64_t)getpid() }, { SYS_exit_group, 0, 0, 0 },
	};
	return custos_confinement_only_calls(confinement, calls, sizeof calls / sizeof *calls, err);
}

/* By number as root and by capability as anybody else: nothing is kept that a unit file may have given to the keeper. */
static custos_rc leave_root(struct custos_err *err)
{
	if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(CUSTOS_COURIER_UID, CUSTOS_COURIER_UID, CUSTOS_COURIER_UID) != 0 ||
	                       setresuid(CUSTOS_COURIER_UID, CUSTOS_COURIER_UID, CUSTOS_COURIER_UID) != 0))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_SYSTEM, "work as a user that is not root, or in a place where root can become another user", "custos-courier cannot leave root: %s",
		                 strerror(errno));
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };
	CUSTOS_REQUIRE(syscall(SYS_capset, &header, none) == 0, err, CUSTOS_E_SYSTEM, "custos-courier cannot give up its capabilities: %s", strerror(errno));
	/* a change of user sets it back to what the system likes best */
	return custos_harden_process(err);
}

static custos_rc enter(enum custos_courier_job job, struct custos_err *err)
{
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	CUSTOS_TRY(leave_root(err));
	CUSTOS_TRY(custos_harden_limits(err));
	CUSTOS_TRY(custos_confinement_new(&confinement, err));
	CUSTOS_TRY(custos_confinement_nothing(confinement, err));
	CUSTOS_TRY(allow_calls(confinement, job, err));
	return custos_confinement_enter(confinement, err);
}

#endif

custos_rc custos_courier_enter_sandbox(enum custos_courier_job job, struct custos_err *err)
{
#ifdef CUSTOS_SANITIZED
	/* the sanitizers open files and read maps at any time */
	(void)job, (void)err;
	return CUSTOS_OK;
#else
	return enter(job, err);
#endif
}
