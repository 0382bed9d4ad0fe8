/* The fold. An entry that contradicts what came before it cannot have been written by custos: the log is signed, so this
 * is a custody put together from pieces, and it is refused. */
#include "vault/state_step.h"

const struct custos_json *custos_state_key(const struct custos_state *s, const char *name)
{
	return custos_pages_get(s->keys, name);
}

custos_rc custos_state_keys(const struct custos_state *s, const struct custos_json **ret_keys, struct custos_err *err)
{
	return custos_pages_all(s->keys, ret_keys, err);
}

custos_rc custos_state_targets(const struct custos_state *s, const struct custos_json **ret_targets, struct custos_err *err)
{
	return custos_pages_all(s->targets, ret_targets, err);
}

bool custos_state_is(const struct custos_json *record, const char *state)
{
	const char *now = custos_json_text(record, "state");
	return now != NULL && strcmp(now, state) == 0;
}

const struct custos_json *custos_state_target(const struct custos_state *s, const char *name)
{
	return custos_pages_get(s->targets, name);
}

const struct custos_json *custos_state_key_by_spki(const struct custos_state *s, const char *spki_sha256)
{
	const char *name = custos_json_string_value(custos_pages_get(s->names, spki_sha256));
	return name == NULL ? NULL : custos_pages_get(s->keys, name);
}

bool custos_state_has_kek(const struct custos_state *s)
{
	return custos_json_count(s->keks) > 0;
}

custos_rc custos_step_contradicts(const struct custos_step *s, const char *what)
{
	return custos_err_set(s->err, CUSTOS_E_TAMPERED, 0, "log entry %llu (%s) contradicts the entries before it: %s", (unsigned long long)s->index,
	                      custos_json_text(s->entry, "event"), what);
}

void custos_step_copy(struct custos_json *to, const struct custos_json *from, const char *member)
{
	const struct custos_json *value = custos_json_get(from, member);
	if (value != NULL)
		custos_json_set(to, member, custos_json_ref(value));
}

struct custos_json *custos_step_record(const struct custos_step *s)
{
	struct custos_json *record = custos_json_copy(s->entry);
	static const char *const not_here[] = { "event", "index", "key", "v" };
	for (size_t i = 0; i < sizeof not_here / sizeof *not_here; i++)
		custos_json_remove(record, not_here[i]);
	custos_json_set_int(record, "log_index", (int64_t)s->index);
	return record;
}

static custos_rc genesis(struct custos_step *s)
{
	if (s->index != 0 || s->state->genesis != NULL)
		return custos_step_contradicts(s, "a custody begins once");
	s->state->genesis = custos_json_ref(s->entry);
	custos_step_first_kek(s);
	return CUSTOS_OK;
}

static bool holds(const struct custos_json *texts, const char *text)
{
	for (size_t i = 0; i < custos_json_count(texts); i++)
		if (strcmp(custos_json_string_value(custos_json_at(texts, i)), text) == 0)
			return true;
	return false;
}

bool custos_state_is_allowed(const struct custos_json *key, const char *target)
{
	return holds(custos_json_get(key, "targets"), target);
}

static custos_rc key_allow(struct custos_step *s)
{
	struct custos_json *key;
	CUSTOS_TRY(custos_step_live_key(s, &key));
	struct custos_json *allowed = custos_json_child(key, "targets");
	const struct custos_json *more = custos_json_get(s->entry, "targets");
	for (size_t i = 0; i < custos_json_count(more); i++) {
		const char *name = custos_json_string_value(custos_json_at(more, i));
		/* a permission for a name that is nobody's yet would be one for whatever host gets it */
		if (name == NULL || custos_pages_get(s->state->targets, name) == NULL)
			return custos_step_contradicts(s, "there is no such target");
		if (!holds(allowed, name))
			custos_json_push(allowed, custos_json_string(name));
	}
	return CUSTOS_OK;
}

/* What the entry says of the key goes under one name in the key's record. */
static custos_rc key_member(struct custos_step *s, const char *member)
{
	struct custos_json *key;
	CUSTOS_TRY(custos_step_live_key(s, &key));
	custos_json_set(key, member, custos_step_record(s));
	return CUSTOS_OK;
}

static custos_rc csr_create(struct custos_step *s)
{
	return key_member(s, "csr");
}

static custos_rc cert_accept(struct custos_step *s)
{
	return key_member(s, "certificate");
}

