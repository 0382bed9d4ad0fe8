/* The release, keeper's side: policy from the replayed log, intent and permit, the parcel for one courier; and the list of
 * what was left open. */
#include "vault/release.h"
#include "vault/sealed.h"
#include "base/clock.h"
#include "crypto/digest.h"
#include "x509/cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

custos_rc custos_release_lock(struct custos_custody *c, struct custos_err *err)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/release.lock", c->dir);
	CUSTOS_AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	CUSTOS_REQUIRE(fd >= 0, err, CUSTOS_E_STORE, "cannot open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "wait for it to end", "another release from this custody is under way");
	/* the one that had it may have ended since the log was read: which copies lie on the hosts is its word */
	uint64_t count = 0;
	CUSTOS_TRY(custos_store_entry_count(c->store, &count, err));
	if (c->log == NULL || count != custos_log_size(c->log))
		CUSTOS_TRY(custos_vault_reload(c, err));
	c->release_lock = custos_take_fd(&fd);
	return CUSTOS_OK;
}

void custos_release_unlock(struct custos_custody *c)
{
	if (c->release_lock >= 0)
		close(c->release_lock);
	c->release_lock = -1;
}

/* One entry for each host of an open intent that has no outcome. */
static custos_rc mark_unknown(struct custos_custody *c, int64_t intent, struct custos_err *err)
{
	for (;;) {
		const char *target = NULL;
		for (size_t i = 0; i < custos_json_count(c->state.releases); i++) {
			const struct custos_json *r = custos_json_at(c->state.releases, i), *hosts = custos_json_get(r, "hosts");
			if (custos_json_int(r, "index", -1) != intent)
				continue;
			for (size_t h = 0; h < custos_json_count(hosts) && target == NULL; h++)
				if (custos_json_text(custos_json_at(hosts, h), "result") == NULL)
					target = custos_json_text(custos_json_at(hosts, h), "target");
		}
		if (target == NULL)
			return CUSTOS_OK;
		CUSTOS_AUTO(custos_json) *fields = custos_json_object();
		custos_json_set_int(fields, "intent", intent);
		custos_json_set_text(fields, "target", target);
		custos_json_set_text(fields, "reason", "custos ended before the outcome was known");
		CUSTOS_TRY(custos_vault_append(c, "release.unknown", fields, NULL, err));
	}
}

custos_rc custos_release_find_orphans(struct custos_custody *c, struct custos_err *err)
{
	bool any = false;
	for (size_t i = 0; i < custos_json_count(c->state.releases); i++)
		any |= custos_state_is(custos_json_at(c->state.releases, i), "open");
	struct custos_err ignored = { 0 };
	if (!any || custos_release_lock(c, &ignored) != CUSTOS_OK)
		return CUSTOS_OK;
	/* a store that cannot be written can still be read; the open release is then shown as open */
	if (custos_vault_begin(c, &ignored) != CUSTOS_OK) {
		custos_release_unlock(c);
		return CUSTOS_OK;
	}
	custos_rc rc = CUSTOS_OK;
	for (size_t i = 0; i < custos_json_count(c->state.releases) && rc == CUSTOS_OK; i++) {
		const struct custos_json *r = custos_json_at(c->state.releases, i);
		if (custos_state_is(r, "open"))
			rc = mark_unknown(c, custos_json_int(r, "index", -1), &ignored);
	}
	if (rc == CUSTOS_OK)
		rc = custos_log_commit_unsigned(c->log, &ignored);
	if (rc != CUSTOS_OK)
		custos_vault_abort(c);
	custos_release_unlock(c);
	/* nor does a full disk keep anybody from reading */
	if (rc == CUSTOS_OK || (rc == CUSTOS_E_STORE && c->log != NULL))
		return CUSTOS_OK;
	return custos_err_set_hinted(err, rc, ignored.hint, "%s", ignored.msg);
}

