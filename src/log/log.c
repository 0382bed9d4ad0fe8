/* The open log: verified when it is opened, appended to inside the caller's transaction, made durable by a commit.
 *
 * The tree in memory is believed, the storage is not: whatever is read a second time is compared with the leaf hash of the first.
 *   sound ──append fails──▶ spoilt ──abort──▶ sound
 *   sound ──commit fails──▶ poisoned (only opening it again helps: nobody knows what reached the disk) */
#include "log/state.h"

#include "base/text.h"
#include "crypto/verify.h"
#include "log/entry.h"

#include <inttypes.h>

static const char newest[] = "the newest checkpoint";

struct walk {
	const struct custos_log *log;
	custos_log_visitor each; /* may be NULL */
	void *each_ctx;
};

/* First pass of opening: hashes only. */
static custos_rc hash_entry(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	struct custos_tree *tree = ctx;
	uint64_t expected = custos_tree_size(tree);
	CUSTOS_REQUIRE(index == expected, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " is missing: entry %" PRIu64 " stands in its place",
	               expected, index);
	CUSTOS_REQUIRE(leaf.len > 0 && leaf.len <= CUSTOS_ENTRY_MAX, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " has %zu bytes", index, leaf.len);
	return custos_tree_add(tree, leaf, err);
}

/* Second pass, and every later one: entries whose hash is known to be right. */
static custos_rc show_entry(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	const struct walk *walk = ctx;
	/* What another process has appended since is not part of what was opened here. */
	if (index >= custos_tree_size(&walk->log->tree))
		return CUSTOS_OK;
	CUSTOS_TRY(custos_tree_check_leaf(&walk->log->tree, index, leaf, err));
	CUSTOS_AUTO(custos_json) *entry = NULL;
	CUSTOS_TRY(custos_entry_decode(leaf, index, &entry, err));
	const char *event = custos_json_text(entry, "event");
	if (index >= walk->log->signed_size && index < walk->log->durable.count && !custos_log_may_stand_unsigned(event))
		CUSTOS_FAIL(err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " (%s) is not covered by a signature", index, event);
	return walk->each == NULL ? CUSTOS_OK : walk->each(walk->each_ctx, index, entry, err);
}

static custos_rc check_checkpoint(struct custos_log *log, struct custos_err *err)
{
	size_t count = custos_tree_size(&log->tree);
	if (log->vkey == NULL) {
		CUSTOS_REQUIRE(count == 0 && log->checkpoint.len == 0, err, CUSTOS_E_TAMPERED,
		               "the log of %s is not empty, but no key to verify it is known", log->origin);
		return CUSTOS_OK;
	}
	if (log->checkpoint.len == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "restore the store from a backup", "the log of %s has lost its checkpoint", log->origin);
	struct custos_checkpoint checkpoint;
	CUSTOS_TRY(custos_checkpoint_open_own(custos_buf_view(&log->checkpoint), &log->key, newest, &checkpoint, err));
	CUSTOS_REQUIRE(log->tree.base.count == 0 || checkpoint.size > log->tree.base.count, err, CUSTOS_E_TAMPERED,
	               "log entry %zu is not covered by a signature", log->tree.base.count);
	if (checkpoint.size > count)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "restore the store from a backup",
		                 "the log has %zu entries, %" PRIu64 " were signed: its end is missing", count, checkpoint.size);
	uint8_t root[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_tree_root(&log->tree, checkpoint.size, root, err));
	if (memcmp(root, checkpoint.root, sizeof root) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "restore the store from a backup; a published copy of the log shows which entry was changed",
		                 "the first %" PRIu64 " entries of the log are not those that were signed", checkpoint.size);
	log->signed_size = checkpoint.size;
	return CUSTOS_OK;
}

/* Checkpoint and entries are two reads, and another process may commit between them: they belong together when the checkpoint
 * is still the newest one afterwards. */
