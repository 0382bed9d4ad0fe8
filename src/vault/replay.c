/* Reading the log into what a custody knows: the store as the log sees it, one moment of it verified and replayed. What this process has seen
 * signed it does not forget. */
#include "vault/snapshot.h"

static custos_rc storage_entries(void *ctx, uint64_t first, custos_rc (*each)(void *, uint64_t, struct custos_bytes, struct custos_err *), void *each_ctx,
                                 struct custos_err *err)
{
	struct custos_custody *c = ctx;
	return custos_store_entries(c->store, first, each, each_ctx, err);
}

static custos_rc storage_newest(void *ctx, struct custos_buf *note, struct custos_err *err)
{
	struct custos_custody *c = ctx;
	return custos_store_newest_checkpoint(c->store, note, err);
}

static custos_rc storage_append(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	struct custos_custody *c = ctx;
	return custos_store_append_entry(c->store, index, leaf, err);
}

static custos_rc storage_put(void *ctx, uint64_t size, struct custos_bytes note, struct custos_err *err)
{
	struct custos_custody *c = ctx;
	return custos_store_put_checkpoint(c->store, size, note, err);
}

static custos_rc storage_commit(void *ctx, struct custos_err *err)
{
	struct custos_custody *c = ctx;
	return custos_store_commit(c->store, err);
}

static void storage_abort(void *ctx)
{
	struct custos_custody *c = ctx;
	custos_store_abort(c->store);
}

struct reading {
	struct custos_custody *c;
	const struct custos_json *from; /* the snapshot that it begins with; NULL: the beginning */
};

static custos_rc replay(void *ctx, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	const struct reading *r = ctx;
	if (custos_snapshot_is(entry)) {
		custos_json_free(CUSTOS_TAKE(r->c->snapshot));
		r->c->snapshot = custos_json_ref(entry);
	}
	/* by now it is proven to be what was signed */
	if (r->from != NULL && custos_json_int(r->from, "index", -1) == (int64_t)index)
		CUSTOS_TRY(custos_snapshot_resume(r->c, entry, err));
	return custos_state_apply(&r->c->state, index, entry, err);
}

/* What this process has seen signed it has seen: a store that is put back meanwhile, or that now holds another history, is refused. */
static custos_rc check_seen(const struct custos_custody *c, struct custos_err *err)
{
	uint8_t root[CUSTOS_HASH_SIZE] = { 0 };
	if (c->seen_size == 0)
		return CUSTOS_OK;
	bool shorter = custos_log_signed_size(c->log) < c->seen_size;
	if (!shorter)
		CUSTOS_TRY(custos_log_root(c->log, c->seen_size, root, err));
	if (shorter || memcmp(root, c->seen_root, sizeof root) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "find out who put the store back, and keep both as evidence",
		                 "the log of %s is not the one that was read a moment ago", c->binding.origin);
	return CUSTOS_OK;
}

static custos_rc read_from(struct custos_custody *c, const struct custos_log_storage *storage, const struct custos_json *snapshot, struct custos_err *err)
{
	struct reading r = { c, snapshot };
	struct custos_log_base base = { (uint64_t)custos_json_int(snapshot, "index", 0), custos_json_get(snapshot, "subtrees") };
	custos_log_free(CUSTOS_TAKE(c->log));
	custos_state_done(&c->state);
	custos_json_free(CUSTOS_TAKE(c->snapshot));
	CUSTOS_TRY(custos_state_start(&c->state, err));
	return custos_log_open_from(storage, c->binding.origin, c->binding.vkey, snapshot == NULL ? NULL : &base, replay, &r, &c->log, err);
}

/* A snapshot that does not do is tampering, whatever the entries say; they are read all the same, because they may tell what was done. */
static custos_rc read_moment(struct custos_custody *c, const struct custos_log_storage *storage, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *snapshot = NULL;
	struct custos_err why = { 0 };
	CUSTOS_TRY(custos_snapshot_find(c, &snapshot, err));
	if (snapshot == NULL)
		return read_from(c, storage, NULL, err);
	custos_rc rc = read_from(c, storage, snapshot, &why);
	if (rc == CUSTOS_OK)
		return rc;
	bool is_whole = rc == CUSTOS_E_TAMPERED;
	if (is_whole)
		CUSTOS_TRY(read_from(c, storage, NULL, err));
	return custos_err_set_hinted(err, rc, why.hint, is_whole ? "log entry %lld (state.snapshot) does not fit the log, which is whole: %s" : "log entry %lld (state.snapshot): %s",
	                             (long long)custos_json_int(snapshot, "index", -1), why.msg);
}

custos_rc custos_vault_reload(struct custos_custody *c, struct custos_err *err)
{
	if (c->log != NULL && custos_log_root(c->log, custos_log_signed_size(c->log), c->seen_root, err) == CUSTOS_OK)
		c->seen_size = custos_log_signed_size(c->log);
	struct custos_log_storage storage = {
		.ctx = c,
		.entries = storage_entries,
		.newest_checkpoint = storage_newest,
		.append = storage_append,
		.put_checkpoint = storage_put,
		.commit = storage_commit,
		.abort = storage_abort,
	};
	custos_log_free(CUSTOS_TAKE(c->log));
	/* entries and checkpoint of one moment: another process may be committing */
	bool inside = custos_store_in_transaction(c->store);
	if (!inside)
		CUSTOS_TRY(custos_store_read_begin(c->store, err));
	custos_rc rc = read_moment(c, &storage, err);
	custos_store_read_end(c->store);
	if (rc == CUSTOS_OK)
		rc = check_seen(c, err);
	if (rc != CUSTOS_OK)
		custos_log_free(CUSTOS_TAKE(c->log));
	return rc;
}
