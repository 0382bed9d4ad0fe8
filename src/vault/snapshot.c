/* Snapshots: when they are made, what they stand on, and how they are compared with the log. See snapshot.h. */
#include "vault/snapshot.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "log/entry.h"
#include "log/tree.h"

#include <inttypes.h>

static const char event_name[] = "state.snapshot";
static const char event_text[] = "\"event\":\"state.snapshot\""; /* as it stands in an entry; inside a string the quotes would be escaped */
static const char remedy[] = "restore the store from a backup; the entries of the log tell the same, and are whole if `custos log publish` takes them";

/* A replayed entry costs some 40 microseconds at every opening, a snapshot some 200 once for each entry since the last: with 10,000 keys opening takes at most
 * 15 milliseconds longer, and one commit of 320 a tenth of a second. */
enum { ENTRIES_MIN = 250, PART_OF_LOG = 64, LIST_MAX = 256 << 20 };

bool custos_snapshot_is(const struct custos_json *entry)
{
	const char *event = custos_json_text(entry, "event");
	return event != NULL && strcmp(event, event_name) == 0;
}

/* Of a format this custos makes: others are history. */
static bool is_known(const struct custos_json *entry)
{
	return custos_json_int(entry, "format", -1) == CUSTOS_STATE_FORMAT;
}

/* ---- blobs ---- */

/* A process that goes on while others make two snapshots finds that its own is gone: nobody tampered. */
static custos_rc missing(struct custos_custody *c, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *newest = NULL;
	int64_t ours = custos_json_int(c->snapshot, "index", -1);
	CUSTOS_TRY(custos_snapshot_find(c, &newest, err));
	if (custos_json_int(newest, "index", -1) > ours)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "run the command again", "others have changed this custody meanwhile, and what was read of it is no longer kept");
	CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, remedy, "a part of the state's snapshot (log entry %" PRId64 ") is missing from the store", ours);
}

static custos_rc get(void *ctx, const uint8_t sha256[static CUSTOS_HASH_SIZE], struct custos_buf *blob, struct custos_err *err)
{
	struct custos_custody *c = ctx;
	uint8_t have[CUSTOS_HASH_SIZE];
	bool found = false;
	size_t before = blob->len;
	CUSTOS_TRY(custos_store_get_blob(c->store, sha256, blob, &found, err));
	if (!found)
		return missing(c, err);
	CUSTOS_TRY(custos_sha256(CUSTOS_BYTES(blob->ptr + before, blob->len - before), have, err));
	if (memcmp(have, sha256, sizeof have) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, remedy, "a part of the state's snapshot (log entry %" PRId64 ") is not what the log says",
		                 custos_json_int(c->snapshot, "index", -1));
	return CUSTOS_OK;
}

static custos_rc put(void *ctx, const uint8_t sha256[static CUSTOS_HASH_SIZE], struct custos_bytes blob, struct custos_err *err)
{
	struct custos_custody *c = ctx;
	return custos_store_put_blob(c->store, sha256, "state", blob, err);
}

static bool hash_of(const struct custos_json *entry, const char *member, uint8_t ret_sha256[static CUSTOS_HASH_SIZE])
{
	const char *hex = custos_json_text(entry, member);
	return hex != NULL && custos_text_unhex(hex, ret_sha256, CUSTOS_HASH_SIZE);
}

/* Every blob of the snapshot whose hash this member says. */
static custos_rc list(struct custos_custody *c, const struct custos_json *entry, const char *member, struct custos_buf *hashes, struct custos_err *err)
{
	struct custos_pages_source source = { c, get };
	uint8_t sha256[CUSTOS_HASH_SIZE];
	CUSTOS_REQUIRE(hash_of(entry, member, sha256), err, CUSTOS_E_TAMPERED, "log entry %" PRId64 " (%s) names no state", custos_json_int(entry, "index", -1), event_name);
	return custos_state_list(sha256, &source, hashes, err);
}

/* ---- reading ---- */

custos_rc custos_snapshot_find(struct custos_custody *c, struct custos_json **ret_entry, struct custos_err *err)
{
	CUSTOS_AUTO_BUF leaf = { .max = CUSTOS_ENTRY_MAX };
	CUSTOS_AUTO(custos_json) *entry = NULL;
	uint64_t index = 0;
	bool found = false;
	CUSTOS_TRY(custos_store_find_entry(c->store, CUSTOS_BYTES_STR(event_text), &index, &leaf, &found, err));
	/* what is none in truth, or none for us, is read like any other entry, and judged then */
	found = found && custos_entry_decode(custos_buf_view(&leaf), index, &entry, NULL) == CUSTOS_OK && custos_snapshot_is(entry) && is_known(entry);
	*ret_entry = found ? CUSTOS_TAKE(entry) : NULL;
	return CUSTOS_OK;
}

