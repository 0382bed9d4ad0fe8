/* seccomp(2) through libseccomp: an allow-list that kills, or a list of what other people's code must not do. */
#include "confine/parts.h"

#include <errno.h>
#include <seccomp.h>
#include <sys/socket.h>

/* Since Linux 6.6, on every architecture; libseccomp 2.5 does not know its name. */
enum { FCHMODAT2 = 452 };

void custos_confine_free_filter(struct custos_confinement *c)
{
	if (c->filter != NULL)
		seccomp_release(c->filter);
	c->filter = NULL;
}

static custos_rc new_filter(struct custos_confinement *c, uint32_t otherwise, struct custos_err *err)
{
	CUSTOS_REQUIRE(c->filter == NULL, err, CUSTOS_E_INTERNAL, "system calls are confined twice");
	c->filter = seccomp_init(otherwise);
	/* another architecture's calls have other numbers: whoever makes one is not our code */
	CUSTOS_REQUIRE(c->filter != NULL && seccomp_attr_set(c->filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0, err, CUSTOS_E_SYSTEM,
	               "a system-call filter cannot be made");
	/* a tree instead of a list: a call costs the same wherever it stands */
	(void)seccomp_attr_set(c->filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	return CUSTOS_OK;
}

custos_rc custos_confinement_only_calls(struct custos_confinement *c, const struct custos_confine_call *calls, size_t count, struct custos_err *err)
{
	CUSTOS_TRY(new_filter(c, SCMP_ACT_KILL_PROCESS, err));
	for (size_t i = 0; i < count; i++) {
		if (calls[i].number < 0)
			continue;
		const struct scmp_arg_cmp condition = { .arg = calls[i].argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = calls[i].mask, .datum_b = calls[i].value };
		int failed = seccomp_rule_add_array(c->filter, SCMP_ACT_ALLOW, calls[i].number, calls[i].mask != 0, &condition);
		CUSTOS_REQUIRE(failed == 0, err, CUSTOS_E_SYSTEM, "a system-call filter cannot be made: %s", strerror(-failed));
	}
	return CUSTOS_OK;
}

static custos_rc deny(struct custos_confinement *c, int call, struct custos_err *err)
{
	CUSTOS_REQUIRE(call < 0 || seccomp_rule_add(c->filter, SCMP_ACT_ERRNO(EACCES), call, 0) == 0, err, CUSTOS_E_SYSTEM, "a system-call filter cannot be made");
	return CUSTOS_OK;
}

static custos_rc deny_family(struct custos_confinement *c, enum scmp_compare how, uint64_t family, struct custos_err *err)
{
	const struct scmp_arg_cmp condition = { .arg = 0, .op = how, .datum_a = family, .datum_b = 0 };
	CUSTOS_REQUIRE(seccomp_rule_add_array(c->filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, &condition) == 0, err, CUSTOS_E_SYSTEM,
	               "a system-call filter cannot be made");
	return CUSTOS_OK;
}

custos_rc custos_confinement_foreign_code(struct custos_confinement *c, enum custos_foreign_code kind, struct custos_err *err)
{
	/* io_uring opens files and sockets that no filter sees; the others lead into a neighbour, out of the mount namespace, or to a file whose path nobody checks */
	static const int ways_around[] = {
#ifndef CUSTOS_SANITIZED
		SCMP_SYS(ptrace), /* a sanitizer looks for leaks by tracing its own process */
#endif
		SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register), SCMP_SYS(process_vm_readv),
		SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd), SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(move_mount),
		SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(pivot_root), SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(init_module),
		SCMP_SYS(finit_module), SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(open_by_handle_at),
		SCMP_SYS(chmod), SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(lchown), SCMP_SYS(fchownat), SCMP_SYS(setxattr), SCMP_SYS(lsetxattr),
		SCMP_SYS(removexattr), SCMP_SYS(lremovexattr), SCMP_SYS(truncate), SCMP_SYS(truncate64), FCHMODAT2,
	};
	enum { FAMILIES = 64 };
	CUSTOS_TRY(new_filter(c, SCMP_ACT_ALLOW, err));
	for (size_t i = 0; i < sizeof ways_around / sizeof *ways_around; i++)
		CUSTOS_TRY(deny(c, ways_around[i], err));
	for (uint64_t family = 0; kind == CUSTOS_FOREIGN_OFFLINE && family < FAMILIES; family++)
		if (family != AF_UNIX && family != AF_NETLINK)
			CUSTOS_TRY(deny_family(c, SCMP_CMP_EQ, family, err));
	/* also what stands above the 32 bits that the kernel will look at */
	return kind == CUSTOS_FOREIGN_OFFLINE ? deny_family(c, SCMP_CMP_GE, FAMILIES, err) : CUSTOS_OK;
}

custos_rc custos_confine_enter_filter(struct custos_confinement *c, struct custos_err *err)
{
	if (c->filter == NULL)
		return CUSTOS_OK;
	int failed = seccomp_load(c->filter);
	if (failed != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, -failed, "this process cannot give up its system calls: %s", strerror(-failed));
	return CUSTOS_OK;
}
