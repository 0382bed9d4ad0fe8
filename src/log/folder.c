/* Files below one directory. */
#include "log/folder.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

static void close_directory(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

static custos_rc fail_errno(const struct custos_folder *folder, const char *name, const char *what, struct custos_err *err)
{
	int number = errno;
	custos_rc rc = number == ELOOP ? CUSTOS_E_INPUT : CUSTOS_E_STORE;
	rc = custos_err_set(err, rc, number, "cannot %s %s/%s: %s", what, folder->path, name, strerror(number));
	if (number == ENOSPC || number == EDQUOT)
		custos_err_hint(err, "free space there and publish again; what is there is still complete");
	return rc;
}

static custos_rc open_path(const char *path, struct custos_folder *ret_folder, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = open(path, DIRECTORY);
	if (fd < 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_INPUT, errno, "cannot open the directory %s: %s", path,
		                   errno == ENOTDIR ? "not a directory, or a symbolic link" : strerror(errno));
	char *copy = custos_text_dup(path);
	CUSTOS_REQUIRE(copy != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_folder = (struct custos_folder){ custos_take_fd(&fd), copy };
	return CUSTOS_OK;
}

custos_rc custos_folder_open(const char *path, struct custos_folder *ret_folder, struct custos_err *err)
{
	return open_path(path, ret_folder, err);
}

custos_rc custos_folder_open_for_writing(const char *path, struct custos_folder *ret_folder, struct custos_err *err)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_STORE, errno, "cannot make the directory %s: %s", path, strerror(errno));
	CUSTOS_AUTO_FOLDER folder = { .fd = -1 };
	CUSTOS_TRY(open_path(path, &folder, err));
	if (flock(folder.fd, LOCK_EX | LOCK_NB) != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_STORE, errno, "%s is being written by another process", path);
	*ret_folder = folder;
	folder = (struct custos_folder){ .fd = -1 };
	return CUSTOS_OK;
}

void custos_folder_close(struct custos_folder *folder)
{
	custos_close_fd(&folder->fd);
	free(folder->path);
	folder->path = NULL;
}

/* Opens the directory that holds `name` and returns what remains of the name; -1 with errno otherwise. Missing ones are made with `make`. */
static int open_parent(const struct custos_folder *folder, const char *name, bool make, const char **ret_last)
{
	CUSTOS_AUTO_FD at = openat(folder->fd, ".", DIRECTORY);
	for (const char *slash; at >= 0 && (slash = strchr(name, '/')) != NULL; name = slash + 1) {
		char part[64];
		size_t len = (size_t)(slash - name);
		if (len == 0 || len >= sizeof part || name[0] == '.') {
			errno = EINVAL;
			return -1;
		}
		memcpy(part, name, len);
		part[len] = '\0';
		if (make && mkdirat(at, part, 0755) == 0 && fsync(at) != 0)
			return -1;
		int next = openat(at, part, DIRECTORY);
		int number = errno;
		custos_close_fd(&at);
		at = next;
		errno = number;
	}
	*ret_last = name;
	return custos_take_fd(&at);
}