custos_rc custos_snapshot_resume(struct custos_custody *c, const struct custos_json *entry, struct custos_err *err)
{
	struct custos_pages_source source = { c, get };
	uint8_t sha256[CUSTOS_HASH_SIZE];
	int64_t index = custos_json_int(entry, "index", -1);
	CUSTOS_REQUIRE(index >= 0 && hash_of(entry, "state_sha256", sha256), err, CUSTOS_E_TAMPERED, "log entry %" PRId64 " (%s) names no state", index, event_name);
	return custos_state_resume(&c->state, (uint64_t)index, sha256, &source, err);
}

/* ---- making ---- */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, CUSTOS_HASH_SIZE);
}

/* What the snapshot before the last one had and no later one has. */
static custos_rc drop_old(struct custos_custody *c, const struct custos_json *newest, const struct custos_json *last, struct custos_err *err)
{
	CUSTOS_AUTO_BUF old = { .max = LIST_MAX };
	CUSTOS_AUTO_BUF kept = { .max = LIST_MAX };
	struct custos_err ignored = { 0 };
	/* what is gone already, or of another format, need not be dropped or cannot, and nobody reads it any more */
	if (custos_json_get(last, "previous_sha256") == NULL || list(c, last, "previous_sha256", &old, &ignored) != CUSTOS_OK)
		return CUSTOS_OK;
	CUSTOS_TRY(list(c, newest, "state_sha256", &kept, err));
	if (is_known(last))
		CUSTOS_TRY(list(c, last, "state_sha256", &kept, err));
	size_t count = kept.len / CUSTOS_HASH_SIZE;
	qsort(kept.ptr, count, CUSTOS_HASH_SIZE, by_bytes);
	for (size_t at = 0; at < old.len; at += CUSTOS_HASH_SIZE) {
		bool found;
		if (bsearch(old.ptr + at, kept.ptr, count, CUSTOS_HASH_SIZE, by_bytes) == NULL)
			CUSTOS_TRY(custos_store_drop_blob(c->store, old.ptr + at, &found, err));
	}
	return CUSTOS_OK;
}

static custos_rc append(struct custos_custody *c, struct custos_err *err)
{
	const struct custos_pages_sink sink = { c, put };
	CUSTOS_AUTO(custos_json) *entry = custos_json_object();
	struct custos_json *subtrees = NULL;
	uint8_t sha256[CUSTOS_HASH_SIZE];
	uint64_t index = 0;
	CUSTOS_TRY(custos_state_write(&c->state, &sink, 0, sha256, err));
	CUSTOS_TRY(custos_log_subtrees(c->log, custos_log_size(c->log), &subtrees, err));
	custos_json_set_int(entry, "format", CUSTOS_STATE_FORMAT);
	custos_json_set(entry, "subtrees", subtrees);
	custos_json_set_hex(entry, "state_sha256", sha256, sizeof sha256);
	if (c->snapshot != NULL)
		custos_json_set(entry, "previous_sha256", custos_json_ref(custos_json_get(c->snapshot, "state_sha256")));
	CUSTOS_TRY(custos_vault_append(c, event_name, entry, &index, err));
	if (c->snapshot != NULL)
		CUSTOS_TRY(drop_old(c, entry, c->snapshot, err));
	custos_json_set_int(entry, "index", (int64_t)index);
	custos_json_free(CUSTOS_TAKE(c->snapshot));
	c->snapshot = CUSTOS_TAKE(entry);
	return CUSTOS_OK;
}

custos_rc custos_snapshot_append_due(struct custos_custody *c, struct custos_err *err)
{
	uint64_t size = custos_log_size(c->log), since = size - (uint64_t)(custos_json_int(c->snapshot, "index", -1) + 1);
	if (since <= ENTRIES_MIN || since <= size / PART_OF_LOG)
		return CUSTOS_OK;
	custos_rc rc = append(c, err);
	/* pages that count as written are not: the state is read again after the abort */
	if (rc != CUSTOS_OK)
		c->state.next = UINT64_MAX;
	return rc;
}

/* ---- comparing ---- */

struct comparison {
	struct custos_state state;  /* from the entries alone, and so is the tree */
	struct custos_tree tree;
	char *previous;             /* hash of the snapshot before this one, NULL */
	int64_t newest;             /* index of the newest one, if that is known; -1 */
	struct custos_err verdict;
};

static void comparison_done(struct comparison *o)
{
	custos_state_done(&o->state);
	custos_tree_done(&o->tree);
	free(o->previous);
}

static custos_rc comparison_start(struct comparison *o, struct custos_err *err)
{
	CUSTOS_TRY(custos_tree_init(&o->tree, err));
	return custos_state_start(&o->state, err);
}

static bool is_text(const struct custos_json *entry, const char *member, const char *expected)
{
	const char *said = custos_json_text(entry, member);
	return said == NULL || expected == NULL ? said == expected : strcmp(said, expected) == 0;
}

