/* The directory requests go to. A request is written beside its place and then linked there: link(2) never replaces anything, and whoever is killed in
 * between leaves a file with a dot in front of its name and no torn request. One sync for all of them comes at the end: a flush a file takes longer than
 * all the rest of a key. So a power cut may leave a request's beginning under its name; the next run knows it, and completes it. */
#include "vault/enroll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { NAME_SIZE = 96, PEM_MAX = 1 << 18 };

custos_rc custos_enroll_dir_open(const char *path, struct custos_enroll_dir *ret_dir, struct custos_err *err)
{
	bool made = mkdir(path, 0755) == 0;
	CUSTOS_REQUIRE(made || errno == EEXIST, err, CUSTOS_E_INPUT, "cannot make the directory %s: %s", path, strerror(errno));
	CUSTOS_AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_INPUT, "cannot open the directory %s: %s", path, strerror(errno));
	/* before a key is made, not after */
	if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name another with --out", "nothing can be written to the directory %s: %s", path, strerror(errno));
	*ret_dir = (struct custos_enroll_dir){ path, custos_take_fd(&fd) };
	return CUSTOS_OK;
}

void custos_enroll_dir_close(struct custos_enroll_dir *dir)
{
	custos_close_fd(&dir->fd);
}

static custos_rc read_whole(int fd, struct custos_buf *ret, struct custos_err *err)
{
	uint8_t chunk[4096];
	ssize_t n;
	while ((n = read(fd, chunk, sizeof chunk)) > 0)
		CUSTOS_TRY(custos_buf_append(ret, chunk, (size_t)n, err));
	CUSTOS_REQUIRE(n == 0, err, CUSTOS_E_INPUT, "%s", strerror(errno));
	return CUSTOS_OK;
}

custos_rc custos_enroll_dir_read(const struct custos_enroll_dir *dir, const char *name, struct custos_buf *ret_pem, bool *ret_found, struct custos_err *err)
{
	char file[NAME_SIZE];
	struct stat st;
	snprintf(file, sizeof file, "%s.csr", name);
	CUSTOS_AUTO_FD fd = openat(dir->fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*ret_found = false;
		return CUSTOS_OK;
	}
	struct custos_err why = { 0 };
	ret_pem->max = PEM_MAX;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		(void)custos_err_set(&why, CUSTOS_E_INPUT, 0, "%s", fd < 0 ? strerror(errno) : "it is not a file");
	else if (read_whole(fd, ret_pem, &why) == CUSTOS_OK) {
		*ret_found = true;
		return CUSTOS_OK;
	}
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "move it away", "%s/%s is in the way and cannot be read: %s", dir->path, file, why.msg);
}

static custos_rc write_whole(int fd, struct custos_bytes pem)
{
	for (size_t done = 0; done < pem.len;) {
		ssize_t n = write(fd, pem.ptr + done, pem.len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return CUSTOS_E_SYSTEM;
		done += (size_t)n;
	}
	return CUSTOS_OK;
}

/* Where there are no links (a USB stick) the kernel may still rename without replacing. */
static bool put_in_place(int dir, const char *beside, const char *file)
{
	if (linkat(dir, beside, dir, file, 0) == 0)
		return true;
	return (errno == EPERM || errno == EOPNOTSUPP) && renameat2(dir, beside, dir, file, RENAME_NOREPLACE) == 0;
}

custos_rc custos_enroll_dir_write(const struct custos_enroll_dir *dir, const char *name, struct custos_bytes pem, struct custos_err *err)
{
	char file[NAME_SIZE], beside[NAME_SIZE];
	snprintf(file, sizeof file, "%s.csr", name);
	snprintf(beside, sizeof beside, ".%s.csr.%ld", name, (long)getpid());
	CUSTOS_AUTO_FD fd = openat(dir->fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	int number = fd < 0 ? errno : 0;
	if (fd >= 0 && (write_whole(fd, pem) != CUSTOS_OK || !put_in_place(dir->fd, beside, file)))
		number = errno;
	if (fd >= 0)
		(void)unlinkat(dir->fd, beside, 0);
	if (number == EEXIST)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "move it away and run the command again: the request is kept", "%s/%s exists", dir->path, file);
	if (number != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_SYSTEM, "run the command again: the request is kept", "cannot write %s/%s: %s", dir->path, file, strerror(number));
	return CUSTOS_OK;
}

custos_rc custos_enroll_dir_sync(const struct custos_enroll_dir *dir, struct custos_err *err)
{
	CUSTOS_REQUIRE(syncfs(dir->fd) == 0, err, CUSTOS_E_SYSTEM, "cannot write to %s: %s", dir->path, strerror(errno));
	return CUSTOS_OK;
}

bool custos_enroll_dir_is_torn(struct custos_bytes file, struct custos_bytes pem)
{
	return file.len < pem.len && (file.len == 0 || memcmp(file.ptr, pem.ptr, file.len) == 0);
}

custos_rc custos_enroll_dir_drop(const struct custos_enroll_dir *dir, const char *name, struct custos_err *err)
{
	char file[NAME_SIZE];
	snprintf(file, sizeof file, "%s.csr", name);
	CUSTOS_REQUIRE(unlinkat(dir->fd, file, 0) == 0, err, CUSTOS_E_SYSTEM, "cannot remove what is left of %s/%s: %s", dir->path, file, strerror(errno));
	return CUSTOS_OK;
}
