/* One look at everything that may need a person. */
#include "base/clock.h"
#include "vault/renewal.h"
#include "vault/vault.h"

/* Of each key the one that took its place: live, with a certificate. */
static struct custos_json *successors(const struct custos_json *keys)
{
	struct custos_json *of = custos_json_object();
	for (size_t i = 0; i < custos_json_count(keys); i++) {
		const struct custos_json *key = custos_json_at(keys, i);
		const char *renews = custos_json_text(key, "renews");
		if (renews != NULL && custos_state_is_live(key) && custos_json_is_object(custos_json_get(key, "certificate")))
			custos_json_set_text(of, renews, custos_json_text(key, "name"));
	}
	return of;
}

static void set_renewal(struct custos_json *key, const char *successor, int64_t from, int64_t until)
{
	const struct custos_renewal window = custos_renewal_of(from, until);
	const struct custos_json *request = custos_json_get(key, "csr"), *certificate = custos_json_get(key, "certificate");
	char text[CUSTOS_TIME_TEXT];
	struct custos_json *renewal = custos_json_object();
	custos_clock_text(window.from, text);
	custos_json_set_text(renewal, "from", text);
	custos_json_set_text(renewal, "state", custos_renewal_state_name(custos_renewal_state(&window, custos_clock_unix())));
	custos_json_set_bool(renewal, "requested", custos_json_int(request, "log_index", -1) > custos_json_int(certificate, "log_index", -1));
	custos_json_set_text(renewal, "superseded_by", successor);
	custos_json_set(key, "renewal", renewal);
	custos_json_set_int(key, "days_left", custos_renewal_days_left(&window, custos_clock_unix()));
}

/* A key gets its certificate's days left, and when the next one is due; of a key that is no more nothing is. */
static void add_renewal(struct custos_json *key, const struct custos_json *successors)
{
	int64_t from, until;
	const struct custos_json *certificate = custos_json_get(key, "certificate");
	const char *not_before = custos_json_text(certificate, "not_before"), *not_after = custos_json_text(certificate, "not_after");
	if (custos_state_is_live(key) && not_before != NULL && not_after != NULL && custos_clock_parse(not_before, &from) && custos_clock_parse(not_after, &until))
		set_renewal(key, custos_json_text(successors, custos_json_text(key, "name")), from, until);
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
	CUSTOS_AUTO(custos_json) *next = successors(keys);
	for (size_t i = 0; i < custos_json_count(keys); i++)
		add_renewal(custos_json_item(keys, i), next);
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
	custos_json_set(status, "attention", custos_status_attention(status));
	*ret_status = CUSTOS_TAKE(status);
	return CUSTOS_OK;
}
