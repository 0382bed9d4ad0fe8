/* Reading a made tree, the probes on this kernel under limits of our choice, and the report that comes out. */
#include "doctor/machine.h"
#include <custos/doctor.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "child.h"

static char root[] = "/tmp/custos-doctor-XXXXXX";

/* A file below the root, with the directories above it. */
static void put(const char *path, const char *text)
{
	char full[PATH_MAX];
	snprintf(full, sizeof full, "%s%s", root, path);
	for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
	if (text == NULL) {
		assert_int_equal(mkdir(full, 0755), 0);
		return;
	}
	CUSTOS_AUTO_FD fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static int make_root(void **state)
{
	(void)state;
	strcpy(strrchr(root, '-'), "-XXXXXX");
	return mkdtemp(root) == NULL;
}

static int remove_root(void **state)
{
	(void)state;
	char command[PATH_MAX + 16];
	snprintf(command, sizeof command, "rm -rf -- %s", root);
	return system(command);
}

#define HEAD "Filename Type Size Used Priority\n"

static void assert_below(const char *swaps, const char *below)
{
	struct custos_machine m;
	put("/proc/swaps", swaps);
	custos_machine_read(root, &m);
	assert_string_equal(m.swap_below == NULL ? "" : m.swap_below, below);
	custos_machine_done(&m);
}

static void swap_is_followed_to_what_it_rests_on(void **state)
{
	(void)state;
	char link[PATH_MAX];
	put("/dev/dm-0", "");
	put("/dev/dm-1", "");
	put("/dev/mapper/other", "");
	snprintf(link, sizeof link, "%s/dev/mapper/swap", root);
	assert_int_equal(symlink("../dm-1", link), 0);
	/* LVM on LUKS, LUKS, a bare partition, and zram with and without a place to write to */
	put("/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-0123456789-luks\n");
	put("/sys/class/block/dm-1/dm/uuid", "LVM-abcdef\n");
	put("/sys/class/block/dm-1/slaves/dm-0", NULL);
	put("/sys/class/block/zram0/backing_dev", "none\n");
	put("/sys/class/block/zram1/backing_dev", "/dev/sda9\n");
	assert_below(HEAD, "");
	assert_below(HEAD "/dev/dm-0 partition 8 0 -2\n", "/dev/dm-0: crypt\n");
	assert_below(HEAD "/dev/mapper/swap partition 8 0 -2\n", "/dev/mapper/swap: crypt\n");
	assert_below(HEAD "/dev/sda2 partition 8 0 -2\n/swap.img file 8 0 -3\n", "/dev/sda2: plain\n");
	assert_below(HEAD "/dev/zram0 partition 8 0 -2\n/dev/zram1 partition 8 0 -3\n", "/dev/zram0: zram\n/dev/zram1: plain\n");
	/* one leg that is not encrypted is enough */
	put("/sys/class/block/dm-1/slaves/sda3", NULL);
	assert_below(HEAD "/dev/dm-1 partition 8 0 -2\n", "/dev/dm-1: plain\n");
	/* a mapping of itself ends somewhere */
	put("/sys/class/block/dm-7/slaves/dm-7", NULL);
	assert_below(HEAD "/dev/dm-7 partition 8 0 -2\n", "/dev/dm-7: plain\n");
	/* a name that tries to leave, and one without a name */
	assert_below(HEAD "/dev/../../../../etc/x partition 8 0 -2\n/dev/ partition 8 0 -2\n", "/dev/../../../../etc/x: plain\n/dev/: plain\n");
}

static void what_is_not_there_is_missing(void **state)
{
	(void)state;
	struct custos_machine m;
	custos_machine_read(root, &m);
	assert_null(m.swaps);
	assert_null(m.ptrace_scope);
	assert_null(m.status);
	assert_int_not_equal(m.lock_dir.error, 0);
	custos_machine_done(&m);

	put("/proc/sys/kernel/yama/ptrace_scope", "2\n");
	put("/proc/cmdline", "");
	put("/run/lock/custos", NULL);
	custos_machine_read(root, &m);
	assert_string_equal(m.ptrace_scope, "2\n");
	/* empty is not missing */
	assert_string_equal(m.cmdline, "");
	assert_int_equal(m.lock_dir.error, 0);
	assert_true(S_ISDIR(m.lock_dir.mode));
	custos_machine_done(&m);
}

static void a_file_without_an_end_is_missing(void **state)
{
	(void)state;
	struct custos_machine m;
	char path[PATH_MAX];
	put("/proc/cmdline", "");
	snprintf(path, sizeof path, "%s/proc/cmdline", root);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/zero", path), 0);
	custos_machine_read(root, &m);
	assert_null(m.cmdline);
	custos_machine_done(&m);
}

static const struct custos_json *check_of(const struct custos_json *report, const char *name)
{
	const struct custos_json *checks = custos_json_get(report, "checks");
	for (size_t i = 0; i < custos_json_count(checks); i++)
		if (strcmp(custos_json_text(custos_json_at(checks, i), "name"), name) == 0)
			return custos_json_at(checks, i);
	fail_msg("no check %s", name);
	return NULL;
}

static void the_report_counts_and_names_the_section(void **state)
{
	(void)state;
	struct custos_json *report = NULL;
	put("/proc/swaps", HEAD "/swap.img file 8 0 -2\n");
	put("/proc/self/status", "TracerPid:\t17\n");
	assert_int_equal(custos_machine_examine(root, &report, NULL), CUSTOS_OK);
	assert_string_equal(custos_json_text(report, "verdict"), "fail");
	assert_string_equal(custos_json_text(check_of(report, "swap"), "verdict"), "warn");
	assert_non_null(strstr(custos_json_text(check_of(report, "swap"), "remedy"), "(HARDENING.md, Swap)"));
	assert_string_equal(custos_json_text(check_of(report, "tracer"), "verdict"), "fail");
	int64_t fails = 0, warns = 0;
	const struct custos_json *checks = custos_json_get(report, "checks");
	for (size_t i = 0; i < custos_json_count(checks); i++) {
		const struct custos_json *check = custos_json_at(checks, i);
		const char *verdict = custos_json_text(check, "verdict");
		fails += strcmp(verdict, "fail") == 0;
		warns += strcmp(verdict, "warn") == 0;
		assert_int_equal(strcmp(verdict, "ok") == 0, custos_json_text(check, "remedy") == NULL);
	}
	assert_int_equal(custos_json_int(report, "fails", -1), fails);
	assert_int_equal(custos_json_int(report, "warns", -1), warns);
	assert_true(fails >= 1 && warns >= 1);
	custos_json_free(report);
}

/* ---- probes, in children with limits of their own ---- */

struct lab {
	rlim_t memlock;
	size_t lockable;
	bool locks_page;
};

static int probes(void *ctx)
{
	const struct lab *lab = ctx;
	struct rlimit limit = { lab->memlock, lab->memlock };
	struct custos_machine m;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return 2;
	if (getuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
		return 3;
	custos_machine_read("", &m);
	custos_machine_probe(&m);
	if (m.lockable != lab->lockable || (m.backend != NULL) != lab->locks_page)
		return 4;
	return m.landlock_version >= 0 ? 0 : 5;
}

static void memory_is_really_locked(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip(); /* the sanitizers' mlock locks nothing */
#endif
	static const struct lab labs[] = {
		{ CUSTOS_LOCKED_ALL_HOSTS, CUSTOS_LOCKED_ALL_HOSTS, true }, { CUSTOS_LOCKED_ALL_HOSTS - 4096, CUSTOS_LOCKED_ONE_HOST, true }, { CUSTOS_LOCKED_ONE_HOST, CUSTOS_LOCKED_ONE_HOST, true },
		{ CUSTOS_LOCKED_ONE_HOST - 4096, 0, true },                { 65536, 0, true },                                              { 0, 0, false },
	};
	for (size_t i = 0; i < sizeof labs / sizeof *labs; i++)
		assert_child_exits(probes, (void *)(uintptr_t)&labs[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(swap_is_followed_to_what_it_rests_on, make_root, remove_root),
		cmocka_unit_test_setup_teardown(what_is_not_there_is_missing, make_root, remove_root),
		cmocka_unit_test_setup_teardown(a_file_without_an_end_is_missing, make_root, remove_root),
		cmocka_unit_test_setup_teardown(the_report_counts_and_names_the_section, make_root, remove_root),
		cmocka_unit_test(memory_is_really_locked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
