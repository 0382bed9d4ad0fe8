/* opens: runs a command and writes down which file each program it starts opens, maps, locks, changes or executes, and how.
 *
 *   opens RECORD COMMAND…
 *
 * RECORD gets lines "PROGRAM <tab> RIGHTS <tab> OWNER <tab> PATH", each once, sorted: RIGHTS are AppArmor's r w k m x, OWNER is "own" or
 * "other", PATH is without links, directories end with a slash. What does not exist is not opened and not written down. Paths are those of the
 * mount namespace this runs in.
 *
 * By seccomp user notification: no tracer, so that processes which refuse one do not notice; fork and exec are followed. As root. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "crash/notify.h"

enum { LINES_MAX = 20000, NONE = -1 };

/* Where a call has its directory descriptor and its path, and what it needs; PATH_OF_FD: the descriptor alone, BY_FLAGS: what the flags say. */
enum special { PLAIN, PATH_OF_FD, BY_FLAGS, BY_HOW, EXEC, SOCKET };
static const struct call {
	int number, dir, path, flags;
	const char *rights;
	enum special special;
} calls[] = {
	{ SYS_open, NONE, 0, 1, "", BY_FLAGS },        { SYS_openat, 0, 1, 2, "", BY_FLAGS },      { SYS_openat2, 0, 1, 2, "", BY_HOW },        { SYS_creat, NONE, 0, NONE, "w", PLAIN },
	{ SYS_execve, NONE, 0, NONE, "x", EXEC },      { SYS_execveat, 0, 1, NONE, "x", EXEC },    { SYS_mmap, 4, NONE, NONE, "m", PATH_OF_FD }, { SYS_flock, 0, NONE, NONE, "k", PATH_OF_FD },
	{ SYS_fcntl, 0, NONE, NONE, "k", PATH_OF_FD }, { SYS_unlink, NONE, 0, NONE, "w", PLAIN },  { SYS_unlinkat, 0, 1, NONE, "w", PLAIN },    { SYS_rmdir, NONE, 0, NONE, "w", PLAIN },
	{ SYS_rename, NONE, 0, NONE, "rw", PLAIN },    { SYS_rename, NONE, 1, NONE, "w", PLAIN },  { SYS_renameat, 0, 1, NONE, "rw", PLAIN },   { SYS_renameat, 2, 3, NONE, "w", PLAIN },
	{ SYS_renameat2, 0, 1, NONE, "rw", PLAIN },    { SYS_renameat2, 2, 3, NONE, "w", PLAIN },  { SYS_mkdir, NONE, 0, NONE, "w", PLAIN },    { SYS_mkdirat, 0, 1, NONE, "w", PLAIN },
	{ SYS_link, NONE, 1, NONE, "w", PLAIN },       { SYS_linkat, 2, 3, NONE, "w", PLAIN },     { SYS_symlink, NONE, 1, NONE, "w", PLAIN },  { SYS_symlinkat, 1, 2, NONE, "w", PLAIN },
	{ SYS_chmod, NONE, 0, NONE, "w", PLAIN },      { SYS_fchmodat, 0, 1, NONE, "w", PLAIN },   { SYS_fchmod, 0, NONE, NONE, "w", PATH_OF_FD }, { SYS_chown, NONE, 0, NONE, "w", PLAIN },
	{ SYS_fchown, 0, NONE, NONE, "w", PATH_OF_FD }, { SYS_fchownat, 0, 1, NONE, "w", PLAIN },  { SYS_truncate, NONE, 0, NONE, "w", PLAIN }, { SYS_connect, NONE, NONE, NONE, "rw", SOCKET },
};
enum { CALLS = sizeof calls / sizeof *calls };

static char *lines[LINES_MAX];
static size_t line_count;

static void die(const char *what)
{
	fprintf(stderr, "opens: error: %s: %s\n", what, strerror(errno));
	_exit(125);
}

