/* What is dropped from the store, and what is left of it in its files: read from outside, as a thief of the disk would. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

/* How often these bytes stand in the store's files. */
static size_t count_in_files(const char *path, const char *needle)
{
	static const char *const endings[] = { "", "-wal", "-shm" };
	size_t found = 0, len = strlen(needle);
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		char name[128];
		snprintf(name, sizeof name, "%s%s", path, endings[i]);
		FILE *file = fopen(name, "re");
		CUSTOS_AUTO_BUF all = { .max = 64 << 20 };
		char chunk[4096];
		for (size_t n; file != NULL && (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
			assert_int_equal(custos_buf_append(&all, chunk, n, NULL), CUSTOS_OK);
		for (const uint8_t *at = all.ptr; at != NULL && (at = memmem(at, (size_t)(all.ptr + all.len - at), needle, len)) != NULL; at++)
			found++;
		if (file != NULL)
			fclose(file);
	}
	return found;
}

/* Reading the files from outside drops this process's locks on them: only where nobody else writes. */
static void dropped_and_purged(void **state)
{
	char dir[] = "/tmp/custos-purge-XXXXXX", path[64];
	struct custos_err err = { 0 };
	struct custos_store *store = NULL;
	static const uint8_t gone[CUSTOS_HASH_SIZE] = { 1 }, kept[CUSTOS_HASH_SIZE] = { 2 };
	bool found = true;
	CUSTOS_AUTO_BUF blob = { 0 };
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/custody.db", dir);
	if (custos_store_open(dir, "sqlite:custody.db", CUSTOS_STORE_CREATE, &store, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	assert_int_equal(custos_store_drop_blob(store, gone, &found, NULL), CUSTOS_E_INTERNAL);
	assert_int_equal(custos_store_begin(store, NULL), CUSTOS_OK);
	assert_int_equal(custos_store_purge(store, NULL), CUSTOS_E_INTERNAL);
	assert_int_equal(custos_store_put_blob(store, gone, "container", CUSTOS_BYTES_STR("needle in the haystack"), NULL), CUSTOS_OK);
	assert_int_equal(custos_store_put_blob(store, kept, "container", CUSTOS_BYTES_STR("straw in the haystack"), NULL), CUSTOS_OK);
	assert_int_equal(custos_store_commit(store, NULL), CUSTOS_OK);
	assert_true(count_in_files(path, "needle in the") > 0);
	assert_int_equal(custos_store_begin(store, NULL), CUSTOS_OK);
	assert_int_equal(custos_store_drop_blob(store, gone, &found, NULL), CUSTOS_OK);
	assert_true(found);
	assert_int_equal(custos_store_drop_blob(store, gone, &found, NULL), CUSTOS_OK);
	assert_false(found);
	/* not for good before the commit */
	custos_store_abort(store);
	assert_int_equal(custos_store_get_blob(store, gone, &blob, &found, NULL), CUSTOS_OK);
	assert_true(found);
	assert_int_equal(custos_store_begin(store, NULL), CUSTOS_OK);
	assert_int_equal(custos_store_drop_blob(store, gone, &found, NULL), CUSTOS_OK);
	assert_int_equal(custos_store_commit(store, NULL), CUSTOS_OK);
	assert_int_equal(custos_store_get_blob(store, gone, &blob, &found, NULL), CUSTOS_OK);
	assert_false(found);
	assert_int_equal(custos_store_purge(store, NULL), CUSTOS_OK);
	assert_int_equal(count_in_files(path, "needle in the"), 0);
	assert_true(count_in_files(path, "straw in the") > 0);
	custos_store_free(store);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(dropped_and_purged) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