custos_rc custos_release_list(struct custos_custody *c, struct custos_json **ret_releases, struct custos_err *err)
{
	struct custos_json *open = custos_json_array();
	CUSTOS_REQUIRE(open != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < custos_json_count(c->state.releases); i++) {
		const struct custos_json *r = custos_json_at(c->state.releases, i);
		const char *state = custos_json_text(r, "state");
		if (strcmp(state, "open") == 0 || strcmp(state, "unknown") == 0)
			custos_json_push(open, custos_json_ref(r));
	}
	*ret_releases = open;
	return CUSTOS_OK;
}

custos_rc custos_release_resolve(struct custos_custody *c, uint64_t index, const char *as, const char *note, struct custos_err *err)
{
	CUSTOS_REQUIRE(strcmp(as, "done") == 0 || strcmp(as, "failed") == 0, err, CUSTOS_E_USAGE,
	               "a release is resolved as done or as failed, not as \"%s\"", as);
	CUSTOS_AUTO(custos_json) *open = NULL;
	CUSTOS_TRY(custos_release_list(c, &open, err));
	for (size_t i = 0; i < custos_json_count(open); i++) {
		if (custos_json_int(custos_json_at(open, i), "index", -1) != (int64_t)index)
			continue;
		/* opening the custody has made those without a process unknown */
		if (custos_state_is(custos_json_at(open, i), "open"))
			CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "wait for it to end", "release %llu is under way in another process", (unsigned long long)index);
		CUSTOS_AUTO(custos_json) *fields = custos_json_object();
		custos_json_set_int(fields, "intent", (int64_t)index);
		custos_json_set_text(fields, "as", as);
		custos_json_set_text(fields, "note", note);
		return custos_vault_record(c, "release.resolved", fields, NULL, err);
	}
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "`custos release list` shows them", "there is no open release %llu", (unsigned long long)index);
}

custos_rc custos_release_profile(struct custos_custody *c, const struct custos_json *target, struct custos_profile **ret_profile,
                                 struct custos_err *err)
{
	CUSTOS_AUTO_BUF yaml = { 0 };
	const char *name = custos_json_text(target, "profile");
	CUSTOS_TRY(custos_vault_get_blob(c, "the target's profile", custos_json_text(target, "profile_sha256"), &yaml, err));
	return custos_profile_parse(custos_buf_view(&yaml), name == NULL ? "profile" : name, ret_profile, err);
}

custos_rc custos_vault_anchors(struct custos_custody *c, struct custos_anchors **ret_anchors, struct custos_err *err)
{
	const char *sha256 = custos_json_text(c->state.genesis, "trust_sha256");
	if (sha256 == NULL)
		return custos_anchors_new_system(ret_anchors, err);
	CUSTOS_AUTO_BUF pem = { 0 };
	CUSTOS_TRY(custos_vault_get_blob(c, "the trust anchors", sha256, &pem, err));
	CUSTOS_AUTO(custos_anchors) *anchors = NULL;
	CUSTOS_TRY(custos_anchors_new(&anchors, err));
	CUSTOS_TRY(custos_anchors_add_pem(anchors, custos_buf_view(&pem), "the custody's trust anchors", err));
	*ret_anchors = CUSTOS_TAKE(anchors);
	return CUSTOS_OK;
}

static custos_rc check_names(const struct custos_json *target, struct custos_bytes leaf, struct custos_err *err)
{
	const struct custos_json *verify = custos_json_get(target, "verify");
	for (size_t i = 0; i < custos_json_count(verify); i++) {
		char name[256];
		custos_target_name_at(target, i, name);
		if (!custos_cert_covers(leaf, name)) {
			custos_rc rc = custos_err_set(err, CUSTOS_E_POLICY, 0, "the certificate does not cover %s, by which %s is verified",
			                              name, custos_json_text(target, "name"));
			custos_err_hint(err, "ask for a certificate with dns:%s, or name what clients use with `target add --sni`", name);
			return rc;
		}
	}
	return CUSTOS_OK;
}

