/* The fold of the KEKs: one generation after the other, each with what is known of it; and of the token and log key in force, which a restore changes.
 *
 *   generate_intent [── backup_intent] ──generated──▶ current ──(a newer one)──▶ old ──retire_intent──▶ retiring ──retired──▶ retired
 *
 * Keys are under the KEK that was current when they were made, until key.rewrapped says otherwise; a KEK that still has a live key is not retired. */
#include "vault/state_step.h"

static struct custos_json *find(const struct custos_state *state, int64_t generation)
{
	return generation >= 1 && (size_t)generation <= custos_json_count(state->keks) ? custos_json_item(state->keks, (size_t)generation - 1) : NULL;
}

const struct custos_json *custos_state_kek_of(const struct custos_state *state, int64_t generation)
{
	return find(state, generation);
}

const struct custos_json *custos_state_kek(const struct custos_state *state)
{
	return find(state, (int64_t)custos_json_count(state->keks));
}

/* Entries that do not say it were written when there was one KEK. A sealed key has a container, and that is under none. */
int64_t custos_state_generation(const struct custos_json *record)
{
	const char *class = custos_json_text(record, "class");
	bool under_one = custos_json_text(record, "container_sha256") != NULL && (class == NULL || strcmp(class, "sealed") != 0);
	return under_one ? custos_json_int(record, "kek", 1) : 0;
}

size_t custos_state_count_under(const struct custos_state *state, int64_t generation)
{
	size_t count = 0;
	const struct custos_json *keys;
	/* what cannot be read may be under it */
	if (custos_state_keys(state, &keys, NULL) != CUSTOS_OK)
		return SIZE_MAX;
	for (void *it = custos_json_first(keys); it != NULL; it = custos_json_next(keys, it)) {
		const struct custos_json *key = custos_json_value(it);
		count += custos_state_is_live(key) && custos_state_generation(key) == generation;
	}
	return count;
}

static void push(const struct custos_step *s, const struct custos_json *from)
{
	static const char *const members[] = { "id", "label", "variant", "canary_sha256", "canary_spki_sha256", "backup" };
	struct custos_json *kek = custos_json_object(), *before = find(s->state, (int64_t)custos_json_count(s->state->keks));
	custos_json_set_int(kek, "generation", (int64_t)custos_json_count(s->state->keks) + 1);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		custos_step_copy(kek, from, members[i]);
	custos_json_set_text(kek, "time", custos_json_text(s->entry, "time"));
	custos_json_set_int(kek, "log_index", (int64_t)s->index);
	custos_json_set_text(kek, "state", "current");
	if (before != NULL)
		custos_json_set_text(before, "state", "old");
	custos_json_push(s->state->keks, kek);
}

/* The first KEK of a custody without a backup is made before there is a log. */
void custos_step_first_kek(const struct custos_step *s)
{
	const struct custos_json *kek = custos_json_get(s->entry, "kek");
	if (custos_json_is_object(kek))
		push(s, kek);
	custos_json_set(s->state->binding, "log_key", custos_json_ref(custos_json_get(s->entry, "log_key")));
	custos_json_set(s->state->binding, "token", custos_json_ref(custos_json_get(s->entry, "token")));
}

/* Of intents the last counts: one before it came to nothing. */
custos_rc custos_step_kek_intent(struct custos_step *s)
{
	if (custos_json_int(s->entry, "generation", -1) != (int64_t)custos_json_count(s->state->keks) + 1)
		return custos_step_contradicts(s, "it is not the next generation");
	custos_json_set(s->state->binding, "kek_intent", custos_step_record(s));
	return CUSTOS_OK;
}

static bool is_of_intent(const struct custos_step *s, const struct custos_json *intent)
{
	return intent != NULL && custos_json_int(s->entry, "intent", -1) == custos_json_int(intent, "log_index", -2) &&
	       custos_json_equal(custos_json_get(s->entry, "id"), custos_json_get(intent, "id"));
}

custos_rc custos_step_kek_backup_intent(struct custos_step *s)
{
	struct custos_json *intent = custos_json_child(s->state->binding, "kek_intent");
	if (!is_of_intent(s, intent))
		return custos_step_contradicts(s, "there is no such intent");
	custos_json_set_int(intent, "backup_intent", (int64_t)s->index);
	return CUSTOS_OK;
}

