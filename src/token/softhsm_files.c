/* SoftHSM's files: configuration, names, the format of token.object and its safety copy. Sizes and types of the format were read from files
 * that SoftHSM 2.6.1 wrote: u64 generation, then per attribute u64 type, u64 kind, value. All numbers big-endian. */
#include "token/softhsm_files.h"
#include "base/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { KIND_BOOL = 1, KIND_ULONG = 2, KIND_BYTES = 3, OBJECT_MAX = 65536 };
#define TYPE_LABEL UINT64_C(0x80005349)
#define TYPE_SERIAL UINT64_C(0x8000534a)
#define TYPE_FLAGS UINT64_C(0x8000534b)
#define FLAG_USER_PIN_INITIALIZED UINT64_C(0x8)
#define TYPE_SO_PIN UINT64_C(0x8000534c)
#define TYPE_USER_PIN UINT64_C(0x8000534d)
#define OBJECT "token.object"
#define COPY "token.object.custos"

static char *trimmed(char *text)
{
	text += strspn(text, " \t");
	size_t len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		text[--len] = '\0';
	return text;
}

custos_rc custos_softhsm_token_dir(const char *conf, char **ret_dir, struct custos_err *err)
{
	FILE *file = fopen(conf, "re");
	CUSTOS_REQUIRE(file != NULL, err, CUSTOS_E_TOKEN, "cannot read SoftHSM's configuration %s: %s", conf, strerror(errno));
	char *line = NULL;
	CUSTOS_AUTO_STR *found = NULL;
	size_t size = 0;
	while (getline(&line, &size, file) >= 0) {
		char *comment = strchr(line, '#');
		if (comment != NULL)
			*comment = '\0';
		char *equals = strchr(line, '=');
		if (equals == NULL)
			continue;
		*equals = '\0';
		if (strcmp(trimmed(line), "directories.tokendir") != 0)
			continue;
		free(found);
		found = strdup(trimmed(equals + 1));
	}
	free(line);
	fclose(file);
	CUSTOS_REQUIRE(found != NULL && found[0] == '/', err, CUSTOS_E_TOKEN, "SoftHSM's configuration %s names no absolute directories.tokendir", conf);
	for (size_t len = strlen(found); len > 1 && found[len - 1] == '/'; len--)
		found[len - 1] = '\0';
	*ret_dir = CUSTOS_TAKE(found);
	return CUSTOS_OK;
}

bool custos_softhsm_serial(const char *directory, char ret_serial[static CUSTOS_SOFTHSM_SERIAL_SIZE])
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	if (strlen(directory) != sizeof shape - 1)
		return false;
	for (size_t i = 0; shape[i] != '\0'; i++)
		if (shape[i] == '-' ? directory[i] != '-' : strchr("0123456789abcdef", directory[i]) == NULL)
			return false;
	memcpy(ret_serial, directory + 19, 4);
	memcpy(ret_serial + 4, directory + 24, 12);
	ret_serial[16] = '\0';
	return true;
}

/* A PIN's record is salt and ciphertext: zeros at its end are space that was allocated and never written. */
static bool ends_in_zeros(struct custos_bytes value)
{
	static const uint8_t zeros[8];
	return value.len < sizeof zeros || memcmp(value.ptr + value.len - sizeof zeros, zeros, sizeof zeros) == 0;
}

enum custos_softhsm_verdict custos_softhsm_judge(struct custos_bytes object, const char *serial)
{
	struct custos_wire r = custos_wire_read(object);
	bool label = false, so_pin = false, user_pin = false, user_pin_due = false, serial_fits = false, foreign = false;
	(void)custos_wire_u64(&r);
	while (!r.failed && r.rest.len > 0) {
		uint64_t type = custos_wire_u64(&r), kind = custos_wire_u64(&r);
		if (r.failed || (type == 0 && kind == 0))
			return CUSTOS_SOFTHSM_TORN;
		if (kind != KIND_BOOL && kind != KIND_ULONG && kind != KIND_BYTES)
			return CUSTOS_SOFTHSM_STRANGE;
		if (kind == KIND_BOOL)
			(void)custos_wire_u8(&r);
		if (kind == KIND_BOOL)
			continue;
		uint64_t number = custos_wire_u64(&r);
		if (kind == KIND_ULONG && type == TYPE_FLAGS)
			user_pin_due = (number & FLAG_USER_PIN_INITIALIZED) != 0;
		if (kind == KIND_ULONG)
			continue;
		if (r.failed || number > r.rest.len)
			return CUSTOS_SOFTHSM_TORN;
		struct custos_bytes value = CUSTOS_BYTES(r.rest.ptr, (size_t)number);
		r.rest = CUSTOS_BYTES(r.rest.ptr + number, r.rest.len - (size_t)number);
		label = label || type == TYPE_LABEL;
		if ((type == TYPE_SO_PIN || type == TYPE_USER_PIN) && ends_in_zeros(value))
			return CUSTOS_SOFTHSM_TORN;
		so_pin = so_pin || type == TYPE_SO_PIN;
		user_pin = user_pin || type == TYPE_USER_PIN;
		if (type == TYPE_SERIAL) {
			serial_fits = custos_bytes_equal(value, CUSTOS_BYTES_STR(serial));
			foreign = !serial_fits;
		}
	}
	if (foreign)
		return CUSTOS_SOFTHSM_STRANGE;
	/* cut off between two records it would end cleanly: what must be there is counted */
	return !r.failed && label && so_pin && serial_fits && (user_pin || !user_pin_due) ? CUSTOS_SOFTHSM_WHOLE : CUSTOS_SOFTHSM_TORN;
}

