/* The kernel: who may look into a process, and what a process can give up. Texts in, findings out. */
#include "doctor/machine.h"

#include <stdio.h>

void custos_judge_tracer(const struct custos_machine *m, struct custos_finding *ret)
{
	char pid[16];
	custos_machine_word(m->status, "TracerPid", pid, sizeof pid);
	if (pid[0] == '\0')
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, "mount /proc", "/proc/self/status does not say whether this process is traced");
	else if (strcmp(pid, "0") != 0)
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, "run it without strace, gdb or any other tracer", "this process is traced by process %s", pid);
	else
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "not traced");
}

void custos_judge_ptrace_scope(const struct custos_machine *m, struct custos_finding *ret)
{
	static const char remedy[] = "sysctl kernel.yama.ptrace_scope=2, and the same line in /etc/sysctl.d/";
	if (m->ptrace_scope == NULL)
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, remedy, "the kernel has no Yama: a process can look into others of its user, an SSH agent's for instance");
	else if (m->ptrace_scope[0] == '0')
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, remedy, "ptrace_scope is 0: a process can look into others of its user, an SSH agent's for instance");
	else
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "ptrace_scope is %.1s", m->ptrace_scope);
}

void custos_judge_landlock(const struct custos_machine *m, struct custos_finding *ret)
{
	/* 4 is the first that knows TCP, 3 the first that knows truncation; files are there from 1 on */
	if (m->landlock_version <= 0)
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, "a kernel of 5.13 or newer with landlock in its lsm= list",
		                   "the kernel has no landlock: helper processes keep their user's rights to files");
	else if (m->landlock_version < 4)
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "landlock version %d: files", m->landlock_version);
	else
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "landlock version %d: files and network", m->landlock_version);
}

void custos_judge_seccomp(const struct custos_machine *m, struct custos_finding *ret)
{
	if (m->has_seccomp)
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "system-call filters work");
	else
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, "a kernel with CONFIG_SECCOMP_FILTER, and a container that does not forbid it",
		                   "system-call filters do not work: the courier cannot be confined, and so nothing is released");
}

void custos_judge_lockdown(const struct custos_machine *m, struct custos_finding *ret)
{
	char chosen[32] = "";
	const char *at = m->lockdown == NULL ? NULL : strchr(m->lockdown, '[');
	if (at != NULL)
		snprintf(chosen, sizeof chosen, "%.*s", (int)strcspn(at + 1, "]\n"), at + 1);
	static const char remedy[] = "boot with lockdown=confidentiality where nothing on the machine needs what that forbids";
	if (chosen[0] == '\0')
		custos_finding_set(ret, CUSTOS_VERDICT_INFO, remedy, "the kernel has no lockdown, or does not tell: root can read its memory");
	else if (strcmp(chosen, "none") == 0 || strcmp(chosen, "integrity") == 0)
		custos_finding_set(ret, CUSTOS_VERDICT_INFO, remedy, "lockdown is %s: root can read the kernel's memory", chosen);
	else
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "lockdown is %s", chosen);
}

/* The word number `index` of a line, as an empty or terminated copy. */
static void copy_word(const char *line, size_t index, char *out, size_t size)
{
	for (line += strspn(line, " "); index > 0 && *line != '\0'; index--) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	snprintf(out, size, "%.*s", (int)strcspn(line, " "), line);
}

/* The options of the file system at /proc: "22 27 0:21 / /proc rw,relatime - proc proc rw,hidepid=invisible". */
static bool hides_processes(const char *mounts)
{
	static const char *const hiding[] = { "hidepid=2", "hidepid=invisible", "hidepid=4", "hidepid=ptraceable" };
	bool hidden = false;
	for (const char *line = mounts; line != NULL && *line != '\0';) {
		char text[1024], point[256], options[512];
		size_t len = strcspn(line, "\n");
		snprintf(text, sizeof text, "%.*s", (int)len, line);
		line += len + (line[len] == '\n');
		const char *type = strstr(text, " - proc ");
		copy_word(text, 4, point, sizeof point);
		if (type == NULL || strcmp(point, "/proc") != 0)
			continue;
		/* what was mounted last is what is seen */
		copy_word(type, 3, options, sizeof options);
		hidden = false;
		for (size_t i = 0; i < sizeof hiding / sizeof *hiding; i++)
			hidden = hidden || strstr(options, hiding[i]) != NULL;
	}
	return hidden;
}

void custos_judge_processes(const struct custos_machine *m, struct custos_finding *ret)
{
	if (hides_processes(m->mounts))
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "/proc shows a user only the user's own processes");
	else
		custos_finding_set(ret, CUSTOS_VERDICT_INFO, "mount -o remount,hidepid=invisible /proc, and the same in /etc/fstab; ProtectProc=invisible in a unit",
		                   "every user sees when custos runs and for which host; there is no secret in it");
}