custos_rc custos_release_policy(struct custos_custody *c, const struct custos_consignment *goods, const char *target,
                                struct custos_profile **ret_profile, struct custos_err *err)
{
	const struct custos_json *key, *record;
	CUSTOS_TRY(custos_vault_find_key(c, goods->key, &key, err));
	CUSTOS_TRY(custos_vault_find_target(c, target, &record, err));
	if (!custos_state_is_allowed(key, target)) {
		custos_rc rc = custos_err_set(err, CUSTOS_E_POLICY, 0, "key %s is not allowed to go to %s", goods->key, target);
		custos_err_hint(err, "if it should be: custos key allow %s %s", goods->key, target);
		return rc;
	}
	CUSTOS_AUTO(custos_profile) *profile = NULL;
	CUSTOS_TRY(custos_release_profile(c, record, &profile, err));
	CUSTOS_TRY(custos_profile_accepts(profile, custos_json_text(key, "type"), err));
	CUSTOS_TRY(check_names(record, custos_buf_view(&goods->leaf), err));
	int64_t days = 0;
	CUSTOS_TRY(custos_cert_days_left(custos_buf_view(&goods->leaf), custos_clock_unix(), &days, err));
	if (days < 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "ask the CA for a new certificate and accept it", "the certificate of key %s has expired", goods->key);
	*ret_profile = CUSTOS_TAKE(profile);
	return CUSTOS_OK;
}

struct custos_json *custos_release_host(const struct custos_json *target)
{
	struct custos_json *host = custos_json_object();
	static const char *const members[] = { "name", "address", "hostkeys", "profile_sha256" };
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		custos_json_set(host, members[i], custos_json_ref(custos_json_get(target, members[i])));
	return host;
}

static struct custos_json *intent_fields(const struct custos_release_order *order, const struct custos_release_terms *terms)
{
	struct custos_json *f = custos_json_object();
	custos_json_set_text(f, "key", order->goods->key);
	custos_json_set_text(f, "spki_sha256", order->goods->spki_sha256);
	custos_json_set_hex(f, "container_sha256", terms->container_sha256, CUSTOS_HASH_SIZE);
	custos_json_set_text(f, "leaf_sha256", order->goods->leaf_sha256);
	custos_json_set_text(f, "chain_sha256", order->goods->chain_sha256);
	custos_json_set_hex(f, "courier_point", terms->courier_point, CUSTOS_POINT_SIZE);
	custos_json_set_text(f, "transport", custos_transport_name(terms->transport));
	if (custos_transport_needs_key(terms->transport))
		custos_json_set_hex(f, "courier_key_sha256", terms->courier_key_sha256, CUSTOS_HASH_SIZE);
	custos_json_set_hex(f, "courier_sha256", order->courier_sha256, CUSTOS_HASH_SIZE);
	custos_json_set_text(f, "memory", order->memory_backend);
	custos_json_set(f, "hosts", custos_json_ref(order->hosts));
	if (order->reason != NULL)
		custos_json_set_text(f, "reason", order->reason);
	return f;
}

/* Under the write lock: is everything still as it was when the couriers set out? */
static custos_rc ask_again(struct custos_custody *c, const struct custos_release_order *order, struct custos_err *err)
{
	const struct custos_json *key;
	CUSTOS_TRY(custos_vault_find_key(c, order->goods->key, &key, err));
	const char *container = custos_json_text(key, "container_sha256");
	CUSTOS_REQUIRE(container != NULL && strcmp(container, order->goods->container_sha256) == 0, err, CUSTOS_E_TAMPERED,
	               "the container of key %s is not the one the log names", order->goods->key);
	for (size_t i = 0; i < custos_json_count(order->hosts); i++) {
		const struct custos_json *host = custos_json_at(order->hosts, i), *record;
		CUSTOS_TRY(custos_vault_find_target(c, custos_json_text(host, "name"), &record, err));
		CUSTOS_AUTO(custos_json) *now = custos_release_host(record);
		CUSTOS_REQUIRE(custos_json_equal(host, now), err, CUSTOS_E_POLICY, "target %s was changed meanwhile", custos_json_text(host, "name"));
		CUSTOS_AUTO(custos_profile) *profile = NULL;
		CUSTOS_TRY(custos_release_policy(c, order->goods, custos_json_text(host, "name"), &profile, err));
	}
	return CUSTOS_OK;
}

