/* The mapping under an arena or a locked stack.
 *
 * memfd_secret(2) first: the kernel removes such pages from its own direct map, so that not even another process of root
 * reads them by accident. Where the kernel has it not, or has it switched off, mlock'd private pages. What is believed is the
 * return value of each call; there is no third way. Pages are wiped before they go back to the kernel.
 *
 * `mappings` is mutable state of the whole process, like the address space it lists: whoever ends the process from a signal handler has to find
 * every locked page without being told where they are. */
#include "memory/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Debian 12's libc headers do not know it on every architecture; the number is the same on all of them. */
enum { NR_MEMFD_SECRET = 447 };
static const size_t LARGEST = (size_t)1 << 30;

static struct custos_pages mappings[CUSTOS_PAGES_MAX];

static struct custos_pages *entry_of(const uint8_t *base)
{
	for (size_t i = 0; i < CUSTOS_PAGES_MAX; i++)
		if (mappings[i].base == base)
			return &mappings[i];
	return NULL;
}

static bool map_memfd_secret(uint8_t *at, size_t size)
{
	CUSTOS_AUTO_FD fd = (int)syscall(NR_MEMFD_SECRET, O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		return false;
	if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return false;
	/* The mapping is shared: a forked child would read it. WIPEONFORK is refused for it, DONTFORK is not. */
	return madvise(at, size, MADV_DONTFORK) == 0;
}

static bool map_mlock(uint8_t *at, size_t size)
{
	if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return false;
	return madvise(at, size, MADV_DONTDUMP) == 0 && madvise(at, size, MADV_WIPEONFORK) == 0 && mlock(at, size) == 0;
}

static custos_rc refuse(size_t size, int native, struct custos_err *err)
{
	struct rlimit limit = { 0 };
	char text[32] = "unlimited";
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		snprintf(text, sizeof text, "%llu KiB", (unsigned long long)limit.rlim_cur / 1024);
	custos_rc rc = custos_err_set(err, CUSTOS_E_SYSTEM, native, "cannot lock %zu KiB of memory (%s; limit of locked memory: %s)", size / 1024,
	                              strerror(native), text);
	custos_err_hint(err, "raise the limit of locked memory: `ulimit -l`, memlock in limits.conf(5), or LimitMEMLOCK= in a systemd unit");
	return rc;
}

custos_rc custos_pages_map(size_t size, struct custos_pages *ret_pages, struct custos_err *err)
{
	CUSTOS_REQUIRE(size > 0 && size <= LARGEST, err, CUSTOS_E_INTERNAL, "locked mapping of %zu bytes", size);
	struct custos_pages *entry = entry_of(NULL);
	CUSTOS_REQUIRE(entry != NULL, err, CUSTOS_E_SYSTEM, "more than %d locked mappings", CUSTOS_PAGES_MAX);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size = (size + page - 1) / page * page;
	uint8_t *fence = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (fence == MAP_FAILED)
		return refuse(size, errno, err);
	uint8_t *base = fence + page;
	const char *backend = map_memfd_secret(base, size) ? "memfd_secret" : map_mlock(base, size) ? "mlock" : NULL;
	if (backend == NULL) {
		int native = errno;
		munmap(fence, size + 2 * page);
		return refuse(size, native, err);
	}
	/* Touch every page now: memfd_secret hands them out at the first fault, and a fault must not fail in the middle of a release. */
	memset(base, 0, size);
	*entry = (struct custos_pages){ .base = base, .size = size, .backend = backend };
	*ret_pages = *entry;
	return CUSTOS_OK;
}

void custos_pages_unmap(struct custos_pages *pages)
{
	if (pages->base == NULL)
		return;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	explicit_bzero(pages->base, pages->size);
	*entry_of(pages->base) = (struct custos_pages){ 0 };
	munmap(pages->base - page, pages->size + 2 * page);
	*pages = (struct custos_pages){ 0 };
}

size_t custos_pages_locked(void)
{
	size_t total = 0;
	for (size_t i = 0; i < CUSTOS_PAGES_MAX; i++)
		total += mappings[i].size;
	return total;
}

const char *custos_pages_backend(void)
{
	const char *backend = "";
	for (size_t i = 0; i < CUSTOS_PAGES_MAX; i++)
		if (mappings[i].base != NULL && strcmp(backend, "mlock") != 0)
			backend = mappings[i].backend;
	return backend;
}

void custos_pages_wipe_all(const struct custos_pages *spared)
{
	for (size_t i = 0; i < CUSTOS_PAGES_MAX; i++)
		if (mappings[i].base != NULL && (spared == NULL || mappings[i].base != spared->base))
			explicit_bzero(mappings[i].base, mappings[i].size);
}