static custos_rc read_all(const struct custos_folder *folder, const char *name, int fd, size_t size, struct custos_buf *content,
                          struct custos_err *err)
{
	uint8_t *at;
	if (custos_buf_extend(content, size, &at, NULL) != CUSTOS_OK)
		CUSTOS_FAIL(err, CUSTOS_E_TAMPERED, "%s/%s is larger than such a file can be", folder->path, name);
	for (size_t done = 0; done < size;) {
		ssize_t got = read(fd, at + done, size - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_errno(folder, name, "read", err);
		CUSTOS_REQUIRE(got > 0, err, CUSTOS_E_STORE, "%s/%s shrank while it was read", folder->path, name);
		done += (size_t)got;
	}
	return CUSTOS_OK;
}

custos_rc custos_folder_read(const struct custos_folder *folder, const char *name, struct custos_buf *content, bool *ret_found,
                             struct custos_err *err)
{
	const char *last;
	CUSTOS_AUTO_FD parent = open_parent(folder, name, false, &last);
	CUSTOS_AUTO_FD fd = parent < 0 ? -1 : openat(parent, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*ret_found = false;
		return CUSTOS_OK;
	}
	/* A directory on the way that is a link or a file shows as ENOTDIR. */
	if (fd < 0)
		return fail_errno(folder, name, "open", err);
	struct stat st;
	if (fstat(fd, &st) != 0)
		return fail_errno(folder, name, "look at", err);
	CUSTOS_REQUIRE(S_ISREG(st.st_mode), err, CUSTOS_E_INPUT, "%s/%s is not a file", folder->path, name);
	CUSTOS_TRY(read_all(folder, name, fd, (size_t)st.st_size, content, err));
	*ret_found = true;
	return CUSTOS_OK;
}

static bool write_all(int fd, struct custos_bytes content)
{
	for (size_t done = 0; done < content.len;) {
		ssize_t put = write(fd, content.ptr + done, content.len - done);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return false;
		done += (size_t)put;
	}
	return true;
}

/* Content under the temporary name, on the disk. */
static bool write_temporary(int parent, const char *temporary, struct custos_bytes content)
{
	/* The directory is locked, so a file of that name is what a crash left behind. */
	if (unlinkat(parent, temporary, 0) != 0 && errno != ENOENT)
		return false;
	CUSTOS_AUTO_FD fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	return fd >= 0 && write_all(fd, content) && fsync(fd) == 0;
}

custos_rc custos_folder_put(const struct custos_folder *folder, const char *name, struct custos_bytes content, struct custos_err *err)
{
	const char *last;
	CUSTOS_AUTO_FD parent = open_parent(folder, name, true, &last);
	if (parent < 0)
		return fail_errno(folder, name, "write", err);
	char temporary[80];
	snprintf(temporary, sizeof temporary, ".%.63s.tmp", last);
	if (write_temporary(parent, temporary, content) && renameat(parent, temporary, parent, last) == 0 && fsync(parent) == 0)
		return CUSTOS_OK;
	custos_rc rc = fail_errno(folder, name, "write", err);
	unlinkat(parent, temporary, 0);
	return rc;
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

custos_rc custos_folder_clear(const struct custos_folder *folder, const char *name, const char *keep, struct custos_err *err)
{
	const char *last;
	CUSTOS_AUTO_FD parent = open_parent(folder, name, false, &last);
	CUSTOS_AUTO_FD fd = parent < 0 ? -1 : openat(parent, last, DIRECTORY);
	if (fd < 0)
		return errno == ENOENT ? CUSTOS_OK : fail_errno(folder, name, "open", err);
	int copy = openat(fd, ".", DIRECTORY);
	CUSTOS_CLEANUP(close_directory) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (dir == NULL) {
		custos_close_fd(&copy);
		return fail_errno(folder, name, "list", err);
	}
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (!is_dot(entry->d_name) && (keep == NULL || strcmp(entry->d_name, keep) != 0) && unlinkat(fd, entry->d_name, 0) != 0)
			return fail_errno(folder, name, "clear", err);
	if (keep == NULL && unlinkat(parent, last, AT_REMOVEDIR) != 0)
		return fail_errno(folder, name, "remove", err);
	return fsync(keep == NULL ? parent : fd) == 0 ? CUSTOS_OK : fail_errno(folder, name, "clear", err);
}

custos_rc custos_folder_holds_only(const struct custos_folder *folder, const char *const *names, size_t count, bool *ret_only, struct custos_err *err)
{
	int copy = openat(folder->fd, ".", DIRECTORY);
	CUSTOS_CLEANUP(close_directory) DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	if (dir == NULL) {
		custos_close_fd(&copy);
		return fail_errno(folder, "", "list", err);
	}
	*ret_only = true;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		bool known = is_dot(entry->d_name);
		for (size_t i = 0; i < count; i++)
			known = known || strcmp(entry->d_name, names[i]) == 0;
		*ret_only = *ret_only && known;
	}
	return CUSTOS_OK;
}
