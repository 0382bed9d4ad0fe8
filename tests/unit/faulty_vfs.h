/* SQLite's own file layer, with the n-th write or sync failing as a full or a dying disk would make it fail. */
#ifndef CUSTOS_TESTS_FAULTY_VFS_H
#define CUSTOS_TESTS_FAULTY_VFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>

/* Main files and journals have method tables of their own. */
enum { FAULTY_TABLES = 4 };
struct faulty {
	sqlite3_vfs vfs, *real;
	struct faulty_methods {
		sqlite3_io_methods methods; /* first: a file points here */
		const sqlite3_io_methods *real;
	} table[FAULTY_TABLES];
	int countdown;  /* operations that still succeed; negative: all of them */
	int code;       /* what the failing ones say */
	unsigned syncs; /* that reached the disk */
	bool failed;    /* and go on failing, like a disk does */
};
static struct faulty faulty;

static inline bool faulty_now(void)
{
	if (faulty.countdown < 0)
		return false;
	if (faulty.countdown > 0) {
		faulty.countdown--;
		return false;
	}
	faulty.failed = true;
	return true;
}

static inline const sqlite3_io_methods *faulty_real(sqlite3_file *file)
{
	return ((const struct faulty_methods *)(const void *)file->pMethods)->real;
}

static inline int faulty_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
	return faulty_now() ? faulty.code : faulty_real(file)->xWrite(file, data, len, at);
}

static inline int faulty_sync(sqlite3_file *file, int flags)
{
	if (faulty_now())
		return SQLITE_IOERR_FSYNC;
	faulty.syncs++;
	return faulty_real(file)->xSync(file, flags);
}

static inline int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)vfs;
	int rc = faulty.real->xOpen(faulty.real, name, file, flags, ret_flags);
	if (rc != SQLITE_OK || file->pMethods == NULL)
		return rc;
	struct faulty_methods *table = faulty.table;
	while (table < faulty.table + FAULTY_TABLES && table->real != NULL && table->real != file->pMethods)
		table++;
	if (table == faulty.table + FAULTY_TABLES)
		abort();
	table->real = file->pMethods;
	table->methods = *file->pMethods;
	table->methods.xWrite = faulty_write;
	table->methods.xSync = faulty_sync;
	file->pMethods = &table->methods;
	return rc;
}

static inline void faulty_install(void)
{
	faulty.real = sqlite3_vfs_find(NULL);
	faulty.vfs = *faulty.real;
	faulty.vfs.zName = "faulty";
	faulty.vfs.xOpen = faulty_open;
	faulty.countdown = -1;
	if (sqlite3_vfs_register(&faulty.vfs, 1) != SQLITE_OK)
		abort();
}

static inline void faulty_arm(int after, int code)
{
	faulty.countdown = after;
	faulty.code = code;
	faulty.failed = false;
}

static inline void faulty_disarm(void)
{
	faulty.countdown = -1;
}

#endif