static custos_rc target_add(struct custos_step *s)
{
	const struct custos_json *record = custos_json_get(s->entry, "target");
	const char *name = custos_json_text(record, "name");
	if (name == NULL || custos_pages_get(s->state->targets, name) != NULL)
		return custos_step_contradicts(s, "the target exists already");
	struct custos_json *target = custos_json_copy(record);
	custos_json_set_int(target, "log_index", (int64_t)s->index);
	custos_pages_set(s->state->targets, name, target);
	return CUSTOS_OK;
}

static custos_rc target_remove(struct custos_step *s)
{
	const char *name = custos_json_text(s->entry, "target");
	if (name == NULL || custos_pages_get(s->state->targets, name) == NULL)
		return custos_step_contradicts(s, "there is no such target");
	custos_pages_remove(s->state->targets, name);
	/* a host added later under the same name is another host: no key may go there by an old permission */
	const struct custos_json *keys;
	CUSTOS_TRY(custos_state_keys(s->state, &keys, s->err));
	for (void *it = custos_json_first(keys); it != NULL; it = custos_json_next(keys, it)) {
		if (!custos_state_is_allowed(custos_json_value(it), name))
			continue;
		struct custos_json *key = custos_pages_edit(s->state->keys, custos_json_key(it)), *left = custos_json_array();
		const struct custos_json *allowed = custos_json_get(key, "targets");
		for (size_t i = 0; i < custos_json_count(allowed); i++)
			if (strcmp(custos_json_string_value(custos_json_at(allowed, i)), name) != 0)
				custos_json_push(left, custos_json_ref(custos_json_at(allowed, i)));
		custos_json_set(key, "targets", left);
	}
	return CUSTOS_OK;
}

/* A host of an intent: a target, named once, and for a release one that the key was allowed for. */
static custos_rc check_host(const struct custos_step *s, const struct custos_json *named, size_t i, const struct custos_json *key)
{
	const char *name = custos_json_text(custos_json_at(named, i), "name");
	if (name == NULL || custos_pages_get(s->state->targets, name) == NULL)
		return custos_step_contradicts(s, "it names a host that is no target");
	for (size_t k = 0; k < i; k++)
		if (strcmp(custos_json_text(custos_json_at(named, k), "name"), name) == 0)
			return custos_step_contradicts(s, "it names a host twice");
	if (key != NULL && !custos_state_is_allowed(key, name))
		return custos_step_contradicts(s, "the key is not allowed to go to that host");
	return CUSTOS_OK;
}

static custos_rc check_intent(const struct custos_step *s)
{
	struct custos_json *key = NULL;
	const struct custos_json *named = custos_json_get(s->entry, "hosts");
	if (strcmp(custos_json_text(s->entry, "event"), "release.intent") == 0) {
		CUSTOS_TRY(custos_step_live_key(s, &key));
		if (!custos_json_equal(custos_json_get(key, "container_sha256"), custos_json_get(s->entry, "container_sha256")))
			return custos_step_contradicts(s, "the container is not that of the key");
	}
	if (!custos_json_is_array(named) || custos_json_count(named) == 0)
		return custos_step_contradicts(s, "it names no host");
	for (size_t i = 0; i < custos_json_count(named); i++)
		CUSTOS_TRY(check_host(s, named, i, key));
	return CUSTOS_OK;
}

static custos_rc intent(struct custos_step *s)
{
	CUSTOS_TRY(check_intent(s));
	struct custos_json *release = custos_json_object(), *hosts = custos_json_array();
	custos_json_set_int(release, "index", (int64_t)s->index);
	static const char *const members[] = { "event", "time", "key", "spki_sha256", "leaf_sha256", "chain_sha256", "container_sha256", "reason" };
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		custos_step_copy(release, s->entry, members[i]);
	const struct custos_json *named = custos_json_get(s->entry, "hosts");
	for (size_t i = 0; i < custos_json_count(named); i++) {
		struct custos_json *host = custos_json_object();
		custos_json_set_text(host, "target", custos_json_text(custos_json_at(named, i), "name"));
		custos_json_set(host, "result", NULL);
		custos_json_push(hosts, host);
	}
	custos_json_set(release, "hosts", hosts);
	custos_json_set_text(release, "state", "open");
	custos_json_push(s->state->releases, release);
	return CUSTOS_OK;
}

