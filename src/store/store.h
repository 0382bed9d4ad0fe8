/* Where state and log are kept, behind one interface: SQLite now, PostgreSQL beside it later.
 *
 * The store holds three things: log entries by index, checkpoints by size, and blobs (containers, certificate chains,
 * profiles) by their SHA-256. There are no other rows: what a custody knows is the log replayed, and a blob is what its hash says. So nothing in here
 * has to be trusted. One writer at a time; a commit is durable when it returns (WAL, synchronous=FULL). */
#ifndef CUSTOS_STORE_STORE_H
#define CUSTOS_STORE_STORE_H

#include "base/bytes.h"
#include "base/permit.h"

struct custos_store;

/* `url`: "sqlite:FILE" (relative to `dir`). create: the file must not exist. Otherwise it must exist, be a regular file owned by the caller or root and not writable by others. */
enum custos_store_flags { CUSTOS_STORE_CREATE = 1u << 0, CUSTOS_STORE_READ_ONLY = 1u << 1 };
CUSTOS_RC custos_store_open(const char *dir, const char *url, unsigned flags, struct custos_store **ret_store, struct custos_err *err);
void custos_store_free(struct custos_store *store);
CUSTOS_DEFINE_FREEP(custos_store);
/* Absolute path of the directory that holds the store's files, for keeping others out of it. NULL when it has none on this machine. The caller frees it. */
CUSTOS_RC custos_store_folder(const struct custos_store *store, char **ret_folder, struct custos_err *err);

CUSTOS_RC custos_store_begin(struct custos_store *store, struct custos_err *err);   /* takes the write lock (waits up to 10 s) */
CUSTOS_RC custos_store_commit(struct custos_store *store, struct custos_err *err);
void custos_store_abort(struct custos_store *store);
CUSTOS_MUST bool custos_store_in_transaction(const struct custos_store *store);

/* Several reads of one moment: what others commit meanwhile is not seen until read_end. Not inside a transaction. */
CUSTOS_RC custos_store_read_begin(struct custos_store *store, struct custos_err *err);
void custos_store_read_end(struct custos_store *store);

/* How many entries there are. */
CUSTOS_RC custos_store_entry_count(struct custos_store *store, uint64_t *ret_count, struct custos_err *err);
CUSTOS_RC custos_store_append_entry(struct custos_store *store, uint64_t index, struct custos_bytes leaf, struct custos_err *err);
/* From index `first` on, in order. */
CUSTOS_RC custos_store_entries(struct custos_store *store, uint64_t first, custos_rc (*each)(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err), void *ctx, struct custos_err *err);
/* The newest entry that has these bytes in it, read from the newest on; *ret_found false when there is none. */
CUSTOS_RC custos_store_find_entry(struct custos_store *store, struct custos_bytes part, uint64_t *ret_index, struct custos_buf *leaf, bool *ret_found, struct custos_err *err);
CUSTOS_RC custos_store_put_checkpoint(struct custos_store *store, uint64_t size, struct custos_bytes note, struct custos_err *err);
CUSTOS_RC custos_store_newest_checkpoint(struct custos_store *store, struct custos_buf *note, struct custos_err *err);
/* Blobs: `kind` is for people ("container", "chain", "profile"). Putting the same blob again is fine. get: *ret_found false when there is none. The caller checks the hash. */
CUSTOS_RC custos_store_put_blob(struct custos_store *store, const uint8_t sha256[static CUSTOS_HASH_SIZE], const char *kind, struct custos_bytes blob, struct custos_err *err);
CUSTOS_RC custos_store_get_blob(struct custos_store *store, const uint8_t sha256[static CUSTOS_HASH_SIZE], struct custos_buf *blob, bool *ret_found, struct custos_err *err);
/* Takes a blob away, inside a transaction; *ret_found false when there was none. Remains of it may lie in the store's files. */
CUSTOS_RC custos_store_drop_blob(struct custos_store *store, const uint8_t sha256[static CUSTOS_HASH_SIZE], bool *ret_found, struct custos_err *err);
/* What was dropped is written over in the store's own files. Not inside a transaction; waits up to 10 s for others who read or write. */
CUSTOS_RC custos_store_purge(struct custos_store *store, struct custos_err *err);

#endif
