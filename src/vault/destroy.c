/* The end of a key, in two steps: an intent that takes it out of use, then what is really destroyed, then the verdict. Says what it has done and, in the
 * same breath, where the key may still be. Interrupted anywhere it is gone on with: everything in between may be done twice. */
#include "base/text.h"
#include "vault/release.h"
#include "vault/sealed.h"

#include <stdio.h>

struct ending {
	struct custos_custody *c;
	const char *name;
	const struct custos_destroy_options *options;
	struct custos_json *shown;       /* the key as custos_key_show() tells it: a copy */
	bool on_token;
	struct custos_json *lost;        /* targets that can no longer be rolled back to it */
	int64_t intent;
};

static void ending_done(struct ending *e)
{
	custos_json_free(e->shown);
	custos_json_free(e->lost);
}

static custos_rc look(struct ending *e, struct custos_err *err)
{
	const struct custos_json *key, *targets;
	CUSTOS_TRY(custos_vault_find_any_key(e->c, e->name, &key, err));
	/* the one refusal of a key that is gone stands in one place; a destruction that was begun is gone on with */
	if (strcmp(custos_json_text(key, "state"), "destroyed") == 0)
		CUSTOS_TRY(custos_vault_find_key(e->c, e->name, &key, err));
	custos_json_free(CUSTOS_TAKE(e->shown));
	CUSTOS_TRY(custos_key_show(e->c, e->name, &e->shown, err));
	e->on_token = custos_json_text(e->shown, "container_sha256") == NULL;
	custos_json_free(CUSTOS_TAKE(e->lost));
	e->lost = custos_json_array();
	CUSTOS_TRY(custos_state_targets(&e->c->state, &targets, err));
	for (void *it = custos_json_first(targets); it != NULL; it = custos_json_next(targets, it)) {
		const char *before = custos_json_text(custos_json_get(custos_json_get(custos_json_value(it), "deployed"), "previous"), "key");
		if (before != NULL && strcmp(before, e->name) == 0)
			custos_json_push(e->lost, custos_json_string(custos_json_key(it)));
	}
	return CUSTOS_OK;
}

static custos_rc check(const struct ending *e, struct custos_err *err)
{
	const struct custos_json *open = custos_state_open_release(&e->c->state, e->name), *deployed = custos_json_get(e->shown, "deployed");
	long long index = (long long)custos_json_int(open, "index", -1);
	if (open != NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "look at the hosts, then `custos release resolve`", "release %lld of key %s has no known outcome", index, e->name);
	if (custos_json_count(deployed) > 0 && (e->options->flags & CUSTOS_DESTROY_EVEN_IF_DEPLOYED) == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "deploy another key there first, or say --even-if-deployed: those hosts keep the key and go on serving it",
		                 "key %s is deployed to %zu target%s, one is %s", e->name, custos_json_count(deployed),
		                 custos_json_count(deployed) == 1 ? "" : "s", custos_json_string_value(custos_json_at(deployed, 0)));
	if (e->on_token && (e->options->flags & CUSTOS_DESTROY_SHRED) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "leave --shred out: the token destroys the object in its own way",
		                 "key %s is an object on the token, which custos cannot write over", e->name);
	return CUSTOS_OK;
}

static custos_rc record_intent(struct ending *e, struct custos_err *err)
{
	static const char *const members[] = { "spki_sha256", "container_sha256", "id", "deployed" };
	if (strcmp(custos_json_text(e->shown, "state"), "destroying") == 0) {
		e->intent = custos_json_int(custos_json_get(e->shown, "destruction"), "log_index", -1);
		return CUSTOS_OK;
	}
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	uint64_t index = 0;
	custos_json_set_text(fields, "key", e->name);
	custos_json_set_text(fields, "reason", e->options->reason);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (custos_json_get(e->shown, members[i]) != NULL)
			custos_json_set(fields, members[i], custos_json_ref(custos_json_get(e->shown, members[i])));
	CUSTOS_TRY(custos_vault_record(e->c, "key.destroy_intent", fields, &index, err));
	e->intent = (int64_t)index;
	return CUSTOS_OK;
}

static custos_rc remove_container(const struct ending *e, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	bool found = false;
	CUSTOS_REQUIRE(custos_text_unhex(custos_json_text(e->shown, "container_sha256"), hash, sizeof hash), err, CUSTOS_E_TAMPERED,
	               "the log names an unusable container hash");
	CUSTOS_TRY(custos_store_begin(e->c->store, err));
	custos_rc rc = custos_store_drop_blob(e->c->store, hash, &found, err);
	if (rc != CUSTOS_OK) {
		custos_store_abort(e->c->store);
		return rc;
	}
	CUSTOS_TRY(custos_store_commit(e->c->store, err));
	CUSTOS_AUTO_BUF left = { 0 };
	CUSTOS_TRY(custos_store_get_blob(e->c->store, hash, &left, &found, err));
	CUSTOS_REQUIRE(!found, err, CUSTOS_E_STORE, "the container of key %s is still in the store", e->name);
	return (e->options->flags & CUSTOS_DESTROY_SHRED) != 0 ? custos_store_purge(e->c->store, err) : CUSTOS_OK;
}

