/* The fold of a key's life: born on the token or imported, drilled, exported, destroyed in two steps, restored.
 *
 *   active ──destroy_intent──▶ destroying ──destroyed──▶ destroyed ──restored──▶ active      (restored: from each of them)
 *
 * A key that is not active takes part in nothing but its own end or return. */
#include "vault/state_step.h"

custos_rc custos_step_any_key(const struct custos_step *s, struct custos_json **ret_key)
{
	const char *name = custos_json_text(s->entry, "key");
	*ret_key = name == NULL ? NULL : custos_pages_edit(s->state->keys, name);
	return *ret_key == NULL ? custos_step_contradicts(s, "there is no such key") : CUSTOS_OK;
}

custos_rc custos_step_live_key(const struct custos_step *s, struct custos_json **ret_key)
{
	CUSTOS_TRY(custos_step_any_key(s, ret_key));
	return custos_state_is(*ret_key, "active") ? CUSTOS_OK : custos_step_contradicts(s, "the key is destroyed");
}

bool custos_state_is_live(const struct custos_json *key)
{
	return custos_state_is(key, "active");
}

const struct custos_json *custos_state_open_release(const struct custos_state *state, const char *key)
{
	for (size_t i = custos_json_count(state->releases); i-- > 0;) {
		const struct custos_json *release = custos_json_at(state->releases, i);
		const char *of = custos_json_text(release, "key"), *now = custos_json_text(release, "state");
		if (of != NULL && strcmp(of, key) == 0 && now != NULL && (strcmp(now, "open") == 0 || strcmp(now, "unknown") == 0))
			return release;
	}
	return NULL;
}

/* A name is given once, and so is a public key: also that of a key that is no more. */
static custos_rc check_new(const struct custos_step *s)
{
	const char *name = custos_json_text(s->entry, "key"), *spki = custos_json_text(s->entry, "spki_sha256");
	if (name == NULL || custos_pages_get(s->state->keys, name) != NULL)
		return custos_step_contradicts(s, "the key exists already");
	if (spki != NULL && custos_state_key_by_spki(s->state, spki) != NULL)
		return custos_step_contradicts(s, "this public key has another name");
	return CUSTOS_OK;
}

/* A key goes under a KEK that is in use. */
static custos_rc check_kek(const struct custos_step *s)
{
	const struct custos_json *kek = custos_state_kek_of(s->state, custos_state_generation(s->entry));
	if (custos_json_get(s->entry, "kek") == NULL || custos_state_is(kek, "current") || custos_state_is(kek, "old"))
		return CUSTOS_OK;
	return custos_step_contradicts(s, "its KEK is not in use");
}

custos_rc custos_step_key_generate(struct custos_step *s)
{
	CUSTOS_TRY(check_new(s));
	CUSTOS_TRY(check_kek(s));
	const char *name = custos_json_text(s->entry, "key"), *renews = custos_json_text(s->entry, "renews");
	if (renews != NULL && custos_state_key(s->state, renews) == NULL)
		return custos_step_contradicts(s, "it renews a key that does not exist");
	struct custos_json *key = custos_json_object();
	custos_json_set_text(key, "name", name);
	custos_json_set_text(key, "created", custos_json_text(s->entry, "time"));
	custos_json_set_text(key, "state", "active");
	custos_json_set(key, "targets", custos_json_array());
	custos_json_set_int(key, "log_index", (int64_t)s->index);
	static const char *const members[] = { "type", "class", "born", "spki_sha256", "container_sha256", "id", "kek", "renews" };
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		custos_step_copy(key, s->entry, members[i]);
	custos_pages_set(s->state->keys, name, key);
	if (custos_json_text(key, "spki_sha256") != NULL)
		custos_pages_set(s->state->names, custos_json_text(key, "spki_sha256"), custos_json_string(name));
	return CUSTOS_OK;
}

/* Of intents for one name the last counts: one before it came to nothing. */
custos_rc custos_step_import_intent(struct custos_step *s)
{
	CUSTOS_TRY(check_new(s));
	custos_json_set(s->state->imports, custos_json_text(s->entry, "key"), custos_step_record(s));
	return CUSTOS_OK;
}

custos_rc custos_step_key_imported(struct custos_step *s)
{
	const char *name = custos_json_text(s->entry, "key");
	const struct custos_json *intent = name == NULL ? NULL : custos_json_get(s->state->imports, name);
	static const char *const same[] = { "type", "spki_sha256" };
	if (intent == NULL || custos_json_int(s->entry, "intent", -1) != custos_json_int(intent, "log_index", -2))
		return custos_step_contradicts(s, "there is no such intent");
	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		if (!custos_json_equal(custos_json_get(intent, same[i]), custos_json_get(s->entry, same[i])))
			return custos_step_contradicts(s, "it is not the key of the intent");
	CUSTOS_TRY(custos_step_key_generate(s));
	custos_json_remove(s->state->imports, name);
	return CUSTOS_OK;
}

