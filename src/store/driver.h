/* What an engine does for the store. The rules that hold for every engine (nothing is written outside a transaction or to a read-only store, nothing
 * goes on after a failed commit) are store.c's; an engine may count on them. */
#ifndef CUSTOS_STORE_DRIVER_H
#define CUSTOS_STORE_DRIVER_H

#include "store/store.h"

struct custos_store_driver {
	/* `place` is what follows the scheme in the URL. *ret_name is for errors and the caller's to free. */
	CUSTOS_MUST custos_rc (*open)(const char *dir, const char *place, unsigned flags, void **ret_engine, char **ret_name, struct custos_err *err);
	void (*close)(void *engine);
	CUSTOS_MUST custos_rc (*begin)(void *engine, struct custos_err *err);
	CUSTOS_MUST custos_rc (*read_begin)(void *engine, struct custos_err *err);   /* ended by abort */
	CUSTOS_MUST custos_rc (*commit)(void *engine, struct custos_err *err);
	void (*abort)(void *engine);
	CUSTOS_MUST custos_rc (*entry_count)(void *engine, uint64_t *ret_count, struct custos_err *err);
	CUSTOS_MUST custos_rc (*append_entry)(void *engine, uint64_t index, struct custos_bytes leaf, struct custos_err *err);
	CUSTOS_MUST custos_rc (*entries)(void *engine, uint64_t first,
	                                 custos_rc (*each)(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err),
	                                 void *ctx, struct custos_err *err);
	CUSTOS_MUST custos_rc (*find_entry)(void *engine, struct custos_bytes part, uint64_t *ret_index, struct custos_buf *leaf, bool *ret_found, struct custos_err *err);
	CUSTOS_MUST custos_rc (*put_checkpoint)(void *engine, uint64_t size, struct custos_bytes note, struct custos_err *err);
	CUSTOS_MUST custos_rc (*newest_checkpoint)(void *engine, struct custos_buf *note, struct custos_err *err);
	CUSTOS_MUST custos_rc (*put_blob)(void *engine, const uint8_t *sha256, const char *kind, struct custos_bytes blob, struct custos_err *err);
	CUSTOS_MUST custos_rc (*get_blob)(void *engine, const uint8_t *sha256, struct custos_buf *blob, bool *ret_found, struct custos_err *err);
	CUSTOS_MUST custos_rc (*drop_blob)(void *engine, const uint8_t *sha256, bool *ret_found, struct custos_err *err);
	CUSTOS_MUST custos_rc (*purge)(void *engine, struct custos_err *err);
};

extern const struct custos_store_driver custos_store_sqlite;

/* Largest value that is stored; an engine refuses larger ones when it reads, too. */
enum { CUSTOS_STORE_VALUE_MAX = 16 << 20 };

#endif
