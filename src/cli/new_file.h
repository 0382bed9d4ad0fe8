/* A new file for what a command makes: what exists is never overwritten, what could not be written whole does not stay. */
#ifndef CUSTOS_CLI_NEW_FILE_H
#define CUSTOS_CLI_NEW_FILE_H

#include "cli/command.h"

/*	CUSTOS_AUTO_NEW_FILE file = { 0 };
 *	CUSTOS_TRY(custos_new_file_make(&file, path, err));	before the work, so that nothing is made that cannot be kept
 *	CUSTOS_TRY(custos_new_file_write(&file, text, err));	afterwards; what never comes to this is removed
 *
 * A path of NULL is no file, and then nothing happens. */
struct custos_new_file {
	const char *path;          /* the caller's */
	int fd;
	bool open, whole;
};

/* Could it be made? Nothing is, yet. */
CUSTOS_RC custos_new_file_foresee(const char *path, struct custos_err *err);
CUSTOS_RC custos_new_file_make(struct custos_new_file *file, const char *path, struct custos_err *err);
/* All of the text, and on the disk; a file of this name that is another one by then is not touched. */
CUSTOS_RC custos_new_file_write(struct custos_new_file *file, const char *text, struct custos_err *err);
void custos_new_file_done(struct custos_new_file *file);
#define CUSTOS_AUTO_NEW_FILE CUSTOS_CLEANUP(custos_new_file_done) struct custos_new_file

#endif
