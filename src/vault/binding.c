/* Reading and writing custody.yaml. A directory somebody else may write is refused before anything in it is believed. */
#include "vault/binding.h"
#include "base/text.h"
#include "data/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { SIZE_LIMIT = 65536 };
/* the second one while a restore is under way */
static const char final[] = "custody.yaml", staged[] = "custody.yaml.next";

static custos_rc check_owner(const char *what, const char *path, const struct stat *st, struct custos_err *err)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "work as its owner, or look at what is in it, then have it given to you: chown",
		                 "%s %s belongs to user %u, not to you or root", what, path, (unsigned)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "look at what is in it, then take the right away: chmod go-w",
		                 "%s %s can be written by others", what, path);
	return CUSTOS_OK;
}

static custos_rc open_directory(const char *dir, int *ret_fd, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "name the custody directory with -C DIR or CUSTOS_DIR; `custos init DIR` makes one",
		                 "cannot open the custody directory %s: %s", dir, strerror(errno));
	struct stat st;
	CUSTOS_REQUIRE(fstat(fd, &st) == 0, err, CUSTOS_E_SYSTEM, "cannot look at %s: %s", dir, strerror(errno));
	CUSTOS_TRY(check_owner("the custody directory", dir, &st, err));
	*ret_fd = custos_take_fd(&fd);
	return CUSTOS_OK;
}

/* The whole of a file that nobody else may have written, at most text->max bytes. */
static custos_rc take_text(int fd, const char *path, struct custos_buf *text, struct custos_err *err)
{
	struct stat st;
	CUSTOS_REQUIRE(fstat(fd, &st) == 0 && S_ISREG(st.st_mode), err, CUSTOS_E_INPUT, "%s is not a regular file", path);
	CUSTOS_TRY(check_owner("the file", path, &st, err));
	CUSTOS_REQUIRE((uint64_t)st.st_size <= text->max, err, CUSTOS_E_INPUT, "%s is larger than %zu KiB", path, text->max >> 10);
	uint8_t chunk[4096];
	ssize_t n;
	while ((n = read(fd, chunk, sizeof chunk)) > 0)
		CUSTOS_TRY(custos_buf_append(text, chunk, (size_t)n, err));
	CUSTOS_REQUIRE(n == 0, err, CUSTOS_E_SYSTEM, "cannot read %s: %s", path, strerror(errno));
	return CUSTOS_OK;
}

static custos_rc read_text(const char *dir, const char *name, struct custos_buf *text, struct custos_err *err)
{
	CUSTOS_AUTO_FD dir_fd = -1;
	char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	CUSTOS_TRY(open_directory(dir, &dir_fd, err));
	CUSTOS_AUTO_FD fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "`custos init DIR --token URI` makes a custody",
		                 "%s is not a custody directory: it has no %s", dir, name);
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_INPUT, "cannot open %s: %s", path, strerror(errno));
	return take_text(fd, path, text, err);
}

custos_rc custos_binding_read_named(const char *dir, const char *path, struct custos_buf *text, struct custos_err *err)
{
	CUSTOS_AUTO_FD dir_fd = -1;
	CUSTOS_TRY(open_directory(dir, &dir_fd, err));
	CUSTOS_AUTO_FD fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_INPUT, "cannot open %s, which custody.yaml names: %s", path, strerror(errno));
	return take_text(fd, path, text, err);
}