static bool has_subtrees(const struct comparison *o, const struct custos_json *entry)
{
	const struct custos_json *said = custos_json_get(entry, "subtrees");
	const struct custos_tree_edge *edge = &o->tree.edge;
	uint8_t hash[CUSTOS_HASH_SIZE];
	bool same = custos_json_is_array(said) && custos_json_count(said) == edge->depth;
	for (size_t i = 0; same && i < edge->depth; i++) {
		const char *hex = custos_json_string_value(custos_json_at(said, i));
		same = hex != NULL && custos_text_unhex(hex, hash, sizeof hash) && memcmp(hash, edge->node[i], sizeof hash) == 0;
	}
	return same;
}

static custos_rc take_over(struct comparison *o, const char *sha256, struct custos_err *err)
{
	free(o->previous);
	o->previous = custos_text_dup(sha256 == NULL ? "" : sha256);
	CUSTOS_REQUIRE(o->previous != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

static custos_rc compare(struct comparison *o, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	static const struct custos_pages_sink nowhere = { NULL, NULL };
	uint8_t sha256[CUSTOS_HASH_SIZE];
	char hex[2 * CUSTOS_HASH_SIZE + 1];
	if (!is_known(entry))
		return take_over(o, custos_json_text(entry, "state_sha256"), err);
	/* the newest is what custodies are opened from: nothing is taken over from those before it */
	CUSTOS_TRY(custos_state_write(&o->state, &nowhere, o->newest == (int64_t)index ? CUSTOS_PAGES_AFRESH : 0, sha256, err));
	custos_text_hex(sha256, sizeof sha256, hex);
	if (!is_text(entry, "state_sha256", hex) || !is_text(entry, "previous_sha256", o->previous) || !has_subtrees(o, entry))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "keep the log as evidence: whoever could sign with its token wrote this; what the other entries say is the truth",
		                 "log entry %" PRIu64 " (%s) is not the state that the entries before it make", index, event_name);
	return take_over(o, hex, err);
}

static custos_rc step(void *ctx, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	struct comparison *o = ctx;
	CUSTOS_AUTO_BUF leaf = { .max = CUSTOS_ENTRY_MAX };
	if (custos_snapshot_is(entry))
		CUSTOS_TRY(compare(o, index, entry, err));
	/* an entry is canonical, or it would not have been shown */
	CUSTOS_TRY(custos_json_line(entry, &leaf, err));
	CUSTOS_TRY(custos_tree_add(&o->tree, custos_buf_view(&leaf), err));
	return custos_state_apply(&o->state, index, entry, err);
}

custos_rc custos_snapshot_verify(struct custos_custody *c, struct custos_err *err)
{
	CUSTOS_CLEANUP(comparison_done) struct comparison o = { .newest = custos_json_int(c->snapshot, "index", -1) };
	CUSTOS_AUTO_BUF hashes = { .max = LIST_MAX };
	CUSTOS_TRY(comparison_start(&o, err));
	CUSTOS_TRY(custos_log_each(c->log, step, &o, err));
	if (c->snapshot != NULL && is_known(c->snapshot))
		CUSTOS_TRY(list(c, c->snapshot, "state_sha256", &hashes, err));
	for (size_t at = 0; at < hashes.len; at += CUSTOS_HASH_SIZE) {
		CUSTOS_AUTO_BUF blob = { .max = 16 << 20 };
		CUSTOS_TRY(get(c, hashes.ptr + at, &blob, err));
	}
	return CUSTOS_OK;
}

/* Entries are seen before anything is proven: what is wrong with them is said only when they are those that were signed. */
static custos_rc step_unproven(void *ctx, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	struct comparison *o = ctx;
	custos_rc rc = o->verdict.rc == CUSTOS_OK ? step(o, index, entry, &o->verdict) : CUSTOS_E_TAMPERED;
	return rc == CUSTOS_OK || rc == CUSTOS_E_TAMPERED ? CUSTOS_OK : custos_err_set(err, rc, 0, "%s", o->verdict.msg);
}

custos_rc custos_snapshot_verify_published(const char *dir, const char *vkey, struct custos_bytes since, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_CLEANUP(comparison_done) struct comparison o = { .newest = -1 };
	CUSTOS_AUTO(custos_json) *report = NULL;
	CUSTOS_TRY(comparison_start(&o, err));
	CUSTOS_TRY(custos_log_read_dir(dir, vkey, since, step_unproven, &o, &report, err));
	if (o.verdict.rc != CUSTOS_OK)
		CUSTOS_FAIL_HINT(err, o.verdict.rc, o.verdict.hint, "%s", o.verdict.msg);
	*ret_report = CUSTOS_TAKE(report);
	return CUSTOS_OK;
}
