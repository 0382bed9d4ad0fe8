/* Every check, fed with the texts of machines that are well, could be better, or are unfit; and with texts that make no sense. */
#include "doctor/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

enum { OK = CUSTOS_VERDICT_OK, INFO = CUSTOS_VERDICT_INFO, WARN = CUSTOS_VERDICT_WARN, FAIL = CUSTOS_VERDICT_FAIL };

static void judge(const char *check, const struct custos_machine *machine, struct custos_finding *ret)
{
	for (const struct custos_check *c = custos_checks; c->name != NULL; c++)
		if (strcmp(c->name, check) == 0) {
			memset(ret, 0, sizeof *ret);
			c->judge(machine, ret);
			return;
		}
	fail_msg("there is no check %s", check);
}

/* `says` is part of what was found; what is not ok has a remedy, what is ok has none. */
static void expect_finding(const char *check, const struct custos_machine *machine, unsigned verdict, const char *says)
{
	struct custos_finding f;
	judge(check, machine, &f);
	if (f.verdict != verdict || strstr(f.found, says) == NULL)
		fail_msg("%s: verdict %d instead of %u, \"%s\" instead of \"…%s…\"", check, (int)f.verdict, verdict, f.found, says);
	assert_int_equal(f.remedy[0] == '\0', verdict == OK);
	assert_null(strchr(f.found, '\n'));
	assert_null(strchr(f.remedy, '\n'));
}

#define MACHINE(...) (&(struct custos_machine){ __VA_ARGS__ })
#define TEXT(s) ((char[]){ s })

#define SWAPS_HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static void swap(void **state)
{
	(void)state;
	expect_finding("swap", MACHINE(.swaps = TEXT(SWAPS_HEAD)), OK, "no swap");
	expect_finding("swap", MACHINE(.swaps = TEXT("")), OK, "no swap");
	expect_finding("swap", MACHINE(0), WARN, "not known");
	char one[] = SWAPS_HEAD "/dev/dm-1                               partition\t8388604\t\t0\t\t-2\n";
	expect_finding("swap", MACHINE(.swaps = one, .swap_below = TEXT("/dev/dm-1: crypt\n")), OK, "1 swap area,");
	expect_finding("swap", MACHINE(.swaps = one, .swap_below = TEXT("/dev/dm-1: plain\n")), WARN, "not encrypted: /dev/dm-1");
	expect_finding("swap", MACHINE(.swaps = one), WARN, "/dev/dm-1");
	/* another device's answer, and one that only begins alike */
	expect_finding("swap", MACHINE(.swaps = one, .swap_below = TEXT("/dev/dm-11: crypt\n/dev/dm-2: crypt\n")), WARN, "/dev/dm-1");
	char three[] = SWAPS_HEAD "/dev/dm-1 partition 8 0 -2\n/swap.img file 8 0 -3\n/dev/zram0 partition 8 0 100\n";
	expect_finding("swap", MACHINE(.swaps = three, .swap_below = TEXT("/dev/dm-1: crypt\n/dev/zram0: zram\n")), WARN, "not encrypted: /swap.img");
	char good[] = SWAPS_HEAD "/dev/dm-1 partition 8 0 -2\n/dev/zram0 partition 8 0 100\n";
	expect_finding("swap", MACHINE(.swaps = good, .swap_below = TEXT("/dev/dm-1: crypt\n/dev/zram0: zram\n")), OK, "2 swap areas");
}

static void swap_with_many_areas_is_cut_not_overrun(void **state)
{
	(void)state;
	char text[16384] = SWAPS_HEAD;
	for (int i = 0; i < 100; i++) {
		size_t used = strlen(text);
		snprintf(text + used, sizeof text - used, "/a/long/name/of/a/file/that/is/swapped/to/%d file 8 0 -2\n", i);
	}
	expect_finding("swap", MACHINE(.swaps = text), WARN, "swapped/to/0");
}

static void hibernation(void **state)
{
	(void)state;
	expect_finding("hibernation", MACHINE(0), OK, "cannot hibernate");
	expect_finding("hibernation", MACHINE(.power_state = TEXT("\n")), OK, "cannot hibernate");
	expect_finding("hibernation", MACHINE(.power_state = TEXT("freeze mem\n"), .power_resume = TEXT("254:1\n")), OK, "cannot hibernate");
	expect_finding("hibernation", MACHINE(.power_state = TEXT("freeze mem disk\n"), .power_resume = TEXT("0:0\n")), INFO, "no device");
	expect_finding("hibernation", MACHINE(.power_state = TEXT("freeze mem disk\n")), INFO, "no device");
	expect_finding("hibernation", MACHINE(.power_state = TEXT("freeze mem disk\n"), .power_resume = TEXT("254:1\n")), WARN, "device 254:1");
}

