/* The store: chooses the engine and keeps the rules that hold for all of them.
 *
 *   idle ──read_begin──▶ reading ──read_end──▶ idle
 *   idle ──begin──▶ writing ──commit ok, abort──▶ idle
 *                   writing ──a write fails──▶ broken ──abort──▶ idle   (a commit of it is refused)
 *                   writing ──commit fails──▶ dead                      (nobody knows what is on the disk) */
#include "store/driver.h"

struct custos_store {
	const struct custos_store_driver *driver;
	void *engine;
	char *name;
	bool read_only;
	enum { IDLE, READING, WRITING, BROKEN, DEAD } state;
};

static const struct {
	const char *scheme;
	const struct custos_store_driver *driver;
} drivers[] = {
	{ "sqlite:", &custos_store_sqlite },
};

custos_rc custos_store_open(const char *dir, const char *url, unsigned flags, struct custos_store **ret_store, struct custos_err *err)
{
	CUSTOS_REQUIRE((flags & ~(unsigned)(CUSTOS_STORE_CREATE | CUSTOS_STORE_READ_ONLY)) == 0 &&
	                       flags != (CUSTOS_STORE_CREATE | CUSTOS_STORE_READ_ONLY),
	               err, CUSTOS_E_INTERNAL, "store flags %#x", flags);
	CUSTOS_AUTO(custos_store) *store = calloc(1, sizeof *store);
	CUSTOS_REQUIRE(store != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	const char *place = NULL;
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers && place == NULL; i++)
		if (strncmp(url, drivers[i].scheme, strlen(drivers[i].scheme)) == 0) {
			store->driver = drivers[i].driver;
			place = url + strlen(drivers[i].scheme);
		}
	if (place == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "write sqlite:FILE", "%.80s is not a store that custos knows", url);
	store->read_only = (flags & CUSTOS_STORE_READ_ONLY) != 0;
	CUSTOS_TRY(store->driver->open(dir, place, flags, &store->engine, &store->name, err));
	*ret_store = CUSTOS_TAKE(store);
	return CUSTOS_OK;
}

void custos_store_free(struct custos_store *store)
{
	if (store == NULL)
		return;
	if (store->engine != NULL) {
		custos_store_abort(store);
		custos_store_read_end(store);
		store->driver->close(store->engine);
	}
	free(store->name);
	free(store);
}

