/* Publishing: the layout of the specification, growth, and what publishing refuses to write into. The attacks on a published log are in
 * tests/it/tlog.bats, where a second verifier judges them too. */
#include "log/log.h"
#include "log/tile.h"

#include "soft_log.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <cmocka.h>

static const char origin[] = "log.example.com/custody";

struct fixture {
	struct soft_storage *storage;
	struct soft_signer signer;
	struct custos_log *log;
	char *vkey;
	char top[64], dir[80];
	struct custos_err err;
};

static struct custos_log *new_log(struct soft_storage *storage, const char *name, const char *vkey)
{
	struct custos_log_storage interface = soft_interface(storage);
	struct custos_log *log = NULL;
	assert_int_equal(custos_log_open(&interface, name, NULL, NULL, NULL, &log, NULL), CUSTOS_OK);
	assert_int_equal(custos_log_set_vkey(log, vkey, NULL), CUSTOS_OK);
	return log;
}

static void grow(struct fixture *f, struct custos_log *log, size_t size)
{
	while (custos_log_size(log) < size)
		assert_int_equal(custos_log_append(log, "note", NULL, NULL, NULL), CUSTOS_OK);
	if (custos_log_commit(log, &f->signer.signer, &f->err) != CUSTOS_OK)
		fail_msg("%s", f->err.msg);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->storage = soft_storage_new();
	soft_signer_init(&f->signer, CUSTOS_SIGNATURE_ED25519);
	f->vkey = soft_vkey(&f->signer, origin);
	f->log = new_log(f->storage, origin, f->vkey);
	const char *tmp = getenv("TMPDIR");
	snprintf(f->top, sizeof f->top, "%.40s/custos-log-XXXXXX", tmp == NULL ? "/tmp" : tmp);
	assert_non_null(mkdtemp(f->top));
	snprintf(f->dir, sizeof f->dir, "%s/log", f->top);
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
	nftw(f->top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	custos_log_free(f->log);
	soft_storage_free(f->storage);
	soft_signer_done(&f->signer);
	free(f->vkey);
	free(f);
	return 0;
}

static bool there(const struct fixture *f, const char *name, off_t size)
{
	char path[200];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	if (lstat(path, &st) != 0)
		return false;
	return size < 0 || (S_ISREG(st.st_mode) && st.st_size == size);
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", f->dir, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static custos_rc publish(struct fixture *f)
{
	f->err = (struct custos_err){ 0 };
	return custos_log_publish(f->log, f->dir, &f->err);
}

static custos_rc verify(struct fixture *f)
{
	CUSTOS_AUTO(custos_json) *report = NULL;
	f->err = (struct custos_err){ 0 };
	custos_rc rc = custos_log_verify_dir(f->dir, f->vkey, CUSTOS_BYTES(NULL, 0), &report, &f->err);
	if (rc == CUSTOS_OK)
		assert_int_equal(custos_json_int(report, "entries", -1), custos_log_signed_size(f->log));
	return rc;
}

static void assert_published(struct fixture *f)
{
	if (publish(f) != CUSTOS_OK || verify(f) != CUSTOS_OK)
		fail_msg("%s", f->err.msg);
}

static void paths(void **state)
{
	(void)state;
	static const struct {
		struct custos_tile tile;
		const char *path;
	} rows[] = {
		{ { 0, 0, 256 }, "tile/0/000" },
		{ { 0, 273, 112 }, "tile/0/273.p/112" },
		{ { 63, 999, 256 }, "tile/63/999" },
		{ { 1, 1000, 256 }, "tile/1/x001/000" },
		{ { CUSTOS_TILE_ENTRIES, 1234067, 256 }, "tile/entries/x001/x234/067" },
		{ { CUSTOS_TILE_ENTRIES, 1234067, 1 }, "tile/entries/x001/x234/067.p/1" },
		{ { 0, UINT64_MAX, 256 }, "tile/0/x018/x446/x744/x073/x709/x551/615" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char path[CUSTOS_TILE_PATH_MAX];
		custos_tile_path(&rows[i].tile, path);
		assert_string_equal(path, rows[i].path);
	}
}

/* The example of the specification: 70,000 entries. */
static void layout(void **state)
{
	struct fixture *f = *state;
	char name[64];
	grow(f, f->log, 70000);
	assert_published(f);
	for (unsigned n = 0; n < 273; n++) {
		snprintf(name, sizeof name, "tile/0/%03u", n);
		assert_true(there(f, name, 8192));
		snprintf(name, sizeof name, "tile/entries/%03u", n);
		assert_true(there(f, name, -1));
	}
	assert_false(there(f, "tile/0/273", -1));
	assert_true(there(f, "tile/0/273.p/112", 112 * 32));
	assert_true(there(f, "tile/entries/273.p/112", -1));
	assert_true(there(f, "tile/1/000", 8192));
	assert_true(there(f, "tile/1/001.p/17", 17 * 32));
	assert_true(there(f, "tile/2/000.p/1", 32));
	assert_false(there(f, "tile/3", -1));
}

static void growth(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = { 1, 2, 2, 255, 256, 257, 511, 600 };
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		grow(f, f->log, sizes[i]);
		assert_published(f);
	}
	/* what was superseded is gone */
	assert_false(there(f, "tile/0/000.p", -1));
	assert_false(there(f, "tile/entries/000.p", -1));
	assert_false(there(f, "tile/0/001.p", -1));
	assert_true(there(f, "tile/0/002.p/88", 88 * 32));
	assert_true(there(f, "tile/1/000.p/2", 64));
	assert_false(there(f, "tile/1/000.p/1", -1));
	grow(f, f->log, 610);
	assert_published(f);
	assert_false(there(f, "tile/0/002.p/88", -1));
	assert_true(there(f, "tile/0/002.p/98", 98 * 32));
	/* an unsigned tail is not published */
	assert_int_equal(custos_log_append(f->log, "token.failed", NULL, NULL, NULL), CUSTOS_OK);
	assert_int_equal(custos_log_commit_unsigned(f->log, NULL), CUSTOS_OK);
	assert_published(f);
	assert_true(there(f, "tile/0/002.p/98", 98 * 32));
}

/* A crash after any number of files: what is there is taken up again, and until the checkpoint is replaced the older state verifies. */
static void interrupted(void **state)
{
	struct fixture *f = *state;
	char from[200], to[200];
	grow(f, f->log, 300);
	assert_published(f);
	/* as if the checkpoint had never been written */
	snprintf(from, sizeof from, "%s/checkpoint", f->dir);
	assert_int_equal(unlink(from), 0);
	assert_int_equal(verify(f), CUSTOS_E_INPUT);
	write_file(f, ".checkpoint.tmp", "half a che");
	write_file(f, "tile/0/.001.tmp", "half a tile");
	assert_published(f);
	/* as if only tiles of the longer log had been added: the old checkpoint still verifies */
	snprintf(to, sizeof to, "%s/old", f->top);
	assert_int_equal(rename(from, to), 0);
	size_t old_size = (size_t)custos_log_signed_size(f->log);
	grow(f, f->log, 555);
	assert_published(f);
	assert_int_equal(rename(to, from), 0);
	CUSTOS_AUTO(custos_json) *report = NULL;
	if (custos_log_verify_dir(f->dir, f->vkey, CUSTOS_BYTES(NULL, 0), &report, &f->err) != CUSTOS_OK)
		fail_msg("%s", f->err.msg);
	assert_int_equal(custos_json_int(report, "size", -1), old_size);
	assert_published(f);
}

static void refused_directories(void **state)
{
	struct fixture *f = *state;
	grow(f, f->log, 20);
	/* something else in it */
	assert_int_equal(mkdir(f->dir, 0755), 0);
	write_file(f, "letter.txt", "dear\n");
	assert_int_equal(publish(f), CUSTOS_E_INPUT);
	assert_false(there(f, "tile", -1));
	char path[200];
	snprintf(path, sizeof path, "%s/letter.txt", f->dir);
	unlink(path);
	/* a checkpoint that is none */
	write_file(f, "checkpoint", "hello\n");
	assert_int_not_equal(publish(f), CUSTOS_OK);
	assert_false(there(f, "tile", -1));
	snprintf(path, sizeof path, "%s/checkpoint", f->dir);
	unlink(path);
	/* links instead of directories, and instead of the whole */
	snprintf(path, sizeof path, "%s/tile", f->dir);
	assert_int_equal(symlink(f->top, path), 0);
	assert_int_not_equal(publish(f), CUSTOS_OK);
	unlink(path);
	char link[200];
	snprintf(link, sizeof link, "%s/link", f->top);
	assert_int_equal(symlink("log", link), 0);
	assert_int_equal(custos_log_publish(f->log, link, NULL), CUSTOS_E_INPUT);
	/* another publisher is at it */
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(publish(f), CUSTOS_E_STORE);
	close(fd);
	assert_published(f);
	/* no parent */
	snprintf(path, sizeof path, "%s/a/b", f->top);
	assert_int_equal(custos_log_publish(f->log, path, NULL), CUSTOS_E_STORE);
}

static void other_logs_refused(void **state)
{
	struct fixture *f = *state;
	grow(f, f->log, 300);
	struct soft_storage *fork = soft_storage_copy(f->storage), *shorter = soft_storage_copy(f->storage), *other = soft_storage_new();
	grow(f, f->log, 310);
	assert_published(f);

	struct custos_log_storage interface = soft_interface(shorter);
	CUSTOS_AUTO(custos_log) *short_log = NULL, *fork_log = NULL, *other_log = NULL;
	assert_int_equal(custos_log_open(&interface, origin, f->vkey, NULL, NULL, &short_log, NULL), CUSTOS_OK);
	assert_int_equal(custos_log_publish(short_log, f->dir, NULL), CUSTOS_E_TAMPERED);

	interface = soft_interface(fork);
	assert_int_equal(custos_log_open(&interface, origin, f->vkey, NULL, NULL, &fork_log, NULL), CUSTOS_OK);
	assert_int_equal(custos_log_append(fork_log, "forked", NULL, NULL, NULL), CUSTOS_OK);
	grow(f, fork_log, 400);
	assert_int_equal(custos_log_publish(fork_log, f->dir, NULL), CUSTOS_E_TAMPERED);

	char *vkey = soft_vkey(&f->signer, "log.example.com/other");
	other_log = new_log(other, "log.example.com/other", vkey);
	grow(f, other_log, 400);
	assert_int_equal(custos_log_publish(other_log, f->dir, NULL), CUSTOS_E_INPUT);
	free(vkey);
	if (verify(f) != CUSTOS_OK) /* none of them has touched it */
		fail_msg("%s", f->err.msg);

	/* A tile that does not agree is neither overwritten nor ignored. */
	write_file(f, "tile/0/000", "not hashes");
	assert_int_equal(publish(f), CUSTOS_E_TAMPERED);
	assert_true(there(f, "tile/0/000", 10));
	soft_storage_free(fork);
	soft_storage_free(shorter);
	soft_storage_free(other);
}

/* The storage changes between opening and publishing. */
static void damaged_store(void **state)
{
	struct fixture *f = *state;
	grow(f, f->log, 20);
	f->storage->entry[7].ptr[12] ^= 1;
	assert_int_equal(publish(f), CUSTOS_E_TAMPERED);
	assert_false(there(f, "checkpoint", -1));
	f->storage->entry[7].ptr[12] ^= 1;
	f->storage->count--;
	assert_int_equal(publish(f), CUSTOS_E_TAMPERED);
	assert_false(there(f, "checkpoint", -1));
	f->storage->count++;
	assert_published(f);
}

static void nothing_to_publish(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(publish(f), CUSTOS_E_STORE);
	assert_false(there(f, ".", -1));
	assert_int_equal(custos_log_verify_dir(f->dir, f->vkey, CUSTOS_BYTES(NULL, 0), &(struct custos_json *){ NULL }, NULL), CUSTOS_E_INPUT);
	assert_int_equal(custos_log_verify_dir(f->top, f->vkey, CUSTOS_BYTES(NULL, 0), &(struct custos_json *){ NULL }, NULL), CUSTOS_E_INPUT);
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		WITH(layout),
		WITH(growth),
		WITH(interrupted),
		WITH(refused_directories),
		WITH(other_logs_refused),
		WITH(damaged_store),
		WITH(nothing_to_publish),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
