/* One process at a time works on a token: an exclusive flock on a file named after its serial, held to the end of the process.
 *
 * SoftHSM corrupts keys when two processes use one token. The directory is shared by every user of the machine (mode 1777, owned by root
 * or by the caller); a lock file is never removed, so the file that is locked is the file that others open. */
#ifndef CUSTOS_TOKEN_LOCK_H
#define CUSTOS_TOKEN_LOCK_H

#include "base/bytes.h"

#define CUSTOS_TOKEN_LOCK_DIR "/run/lock/custos"
#define CUSTOS_TOKEN_LOCK_DISCOVERY "discovery"
enum { CUSTOS_TOKEN_LOCK_WAIT_MS = 30000 };

/* Waits at most wait_ms, then CUSTOS_E_TOKEN naming the process that holds it. `name` is a serial as the token gives it; anything that is not a
 * plain character is escaped in the file's name. Closing *ret_fd gives the lock back. */
CUSTOS_RC custos_token_lock(const char *dir, const char *name, int wait_ms, int *ret_fd, struct custos_err *err);

#endif
