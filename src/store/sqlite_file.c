/* Ownership and mode of the database file and of the journals SQLite keeps beside it.
 *
 * The file is looked at with lstat and never opened here: closing any descriptor of a file drops all POSIX locks the process has
 * on it, SQLite's too. Nobody but its owner and root can exchange it meanwhile, because the custody directory is theirs alone. */
#include "store/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *const journals[] = { "-wal", "-shm", "-journal" };

custos_rc custos_sqlite_file_path(const char *dir, const char *place, char **ret_path, struct custos_err *err)
{
	const char *slash = strrchr(place, '/'), *file = slash == NULL ? place : slash + 1;
	if (file[0] == '\0' || file[0] == '.')
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "write sqlite:FILE", "sqlite:%.200s does not name a file", place);
	char folder[PATH_MAX];
	int len = place[0] == '/' ? snprintf(folder, sizeof folder, "%.*s", (int)(file - place), place)
	                          : snprintf(folder, sizeof folder, "%s/%.*s", dir, (int)(file - place), place);
	CUSTOS_REQUIRE(len > 0 && (size_t)len < sizeof folder, err, CUSTOS_E_INPUT, "sqlite:%.200s is too long", place);
	CUSTOS_AUTO_STR *real = realpath(folder, NULL);
	if (real == NULL)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_STORE, errno, "cannot use %s: %s", folder, strerror(errno));
	CUSTOS_AUTO_STR *path = NULL;
	if (asprintf(&path, "%s/%s", strcmp(real, "/") == 0 ? "" : real, file) < 0) {
		path = NULL;
		CUSTOS_FAIL(err, CUSTOS_E_SYSTEM, "out of memory");
	}
	/* room for the journals' names */
	CUSTOS_REQUIRE(strlen(path) + sizeof "-journal" <= 500, err, CUSTOS_E_INPUT, "%.200s is too long for a database", path);
	*ret_path = CUSTOS_TAKE(path);
	return CUSTOS_OK;
}

static void journal_path(const char *path, size_t i, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s%s", path, journals[i]);
}

custos_rc custos_sqlite_file_create(const char *path, struct custos_err *err)
{
	struct stat st;
	char journal[PATH_MAX];
	for (size_t i = 0; i < sizeof journals / sizeof *journals; i++) {
		journal_path(path, i, journal);
		/* SQLite would play an old journal back into the new database. */
		if (lstat(journal, &st) == 0)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "move it away if it is not needed", "%s is left over from another database", journal);
	}
	CUSTOS_AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "a custody is never made over another one: name a new directory", "%s is there already", path);
	if (fd < 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_STORE, errno, "cannot make %s: %s", path, strerror(errno));
	char folder[PATH_MAX];
	snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path + 1), path);
	CUSTOS_AUTO_FD parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0 || fsync(fd) != 0 || fsync(parent) != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_STORE, errno, "cannot write %s: %s", folder, strerror(errno));
	return CUSTOS_OK;
}

void custos_sqlite_file_remove(const char *path)
{
	char journal[PATH_MAX];
	for (size_t i = 0; i < sizeof journals / sizeof *journals; i++) {
		journal_path(path, i, journal);
		unlink(journal);
	}
	unlink(path);
}

static custos_rc check_one(const char *path, const struct stat *st, struct custos_err *err)
{
	CUSTOS_REQUIRE(!S_ISLNK(st->st_mode), err, CUSTOS_E_STORE, "%s is a symbolic link", path);
	CUSTOS_REQUIRE(S_ISREG(st->st_mode), err, CUSTOS_E_STORE, "%s is not a file", path);
	if (st->st_uid != geteuid() && st->st_uid != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "run custos as the owner of the custody", "%s belongs to another user (uid %u)", path,
		                 (unsigned)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "find out who wrote it, verify the log, then chmod go-w",
		                 "%s can be written by other users (mode %04o)", path, (unsigned)st->st_mode & 07777);
	return CUSTOS_OK;
}

custos_rc custos_sqlite_file_check(const char *path, struct custos_err *err)
{
	struct stat st;
	char journal[PATH_MAX];
	if (lstat(path, &st) != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_STORE, errno, "cannot open %s: %s", path, strerror(errno));
	CUSTOS_TRY(check_one(path, &st, err));
	for (size_t i = 0; i < sizeof journals / sizeof *journals; i++) {
		journal_path(path, i, journal);
		if (lstat(journal, &st) == 0)
			CUSTOS_TRY(check_one(journal, &st, err));
	}
	return CUSTOS_OK;
}
