/* Memory: where pages may end up that are not locked, and whether there is enough that can be. Texts in, findings out. */
#include "doctor/machine.h"
#include "base/text.h"

#include <stdio.h>

/* One line of /proc/swaps: name, type, size …; what it rests on comes from `below`. Block devices only have a line there. */
static bool is_harmless(const char *name, const char *below)
{
	char kind[32];
	custos_machine_word(below, name, kind, sizeof kind);
	return strcmp(kind, "crypt") == 0 || strcmp(kind, "zram") == 0;
}

void custos_judge_swap(const struct custos_machine *m, struct custos_finding *ret)
{
	char bad[256] = "";
	size_t areas = 0;
	if (m->swaps == NULL) {
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, "mount /proc", "/proc/swaps cannot be read, so whether there is swap is not known");
		return;
	}
	const char *line = strchr(m->swaps, '\n'); /* the first line is the heading */
	for (; line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n')) {
		char name[128];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 1, " \t\n"), line + 1);
		if (name[0] == '\0')
			continue;
		areas++;
		if (!is_harmless(name, m->swap_below)) {
			size_t used = strlen(bad);
			snprintf(bad + used, sizeof bad - used, "%s%s", used == 0 ? "" : ", ", name);
		}
	}
	if (bad[0] != '\0')
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, "swapoff -a and take it out of /etc/fstab, or put it on dm-crypt with a random key, or use zram",
		                   "swap that is not encrypted: %s", bad);
	else if (areas > 0)
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "%zu swap area%s, encrypted or in memory", areas, areas == 1 ? "" : "s");
	else
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "no swap");
}

void custos_judge_hibernation(const struct custos_machine *m, struct custos_finding *ret)
{
	char resume[32] = "";
	bool able = m->power_state != NULL && strstr(m->power_state, "disk") != NULL;
	if (m->power_resume != NULL)
		snprintf(resume, sizeof resume, "%.*s", (int)strcspn(m->power_resume, " \t\n"), m->power_resume);
	bool ready = resume[0] != '\0' && strcmp(resume, "0:0") != 0;
	static const char remedy[] = "systemctl mask hibernate.target hybrid-sleep.target suspend-then-hibernate.target, and boot with nohibernate";
	if (able && ready)
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, remedy, "this machine can hibernate: all of its memory would be written to device %s", resume);
	else if (able)
		custos_finding_set(ret, CUSTOS_VERDICT_INFO, remedy, "the kernel can hibernate, no device to resume from is set");
	else
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "this machine cannot hibernate");
}

void custos_judge_core_dumps(const struct custos_machine *m, struct custos_finding *ret)
{
	static const char ours[] = "processes of custos leave none";
	if (m->core_pattern == NULL)
		custos_finding_set(ret, CUSTOS_VERDICT_INFO, "mount /proc", "/proc/sys/kernel/core_pattern cannot be read; %s", ours);
	else if (m->core_pattern[0] == '|')
		custos_finding_set(ret, CUSTOS_VERDICT_INFO, "for the PKCS#11 vendor's daemons and an SSH agent: sysctl kernel.core_pattern=core, and LimitCORE=0 in their units",
		                   "core dumps of other programs go to %.*s; %s", (int)strcspn(m->core_pattern + 1, " \t\n"), m->core_pattern + 1, ours);
	else
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "core dumps of other programs go to files; %s", ours);
}

/* "Max locked memory         8388608              8388608              bytes" */
static void soft_limit(const char *limits, char *out, size_t size)
{
	static const char row[] = "Max locked memory";
	const char *at = limits == NULL ? NULL : strstr(limits, row);
	if (at != NULL)
		at += sizeof row - 1;
	while (at != NULL && *at == ' ')
		at++;
	snprintf(out, size, "%.*s", at == NULL ? 0 : (int)strcspn(at, " \n"), at == NULL ? "" : at);
}

void custos_judge_locked_memory(const struct custos_machine *m, struct custos_finding *ret)
{
	char limit[32], words[64] = "the limit is not known";
	uint64_t bytes = 0;
	soft_limit(m->limits, limit, sizeof limit);
	if (strcmp(limit, "unlimited") == 0)
		snprintf(words, sizeof words, "no limit");
	else if (custos_text_u64(limit, 0, UINT64_MAX, &bytes))
		snprintf(words, sizeof words, "the limit is %llu KiB", (unsigned long long)(bytes / 1024));
	/* what was really locked is what counts: CAP_IPC_LOCK lifts the limit, and a container's capability does not */
	static const char remedy[] = "ulimit -l 8192, memlock in limits.conf(5), or LimitMEMLOCK=8M in the unit";
	if (m->lockable >= CUSTOS_LOCKED_ALL_HOSTS)
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "%d MiB can be locked (%s)", CUSTOS_LOCKED_ALL_HOSTS >> 20, words);
	else if (m->lockable >= CUSTOS_LOCKED_ONE_HOST)
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, remedy, "%d MiB can be locked, enough for one host in a group but not for %d MiB (%s)",
		                   CUSTOS_LOCKED_ONE_HOST >> 20, CUSTOS_LOCKED_ALL_HOSTS >> 20, words);
	else
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, remedy, "%d MiB of memory, which a release to one host needs, cannot be locked (%s)",
		                   CUSTOS_LOCKED_ONE_HOST >> 20, words);
}

void custos_judge_secret_memory(const struct custos_machine *m, struct custos_finding *ret)
{
	if (m->backend == NULL)
		custos_finding_set(ret, CUSTOS_VERDICT_FAIL, "see locked-memory", "no memory can be locked, neither by memfd_secret nor by mlock");
	else if (strcmp(m->backend, "memfd_secret") == 0)
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "memfd_secret: locked pages are taken out of the kernel's own map");
	else
		custos_finding_set(ret, CUSTOS_VERDICT_WARN, "boot with secretmem.enable=1 (kernels before 6.5 have it off), and let the unit's system-call filter pass memfd_secret",
		                   "%s only: root and the kernel can read locked pages", m->backend);
}

void custos_judge_freed_pages(const struct custos_machine *m, struct custos_finding *ret)
{
	char word[16];
	custos_machine_word(m->cmdline, "init_on_free", word, sizeof word);
	bool built_in = m->kernel_config != NULL && strstr(m->kernel_config, "\nCONFIG_INIT_ON_FREE_DEFAULT_ON=y\n") != NULL;
	/* as the kernel reads it: kstrtobool() */
	bool on = word[0] == '\0' ? built_in : strchr("1yYtT", word[0]) != NULL || strcasecmp(word, "on") == 0;
	if (on)
		custos_finding_set(ret, CUSTOS_VERDICT_OK, NULL, "the kernel zeroes pages when they are freed");
	else
		custos_finding_set(ret, CUSTOS_VERDICT_INFO, "boot with init_on_free=1", "the kernel does not zero freed pages; custos wipes its own, others leave theirs");
}
