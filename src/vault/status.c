/* One look at everything that may need a person. */
#include "base/clock.h"
#include "vault/vault.h"

enum { SOON_DAYS = 30, SECONDS_A_DAY = 86400 };

/* A key gets its certificate's days left. */
static void add_days_left(struct custos_json *key)
{
	int64_t end;
	const char *not_after = custos_json_text(custos_json_get(key, "certificate"), "not_after");
	/* of a key that is no more nothing is due */
	if (custos_state_is_live(key) && not_after != NULL && custos_clock_parse(not_after, &end)) {
		int64_t left = end - custos_clock_unix();
		custos_json_set_int(key, "days_left", left < 0 ? -((-left + SECONDS_A_DAY - 1) / SECONDS_A_DAY) : left / SECONDS_A_DAY);
	}
}

/* Keys that a rotation has not moved yet. */
static size_t count_waiting(const struct custos_custody *c)
{
	size_t count = 0;
	for (size_t i = 0; i + 1 < custos_json_count(c->state.keks); i++)
		count += custos_state_count_under(&c->state, (int64_t)i + 1);
	return count;
}

custos_rc custos_custody_status(struct custos_custody *c, struct custos_json **ret_status, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *status = custos_json_object();
	struct custos_json *keys = NULL, *targets = NULL, *open = NULL, *kek = custos_json_object();
	CUSTOS_TRY(custos_key_list(c, &keys, err));
	custos_json_set(status, "keys", keys);
	for (size_t i = 0; i < custos_json_count(keys); i++)
		add_days_left(custos_json_item(keys, i));
	CUSTOS_TRY(custos_target_list(c, &targets, err));
	custos_json_set(status, "targets", targets);
	CUSTOS_TRY(custos_release_list(c, &open, err));
	custos_json_set(status, "open_releases", open);
	custos_json_set(status, "log", custos_log_json(c->log));
	custos_json_set_int(custos_json_child(status, "log"), "unsigned", (int64_t)(custos_log_size(c->log) - custos_log_signed_size(c->log)));
	custos_json_set(status, "token", custos_json_ref(custos_json_get(c->state.binding, "token")));
	const struct custos_json *now = custos_state_kek(&c->state);
	custos_json_set(kek, "variant", custos_json_ref(custos_json_get(now, "variant")));
	custos_json_set_bool(kek, "backup", custos_json_get(now, "backup") != NULL);
	custos_json_set(kek, "generation", custos_json_ref(custos_json_get(now, "generation")));
	custos_json_set_int(kek, "waiting", (int64_t)count_waiting(c));
	custos_json_set(status, "kek", kek);
	*ret_status = CUSTOS_TAKE(status);
	return CUSTOS_OK;
}

size_t custos_status_count_urgent(const struct custos_json *status)
{
	size_t urgent = custos_json_count(custos_json_get(status, "open_releases"));
	urgent += custos_json_int(custos_json_get(status, "kek"), "waiting", 0) > 0;
	const struct custos_json *keys = custos_json_get(status, "keys");
	for (size_t i = 0; i < custos_json_count(keys); i++) {
		const struct custos_json *key = custos_json_at(keys, i);
		const char *state = custos_json_text(key, "state"), *drill = custos_json_text(custos_json_get(key, "drill"), "result");
		urgent += custos_json_int(key, "days_left", SOON_DAYS) < SOON_DAYS;
		urgent += state != NULL && strcmp(state, "destroying") == 0;
		urgent += state != NULL && strcmp(state, "active") == 0 && drill != NULL && strcmp(drill, "failed") == 0;
	}
	/* an unknown release is counted above; a host that was not rolled back has a closed release and still needs somebody */
	const struct custos_json *targets = custos_json_get(status, "targets");
	for (size_t i = 0; i < custos_json_count(targets); i++) {
		const char *attention = custos_json_text(custos_json_at(targets, i), "attention");
		urgent += attention != NULL && strcmp(attention, "release.unknown") != 0;
	}
	return urgent;
}
