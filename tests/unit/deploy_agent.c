/* The SSH agent: a real one with generated keys, and impostors at the other end of the socket. */
#include "deploy/agent.h"

#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

enum { SKIPPED = 77 };

static char directory[] = "/tmp/custos-agent-XXXXXX", agent_path[64];
static pid_t agent_pid;

/* Runs a program with the agent's environment; its standard output goes to `out` when given. */
static pid_t start_program(const char *const argv[], int out)
{
	union {
		const char *const *in;
		char *const *out;
	} u = { .in = argv };
	pid_t pid = fork();
	if (pid == 0) {
		int null_fd = open("/dev/null", O_RDWR);
		dup2(null_fd, 0);
		dup2(out >= 0 ? out : null_fd, 1);
		dup2(null_fd, 2);
		setenv("SSH_AUTH_SOCK", agent_path, 1);
		setenv("SSH_ASKPASS", "./askpass", 1);
		setenv("SSH_ASKPASS_REQUIRE", "force", 1);
		execvp(argv[0], u.out);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

static int run(const char *const argv[])
{
	int status = -1;
	pid_t pid = start_program(argv, -1);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define RUN(...) assert_int_equal(run((const char *const[]){ __VA_ARGS__, NULL }), 0)

/* The second field of `ssh-keygen -l`. */
static void fingerprint_of(const char *file, char out[static 128])
{
	int ends[2], status;
	char line[512] = "";
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = start_program((const char *const[]){ "ssh-keygen", "-l", "-E", "sha256", "-f", file, NULL }, ends[1]);
	close(ends[1]);
	for (size_t used = 0; used + 1 < sizeof line;) {
		ssize_t n = read(ends[0], line + used, sizeof line - 1 - used);
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(sscanf(line, "%*s %127s", out), 1);
}

static int set_up_group(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL || chdir(directory) != 0)
		return -1;
	snprintf(agent_path, sizeof agent_path, "%s/agent", directory);
	int ends[2];
	char byte;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	agent_pid = start_program((const char *const[]){ "ssh-agent", "-D", "-a", agent_path, NULL }, ends[1]);
	close(ends[1]);
	/* it says where it listens when it listens */
	ssize_t n = read(ends[0], &byte, 1);
	close(ends[0]);
	if (n != 1)
		return -1;
	FILE *askpass = fopen("askpass", "w");
	if (askpass == NULL)
		return -1;
	fputs("#!/bin/sh\necho word\n", askpass);
	fclose(askpass);
	return chmod("askpass", 0700);
}

static int tear_down_group(void **state)
{
	(void)state;
	kill(agent_pid, SIGTERM);
	waitpid(agent_pid, NULL, 0);
	static const char *const files[] = { "askpass", "ed", "ed.pub", "ec", "ec.pub", "rsa", "rsa.pub", "ca", "ca.pub", "ed-cert.pub",
		"ec-cert.pub", "agent", "fake" };
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		unlink(files[i]);
	return chdir("/") != 0 || rmdir(directory) != 0;
}

static void make_key(const char *type, const char *file)
{
	if (access(file, F_OK) != 0)
		RUN("ssh-keygen", "-q", "-t", type, "-N", "", "-f", file);
}

static int forget_all(void **state)
{
	(void)state;
	return run((const char *const[]){ "ssh-add", "-D", NULL });
}

/* --- with the real agent --- */

static void verify_ed25519(struct custos_bytes blob, struct custos_bytes data, struct custos_bytes signature)
{
	struct custos_wire k = custos_wire_read(blob), s = custos_wire_read(signature);
	CUSTOS_AUTO_STR *key_type = custos_wire_text(&k);
	CUSTOS_AUTO_STR *signature_type = custos_wire_text(&s);
	struct custos_bytes public_key = custos_wire_bytes(&k), raw = custos_wire_bytes(&s);
	assert_int_equal(custos_wire_end(&k, "key", NULL), CUSTOS_OK);
	assert_int_equal(custos_wire_end(&s, "signature", NULL), CUSTOS_OK);
	assert_string_equal(key_type, "ssh-ed25519");
	assert_string_equal(signature_type, "ssh-ed25519");
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key.ptr, public_key.len);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key), 1);
	assert_int_equal(EVP_DigestVerify(ctx, raw.ptr, raw.len, data.ptr, data.len), 1);
	assert_int_not_equal(EVP_DigestVerify(ctx, raw.ptr, raw.len, data.ptr, data.len - 1), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
}

static void one_key_is_chosen_and_signs(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF blob = { 0 };
	CUSTOS_AUTO_BUF signature = { 0 };
	struct custos_bytes data = CUSTOS_BYTES("what is signed\0with a NUL", 25);
	make_key("ed25519", "ed");
	RUN("ssh-add", "ed");
	assert_int_equal(custos_agent_choose(agent_path, NULL, &blob, NULL), CUSTOS_OK);
	assert_int_equal(custos_agent_sign(agent_path, custos_buf_view(&blob), data, &signature, NULL), CUSTOS_OK);
	verify_ed25519(custos_buf_view(&blob), data, custos_buf_view(&signature));
	/* a key the agent does not hold */
	struct custos_err err = { 0 };
	CUSTOS_AUTO_BUF none = { 0 };
	blob.ptr[blob.len - 1] ^= 1;
	assert_int_equal(custos_agent_sign(agent_path, custos_buf_view(&blob), data, &none, &err), CUSTOS_E_AUTH);
	assert_string_equal(err.msg, "the SSH agent refused");
	assert_int_equal(none.len, 0);
}

static void of_two_keys_none_is_guessed(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF blob = { 0 };
	struct custos_err err = { 0 };
	char fingerprint[128];
	make_key("ed25519", "ed");
	make_key("ecdsa", "ec");
	RUN("ssh-add", "ed", "ec");
	assert_int_equal(custos_agent_choose(agent_path, NULL, &blob, &err), CUSTOS_E_AUTH);
	assert_non_null(strstr(err.msg, "holds 2 keys"));
	assert_int_equal(blob.len, 0);
	fingerprint_of("ec.pub", fingerprint);
	custos_err_clear(&err);
	assert_int_equal(custos_agent_choose(agent_path, fingerprint, &blob, &err), CUSTOS_OK);
	struct custos_wire r = custos_wire_read(custos_buf_view(&blob));
	CUSTOS_AUTO_STR *type = custos_wire_text(&r);
	assert_string_equal(type, "ecdsa-sha2-nistp256");
}

/* A fingerprint that is nearly right is wrong. */
static void fingerprints_are_compared_whole(void **state)
{
	(void)state;
	char fingerprint[128], changed[140];
	make_key("ed25519", "ed");
	RUN("ssh-add", "ed");
	fingerprint_of("ed.pub", fingerprint);
	static const char *const forms[] = { "%.49s", "%s=", "%sA", " %s", "sha256:%.0s", "MD5:%s", "%.7s", "" };
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		CUSTOS_AUTO_BUF blob = { 0 };
		struct custos_err err = { 0 };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(changed, sizeof changed, forms[i], fingerprint);
#pragma GCC diagnostic pop
		assert_int_equal(custos_agent_choose(agent_path, changed, &blob, &err), CUSTOS_E_AUTH);
		assert_non_null(strstr(err.msg, "does not hold"));
		assert_int_equal(blob.len, 0);
	}
	CUSTOS_AUTO_BUF blob = { 0 };
	assert_int_equal(custos_agent_choose(agent_path, fingerprint, &blob, NULL), CUSTOS_OK);
}

