/* Verification: of an open log, and of a published directory by someone who has nothing but the verification key.
 *
 * A published directory is believed in this order: the checkpoint's signature, then the tree that the entries make, compared with every tile and with
 * the signed root. What the entries say among themselves (audit.h) is looked at on the way. */
#include "log/state.h"

#include "log/audit.h"
#include "log/entry.h"
#include "log/folder.h"
#include "log/tile.h"

#include <inttypes.h>
#include <stdio.h>

static const char remembered[] = "the remembered checkpoint";

/* By the key of today, or by one before it: that one may have signed what came before the entry that ended it, and nothing that comes with it or after. The entry is under the key of
 * today, so that nobody but its holder can name another. */
static custos_rc open_since(struct custos_bytes since, const struct custos_note_key *key, const struct custos_audit *audit, struct custos_checkpoint *ret_older, struct custos_err *err)
{
	struct custos_err why = { 0 };
	custos_rc rc = custos_checkpoint_open(since, key, remembered, ret_older, &why);
	if (rc == CUSTOS_OK)
		return rc;
	for (size_t i = custos_json_count(audit->successions); i-- > 0;) {
		const struct custos_json *succession = custos_json_at(audit->successions, i);
		int64_t index = custos_json_int(succession, "index", 0);
		struct custos_err ignored = { 0 };
		CUSTOS_AUTO_NOTE_KEY before = { 0 };
		if (custos_note_key_parse(custos_json_text(succession, "vkey"), &before, &ignored) != CUSTOS_OK || strcmp(before.name, key->name) != 0 ||
		    custos_checkpoint_open(since, &before, remembered, ret_older, &ignored) != CUSTOS_OK)
			continue;
		if (ret_older->size > (uint64_t)index)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "the token that was given up goes on with a log of its own: keep both as evidence, and destroy it",
			                 "the log is a fork: it went on under another key at entry %" PRId64 ", and %s is of size %" PRIu64 " under the one before", index, remembered, ret_older->size);
		return CUSTOS_OK;
	}
	return custos_err_set_hinted(err, rc, why.hint, "%s", why.msg);
}

/* The tree must contain an older checkpoint that somebody kept. */
static custos_rc check_since(const struct custos_tree *tree, uint64_t signed_size, const struct custos_note_key *key, const struct custos_audit *audit,
                             struct custos_bytes since, struct custos_err *err)
{
	struct custos_checkpoint older;
	if (since.ptr == NULL)
		return CUSTOS_OK;
	CUSTOS_TRY(open_since(since, key, audit, &older, err));
	if (older.size > signed_size)
		CUSTOS_FAIL_HINT(
			err, CUSTOS_E_TAMPERED,
			"the log was put back to an older state: look for the newer one, and for what was done with the entries that are gone",
			"%s is of size %" PRIu64 ", the log has only %" PRIu64 " signed entries", remembered, older.size, signed_size);
	uint8_t root[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_tree_root(tree, older.size, root, err));
	if (memcmp(root, older.root, sizeof root) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "one key has signed two different logs: keep both as evidence",
		                 "the log is a fork: its first %" PRIu64 " entries are not those of %s", older.size, remembered);
	return CUSTOS_OK;
}

