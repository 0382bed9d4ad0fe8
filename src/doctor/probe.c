/* What no file tells: the doctor does what a release will do, and sees whether it works. */
#include "doctor/machine.h"
#include "base/text.h"
#include "confine/confinement.h"
#include "memory/pages.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>

/* Bytes this process has locked already ("VmLck:     256 kB"): a courier starts without them. */
static size_t locked_already(const char *status)
{
	char word[32];
	uint64_t kib = 0;
	custos_machine_word(status, "VmLck", word, sizeof word);
	return custos_text_u64(word, 0, SIZE_MAX / 1024, &kib) ? (size_t)kib * 1024 : 0;
}

/* Whether as much can be locked as in a process that has `already` less. Says how in *ret_backend. */
static bool can_lock(size_t size, size_t already, const char **ret_backend)
{
	struct custos_pages pages = { 0 };
	if (size <= already || custos_pages_map(size - already, &pages, NULL) != CUSTOS_OK)
		return false;
	*ret_backend = pages.backend;
	custos_pages_unmap(&pages);
	return true;
}

static bool has_seccomp(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

void custos_machine_probe(struct custos_machine *m)
{
	static const size_t sizes[] = { CUSTOS_LOCKED_ALL_HOSTS, CUSTOS_LOCKED_ONE_HOST };
	const char *backend = NULL;
	size_t already = locked_already(m->status);
	/* a page first: which backend there is is a question of its own */
	(void)can_lock(already + 1, already, &m->backend);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && m->lockable == 0; i++)
		if (can_lock(sizes[i], already, &backend))
			m->lockable = sizes[i];
	m->landlock_version = custos_confine_landlock_version();
	m->has_seccomp = has_seccomp();
}
