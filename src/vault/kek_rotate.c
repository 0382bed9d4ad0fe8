/* From one KEK to the next: the new one is made, every key moves, some at a time, and a KEK under which no key is left is destroyed. Each step is in the log before the next begins,
 * so that whoever calls it again goes on where it stopped. */
#include "vault/kek.h"
#include "base/text.h"
#include "vault/release.h"

#include <stdio.h>

enum { BATCH = 32 };

struct rotation {
	struct custos_custody *c;
	struct custos_token *token;
	const struct custos_kek_rotate_options *options;
	size_t moved, total;
	struct custos_json *retired, *exported;
};

/* An older KEK that still is on the token. */
static const struct custos_json *unfinished(const struct custos_custody *c)
{
	for (size_t i = 0; i < custos_json_count(c->state.keks); i++) {
		const struct custos_json *kek = custos_json_at(c->state.keks, i);
		if (custos_state_is(kek, "old") || custos_state_is(kek, "retiring"))
			return kek;
	}
	return NULL;
}

static int64_t current(const struct custos_custody *c)
{
	return custos_json_int(custos_state_kek(&c->state), "generation", 0);
}

static bool has_to_move(const struct custos_custody *c, const struct custos_json *key)
{
	int64_t generation = custos_state_generation(key);
	return custos_state_is_live(key) && generation != 0 && generation != current(c) && !custos_state_is(custos_state_kek_of(&c->state, generation), "lost");
}

static custos_rc count_waiting(const struct custos_custody *c, size_t *ret_count, struct custos_err *err)
{
	size_t count = 0;
	const struct custos_json *keys;
	CUSTOS_TRY(custos_state_keys(&c->state, &keys, err));
	for (void *it = custos_json_first(keys); it != NULL; it = custos_json_next(keys, it))
		count += has_to_move(c, custos_json_value(it));
	*ret_count = count;
	return CUSTOS_OK;
}

/* Inside begin. The key is in its new container, and has signed out of it, before the entry that says so; the old container goes with the same commit. */
static custos_rc move_key(struct rotation *r, const char *name, struct custos_err *err)
{
	struct custos_custody *c = r->c;
	const struct custos_json *record;
	uint8_t before[CUSTOS_HASH_SIZE], after[CUSTOS_HASH_SIZE];
	bool found = false;
	CUSTOS_CLEANUP(custos_vault_key_done) struct custos_vault_key key = { 0 };
	CUSTOS_CLEANUP(custos_loaded_kek_done) struct custos_loaded_kek from = { 0 };
	CUSTOS_CLEANUP(custos_token_key_done) struct custos_token_key moved = { 0 };
	CUSTOS_TRY(custos_vault_find_key(c, name, &record, err));
	CUSTOS_TRY(custos_vault_load_key(c, record, &key, err));
	CUSTOS_TRY(custos_vault_load_kek(c, custos_state_kek_of(&c->state, key.kek), &from, err));
	CUSTOS_TRY(custos_token_key_rewrap(r->token, &from.ref, &key.ref, &moved, err));
	CUSTOS_TRY(custos_vault_put_blob(c, "container", custos_buf_view(&moved.container), after, err));
	CUSTOS_REQUIRE(custos_text_unhex(custos_json_text(record, "container_sha256"), before, sizeof before), err, CUSTOS_E_TAMPERED, "the log names an unusable container hash");
	CUSTOS_TRY(custos_store_drop_blob(c->store, before, &found, err));
	if (custos_json_count(custos_json_get(record, "exports")) > 0)
		custos_json_push(r->exported, custos_json_string(name));
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_text(fields, "key", name);
	custos_json_set(fields, "spki_sha256", custos_json_ref(custos_json_get(record, "spki_sha256")));
	custos_json_set_hex(fields, "from_sha256", before, sizeof before);
	custos_json_set_hex(fields, "container_sha256", after, sizeof after);
	custos_json_set_int(fields, "kek", current(c));
	return custos_vault_append(c, "key.rewrapped", fields, NULL, err);
}

