/* Opening a custody: directory and binding checked, log verified and replayed, unfinished releases found.
 *
 * A release that is under way holds an exclusive lock on DIR/release.lock. Whoever opens the custody and gets that lock
 * knows that open intents have no process behind them any more and records them as unknown. */
#include "base/text.h"
#include "vault/kek.h"
#include "vault/release.h"

/* A log that does not fit custody.yaml may be one that is on its way to another token. */
static custos_rc load(struct custos_custody *c, struct custos_err *err)
{
	custos_rc rc = custos_vault_reload(c, err);
	if (rc == CUSTOS_OK || !custos_restore_is_unfinished(c->dir))
		return rc;
	if (err != NULL)
		*err = (struct custos_err){ 0 };
	CUSTOS_FAIL_HINT(err, CUSTOS_E_STORE, "`custos kek restore`, given again, finishes it", "the custody %s was on its way to another token when that was interrupted", c->dir);
}

custos_rc custos_custody_open(const char *dir, const struct custos_pin *pin, struct custos_custody **ret_custody, struct custos_err *err)
{
	if (dir == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "name it with -C DIR or in CUSTOS_DIR; it is never guessed", "no custody directory was named");
	CUSTOS_AUTO(custos_custody) *c = calloc(1, sizeof *c);
	CUSTOS_REQUIRE(c != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	c->release_lock = -1;
	CUSTOS_TRY(custos_binding_read(dir, &c->binding, err));
	c->dir = custos_text_dup(dir);
	if (pin != NULL) {
		c->pin = *pin;
		c->has_pin = true;
	}
	CUSTOS_TRY(custos_store_open(dir, c->binding.store, 0, &c->store, err));
	CUSTOS_TRY(load(c, err));
	CUSTOS_REQUIRE(c->state.genesis != NULL, err, CUSTOS_E_TAMPERED, "the log of %s is empty, but its custody.yaml says that it was begun", dir);
	CUSTOS_TRY(custos_release_find_orphans(c, err));
	*ret_custody = CUSTOS_TAKE(c);
	return CUSTOS_OK;
}

void custos_custody_free(struct custos_custody *c)
{
	if (c == NULL)
		return;
	if (c->store != NULL && custos_store_in_transaction(c->store))
		custos_vault_abort(c);
	if (c->store != NULL && c->log != NULL)
		custos_vault_note_trouble(c, c->token);
	custos_token_free(c->token);
	custos_log_free(c->log);
	custos_store_free(c->store);
	custos_state_done(&c->state);
	custos_json_free(c->snapshot);
	custos_binding_done(&c->binding);
	custos_buf_done(&c->log_spki);
	custos_release_unlock(c);
	free(c->dir);
	free(c);
}

const char *custos_custody_pin_source(const struct custos_custody *c)
{
	return c->binding.pin_source;
}
