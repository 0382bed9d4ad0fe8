/* Reading what is judged: small files of /proc and /sys, owners and modes. Nothing here fails; what cannot be read is missing. */
#include "doctor/machine.h"
#include "link/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

enum { TEXT_MAX = 512 * 1024, MAPPINGS_MAX = 8 };

/* The whole file as text, NULL when it cannot be read or is longer than anything that is expected. */
static char *read_text(const char *root, const char *format, ...) CUSTOS_PRINTF(2, 3);

static char *read_text(const char *root, const char *format, ...)
{
	char name[PATH_MAX], path[PATH_MAX];
	va_list ap;
	va_start(ap, format);
	vsnprintf(name, sizeof name, format, ap);
	va_end(ap);
	if (snprintf(path, sizeof path, "%s%s", root, name) >= (int)sizeof path)
		return NULL;
	CUSTOS_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CUSTOS_AUTO_BUF text = { .max = TEXT_MAX };
	char chunk[4096];
	ssize_t got = -1;
	while (fd >= 0 && ((got = read(fd, chunk, sizeof chunk)) > 0 || (got < 0 && errno == EINTR)))
		if (got > 0 && custos_buf_append(&text, chunk, (size_t)got, NULL) != CUSTOS_OK)
			return NULL;
	/* an empty file is one that was read */
	return fd < 0 || got < 0 ? NULL : text.ptr == NULL ? strdup("") : (char *)CUSTOS_TAKE(text.ptr);
}

/* What a block device rests on: itself or anything below it is a dm-crypt mapping. LVM on LUKS is a mapping over a mapping. */
static bool is_encrypted(const char *root, const char *device, int depth)
{
	CUSTOS_AUTO_STR *uuid = read_text(root, "/sys/class/block/%s/dm/uuid", device);
	if (uuid != NULL && strncmp(uuid, "CRYPT-", strlen("CRYPT-")) == 0)
		return true;
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/sys/class/block/%s/slaves", root, device);
	DIR *dir = depth < MAPPINGS_MAX ? opendir(path) : NULL;
	size_t below = 0, encrypted = 0;
	for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] == '.')
			continue;
		below++;
		encrypted += is_encrypted(root, entry->d_name, depth + 1);
	}
	if (dir != NULL)
		closedir(dir);
	return below > 0 && encrypted == below;
}

/* zram with a backing device writes pages out to it. */
static bool is_zram(const char *root, const char *device)
{
	CUSTOS_AUTO_STR *backing = read_text(root, "/sys/class/block/%s/backing_dev", device);
	return strncmp(device, "zram", 4) == 0 && (backing == NULL || strncmp(backing, "none", 4) == 0);
}

static char *read_swap_below(const char *root, const char *swaps)
{
	CUSTOS_AUTO_BUF below = { 0 };
	for (const char *line = swaps == NULL ? NULL : strchr(swaps, '\n'); line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n')) {
		char name[PATH_MAX], path[PATH_MAX];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 1, " \t\n"), line + 1);
		if (strncmp(name, "/dev/", 5) != 0)
			continue;
		/* /dev/mapper/x is a link to ../dm-N */
		snprintf(path, sizeof path, "%s%s", root, name);
		CUSTOS_AUTO_STR *real = realpath(path, NULL);
		const char *slash = strrchr(real == NULL ? name : real, '/');
		const char *kind = is_zram(root, slash + 1) ? "zram" : is_encrypted(root, slash + 1, 0) ? "crypt" : "plain";
		if (custos_buf_printf(&below, NULL, "%s: %s\n", name, kind) != CUSTOS_OK)
			return NULL;
	}
	return below.ptr == NULL ? NULL : (char *)CUSTOS_TAKE(below.ptr);
}

static void look_at(struct custos_place *place, const char *root, const char *path)
{
	char full[PATH_MAX];
	struct stat st;
	snprintf(place->path, sizeof place->path, "%s", path);
	snprintf(full, sizeof full, "%s%s", root, path);
	if (lstat(full, &st) != 0) {
		place->error = errno;
		return;
	}
	place->mode = st.st_mode;
	place->uid = st.st_uid;
}

/* The path behind a descriptor; the directory of the helpers is compiled into the layer that starts them. */
static bool path_of(int fd, char *out, size_t size)
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t len = readlink(link, out, size - 1);
	out[len < 0 ? 0 : len] = '\0';
	return len > 0 && (size_t)len < size - 1;
}

static void read_helpers(struct custos_machine *m)
{
	static const char *const names[] = { "custos-token", "custos-courier" };
	char path[PATH_MAX] = "";
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct custos_err err = { 0 };
		CUSTOS_AUTO_FD fd = -1;
		if (custos_helper_open(names[i], &fd, &err) != CUSTOS_OK || !path_of(fd, path, sizeof path)) {
			snprintf(m->helper_trouble, sizeof m->helper_trouble, "%s", err.msg[0] != '\0' ? err.msg : "the helpers' place is not known");
			return;
		}
		look_at(&m->helpers[m->helper_count++], "", path);
	}
	/* from the directory of the last one up to the root */
	while (m->helper_count < CUSTOS_PLACES_MAX && strcmp(path, "/") != 0) {
		char *slash = strrchr(path, '/');
		slash[slash == path ? 1 : 0] = '\0';
		look_at(&m->helpers[m->helper_count++], "", path);
	}
}

void custos_machine_read(const char *root, struct custos_machine *ret)
{
	struct utsname kernel;
	*ret = (struct custos_machine){
		.swaps = read_text(root, "/proc/swaps"),
		.power_state = read_text(root, "/sys/power/state"),
		.power_resume = read_text(root, "/sys/power/resume"),
		.core_pattern = read_text(root, "/proc/sys/kernel/core_pattern"),
		.limits = read_text(root, "/proc/self/limits"),
		.status = read_text(root, "/proc/self/status"),
		.ptrace_scope = read_text(root, "/proc/sys/kernel/yama/ptrace_scope"),
		.lockdown = read_text(root, "/sys/kernel/security/lockdown"),
		.cmdline = read_text(root, "/proc/cmdline"),
		.mounts = read_text(root, "/proc/self/mountinfo"),
		.uid = geteuid(),
	};
	if (uname(&kernel) == 0)
		ret->kernel_config = read_text(root, "/boot/config-%s", kernel.release);
	ret->swap_below = read_swap_below(root, ret->swaps);
	look_at(&ret->lock_dir, root, "/run/lock/custos");
	read_helpers(ret);
}

void custos_machine_done(struct custos_machine *m)
{
	char *const texts[] = { m->swaps, m->swap_below, m->power_state, m->power_resume, m->core_pattern, m->limits, m->status, m->ptrace_scope, m->lockdown, m->cmdline,
		m->kernel_config, m->mounts };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	*m = (struct custos_machine){ 0 };
}