/* Up to BATCH keys in one transaction; *ret_count is 0 when none is left. */
static custos_rc move_some(struct rotation *r, size_t *ret_count, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *names = custos_json_array();
	const struct custos_json *keys = NULL;
	CUSTOS_TRY(custos_vault_begin(r->c, err));
	custos_rc rc = custos_state_keys(&r->c->state, &keys, err);
	for (void *it = custos_json_first(keys); it != NULL && custos_json_count(names) < BATCH; it = custos_json_next(keys, it))
		if (has_to_move(r->c, custos_json_value(it)))
			custos_json_push(names, custos_json_string(custos_json_key(it)));
	*ret_count = custos_json_count(names);
	if (rc == CUSTOS_OK && *ret_count == 0) {
		custos_vault_abort(r->c);
		return CUSTOS_OK;
	}
	for (size_t i = 0; i < *ret_count && rc == CUSTOS_OK; i++)
		rc = move_key(r, custos_json_string_value(custos_json_at(names, i)), err);
	if (rc == CUSTOS_OK)
		rc = custos_vault_commit(r->c, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(r->c);
		return rc;
	}
	r->moved += *ret_count;
	if (r->options->progress != NULL)
		r->options->progress(r->options->ctx, r->moved, r->total);
	return CUSTOS_OK;
}

static custos_rc move_all(struct rotation *r, struct custos_err *err)
{
	size_t moved = 0;
	CUSTOS_TRY(count_waiting(r->c, &r->total, err));
	do
		CUSTOS_TRY(move_some(r, &moved, err));
	while (moved > 0);
	return CUSTOS_OK;
}

static custos_rc retire(struct rotation *r, const struct custos_json *kek, struct custos_err *err)
{
	uint8_t id[16];
	int64_t generation = custos_json_int(kek, "generation", 0);
	CUSTOS_REQUIRE(custos_text_unhex(custos_json_text(kek, "id"), id, sizeof id), err, CUSTOS_E_TAMPERED, "the log names an unusable KEK id");
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_int(fields, "generation", generation);
	custos_json_set(fields, "id", custos_json_ref(custos_json_get(kek, "id")));
	/* the entry is refused while a key is under it */
	CUSTOS_TRY(custos_vault_record(r->c, "kek.retire_intent", fields, NULL, err));
	CUSTOS_TRY(custos_token_kek_destroy(r->token, id, err));
	CUSTOS_TRY(custos_vault_record(r->c, "kek.retired", fields, NULL, err));
	custos_json_push(r->retired, custos_json_integer(generation));
	return CUSTOS_OK;
}

/* Destroyed keys that an exported container could have brought back. */
static custos_rc list_unrestorable(const struct custos_custody *c, struct custos_json **ret_names, struct custos_err *err)
{
	const struct custos_json *keys;
	CUSTOS_TRY(custos_state_keys(&c->state, &keys, err));
	struct custos_json *names = custos_json_array();
	for (void *it = custos_json_first(keys); it != NULL; it = custos_json_next(keys, it)) {
		const struct custos_json *key = custos_json_value(it);
		if (!custos_state_is_live(key) && custos_json_count(custos_json_get(key, "exports")) > 0 && custos_state_is(custos_state_kek_of(&c->state, custos_state_generation(key)), "retired"))
			custos_json_push(names, custos_json_string(custos_json_key(it)));
	}
	*ret_names = names;
	return CUSTOS_OK;
}

