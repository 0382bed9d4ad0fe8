/* The SQLite store: what becomes durable when disks fill up and processes die, and which files it refuses to open. */
#include "store/store.h"

#include "faulty_vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

struct fixture {
	char dir[64], path[80];
	struct custos_err err;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	const char *tmp = getenv("TMPDIR");
	snprintf(f->dir, sizeof f->dir, "%.36s/custos-store-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%s/custody.db", f->dir);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	faulty_disarm();
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static custos_rc open_store(struct fixture *f, unsigned flags, struct custos_store **ret_store)
{
	f->err = (struct custos_err){ 0 };
	custos_rc rc = custos_store_open(f->dir, "sqlite:custody.db", flags, ret_store, &f->err);
	assert_int_equal(rc, f->err.rc);
	return rc;
}

static struct custos_store *opened(struct fixture *f, unsigned flags)
{
	struct custos_store *store = NULL;
	if (open_store(f, flags, &store) != CUSTOS_OK)
		fail_msg("%s", f->err.msg);
	return store;
}

static void assert_refused(struct fixture *f, custos_rc expected, const char *word)
{
	CUSTOS_AUTO(custos_store) *store = NULL;
	custos_rc rc = open_store(f, 0, &store);
	if (rc != expected || strstr(f->err.msg, word) == NULL)
		fail_msg("%s: \"%s\" instead of %s \"…%s…\"", custos_rc_name(rc), f->err.msg, custos_rc_name(expected), word);
	assert_non_null(strstr(f->err.msg, f->dir));
	assert_null(store);
}

static custos_rc append(struct custos_store *store, uint64_t index, struct custos_err *err)
{
	char leaf[64];
	snprintf(leaf, sizeof leaf, "entry %u", (unsigned)index);
	return custos_store_append_entry(store, index, CUSTOS_BYTES_STR(leaf), err);
}

static custos_rc commit_entry(struct custos_store *store, uint64_t index, struct custos_err *err)
{
	char note[64];
	snprintf(note, sizeof note, "checkpoint %u", (unsigned)index + 1);
	CUSTOS_TRY(custos_store_begin(store, err));
	CUSTOS_TRY(append(store, index, err));
	CUSTOS_TRY(custos_store_put_checkpoint(store, index + 1, CUSTOS_BYTES_STR(note), err));
	return custos_store_commit(store, err);
}

static custos_rc count_entry(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	uint64_t *count = ctx;
	char expected[64];
	(void)err;
	snprintf(expected, sizeof expected, "entry %u", (unsigned)index);
	assert_int_equal(index, (*count)++);
	assert_int_equal(leaf.len, strlen(expected));
	assert_memory_equal(leaf.ptr, expected, leaf.len);
	return CUSTOS_OK;
}

/* Entries and checkpoint are always of one transaction. */
static uint64_t stored(struct custos_store *store)
{
	uint64_t count = 0;
	char expected[64] = "";
	CUSTOS_AUTO_BUF note = { 0 };
	assert_int_equal(custos_store_entries(store, 0, count_entry, &count, NULL), CUSTOS_OK);
	assert_int_equal(custos_store_newest_checkpoint(store, &note, NULL), CUSTOS_OK);
	if (count > 0)
		snprintf(expected, sizeof expected, "checkpoint %u", (unsigned)count);
	assert_string_equal(note.ptr == NULL ? "" : (char *)note.ptr, expected);
	return count;
}

static void create_write_read(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	mode_t mask = umask(0);
	struct custos_store *store = opened(f, CUSTOS_STORE_CREATE);
	umask(mask);
	assert_int_equal(lstat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stored(store), 0);
	assert_int_equal(commit_entry(store, 0, &f->err), CUSTOS_OK);
	assert_int_equal(custos_store_begin(store, &f->err), CUSTOS_OK);
	assert_true(custos_store_in_transaction(store));
	assert_int_equal(append(store, 1, &f->err), CUSTOS_OK);
	custos_store_abort(store);
	assert_false(custos_store_in_transaction(store));
	assert_int_equal(stored(store), 1);
	/* every commit is synced before it returns */
	for (uint64_t i = 1; i < 5; i++) {
		unsigned before = faulty.syncs;
		assert_int_equal(commit_entry(store, i, &f->err), CUSTOS_OK);
		assert_true(faulty.syncs > before);
	}
	custos_store_free(store);
	/* an open transaction dies with the store */
	store = opened(f, 0);
	assert_int_equal(custos_store_begin(store, &f->err), CUSTOS_OK);
	assert_int_equal(append(store, 5, &f->err), CUSTOS_OK);
	custos_store_free(store);
	store = opened(f, 0);
	assert_int_equal(stored(store), 5);
	custos_store_free(store);
}

static void blobs(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO(custos_store) *store = opened(f, CUSTOS_STORE_CREATE);
	uint8_t hash[CUSTOS_HASH_SIZE] = { 1 }, other[CUSTOS_HASH_SIZE] = { 2 };
	CUSTOS_AUTO_BUF blob = { 0 };
	bool found = true;
	assert_int_equal(custos_store_get_blob(store, hash, &blob, &found, &f->err), CUSTOS_OK);
	assert_false(found);
	assert_int_equal(custos_store_put_blob(store, hash, "container", CUSTOS_BYTES("\0a\0b", 4), &f->err), CUSTOS_E_INTERNAL); /* no transaction */
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_store_begin(store, &f->err), CUSTOS_OK);
	assert_int_equal(custos_store_put_blob(store, hash, "container", CUSTOS_BYTES("\0a\0b", 4), &f->err), CUSTOS_OK);
	assert_int_equal(custos_store_put_blob(store, hash, "container", CUSTOS_BYTES("\0a\0b", 4), &f->err), CUSTOS_OK);
	assert_int_equal(custos_store_put_blob(store, other, "chain", CUSTOS_BYTES("", 0), &f->err), CUSTOS_OK);
	assert_int_equal(custos_store_commit(store, &f->err), CUSTOS_OK);
	assert_int_equal(custos_store_get_blob(store, hash, &blob, &found, &f->err), CUSTOS_OK);
	assert_true(found);
	assert_int_equal(blob.len, 4);
	assert_memory_equal(blob.ptr, "\0a\0b", 4);
	blob.len = 0;
	assert_int_equal(custos_store_get_blob(store, other, &blob, &found, &f->err), CUSTOS_OK);
	assert_true(found);
	assert_int_equal(blob.len, 0);
	/* a buffer's limit holds */
	CUSTOS_AUTO_BUF small = { .max = 3 };
	assert_int_not_equal(custos_store_get_blob(store, hash, &small, &found, &f->err), CUSTOS_OK);
}