static custos_rc remove_object(const struct ending *e, struct custos_err *err)
{
	struct custos_token *token;
	uint8_t id[16];
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_REQUIRE(custos_text_unhex(custos_json_text(e->shown, "id"), id, sizeof id), err, CUSTOS_E_TAMPERED, "the log names an unusable key id");
	CUSTOS_TRY(custos_vault_get_blob(e->c, "the key's public key", custos_json_text(e->shown, "spki_sha256"), &spki, err));
	CUSTOS_TRY(custos_vault_token(e->c, &token, err));
	return custos_token_key_destroy(token, id, custos_buf_view(&spki), err);
}

static void say(struct custos_json *remaining, const char *before, const char *name, const char *after)
{
	char text[320];
	snprintf(text, sizeof text, "%s%s%s", before, name, after);
	custos_json_push(remaining, custos_json_string(text));
}

/* What is true all the same. */
static struct custos_json *remaining(const struct ending *e)
{
	struct custos_json *list = custos_json_array();
	const struct custos_json *deployed = custos_json_get(e->shown, "deployed");
	size_t exports = custos_json_count(custos_json_get(e->shown, "exports"));
	if (e->on_token) {
		say(list, "backups of the token may hold the key", "", "");
		return list;
	}
	say(list, custos_key_is_sealed(e->shown) ? "the token's sealing key" : "the KEK", " still opens every copy of the container", "");
	say(list, "backups of the store may hold the container", "", "");
	if ((e->options->flags & CUSTOS_DESTROY_SHRED) != 0)
		say(list, "blocks that the file system or the disk has freed may hold the container", "", "");
	else
		say(list, "the container may be left in the store's files until they are written over", "", "");
	if (exports > 0) {
		char count[24];
		snprintf(count, sizeof count, "%zu", exports);
		say(list, "the container was exported to a file, times: ", count, "");
	}
	for (size_t i = 0; i < custos_json_count(deployed); i++)
		say(list, "host ", custos_json_string_value(custos_json_at(deployed, i)), " has the key in the clear and serves its certificate");
	for (size_t i = 0; i < custos_json_count(e->lost); i++)
		say(list, "host ", custos_json_string_value(custos_json_at(e->lost, i)), " cannot be rolled back to this key any more");
	return list;
}

static custos_rc record_verdict(struct ending *e, struct custos_json **ret_verdict, struct custos_err *err)
{
	static const char *const members[] = { "spki_sha256", "deployed", "exports" };
	uint64_t index = 0;
	CUSTOS_AUTO(custos_json) *verdict = custos_json_object();
	custos_json_set_text(verdict, "key", e->name);
	custos_json_set_int(verdict, "intent", e->intent);
	custos_json_set_text(verdict, "verdict", (e->options->flags & CUSTOS_DESTROY_SHRED) != 0 ? "shredded" : "removed");
	custos_json_set_text(verdict, "object", e->on_token ? "token object" : "container");
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (custos_json_get(e->shown, members[i]) != NULL)
			custos_json_set(verdict, members[i], custos_json_ref(custos_json_get(e->shown, members[i])));
	custos_json_set(verdict, "remaining", remaining(e));
	CUSTOS_TRY(custos_vault_record(e->c, "key.destroyed", verdict, &index, err));
	custos_json_set_int(verdict, "log_index", (int64_t)index);
	if (custos_json_get(verdict, "exports") == NULL)
		custos_json_set(verdict, "exports", custos_json_array());
	*ret_verdict = CUSTOS_TAKE(verdict);
	return CUSTOS_OK;
}

static custos_rc end(struct ending *e, struct custos_json **ret_verdict, struct custos_err *err)
{
	/* the lock, or logging in, may have replayed the log */
	CUSTOS_TRY(look(e, err));
	CUSTOS_TRY(check(e, err));
	CUSTOS_TRY(record_intent(e, err));
	CUSTOS_TRY(e->on_token ? remove_object(e, err) : remove_container(e, err));
	return record_verdict(e, ret_verdict, err);
}

custos_rc custos_key_destroy(struct custos_custody *c, const char *name, const struct custos_destroy_options *options, struct custos_json **ret_verdict,
                             struct custos_err *err)
{
	CUSTOS_CLEANUP(ending_done) struct ending e = { .c = c, .name = name, .options = options };
	struct custos_token *token;
	CUSTOS_REQUIRE(options->reason != NULL && options->reason[0] != '\0', err, CUSTOS_E_USAGE, "say why: --reason TEXT");
	CUSTOS_TRY(look(&e, err));
	CUSTOS_TRY(check(&e, err));
	CUSTOS_TRY(custos_vault_token(c, &token, err));
	/* nobody releases it meanwhile */
	CUSTOS_TRY(custos_release_lock(c, err));
	custos_rc rc = end(&e, ret_verdict, err);
	custos_release_unlock(c);
	return rc;
}