static custos_rc make_report(const struct custos_tree *tree, const struct custos_note_key *key, uint64_t signed_size,
                             struct custos_audit *audit, struct custos_json **ret_report, struct custos_err *err)
{
	uint8_t root[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_tree_root(tree, signed_size, root, err));
	CUSTOS_AUTO(custos_json) *report = custos_json_object();
	CUSTOS_REQUIRE(report != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	size_t entries = custos_tree_size(tree);
	if (entries > signed_size)
		custos_audit_warn(audit, "entries from %" PRIu64 " on wait for the next checkpoint", signed_size);
	custos_json_set_text(report, "origin", key->name);
	custos_json_set_int(report, "size", (int64_t)signed_size);
	custos_json_set_hex(report, "root", root, sizeof root);
	custos_json_set_int(report, "entries", (int64_t)entries);
	custos_audit_report(audit, report);
	*ret_report = CUSTOS_TAKE(report);
	return CUSTOS_OK;
}

static custos_rc audit_entry(void *ctx, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	return custos_audit_entry(ctx, index, entry, err);
}

custos_rc custos_log_verify(struct custos_log *log, struct custos_bytes since, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_REQUIRE(log->vkey != NULL, err, CUSTOS_E_STORE, "the log of %s is empty", log->origin);
	CUSTOS_AUTO_AUDIT audit;
	CUSTOS_TRY(custos_audit_init(&audit, err));
	CUSTOS_TRY(custos_log_each(log, audit_entry, &audit, err));
	CUSTOS_TRY(check_since(&log->tree, log->signed_size, &log->key, &audit, since, err));
	return make_report(&log->tree, &log->key, log->signed_size, &audit, ret_report, err);
}

struct reading {
	struct custos_folder folder;
	struct custos_note_key key;
	struct custos_checkpoint checkpoint;
	struct custos_tree tree;
	struct custos_audit audit;
	struct custos_buf note;
	custos_log_visitor each; /* may be NULL */
	void *each_ctx;
};

static void reading_done(struct reading *reading)
{
	custos_folder_close(&reading->folder);
	custos_note_key_done(&reading->key);
	custos_tree_done(&reading->tree);
	custos_audit_done(&reading->audit);
	custos_buf_done(&reading->note);
}

/* Reads a tile of at least the width asked for: exactly that one, else the full one, else a wider partial one (the checkpoint may be older than the tiles).
 * tile->width says which it was, `path` what it is called. */
static custos_rc read_tile(const struct reading *reading, struct custos_tile *tile, char path[static CUSTOS_TILE_PATH_MAX],
                           struct custos_buf *content, struct custos_err *err)
{
	unsigned wanted = tile->width;
	bool found;
	custos_tile_path(tile, path);
	CUSTOS_TRY(custos_folder_read(&reading->folder, path, content, &found, err));
	for (unsigned width = CUSTOS_TILE_WIDTH; !found && width > wanted; width--) {
		char other[CUSTOS_TILE_PATH_MAX];
		tile->width = width;
		custos_tile_path(tile, other);
		CUSTOS_TRY(custos_folder_read(&reading->folder, other, content, &found, err));
		if (found)
			memcpy(path, other, sizeof other);
	}
	if (!found)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "get a complete copy of the published log", "%s/%s is missing", reading->folder.path, path);
	return CUSTOS_OK;
}

static custos_rc take_entry(struct reading *reading, struct custos_bytes leaf, struct custos_err *err)
{
	uint64_t index = custos_tree_size(&reading->tree);
	CUSTOS_AUTO(custos_json) *entry = NULL;
	CUSTOS_TRY(custos_entry_decode(leaf, index, &entry, err));
	CUSTOS_TRY(custos_audit_entry(&reading->audit, index, entry, err));
	if (reading->each != NULL)
		CUSTOS_TRY(reading->each(reading->each_ctx, index, entry, err));
	return custos_tree_add(&reading->tree, leaf, err);
}

/* A bundle holds exactly its width of entries; the first `wanted` of them are ours. */
static custos_rc take_bundle(struct reading *reading, const char *path, struct custos_bytes bundle, unsigned width, unsigned wanted,
                             struct custos_err *err)
{
	for (unsigned i = 0; i < width; i++) {
		size_t len = bundle.len < 2 ? 0 : (size_t)bundle.ptr[0] << 8 | bundle.ptr[1];
		CUSTOS_REQUIRE(bundle.len >= 2 && bundle.len - 2 >= len, err, CUSTOS_E_TAMPERED, "%s/%s is cut off after %u of %u entries",
		               reading->folder.path, path, i, width);
		if (i < wanted)
			CUSTOS_TRY(take_entry(reading, CUSTOS_BYTES(bundle.ptr + 2, len), err));
		bundle = CUSTOS_BYTES(bundle.ptr + 2 + len, bundle.len - 2 - len);
	}
	CUSTOS_REQUIRE(bundle.len == 0, err, CUSTOS_E_TAMPERED, "%s/%s has %zu bytes after its last entry", reading->folder.path, path, bundle.len);
	return CUSTOS_OK;
}

static custos_rc read_entries(struct reading *reading, struct custos_err *err)
{
	uint64_t size = reading->checkpoint.size;
	for (uint64_t at = 0; at < size; at += CUSTOS_TILE_WIDTH) {
		unsigned wanted = size - at < CUSTOS_TILE_WIDTH ? (unsigned)(size - at) : CUSTOS_TILE_WIDTH;
		struct custos_tile tile = { CUSTOS_TILE_ENTRIES, at / CUSTOS_TILE_WIDTH, wanted };
		char path[CUSTOS_TILE_PATH_MAX];
		CUSTOS_AUTO_BUF bundle = { .max = CUSTOS_BUNDLE_MAX };
		CUSTOS_TRY(read_tile(reading, &tile, path, &bundle, err));
		CUSTOS_TRY(take_bundle(reading, path, custos_buf_view(&bundle), tile.width, wanted, err));
	}
	return CUSTOS_OK;
}

