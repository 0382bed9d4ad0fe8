/* Publishing: the signed part of the log as static files. What is in the directory already must be the same log, shorter or equal, down to the last
 * byte of every tile; nothing is overwritten but the checkpoint, and that comes last. */
#include "log/state.h"

#include "log/folder.h"
#include "log/tile.h"

#include <inttypes.h>
#include <stdio.h>

static const char checkpoint_name[] = "checkpoint";

struct publication {
	const struct custos_log *log;
	const struct custos_folder *folder;
	struct custos_buf bundle;
	uint64_t entries;           /* seen so far */
};

static custos_rc check_older(const struct custos_log *log, const struct custos_folder *folder, struct custos_bytes note, struct custos_err *err)
{
	struct custos_checkpoint older;
	char what[300];
	snprintf(what, sizeof what, "%.250s/%s", folder->path, checkpoint_name);
	CUSTOS_TRY(custos_checkpoint_open(note, &log->key, what, &older, err));
	if (older.size > log->signed_size)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "keep the published directory: it is evidence. The store was put back to an older state",
		                 "%s is of size %" PRIu64 ", this log has only %" PRIu64 " signed entries", what, older.size, log->signed_size);
	uint8_t root[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_tree_root(&log->tree, older.size, root, err));
	if (memcmp(root, older.root, sizeof root) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "keep the published directory: it is evidence. One key has signed two different logs",
		                 "%s is of a fork: the first %" PRIu64 " entries are not those of this log", what, older.size);
	return CUSTOS_OK;
}

static custos_rc check_directory(const struct custos_log *log, const struct custos_folder *folder, struct custos_err *err)
{
	/* Without a checkpoint only what an interrupted first publication leaves behind; its tiles are compared like any others. */
	static const char *const mine[] = { "tile", ".checkpoint.tmp" };
	CUSTOS_AUTO_BUF note = { .max = CUSTOS_NOTE_MAX };
	bool found, only;
	CUSTOS_TRY(custos_folder_read(folder, checkpoint_name, &note, &found, err));
	if (found)
		return check_older(log, folder, custos_buf_view(&note), err);
	CUSTOS_TRY(custos_folder_holds_only(folder, mine, sizeof mine / sizeof *mine, &only, err));
	if (!only)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name a new or empty directory", "%s holds something, but no published log", folder->path);
	return CUSTOS_OK;
}

static custos_rc put_tile(const struct custos_folder *folder, const struct custos_tile *tile, struct custos_bytes content, struct custos_err *err)
{
	char path[CUSTOS_TILE_PATH_MAX];
	bool found;
	CUSTOS_AUTO_BUF there = { .max = CUSTOS_BUNDLE_MAX };
	custos_tile_path(tile, path);
	CUSTOS_TRY(custos_folder_read(folder, path, &there, &found, err));
	if (!found)
		return custos_folder_put(folder, path, content, err);
	if (!custos_bytes_equal(custos_buf_view(&there), content))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "keep the directory as evidence and publish to a new one",
		                 "%s/%s is not what this log says", folder->path, path);
	return CUSTOS_OK;
}

static custos_rc publish_entry(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	struct publication *publication = ctx;
	const struct custos_log *log = publication->log;
	if (index >= log->signed_size)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(index == publication->entries, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " is missing", publication->entries);
	CUSTOS_TRY(custos_tree_check_leaf(&log->tree, index, leaf, err));
	const uint8_t length[] = { (uint8_t)(leaf.len >> 8), (uint8_t)(leaf.len & 0xff) };
	CUSTOS_TRY(custos_buf_append(&publication->bundle, length, sizeof length, err));
	CUSTOS_TRY(custos_buf_append(&publication->bundle, leaf.ptr, leaf.len, err));
	publication->entries++;

	unsigned width = (unsigned)(index % CUSTOS_TILE_WIDTH) + 1;
	if (width < CUSTOS_TILE_WIDTH && index + 1 < log->signed_size)
		return CUSTOS_OK;
	const struct custos_tile tile = { CUSTOS_TILE_ENTRIES, index / CUSTOS_TILE_WIDTH, width };
	CUSTOS_TRY(put_tile(publication->folder, &tile, custos_buf_view(&publication->bundle), err));
	publication->bundle.len = 0;
	return CUSTOS_OK;
}

