/* The database file as a file: whose it is, that it is not a link, that a new one is new. Looked at before SQLite sees it. */
#ifndef CUSTOS_STORE_SQLITE_FILE_H
#define CUSTOS_STORE_SQLITE_FILE_H

#include "base/bytes.h"

/* Absolute path of `place` below `dir`, without symbolic links in the directory part. The caller frees it. */
CUSTOS_RC custos_sqlite_file_path(const char *dir, const char *place, char **ret_path, struct custos_err *err);
/* Makes an empty file of mode 0600, durable in its directory; refuses when it or a left-over journal of it is there. */
CUSTOS_RC custos_sqlite_file_create(const char *path, struct custos_err *err);
/* Takes back what was created a moment ago. */
void custos_sqlite_file_remove(const char *path);
/* A regular file (and journals beside it, where there are any) that belongs to the caller or root and that nobody else may write. */
CUSTOS_RC custos_sqlite_file_check(const char *path, struct custos_err *err);

#endif