custos_rc custos_vault_commit_intent(struct custos_custody *c, const struct custos_json *fields, const struct custos_release_terms *terms, struct custos_log_intent *ret_intent,
                                     struct custos_err *err)
{
	custos_rc rc = custos_vault_adopt_unsigned(c, err);
	if (rc == CUSTOS_OK)
		rc = custos_log_commit_release(c->log, &c->signer, fields, terms, ret_intent, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(c);
		return rc;
	}
	CUSTOS_AUTO(custos_json) *entry = NULL;
	CUSTOS_TRY(custos_json_parse(custos_buf_view(&ret_intent->leaf), "the intent", &entry, err));
	return custos_state_apply(&c->state, ret_intent->index, entry, err);
}

struct custos_release_request custos_vault_request(const struct custos_log_intent *intent, const struct custos_token_key_ref *key, const uint8_t *point, struct custos_bytes receivers)
{
	return (struct custos_release_request){
		.key = key,
		.courier_point = point,
		.leaf = custos_buf_view(&intent->leaf),
		.proof = (const uint8_t(*)[CUSTOS_HASH_SIZE])intent->proof,
		.proof_count = intent->proof_count,
		.checkpoint_body = custos_buf_view(&intent->body),
		.hosts_line = receivers,
	};
}

/* A sealed key's content key is sealed by custos-token itself, the only way it knows. */
enum custos_transport custos_release_transport(const struct custos_consignment *goods, const struct custos_token *token)
{
	return token == NULL || goods->material.class == CUSTOS_CLASS_SEALED ? CUSTOS_TRANSPORT_ECDH_P256 : custos_token_info(token)->transport;
}

custos_rc custos_release_execute(struct custos_custody *c, const struct custos_release_order *order, uint64_t *ret_intent,
                                 struct custos_release_parcel *ret_parcel, struct custos_err *err)
{
	struct custos_token *token;
	struct custos_release_terms terms = { .kind = CUSTOS_INTENT_RELEASE, .transport = order->transport };
	CUSTOS_AUTO_BUF hosts_line = { 0 };
	bool sealed = order->goods->material.class == CUSTOS_CLASS_SEALED;
	CUSTOS_TRY(custos_vault_token_for(c, &order->goods->material, &token, err));
	if (sealed)
		CUSTOS_TRY(custos_sealing_open(c, token, err));
	CUSTOS_TRY(custos_json_line(order->hosts, &hosts_line, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&hosts_line), terms.hosts_sha256, err));
	CUSTOS_TRY(custos_sha256(order->goods->material.ref.container, terms.container_sha256, err));
	memcpy(terms.courier_point, order->courier_point, CUSTOS_POINT_SIZE);
	if (order->courier_key.len > 0)
		CUSTOS_TRY(custos_sha256(order->courier_key, terms.courier_key_sha256, err));
	/* nothing is logged that this token would not do */
	enum custos_transport transport = custos_release_transport(order->goods, token);
	CUSTOS_REQUIRE(order->transport == transport, err, CUSTOS_E_POLICY, "the courier was told another transport than %s", custos_transport_name(transport));

	CUSTOS_AUTO(custos_json) *fields = intent_fields(order, &terms);
	CUSTOS_CLEANUP(custos_log_intent_done) struct custos_log_intent intent = { 0 };
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = ask_again(c, order, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(c);
		return rc;
	}
	CUSTOS_TRY(custos_vault_commit_intent(c, fields, &terms, &intent, err));
	*ret_intent = intent.index;
	struct custos_release_request request = custos_vault_request(&intent, &order->goods->material.ref, order->courier_point, custos_buf_view(&hosts_line));
	request.courier_key = order->courier_key;
	if (!sealed)
		return custos_token_release(token, intent.permit, &request, ret_parcel, err);
	CUSTOS_TRY(custos_token_release_sealed(token, terms.kind, intent.permit, &request, ret_parcel, err));
	ret_parcel->container = order->goods->material.ref.container;
	return CUSTOS_OK;
}