static custos_rc compare_level(void *ctx, int level, const custos_hash *hashes, size_t count, struct custos_err *err)
{
	const struct reading *reading = ctx;
	for (size_t at = 0; at < count; at += CUSTOS_TILE_WIDTH) {
		unsigned wanted = count - at < CUSTOS_TILE_WIDTH ? (unsigned)(count - at) : CUSTOS_TILE_WIDTH;
		struct custos_tile tile = { level, at / CUSTOS_TILE_WIDTH, wanted };
		char path[CUSTOS_TILE_PATH_MAX];
		CUSTOS_AUTO_BUF content = { .max = CUSTOS_TILE_WIDTH * CUSTOS_HASH_SIZE };
		CUSTOS_TRY(read_tile(reading, &tile, path, &content, err));
		CUSTOS_REQUIRE(content.len == (size_t)tile.width * CUSTOS_HASH_SIZE, err, CUSTOS_E_TAMPERED,
		               "%s/%s has %zu bytes, not %u hashes", reading->folder.path, path, content.len, tile.width);
		for (unsigned i = 0; i < wanted; i++)
			if (memcmp(content.ptr + (size_t)i * CUSTOS_HASH_SIZE, hashes[at + i], CUSTOS_HASH_SIZE) != 0)
				CUSTOS_FAIL(err, CUSTOS_E_TAMPERED,
				            level == 0 ? "%s/%s and log entry %zu do not agree"
				                       : "%s/%s and its hash %zu do not agree with the entries",
				            reading->folder.path, path, at + i);
	}
	return CUSTOS_OK;
}

static custos_rc read_checkpoint(struct reading *reading, const char *vkey, struct custos_err *err)
{
	bool found;
	char what[300];
	CUSTOS_TRY(custos_note_key_parse(vkey, &reading->key, err));
	CUSTOS_TRY(custos_folder_read(&reading->folder, "checkpoint", &reading->note, &found, err));
	CUSTOS_REQUIRE(found, err, CUSTOS_E_INPUT, "%s is not a published log: it has no checkpoint", reading->folder.path);
	snprintf(what, sizeof what, "%.250s/checkpoint", reading->folder.path);
	return custos_checkpoint_open_own(custos_buf_view(&reading->note), &reading->key, what, &reading->checkpoint, err);
}

custos_rc custos_log_verify_dir(const char *dir, const char *vkey, struct custos_bytes since, struct custos_json **ret_report, struct custos_err *err)
{
	return custos_log_read_dir(dir, vkey, since, NULL, NULL, ret_report, err);
}

custos_rc custos_log_read_dir(const char *dir, const char *vkey, struct custos_bytes since, custos_log_visitor each, void *each_ctx, struct custos_json **ret_report,
                              struct custos_err *err)
{
	CUSTOS_CLEANUP(reading_done) struct reading reading = { .folder = { .fd = -1 }, .note = { .max = CUSTOS_NOTE_MAX }, .each = each, .each_ctx = each_ctx };
	CUSTOS_TRY(custos_folder_open(dir, &reading.folder, err));
	CUSTOS_TRY(read_checkpoint(&reading, vkey, err));
	CUSTOS_TRY(custos_tree_init(&reading.tree, err));
	CUSTOS_TRY(custos_audit_init(&reading.audit, err));
	CUSTOS_TRY(read_entries(&reading, err));
	CUSTOS_TRY(custos_tree_levels(&reading.tree, custos_tree_size(&reading.tree), compare_level, &reading, err));
	uint8_t root[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_tree_root(&reading.tree, reading.checkpoint.size, root, err));
	CUSTOS_REQUIRE(memcmp(root, reading.checkpoint.root, sizeof root) == 0, err, CUSTOS_E_TAMPERED,
	               "the %" PRIu64 " entries in %s are not those that were signed", reading.checkpoint.size, dir);
	CUSTOS_TRY(check_since(&reading.tree, reading.checkpoint.size, &reading.key, &reading.audit, since, err));
	return make_report(&reading.tree, &reading.key, reading.checkpoint.size, &reading.audit, ret_report, err);
}