/* ---- the command's side ---- */

static int install_filter(void)
{
	static const int locks[] = { F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int rc = filter == NULL ? -1 : 0;
	for (size_t i = 0; i < CALLS && rc == 0; i++) {
		if (i > 0 && calls[i].number == calls[i - 1].number)
			continue;
		if (calls[i].number == SYS_mmap)
			rc = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SYS_mmap, 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
		else if (calls[i].number == SYS_fcntl)
			for (size_t k = 0; k < sizeof locks / sizeof *locks && rc == 0; k++)
				rc = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SYS_fcntl, 1, SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)locks[k], 0));
		else
			rc = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, calls[i].number, 0);
	}
	return rc == 0 && seccomp_load(filter) == 0 ? seccomp_notify_fd(filter) : -1;
}

/* ---- our side ---- */

static bool peek(pid_t pid, uint64_t at, void *out, size_t len)
{
	struct iovec local = { out, len }, remote = { (void *)(uintptr_t)at, len };
	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

/* A string may end just before the end of a page. */
static bool peek_text(pid_t pid, uint64_t at, char *out, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (!peek(pid, at + i, out + i, 1))
			return false;
		if (out[i] == '\0')
			return true;
	}
	return false;
}

static bool link_of(pid_t pid, const char *what, char *out, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
	ssize_t len = readlink(path, out, size - 1);
	out[len < 0 ? 0 : len] = '\0';
	return len > 0 && out[0] == '/' && strstr(out, " (deleted)") == NULL;
}

static bool fd_path(pid_t pid, int fd, char *out, size_t size)
{
	char name[32];
	snprintf(name, sizeof name, "fd/%d", fd);
	return link_of(pid, fd == AT_FDCWD ? "cwd" : name, out, size);
}

/* The user that files are judged by: the fourth of "Uid:". */
static long file_user(pid_t pid)
{
	char path[64], line[256];
	long uid = -1;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *status = fopen(path, "re");
	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		if (sscanf(line, "Uid: %*d %*d %*d %ld", &uid) == 1)
			break;
	if (status != NULL)
		fclose(status);
	return uid;
}

static void record(pid_t pid, const char *program, const char *rights, const char *path)
{
	char line[2 * PATH_MAX + 64];
	struct stat st;
	bool exists = lstat(path, &st) == 0, directory = exists && S_ISDIR(st.st_mode) && strcmp(path, "/") != 0;
	bool own = !exists || (long)st.st_uid == file_user(pid);
	snprintf(line, sizeof line, "%s\t%s\t%s\t%s%s", program, rights, own ? "own" : "other", path, directory ? "/" : "");
	for (size_t i = 0; i < line_count; i++)
		if (strcmp(lines[i], line) == 0)
			return;
	if (line_count == LINES_MAX || (lines[line_count++] = strdup(line)) == NULL)
		die("too many files");
}

/* Without links. A file that is about to be made has only a directory yet. "self" is the caller, not us. */
static bool canonical(pid_t pid, const char *path, bool may_be_made, char *out)
{
	char full[PATH_MAX];
	bool own = strncmp(path, "/proc/self/", 11) == 0;
	int len = own ? snprintf(full, sizeof full, "/proc/%d/%s", (int)pid, path + 11) : snprintf(full, sizeof full, "%s", path);
	if (len >= (int)sizeof full)
		return false;
	/* a descriptor's link leads to no path */
	if (strstr(full, "/fd/") != NULL && strncmp(full, "/proc/", 6) == 0)
		return false;
	if (realpath(full, out) != NULL)
		return true;
	char *slash = strrchr(full, '/');
	if (!may_be_made || slash == NULL || slash[1] == '\0')
		return false;
	char name[NAME_MAX + 1];
	snprintf(name, sizeof name, "%s", slash + 1);
	slash[slash == full ? 1 : 0] = '\0';
	if (realpath(full, out) == NULL || strlen(out) + strlen(name) + 2 > PATH_MAX)
		return false;
	strcat(strcmp(out, "/") == 0 ? out : strcat(out, "/"), name);
	return true;
}

