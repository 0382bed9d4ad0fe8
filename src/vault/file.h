/* Reading public input files, whole and bounded. */
#ifndef CUSTOS_VAULT_FILE_H
#define CUSTOS_VAULT_FILE_H

#include "base/bytes.h"

/* A regular file (or pipe) of at most `ret->max` bytes (0: 1 MiB). */
CUSTOS_RC custos_file_read(const char *path, struct custos_buf *ret, struct custos_err *err);

#endif