custos_rc custos_store_folder(const struct custos_store *store, char **ret_folder, struct custos_err *err)
{
	const char *slash = store->name[0] == '/' ? strrchr(store->name, '/') : NULL;
	*ret_folder = slash == NULL ? NULL : strndup(store->name, (size_t)(slash - store->name));
	CUSTOS_REQUIRE(slash == NULL || *ret_folder != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

static custos_rc require_alive(const struct custos_store *store, struct custos_err *err)
{
	if (store->state == DEAD)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "run the command again: opening the store shows what is in it",
		                 "%s is not used any further: a commit failed and what is on the disk is not known", store->name);
	return CUSTOS_OK;
}

static custos_rc require_writing(const struct custos_store *store, struct custos_err *err)
{
	CUSTOS_TRY(require_alive(store, err));
	CUSTOS_REQUIRE(store->state != BROKEN, err, CUSTOS_E_STORE, "%s: an earlier write of this transaction failed", store->name);
	CUSTOS_REQUIRE(store->state == WRITING, err, CUSTOS_E_INTERNAL, "%s: write outside a transaction", store->name);
	return CUSTOS_OK;
}

static custos_rc wrote(struct custos_store *store, custos_rc rc)
{
	if (rc != CUSTOS_OK)
		store->state = BROKEN;
	return rc;
}

custos_rc custos_store_begin(struct custos_store *store, struct custos_err *err)
{
	CUSTOS_TRY(require_alive(store, err));
	CUSTOS_REQUIRE(!store->read_only, err, CUSTOS_E_STORE, "%s was opened for reading only", store->name);
	CUSTOS_REQUIRE(store->state == IDLE, err, CUSTOS_E_INTERNAL, "%s: a transaction inside a transaction", store->name);
	CUSTOS_TRY(store->driver->begin(store->engine, err));
	store->state = WRITING;
	return CUSTOS_OK;
}

custos_rc custos_store_read_begin(struct custos_store *store, struct custos_err *err)
{
	CUSTOS_TRY(require_alive(store, err));
	CUSTOS_REQUIRE(store->state == IDLE, err, CUSTOS_E_INTERNAL, "%s: a reading inside a transaction", store->name);
	CUSTOS_TRY(store->driver->read_begin(store->engine, err));
	store->state = READING;
	return CUSTOS_OK;
}

void custos_store_read_end(struct custos_store *store)
{
	if (store->state != READING)
		return;
	store->driver->abort(store->engine);
	store->state = IDLE;
}

custos_rc custos_store_entry_count(struct custos_store *store, uint64_t *ret_count, struct custos_err *err)
{
	CUSTOS_TRY(require_alive(store, err));
	return store->driver->entry_count(store->engine, ret_count, err);
}

custos_rc custos_store_commit(struct custos_store *store, struct custos_err *err)
{
	CUSTOS_TRY(require_writing(store, err));
	custos_rc rc = store->driver->commit(store->engine, err);
	if (rc != CUSTOS_OK)
		store->driver->abort(store->engine);
	store->state = rc == CUSTOS_OK ? IDLE : DEAD;
	return rc;
}

void custos_store_abort(struct custos_store *store)
{
	if (store->state != WRITING && store->state != BROKEN)
		return;
	store->driver->abort(store->engine);
	store->state = IDLE;
}

bool custos_store_in_transaction(const struct custos_store *store)
{
	return store->state == WRITING || store->state == BROKEN;
}

custos_rc custos_store_append_entry(struct custos_store *store, uint64_t index, struct custos_bytes leaf, struct custos_err *err)
{
	CUSTOS_TRY(require_writing(store, err));
	return wrote(store, store->driver->append_entry(store->engine, index, leaf, err));
}

custos_rc custos_store_entries(struct custos_store *store, uint64_t first,
                               custos_rc (*each)(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err), void *ctx,
                               struct custos_err *err)
{
	CUSTOS_TRY(require_alive(store, err));
	return store->driver->entries(store->engine, first, each, ctx, err);
}

custos_rc custos_store_find_entry(struct custos_store *store, struct custos_bytes part, uint64_t *ret_index, struct custos_buf *leaf, bool *ret_found,
                                  struct custos_err *err)
{
	CUSTOS_TRY(require_alive(store, err));
	return store->driver->find_entry(store->engine, part, ret_index, leaf, ret_found, err);
}

custos_rc custos_store_put_checkpoint(struct custos_store *store, uint64_t size, struct custos_bytes note, struct custos_err *err)
{
	CUSTOS_TRY(require_writing(store, err));
	return wrote(store, store->driver->put_checkpoint(store->engine, size, note, err));
}

custos_rc custos_store_newest_checkpoint(struct custos_store *store, struct custos_buf *note, struct custos_err *err)
{
	CUSTOS_TRY(require_alive(store, err));
	return store->driver->newest_checkpoint(store->engine, note, err);
}

custos_rc custos_store_put_blob(struct custos_store *store, const uint8_t sha256[static CUSTOS_HASH_SIZE], const char *kind,
                                struct custos_bytes blob, struct custos_err *err)
{
	CUSTOS_TRY(require_writing(store, err));
	CUSTOS_REQUIRE(blob.len <= CUSTOS_STORE_VALUE_MAX, err, CUSTOS_E_INPUT, "%s: a %s of %zu bytes is too large to store", store->name,
	               kind, blob.len);
	return wrote(store, store->driver->put_blob(store->engine, sha256, kind, blob, err));
}

custos_rc custos_store_get_blob(struct custos_store *store, const uint8_t sha256[static CUSTOS_HASH_SIZE], struct custos_buf *blob,
                                bool *ret_found, struct custos_err *err)
{
	CUSTOS_TRY(require_alive(store, err));
	return store->driver->get_blob(store->engine, sha256, blob, ret_found, err);
}

custos_rc custos_store_drop_blob(struct custos_store *store, const uint8_t sha256[static CUSTOS_HASH_SIZE], bool *ret_found, struct custos_err *err)
{
	CUSTOS_TRY(require_writing(store, err));
	return wrote(store, store->driver->drop_blob(store->engine, sha256, ret_found, err));
}

custos_rc custos_store_purge(struct custos_store *store, struct custos_err *err)
{
	CUSTOS_TRY(require_alive(store, err));
	CUSTOS_REQUIRE(store->state == IDLE && !store->read_only, err, CUSTOS_E_INTERNAL, "%s: a purge inside a transaction", store->name);
	return store->driver->purge(store->engine, err);
}
