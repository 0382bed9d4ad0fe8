/* Running what must die, or must not outlive a test, in a child of its own. Include after cmocka.h. */
#ifndef CUSTOS_TESTS_CHILD_H
#define CUSTOS_TESTS_CHILD_H

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Wait status of a child that runs `body`; its return value is the exit status. Cores are off and faults unhandled, sanitizers included. */
static inline int in_child(int (*body)(void *ctx), void *ctx)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		_exit(body(ctx));
	}
	int status = -1;
	assert_true(pid > 0);
	while (waitpid(pid, &status, 0) != pid)
		;
	return status;
}

static inline void assert_child_exits(int (*body)(void *ctx), void *ctx, int code)
{
	int status = in_child(body, ctx);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), code);
}

static inline void assert_child_dies(int (*body)(void *ctx), void *ctx, int signal_number)
{
	int status = in_child(body, ctx);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), signal_number);
}

#endif
