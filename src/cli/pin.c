/* Where PINs and passwords come from. Bytes go straight from a descriptor into locked memory; prompts go to /dev/tty only,
 * and the echo is off before the prompt is shown. */
#include "cli/command.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

enum { PIN_MAX = 1024 };
static const char PINPAD[] = "pinpad";

static void free_secret(struct custos_secret **secret)
{
	custos_secret_free(*secret);
}

/* With the signals of the keyboard blocked: one that comes stays pending until the echo is back, and does its work then. */
static custos_rc wait_for_line(int tty, const sigset_t *blocked, const char *what, struct custos_err *err)
{
	CUSTOS_AUTO_FD signals = signalfd(-1, blocked, SFD_CLOEXEC);
	struct pollfd p[2] = { { .fd = tty, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	int n;
	do
		n = poll(p, 2, -1);
	while (n < 0 && errno == EINTR);
	CUSTOS_REQUIRE(n > 0 && p[1].revents == 0, err, CUSTOS_E_AUTH, "asking for the %s was interrupted", what);
	return CUSTOS_OK;
}

static custos_rc from_terminal(const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	CUSTOS_AUTO_FD tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "give --pin-source fd:N or file:PATH", "cannot ask for the %s: there is no terminal", what);
	struct termios before, silent;
	CUSTOS_REQUIRE(tcgetattr(tty, &before) == 0, err, CUSTOS_E_SYSTEM, "cannot use the terminal: %s", strerror(errno));
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	silent.c_lflag |= ICANON;
	static const int keyboard[] = { SIGINT, SIGQUIT, SIGTSTP, SIGTERM, SIGHUP };
	sigset_t blocked, mask;
	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof keyboard / sizeof *keyboard; i++)
		sigaddset(&blocked, keyboard[i]);
	sigprocmask(SIG_BLOCK, &blocked, &mask);
	custos_rc rc = tcsetattr(tty, TCSAFLUSH, &silent) == 0
	                       ? CUSTOS_OK
	                       : custos_err_set(err, CUSTOS_E_SYSTEM, errno, "cannot use the terminal: %s", strerror(errno));
	if (rc == CUSTOS_OK) {
		dprintf(tty, "%s: ", what);
		rc = wait_for_line(tty, &blocked, what, err);
		if (rc == CUSTOS_OK)
			rc = custos_secret_read_line(tty, PIN_MAX, what, ret_secret, err);
		tcsetattr(tty, TCSAFLUSH, &before);
		dprintf(tty, "\n");
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return rc;
}

static custos_rc from_file(const char *path, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	/* not to wait for ever at a FIFO */
	CUSTOS_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	CUSTOS_REQUIRE(fd >= 0 && fstat(fd, &st) == 0, err, CUSTOS_E_AUTH, "cannot open the PIN file %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 || (st.st_uid != geteuid() && st.st_uid != 0))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "chmod 600, and it must be yours", "the PIN file %s can be read by others", path);
	return custos_secret_read_line(fd, PIN_MAX, what, ret_secret, err);
}

static custos_rc from_program(const char *command, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	int ends[2];
	CUSTOS_REQUIRE(pipe2(ends, O_CLOEXEC) == 0, err, CUSTOS_E_SYSTEM, "cannot make a pipe: %s", strerror(errno));
	CUSTOS_AUTO_FD reader = ends[0];
	CUSTOS_AUTO_FD writer = ends[1];
	pid_t pid = fork();
	CUSTOS_REQUIRE(pid >= 0, err, CUSTOS_E_SYSTEM, "cannot start the PIN program: %s", strerror(errno));
	if (pid == 0) {
		if (dup2(writer, STDOUT_FILENO) >= 0)
			execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	custos_close_fd(&writer);
	CUSTOS_CLEANUP(free_secret) struct custos_secret *secret = NULL;
	struct custos_err why = { 0 };
	custos_rc rc = custos_secret_read_line(reader, PIN_MAX, what, &secret, &why);
	custos_close_fd(&reader);
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	/* a program that failed has usually printed nothing: that it failed is the news */
	CUSTOS_REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, err, CUSTOS_E_AUTH, "the program for the %s failed", what);
	CUSTOS_REQUIRE(rc == CUSTOS_OK, err, rc, "%s", why.msg);
	*ret_secret = CUSTOS_TAKE(secret);
	return CUSTOS_OK;
}

custos_rc custos_pin_read(const char *source, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	if (source == NULL || strcmp(source, "tty") == 0)
		return from_terminal(what, ret_secret, err);
	if (strncmp(source, "file:", 5) == 0)
		return from_file(source + 5, what, ret_secret, err);
	if (strncmp(source, "exec:", 5) == 0)
		return from_program(source + 5, what, ret_secret, err);
	if (strncmp(source, "fd:", 3) == 0) {
		uint64_t fd;
		CUSTOS_REQUIRE(custos_text_u64(source + 3, 0, 1023, &fd), err, CUSTOS_E_USAGE, "fd: is followed by the number of a descriptor");
		return custos_secret_read_line((int)fd, PIN_MAX, what, ret_secret, err);
	}
	if (strcmp(source, PINPAD) == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "tty, fd:N, file:PATH or exec:COMMAND", "the %s cannot be entered on a token's own PIN pad", what);
	/* it is not shown: it may be a PIN */
	CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "tty, fd:N, file:PATH, exec:COMMAND or pinpad", "what was given is not a PIN source");
}

/* Whoever names no source means the pad where there is one. */
static enum custos_pin_way choose_by(const char *source, enum custos_pin_pad pad)
{
	if (source == NULL)
		return pad == CUSTOS_PIN_PAD_PRESENT ? CUSTOS_PIN_ON_PAD : CUSTOS_PIN_BY_GET;
	return strcmp(source, PINPAD) == 0 ? CUSTOS_PIN_ON_PAD : CUSTOS_PIN_BY_GET;
}

/* On the terminal if there is one: a program that reads standard error expects errors there. */
static void announce(void *ctx, const char *what)
{
	(void)ctx;
	CUSTOS_AUTO_FD tty = open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY);
	dprintf(tty >= 0 ? tty : STDERR_FILENO, "custos: enter the %s on the token's own pad\n", what);
}

static custos_rc get_from(void *source, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	return custos_pin_read(source, what, ret_secret, err);
}

static enum custos_pin_way choose_from(void *source, enum custos_pin_pad pad)
{
	return choose_by(source, pad);
}

struct custos_pin custos_cli_source(char *source)
{
	return (struct custos_pin){ .ctx = source, .get = get_from, .choose = choose_from, .announce = announce };
}

/* What the call says, else what custody.yaml says; NULL: neither. */
static const char *source_of(const struct custos_call *call)
{
	if (call->pin_source != NULL || call->custody == NULL)
		return call->pin_source;
	return custos_custody_pin_source(call->custody);
}

static custos_rc get(void *ctx, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	return custos_pin_read(source_of(ctx), what, ret_secret, err);
}

static enum custos_pin_way choose(void *ctx, enum custos_pin_pad pad)
{
	return choose_by(source_of(ctx), pad);
}

struct custos_pin custos_call_pin(struct custos_call *call)
{
	return (struct custos_pin){ .ctx = call, .get = get, .choose = choose, .announce = announce };
}
