/* Files below one directory, reached without ever following a symbolic link on the way, and written so that a crash leaves the old file or
 * the new one: temporary name, fsync, rename, fsync of the directory. */
#ifndef CUSTOS_LOG_FOLDER_H
#define CUSTOS_LOG_FOLDER_H

#include "base/bytes.h"

struct custos_folder {
	int fd;
	char *path; /* as the caller named it, for errors */
};
/* For reading. CUSTOS_E_INPUT when it is not there or not a directory. */
CUSTOS_RC custos_folder_open(const char *path, struct custos_folder *ret_folder, struct custos_err *err);
/* For writing: made when it is not there (its parent must be), and locked against a second writer until it is closed. */
CUSTOS_RC custos_folder_open_for_writing(const char *path, struct custos_folder *ret_folder, struct custos_err *err);
void custos_folder_close(struct custos_folder *folder);
#define CUSTOS_AUTO_FOLDER __attribute__((cleanup(custos_folder_close))) struct custos_folder

/* Appends the whole file to `content`, whose max is the limit. *ret_found is false when there is no such file. */
CUSTOS_RC custos_folder_read(const struct custos_folder *folder, const char *name, struct custos_buf *content, bool *ret_found,
                             struct custos_err *err);
/* Writes or replaces a file; directories on the way are made. */
CUSTOS_RC custos_folder_put(const struct custos_folder *folder, const char *name, struct custos_bytes content, struct custos_err *err);
/* Removes every file in the directory `name` but the one called `keep`; with keep NULL the directory too. No such directory: nothing to do. */
CUSTOS_RC custos_folder_clear(const struct custos_folder *folder, const char *name, const char *keep, struct custos_err *err);
/* True when nothing is in it but the names given. */
CUSTOS_RC custos_folder_holds_only(const struct custos_folder *folder, const char *const *names, size_t count, bool *ret_only,
                                   struct custos_err *err);

#endif
