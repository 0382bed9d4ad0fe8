/* A hardened process, seen from the kernel's side; and one that is traced. */
#include "memory/harden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>

#include "child.h"

static int settings(void *ctx)
{
	(void)ctx;
	struct custos_err err = { 0 };
	struct rlimit core = { 1, 1 };
	umask(0);
	if (custos_harden_process(&err) != CUSTOS_OK)
		return 2;
	if (prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 3;
	if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 4;
	return umask(0) == 077 ? 0 : 5;
}

static int settings_as_nobody(void *ctx)
{
	return getuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0) ? 6 : settings(ctx);
}

static void settings_are_made(void **state)
{
	(void)state;
	assert_child_exits(settings, NULL, 0);
	assert_child_exits(settings_as_nobody, NULL, 0);
	/* not something this process was before */
	assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
}

static int traced(void *ctx)
{
	struct custos_err err = { 0 };
	(void)ctx;
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
		return 2;
	custos_rc rc = custos_harden_process(&err);
	return rc == CUSTOS_E_SYSTEM && strstr(err.msg, "traced") != NULL && err.hint[0] != '\0' ? 0 : 3;
}

static void a_traced_process_is_refused(void **state)
{
	(void)state;
	assert_child_exits(traced, NULL, 0);
}

static void a_crash_leaves_no_core(void **state)
{
	(void)state;
	struct rlimit core;
	int status = -1;
	assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
	core.rlim_cur = core.rlim_max;
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		if (setrlimit(RLIMIT_CORE, &core) != 0 || chdir("/tmp") != 0 || custos_harden_process(NULL) != CUSTOS_OK)
			_exit(2);
		abort();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_false(WCOREDUMP(status));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_are_made),
		cmocka_unit_test(a_traced_process_is_refused),
		cmocka_unit_test(a_crash_leaves_no_core),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
