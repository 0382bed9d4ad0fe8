/* Locked pages as the kernel sees them: guards, forks, dumps, limits. Each case in a child of its own, with pages of its own. */
#include "memory/pages.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "child.h"
#include "ownmemory.h"

enum { SIZE = 64 * 1024, NR_MEMFD_SECRET = 447 };

/* From now on this system call fails: the kernel without memfd_secret, or the process that may not lock. */
static bool deny(unsigned number, unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

struct step {
	bool without_memfd_secret;
	ptrdiff_t offset;
};

static int touch(void *ctx)
{
	const struct step *step = ctx;
	struct custos_pages pages = { 0 };
	if (step->without_memfd_secret && !deny(NR_MEMFD_SECRET, ENOSYS))
		return 2;
	if (custos_pages_map(SIZE, &pages, NULL) != CUSTOS_OK)
		return 3;
	pages.base[0] = pages.base[SIZE - 1] = 1;
	*(volatile uint8_t *)(pages.base + step->offset) = 1;
	custos_pages_unmap(&pages);
	return pages.base == NULL ? 0 : 4;
}

static void guard_pages_fault(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_child_exits(touch, &(struct step){ i, 0 }, 0);
		assert_child_exits(touch, &(struct step){ i, SIZE - 1 }, 0);
		assert_child_dies(touch, &(struct step){ i, -1 }, SIGSEGV);
		assert_child_dies(touch, &(struct step){ i, -4096 }, SIGSEGV);
		assert_child_dies(touch, &(struct step){ i, SIZE }, SIGSEGV);
		assert_child_dies(touch, &(struct step){ i, SIZE + 4095 }, SIGSEGV);
	}
}

static int read_byte(void *ctx)
{
	return *(volatile uint8_t *)ctx;
}

static int fork_after(void *ctx)
{
	const struct step *step = ctx;
	struct custos_pages pages = { 0 };
	if (step->without_memfd_secret && !deny(NR_MEMFD_SECRET, ENOSYS))
		return 2;
	if (custos_pages_map(SIZE, &pages, NULL) != CUSTOS_OK)
		return 3;
	pages.base[5] = 77;
	int status = in_child(read_byte, pages.base + 5);
	bool hidden = strcmp(pages.backend, "mlock") == 0 ? WIFEXITED(status) && WEXITSTATUS(status) == 0 : WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
	return hidden && pages.base[5] == 77 ? 0 : 4;
}

static void a_forked_child_sees_nothing(void **state)
{
	(void)state;
	assert_child_exits(fork_after, &(struct step){ .without_memfd_secret = false }, 0);
	assert_child_exits(fork_after, &(struct step){ .without_memfd_secret = true }, 0);
}

/* The kernel's own word for it, not ours. */
static int flags_of_pages(void *ctx)
{
	const struct step *step = ctx;
	struct custos_pages pages = { 0 };
	if (step->without_memfd_secret && !deny(NR_MEMFD_SECRET, ENOSYS))
		return 2;
	if (custos_pages_map(SIZE, &pages, NULL) != CUSTOS_OK)
		return 3;
	if (step->without_memfd_secret != (strcmp(pages.backend, "mlock") == 0) && step->without_memfd_secret)
		return 4;
	struct mapping m = mapping_of(pages.base);
	bool forks_well = strcmp(pages.backend, "mlock") == 0 ? m.wiped_on_fork : m.not_forked;
	bool sized = m.low == (uintptr_t)pages.base && m.high == (uintptr_t)pages.base + SIZE;
	struct mapping below = mapping_of(pages.base - 1), above = mapping_of(pages.base + SIZE);
	/* reserved, not just free by chance */
	bool guarded = below.low != 0 && above.low != 0 && !below.readable && !above.readable;
	return m.locked && m.undumped && forks_well && sized && guarded ? 0 : 5;
}

static void the_kernel_calls_them_locked(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip(); /* AddressSanitizer turns mlock into nothing */
#endif
	assert_child_exits(flags_of_pages, &(struct step){ .without_memfd_secret = false }, 0);
	assert_child_exits(flags_of_pages, &(struct step){ .without_memfd_secret = true }, 0);
}

static bool is_refusal(custos_rc rc, const struct custos_err *err, const struct custos_pages *pages)
{
	return rc == CUSTOS_E_SYSTEM && err->native != 0 && strstr(err->msg, "cannot lock 64 KiB") != NULL && err->hint[0] != '\0' && pages->base == NULL;
}

