/* PIN sources: what is read, what is refused before it is read, and a terminal that has its echo again however the asking ends. */
#include "cli/command.h"

#include "memory/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "child.h"

static char directory[] = "/tmp/custos-pin-XXXXXX";

static int set_up_group(void **state)
{
	(void)state;
	return mkdtemp(directory) == NULL || chdir(directory) != 0 || custos_secret_start(NULL) != CUSTOS_OK;
}

static int tear_down_group(void **state)
{
	(void)state;
	static const char *const files[] = { "pin", "link", "fifo", "ran" };
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		unlink(files[i]);
	rmdir("folder");
	return chdir("/") != 0 || rmdir(directory) != 0;
}

static custos_rc compare(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)err;
	return strlen(ctx) == len && memcmp(bytes, ctx, len) == 0 ? CUSTOS_OK : CUSTOS_E_INPUT;
}

static void assert_read(const char *source, const char *expected)
{
	CUSTOS_AUTO(custos_secret) *pin = NULL;
	struct custos_err err = { 0 };
	char copy[2000];
	snprintf(copy, sizeof copy, "%s", expected);
	if (custos_pin_read(source, "PIN of token lab", &pin, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	assert_int_equal(custos_secret_expose(pin, compare, copy, NULL), CUSTOS_OK);
}

static void assert_refused(const char *source, custos_rc rc, const char *why)
{
	struct custos_secret *pin = NULL;
	struct custos_err err = { 0 };
	custos_rc got = custos_pin_read(source, "PIN of token lab", &pin, &err);
	if (got != rc || strstr(err.msg, why) == NULL)
		fail_msg("%s: %s, \"%s\"", source, custos_rc_name(got), err.msg);
	assert_null(pin);
}

static void put_file(const char *text, size_t len, mode_t mode)
{
	unlink("pin");
	CUSTOS_AUTO_FD fd = open("pin", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
}

static void a_file_of_one_s_own(void **state)
{
	(void)state;
	char longest[1100];
	put_file("1234\n", 5, 0600);
	assert_read("file:pin", "1234");
	put_file("1234", 4, 0400);
	assert_read("file:pin", "1234");
	put_file("12 34\r\nsecond line\n", 19, 0600);
	assert_read("file:pin", "12 34");
	memset(longest, 'x', sizeof longest);
	put_file(longest, 1024, 0600);
	longest[1024] = '\0';
	assert_read("file:pin", longest);
	put_file(longest, 1024, 0600);
	CUSTOS_AUTO_FD fd = open("pin", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "y", 1), 1);
	assert_refused("file:pin", CUSTOS_E_INPUT, "longer than 1024 bytes");
	put_file("", 0, 0600);
	assert_refused("file:pin", CUSTOS_E_INPUT, "is empty");
	put_file("\n1234\n", 6, 0600);
	assert_refused("file:pin", CUSTOS_E_INPUT, "is empty");
	put_file("12\0" "34\n", 6, 0600);
	assert_refused("file:pin", CUSTOS_E_INPUT, "zero byte");
}

static void a_file_others_can_reach(void **state)
{
	(void)state;
	static const mode_t open_modes[] = { 0640, 0620, 0610, 0604, 0602, 0601, 0666, 0777 };
	for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
		put_file("1234\n", 5, open_modes[i]);
		assert_refused("file:pin", CUSTOS_E_POLICY, "can be read by others");
	}
	put_file("1234\n", 5, 0600);
	assert_int_equal(symlink("pin", "link"), 0);
	assert_refused("file:link", CUSTOS_E_AUTH, "cannot open the PIN file link");
	assert_refused("file:absent", CUSTOS_E_AUTH, "cannot open the PIN file absent");
	assert_refused("file:", CUSTOS_E_AUTH, "cannot open");
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_refused("file:folder", CUSTOS_E_POLICY, "PIN file folder");
	/* nobody will ever write into it */
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_refused("file:fifo", CUSTOS_E_POLICY, "PIN file fifo");
	if (geteuid() == 0) {
		assert_int_equal(chown("pin", 65534, 65534), 0);
		assert_refused("file:pin", CUSTOS_E_POLICY, "can be read by others");
	}
}

static void a_descriptor(void **state)
{
	(void)state;
	int ends[2];
	char source[16], rest[16];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "first\nsecond\nrest", 17), 17);
	close(ends[1]);
	snprintf(source, sizeof source, "fd:%d", ends[0]);
	/* two PINs from one pipe, and nothing taken that was not asked for */
	assert_read(source, "first");
	assert_read(source, "second");
	assert_int_equal(read(ends[0], rest, sizeof rest), 4);
	assert_refused(source, CUSTOS_E_INPUT, "is empty");
	close(ends[0]);
	static const char *const bad[] = { "fd:", "fd: 0", "fd:-1", "fd:+3", "fd:03", "fd:0x3", "fd:3x", "fd:1024", "fd:4294967296",
		"fd:99999999999999999999" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_refused(bad[i], CUSTOS_E_USAGE, "number of a descriptor");
	assert_refused("fd:1023", CUSTOS_E_SYSTEM, "cannot read");
}