static custos_rc load(struct custos_log *log, struct custos_err *err)
{
	enum { ATTEMPTS = 20 };
	for (int i = 0; i < ATTEMPTS; i++) {
		CUSTOS_AUTO_BUF before = { .max = CUSTOS_NOTE_MAX };
		CUSTOS_TRY(log->storage.newest_checkpoint(log->storage.ctx, &before, err));
		custos_tree_take_back(&log->tree, &log->tree.base);
		CUSTOS_TRY(log->storage.entries(log->storage.ctx, log->tree.base.count, hash_entry, &log->tree, err));
		log->checkpoint.len = 0;
		CUSTOS_TRY(log->storage.newest_checkpoint(log->storage.ctx, &log->checkpoint, err));
		if (custos_bytes_equal(custos_buf_view(&before), custos_buf_view(&log->checkpoint)))
			return CUSTOS_OK;
	}
	CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "run the command again", "the log of %s is being written to all the time", log->origin);
}

/* The other way round of custos_log_subtrees(). Whether the hashes are the right ones shows when the root is compared. */
static custos_rc begin_from(struct custos_log *log, const struct custos_log_base *from, struct custos_err *err)
{
	struct custos_tree_edge edge = { .count = (size_t)from->size, .depth = custos_json_count(from->subtrees) };
	bool fits = from->size <= SIZE_MAX && custos_json_is_array(from->subtrees) && edge.depth == custos_tree_depth(from->size);
	for (size_t i = 0; fits && i < edge.depth; i++) {
		const char *hex = custos_json_string_value(custos_json_at(from->subtrees, i));
		fits = hex != NULL && custos_text_unhex(hex, edge.node[i], sizeof edge.node[i]);
	}
	CUSTOS_REQUIRE(fits, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " does not say what the entries before it make", from->size);
	custos_tree_begin(&log->tree, &edge);
	return CUSTOS_OK;
}

custos_rc custos_log_open(const struct custos_log_storage *storage, const char *origin, const char *vkey, custos_log_visitor each,
                          void *each_ctx, struct custos_log **ret_log, struct custos_err *err)
{
	return custos_log_open_from(storage, origin, vkey, NULL, each, each_ctx, ret_log, err);
}

