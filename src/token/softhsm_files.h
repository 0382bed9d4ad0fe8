/* SoftHSM's token as files: where it lies, whether its token.object is whole, and a synced copy beside it.
 *
 * SoftHSM rewrites token.object in place at every login and never syncs; a process killed in between leaves an empty file and with it the
 * whole token is gone. So custos keeps `token.object.custos` and puts it back. Nothing here may run while a module has the token open,
 * except custos_softhsm_judge() and the repair right after a login; the caller holds the token's lock. */
#ifndef CUSTOS_TOKEN_SOFTHSM_FILES_H
#define CUSTOS_TOKEN_SOFTHSM_FILES_H

#include "base/bytes.h"

enum { CUSTOS_SOFTHSM_SERIAL_SIZE = 17 };

enum custos_softhsm_verdict {
	CUSTOS_SOFTHSM_WHOLE,    /* every attribute ends where the file ends, and the serial is the directory's */
	CUSTOS_SOFTHSM_TORN,     /* missing, empty, cut off or filled with zeros */
	CUSTOS_SOFTHSM_STRANGE,  /* something else: neither copied nor overwritten */
};
enum custos_softhsm_action { CUSTOS_SOFTHSM_NOTHING, CUSTOS_SOFTHSM_COPIED, CUSTOS_SOFTHSM_REPAIRED };

/* The token directory named by a configuration file (SOFTHSM2_CONF or the system's), without its trailing slashes. The caller frees it. */
CUSTOS_RC custos_softhsm_token_dir(const char *conf, char **ret_dir, struct custos_err *err);
/* Serial of a token from the name of its directory (a UUID); false when it is none. */
CUSTOS_MUST bool custos_softhsm_serial(const char *directory, char ret_serial[static CUSTOS_SOFTHSM_SERIAL_SIZE]);
enum custos_softhsm_verdict custos_softhsm_judge(struct custos_bytes object, const char *serial);
/* Keeps or puts back the copy of one token. A token that is torn and has no whole copy is CUSTOS_E_TOKEN with the way back. No directory of that serial:
 * NOTHING. */
CUSTOS_RC custos_softhsm_protect(const char *token_dir, const char *serial, enum custos_softhsm_action *ret_action, struct custos_err *err);
/* Calls `each` with the serial of every token directory. */
CUSTOS_RC custos_softhsm_each(const char *token_dir, custos_rc (*each)(void *ctx, const char *serial, struct custos_err *err), void *ctx, struct custos_err *err);
/* Object files of one token that are empty: what a process leaves that was killed while it made them. SoftHSM tries them at every start and sees no object.
 * With `removes` they are unlinked; *ret_removed says how many. May run while the module has the token open. */
enum custos_softhsm_empty { CUSTOS_SOFTHSM_EMPTY_COUNT, CUSTOS_SOFTHSM_EMPTY_REMOVE };
CUSTOS_RC custos_softhsm_empty_files(const char *token_dir, const char *serial, enum custos_softhsm_empty what, size_t *ret_count, size_t *ret_removed, struct custos_err *err);
/* Makes everything written below the directory durable. */
CUSTOS_RC custos_softhsm_sync(const char *token_dir, struct custos_err *err);

#endif