static void core_dumps(void **state)
{
	(void)state;
	expect_finding("core-dumps", MACHINE(.core_pattern = TEXT("core\n")), OK, "files");
	expect_finding("core-dumps", MACHINE(.core_pattern = TEXT("|/lib/systemd/systemd-coredump %P %u\n")), INFO, "go to /lib/systemd/systemd-coredump;");
	expect_finding("core-dumps", MACHINE(0), INFO, "cannot be read");
}

#define LIMITS(soft) "Limit                     Soft Limit           Hard Limit           Units     \n" \
	"Max cpu time              unlimited            unlimited            seconds   \n" \
	"Max locked memory         " soft "              unlimited              bytes     \n"

static void locked_memory(void **state)
{
	(void)state;
	char small[] = LIMITS("65536"), usual[] = LIMITS("8388608"), none[] = LIMITS("unlimited");
	expect_finding("locked-memory", MACHINE(.limits = usual, .lockable = CUSTOS_LOCKED_ALL_HOSTS), OK, "8 MiB can be locked (the limit is 8192 KiB)");
	expect_finding("locked-memory", MACHINE(.limits = none, .lockable = CUSTOS_LOCKED_ALL_HOSTS), OK, "no limit");
	expect_finding("locked-memory", MACHINE(.limits = small, .lockable = CUSTOS_LOCKED_ONE_HOST), WARN, "one host");
	expect_finding("locked-memory", MACHINE(.limits = small), FAIL, "the limit is 64 KiB");
	/* what the limit says is not what decides: in a container it may be lifted for nothing */
	expect_finding("locked-memory", MACHINE(.limits = none, .lockable = 0), FAIL, "cannot be locked");
	expect_finding("locked-memory", MACHINE(.limits = small, .lockable = CUSTOS_LOCKED_ALL_HOSTS), OK, "64 KiB");
	expect_finding("locked-memory", MACHINE(.lockable = 0), FAIL, "not known");
	expect_finding("locked-memory", MACHINE(.limits = TEXT("Max locked memory"), .lockable = 0), FAIL, "not known");
	struct custos_finding f;
	judge("locked-memory", MACHINE(.limits = small), &f);
	assert_non_null(strstr(f.remedy, "ulimit -l 8192"));
	assert_non_null(strstr(f.remedy, "LimitMEMLOCK=8M"));
}

static void secret_memory(void **state)
{
	(void)state;
	expect_finding("secret-memory", MACHINE(.backend = "memfd_secret"), OK, "memfd_secret");
	expect_finding("secret-memory", MACHINE(.backend = "mlock"), WARN, "mlock only");
	expect_finding("secret-memory", MACHINE(0), FAIL, "no memory can be locked");
	struct custos_finding f;
	judge("secret-memory", MACHINE(.backend = "mlock"), &f);
	assert_non_null(strstr(f.remedy, "secretmem.enable=1"));
}

static void freed_pages(void **state)
{
	(void)state;
	char off[] = "CONFIG_X=y\n# CONFIG_INIT_ON_FREE_DEFAULT_ON is not set\n", on[] = "CONFIG_X=y\nCONFIG_INIT_ON_FREE_DEFAULT_ON=y\n";
	expect_finding("freed-pages", MACHINE(0), INFO, "does not zero");
	expect_finding("freed-pages", MACHINE(.cmdline = TEXT("quiet\n"), .kernel_config = off), INFO, "does not zero");
	expect_finding("freed-pages", MACHINE(.cmdline = TEXT("quiet\n"), .kernel_config = on), OK, "zeroes pages");
	expect_finding("freed-pages", MACHINE(.cmdline = TEXT("quiet init_on_free=1 ro\n")), OK, "zeroes pages");
	expect_finding("freed-pages", MACHINE(.cmdline = TEXT("init_on_free=on")), OK, "zeroes pages");
	expect_finding("freed-pages", MACHINE(.cmdline = TEXT("init_on_free=off"), .kernel_config = on), INFO, "does not zero");
	/* the last one counts; a word that ends alike does not */
	expect_finding("freed-pages", MACHINE(.cmdline = TEXT("init_on_free=1 init_on_free=0\n")), INFO, "does not zero");
	expect_finding("freed-pages", MACHINE(.cmdline = TEXT("noinit_on_free=1 init_on_free_x=1\n")), INFO, "does not zero");
}