static custos_rc publish_entries(const struct custos_log *log, const struct custos_folder *folder, struct custos_err *err)
{
	struct publication publication = { .log = log, .folder = folder, .bundle = { .max = CUSTOS_BUNDLE_MAX } };
	custos_rc rc = log->storage.entries(log->storage.ctx, 0, publish_entry, &publication, err);
	custos_buf_done(&publication.bundle);
	CUSTOS_TRY(rc);
	CUSTOS_REQUIRE(publication.entries == log->signed_size, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " is missing", publication.entries);
	return CUSTOS_OK;
}

static custos_rc publish_level(void *ctx, int level, const custos_hash *hashes, size_t count, struct custos_err *err)
{
	const struct custos_folder *folder = ctx;
	for (size_t at = 0; at < count; at += CUSTOS_TILE_WIDTH) {
		unsigned width = count - at < CUSTOS_TILE_WIDTH ? (unsigned)(count - at) : CUSTOS_TILE_WIDTH;
		const struct custos_tile tile = { level, at / CUSTOS_TILE_WIDTH, width };
		CUSTOS_TRY(put_tile(folder, &tile, CUSTOS_BYTES(hashes[at], (size_t)width * CUSTOS_HASH_SIZE), err));
	}
	return CUSTOS_OK;
}

/* What a longer tile has replaced. The readers' checkpoint is the new one by now. */
static custos_rc drop_superseded(const struct custos_folder *folder, int level, size_t count, struct custos_err *err)
{
	char path[CUSTOS_TILE_PATH_MAX], keep[8];
	for (size_t n = 0; n * CUSTOS_TILE_WIDTH < count; n++) {
		size_t width = count - n * CUSTOS_TILE_WIDTH;
		const struct custos_tile tile = { level, n, CUSTOS_TILE_WIDTH };
		custos_tile_partials_path(&tile, path);
		snprintf(keep, sizeof keep, "%zu", width % 1000);
		CUSTOS_TRY(custos_folder_clear(folder, path, width >= CUSTOS_TILE_WIDTH ? NULL : keep, err));
	}
	return CUSTOS_OK;
}

custos_rc custos_log_publish(struct custos_log *log, const char *dir, struct custos_err *err)
{
	CUSTOS_REQUIRE(log->health != CUSTOS_LOG_POISONED && log->vkey != NULL && log->signed_size > 0, err, CUSTOS_E_STORE,
	               "the log of %s has nothing signed to publish", log->origin);
	CUSTOS_TRY(custos_log_complete(log, err));
	CUSTOS_AUTO_FOLDER folder = { .fd = -1 };
	CUSTOS_TRY(custos_folder_open_for_writing(dir, &folder, err));
	CUSTOS_TRY(check_directory(log, &folder, err));
	CUSTOS_TRY(publish_entries(log, &folder, err));
	CUSTOS_TRY(custos_tree_levels(&log->tree, (size_t)log->signed_size, publish_level, &folder, err));
	CUSTOS_TRY(custos_folder_put(&folder, checkpoint_name, custos_buf_view(&log->checkpoint), err));
	size_t count = (size_t)log->signed_size;
	CUSTOS_TRY(drop_superseded(&folder, CUSTOS_TILE_ENTRIES, count, err));
	for (int level = 0; count > 0; level++, count /= CUSTOS_TILE_WIDTH)
		CUSTOS_TRY(drop_superseded(&folder, level, count, err));
	return CUSTOS_OK;
}