/* What libssh2 cannot use does not count: RSA, and the certificate of the very same key. */
static void what_cannot_be_used_does_not_count(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF blob = { 0 };
	struct custos_err err = { 0 };
	make_key("rsa", "rsa");
	make_key("ecdsa", "ec");
	make_key("ed25519", "ca");
	RUN("ssh-add", "rsa");
	assert_int_equal(custos_agent_choose(agent_path, NULL, &blob, &err), CUSTOS_E_AUTH);
	assert_non_null(strstr(err.msg, "does not hold a key that can be used"));
	RUN("ssh-keygen", "-q", "-s", "ca", "-I", "test", "-n", "root", "ec.pub");
	RUN("ssh-add", "ec");
	assert_int_equal(unlink("ec-cert.pub"), 0);
	custos_err_clear(&err);
	if (custos_agent_choose(agent_path, NULL, &blob, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	struct custos_wire r = custos_wire_read(custos_buf_view(&blob));
	CUSTOS_AUTO_STR *type = custos_wire_text(&r);
	assert_string_equal(type, "ecdsa-sha2-nistp256");
}

static void an_agent_that_is_locked_or_empty(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF blob = { 0 };
	CUSTOS_AUTO_BUF signature = { 0 };
	struct custos_err err = { 0 };
	make_key("ed25519", "ed");
	assert_int_equal(custos_agent_choose(agent_path, NULL, &blob, NULL), CUSTOS_E_AUTH);
	RUN("ssh-add", "ed");
	assert_int_equal(custos_agent_choose(agent_path, NULL, &blob, NULL), CUSTOS_OK);
	RUN("ssh-add", "-x");
	assert_int_equal(custos_agent_sign(agent_path, custos_buf_view(&blob), CUSTOS_BYTES("x", 1), &signature, &err), CUSTOS_E_AUTH);
	assert_non_null(strstr(err.hint, "locked"));
	RUN("ssh-add", "-X");
	assert_int_equal(custos_agent_sign(agent_path, custos_buf_view(&blob), CUSTOS_BYTES("x", 1), &signature, NULL), CUSTOS_OK);
}

static void there_is_no_agent(void **state)
{
	(void)state;
	char long_path[300];
	memset(long_path, 'a', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	const struct {
		const char *path, *why;
	} none[] = { { NULL, "no SSH agent" }, { "", "no SSH agent" }, { "./absent", "cannot reach" }, { "./askpass", "cannot reach" },
		{ long_path, "too long" } };
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		CUSTOS_AUTO_BUF blob = { 0 };
		struct custos_err err = { 0 };
		assert_int_not_equal(custos_agent_choose(none[i].path, NULL, &blob, &err), CUSTOS_OK);
		assert_non_null(strstr(err.msg, none[i].why));
	}
}

/* An empty path must not become the abstract address that anybody may listen at. */
static void nobody_listens_in_the_agent_s_name(void **state)
{
	(void)state;
	struct sockaddr_un abstract = { .sun_family = AF_UNIX };
	CUSTOS_AUTO_BUF blob = { 0 };
	CUSTOS_AUTO_FD trap = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(trap, (struct sockaddr *)&abstract, sizeof abstract), 0);
	assert_int_equal(listen(trap, 1), 0);
	assert_int_equal(custos_agent_choose("", NULL, &blob, NULL), CUSTOS_E_AUTH);
	assert_int_equal(accept(trap, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
}

/* --- with impostors --- */

/* An agent that sends `answer` to whatever is asked and hangs up; with len 0 it does not even read. */
static pid_t start_impostor(const void *answer, size_t len, const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	unlink(path);
	CUSTOS_AUTO_FD listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char request[4096];
		int fd = accept(listener, NULL, NULL);
		if (fd >= 0 && len > 0 && read(fd, request, sizeof request) > 0 && send(fd, answer, len, MSG_NOSIGNAL) < 0)
			_exit(1);
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void assert_impostor(const char *answer, size_t len, custos_rc expected)
{
	int status;
	CUSTOS_AUTO_BUF blob = { 0 };
	struct custos_err err = { 0 };
	pid_t pid = start_impostor(answer, len, "./fake");
	custos_rc rc = custos_agent_choose("./fake", NULL, &blob, &err);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (rc != expected)
		fail_msg("%zu bytes: %s %s", len, custos_rc_name(rc), err.msg);
	assert_int_equal(blob.len, 0);
}
#define IMPOSTOR(bytes, rc) assert_impostor(bytes, sizeof(bytes) - 1, rc)

static void impostors(void **state)
{
	(void)state;
	/* before it was asked */
	assert_impostor("", 0, CUSTOS_E_AUTH);
	/* lengths: nothing, too much, more than follows */
	IMPOSTOR("\0\0\0\0", CUSTOS_E_AUTH);
	IMPOSTOR("\xff\xff\xff\xff\x0c", CUSTOS_E_AUTH);
	IMPOSTOR("\0\4\0\1\x0c", CUSTOS_E_AUTH);
	IMPOSTOR("\0\0\0\x09\x0c\0\0\0\0", CUSTOS_E_AUTH);
	IMPOSTOR("\0\0", CUSTOS_E_AUTH);
	/* another answer than the one to the question */
	IMPOSTOR("\0\0\0\1\x05", CUSTOS_E_AUTH);
	IMPOSTOR("\0\0\0\5\x0e\0\0\0\0", CUSTOS_E_AUTH);
	/* a list that lies about its length, or goes on behind its end */
	IMPOSTOR("\0\0\0\1\x0c", CUSTOS_E_INTERNAL);
	IMPOSTOR("\0\0\0\5\x0c\0\0\0\1", CUSTOS_E_INTERNAL);
	IMPOSTOR("\0\0\0\5\x0c\xff\xff\xff\xff", CUSTOS_E_INTERNAL);
	IMPOSTOR("\0\0\0\6\x0c\0\0\0\0!", CUSTOS_E_INTERNAL);
	IMPOSTOR("\0\0\0\x0d\x0c\0\0\0\1\xff\xff\xff\xff\0\0\0\0", CUSTOS_E_INTERNAL);
	/* a key that is nothing but its length, and one whose type lies about its length */
	IMPOSTOR("\0\0\0\x0d\x0c\0\0\0\1\0\0\0\0\0\0\0\0", CUSTOS_E_AUTH);
	IMPOSTOR("\0\0\0\x15\x0c\0\0\0\1\0\0\0\x08\0\0\1\0sshx\0\0\0\0", CUSTOS_E_AUTH);
	/* a good key, then a list that is cut: the key must not be taken */
	IMPOSTOR("\0\0\0\x1c\x0c\0\0\0\2\0\0\0\x0f\0\0\0\x0bssh-ed25519\0\0\0\0", CUSTOS_E_INTERNAL);
}

static void a_signature_that_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
	} answers[] = { { "\0\0\0\1\x0e", 5 }, { "\0\0\0\5\x0e\0\0\0\1", 9 }, { "\0\0\0\6\x0e\0\0\0\0!", 10 },
		{ "\0\0\0\5\x0e\xff\xff\xff\xff", 9 }, { "\0\0\0\1\x05", 5 } };
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		int status;
		CUSTOS_AUTO_BUF signature = { 0 };
		pid_t pid = start_impostor(answers[i].bytes, answers[i].len, "./fake");
		assert_int_not_equal(custos_agent_sign("./fake", CUSTOS_BYTES("k", 1), CUSTOS_BYTES("d", 1), &signature, NULL), CUSTOS_OK);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(signature.len, 0);
	}
}

#define WITH_AGENT(test) cmocka_unit_test_setup(test, forget_all)
int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_AGENT(one_key_is_chosen_and_signs),
		WITH_AGENT(of_two_keys_none_is_guessed),
		WITH_AGENT(fingerprints_are_compared_whole),
		WITH_AGENT(what_cannot_be_used_does_not_count),
		WITH_AGENT(an_agent_that_is_locked_or_empty),
		cmocka_unit_test(there_is_no_agent),
		cmocka_unit_test(nobody_listens_in_the_agent_s_name),
		cmocka_unit_test(impostors),
		cmocka_unit_test(a_signature_that_is_none),
	};
	if (system("command -v ssh-agent >/dev/null && command -v ssh-add >/dev/null && command -v ssh-keygen >/dev/null") != 0) {
		fputs("the OpenSSH client programs are not installed\n", stderr);
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
