/* Runs composed commands for real, in a directory of its own, under dash with the system's tools or under busybox ash with busybox's tools and without
 * stat. The host's root directory is a temporary one, on a small RAM disk where the test may mount one. */
#ifndef SCRIPT_FIXTURE_H
#define SCRIPT_FIXTURE_H

#include "target_fixture.h"

#include "base/clock.h"
#include "target/script.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OLD_CHAIN "old chain\n"
#define OLD_KEY "old key SECRETOLDKEYBYTES\n"
#define NEW_CHAIN "new chain\nwith two lines\n"
#define NEW_KEY "new key SECRETNEWKEYBYTES'; reboot; '\n"

enum shell { DASH, ASH };

struct rig {
	char root[128];
	enum shell shell;
	struct custos_plan plan;
	char sum[65];
	char backup[256];
	struct custos_buf said;     /* everything any command of this rig has printed */
	struct custos_reply reply;
};

static inline void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || fchmod(fd, mode) != 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static inline void read_file(const char *path, char out[static 4096])
{
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	ssize_t n = read(fd, out, 4095);
	close(fd);
	out[n < 0 ? 0 : n] = '\0';
}

static inline void assert_file(const char *path, const char *text, mode_t mode)
{
	char got[4096];
	struct stat st;
	read_file(path, got);
	assert_string_equal(got, text);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

static inline const char *at(const struct rig *rig, const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];
	snprintf(path, sizeof paths[0], "%s/%s", rig->root, name);
	return path;
}

static inline bool exists(const struct rig *rig, const char *name)
{
	return access(at(rig, name), F_OK) == 0;
}