static void tracer(void **state)
{
	(void)state;
	expect_finding("tracer", MACHINE(.status = TEXT("Name:\tcustos\nTracerPid:\t0\nUid:\t0\n")), OK, "not traced");
	expect_finding("tracer", MACHINE(.status = TEXT("Name:\tcustos\nTracerPid:\t4711\nUid:\t0\n")), FAIL, "process 4711");
	expect_finding("tracer", MACHINE(.status = TEXT("Name:\tcustos\n")), FAIL, "does not say");
	expect_finding("tracer", MACHINE(0), FAIL, "does not say");
}

static void ptrace_scope(void **state)
{
	(void)state;
	expect_finding("ptrace-scope", MACHINE(0), WARN, "no Yama");
	expect_finding("ptrace-scope", MACHINE(.ptrace_scope = TEXT("0\n")), WARN, "is 0");
	expect_finding("ptrace-scope", MACHINE(.ptrace_scope = TEXT("1\n")), OK, "is 1");
	expect_finding("ptrace-scope", MACHINE(.ptrace_scope = TEXT("3\n")), OK, "is 3");
}

static void landlock_and_seccomp(void **state)
{
	(void)state;
	expect_finding("landlock", MACHINE(.landlock_version = 7), OK, "version 7: files and network");
	expect_finding("landlock", MACHINE(.landlock_version = 2), OK, "version 2: files");
	expect_finding("landlock", MACHINE(0), WARN, "no landlock");
	expect_finding("seccomp", MACHINE(.has_seccomp = true), OK, "work");
	expect_finding("seccomp", MACHINE(0), FAIL, "nothing is released");
}

static void lockdown(void **state)
{
	(void)state;
	expect_finding("lockdown", MACHINE(0), INFO, "no lockdown");
	expect_finding("lockdown", MACHINE(.lockdown = TEXT("none integrity confidentiality\n")), INFO, "no lockdown");
	expect_finding("lockdown", MACHINE(.lockdown = TEXT("[none] integrity confidentiality\n")), INFO, "is none");
	expect_finding("lockdown", MACHINE(.lockdown = TEXT("none [integrity] confidentiality\n")), INFO, "is integrity");
	expect_finding("lockdown", MACHINE(.lockdown = TEXT("none integrity [confidentiality]\n")), OK, "is confidentiality");
}

static void processes(void **state)
{
	(void)state;
	expect_finding("processes", MACHINE(0), INFO, "every user");
	expect_finding("processes", MACHINE(.mounts = TEXT("22 27 0:21 / /proc rw,relatime - proc proc rw\n")), INFO, "every user");
	expect_finding("processes", MACHINE(.mounts = TEXT("22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw,hidepid=invisible\n")), OK, "only");
	expect_finding("processes", MACHINE(.mounts = TEXT("22 27 0:21 / /proc rw - proc proc rw,gid=4,hidepid=2\n")), OK, "only");
	/* hidden somewhere else; hidden below what was mounted over it; the option of another file system */
	expect_finding("processes", MACHINE(.mounts = TEXT("22 27 0:21 / /srv/proc rw - proc proc rw,hidepid=2\n")), INFO, "every user");
	expect_finding("processes", MACHINE(.mounts = TEXT("22 27 0:21 / /proc rw - proc proc rw,hidepid=2\n23 22 0:22 / /proc rw - proc proc rw\n")), INFO, "every user");
	expect_finding("processes", MACHINE(.mounts = TEXT("22 27 0:21 / /proc rw - tmpfs proc rw,hidepid=2\n")), INFO, "every user");
}

static void user(void **state)
{
	(void)state;
	expect_finding("user", MACHINE(.uid = 0), INFO, "root");
	expect_finding("user", MACHINE(.uid = 998), OK, "user 998");
}