static void rules(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO(custos_store) *store = opened(f, CUSTOS_STORE_CREATE);
	assert_int_equal(append(store, 0, NULL), CUSTOS_E_INTERNAL);
	assert_int_equal(custos_store_commit(store, NULL), CUSTOS_E_INTERNAL);
	assert_int_equal(custos_store_begin(store, NULL), CUSTOS_OK);
	assert_int_equal(custos_store_begin(store, NULL), CUSTOS_E_INTERNAL);
	/* a gap, then everything of that transaction is refused, and gone */
	assert_int_equal(append(store, 0, NULL), CUSTOS_OK);
	assert_int_equal(append(store, 2, NULL), CUSTOS_E_STORE);
	assert_int_equal(append(store, 1, NULL), CUSTOS_E_STORE);
	assert_int_equal(custos_store_commit(store, NULL), CUSTOS_E_STORE);
	custos_store_abort(store);
	assert_int_equal(stored(store), 0);
	assert_int_equal(commit_entry(store, 0, NULL), CUSTOS_OK);
	/* written twice, checkpoint of a smaller or the same size */
	assert_int_equal(commit_entry(store, 0, NULL), CUSTOS_E_STORE);
	custos_store_abort(store);
	assert_int_equal(custos_store_begin(store, NULL), CUSTOS_OK);
	assert_int_equal(custos_store_put_checkpoint(store, 1, CUSTOS_BYTES_STR("other"), NULL), CUSTOS_E_STORE);
	custos_store_abort(store);
	assert_int_equal(custos_store_begin(store, NULL), CUSTOS_OK);
	assert_int_equal(custos_store_put_checkpoint(store, 5, CUSTOS_BYTES_STR("five"), NULL), CUSTOS_OK);
	assert_int_equal(custos_store_put_checkpoint(store, 3, CUSTOS_BYTES_STR("three"), NULL), CUSTOS_E_STORE);
	custos_store_abort(store);
	assert_int_equal(stored(store), 1);

	CUSTOS_AUTO(custos_store) *reader = opened(f, CUSTOS_STORE_READ_ONLY);
	assert_int_equal(stored(reader), 1);
	assert_int_equal(custos_store_begin(reader, NULL), CUSTOS_E_STORE);
	assert_int_equal(commit_entry(store, 1, NULL), CUSTOS_OK);
	assert_int_equal(stored(reader), 2);
}