/* From the end: what an outcome belongs to is seldom old. */
static struct custos_json *find_release(const struct custos_state *state, int64_t index)
{
	for (size_t i = custos_json_count(state->releases); i-- > 0;)
		if (custos_json_int(custos_json_at(state->releases, i), "index", -1) == index)
			return custos_json_item(state->releases, i);
	return NULL;
}

/* The target's record remembers what was delivered last, so that the way back can be found. */
static void remember_deployed(struct custos_step *s, const struct custos_json *release, const char *name)
{
	struct custos_json *target = custos_pages_edit(s->state->targets, name);
	if (target == NULL)
		return;
	struct custos_json *deployed = custos_json_object();
	const struct custos_json *before = custos_json_get(target, "deployed");
	static const char *const from_release[] = { "key", "spki_sha256", "leaf_sha256", "chain_sha256", "container_sha256" };
	for (size_t i = 0; i < sizeof from_release / sizeof *from_release; i++)
		custos_step_copy(deployed, release, from_release[i]);
	static const char *const from_outcome[] = { "time", "previous_leaf_sha256", "backup" };
	for (size_t i = 0; i < sizeof from_outcome / sizeof *from_outcome; i++)
		custos_step_copy(deployed, s->entry, from_outcome[i]);
	custos_json_set_int(deployed, "log_index", (int64_t)s->index);
	const char *served_before = custos_json_text(s->entry, "previous_leaf_sha256"), *ours_before = custos_json_text(before, "leaf_sha256");
	if (served_before != NULL && ours_before != NULL && strcmp(served_before, ours_before) == 0) {
		struct custos_json *previous = custos_json_copy(before);
		custos_json_remove(previous, "previous");
		custos_json_set(deployed, "previous", previous);
	}
	custos_json_set(target, "deployed", deployed);
}

/* Outcomes may stand unsigned, so whoever can write the store can append one: each host has one, of the intent's kind. */
static custos_rc check_outcome(const struct custos_step *s, const struct custos_json *release, const struct custos_json *host)
{
	const char *event = custos_json_text(s->entry, "event"), *opened = custos_json_text(release, "event");
	size_t kind = (size_t)(strchr(opened, '.') - opened);
	if (host == NULL)
		return custos_step_contradicts(s, "the intent does not name this host");
	if (strcmp(event, "release.unknown") != 0 && strncmp(event, opened, kind + 1) != 0)
		return custos_step_contradicts(s, "the intent is of another kind");
	if (custos_json_text(host, "result") != NULL)
		return custos_step_contradicts(s, "the host has its outcome already");
	return CUSTOS_OK;
}

static const char *state_of_hosts(const struct custos_json *hosts)
{
	bool open = false, unknown = false;
	for (size_t i = 0; i < custos_json_count(hosts); i++) {
		const char *result = custos_json_text(custos_json_at(hosts, i), "result");
		open |= result == NULL;
		unknown |= result != NULL && strcmp(result, "unknown") == 0;
	}
	return open ? "open" : unknown ? "unknown" : "closed";
}

/* A host whose last outcome was bad is remembered until a good one, or until a person resolves it. */
static void set_attention(struct custos_step *s, const char *target, const char *event)
{
	struct custos_json *record = custos_pages_edit(s->state->targets, target);
	static const char *const bad[] = { "release.not_rolled_back", "release.unknown", "rollback.failed" };
	if (record == NULL || strcmp(event, "release.untouched") == 0)
		return;
	custos_json_remove(record, "attention");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (strcmp(event, bad[i]) == 0)
			custos_json_set_text(record, "attention", event);
}

static custos_rc outcome(struct custos_step *s)
{
	const char *event = custos_json_text(s->entry, "event"), *name = custos_json_text(s->entry, "target");
	struct custos_json *release = find_release(s->state, custos_json_int(s->entry, "intent", -1)), *host = NULL;
	if (release == NULL || name == NULL)
		return custos_step_contradicts(s, "there is no such intent");
	struct custos_json *hosts = custos_json_child(release, "hosts");
	for (size_t i = 0; i < custos_json_count(hosts); i++)
		if (strcmp(custos_json_text(custos_json_at(hosts, i), "target"), name) == 0)
			host = custos_json_item(hosts, i);
	CUSTOS_TRY(check_outcome(s, release, host));
	custos_json_set_text(host, "result", strchr(event, '.') + 1);
	custos_json_set_int(host, "log_index", (int64_t)s->index);
	/* a person's word on the whole stands */
	if (strcmp(custos_json_text(release, "state"), "resolved") != 0)
		custos_json_set_text(release, "state", state_of_hosts(hosts));
	set_attention(s, name, event);
	if (strcmp(event, "release.done") == 0)
		remember_deployed(s, release, name);
	else if (strcmp(event, "rollback.done") == 0) {
		struct custos_json *target = custos_pages_edit(s->state->targets, name);
		if (target != NULL)
			custos_json_remove(target, "deployed");
	}
	return CUSTOS_OK;
}

