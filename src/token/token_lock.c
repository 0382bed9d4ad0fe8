/* The per-token lock: see token_lock.h. */
#include "token/token_lock.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

/* Opens the directory, making it when it is absent. A directory of another user's would let him swap the files below it. */
static custos_rc open_directory(const char *dir, int *ret_fd, struct custos_err *err)
{
	bool made = mkdir(dir, 0700) == 0;
	CUSTOS_REQUIRE(made || errno == EEXIST, err, CUSTOS_E_SYSTEM, "cannot make the lock directory %s: %s", dir, strerror(errno));
	CUSTOS_AUTO_FD fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_SYSTEM, "cannot open the lock directory %s: %s", dir, strerror(errno));
	struct stat st;
	CUSTOS_REQUIRE(fstat(fd, &st) == 0, err, CUSTOS_E_SYSTEM, "cannot look at the lock directory %s: %s", dir, strerror(errno));
	bool ours = st.st_uid == geteuid();
	/* root takes over a directory that a user made first, so that everybody can share it from then on */
	if (!ours && geteuid() == 0 && fchown(fd, 0, 0) == 0)
		ours = true;
	if (!ours && st.st_uid != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_SYSTEM, "as root: install -d -m 1777 -o root -g root /run/lock/custos", "the lock directory %s belongs to another user (uid %u)", dir,
		                 (unsigned)st.st_uid);
	if (ours && (st.st_mode & 07777) != 01777)
		CUSTOS_REQUIRE(fchmod(fd, 01777) == 0, err, CUSTOS_E_SYSTEM, "cannot open the lock directory %s to others: %s", dir, strerror(errno));
	*ret_fd = custos_take_fd(&fd);
	return CUSTOS_OK;
}

static custos_rc file_name(const char *name, char *out, size_t size, struct custos_err *err)
{
	size_t used = 0;
	CUSTOS_REQUIRE(name[0] != '\0', err, CUSTOS_E_TOKEN, "the token has no serial number to lock it by");
	for (const char *c = name; *c != '\0'; c++) {
		bool plain = (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_' || *c == '-';
		CUSTOS_REQUIRE(used + 4 < size, err, CUSTOS_E_TOKEN, "the token's serial number is too long");
		used += (size_t)snprintf(out + used, size - used, plain ? "%c" : "%%%02X", (unsigned char)*c);
	}
	return CUSTOS_OK;
}

/* Without O_CREAT first: with fs.protected_regular the kernel refuses O_CREAT on a file of another user's in a sticky directory. */
static custos_rc open_file(int dir_fd, const char *file, int *ret_fd, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = -1;
	for (int attempt = 0; fd < 0 && attempt < 3; attempt++) {
		fd = openat(dir_fd, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (fd >= 0 || errno != ENOENT)
			break;
		fd = openat(dir_fd, file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		/* umask 077 is in force here, and others must be able to take the lock as well */
		if (fd >= 0 && fchmod(fd, 0666) != 0)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot open the lock file %s to others: %s", file, strerror(errno));
		if (fd < 0 && errno != EEXIST)
			break;
	}
	struct stat st;
	if (fd < 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot open the lock file %s: %s", file, errno == ELOOP ? "it is a symbolic link" : strerror(errno));
	CUSTOS_REQUIRE(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1, err, CUSTOS_E_SYSTEM, "the lock file %s is not a plain file", file);
	*ret_fd = custos_take_fd(&fd);
	return CUSTOS_OK;
}

static long holder(int fd)
{
	char text[24] = { 0 };
	ssize_t len = pread(fd, text, sizeof text - 1, 0);
	return len > 0 ? strtol(text, NULL, 10) : 0;
}

custos_rc custos_token_lock(const char *dir, const char *name, int wait_ms, int *ret_fd, struct custos_err *err)
{
	char file[128], pid[24];
	CUSTOS_AUTO_FD dir_fd = -1;
	CUSTOS_AUTO_FD fd = -1;
	CUSTOS_TRY(file_name(name, file, sizeof file, err));
	CUSTOS_TRY(open_directory(dir, &dir_fd, err));
	CUSTOS_TRY(open_file(dir_fd, file, &fd, err));
	int64_t deadline = custos_clock_monotonic_ms() + wait_ms;
	while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		CUSTOS_REQUIRE(errno == EWOULDBLOCK || errno == EINTR, err, CUSTOS_E_SYSTEM, "cannot lock %s/%s: %s", dir, file, strerror(errno));
		if (custos_clock_monotonic_ms() >= deadline)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "wait for it to end; one process at a time works on a token", "token %s is in use by process %ld (lock %s/%s)", name, holder(fd),
			                 dir, file);
		struct timespec pause = { .tv_nsec = 10000000 };
		nanosleep(&pause, NULL);
	}
	int len = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	CUSTOS_REQUIRE(ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)len, 0) == len, err, CUSTOS_E_SYSTEM, "cannot write %s/%s: %s", dir, file, strerror(errno));
	*ret_fd = custos_take_fd(&fd);
	return CUSTOS_OK;
}