/* Runs `command` under sh with `input`; stdout and stderr are appended to rig->said, stdout goes to *out. */
static inline void run_command(struct rig *rig, const char *command, const char *input, size_t input_len, struct custos_buf *out)
{
	int in[2], from[2];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(in[0], 0);
		dup2(from[1], 1);
		dup2(from[1], 2);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(from[1]);
	if (input_len > 0 && write(in[1], input, input_len) != (ssize_t)input_len)
		assert_int_equal(errno, EPIPE);
	close(in[1]);
	char chunk[4096];
	ssize_t n;
	while ((n = read(from[0], chunk, sizeof chunk)) > 0) /* ends only when nobody holds the output open any more: also a test of arm */
		assert_int_equal(custos_buf_append(out, chunk, (size_t)n, NULL), CUSTOS_OK);
	close(from[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	if (out->len > 0)
		assert_int_equal(custos_buf_append(&rig->said, out->ptr, out->len, NULL), CUSTOS_OK);
}

/* Composes, runs, parses. Returns rc; rig->reply holds the facts. */
static inline unsigned run_script_with(struct rig *rig, enum custos_script which, const char *input, size_t input_len, const struct custos_script_values *values)
{
	struct custos_buf command = { 0 }, out = { 0 };
	struct custos_err err = { 0 };
	if (custos_script_compose(which, &rig->plan, values, &command, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	run_command(rig, (const char *)command.ptr, input, input_len, &out);
	custos_reply_done(&rig->reply);
	if (custos_reply_parse(custos_buf_view(&out), rig->plan.nonce, &rig->reply, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	if (!rig->reply.complete)
		fail_msg("script %d was cut off: %s", (int)which, out.len > 0 ? (char *)out.ptr : "");
	custos_buf_done(&command);
	custos_buf_done(&out);
	return rig->reply.rc;
}

static inline struct custos_script_values values_of(const struct rig *rig)
{
	return (struct custos_script_values){ .backup = rig->backup, .chain_sha256 = rig->sum, .chain_length = strlen(NEW_CHAIN), .key_length = strlen(NEW_KEY), .keep_copy = rig->plan.keep_backup };
}

static inline unsigned run_script(struct rig *rig, enum custos_script which)
{
	struct custos_script_values values = values_of(rig);
	const char *input = which == CUSTOS_SCRIPT_STAGE_CHAIN ? NEW_CHAIN : which == CUSTOS_SCRIPT_STAGE_KEY ? NEW_KEY : "";
	unsigned rc = run_script_with(rig, which, input, strlen(input), &values);
	if (which == CUSTOS_SCRIPT_BACKUP && rc == 0)
		snprintf(rig->backup, sizeof rig->backup, "%s", custos_reply_get(&rig->reply, "backup"));
	return rc;
}

static inline void must(struct rig *rig, enum custos_script which)
{
	unsigned rc = run_script(rig, which);
	if (rc != 0)
		fail_msg("script %d: rc %u, %s (%s)", (int)which, rc, custos_reply_get(&rig->reply, "why"), (char *)rig->said.ptr);
}

static inline void must_fail(struct rig *rig, enum custos_script which, const char *says)
{
	unsigned rc = run_script(rig, which);
	if (rc == 0 || strstr(custos_reply_get(&rig->reply, "why"), says) == NULL)
		fail_msg("script %d: rc %u, \"%s\" instead of \"%s\" (%s)", (int)which, rc, custos_reply_get(&rig->reply, "why"), says, (char *)rig->said.ptr);
}

static inline void up_to(struct rig *rig, enum custos_script last)
{
	static const enum custos_script order[] = { CUSTOS_SCRIPT_LOCK, CUSTOS_SCRIPT_PROBE, CUSTOS_SCRIPT_BACKUP, CUSTOS_SCRIPT_ARM, CUSTOS_SCRIPT_STAGE_CHAIN,
	                                            CUSTOS_SCRIPT_STAGE_KEY, CUSTOS_SCRIPT_SWITCH };
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		must(rig, order[i]);
		if (order[i] == last)
			return;
	}
}

/* Waits for the world to become so, with a deadline. */
#define eventually(condition) \
	do { \
		int64_t deadline_ = custos_clock_monotonic_ms() + 20000; \
		while (!(condition)) { \
			if (custos_clock_monotonic_ms() > deadline_) \
				fail_msg("never: %s", #condition); \
			poll(NULL, 0, 20); \
		} \
	} while (0)

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* busybox's own tools and none else in front; stat is one that does not know -c */
static inline void make_ash(const struct rig *rig)
{
	char shim[512];
	assert_int_equal(mkdir(at(rig, "applets"), 0755), 0);
	static const char *const applets[] = { "cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "grep", "head", "id", "ls", "mkdir", "mv", "rm", "sed", "setsid", "sha256sum",
	                                       "sleep", "tail", "touch", "tr", "wc" };
	for (size_t i = 0; i < sizeof applets / sizeof *applets; i++) {
		char name[64];
		snprintf(name, sizeof name, "applets/%s", applets[i]);
		assert_int_equal(symlink("/bin/busybox", at(rig, name)), 0);
	}
	write_file(at(rig, "applets/stat"), "#!/bin/sh\nexit 1\n", 0755);
	snprintf(shim, sizeof shim, "#!/bin/sh\nPATH=%s exec /bin/busybox ash -c \"$3\"\n", at(rig, "applets"));
	write_file(at(rig, "shim"), shim, 0755);
}

static inline void rig_up(struct rig *rig, enum shell shell, const char *extra, bool keep_backup, uint32_t confirm_within_s)
{
	char yaml[8192], root[sizeof rig->root];
	snprintf(root, sizeof root, "%s/custos-script-XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(root));
	*rig = (struct rig){ .shell = shell };
	snprintf(rig->root, sizeof rig->root, "%s", root);
	assert_int_equal(mkdir(at(rig, "ssl"), 0755), 0);
	assert_int_equal(mkdir(at(rig, "stage"), 0755), 0);
	assert_int_equal(mkdir(at(rig, "backup1"), 0755), 0);
	write_file(at(rig, "ssl/crt"), OLD_CHAIN, 01644);
	write_file(at(rig, "ssl/key"), OLD_KEY, 0400);
	if (shell == ASH)
		make_ash(rig);
	char text[4096];
	snprintf(text, sizeof text, "name: web\nstaging: %%/stage\nverify: {}\n%s%s%s%s%s", extra,
	         strstr(extra, "files:") != NULL ? "" : "files:\n  certificate: {path: %/ssl/crt, mode: \"0644\"}\n  key: {path: %/ssl/key, mode: \"0600\"}\n",
	         strstr(extra, "backup:") != NULL ? "" : "backup: [/nonexistent, \"%/backup*\"]\n",
	         strstr(extra, "reload:") != NULL ? "" : "reload: [{name: r, run: \"echo reloaded >> %/reloads\"}]\n", shell == ASH ? "become: %/shim\n" : "");
	size_t n = 0; /* each % is the root */
	for (const char *p = text; *p != '\0' && n + sizeof root < sizeof yaml; p++)
		n += (size_t)(*p == '%' ? snprintf(yaml + n, sizeof yaml - n, "%s", root) : snprintf(yaml + n, sizeof yaml - n, "%c", *p));
	struct custos_json *target = fixture_plain_target();
	fixture_plan(yaml, target, (struct custos_plan_options){ .keep_backup = keep_backup, .confirm_within_s = confirm_within_s }, &rig->plan);
	custos_json_free(target);

	char command[512];
	struct custos_buf out = { 0 };
	snprintf(command, sizeof command, "printf 'new chain\\nwith two lines\\n' | sha256sum");
	run_command(rig, command, "", 0, &out);
	snprintf(rig->sum, sizeof rig->sum, "%.64s", (char *)out.ptr);
	custos_buf_done(&out);
}

/* No command may ever have printed a byte of a key. */
static inline void rig_down(struct rig *rig)
{
	if (rig->said.len > 0) {
		assert_null(strstr((char *)rig->said.ptr, "SECRETOLDKEY"));
		assert_null(strstr((char *)rig->said.ptr, "SECRETNEWKEY"));
	}
	custos_reply_done(&rig->reply);
	custos_buf_done(&rig->said);
	custos_plan_done(&rig->plan);
	nftw(rig->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