static void a_program(void **state)
{
	(void)state;
	assert_read("exec:printf '%s\\n' 'a b'", "a b");
	assert_refused("exec:printf 1234; exit 1", CUSTOS_E_AUTH, "the program for the PIN of token lab failed");
	assert_refused("exec:printf 1234; kill -9 $$", CUSTOS_E_AUTH, "failed");
	assert_refused("exec:exit 3", CUSTOS_E_AUTH, "failed");
	assert_refused("exec:/nonexistent/program 2>/dev/null", CUSTOS_E_AUTH, "failed");
	assert_refused("exec:true", CUSTOS_E_INPUT, "is empty");
}

/* Somebody gives the PIN itself: it is used for nothing and shown to nobody. */
static void what_is_no_source_is_not_repeated(void **state)
{
	(void)state;
	static const char *const bad[] = { "271828", "", "TTY", "tty ", "pin:271828", "FILE:271828", " fd:0", "exec 271828", "pinpad271828" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct custos_secret *pin = NULL;
		struct custos_err err = { 0 };
		assert_int_equal(custos_pin_read(bad[i], "PIN", &pin, &err), CUSTOS_E_USAGE);
		assert_null(strstr(err.msg, "271828"));
		assert_null(strstr(err.hint, "271828"));
		assert_null(pin);
	}
}

/* Nothing can be read from a token's pad; whoever names no source means it where there is one, and any other word means that word. */
static void a_token_s_own_pad(void **state)
{
	(void)state;
	static const struct {
		char source[16];
		enum custos_pin_way without, with;
	} rows[] = {
		{ "pinpad", CUSTOS_PIN_ON_PAD, CUSTOS_PIN_ON_PAD }, { "tty", CUSTOS_PIN_BY_GET, CUSTOS_PIN_BY_GET }, { "file:pin", CUSTOS_PIN_BY_GET, CUSTOS_PIN_BY_GET },
		{ "pinpad ", CUSTOS_PIN_BY_GET, CUSTOS_PIN_BY_GET }, { "", CUSTOS_PIN_BY_GET, CUSTOS_PIN_BY_GET },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char source[16];
		memcpy(source, rows[i].source, sizeof source);
		struct custos_call call = { .pin_source = source };
		struct custos_pin pins[] = { custos_cli_source(source), custos_call_pin(&call) };
		for (size_t k = 0; k < 2; k++) {
			assert_int_equal(pins[k].choose(pins[k].ctx, CUSTOS_PIN_PAD_NONE), rows[i].without);
			assert_int_equal(pins[k].choose(pins[k].ctx, CUSTOS_PIN_PAD_PRESENT), rows[i].with);
		}
	}
	struct custos_call silent = { .pin_source = NULL };
	struct custos_pin pins[] = { custos_cli_source(NULL), custos_call_pin(&silent) };
	for (size_t k = 0; k < 2; k++) {
		assert_int_equal(pins[k].choose(pins[k].ctx, CUSTOS_PIN_PAD_NONE), CUSTOS_PIN_BY_GET);
		assert_int_equal(pins[k].choose(pins[k].ctx, CUSTOS_PIN_PAD_PRESENT), CUSTOS_PIN_ON_PAD);
	}
	assert_refused("pinpad", CUSTOS_E_USAGE, "cannot be entered on a token's own PIN pad");
}

/* --- the terminal --- */

enum { READ_IT = 10, REFUSED = 11 };

/* In a session of its own with the terminal as its controlling one. */
static int ask(void *ctx)
{
	struct custos_secret *pin = NULL;
	if (setsid() < 0 || custos_secret_start(NULL) != CUSTOS_OK)
		return 1;
	int tty = open(ctx, O_RDWR);
	if (tty < 0 || ioctl(tty, TIOCSCTTY, 0) != 0)
		return 2;
	custos_rc rc = custos_pin_read("tty", "PIN of token lab", &pin, NULL);
	char expected[] = "1234";
	if (rc != CUSTOS_OK)
		return REFUSED;
	rc = custos_secret_expose(pin, compare, expected, NULL);
	custos_secret_free(pin);
	return rc == CUSTOS_OK ? READ_IT : 3;
}