static custos_rc copy(const struct custos_yaml *map, const char *key, const char *otherwise, char **ret, struct custos_err *err)
{
	const char *text;
	CUSTOS_TRY(custos_yaml_text(map, key, otherwise, &text, err));
	*ret = custos_text_dup(text);
	CUSTOS_REQUIRE(text == NULL || *ret != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

static custos_rc parse_certificates(const struct custos_yaml *map, struct custos_binding *b, struct custos_err *err)
{
	static const char *const keys[] = { "max_days", "blocklist", NULL };
	uint64_t days;
	if (map == NULL)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_yaml_known(map, keys, err));
	CUSTOS_TRY(copy(map, "max_days", NULL, &b->max_days, err));
	CUSTOS_TRY(copy(map, "blocklist", NULL, &b->blocklist, err));
	const char *max = b->max_days;
	if (max != NULL && strcmp(max, "public") != 0 && strcmp(max, "none") != 0 && !custos_text_u64(max, 1, CUSTOS_BINDING_DAYS_MAX, &days))
		return custos_yaml_refuse(custos_yaml_get(map, "max_days"), err, "\"max_days\" must be a number of days from 1 to %d, public or none", CUSTOS_BINDING_DAYS_MAX);
	if (b->blocklist != NULL && b->blocklist[0] == '\0')
		return custos_yaml_refuse(custos_yaml_get(map, "blocklist"), err, "\"blocklist\" must name a file");
	return CUSTOS_OK;
}

static custos_rc parse(const struct custos_yaml *root, struct custos_binding *b, struct custos_err *err)
{
	static const char *const keys[] = { "custos", "origin", "token", "store", "log", "pin", "certificates", NULL };
	static const char *const token_keys[] = { "module", "uri", "serial", "profile", NULL };
	static const char *const log_keys[] = { "vkey", NULL };
	uint64_t version = 0;
	CUSTOS_TRY(custos_yaml_known(root, keys, err));
	CUSTOS_TRY(custos_yaml_u64(root, "custos", 1, 1, 0, &version, err));
	if (version != 1)
		return custos_yaml_refuse(root, err, "\"custos: 1\" is missing, so this is not a custody.yaml");
	CUSTOS_TRY(copy(root, "origin", CUSTOS_YAML_REQUIRED, &b->origin, err));
	CUSTOS_TRY(copy(root, "store", CUSTOS_YAML_REQUIRED, &b->store, err));
	CUSTOS_TRY(copy(root, "pin", NULL, &b->pin_source, err));
	CUSTOS_TRY(parse_certificates(custos_yaml_get(root, "certificates"), b, err));
	const struct custos_yaml *token = custos_yaml_get(root, "token"), *log = custos_yaml_get(root, "log");
	if (token == NULL || log == NULL)
		return custos_yaml_refuse(root, err, "\"%s\" is missing", token == NULL ? "token" : "log");
	CUSTOS_TRY(custos_yaml_known(token, token_keys, err));
	CUSTOS_TRY(custos_yaml_known(log, log_keys, err));
	CUSTOS_TRY(copy(token, "module", CUSTOS_YAML_REQUIRED, &b->module, err));
	CUSTOS_TRY(copy(token, "uri", CUSTOS_YAML_REQUIRED, &b->token_uri, err));
	CUSTOS_TRY(copy(token, "serial", CUSTOS_YAML_REQUIRED, &b->serial, err));
	CUSTOS_TRY(copy(token, "profile", CUSTOS_YAML_REQUIRED, &b->profile, err));
	CUSTOS_TRY(copy(log, "vkey", CUSTOS_YAML_REQUIRED, &b->vkey, err));
	if (b->pin_source != NULL && strncmp(b->pin_source, "exec:", 5) == 0)
		return custos_yaml_refuse(custos_yaml_get(root, "pin"), err, "a program as PIN source may only come from the command line");
	return CUSTOS_OK;
}

static custos_rc read_as(const char *dir, const char *file, struct custos_binding *ret_binding, struct custos_err *err)
{
	CUSTOS_AUTO_BUF text = { .max = SIZE_LIMIT };
	CUSTOS_TRY(read_text(dir, file, &text, err));
	char name[512];
	snprintf(name, sizeof name, "%s/%s", dir, file);
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	CUSTOS_TRY(custos_yaml_parse(custos_buf_view(&text), name, &root, err));
	CUSTOS_CLEANUP(custos_binding_done) struct custos_binding b = { 0 };
	CUSTOS_TRY(parse(root, &b, err));
	*ret_binding = b;
	b = (struct custos_binding){ 0 };
	return CUSTOS_OK;
}

custos_rc custos_binding_read(const char *dir, struct custos_binding *ret_binding, struct custos_err *err)
{
	return read_as(dir, final, ret_binding, err);
}

custos_rc custos_binding_read_staged(const char *dir, struct custos_binding *ret_binding, struct custos_err *err)
{
	return read_as(dir, staged, ret_binding, err);
}

/* A value in double quotes, so that whatever a token calls itself stays text. */
static custos_rc put(struct custos_buf *out, const char *indent, const char *key, const char *value, struct custos_err *err)
{
	CUSTOS_TRY(custos_buf_printf(out, err, "%s%s: \"", indent, key));
	for (const char *c = value; *c != '\0'; c++) {
		CUSTOS_REQUIRE((unsigned char)*c >= 0x20 && *c != 0x7f, err, CUSTOS_E_INPUT, "%s holds a control character", key);
		if (*c == '"' || *c == '\\')
			CUSTOS_TRY(custos_buf_append_str(out, "\\", err));
		CUSTOS_TRY(custos_buf_append(out, c, 1, err));
	}
	return custos_buf_append_str(out, "\"\n", err);
}

/* What is written is what will be read: YAML folds some line breaks that are not ASCII, and refuses what is not UTF-8. */
static custos_rc check_text(struct custos_bytes text, const struct custos_binding *b, struct custos_err *err)
{
	CUSTOS_AUTO(custos_yaml) *root = NULL;
	CUSTOS_CLEANUP(custos_binding_done) struct custos_binding again = { 0 };
	CUSTOS_TRY(custos_yaml_parse(text, "custody.yaml", &root, err));
	CUSTOS_TRY(parse(root, &again, err));
	const char *const pairs[][2] = {
		{ b->origin, again.origin }, { b->module, again.module }, { b->token_uri, again.token_uri }, { b->serial, again.serial },
		{ b->profile, again.profile }, { b->store, again.store }, { b->vkey, again.vkey },
		{ b->max_days == NULL ? "" : b->max_days, again.max_days == NULL ? "" : again.max_days },
		{ b->blocklist == NULL ? "" : b->blocklist, again.blocklist == NULL ? "" : again.blocklist },
	};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		CUSTOS_REQUIRE(strcmp(pairs[i][0], pairs[i][1]) == 0, err, CUSTOS_E_INPUT, "custody.yaml cannot hold \"%s\"", pairs[i][0]);
	return CUSTOS_OK;
}

static custos_rc write_as(const char *dir, const char *file, const struct custos_binding *b, struct custos_err *err)
{
	CUSTOS_AUTO_BUF text = { .max = SIZE_LIMIT };
	static const char head[] = "# What this custody is bound to. Keys, certificates, targets and permissions are in its log.\ncustos: 1\n";
	CUSTOS_TRY(custos_buf_append_str(&text, head, err));
	CUSTOS_TRY(put(&text, "", "origin", b->origin, err));
	CUSTOS_TRY(custos_buf_append_str(&text, "token:\n", err));
	CUSTOS_TRY(put(&text, "  ", "module", b->module, err));
	CUSTOS_TRY(put(&text, "  ", "uri", b->token_uri, err));
	CUSTOS_TRY(put(&text, "  ", "serial", b->serial, err));
	CUSTOS_TRY(put(&text, "  ", "profile", b->profile, err));
	CUSTOS_TRY(put(&text, "", "store", b->store, err));
	CUSTOS_TRY(custos_buf_append_str(&text, "log:\n", err));
	CUSTOS_TRY(put(&text, "  ", "vkey", b->vkey, err));
	if (b->max_days != NULL || b->blocklist != NULL)
		CUSTOS_TRY(custos_buf_append_str(&text, "certificates:\n", err));
	if (b->max_days != NULL)
		CUSTOS_TRY(put(&text, "  ", "max_days", b->max_days, err));
	if (b->blocklist != NULL)
		CUSTOS_TRY(put(&text, "  ", "blocklist", b->blocklist, err));
	CUSTOS_TRY(check_text(custos_buf_view(&text), b, err));

	CUSTOS_AUTO_FD dir_fd = -1;
	CUSTOS_TRY(open_directory(dir, &dir_fd, err));
	CUSTOS_AUTO_FD fd = openat(dir_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_SYSTEM, "cannot make %s/%s: %s", dir, file, strerror(errno));
	CUSTOS_REQUIRE(write(fd, text.ptr, text.len) == (ssize_t)text.len && fsync(fd) == 0 && fsync(dir_fd) == 0, err, CUSTOS_E_STORE,
	               "cannot write %s/%s: %s", dir, file, strerror(errno));
	return CUSTOS_OK;
}

custos_rc custos_binding_write(const char *dir, const struct custos_binding *b, struct custos_err *err)
{
	return write_as(dir, final, b, err);
}

custos_rc custos_binding_stage(const char *dir, const struct custos_binding *b, struct custos_err *err)
{
	CUSTOS_AUTO_FD dir_fd = -1;
	CUSTOS_TRY(open_directory(dir, &dir_fd, err));
	/* one from an attempt that came to nothing */
	CUSTOS_REQUIRE(unlinkat(dir_fd, staged, 0) == 0 || errno == ENOENT, err, CUSTOS_E_SYSTEM, "cannot remove %s/%s: %s", dir, staged, strerror(errno));
	return write_as(dir, staged, b, err);
}

custos_rc custos_binding_adopt(const char *dir, struct custos_err *err)
{
	CUSTOS_AUTO_FD dir_fd = -1;
	CUSTOS_TRY(open_directory(dir, &dir_fd, err));
	CUSTOS_REQUIRE(renameat(dir_fd, staged, dir_fd, final) == 0 && fsync(dir_fd) == 0, err, CUSTOS_E_STORE, "cannot put %s/%s in the place of %s: %s", dir, staged, final, strerror(errno));
	return CUSTOS_OK;
}

void custos_binding_done(struct custos_binding *b)
{
	char *const owned[] = { b->origin, b->module, b->token_uri, b->serial, b->profile, b->store, b->vkey, b->pin_source, b->max_days, b->blocklist };
	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		free(owned[i]);
	*b = (struct custos_binding){ 0 };
}
