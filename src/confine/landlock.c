/* landlock(7): which files a process may reach. Rights are governed as far as the kernel knows them; the constants that Debian 12's headers lack
 * are in the kernel's ABI and never change. */
#include "confine/parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { LATEST = 6, NET_SINCE = 4, SCOPES_SINCE = 6 };
static const uint64_t TRUNCATE = UINT64_C(1) << 14, IOCTL_DEV = UINT64_C(1) << 15;
static const uint64_t TCP = 3, ABSTRACT_SOCKETS_AND_SIGNALS = 3, SIGNALS = 2;

static const uint64_t READING = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t MAKING = LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                               LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                               LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;

/* struct landlock_ruleset_attr as of version 6; an older kernel takes it as long as what it does not know is zero. */
struct ruleset {
	uint64_t files, net, scoped;
};

int custos_confine_landlock_version(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
	return version < 0 ? 0 : (int)version;
}

static uint64_t known_rights(int version)
{
	uint64_t rights = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | READING | MAKING | TRUNCATE | IOCTL_DEV;
	if (version < 5)
		rights &= ~IOCTL_DEV;
	if (version < 3)
		rights &= ~TRUNCATE;
	if (version < 2)
		rights &= ~(uint64_t)LANDLOCK_ACCESS_FS_REFER;
	return rights;
}

static custos_rc new_ruleset(struct custos_confinement *c, struct ruleset attr, struct custos_err *err)
{
	int version = custos_confine_landlock_version();
	CUSTOS_REQUIRE(c->ruleset < 0, err, CUSTOS_E_INTERNAL, "files are confined twice");
	if (version == 0)
		return CUSTOS_OK;
	attr.files = known_rights(version);
	if (version < NET_SINCE)
		attr.net = 0;
	if (version < SCOPES_SINCE)
		attr.scoped = 0;
	c->ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
	if (c->ruleset < 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "landlock does not work: %s", strerror(errno));
	c->file_rights = attr.files;
	return CUSTOS_OK;
}

custos_rc custos_confinement_nothing(struct custos_confinement *c, struct custos_err *err)
{
	return new_ruleset(c, (struct ruleset){ .net = TCP, .scoped = ABSTRACT_SOCKETS_AND_SIGNALS }, err);
}

custos_rc custos_confinement_only_paths(struct custos_confinement *c, struct custos_err *err)
{
	return new_ruleset(c, (struct ruleset){ 0 }, err);
}

/* Rights below what `fd` (O_PATH) stands for. For anything but a directory only the rights of a file are taken. */
static custos_rc add_rule(struct custos_confinement *c, int fd, const char *path, uint64_t rights, struct custos_err *err)
{
	struct stat st;
	CUSTOS_REQUIRE(fstat(fd, &st) == 0, err, CUSTOS_E_SYSTEM, "cannot look at %s: %s", path, strerror(errno));
	rights &= c->file_rights;
	if (S_ISLNK(st.st_mode))
		return CUSTOS_OK;
	if (!S_ISDIR(st.st_mode))
		rights &= LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | TRUNCATE | IOCTL_DEV;
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
	if (syscall(SYS_landlock_add_rule, c->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "landlock takes no rule for %s: %s", path, strerror(errno));
	return CUSTOS_OK;
}

custos_rc custos_confinement_allow_path(struct custos_confinement *c, const char *path, unsigned rights, struct custos_err *err)
{
	if (c->ruleset < 0)
		return CUSTOS_OK;
	CUSTOS_AUTO_FD fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return CUSTOS_OK;
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_SYSTEM, "cannot look at %s: %s", path, strerror(errno));
	uint64_t wanted = 0;
	if ((rights & CUSTOS_CONFINE_READ) != 0)
		wanted |= READING;
	if ((rights & CUSTOS_CONFINE_WRITE) != 0)
		wanted |= LANDLOCK_ACCESS_FS_WRITE_FILE | MAKING | TRUNCATE | IOCTL_DEV;
	if ((rights & CUSTOS_CONFINE_EXECUTE) != 0)
		wanted |= LANDLOCK_ACCESS_FS_EXECUTE;
	return add_rule(c, fd, path, wanted, err);
}

