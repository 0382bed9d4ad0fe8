/* Files, directories and standard input. A file may hold a private key: what was read is wiped on every way out. */
#include "x509/openssl.h"
#include "x509/read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { DIRECTORY_MAX = 4096, STEP = 1 << 16 };

struct contents {
	uint8_t *ptr;
	size_t len, room;
};

static void wipe_contents(struct contents *c)
{
	OPENSSL_clear_free(c->ptr, c->room);
}

/* To the end or to one byte more than may be there, so that too much is seen. */
static custos_rc read_whole(int fd, const char *name, size_t expected, struct contents *c, struct custos_err *err)
{
	for (;;) {
		if (c->len == c->room) {
			size_t room = c->room == 0 ? expected + 1 : c->room + (c->room < STEP ? STEP : c->room);
			uint8_t *grown = OPENSSL_clear_realloc(c->ptr, c->room, room);
			CUSTOS_REQUIRE(grown != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
			c->ptr = grown;
			c->room = room;
		}
		ssize_t n = read(fd, c->ptr + c->len, c->room - c->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, errno, "%s: cannot be read: %s", name, strerror(errno));
		c->len += (size_t)n;
		if (n == 0 || c->len > CUSTOS_BAG_INPUT_MAX)
			return CUSTOS_OK;
	}
}

static custos_rc add_open(struct custos_bag *bag, int fd, const char *name, size_t expected, struct custos_err *err)
{
	CUSTOS_CLEANUP(wipe_contents) struct contents c = { 0 };
	CUSTOS_TRY(read_whole(fd, name, expected, &c, err));
	return custos_bag_add(bag, name, CUSTOS_BYTES(c.ptr, c.len), err);
}

static custos_rc add_note(struct custos_bag *bag, const char *name, enum custos_nature nature, struct custos_err *err)
{
	struct custos_found found = { .label = "", .form = CUSTOS_FORM_OTHER };
	struct custos_bag_item *item;
	CUSTOS_TRY(custos_bag_own_name(bag, name, &found.file, err));
	return custos_bag_push(bag, &found, nature, &item, err);
}

/* One that is unreadable or no file is named and does not stop the others. */
static custos_rc add_member(struct custos_bag *bag, int dir, const char *directory, const char *name, struct custos_err *err)
{
	char path[PATH_MAX];
	struct stat st;
	size_t len = strlen(directory);
	snprintf(path, sizeof path, "%s%s%s", directory, len > 0 && directory[len - 1] == '/' ? "" : "/", name);
	CUSTOS_AUTO_FD fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) != 0)
		return add_note(bag, path, CUSTOS_NATURE_FILE_UNOPENED, err);
	if (S_ISDIR(st.st_mode))
		return add_note(bag, path, CUSTOS_NATURE_DIRECTORY_NESTED, err);
	if (!S_ISREG(st.st_mode))
		return add_note(bag, path, CUSTOS_NATURE_FILE_IRREGULAR, err);
	if ((uintmax_t)st.st_size > custos_bag_room(bag))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name the files of the certificate themselves", "%s: with it there are more than 10 MiB in this directory", path);
	return add_open(bag, fd, path, (size_t)st.st_size, err);
}

struct names {
	char *name[DIRECTORY_MAX];
	size_t count;
};

static void free_names(struct names **names)
{
	for (size_t i = 0; *names != NULL && i < (*names)->count; i++)
		free((*names)->name[i]);
	free(*names);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void close_dir(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

static custos_rc list(DIR *dir, const char *directory, struct names *names, struct custos_err *err)
{
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		if (names->count == DIRECTORY_MAX)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name the files of the certificate themselves", "%s: more than %d files", directory, DIRECTORY_MAX);
		names->name[names->count] = strdup(entry->d_name);
		CUSTOS_REQUIRE(names->name[names->count] != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		names->count++;
	}
	qsort(names->name, names->count, sizeof names->name[0], by_name);
	return CUSTOS_OK;
}

static custos_rc add_directory(struct custos_bag *bag, int fd, const char *path, struct custos_err *err)
{
	CUSTOS_CLEANUP(free_names) struct names *names = calloc(1, sizeof *names);
	CUSTOS_REQUIRE(names != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_AUTO_FD own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	CUSTOS_CLEANUP(close_dir) DIR *dir = own < 0 ? NULL : fdopendir(own);
	if (dir == NULL)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, errno, "%s: cannot be read: %s", path, strerror(errno));
	own = -1; /* the stream's now */
	CUSTOS_TRY(list(dir, path, names, err));
	if (names->count == 0)
		return add_note(bag, path, CUSTOS_NATURE_DIRECTORY_EMPTY, err);
	for (size_t i = 0; i < names->count; i++)
		CUSTOS_TRY(add_member(bag, fd, path, names->name[i], err));
	return CUSTOS_OK;
}

custos_rc custos_bag_add_file(struct custos_bag *bag, const char *path, struct custos_err *err)
{
	if (strcmp(path, "-") == 0)
		return add_open(bag, STDIN_FILENO, "standard input", 0, err);
	CUSTOS_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, errno, "%s: cannot be opened: %s", path, strerror(errno));
	struct stat st;
	if (fstat(fd, &st) != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, errno, "%s: cannot be read: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return add_directory(bag, fd, path, err);
	if (!S_ISREG(st.st_mode))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name a file or a directory, or - for standard input", "%s: not a regular file", path);
	CUSTOS_REQUIRE(st.st_size <= CUSTOS_BAG_INPUT_MAX, err, CUSTOS_E_INPUT, "%s: larger than 10 MiB", path);
	return add_open(bag, fd, path, (size_t)st.st_size, err);
}