struct other_writer {
	struct custos_store *store;
	custos_rc rc;
};

static void *begin_elsewhere(void *ctx)
{
	struct other_writer *other = ctx;
	other->rc = custos_store_begin(other->store, NULL);
	return NULL;
}

static void two_writers(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO(custos_store) *store = opened(f, CUSTOS_STORE_CREATE);
	struct other_writer other = { .store = opened(f, 0), .rc = CUSTOS_E_INTERNAL };
	pthread_t thread;
	assert_int_equal(custos_store_begin(store, NULL), CUSTOS_OK);
	assert_int_equal(append(store, 0, NULL), CUSTOS_OK);
	assert_int_equal(pthread_create(&thread, NULL, begin_elsewhere, &other), 0);
	assert_int_equal(custos_store_put_checkpoint(store, 1, CUSTOS_BYTES_STR("checkpoint 1"), NULL), CUSTOS_OK);
	assert_int_equal(custos_store_commit(store, NULL), CUSTOS_OK);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(other.rc, CUSTOS_OK); /* it waited */
	/* and what it knew before it waited is out of date */
	struct custos_err err = { 0 };
	assert_int_equal(append(other.store, 0, &err), CUSTOS_E_STORE);
	assert_non_null(strstr(err.hint, "another custos"));
	custos_store_abort(other.store);
	assert_int_equal(commit_entry(other.store, 1, NULL), CUSTOS_OK);
	assert_int_equal(stored(store), 2);
	custos_store_free(other.store);
}

/* One transaction against a disk that fails after n operations, for every n: all or nothing, said at once, and after a failed commit the store
 * is dead. */
static bool commit_on_failing_disk(struct fixture *f, int after, int code)
{
	struct custos_store *store = opened(f, 0);
	uint64_t before = stored(store);
	f->err = (struct custos_err){ 0 };
	faulty_arm(after, code);
	custos_rc rc = custos_store_begin(store, &f->err);
	assert_int_equal(rc, CUSTOS_OK);
	rc = append(store, before, &f->err);
	char note[64], *large = calloc(1, 200000);
	snprintf(note, sizeof note, "checkpoint %u", (unsigned)before + 1);
	if (rc == CUSTOS_OK)
		rc = custos_store_put_blob(store, (uint8_t[CUSTOS_HASH_SIZE]){ (uint8_t)before }, "container", CUSTOS_BYTES(large, 200000), &f->err);
	if (rc == CUSTOS_OK)
		rc = custos_store_put_checkpoint(store, before + 1, CUSTOS_BYTES_STR(note), &f->err);
	bool at_commit = rc == CUSTOS_OK;
	if (at_commit)
		rc = custos_store_commit(store, &f->err);
	free(large);
	bool failed = faulty.failed;
	faulty_disarm();
	if (rc != CUSTOS_OK) {
		assert_true(failed);
		assert_int_equal(rc, CUSTOS_E_STORE);
		assert_int_not_equal(f->err.hint[0], '\0');
		custos_store_abort(store);
		struct custos_err again = { 0 };
		uint64_t count = 0;
		if (at_commit) {
			assert_int_equal(custos_store_begin(store, &again), CUSTOS_E_STORE);
			assert_int_equal(custos_store_entries(store, 0, count_entry, &count, NULL), CUSTOS_E_STORE);
		} else {
			assert_int_equal(stored(store), before);
		}
	}
	custos_store_free(store);
	store = opened(f, 0);
	uint64_t now = stored(store);
	custos_store_free(store);
	if (rc == CUSTOS_OK)
		assert_int_equal(now, before + 1);
	else
		assert_true(now == before || (at_commit && now == before + 1));
	return failed;
}