static custos_rc rotate(struct rotation *r, struct custos_json **ret_report, struct custos_err *err)
{
	struct custos_custody *c = r->c;
	const struct custos_kek_backup *backup = r->options->backup;
	bool resumed = unfinished(c) != NULL;
	if (resumed && backup != NULL && backup->kind != CUSTOS_KEK_BACKUP_NONE)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "`custos key rewrap --to-new-kek` goes on with it; then ask for the backup again", "an earlier move to a new KEK has not come to its end");
	if (!resumed && backup == NULL && custos_json_get(custos_state_kek(&c->state), "backup") != NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "--kek-backup token:URI, shares:K/N, or none if it is to have none", "the KEK of this custody has a backup: say what the new one is to have");
	if (!resumed) {
		CUSTOS_AUTO(custos_keeper_of_backup) *keeper = NULL;
		CUSTOS_TRY(custos_backup_start(c, backup, &keeper, err));
		CUSTOS_TRY(custos_kek_bear(c, keeper, r->options->reason, err));
	}
	CUSTOS_TRY(custos_vault_token(c, &r->token, err));
	CUSTOS_TRY(move_all(r, err));
	for (const struct custos_json *kek; (kek = unfinished(c)) != NULL;) {
		CUSTOS_AUTO(custos_json) *copy = custos_json_copy(kek);
		CUSTOS_TRY(retire(r, copy, err));
	}
	struct custos_json *lost = NULL;
	CUSTOS_TRY(list_unrestorable(c, &lost, err));
	struct custos_json *report = custos_json_object();
	custos_json_set_int(report, "generation", current(c));
	custos_json_set(report, "kek", custos_json_copy(custos_state_kek(&c->state)));
	custos_json_set_bool(report, "resumed", resumed);
	custos_json_set_int(report, "moved", (int64_t)r->moved);
	custos_json_set(report, "retired", custos_json_ref(r->retired));
	custos_json_set(report, "unrestorable", lost);
	custos_json_set(report, "exported", custos_json_ref(r->exported));
	*ret_report = report;
	return CUSTOS_OK;
}

custos_rc custos_kek_rotate(struct custos_custody *c, const struct custos_kek_rotate_options *options, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *retired = custos_json_array();
	CUSTOS_AUTO(custos_json) *exported = custos_json_array();
	struct rotation r = { .c = c, .options = options, .retired = retired, .exported = exported };
	CUSTOS_REQUIRE(options->reason != NULL && options->reason[0] != '\0', err, CUSTOS_E_USAGE, "say why: --reason TEXT");
	CUSTOS_TRY(custos_vault_token(c, &r.token, err));
	CUSTOS_REQUIRE(custos_state_kek(&c->state) != NULL, err, CUSTOS_E_POLICY, "this custody has no KEK: its token cannot wrap keys");
	/* nobody releases a key that is about to move */
	CUSTOS_TRY(custos_release_lock(c, err));
	custos_rc rc = rotate(&r, ret_report, err);
	custos_release_unlock(c);
	return rc;
}

/* For a person who looks for it. */
static void name_keeper(struct custos_json *kek)
{
	char text[256];
	const struct custos_json *backup = custos_json_get(kek, "backup"), *receivers = custos_json_get(backup, "receivers"), *first = custos_json_at(receivers, 0);
	const char *set = custos_json_text(backup, "set"), *label = custos_json_text(first, "token"), *serial = custos_json_text(first, "serial");
	if (set != NULL)
		snprintf(text, sizeof text, "any %lld of %zu shares, set %s", (long long)custos_json_int(backup, "threshold", 0), custos_json_count(receivers), set);
	else if (label != NULL && serial != NULL)
		snprintf(text, sizeof text, "token %s, serial %s", label, serial);
	else
		return;
	custos_json_set_text(kek, "kept_by", text);
}

custos_rc custos_kek_list(struct custos_custody *c, struct custos_json **ret_keks, struct custos_err *err)
{
	const struct custos_json *keys;
	/* so that each can be counted */
	CUSTOS_TRY(custos_state_keys(&c->state, &keys, err));
	struct custos_json *list = custos_json_array();
	CUSTOS_REQUIRE(list != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < custos_json_count(c->state.keks); i++) {
		struct custos_json *kek = custos_json_copy(custos_json_at(c->state.keks, i));
		name_keeper(kek);
		custos_json_set_int(kek, "keys", (int64_t)custos_state_count_under(&c->state, custos_json_int(kek, "generation", 0)));
		custos_json_push(list, kek);
	}
	*ret_keks = list;
	return CUSTOS_OK;
}