/* A missing file reads as empty. */
static custos_rc read_file(int dir, const char *name, struct custos_buf *content, struct stat *ret_st, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(fd >= 0 && fstat(fd, ret_st) == 0, err, CUSTOS_E_TOKEN, "cannot open %s of the token: %s", name, strerror(errno));
	CUSTOS_REQUIRE(S_ISREG(ret_st->st_mode) && ret_st->st_size <= OBJECT_MAX, err, CUSTOS_E_TOKEN, "%s of the token is not a plain file of less than 64 KiB", name);
	uint8_t chunk[4096];
	ssize_t len;
	while ((len = read(fd, chunk, sizeof chunk)) > 0)
		CUSTOS_TRY(custos_buf_append(content, chunk, (size_t)len, err));
	CUSTOS_REQUIRE(len == 0, err, CUSTOS_E_TOKEN, "cannot read %s of the token: %s", name, strerror(errno));
	return CUSTOS_OK;
}

/* Temporary name, sync, rename, sync of the directory: at every instant one whole file has the name. */
static custos_rc write_file(int dir, const char *name, struct custos_bytes content, const struct stat *like, struct custos_err *err)
{
	static const char temporary[] = "custos.tmp";
	CUSTOS_REQUIRE(unlinkat(dir, temporary, 0) == 0 || errno == ENOENT, err, CUSTOS_E_TOKEN, "cannot remove an old temporary file of the token: %s", strerror(errno));
	CUSTOS_AUTO_FD fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_TOKEN, "cannot write beside the token: %s", strerror(errno));
	bool ok = write(fd, content.ptr, content.len) == (ssize_t)content.len && fchmod(fd, like->st_mode & 0777) == 0;
	if (ok && geteuid() == 0)
		ok = fchown(fd, like->st_uid, like->st_gid) == 0;
	ok = ok && fsync(fd) == 0 && renameat(dir, temporary, dir, name) == 0 && fsync(dir) == 0;
	int why = errno;
	if (!ok)
		(void)unlinkat(dir, temporary, 0);
	CUSTOS_REQUIRE(ok, err, CUSTOS_E_TOKEN, "cannot write %s of the token: %s", name, strerror(why));
	return CUSTOS_OK;
}

static custos_rc protect_in(int dir, const char *serial, enum custos_softhsm_action *ret_action, struct custos_err *err)
{
	CUSTOS_AUTO_BUF object = { .max = OBJECT_MAX + 1 };
	CUSTOS_AUTO_BUF copy = { .max = OBJECT_MAX + 1 };
	struct stat object_st = { .st_mode = 0600, .st_uid = geteuid(), .st_gid = getegid() }, copy_st = object_st;
	CUSTOS_TRY(read_file(dir, OBJECT, &object, &object_st, err));
	CUSTOS_TRY(read_file(dir, COPY, &copy, &copy_st, err));
	struct custos_bytes now = custos_buf_view(&object), kept = custos_buf_view(&copy);
	*ret_action = CUSTOS_SOFTHSM_NOTHING;
	switch (custos_softhsm_judge(now, serial)) {
	case CUSTOS_SOFTHSM_WHOLE:
		if (custos_bytes_equal(now, kept))
			return CUSTOS_OK;
		CUSTOS_TRY(write_file(dir, COPY, now, &object_st, err));
		*ret_action = CUSTOS_SOFTHSM_COPIED;
		return CUSTOS_OK;
	case CUSTOS_SOFTHSM_TORN:
		if (custos_softhsm_judge(kept, serial) != CUSTOS_SOFTHSM_WHOLE)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "put token.object back from a backup of SoftHSM's token directory; without it the token cannot be opened by anybody",
			                 "token %s is damaged (%zu bytes of token.object are left) and there is no whole safety copy", serial, object.len);
		CUSTOS_TRY(write_file(dir, OBJECT, kept, &copy_st, err));
		*ret_action = CUSTOS_SOFTHSM_REPAIRED;
		return CUSTOS_OK;
	case CUSTOS_SOFTHSM_STRANGE:
		return CUSTOS_OK;
	}
	return CUSTOS_OK;
}

struct search {
	int top;
	const char *serial;
	enum custos_softhsm_action *ret_action;
};

