/* Making, writing and taking back. A signal in between leaves at most an empty file, which is then in the way and not believed. */
#include "cli/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static custos_rc refuse(const char *path, int error, struct custos_err *err)
{
	const char *remedy = error == EEXIST ? "name a file that does not exist" : "name a new file in a directory that exists and that you may write to";
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, remedy, "cannot make \"%s\": %s", path, strerror(error));
}

custos_rc custos_new_file_foresee(const char *path, struct custos_err *err)
{
	struct stat st;
	return path != NULL && lstat(path, &st) == 0 ? refuse(path, EEXIST, err) : CUSTOS_OK;
}

custos_rc custos_new_file_make(struct custos_new_file *file, const char *path, struct custos_err *err)
{
	if (path == NULL)
		return CUSTOS_OK;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return refuse(path, errno, err);
	*file = (struct custos_new_file){ .path = path, .fd = fd, .open = true };
	return CUSTOS_OK;
}

custos_rc custos_new_file_write(struct custos_new_file *file, const char *text, struct custos_err *err)
{
	if (!file->open)
		return CUSTOS_OK;
	for (size_t done = 0, len = strlen(text); done < len;) {
		ssize_t n = write(file->fd, text + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot write %s: %s", file->path, strerror(errno));
		done += (size_t)n;
	}
	/* not every file system can */
	if (fsync(file->fd) != 0 && errno != EINVAL && errno != EROFS)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot write %s: %s", file->path, strerror(errno));
	file->whole = true;
	return CUSTOS_OK;
}

void custos_new_file_done(struct custos_new_file *file)
{
	struct stat ours, there;
	if (!file->open)
		return;
	if (!file->whole && fstat(file->fd, &ours) == 0 && lstat(file->path, &there) == 0 && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
		unlink(file->path);
	close(file->fd);
	*file = (struct custos_new_file){ 0 };
}