struct terminal {
	int master, hold;
	char slave[64], seen[512];
	size_t len;
	pid_t pid;
};

/* Reads what the terminal shows until `text` has been shown. */
static void expect(struct terminal *t, const char *text)
{
	while (strstr(t->seen, text) == NULL) {
		struct pollfd p = { .fd = t->master, .events = POLLIN };
		assert_true(poll(&p, 1, 30000) > 0);
		ssize_t n = read(t->master, t->seen + t->len, sizeof t->seen - 1 - t->len);
		assert_true(n > 0);
		t->len += (size_t)n;
		t->seen[t->len] = '\0';
	}
}

static bool has_echo(const struct terminal *t)
{
	struct termios now;
	assert_int_equal(tcgetattr(t->hold, &now), 0);
	return (now.c_lflag & ECHO) != 0;
}

static void start(struct terminal *t)
{
	memset(t, 0, sizeof *t);
	t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->master < 0 || grantpt(t->master) != 0 || unlockpt(t->master) != 0 || ptsname_r(t->master, t->slave, sizeof t->slave) != 0)
		skip();
	/* held open, so that its settings outlive the child */
	t->hold = open(t->slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(t->hold >= 0 && has_echo(t));
	fflush(NULL);
	t->pid = fork();
	if (t->pid == 0) {
		close(t->master);
		_exit(ask(t->slave));
	}
	assert_true(t->pid > 0);
	expect(t, "PIN of token lab: ");
	assert_false(has_echo(t));
}

static int finish(struct terminal *t)
{
	int status = -1;
	while (waitpid(t->pid, &status, 0) != t->pid)
		;
	assert_true(has_echo(t));
	close(t->hold);
	close(t->master);
	return status;
}

static void a_pin_is_typed_unseen(void **state)
{
	(void)state;
	struct terminal t;
	start(&t);
	assert_int_equal(write(t.master, "12", 2), 2);
	assert_int_equal(write(t.master, "34\n", 3), 3);
	int status = finish(&t);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), READ_IT);
	assert_null(strstr(t.seen, "1234"));
}

/* Control-C at the prompt ends the program, and the terminal is as it was. */
static void an_interrupt_gives_the_echo_back(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		int signal_number;
	} keys[] = { { "12\x03", SIGINT }, { "\x1c", SIGQUIT } };
	for (size_t i = 0; i < 2; i++) {
		struct terminal t;
		start(&t);
		assert_int_equal(write(t.master, keys[i].key, strlen(keys[i].key)), (ssize_t)strlen(keys[i].key));
		int status = finish(&t);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), keys[i].signal_number);
	}
	struct terminal t;
	start(&t);
	assert_int_equal(kill(t.pid, SIGTERM), 0);
	int status = finish(&t);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void the_end_of_input_is_no_pin(void **state)
{
	(void)state;
	struct terminal t;
	start(&t);
	assert_int_equal(write(t.master, "\x04", 1), 1);
	int status = finish(&t);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), REFUSED);
}

static int ask_without_terminal(void *ctx)
{
	struct custos_secret *pin = NULL;
	struct custos_err err = { 0 };
	(void)ctx;
	if (setsid() < 0 || custos_secret_start(NULL) != CUSTOS_OK)
		return 1;
	return custos_pin_read(NULL, "PIN", &pin, &err) == CUSTOS_E_AUTH && strstr(err.msg, "no terminal") != NULL ? 0 : 2;
}

static void without_a_terminal_nobody_is_asked(void **state)
{
	(void)state;
	assert_child_exits(ask_without_terminal, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_of_one_s_own),
		cmocka_unit_test(a_file_others_can_reach),
		cmocka_unit_test(a_descriptor),
		cmocka_unit_test(a_program),
		cmocka_unit_test(what_is_no_source_is_not_repeated),
		cmocka_unit_test(a_token_s_own_pad),
	};
	const struct CMUnitTest terminal_tests[] = {
		cmocka_unit_test(a_pin_is_typed_unseen),
		cmocka_unit_test(an_interrupt_gives_the_echo_back),
		cmocka_unit_test(the_end_of_input_is_no_pin),
		cmocka_unit_test(without_a_terminal_nobody_is_asked),
	};
	/* first, while this process has no arena: its children must make their own */
	int failed = cmocka_run_group_tests(terminal_tests, NULL, NULL);
	return failed + cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