static void failing_disk(void **state)
{
	struct fixture *f = *state;
	static const int codes[] = { SQLITE_FULL, SQLITE_IOERR_WRITE };
	custos_store_free(opened(f, CUSTOS_STORE_CREATE));
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		int after = 0;
		while (commit_on_failing_disk(f, after, codes[i]))
			after++;
		assert_in_range(after, 20, 2000); /* the sweep went through a whole transaction */
	}
}

/* A disk that is full from the start leaves nothing in the way of the next attempt. */
static void create_on_failing_disk(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	for (int after = 0;; after++) {
		CUSTOS_AUTO(custos_store) *store = NULL;
		faulty_arm(after, SQLITE_FULL);
		custos_rc rc = open_store(f, CUSTOS_STORE_CREATE, &store);
		faulty_disarm();
		if (rc == CUSTOS_OK) {
			assert_in_range(after, 2, 200);
			break;
		}
		assert_int_equal(rc, CUSTOS_E_STORE);
		assert_int_equal(lstat(f->path, &st), -1);
	}
}

static void killed(void **state)
{
	struct fixture *f = *state;
	int fds[2];
	custos_store_free(opened(f, CUSTOS_STORE_CREATE));
	for (int round = 0; round < 10; round++) {
		assert_int_equal(pipe(fds), 0);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct custos_store *store = NULL;
			uint64_t next = 0;
			if (custos_store_open(f->dir, "sqlite:custody.db", 0, &store, NULL) != CUSTOS_OK)
				_exit(1);
			next = stored(store);
			for (;; next++)
				if (commit_entry(store, next, NULL) != CUSTOS_OK || write(fds[1], &next, sizeof next) != sizeof next)
					_exit(1);
		}
		close(fds[1]);
		uint64_t acknowledged = 0;
		for (int i = 0; i < 3 + 5 * round; i++)
			assert_int_equal(read(fds[0], &acknowledged, sizeof acknowledged), sizeof acknowledged);
		assert_int_equal(kill(child, SIGKILL), 0);
		assert_int_equal(waitpid(child, NULL, 0), child);
		uint64_t late;
		while (read(fds[0], &late, sizeof late) == sizeof late)
			acknowledged = late;
		close(fds[0]);
		CUSTOS_AUTO(custos_store) *store = opened(f, 0);
		uint64_t count = stored(store);
		assert_true(count == acknowledged + 1 || count == acknowledged + 2);
	}
}

static void raw_sql(struct fixture *f, const char *sql)
{
	sqlite3 *db = NULL;
	char *why = NULL;
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	sqlite3_close(db);
}

static void create_refused(void **state)
{
	struct fixture *f = *state;
	CUSTOS_AUTO(custos_store) *store = NULL;
	char path[100];
	custos_store_free(opened(f, CUSTOS_STORE_CREATE));
	assert_int_equal(open_store(f, CUSTOS_STORE_CREATE, &store), CUSTOS_E_STORE);
	assert_non_null(strstr(f->err.msg, "already"));
	store = opened(f, 0); /* and the old one is unharmed */
	custos_store_free(CUSTOS_TAKE(store));
	assert_int_equal(unlink(f->path), 0);
	static const char *const leftovers[] = { "-journal", "-wal", "-shm" };
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s%s", f->path, leftovers[i]);
		close(open(path, O_CREAT | O_WRONLY, 0600));
		assert_int_equal(open_store(f, CUSTOS_STORE_CREATE, &store), CUSTOS_E_STORE);
		unlink(path);
	}
	assert_int_equal(symlink("elsewhere", f->path), 0);
	assert_int_equal(open_store(f, CUSTOS_STORE_CREATE, &store), CUSTOS_E_STORE);
	snprintf(path, sizeof path, "%s/elsewhere", f->dir);
	assert_int_equal(access(path, F_OK), -1);
}