/* The last attempt counts; `drilled` stays the last one that proved something. */
static void set_drill(const struct custos_step *s, struct custos_json *key, const char *result)
{
	struct custos_json *drill = custos_step_record(s);
	custos_json_set_text(drill, "result", result);
	custos_json_set(key, "drill", drill);
	if (strcmp(result, "passed") == 0)
		custos_json_set_text(key, "drilled", custos_json_text(s->entry, "time"));
}

custos_rc custos_step_key_drilled(struct custos_step *s)
{
	struct custos_json *key;
	CUSTOS_TRY(custos_step_live_key(s, &key));
	set_drill(s, key, strcmp(custos_json_text(s->entry, "event"), "key.drilled") == 0 ? "passed" : "failed");
	return CUSTOS_OK;
}

static bool names_container(const struct custos_step *s, const struct custos_json *key)
{
	const char *container = custos_json_text(key, "container_sha256");
	return container != NULL && custos_json_equal(custos_json_get(key, "container_sha256"), custos_json_get(s->entry, "container_sha256"));
}

/* Changes nothing: what came of it is told by the entry after it. At its birth a key has no name yet. */
custos_rc custos_step_open_intent(struct custos_step *s)
{
	struct custos_json *key;
	const char *purpose = custos_json_text(s->entry, "purpose");
	if (purpose != NULL && strcmp(purpose, "birth") == 0)
		return check_new(s);
	CUSTOS_TRY(custos_step_any_key(s, &key));
	if (!names_container(s, key))
		return custos_step_contradicts(s, "the container is not that of the key");
	return custos_state_is(key, "active") || (purpose != NULL && strcmp(purpose, "restore") == 0) ? CUSTOS_OK : custos_step_contradicts(s, "the key is destroyed");
}

custos_rc custos_step_key_exported(struct custos_step *s)
{
	struct custos_json *key;
	CUSTOS_TRY(custos_step_live_key(s, &key));
	if (!names_container(s, key))
		return custos_step_contradicts(s, "the container is not that of the key");
	if (custos_json_get(key, "exports") == NULL)
		custos_json_set(key, "exports", custos_json_array());
	custos_json_push(custos_json_child(key, "exports"), custos_json_integer((int64_t)s->index));
	return CUSTOS_OK;
}

custos_rc custos_step_destroy_intent(struct custos_step *s)
{
	struct custos_json *key;
	CUSTOS_TRY(custos_step_live_key(s, &key));
	if (custos_state_open_release(s->state, custos_json_text(key, "name")) != NULL)
		return custos_step_contradicts(s, "a release of the key is open");
	custos_json_set_text(key, "state", "destroying");
	custos_json_set(key, "destruction", custos_step_record(s));
	return CUSTOS_OK;
}

custos_rc custos_step_key_destroyed(struct custos_step *s)
{
	struct custos_json *key;
	CUSTOS_TRY(custos_step_any_key(s, &key));
	const struct custos_json *begun = custos_json_get(key, "destruction");
	if (!custos_state_is(key, "destroying") || custos_json_int(s->entry, "intent", -1) != custos_json_int(begun, "log_index", -2))
		return custos_step_contradicts(s, "there is no such intent");
	struct custos_json *destruction = custos_step_record(s);
	custos_step_copy(destruction, begun, "reason");
	custos_json_set_text(key, "state", "destroyed");
	custos_json_set(key, "destruction", destruction);
	return CUSTOS_OK;
}

custos_rc custos_step_key_restored(struct custos_step *s)
{
	struct custos_json *key;
	CUSTOS_TRY(custos_step_any_key(s, &key));
	if (!names_container(s, key))
		return custos_step_contradicts(s, "the container is not that of the key");
	const struct custos_json *kek = custos_state_kek_of(s->state, custos_state_generation(key));
	if (custos_state_is(kek, "retired") || custos_state_is(kek, "lost"))
		return custos_step_contradicts(s, "its KEK is no more");
	custos_json_set_text(key, "state", "active");
	custos_json_remove(key, "destruction");
	custos_json_set(key, "restored", custos_step_record(s));
	/* it has opened, or it would not have been taken back */
	set_drill(s, key, "passed");
	return CUSTOS_OK;
}
