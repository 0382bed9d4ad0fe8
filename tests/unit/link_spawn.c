/* Starting helpers: exactly what was opened runs, with descriptors 0 to 3 and nothing else of ours; it is gone when we say so. The code
 * under test is compiled into this program with the current directory as the helpers' directory. */
#include "link/spawn.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "child.h"
#include "link_probe.h"
#include "link_wire.h"

static char directory[] = "/tmp/custos-spawn-XXXXXX";

static void copy_probe(const char *name, mode_t mode)
{
	char chunk[65536];
	ssize_t n;
	CUSTOS_AUTO_FD from = open(PROBE, O_RDONLY | O_CLOEXEC);
	CUSTOS_AUTO_FD to = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	assert_true(from >= 0 && to >= 0);
	while ((n = read(from, chunk, sizeof chunk)) > 0)
		assert_int_equal(write(to, chunk, (size_t)n), n);
	assert_int_equal(fchmod(to, mode), 0);
}

static int set_up_group(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL || chdir(directory) != 0)
		return -1;
	copy_probe("probe", 0755);
	return 0;
}

static int tear_down_group(void **state)
{
	(void)state;
	DIR *dir = opendir(".");
	for (struct dirent *d; dir != NULL && (d = readdir(dir)) != NULL;)
		if (d->d_name[0] != '.' && unlink(d->d_name) != 0)
			rmdir(d->d_name);
	closedir(dir);
	return chdir("/") != 0 || rmdir(directory) != 0;
}

/* Asks for `what` and gives what was told, or "" when nothing was; never asserts, for use in children. */
static void talk(struct custos_helper *helper, const char *what, char *told, size_t size)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	told[0] = '\0';
	if (custos_channel_send(&helper->channel, PROBE_DO, CUSTOS_BYTES_STR(what), -1, NULL) == CUSTOS_OK &&
	    custos_channel_receive(&helper->channel, 30000, &frame, NULL) == CUSTOS_OK)
		snprintf(told, size, "%s", (char *)frame.body.ptr);
}