custos_rc custos_step_kek_generated(struct custos_step *s)
{
	const struct custos_json *intent = custos_json_get(s->state->binding, "kek_intent");
	const char *variant = custos_json_text(s->entry, "variant");
	if (!is_of_intent(s, intent) || variant == NULL)
		return custos_step_contradicts(s, "there is no such intent");
	bool went_out = custos_json_get(intent, "backup_intent") != NULL;
	if (went_out != (strcmp(variant, "backed-up") == 0) || went_out != (custos_json_get(s->entry, "backup") != NULL))
		return custos_step_contradicts(s, "whether it has a backup is not what was logged");
	push(s, s->entry);
	custos_json_remove(s->state->binding, "kek_intent");
	return CUSTOS_OK;
}

custos_rc custos_step_key_rewrapped(struct custos_step *s)
{
	struct custos_json *key;
	CUSTOS_TRY(custos_step_live_key(s, &key));
	if (custos_state_generation(key) == 0 || !custos_json_equal(custos_json_get(key, "container_sha256"), custos_json_get(s->entry, "from_sha256")))
		return custos_step_contradicts(s, "the container is not that of the key");
	if (!custos_state_is(find(s->state, custos_state_generation(s->entry)), "current") || custos_state_generation(key) == custos_state_generation(s->entry))
		return custos_step_contradicts(s, "it does not move to the current KEK");
	custos_step_copy(key, s->entry, "container_sha256");
	custos_step_copy(key, s->entry, "kek");
	return CUSTOS_OK;
}

custos_rc custos_step_kek_retire_intent(struct custos_step *s)
{
	struct custos_json *kek = find(s->state, custos_json_int(s->entry, "generation", -1));
	if (!custos_state_is(kek, "old") && !custos_state_is(kek, "retiring"))
		return custos_step_contradicts(s, "there is no such KEK to retire");
	if (custos_state_count_under(s->state, custos_json_int(s->entry, "generation", -1)) > 0)
		return custos_step_contradicts(s, "keys are still under that KEK");
	custos_json_set_text(kek, "state", "retiring");
	return CUSTOS_OK;
}

custos_rc custos_step_kek_retired(struct custos_step *s)
{
	struct custos_json *kek = find(s->state, custos_json_int(s->entry, "generation", -1));
	if (!custos_state_is(kek, "retiring"))
		return custos_step_contradicts(s, "nothing was to be retired");
	/* one that was destroyed may have come back after the intent */
	if (custos_state_count_under(s->state, custos_json_int(s->entry, "generation", -1)) > 0)
		return custos_step_contradicts(s, "keys are still under that KEK");
	custos_json_set_text(kek, "state", "retired");
	return CUSTOS_OK;
}

/* The custody goes on with another token: its KEK came out of a backup, its log key is new, and other generations stayed behind. */
custos_rc custos_step_kek_restored(struct custos_step *s)
{
	struct custos_json *kek = find(s->state, (int64_t)custos_json_count(s->state->keks));
	if (kek == NULL || custos_json_get(kek, "backup") == NULL || !custos_json_equal(custos_json_get(kek, "id"), custos_json_get(s->entry, "id")))
		return custos_step_contradicts(s, "it is not the KEK that has a backup");
	for (size_t i = 0; i + 1 < custos_json_count(s->state->keks); i++)
		if (!custos_state_is(custos_json_at(s->state->keks, i), "retired"))
			custos_json_set_text(custos_json_item(s->state->keks, i), "state", "lost");
	/* the token that kept the backup is the one in use now; shares stay what they are */
	const char *kind = custos_json_text(custos_json_get(kek, "backup"), "kind");
	if (kind != NULL && strcmp(kind, "token") == 0)
		custos_json_remove(kek, "backup");
	custos_json_set_text(kek, "variant", "restored");
	custos_step_copy(s->state->binding, s->entry, "log_key");
	custos_step_copy(s->state->binding, s->entry, "token");
	custos_json_set_int(kek, "restored", (int64_t)s->index);
	return CUSTOS_OK;
}