static void lock_directory(void **state)
{
	(void)state;
	static const struct {
		struct custos_place place;
		uid_t uid;
		unsigned verdict;
		const char *says;
	} cases[] = {
		{ { "/l", 0, S_IFDIR | 01777, 0 }, 998, OK, "mode 1777" },
		{ { "/l", ENOENT, 0, 0 }, 0, OK, "not there yet" },
		{ { "/l", ENOENT, 0, 0 }, 998, WARN, "shuts other users out" },
		{ { "/l", EACCES, 0, 0 }, 998, FAIL, "cannot be looked at" },
		{ { "/l", 0, S_IFLNK | 0777, 0 }, 0, FAIL, "not a directory" },
		{ { "/l", 0, S_IFREG | 0600, 0 }, 0, FAIL, "not a directory" },
		{ { "/l", 0, S_IFDIR | 01777, 1000 }, 998, FAIL, "belongs to user 1000, and no token" },
		{ { "/l", 0, S_IFDIR | 01777, 998 }, 998, WARN, "other users cannot" },
		{ { "/l", 0, S_IFDIR | 01777, 1000 }, 0, WARN, "belongs to user 1000" },
		{ { "/l", 0, S_IFDIR | 0755, 0 }, 998, FAIL, "mode 0755" },
		{ { "/l", 0, S_IFDIR | 0755, 0 }, 0, WARN, "mode 0755" },
		/* without the sticky bit anybody can take away the lock of another */
		{ { "/l", 0, S_IFDIR | 0777, 0 }, 998, WARN, "mode 0777" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_finding("lock-directory", MACHINE(.lock_dir = cases[i].place, .uid = cases[i].uid), cases[i].verdict, cases[i].says);
}

static void helpers(void **state)
{
	(void)state;
	struct custos_machine good = {
		.uid = 998,
		.helper_count = 6,
		.helpers = { { "/opt/x/token", 0, S_IFREG | 0755, 0 }, { "/opt/x/courier", 0, S_IFREG | 0755, 0 }, { "/opt/x", 0, S_IFDIR | 0755, 0 }, { "/tmp", 0, S_IFDIR | 01777, 0 },
		             { "/opt", 0, S_IFDIR | 0755, 0 }, { "/", 0, S_IFDIR | 0755, 0 } },
	};
	expect_finding("helpers", &good, OK, "/opt/x/token");
	static const struct {
		size_t which;
		struct custos_place place;
		unsigned verdict;
		const char *says;
	} cases[] = {
		{ 0, { "/opt/x/token", 0, S_IFREG | 0775, 0 }, FAIL, "/opt/x/token can be written by others" },
		{ 1, { "/opt/x/courier", 0, S_IFREG | 0757, 0 }, FAIL, "/opt/x/courier can be written by others" },
		{ 1, { "/opt/x/courier", 0, S_IFREG | 0755, 1000 }, FAIL, "belongs to another user" },
		{ 1, { "/opt/x/courier", 0, S_IFREG | 0755, 998 }, WARN, "belongs to this user" },
		{ 1, { "/opt/x/courier", ENOENT, 0, 0 }, FAIL, "cannot be looked at" },
		/* sticky protects what somebody else's directory holds, not what is in this one */
		{ 2, { "/opt/x", 0, S_IFDIR | 01777, 0 }, FAIL, "/opt/x can be written" },
		{ 3, { "/tmp", 0, S_IFDIR | 0777, 0 }, FAIL, "/tmp can be written" },
		{ 4, { "/opt", 0, S_IFDIR | 0755, 1000 }, FAIL, "/opt belongs to another user" },
		{ 5, { "/", 0, S_IFDIR | 0775, 0 }, FAIL, "/ can be written" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct custos_machine bad = good;
		bad.helpers[cases[i].which] = cases[i].place;
		expect_finding("helpers", &bad, cases[i].verdict, cases[i].says);
	}
	struct custos_machine without = { .helper_trouble = "cannot open the helper /opt/x/token: No such file or directory" };
	expect_finding("helpers", &without, FAIL, "cannot open");
}

static void every_check_can_be_named(void **state)
{
	(void)state;
	size_t count = 0;
	for (const struct custos_check *c = custos_checks; c->name != NULL; c++, count++) {
		assert_true(c->section != NULL && c->section[0] != '\0' && c->judge != NULL);
		for (const struct custos_check *before = custos_checks; before != c; before++)
			assert_string_not_equal(before->name, c->name);
		/* of a machine of which nothing is known, something is said */
		struct custos_finding f = { 0 };
		c->judge(&(struct custos_machine){ 0 }, &f);
		assert_true(f.found[0] != '\0');
	}
	assert_true(count >= 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swap),
		cmocka_unit_test(swap_with_many_areas_is_cut_not_overrun),
		cmocka_unit_test(hibernation),
		cmocka_unit_test(core_dumps),
		cmocka_unit_test(locked_memory),
		cmocka_unit_test(secret_memory),
		cmocka_unit_test(freed_pages),
		cmocka_unit_test(tracer),
		cmocka_unit_test(ptrace_scope),
		cmocka_unit_test(landlock_and_seccomp),
		cmocka_unit_test(lockdown),
		cmocka_unit_test(processes),
		cmocka_unit_test(user),
		cmocka_unit_test(lock_directory),
		cmocka_unit_test(helpers),
		cmocka_unit_test(every_check_can_be_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