static void start(unsigned flags, struct custos_helper *helper)
{
	CUSTOS_AUTO_FD exe = -1;
	struct custos_err err = { 0 };
	if (custos_helper_open("probe", &exe, &err) != CUSTOS_OK ||
	    custos_helper_start(exe, "probe", flags, NULL, &probe_protocol, helper, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
}

static bool is_left(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == PROBE_LEAVES_WITH;
}

static void nothing_is_inherited(void **state)
{
	(void)state;
	struct custos_helper helper;
	char told[8192], expected[256], ours[64];
	/* things that would be worth having: without close-on-exec, at low and high numbers */
	CUSTOS_AUTO_FD secret = open("/etc/passwd", O_RDONLY);
	assert_true(secret >= 0);
	CUSTOS_AUTO_FD high = fcntl(secret, F_DUPFD, 300);
	CUSTOS_AUTO_FD seven = fcntl(secret, F_DUPFD, 7);
	assert_true(high >= 300 && seven >= 7);
	assert_int_equal(setenv("LD_PRELOAD_X", "evil", 1), 0);
	assert_int_equal(setenv("CUSTOS_PIN", "1234", 1), 0);
	start(CUSTOS_SPAWN_CLEAN_ENVIRONMENT, &helper);
	talk(&helper, "report", told, sizeof told);
	assert_true(is_left(custos_helper_stop(&helper, 30000)));
	ssize_t len = readlink("/proc/self/fd/2", ours, sizeof ours - 1);
	assert_true(len > 0);
	ours[len] = '\0';
	/* stderr may be a socket under some runners */
	snprintf(expected, sizeof expected, "fd 0 /dev/null\nfd 1 /dev/null\nfd 2 %s\nfd 3 socket\nargv probe\nenv TZ=UTC0\n",
	         strncmp(ours, "socket:", 7) == 0 ? "socket" : ours);
	assert_string_equal(told, expected);
}

static void the_environment_is_kept_when_asked_for(void **state)
{
	(void)state;
	struct custos_helper helper;
	char told[65536];
	assert_int_equal(setenv("CUSTOS_TEST_MODULE_CONF", "/etc/module.conf", 1), 0);
	start(0, &helper);
	talk(&helper, "report", told, sizeof told);
	assert_true(is_left(custos_helper_stop(&helper, 30000)));
	assert_non_null(strstr(told, "env CUSTOS_TEST_MODULE_CONF=/etc/module.conf\n"));
}

/* A keeper that blocks signals must not make a helper that nobody can end. */
static void no_signal_stays_blocked(void **state)
{
	(void)state;
	struct custos_helper helper;
	char told[65536];
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	start(CUSTOS_SPAWN_CLEAN_ENVIRONMENT, &helper);
	sigprocmask(SIG_SETMASK, &before, NULL);
	talk(&helper, "report", told, sizeof told);
	assert_true(is_left(custos_helper_stop(&helper, 30000)));
	assert_non_null(strstr(told, "argv probe\n"));
	assert_null(strstr(told, "blocked"));
}

/* The file is exchanged between opening (and hashing) and starting. */
static void what_was_opened_is_what_runs(void **state)
{
	(void)state;
	struct custos_helper helper;
	char told[8192];
	copy_probe("swapped", 0755);
	CUSTOS_AUTO_FD exe = -1;
	assert_int_equal(custos_helper_open("swapped", &exe, NULL), CUSTOS_OK);
	FILE *evil = fopen("evil", "w");
	assert_non_null(evil);
	fputs("#!/bin/sh\nexit 66\n", evil);
	fclose(evil);
	assert_int_equal(chmod("evil", 0755), 0);
	assert_int_equal(rename("evil", "swapped"), 0);
	assert_int_equal(custos_helper_start(exe, "swapped", CUSTOS_SPAWN_CLEAN_ENVIRONMENT, NULL, &probe_protocol, &helper, NULL), CUSTOS_OK);
	talk(&helper, "report", told, sizeof told);
	assert_true(is_left(custos_helper_stop(&helper, 30000)));
	assert_non_null(strstr(told, "argv swapped\n"));
}

static void one_that_hangs_is_killed(void **state)
{
	(void)state;
	struct custos_helper helper;
	char told[8192];
	start(CUSTOS_SPAWN_CLEAN_ENVIRONMENT, &helper);
	talk(&helper, "hang", told, sizeof told);
	assert_string_not_equal(told, "");
	pid_t pid = helper.pid;
	int64_t before = custos_clock_monotonic_ms();
	int status = custos_helper_stop(&helper, 50);
	assert_true(custos_clock_monotonic_ms() - before >= 50);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* it was waited for: no zombie has its number */
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(custos_helper_stop(&helper, 50), 0);
}

static void one_that_dies_is_noticed(void **state)
{
	(void)state;
	struct custos_helper helper;
	char told[8192];
	struct custos_err err = { 0 };
	start(CUSTOS_SPAWN_CLEAN_ENVIRONMENT, &helper);
	talk(&helper, "die", told, sizeof told);
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	helper.channel.state = 1;
	assert_int_equal(custos_channel_receive(&helper.channel, 30000, &frame, &err), CUSTOS_E_SYSTEM);
	assert_string_equal(err.msg, "probe has ended");
	assert_true(custos_channel_is_gone(&helper.channel));
	int status = custos_helper_stop(&helper, 30000);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Not an executable at all: the start succeeds, the channel says that nobody is there. */
static void one_that_cannot_run(void **state)
{
	(void)state;
	struct custos_helper helper;
	struct custos_err err = { 0 };
	CUSTOS_AUTO_FD exe = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(custos_helper_start(exe, "nothing", 0, NULL, &probe_protocol, &helper, NULL), CUSTOS_OK);
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	assert_int_equal(custos_channel_receive(&helper.channel, 30000, &frame, &err), CUSTOS_E_SYSTEM);
	assert_string_equal(err.msg, "nothing has ended");
	int status = custos_helper_stop(&helper, 30000);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

/* A keeper that was itself started without some of stdin, stdout and stderr. */
static int start_without(void *ctx)
{
	unsigned closed = *(unsigned *)ctx;
	struct custos_helper helper;
	char told[65536];
	for (int fd = 0; fd < 3; fd++)
		if ((closed & 1u << fd) != 0)
			close(fd);
	int exe = -1;
	if (custos_helper_open("probe", &exe, NULL) != CUSTOS_OK ||
	    custos_helper_start(exe, "probe", CUSTOS_SPAWN_CLEAN_ENVIRONMENT, NULL, &probe_protocol, &helper, NULL) != CUSTOS_OK)
		return 1;
	talk(&helper, "report", told, sizeof told);
	if (!is_left(custos_helper_stop(&helper, 30000)))
		return 2;
	if (strstr(told, "fd 0 /dev/null\nfd 1 /dev/null\nfd 2 ") != told || strstr(told, "\nfd 3 socket\nargv probe\nenv TZ=UTC0\n") == NULL)
		return 3;
	return (closed & 4) != 0 && strstr(told, "fd 2 /dev/null\n") == NULL ? 4 : 0;
}

static void a_keeper_without_standard_descriptors(void **state)
{
	(void)state;
	for (unsigned closed = 0; closed < 8; closed++)
		assert_child_exits(start_without, &closed, 0);
}

static void assert_not_opened(const char *name, const char *why)
{
	int fd = -1;
	struct custos_err err = { 0 };
	assert_int_equal(custos_helper_open(name, &fd, &err), CUSTOS_E_SYSTEM);
	assert_int_equal(fd, -1);
	if (strstr(err.msg, why) == NULL || strstr(err.msg, name) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
}

static void a_helper_others_could_have_written(void **state)
{
	(void)state;
	copy_probe("group-writable", 0775);
	copy_probe("world-writable", 0757);
	assert_int_equal(symlink("probe", "link"), 0);
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(mkfifo("fifo", 0755), 0);
	assert_not_opened("group-writable", "can be written by others");
	assert_not_opened("world-writable", "can be written by others");
	assert_not_opened("link", "cannot open");
	assert_not_opened("folder", "not a regular file");
	assert_not_opened("fifo", "not a regular file");
	assert_not_opened("absent", "cannot open");
	copy_probe("foreign", 0755);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown("foreign", 65534, 65534), 0);
	assert_not_opened("foreign", "can be written by others");
}

/* Started by hand, with something else at descriptor 3. */
static int attach_to(void *ctx)
{
	int kind = *(int *)ctx, pair[2];
	struct custos_channel channel;
	close(CUSTOS_HELPER_FD);
	if (kind == 1 && (pipe(pair) != 0 || (pair[0] != CUSTOS_HELPER_FD && dup2(pair[0], CUSTOS_HELPER_FD) < 0)))
		return 1;
	if (kind == 2 && (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || (pair[0] != CUSTOS_HELPER_FD && dup2(pair[0], CUSTOS_HELPER_FD) < 0)))
		return 1;
	return custos_helper_attach(&probe_protocol, &channel, NULL) == CUSTOS_E_USAGE ? 0 : 2;
}

static void a_helper_alone_says_so(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++)
		assert_child_exits(attach_to, &kind, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_inherited),
		cmocka_unit_test(the_environment_is_kept_when_asked_for),
		cmocka_unit_test(no_signal_stays_blocked),
		cmocka_unit_test(what_was_opened_is_what_runs),
		cmocka_unit_test(one_that_hangs_is_killed),
		cmocka_unit_test(one_that_dies_is_noticed),
		cmocka_unit_test(one_that_cannot_run),
		cmocka_unit_test(a_keeper_without_standard_descriptors),
		cmocka_unit_test(a_helper_others_could_have_written),
		cmocka_unit_test(a_helper_alone_says_so),
	};
	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
