/* One look at the memory of a process: which mappings it has, what the kernel says is locked, what can be read of it from outside.
 *
 * A file mapping that cannot be written to and has no page of its own holds what is in the file; those are read in a whole look only. */
#include "residue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_SIZE = 4352, CHUNK = 1 << 20, OVERLAP = RESIDUE_WINDOW - 1, LOCKED_MIN = 32 * 1024 };

struct mapping {
	uint64_t from, to;
	bool readable, writable, is_file, locked;
	uint64_t resident_kb, swapped_kb, own_kb;
	char where[64];
};

static int open_of(pid_t pid, const char *file)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool residue_read_memory(pid_t pid, uint64_t address, void *into, size_t len)
{
	int fd = open_of(pid, "mem");
	ssize_t got = fd < 0 ? -1 : pread(fd, into, len, (off_t)address);
	if (fd >= 0)
		close(fd);
	return got == (ssize_t)len;
}

static bool parse_head(const char *line, struct mapping *m)
{
	char mode[8];
	unsigned long long from, to, inode;
	int name = 0;
	if (sscanf(line, "%llx-%llx %7s %*x %*s %llu %n", &from, &to, mode, &inode, &name) < 4)
		return false;
	*m = (struct mapping){ .from = from, .to = to, .readable = mode[0] == 'r', .writable = mode[1] == 'w', .is_file = inode != 0 };
	const char *path = name > 0 ? line + name : "", *slash = strrchr(path, '/');
	snprintf(m->where, sizeof m->where, "%s", path[0] == '\0' || path[0] == '\n' ? "[anonymous]" : slash != NULL ? slash + 1 : path);
	m->where[strcspn(m->where, "\n")] = '\0';
	return true;
}

static bool parse_number(const char *line, const char *name, uint64_t *ret)
{
	size_t len = strlen(name);
	if (strncmp(line, name, len) != 0 || line[len] != ':')
		return false;
	*ret = strtoull(line + len + 1, NULL, 10);
	return true;
}

/* The next mapping with everything that is said of it. VmFlags is the last line of each. */
static bool next_mapping(FILE *smaps, struct mapping *m)
{
	char line[LINE_SIZE];
	bool begun = false;
	while (fgets(line, sizeof line, smaps) != NULL) {
		if (!begun) {
			begun = parse_head(line, m);
		} else if (strncmp(line, "VmFlags:", 8) == 0) {
			m->locked = strstr(line, " lo ") != NULL || strstr(line, " lo\n") != NULL;
			return true;
		} else if (!parse_number(line, "Rss", &m->resident_kb) && !parse_number(line, "Swap", &m->swapped_kb)) {
			(void)parse_number(line, "Anonymous", &m->own_kb);
		}
	}
	return false;
}

static bool is_worth_reading(const struct mapping *m, bool whole)
{
	bool empty = m->resident_kb == 0 && m->swapped_kb == 0;
	if (!m->readable || strcmp(m->where, "[vvar]") == 0 || strcmp(m->where, "[vsyscall]") == 0 || strcmp(m->where, "[vvar_vclock]") == 0)
		return false;
	if (!m->is_file)
		return !empty;
	return whole || m->writable || m->own_kb > 0 || m->swapped_kb > 0;
}

/* What cannot be read is counted a page at a time. */
static void scan_mapping(int mem, const struct mapping *m, uint8_t *chunk, struct residue_sample *s)
{
	struct residue_hits hits = { 0 };
	if (s->kept != NULL)
		residue_keep_part(s->kept, PART_MAPPING, m->where, m->locked);
	size_t kept = 0, page = (size_t)sysconf(_SC_PAGESIZE);
	for (uint64_t at = m->from; at < m->to;) {
		size_t want = m->to - at < CHUNK ? (size_t)(m->to - at) : CHUNK;
		ssize_t got = pread(mem, chunk + kept, want, (off_t)at);
		if (got <= 0) {
			s->unreadable += page;
			at += page;
			kept = 0;
			continue;
		}
		size_t have = kept + (size_t)got;
		if (s->kept != NULL)
			residue_keep_bytes(s->kept, chunk, have);
		else
			residue_needles_search(s->needles, chunk, have, &hits);
		s->report->of[s->role].bytes += (size_t)got;
		at += (uint64_t)got;
		/* a window that lies across two chunks: the last bytes come once more, too few of them to be a window alone */
		kept = have < OVERLAP ? have : OVERLAP;
		memmove(chunk, chunk + have - kept, kept);
	}
	residue_sample_take_mapping(s, m->where, m->locked, &hits);
}

static void note_backend(const struct mapping *m, struct residue_report *r)
{
	if (strncmp(m->where, "secretmem", 9) == 0)
		snprintf(r->backend, sizeof r->backend, "memfd_secret");
	else if (r->backend[0] == '\0' && m->locked && m->to - m->from >= LOCKED_MIN)
		snprintf(r->backend, sizeof r->backend, "mlock");
}

bool residue_scan_memory(pid_t pid, struct residue_sample *s)
{
	int smaps_fd = open_of(pid, "smaps"), mem = open_of(pid, "mem");
	FILE *smaps = smaps_fd < 0 ? NULL : fdopen(smaps_fd, "r");
	uint8_t *chunk = malloc(CHUNK + OVERLAP);
	if (chunk == NULL)
		residue_die("out of memory");
	size_t seen = 0;
	for (struct mapping m; smaps != NULL && mem >= 0 && next_mapping(smaps, &m); seen++) {
		if (s->role == ROLE_COURIER)
			note_backend(&m, s->report);
		/* what is in a file need not be kept */
		if (!is_worth_reading(&m, s->whole && s->kept == NULL))
			continue;
		s->report->of[s->role].mappings++;
		scan_mapping(mem, &m, chunk, s);
	}
	free(chunk);
	if (smaps != NULL)
		fclose(smaps);
	else if (smaps_fd >= 0)
		close(smaps_fd);
	if (mem >= 0)
		close(mem);
	return seen > 0;
}
