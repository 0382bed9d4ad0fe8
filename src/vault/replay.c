/* Reading the log into what a custody knows: the store as the log sees it, one moment of it verified and replayed. What this process has seen
 * signed it does not forget. */
#include "vault/vault.h"

static custos_rc storage_entries(void *ctx, custos_rc (*each)(void *, uint64_t, struct custos_bytes, struct custos_err *), void *each_ctx,
                                 struct custos_err *err)
{
	struct custos_custody *c = ctx;
	return custos_store_entries(c->store, each, each_ctx, err);
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

static custos_rc replay(void *ctx, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	return custos_state_apply(ctx, index, entry, err);
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
	custos_state_done(&c->state);
	CUSTOS_TRY(custos_state_start(&c->state, err));
	/* entries and checkpoint of one moment: another process may be committing */
	bool inside = custos_store_in_transaction(c->store);
	if (!inside)
		CUSTOS_TRY(custos_store_read_begin(c->store, err));
	custos_rc rc = custos_log_open(&storage, c->binding.origin, c->binding.vkey, replay, &c->state, &c->log, err);
	custos_store_read_end(c->store);
	if (rc == CUSTOS_OK)
		rc = check_seen(c, err);
	if (rc != CUSTOS_OK)
		custos_log_free(CUSTOS_TAKE(c->log));
	return rc;
}