custos_rc custos_log_open_from(const struct custos_log_storage *storage, const char *origin, const char *vkey, const struct custos_log_base *from,
                               custos_log_visitor each, void *each_ctx, struct custos_log **ret_log, struct custos_err *err)
{
	CUSTOS_REQUIRE(custos_note_is_name(CUSTOS_BYTES_STR(origin)), err, CUSTOS_E_INPUT,
	               "\"%.80s\" cannot name a log: it has spaces, a plus or control characters, or is too long", origin);
	CUSTOS_AUTO(custos_log) *log = calloc(1, sizeof *log);
	CUSTOS_REQUIRE(log != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	log->storage = *storage;
	log->checkpoint.max = CUSTOS_NOTE_MAX;
	log->origin = custos_text_dup(origin);
	CUSTOS_REQUIRE(log->origin != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_tree_init(&log->tree, err));
	if (vkey != NULL)
		CUSTOS_TRY(custos_log_set_vkey(log, vkey, err));
	if (from != NULL)
		CUSTOS_TRY(begin_from(log, from, err));
	CUSTOS_TRY(load(log, err));
	CUSTOS_TRY(check_checkpoint(log, err));
	log->durable = log->tree.edge;
	struct walk walk = { log, each, each_ctx };
	CUSTOS_TRY(storage->entries(storage->ctx, log->tree.base.count, show_entry, &walk, err));
	*ret_log = CUSTOS_TAKE(log);
	return CUSTOS_OK;
}

void custos_log_free(struct custos_log *log)
{
	if (log == NULL)
		return;
	custos_tree_done(&log->tree);
	custos_note_key_done(&log->key);
	custos_buf_done(&log->checkpoint);
	free(log->origin);
	free(log->vkey);
	free(log);
}

custos_rc custos_log_set_vkey(struct custos_log *log, const char *vkey, struct custos_err *err)
{
	CUSTOS_REQUIRE(log->vkey == NULL, err, CUSTOS_E_INTERNAL, "the log of %s has its key already", log->origin);
	CUSTOS_AUTO_NOTE_KEY key = { 0 };
	CUSTOS_TRY(custos_note_key_parse(vkey, &key, err));
	CUSTOS_REQUIRE(strcmp(key.name, log->origin) == 0, err, CUSTOS_E_INPUT,
	               "the log verification key is that of %.80s, the log is that of %.80s", key.name, log->origin);
	log->vkey = custos_text_dup(vkey);
	CUSTOS_REQUIRE(log->vkey != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	log->key = key;
	key = (struct custos_note_key){ 0 };
	return CUSTOS_OK;
}

custos_rc custos_log_change_vkey(struct custos_log *log, const char *vkey, struct custos_err *err)
{
	CUSTOS_REQUIRE(log->vkey != NULL, err, CUSTOS_E_INTERNAL, "the log of %s has no key yet", log->origin);
	char *before = CUSTOS_TAKE(log->vkey);
	struct custos_note_key key = log->key;
	custos_rc rc = custos_log_set_vkey(log, vkey, err);
	if (rc != CUSTOS_OK) {
		log->vkey = before;
		log->key = key;
		return rc;
	}
	free(before);
	custos_note_key_done(&key);
	return CUSTOS_OK;
}

custos_rc custos_log_vkey(const char *origin, struct custos_bytes spki, struct custos_buf *vkey, struct custos_err *err)
{
	CUSTOS_AUTO_NOTE_KEY key = { 0 };
	CUSTOS_TRY(custos_note_key_from_spki(origin, spki, &key, err));
	return custos_note_key_format(&key, vkey, err);
}

uint64_t custos_log_size(const struct custos_log *log)
{
	return custos_tree_size(&log->tree);
}

uint64_t custos_log_signed_size(const struct custos_log *log)
{
	return log->signed_size;
}

/* Only what was opened: entries that others have appended since are not read. */
static custos_rc hash_opened(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	struct walk *walk = ctx;
	return index >= custos_tree_size(&walk->log->tree) ? CUSTOS_OK : hash_entry(walk->each_ctx, index, leaf, err);
}

custos_rc custos_log_complete(struct custos_log *log, struct custos_err *err)
{
	if (log->tree.base.count == 0)
		return CUSTOS_OK;
	CUSTOS_AUTO_TREE tree = { 0 };
	CUSTOS_TRY(custos_tree_init(&tree, err));
	struct walk walk = { log, NULL, &tree };
	CUSTOS_TRY(log->storage.entries(log->storage.ctx, 0, hash_opened, &walk, err));
	const struct custos_tree_edge *read = &tree.edge, *known = &log->tree.edge;
	if (read->count != known->count || memcmp(read->node, known->node, known->depth * sizeof known->node[0]) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "restore the store from a backup; a published copy of the log shows which entry was changed",
		                 "the first %zu entries of the log are not those that were signed", log->tree.base.count);
	struct custos_tree whole = tree;
	tree = log->tree;
	log->tree = whole;
	return CUSTOS_OK;
}

custos_rc custos_log_subtrees(struct custos_log *log, uint64_t size, struct custos_json **ret_subtrees, struct custos_err *err)
{
	struct custos_tree_edge edge;
	if (size < log->tree.base.count)
		CUSTOS_TRY(custos_log_complete(log, err));
	CUSTOS_TRY(custos_tree_edge_at(&log->tree, size, &edge, err));
	struct custos_json *subtrees = custos_json_array();
	CUSTOS_REQUIRE(subtrees != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < edge.depth; i++)
		custos_json_push(subtrees, custos_json_hex(edge.node[i], sizeof edge.node[i]));
	*ret_subtrees = subtrees;
	return CUSTOS_OK;
}

custos_rc custos_log_root(struct custos_log *log, uint64_t size, uint8_t ret_root[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	if (size < log->tree.base.count)
		CUSTOS_TRY(custos_log_complete(log, err));
	return custos_tree_root(&log->tree, size, ret_root, err);
}

struct custos_bytes custos_log_checkpoint(const struct custos_log *log)
{
	return custos_buf_view(&log->checkpoint);
}

const char *custos_log_vkey_text(const struct custos_log *log)
{
	return log->vkey;
}

const char *custos_log_origin(const struct custos_log *log)
{
	return log->origin;
}

struct custos_json *custos_log_json(const struct custos_log *log)
{
	struct custos_json *json = custos_json_object();
	uint8_t root[CUSTOS_HASH_SIZE];
	custos_json_set_text(json, "origin", log->origin);
	custos_json_set_int(json, "size", (int64_t)log->signed_size);
	if (custos_tree_root(&log->tree, log->signed_size, root, NULL) == CUSTOS_OK)
		custos_json_set_hex(json, "root", root, sizeof root);
	custos_json_set_int(json, "entries", (int64_t)custos_log_size(log));
	custos_json_set_text(json, "vkey", log->vkey);
	custos_json_set_text(json, "checkpoint", log->checkpoint.len == 0 ? NULL : (const char *)log->checkpoint.ptr);
	return json;
}

custos_rc custos_log_each(struct custos_log *log, custos_log_visitor each, void *ctx, struct custos_err *err)
{
	struct walk walk = { log, each, ctx };
	CUSTOS_TRY(custos_log_complete(log, err));
	return log->storage.entries(log->storage.ctx, 0, show_entry, &walk, err);
}

static custos_rc require_sound(const struct custos_log *log, struct custos_err *err)
{
	if (log->health == CUSTOS_LOG_POISONED)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "open it again",
		                 "the log of %s is not used any further: a commit failed and what is on the disk is not known",
		                 log->origin);
	CUSTOS_REQUIRE(log->health == CUSTOS_LOG_SOUND, err, CUSTOS_E_STORE,
	               "the log of %s: an entry could not be appended, its transaction must be given up", log->origin);
	return CUSTOS_OK;
}

custos_rc custos_log_append(struct custos_log *log, const char *event, const struct custos_json *fields, uint64_t *ret_index, struct custos_err *err)
{
	CUSTOS_AUTO_BUF leaf = { .max = CUSTOS_ENTRY_MAX };
	uint64_t index = custos_log_size(log);
	CUSTOS_TRY(custos_log_append_leaf(log, event, fields, &leaf, err));
	if (ret_index != NULL)
		*ret_index = index;
	return CUSTOS_OK;
}

custos_rc custos_log_append_entry(struct custos_log *log, const char *event, const struct custos_json *fields, struct custos_json **ret_entry,
                                  struct custos_err *err)
{
	CUSTOS_AUTO_BUF leaf = { .max = CUSTOS_ENTRY_MAX };
	uint64_t index = custos_log_size(log);
	CUSTOS_TRY(custos_log_append_leaf(log, event, fields, &leaf, err));
	return custos_entry_decode(custos_buf_view(&leaf), index, ret_entry, err);
}

custos_rc custos_log_append_leaf(struct custos_log *log, const char *event, const struct custos_json *fields, struct custos_buf *leaf,
                                 struct custos_err *err)
{
	CUSTOS_TRY(require_sound(log, err));
	uint64_t index = custos_log_size(log);
	/* From here on a failure leaves a transaction that must not be committed as if the entry had been in it. */
	log->health = CUSTOS_LOG_SPOILT;
	CUSTOS_TRY(custos_entry_encode(event, index, custos_clock_unix(), fields, leaf, err));
	CUSTOS_TRY(log->storage.append(log->storage.ctx, index, custos_buf_view(leaf), err));
	CUSTOS_TRY(custos_tree_add(&log->tree, custos_buf_view(leaf), err));
	log->health = CUSTOS_LOG_SOUND;
	log->pending++;
	log->pending_unsigned += custos_log_may_stand_unsigned(event) ? 1 : 0;
	return CUSTOS_OK;
}

void custos_log_abort(struct custos_log *log)
{
	log->storage.abort(log->storage.ctx);
	custos_tree_take_back(&log->tree, &log->durable);
	log->pending = log->pending_unsigned = 0;
	if (log->health == CUSTOS_LOG_SPOILT)
		log->health = CUSTOS_LOG_SOUND;
}

static custos_rc commit_storage(struct custos_log *log, struct custos_err *err)
{
	custos_rc rc = log->storage.commit(log->storage.ctx, err);
	if (rc != CUSTOS_OK) {
		log->health = CUSTOS_LOG_POISONED;
		custos_log_abort(log);
		return rc;
	}
	log->durable = log->tree.edge;
	log->pending = log->pending_unsigned = 0;
	return CUSTOS_OK;
}

static custos_rc sign_checkpoint(struct custos_log *log, const struct custos_signer *signer, struct custos_log_signing *signing,
                                 struct custos_err *err)
{
	CUSTOS_TRY(require_sound(log, err));
	CUSTOS_REQUIRE(log->vkey != NULL, err, CUSTOS_E_INTERNAL, "the log of %s has no key yet", log->origin);
	CUSTOS_REQUIRE(signer->algorithm == log->key.algorithm && custos_bytes_equal(signer->spki, custos_buf_view(&log->key.spki)), err,
	               CUSTOS_E_TOKEN, "the token's log key is not the key of the log of %s", log->origin);
	uint64_t size = custos_log_size(log);
	CUSTOS_REQUIRE(size > 0, err, CUSTOS_E_INTERNAL, "the log of %s has no entry to sign", log->origin);
	uint8_t root[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_tree_root(&log->tree, size, root, err));
	CUSTOS_TRY(custos_checkpoint_format(log->origin, size, root, &signing->body, err));
	CUSTOS_AUTO_BUF signature = { .max = 512 };
	struct custos_bytes body = custos_buf_view(&signing->body);
	CUSTOS_TRY(signer->sign(signer->ctx, body, &signature, err));
	CUSTOS_TRY(custos_verify("the token's log key", custos_buf_view(&log->key.spki), log->key.algorithm, body, custos_buf_view(&signature), err));
	CUSTOS_TRY(custos_note_format(&log->key, body, custos_buf_view(&signature), &signing->note, err));
	/* The note is read as a stranger would read it before anybody relies on it. */
	struct custos_checkpoint again;
	CUSTOS_TRY(custos_checkpoint_open(custos_buf_view(&signing->note), &log->key, "the new checkpoint", &again, err));
	return log->storage.put_checkpoint(log->storage.ctx, size, custos_buf_view(&signing->note), err);
}

custos_rc custos_log_sign(struct custos_log *log, const struct custos_signer *signer, struct custos_log_signing *ret_signing, struct custos_err *err)
{
	CUSTOS_AUTO_SIGNING signing = { 0 };
	custos_rc rc = sign_checkpoint(log, signer, &signing, err);
	if (rc != CUSTOS_OK) {
		custos_log_abort(log);
		return rc;
	}
	*ret_signing = signing;
	signing = (struct custos_log_signing){ 0 };
	return CUSTOS_OK;
}

custos_rc custos_log_finish(struct custos_log *log, struct custos_log_signing *signing, struct custos_err *err)
{
	CUSTOS_TRY(commit_storage(log, err));
	custos_buf_done(&log->checkpoint);
	log->checkpoint = signing->note;
	signing->note = (struct custos_buf){ 0 };
	log->signed_size = custos_log_size(log);
	return CUSTOS_OK;
}

custos_rc custos_log_commit(struct custos_log *log, const struct custos_signer *signer, struct custos_err *err)
{
	/* A state change without an entry: what is signed says all there is to say, and one size is never signed twice. */
	if (log->health == CUSTOS_LOG_SOUND && log->signed_size > 0 && log->signed_size == custos_log_size(log))
		return commit_storage(log, err);
	CUSTOS_AUTO_SIGNING signing = { 0 };
	CUSTOS_TRY(custos_log_sign(log, signer, &signing, err));
	return custos_log_finish(log, &signing, err);
}

static custos_rc may_stay_unsigned(const struct custos_log *log, struct custos_err *err)
{
	CUSTOS_TRY(require_sound(log, err));
	CUSTOS_REQUIRE(log->signed_size > 0, err, CUSTOS_E_INTERNAL, "the first entry of the log of %s must be signed", log->origin);
	CUSTOS_REQUIRE(log->pending == log->pending_unsigned, err, CUSTOS_E_POLICY,
	               "an entry of the log of %s would be durable without a signature", log->origin);
	return CUSTOS_OK;
}

custos_rc custos_log_commit_unsigned(struct custos_log *log, struct custos_err *err)
{
	custos_rc rc = may_stay_unsigned(log, err);
	if (rc != CUSTOS_OK) {
		custos_log_abort(log);
		return rc;
	}
	return commit_storage(log, err);
}