static void files_refused(void **state)
{
	struct fixture *f = *state;
	char aside[100], wal[100];
	assert_refused(f, CUSTOS_E_STORE, "No such file");
	custos_store_free(opened(f, CUSTOS_STORE_CREATE));
	snprintf(aside, sizeof aside, "%s/aside.db", f->dir);
	assert_int_equal(rename(f->path, aside), 0);
	assert_int_equal(symlink("aside.db", f->path), 0);
	assert_refused(f, CUSTOS_E_STORE, "symbolic link");
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(mkdir(f->path, 0700), 0);
	assert_refused(f, CUSTOS_E_STORE, "not a file");
	assert_int_equal(rmdir(f->path), 0);
	assert_int_equal(rename(aside, f->path), 0);
	static const mode_t modes[] = { 0620, 0602, 0666 };
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(chmod(f->path, modes[i]), 0);
		assert_refused(f, CUSTOS_E_STORE, "other users");
	}
	assert_int_equal(chmod(f->path, 0600), 0);
	snprintf(wal, sizeof wal, "%s-wal", f->path);
	assert_int_equal(symlink("aside.db", wal), 0);
	assert_refused(f, CUSTOS_E_STORE, "symbolic link");
	assert_int_equal(unlink(wal), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(f->path, 4711, 0), 0);
		assert_refused(f, CUSTOS_E_STORE, "another user");
		assert_int_equal(chown(f->path, 0, 0), 0);
	}
	custos_store_free(opened(f, 0));
}

static void urls_refused(void **state)
{
	struct fixture *f = *state;
	static const char *const urls[] = { "",
		                            "custody.db",
		                            "sqlite:",
		                            "sqlite:/",
		                            "sqlite:..",
		                            "sqlite:sub/",
		                            "sqlite:.hidden",
		                            "mysql://db.example/x",
		                            "sqlite:no/such/dir/x.db" };
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		CUSTOS_AUTO(custos_store) *store = NULL;
		struct custos_err err = { 0 };
		custos_rc rc = custos_store_open(f->dir, urls[i], CUSTOS_STORE_CREATE, &store, &err);
		if (rc != CUSTOS_E_INPUT && rc != CUSTOS_E_STORE)
			fail_msg("accepted: %s", urls[i]);
	}
	CUSTOS_AUTO(custos_store) *store = NULL;
	assert_int_equal(custos_store_open(f->dir, "sqlite:x.db", CUSTOS_STORE_CREATE | CUSTOS_STORE_READ_ONLY, &store, NULL), CUSTOS_E_INTERNAL);
	assert_int_equal(custos_store_open(f->dir, "sqlite:x.db", 1u << 7, &store, NULL), CUSTOS_E_INTERNAL);
}

static void strange_databases(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *sql, *word;
		custos_rc rc;
	} rows[] = {
		{ "PRAGMA application_id=1", "not one of custos", CUSTOS_E_STORE },
		{ "PRAGMA user_version=2", "newer custos", CUSTOS_E_STORE },
		{ "PRAGMA user_version=0", "tables", CUSTOS_E_TAMPERED },
		{ "CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM entry; END", "tables", CUSTOS_E_TAMPERED },
		{ "CREATE VIEW v AS SELECT * FROM entry", "tables", CUSTOS_E_TAMPERED },
		{ "CREATE TABLE more (x)", "tables", CUSTOS_E_TAMPERED },
		{ "CREATE INDEX i ON entry (leaf)", "tables", CUSTOS_E_TAMPERED },
		{ "DROP TABLE blob", "tables", CUSTOS_E_TAMPERED },
		{ "DROP TABLE entry; CREATE VIEW entry AS SELECT 0 AS idx, x'00' AS leaf", "tables", CUSTOS_E_TAMPERED },
		{ "DROP TABLE entry; CREATE TABLE entry (idx INTEGER PRIMARY KEY, leaf BLOB)", "tables", CUSTOS_E_TAMPERED },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		custos_store_free(opened(f, CUSTOS_STORE_CREATE));
		raw_sql(f, rows[i].sql);
		assert_refused(f, rows[i].rc, rows[i].word);
		assert_int_equal(unlink(f->path), 0);
	}
}