static custos_rc walk(const char *token_dir, custos_rc (*each)(void *ctx, const char *name, const char *serial, struct custos_err *err), void *ctx, struct custos_err *err)
{
	DIR *top = opendir(token_dir);
	CUSTOS_REQUIRE(top != NULL, err, CUSTOS_E_TOKEN, "cannot open SoftHSM's token directory %s: %s", token_dir, strerror(errno));
	custos_rc rc = CUSTOS_OK;
	for (struct dirent *entry; rc == CUSTOS_OK && (entry = readdir(top)) != NULL;) {
		char serial[CUSTOS_SOFTHSM_SERIAL_SIZE];
		if (custos_softhsm_serial(entry->d_name, serial))
			rc = each(ctx, entry->d_name, serial, err);
	}
	closedir(top);
	return rc;
}

static custos_rc protect_if_wanted(void *ctx, const char *name, const char *serial, struct custos_err *err)
{
	const struct search *search = ctx;
	if (strcmp(serial, search->serial) != 0)
		return CUSTOS_OK;
	CUSTOS_AUTO_FD dir = openat(search->top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CUSTOS_REQUIRE(dir >= 0, err, CUSTOS_E_TOKEN, "cannot open the directory of token %s: %s", serial, strerror(errno));
	return protect_in(dir, serial, search->ret_action, err);
}

custos_rc custos_softhsm_protect(const char *token_dir, const char *serial, enum custos_softhsm_action *ret_action, struct custos_err *err)
{
	enum custos_softhsm_action action = CUSTOS_SOFTHSM_NOTHING;
	CUSTOS_AUTO_FD top = open(token_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CUSTOS_REQUIRE(top >= 0, err, CUSTOS_E_TOKEN, "cannot open SoftHSM's token directory %s: %s", token_dir, strerror(errno));
	struct search search = { top, serial, &action };
	CUSTOS_TRY(walk(token_dir, protect_if_wanted, &search, err));
	*ret_action = action;
	return CUSTOS_OK;
}

struct visit {
	custos_rc (*each)(void *ctx, const char *serial, struct custos_err *err);
	void *ctx;
};

static custos_rc pass_serial(void *ctx, const char *name, const char *serial, struct custos_err *err)
{
	(void)name;
	const struct visit *visit = ctx;
	return visit->each(visit->ctx, serial, err);
}

custos_rc custos_softhsm_each(const char *token_dir, custos_rc (*each)(void *ctx, const char *serial, struct custos_err *err), void *ctx, struct custos_err *err)
{
	struct visit visit = { each, ctx };
	return walk(token_dir, pass_serial, &visit, err);
}

struct emptiness {
	const char *serial;
	int top;
	enum custos_softhsm_empty what;
	size_t count, removed;
};

static bool is_empty_object(int dir, const char *name)
{
	struct stat st;
	size_t len = strlen(name);
	static const char suffix[] = ".object";
	return len > sizeof suffix - 1 && strcmp(name + len - (sizeof suffix - 1), suffix) == 0 && strcmp(name, "token.object") != 0 &&
	       fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size == 0;
}

static custos_rc look_for_empty(void *ctx, const char *name, const char *serial, struct custos_err *err)
{
	struct emptiness *e = ctx;
	if (strcmp(serial, e->serial) != 0)
		return CUSTOS_OK;
	int fd = openat(e->top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (dir == NULL && fd >= 0)
		close(fd);
	CUSTOS_REQUIRE(dir != NULL, err, CUSTOS_E_TOKEN, "cannot list the directory of token %s: %s", serial, strerror(errno));
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (!is_empty_object(dirfd(dir), entry->d_name))
			continue;
		e->count++;
		e->removed += e->what == CUSTOS_SOFTHSM_EMPTY_REMOVE && unlinkat(dirfd(dir), entry->d_name, 0) == 0 ? 1 : 0;
	}
	closedir(dir);
	return CUSTOS_OK;
}

custos_rc custos_softhsm_empty_files(const char *token_dir, const char *serial, enum custos_softhsm_empty what, size_t *ret_count, size_t *ret_removed, struct custos_err *err)
{
	CUSTOS_AUTO_FD top = open(token_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CUSTOS_REQUIRE(top >= 0, err, CUSTOS_E_TOKEN, "cannot open SoftHSM's token directory %s: %s", token_dir, strerror(errno));
	struct emptiness e = { serial, top, what, 0, 0 };
	CUSTOS_TRY(walk(token_dir, look_for_empty, &e, err));
	*ret_count = e.count;
	*ret_removed = e.removed;
	return CUSTOS_OK;
}

custos_rc custos_softhsm_sync(const char *token_dir, struct custos_err *err)
{
	CUSTOS_AUTO_FD dir = open(token_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CUSTOS_REQUIRE(dir >= 0 && syncfs(dir) == 0, err, CUSTOS_E_TOKEN, "cannot sync SoftHSM's token directory %s: %s", token_dir, strerror(errno));
	return CUSTOS_OK;
}