/* ---- everything but some directories ---- */

enum { SPARED_MAX = 8, DEPTH_MAX = 64 };

struct spared {
	char paths[SPARED_MAX][PATH_MAX]; /* absolute, without links */
	size_t count;
};

enum relation { BESIDE, ABOVE, WITHIN };

static enum relation relate(const struct spared *spared, const char *path)
{
	size_t len = strlen(path);
	for (size_t i = 0; i < spared->count; i++) {
		if (strcmp(spared->paths[i], path) == 0)
			return WITHIN;
		if (strncmp(spared->paths[i], path, len) == 0 && spared->paths[i][len] == '/')
			return ABOVE;
	}
	return BESIDE;
}

static void close_dir(DIR **dir)
{
	if (*dir != NULL)
		closedir(*dir);
}

/* All rights to whatever is in `parent` ("" is the root) and is not spared, nor above something spared: there it goes on a level deeper. Links are
 * left out: what they point to has a place of its own. */
static custos_rc allow_below(struct custos_confinement *c, const struct spared *spared, const char *parent, unsigned depth, struct custos_err *err)
{
	CUSTOS_CLEANUP(close_dir) DIR *dir = opendir(parent[0] == '\0' ? "/" : parent);
	/* what this user may not list is lost to the helper too; nothing of custos lies there but what is spared */
	if (dir == NULL && errno == EACCES)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(dir != NULL && depth < DEPTH_MAX, err, CUSTOS_E_SYSTEM, "cannot list %s: %s", parent, dir == NULL ? strerror(errno) : "it lies too deep");
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char path[PATH_MAX];
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || snprintf(path, sizeof path, "%s/%s", parent, entry->d_name) >= (int)sizeof path)
			continue;
		enum relation where = relate(spared, path);
		CUSTOS_AUTO_FD fd = openat(dirfd(dir), entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (where == ABOVE)
			CUSTOS_TRY(allow_below(c, spared, path, depth + 1, err));
		else if (where == BESIDE && fd >= 0)
			CUSTOS_TRY(add_rule(c, fd, path, c->file_rights, err));
	}
	return CUSTOS_OK;
}

static void free_spared(struct spared **spared)
{
	free(*spared);
}

custos_rc custos_confinement_all_but(struct custos_confinement *c, const char *const dirs[], size_t count, struct custos_err *err)
{
	CUSTOS_CLEANUP(free_spared) struct spared *spared = calloc(1, sizeof *spared);
	CUSTOS_REQUIRE(spared != NULL && count <= SPARED_MAX, err, CUSTOS_E_SYSTEM, "out of memory");
	for (; spared->count < count; spared->count++) {
		char *path = spared->paths[spared->count];
		CUSTOS_REQUIRE(realpath(dirs[spared->count], path) != NULL, err, CUSTOS_E_SYSTEM, "cannot look at %s: %s", dirs[spared->count], strerror(errno));
		CUSTOS_REQUIRE(strcmp(path, "/") != 0, err, CUSTOS_E_SYSTEM, "the root directory cannot be put out of reach");
	}
	CUSTOS_TRY(new_ruleset(c, (struct ruleset){ .scoped = SIGNALS }, err));
	return c->ruleset < 0 ? CUSTOS_OK : allow_below(c, spared, "", 0, err);
}

custos_rc custos_confine_enter_ruleset(struct custos_confinement *c, struct custos_err *err)
{
	if (c->ruleset >= 0 && syscall(SYS_landlock_restrict_self, c->ruleset, 0) != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "this process cannot give up its files: %s", strerror(errno));
	custos_close_fd(&c->ruleset);
	return CUSTOS_OK;
}