struct limit {
	unsigned long bytes;
	const char *named;
};

static int limited(void *ctx)
{
	const struct limit *limit = ctx;
	struct rlimit now = { limit->bytes, limit->bytes };
	struct custos_pages pages = { 0 };
	struct custos_err err = { 0 };
	/* root locks whatever the limit says */
	if (setrlimit(RLIMIT_MEMLOCK, &now) != 0)
		return 2;
	if (getuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
		return 3;
	custos_rc rc = custos_pages_map(SIZE, &pages, &err);
	if (rc == CUSTOS_OK)
		return 10;
	return is_refusal(rc, &err, &pages) && strstr(err.msg, limit->named) != NULL ? 11 : 4;
}

static void a_limit_too_low_is_a_refusal(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip();
#endif
	assert_child_exits(limited, &(struct limit){ 0, "0 KiB" }, 11);
	assert_child_exits(limited, &(struct limit){ SIZE - 4096, "60 KiB" }, 11);
	assert_child_exits(limited, &(struct limit){ 2 * SIZE, "" }, 10);
}

static int mlock_denied(void *ctx)
{
	(void)ctx;
	struct custos_pages pages = { 0 };
	struct custos_err err = { 0 };
	if (!deny(NR_MEMFD_SECRET, ENOSYS) || !deny(SYS_mlock, EPERM))
		return 2;
	custos_rc rc = custos_pages_map(SIZE, &pages, &err);
	return is_refusal(rc, &err, &pages) && err.native == EPERM ? 0 : 4;
}

static void no_lock_no_pages(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip();
#endif
	assert_child_exits(mlock_denied, NULL, 0);
}

static void the_process_knows_its_mappings(void **state)
{
	(void)state;
	struct custos_pages some[3] = { { 0 } };
	struct custos_err err = { 0 };
	assert_int_equal(custos_pages_locked(), 0);
	assert_string_equal(custos_pages_backend(), "");
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(custos_pages_map(SIZE, &some[i], &err), CUSTOS_OK);
		memset(some[i].base, 0xa5, SIZE);
	}
	assert_int_equal(custos_pages_locked(), 3 * SIZE);
	assert_string_equal(custos_pages_backend(), some[0].backend);
	custos_pages_wipe_all(&some[1]);
	for (size_t i = 0; i < SIZE; i++)
		assert_true(some[0].base[i] == 0 && some[1].base[i] == 0xa5 && some[2].base[i] == 0);
	custos_pages_wipe_all(NULL);
	assert_int_equal(some[1].base[SIZE - 1], 0);
	custos_pages_unmap(&some[1]);
	assert_int_equal(custos_pages_locked(), 2 * SIZE);
	custos_pages_unmap(&some[0]);
	custos_pages_unmap(&some[2]);
	assert_int_equal(custos_pages_locked(), 0);
}

static int one_weak_mapping(void *ctx)
{
	(void)ctx;
	struct custos_pages first = { 0 }, second = { 0 }, third = { 0 };
	struct custos_err err = { 0 };
	if (custos_pages_map(SIZE, &first, &err) != CUSTOS_OK || !deny(NR_MEMFD_SECRET, ENOSYS) || custos_pages_map(SIZE, &second, &err) != CUSTOS_OK)
		return 2;
	/* what is logged is the weakest */
	if (strcmp(second.backend, "mlock") != 0 || strcmp(custos_pages_backend(), "mlock") != 0)
		return 3;
	custos_pages_unmap(&second);
	if (strcmp(custos_pages_backend(), first.backend) != 0)
		return 4;
	/* no more than can be found again at the end */
	for (int i = 1; i < CUSTOS_PAGES_MAX; i++)
		if (custos_pages_map(4096, &second, &err) != CUSTOS_OK)
			return 5;
	return custos_pages_map(4096, &third, &err) == CUSTOS_E_SYSTEM && third.base == NULL ? 0 : 6;
}

static void the_weakest_backend_is_named(void **state)
{
	(void)state;
	assert_child_exits(one_weak_mapping, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guard_pages_fault),
		cmocka_unit_test(a_forked_child_sees_nothing),
		cmocka_unit_test(the_kernel_calls_them_locked),
		cmocka_unit_test(a_limit_too_low_is_a_refusal),
		cmocka_unit_test(no_lock_no_pages),
		cmocka_unit_test(the_process_knows_its_mappings),
		cmocka_unit_test(the_weakest_backend_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