static custos_rc resolved(struct custos_step *s)
{
	struct custos_json *release = find_release(s->state, custos_json_int(s->entry, "intent", -1));
	if (release == NULL)
		return custos_step_contradicts(s, "there is no such intent");
	const char *state = custos_json_text(release, "state");
	if (strcmp(state, "open") != 0 && strcmp(state, "unknown") != 0)
		return custos_step_contradicts(s, "nothing is left to resolve");
	custos_json_set_text(release, "state", "resolved");
	const struct custos_json *hosts = custos_json_get(release, "hosts");
	for (size_t i = 0; i < custos_json_count(hosts); i++)
		set_attention(s, custos_json_text(custos_json_at(hosts, i), "target"), "release.resolved");
	custos_step_copy(release, s->entry, "as");
	custos_step_copy(release, s->entry, "note");
	return CUSTOS_OK;
}

static const struct {
	const char *event;
	custos_rc (*apply)(struct custos_step *s);
} events[] = {
	{ "custody.genesis", genesis },
	{ "key.generate", custos_step_key_generate },
	{ "key.open_intent", custos_step_open_intent },
	{ "key.import_intent", custos_step_import_intent },
	{ "key.imported", custos_step_key_imported },
	{ "key.drilled", custos_step_key_drilled },
	{ "key.drill_failed", custos_step_key_drilled },
	{ "key.exported", custos_step_key_exported },
	{ "key.destroy_intent", custos_step_destroy_intent },
	{ "key.destroyed", custos_step_key_destroyed },
	{ "key.restored", custos_step_key_restored },
	{ "kek.generate_intent", custos_step_kek_intent },
	{ "kek.backup_intent", custos_step_kek_backup_intent },
	{ "kek.generated", custos_step_kek_generated },
	{ "key.rewrapped", custos_step_key_rewrapped },
	{ "kek.retire_intent", custos_step_kek_retire_intent },
	{ "kek.retired", custos_step_kek_retired },
	{ "kek.restored", custos_step_kek_restored },
	{ "key.allow", key_allow },
	{ "csr.create", csr_create },
	{ "cert.accept", cert_accept },
	{ "target.add", target_add },
	{ "target.remove", target_remove },
	{ "release.intent", intent },
	{ "rollback.intent", intent },
	{ "release.done", outcome },
	{ "release.rolled_back", outcome },
	{ "release.not_rolled_back", outcome },
	{ "release.untouched", outcome },
	{ "release.unknown", outcome },
	{ "rollback.done", outcome },
	{ "rollback.failed", outcome },
	{ "release.resolved", resolved },
};

static custos_rc apply(struct custos_step *step)
{
	const char *event = custos_json_text(step->entry, "event");
	CUSTOS_REQUIRE(event != NULL, step->err, CUSTOS_E_TAMPERED, "log entry %llu has no event", (unsigned long long)step->index);
	if (step->state->genesis == NULL && strcmp(event, "custody.genesis") != 0)
		return custos_step_contradicts(step, "a log begins with custody.genesis");
	step->state->next = UINT64_MAX;
	for (size_t i = 0; i < sizeof events / sizeof *events; i++)
		if (strcmp(events[i].event, event) == 0)
			CUSTOS_TRY(events[i].apply(step));
	return CUSTOS_OK;
}

custos_rc custos_state_apply(struct custos_state *state, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	struct custos_err why = { 0 };
	struct custos_step step = { state, index, entry, &why };
	custos_rc rc = apply(&step);
	/* what could not be read is not what the entry contradicts */
	CUSTOS_TRY(custos_state_check(state, err));
	if (rc != CUSTOS_OK)
		CUSTOS_FAIL_HINT(err, rc, why.hint, "%s", why.msg);
	state->next = index + 1;
	return CUSTOS_OK;
}
