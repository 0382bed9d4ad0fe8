/* Which processes the command has, and what they run. Kernels need not list children, so every process that was not there before is asked for its
 * parent. Those that lose theirs become ours (a subreaper is nobody's orphanage but its own). */
#include "residue.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FOREIGN_MAX = 65536, FIRST_HANDED = 4, FDS_LOOKED_AT = 12 };

static int compare(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;
	return (x > y) - (x < y);
}

/* Calls `visit` for each process there is. */
static void each_process(void (*visit)(struct residue_tree *t, pid_t pid), struct residue_tree *t)
{
	DIR *proc = opendir("/proc");
	if (proc == NULL)
		residue_die("cannot read /proc");
	for (struct dirent *e; (e = readdir(proc)) != NULL;) {
		char *end;
		long pid = strtol(e->d_name, &end, 10);
		if (pid > 0 && *end == '\0')
			visit(t, (pid_t)pid);
	}
	closedir(proc);
}

static void note_foreign(struct residue_tree *t, pid_t pid)
{
	if (t->foreign_count < FOREIGN_MAX)
		t->foreign[t->foreign_count++] = pid;
}

void residue_tree_begin(struct residue_tree *t)
{
	t->foreign = calloc(FOREIGN_MAX, sizeof *t->foreign);
	if (t->foreign == NULL)
		residue_die("out of memory");
	each_process(note_foreign, t);
	qsort(t->foreign, t->foreign_count, sizeof *t->foreign, compare);
}

static bool read_text(pid_t pid, const char *file, char *text, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	FILE *f = fopen(path, "re");
	size_t len = f == NULL ? 0 : fread(text, 1, size - 1, f);
	text[len] = '\0';
	if (f != NULL)
		fclose(f);
	return len > 0;
}

/* 0 when it is gone, or as good as gone. */
static pid_t parent_of(pid_t pid)
{
	char text[512], state = 'Z';
	int parent = 0;
	if (!read_text(pid, "stat", text, sizeof text))
		return 0;
	const char *name_end = strrchr(text, ')');
	if (name_end == NULL || sscanf(name_end + 1, " %c %d", &state, &parent) != 2 || state == 'Z' || state == 'X')
		return 0;
	return parent;
}

static bool is_ours(const struct residue_tree *t, pid_t pid)
{
	if (pid == getpid())
		return true;
	for (size_t i = 0; i < t->count; i++)
		if (t->processes[i].pid == pid && !t->processes[i].gone)
			return true;
	return false;
}

/* By the name of the file that runs; a stand-in between keeper and courier may add to it. Between fork and exec a helper still is what its
 * parent is. */
static void identify(struct residue_process *p)
{
	static const struct {
		const char *name;
		enum residue_role role;
	} names[] = { { "custos-courier", ROLE_COURIER }, { "custos-token", ROLE_TOKEN }, { "custos", ROLE_KEEPER } };
	char link[64], path[4096];
	snprintf(link, sizeof link, "/proc/%d/exe", (int)p->pid);
	ssize_t len = readlink(link, path, sizeof path - 1);
	path[len < 0 ? 0 : len] = '\0';
	const char *slash = strrchr(path, '/'), *name = slash == NULL ? "" : slash + 1;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].role == ROLE_KEEPER ? strcmp(name, names[i].name) == 0 : strncmp(name, names[i].name, strlen(names[i].name)) == 0) {
			p->known = true;
			p->role = names[i].role;
			return;
		}
	p->known = false;
}

static void visit(struct residue_tree *t, pid_t pid)
{
	if (bsearch(&pid, t->foreign, t->foreign_count, sizeof pid, compare) != NULL || is_ours(t, pid) || t->count == PROCESSES_MAX)
		return;
	pid_t parent = parent_of(pid);
	if (parent > 0 && is_ours(t, parent))
		t->processes[t->count++] = (struct residue_process){ .pid = pid };
}

void residue_tree_look(struct residue_tree *t)
{
	each_process(visit, t);
	for (size_t i = 0; i < t->count; i++) {
		struct residue_process *p = &t->processes[i];
		p->gone = p->gone || parent_of(p->pid) == 0;
		if (!p->gone && (!p->known || p->role == ROLE_KEEPER))
			identify(p);
	}
}

/* How many filters of system calls it has; -1 when the kernel (before 5.9) does not say. */
static long filters_of(pid_t pid)
{
	static const char field[] = "\nSeccomp_filters:\t";
	char status[4096];
	const char *at = read_text(pid, "status", status, sizeof status) ? strstr(status, field) : NULL;
	return at == NULL ? -1 : strtol(at + sizeof field - 1, NULL, 10);
}

/* It is past its start when it has a filter more than its keeper: the last thing it does before it says HELLO. */
static bool is_in_sandbox(pid_t pid)
{
	pid_t parent = parent_of(pid);
	return parent > 0 && filters_of(pid) > filters_of(parent);
}

/* Where the kernel does not tell filters, or there is no sandbox: a courier is handed the connection to a host when it has said HELLO, and that it says when it has
 * given up all it can do without. */
static bool has_connection(pid_t pid)
{
	char link[64], target[64];
	for (int fd = FIRST_HANDED; fd < FIRST_HANDED + FDS_LOOKED_AT; fd++) {
		snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)pid, fd);
		ssize_t len = readlink(link, target, sizeof target);
		if (len > 7 && memcmp(target, "socket:", 7) == 0)
			return true;
	}
	return false;
}

bool residue_is_ready(pid_t pid, enum residue_role role)
{
	char status[4096], call[256];
	static const long waits[] = {
#ifdef SYS_poll
		SYS_poll,
#endif
		SYS_ppoll,       SYS_recvmsg,
#ifdef SYS_epoll_wait
		SYS_epoll_wait,
#endif
		SYS_epoll_pwait,
	};
	if (role == ROLE_COURIER && is_in_sandbox(pid))
		return true;
	/* no new privileges: the last thing that is done before a tracer is asked about */
	if (!read_text(pid, "status", status, sizeof status) || strstr(status, "\nNoNewPrivs:\t1") == NULL || !read_text(pid, "syscall", call, sizeof call))
		return false;
	long number = strtol(call, NULL, 10);
	if (call[0] < '0' || call[0] > '9' || (role == ROLE_COURIER && !has_connection(pid)))
		return false;
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
		if (waits[i] == number)
			return true;
	return false;
}