static const char *rights_of(uint64_t flags)
{
	if ((flags & O_PATH) != 0)
		return NULL;
	bool makes = (flags & O_CREAT) != 0 || (flags & O_TRUNC) != 0;
	switch (flags & O_ACCMODE) {
	case O_RDONLY: return makes ? "rw" : "r";
	case O_WRONLY: return "w";
	default: return "rw";
	}
}

static bool socket_path(pid_t pid, const struct seccomp_notif *q, char *out, size_t size)
{
	struct sockaddr_un address = { 0 };
	size_t len = q->data.args[2] < sizeof address ? (size_t)q->data.args[2] : sizeof address;
	if (!peek(pid, q->data.args[1], &address, len) || address.sun_family != AF_UNIX || address.sun_path[0] != '/')
		return false;
	snprintf(out, size, "%.*s", (int)sizeof address.sun_path, address.sun_path);
	return true;
}

static void look(const struct call *c, const struct seccomp_notif *q)
{
	char program[PATH_MAX], said[PATH_MAX] = "", path[2 * PATH_MAX], found[PATH_MAX];
	pid_t pid = (pid_t)q->pid;
	uint64_t flags = 0;
	const char *rights = c->rights;
	if (!link_of(pid, "exe", program, sizeof program))
		return;
	if (c->special == BY_HOW) {
		struct open_how how = { 0 };
		if (!peek(pid, q->data.args[c->flags], &how, sizeof how))
			return;
		flags = how.flags;
	} else if (c->special == BY_FLAGS) {
		flags = q->data.args[c->flags];
	}
	if ((c->special == BY_HOW || c->special == BY_FLAGS) && (rights = rights_of(flags)) == NULL)
		return;
	if (c->special == SOCKET) {
		if (!socket_path(pid, q, path, sizeof path))
			return;
	} else {
		if (c->path != NONE && !peek_text(pid, q->data.args[c->path], said, sizeof said))
			return;
		if (said[0] == '/')
			snprintf(path, sizeof path, "%s", said);
		else if (!fd_path(pid, c->dir == NONE ? AT_FDCWD : (int)q->data.args[c->dir], path, PATH_MAX))
			return;
		else if (said[0] != '\0')
			snprintf(path + strlen(path), sizeof path - strlen(path), "/%s", said);
	}
	bool may_be_made = (c->special == PLAIN && c->rights[0] == 'w') || (flags & O_CREAT) != 0;
	if (!canonical(pid, path, may_be_made, found))
		return;
	record(pid, program, rights, found);
	/* what is executed is read and mapped by what it becomes */
	if (c->special == EXEC)
		record(pid, found, "mr", found);
}

static void serve_one(void *ctx)
{
	const int *listener = ctx;
	struct seccomp_notif q;
	if (!notify_next(*listener, &q))
		return;
	for (size_t i = 0; i < CALLS; i++)
		if (calls[i].number == q.data.nr)
			look(&calls[i], &q);
	struct seccomp_notif_resp answer = { .id = q.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
	notify_answer(*listener, &answer);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int main(int argc, char **argv)
{
	int listener;
	if (argc < 3) {
		fprintf(stderr, "usage: opens RECORD COMMAND…\n");
		return 2;
	}
	FILE *out = fopen(argv[1], "we");
	if (out == NULL)
		die(argv[1]);
	pid_t pid = notify_start(argv + 2, install_filter, &listener);
	int rc = notify_serve(listener, pid, serve_one, &listener);
	qsort(lines, line_count, sizeof *lines, by_text);
	for (size_t i = 0; i < line_count; i++)
		fprintf(out, "%s\n", lines[i]);
	if (fclose(out) != 0)
		die(argv[1]);
	return rc;
}