static void overwrite(struct fixture *f, off_t at, const char *text)
{
	int fd = open(f->path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
	close(fd);
}

static void corrupt(void **state)
{
	struct fixture *f = *state;
	struct custos_store *store = opened(f, CUSTOS_STORE_CREATE);
	for (uint64_t i = 0; i < 2000; i++)
		assert_int_equal(commit_entry(store, i, &f->err), CUSTOS_OK);
	custos_store_free(store);
	/* the middle of the entries' tree */
	struct stat st;
	assert_int_equal(stat(f->path, &st), 0);
	int fd = open(f->path, O_RDWR);
	char zeros[4096] = { 0 };
	for (off_t page = 4; page < st.st_size / 4096; page++)
		assert_int_equal(pwrite(fd, zeros, sizeof zeros, page * 4096), sizeof zeros);
	close(fd);
	store = opened(f, 0);
	uint64_t count = 0;
	f->err = (struct custos_err){ 0 };
	assert_int_equal(custos_store_entries(store, 0, count_entry, &count, &f->err), CUSTOS_E_STORE);
	assert_non_null(strstr(f->err.hint, "backup"));
	custos_store_free(store);
	/* cut in the middle */
	assert_int_equal(truncate(f->path, 4096), 0);
	CUSTOS_AUTO(custos_store) *cut = NULL;
	if (open_store(f, 0, &cut) == CUSTOS_OK) {
		count = 0;
		f->err = (struct custos_err){ 0 };
		assert_int_equal(custos_store_entries(cut, 0, count_entry, &count, &f->err), CUSTOS_E_STORE);
	}
	assert_non_null(strstr(f->err.hint, "backup"));
	custos_store_free(CUSTOS_TAKE(cut));
	/* not a database at all */
	overwrite(f, 0, "this was a database once");
	assert_refused(f, CUSTOS_E_STORE, "not a database");
	assert_non_null(strstr(f->err.hint, "backup"));
	/* nothing */
	assert_int_equal(truncate(f->path, 0), 0);
	assert_refused(f, CUSTOS_E_STORE, "not one of custos");
}

static int install(void **state)
{
	(void)state;
	faulty_install();
	return 0;
}

static custos_rc note_index(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	uint64_t *sum = ctx;
	(void)leaf;
	(void)err;
	*sum = *sum * 10 + index;
	return CUSTOS_OK;
}

static void parts_of_the_log(void **state)
{
	struct fixture *f = *state;
	static const char *const leaves[] = { "nothing", "a needle", "hay", "a needle again", "hay" };
	CUSTOS_AUTO(custos_store) *store = NULL;
	assert_int_equal(custos_store_open(f->dir, "sqlite:custody.db", CUSTOS_STORE_CREATE, &store, &f->err), CUSTOS_OK);
	assert_int_equal(custos_store_begin(store, &f->err), CUSTOS_OK);
	for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
		assert_int_equal(custos_store_append_entry(store, i, CUSTOS_BYTES_STR(leaves[i]), &f->err), CUSTOS_OK);
	uint64_t index = 99, seen = 0;
	bool found = false;
	CUSTOS_AUTO_BUF leaf = { 0 };
	assert_int_equal(custos_store_find_entry(store, CUSTOS_BYTES_STR("needle"), &index, &leaf, &found, &f->err), CUSTOS_OK);
	assert_true(found && index == 3);
	assert_string_equal((const char *)leaf.ptr, "a needle again");
	assert_int_equal(custos_store_find_entry(store, CUSTOS_BYTES_STR("Needle"), &index, &leaf, &found, &f->err), CUSTOS_OK);
	assert_false(found);
	assert_int_equal(custos_store_entries(store, 2, note_index, &seen, &f->err), CUSTOS_OK);
	assert_int_equal(seen, 234);
	seen = 0;
	assert_int_equal(custos_store_entries(store, 5, note_index, &seen, &f->err), CUSTOS_OK);
	assert_int_equal(seen, 0);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(create_write_read), WITH(blobs),  WITH(rules),          WITH(two_writers),   WITH(failing_disk), WITH(create_on_failing_disk),
		WITH(killed),            WITH(create_refused), WITH(files_refused), WITH(urls_refused), WITH(strange_databases), WITH(corrupt),
		WITH(parts_of_the_log),
	};
	return cmocka_run_group_tests(tests, install, NULL);
}
