/* The fold over hand-made entries: what a custody knows after each, and every way in which an entry can contradict those before it.
 * Entries may be malformed as well: outcomes may stand unsigned, so whoever can write the store can write one. */
#include "vault/state.h"

#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>

#define SPKI_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SPKI_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define BOX_A "a0a0"
#define BOX_B "b0b0"

struct fold {
	struct custos_state state;
	uint64_t next;
	struct custos_err err;
};

static int set_up(void **state)
{
	struct fold *f = calloc(1, sizeof *f);
	*state = f;
	return custos_state_start(&f->state, NULL) != CUSTOS_OK;
}

static int tear_down(void **state)
{
	struct fold *f = *state;
	custos_state_done(&f->state);
	free(f);
	return 0;
}

/* Entries are written with single quotes. */
static custos_rc apply(struct fold *f, uint64_t index, const char *entry)
{
	CUSTOS_AUTO_STR *text = custos_text_dup(entry);
	CUSTOS_AUTO(custos_json) *json = NULL;
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	custos_err_clear(&f->err);
	if (custos_json_parse(CUSTOS_BYTES_STR(text), "test", &json, &f->err) != CUSTOS_OK)
		fail_msg("%s in %s", f->err.msg, entry);
	return custos_state_apply(&f->state, index, json, &f->err);
}

static void good(struct fold *f, const char *entry)
{
	if (apply(f, f->next, entry) != CUSTOS_OK)
		fail_msg("%s", f->err.msg);
	f->next++;
}

static void bad(struct fold *f, const char *entry, const char *why)
{
	custos_rc rc = apply(f, f->next, entry);
	if (rc != CUSTOS_E_TAMPERED || strstr(f->err.msg, why) == NULL)
		fail_msg("%s: %s (%s)", entry, custos_rc_name(rc), f->err.msg);
	char index[32];
	snprintf(index, sizeof index, "log entry %llu", (unsigned long long)f->next);
	assert_non_null(strstr(f->err.msg, index));
}

/* Two keys, three hosts; a may go to one and two, b to two. */
static void furnish(struct fold *f)
{
	good(f, "{'event':'custody.genesis','origin':'log.example/x'}");
	good(f, "{'event':'key.generate','key':'a','time':'2026-01-01T00:00:00Z','type':'rsa-2048','class':'deployable','evil':1,"
	        "'spki_sha256':'" SPKI_A "','container_sha256':'" BOX_A "'}");
	good(f, "{'event':'key.generate','key':'b','type':'ec-p256','spki_sha256':'" SPKI_B "','container_sha256':'" BOX_B "'}");
	good(f, "{'event':'target.add','target':{'name':'one','address':'192.0.2.1:22','hostkeys':['SHA256:x']}}");
	good(f, "{'event':'target.add','target':{'name':'two','address':'192.0.2.2:22'}}");
	good(f, "{'event':'target.add','target':{'name':'three'}}");
	good(f, "{'event':'key.allow','key':'a','targets':['one','two']}");
	good(f, "{'event':'key.allow','key':'b','targets':['two']}");
}

#define INTENT_A(hosts) "{'event':'release.intent','key':'a','container_sha256':'" BOX_A "','leaf_sha256':'1eaf','chain_sha256':'c4a1','hosts':" hosts "}"

static const struct custos_json *release(const struct fold *f, size_t i)
{
	return custos_json_at(f->state.releases, i);
}

static const char *result(const struct fold *f, size_t i, size_t host)
{
	return custos_json_text(custos_json_at(custos_json_get(release(f, i), "hosts"), host), "result");
}

static void assert_release(const struct fold *f, size_t i, const char *state)
{
	assert_string_equal(custos_json_text(release(f, i), "state"), state);
}

static bool allows(const struct fold *f, const char *key, const char *target)
{
	const struct custos_json *allowed = custos_json_get(custos_state_key(&f->state, key), "targets");
	for (size_t i = 0; i < custos_json_count(allowed); i++)
		if (strcmp(custos_json_string_value(custos_json_at(allowed, i)), target) == 0)
			return true;
	return false;
}

static void it_begins_once_and_with_genesis(void **state)
{
	struct fold *f = *state;
	bad(f, "{'event':'key.generate','key':'a'}", "begins with custody.genesis");
	bad(f, "{'event':'token.login_failed'}", "begins with custody.genesis");
	bad(f, "{'event':'something.new'}", "begins with custody.genesis");
	bad(f, "{}", "no event");
	bad(f, "{'event':7}", "no event");
	f->next = 5;
	/* not as a later entry either */
	bad(f, "{'event':'key.generate','key':'a'}", "begins with custody.genesis");
	bad(f, "{'event':'custody.genesis'}", "begins once");
	f->next = 0;
	good(f, "{'event':'custody.genesis','kek':{'id':'00'}}");
	assert_string_equal(custos_json_text(custos_json_get(f->state.genesis, "kek"), "id"), "00");
	assert_true(custos_state_has_kek(&f->state));
	bad(f, "{'event':'custody.genesis'}", "begins once");
	f->next = 0;
	bad(f, "{'event':'custody.genesis'}", "begins once");
}

#define OPENING(key, box, purpose) "{'event':'key.open_intent','key':'" key "','spki_sha256':'cc','container_sha256':'" box "','purpose':'" purpose "','hosts':[]}"

/* Goal: a sealed key is opened as the key it is, while it is one; at its birth it has no name yet, and at its return it may be destroyed. */
static void sealed_keys_are_opened_as_themselves(void **state)
{
	struct fold *f = *state;
	furnish(f);
	good(f, OPENING("a", BOX_A, "drill"));
	bad(f, OPENING("a", BOX_B, "drill"), "not that of the key");
	bad(f, OPENING("nobody", BOX_A, "request"), "no such key");
	good(f, OPENING("new", BOX_A, "birth"));
	assert_null(custos_state_key(&f->state, "new"));
	bad(f, OPENING("a", BOX_A, "birth"), "exists already");
	good(f, "{'event':'key.destroy_intent','key':'b','reason':'x'}");
	bad(f, OPENING("b", BOX_B, "request"), "is destroyed");
	good(f, OPENING("b", BOX_B, "restore"));
}

/* Goal: a custody on a token that cannot wrap has no KEK, and one whose genesis forgot it has none either. */
static void without_a_kek(void **state)
{
	struct fold *f = *state;
	assert_false(custos_state_has_kek(&f->state));
	good(f, "{'event':'custody.genesis','kek':null}");
	assert_false(custos_state_has_kek(&f->state));
}

static void keys_appear_once(void **state)
{
	struct fold *f = *state;
	furnish(f);
	const struct custos_json *a = custos_state_key(&f->state, "a");
	assert_string_equal(custos_json_text(a, "name"), "a");
	assert_string_equal(custos_json_text(a, "type"), "rsa-2048");
	assert_string_equal(custos_json_text(a, "created"), "2026-01-01T00:00:00Z");
	assert_int_equal(custos_json_int(a, "log_index", -1), 1);
	assert_null(custos_json_get(a, "evil"));
	bad(f, "{'event':'key.generate','key':'a','spki_sha256':'cc'}", "exists already");
	bad(f, "{'event':'key.generate','spki_sha256':'cc'}", "exists already");
	bad(f, "{'event':'key.generate','key':7,'spki_sha256':'cc'}", "exists already");
	/* identity is the public key: one key under two names would have two lists of targets */
	bad(f, "{'event':'key.generate','key':'c','spki_sha256':'" SPKI_A "','container_sha256':'c0'}", "another name");
	assert_null(custos_state_key(&f->state, "c"));
	assert_ptr_equal(custos_state_key_by_spki(&f->state, SPKI_B), custos_state_key(&f->state, "b"));
	assert_null(custos_state_key_by_spki(&f->state, "cc"));
}

/* The key that another one takes the place of is there, whatever has become of it. */
static void a_key_renews_one_that_is_there(void **state)
{
	struct fold *f = *state;
	furnish(f);
	bad(f, "{'event':'key.generate','key':'n.2','renews':'n','spki_sha256':'cc'}", "it renews a key that does not exist");
	/* nor itself */
	bad(f, "{'event':'key.generate','key':'n','renews':'n','spki_sha256':'cc'}", "it renews a key that does not exist");
	good(f, "{'event':'key.generate','key':'a.2','renews':'a','spki_sha256':'cc'}");
	assert_string_equal(custos_json_text(custos_state_key(&f->state, "a.2"), "renews"), "a");
	assert_null(custos_json_get(custos_state_key(&f->state, "a"), "renews"));
	/* where it may go is said by entries of its own */
	assert_int_equal(custos_json_count(custos_json_get(custos_state_key(&f->state, "a.2"), "targets")), 0);
}

static void permission_is_added_and_lost_with_the_target(void **state)
{
	struct fold *f = *state;
	furnish(f);
	assert_true(allows(f, "a", "one") && allows(f, "a", "two") && !allows(f, "a", "three") && !allows(f, "b", "one"));
	good(f, "{'event':'key.allow','key':'a','targets':['one','three','one']}");
	assert_int_equal(custos_json_count(custos_json_get(custos_state_key(&f->state, "a"), "targets")), 3);
	bad(f, "{'event':'key.allow','key':'nobody','targets':['one']}", "no such key");
	bad(f, "{'event':'key.allow','targets':['one']}", "no such key");
	/* a permission in advance would be one for whatever host gets the name */
	bad(f, "{'event':'key.allow','key':'a','targets':['four']}", "no such target");
	bad(f, "{'event':'key.allow','key':'b','targets':['one','four']}", "no such target");
	bad(f, "{'event':'key.allow','key':'b','targets':[1]}", "no such target");
	bad(f, "{'event':'key.allow','key':'b','targets':[null]}", "no such target");
	bad(f, "{'event':'key.allow','key':'b','targets':[['one']]}", "no such target");
	bad(f, "{'event':'key.allow','key':'b','targets':{'one':'one'}}", "no such target");
	/* whatever is no list allows nothing */
	good(f, "{'event':'key.allow','key':'b','targets':'three'}");
	good(f, "{'event':'key.allow','key':'b'}");
	assert_false(allows(f, "a", "four") || allows(f, "b", "three"));

	good(f, "{'event':'target.remove','target':'two'}");
	assert_null(custos_state_target(&f->state, "two"));
	assert_false(allows(f, "a", "two") || allows(f, "b", "two"));
	assert_true(allows(f, "a", "one") && allows(f, "a", "three"));
	/* another host under the old name */
	good(f, "{'event':'target.add','target':{'name':'two','address':'192.0.2.66:22'}}");
	assert_false(allows(f, "a", "two"));
	bad(f, INTENT_A("[{'name':'two'}]"), "not allowed");
}

static void targets_appear_and_go_once(void **state)
{
	struct fold *f = *state;
	furnish(f);
	assert_int_equal(custos_json_int(custos_state_target(&f->state, "one"), "log_index", -1), 3);
	bad(f, "{'event':'target.add','target':{'name':'one','address':'192.0.2.66:22'}}", "exists already");
	bad(f, "{'event':'target.add','target':{}}", "exists already");
	bad(f, "{'event':'target.add','target':'four'}", "exists already");
	bad(f, "{'event':'target.add'}", "exists already");
	bad(f, "{'event':'target.remove','target':'four'}", "no such target");
	bad(f, "{'event':'target.remove','target':{'name':'one'}}", "no such target");
	bad(f, "{'event':'target.remove'}", "no such target");
	assert_string_equal(custos_json_text(custos_state_target(&f->state, "one"), "address"), "192.0.2.1:22");
	good(f, "{'event':'target.remove','target':'one'}");
	bad(f, "{'event':'target.remove','target':'one'}", "no such target");
}

static void requests_and_certificates_belong_to_a_key(void **state)
{
	struct fold *f = *state;
	furnish(f);
	bad(f, "{'event':'csr.create','key':'nobody'}", "no such key");
	bad(f, "{'event':'cert.accept','key':'nobody'}", "no such key");
	bad(f, "{'event':'cert.accept'}", "no such key");
	good(f, "{'event':'csr.create','v':1,'index':8,'key':'a','subject':'CN=x'}");
	good(f, "{'event':'cert.accept','key':'a','leaf_sha256':'01'}");
	good(f, "{'event':'cert.accept','key':'a','leaf_sha256':'02'}");
	const struct custos_json *a = custos_state_key(&f->state, "a"), *csr = custos_json_get(a, "csr");
	assert_string_equal(custos_json_text(csr, "subject"), "CN=x");
	assert_int_equal(custos_json_int(csr, "log_index", -1), 8);
	assert_null(custos_json_get(csr, "key"));
	assert_null(custos_json_get(csr, "event"));
	assert_string_equal(custos_json_text(custos_json_get(a, "certificate"), "leaf_sha256"), "02");
}

static void an_intent_that_could_not_have_been_permitted(void **state)
{
	struct fold *f = *state;
	furnish(f);
	bad(f, "{'event':'release.intent','key':'nobody','container_sha256':'" BOX_A "','hosts':[{'name':'one'}]}", "no such key");
	bad(f, "{'event':'release.intent','container_sha256':'" BOX_A "','hosts':[{'name':'one'}]}", "no such key");
	/* the container of another key under this one's name */
	bad(f, "{'event':'release.intent','key':'a','container_sha256':'" BOX_B "','hosts':[{'name':'one'}]}", "container");
	bad(f, "{'event':'release.intent','key':'a','hosts':[{'name':'one'}]}", "container");
	bad(f, INTENT_A("[{'name':'three'}]"), "not allowed");
	bad(f, INTENT_A("[{'name':'one'},{'name':'three'}]"), "not allowed");
	bad(f, INTENT_A("[{'name':'four'}]"), "no target");
	bad(f, INTENT_A("[{'name':'one'},{'name':'one'}]"), "twice");
	bad(f, INTENT_A("[]"), "no host");
	bad(f, INTENT_A("{'name':'one'}"), "no host");
	bad(f, INTENT_A("null"), "no host");
	bad(f, INTENT_A("['one']"), "no target");
	bad(f, INTENT_A("[{}]"), "no target");
	bad(f, INTENT_A("[{'name':null}]"), "no target");
	bad(f, "{'event':'rollback.intent','key':'a','hosts':[{'name':'four'}]}", "no target");
	bad(f, "{'event':'rollback.intent','key':'a'}", "no host");
	assert_int_equal(custos_json_count(f->state.releases), 0);
}

/* A sign-only key has no container: leaving the member out on both sides must not make an intent of it. */
static void a_sign_only_key_goes_nowhere(void **state)
{
	struct fold *f = *state;
	furnish(f);
	good(f, "{'event':'key.generate','key':'s','class':'sign-only','spki_sha256':'55'}");
	good(f, "{'event':'key.allow','key':'s','targets':['one']}");
	bad(f, "{'event':'release.intent','key':'s','hosts':[{'name':'one'}]}", "container");
}

static void a_release_is_open_until_every_host_is_told(void **state)
{
	struct fold *f = *state;
	furnish(f);
	good(f, INTENT_A("[{'name':'one'},{'name':'two'}]"));
	assert_release(f, 0, "open");
	assert_int_equal(custos_json_int(release(f, 0), "index", -1), 8);
	assert_null(result(f, 0, 0));
	good(f, "{'event':'release.done','intent':8,'target':'two'}");
	assert_release(f, 0, "open");
	assert_string_equal(result(f, 0, 1), "done");
	good(f, "{'event':'release.rolled_back','intent':8,'target':'one'}");
	assert_release(f, 0, "closed");
	assert_string_equal(result(f, 0, 0), "rolled_back");
	/* only what was deployed is remembered as deployed */
	assert_null(custos_json_get(custos_state_target(&f->state, "one"), "deployed"));
	assert_string_equal(custos_json_text(custos_json_get(custos_state_target(&f->state, "two"), "deployed"), "key"), "a");
}

/* Outcomes say how many logins were signed; those of custos before it counted them do not. Both close a release, and neither decides anything. */
static void logins_are_for_the_record(void **state)
{
	static const char *const forms[] = { "", ",'login_signatures':0", ",'login_signatures':2", ",'login_signatures':'many'" };
	char entry[256];
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct fold *f = *state;
		custos_state_done(&f->state);
		assert_int_equal(custos_state_start(&f->state, NULL), CUSTOS_OK);
		f->next = 0;
		furnish(f);
		good(f, INTENT_A("[{'name':'one'},{'name':'two'}]"));
		snprintf(entry, sizeof entry, "{'event':'release.done','intent':8,'target':'one'%s}", forms[i]);
		good(f, entry);
		snprintf(entry, sizeof entry, "{'event':'release.untouched','intent':8,'target':'two'%s}", forms[i]);
		good(f, entry);
		assert_release(f, 0, "closed");
		assert_string_equal(custos_json_text(custos_json_get(custos_state_target(&f->state, "one"), "deployed"), "key"), "a");
		good(f, "{'event':'rollback.intent','key':'a','hosts':[{'name':'one'}]}");
		snprintf(entry, sizeof entry, "{'event':'rollback.done','intent':11,'target':'one'%s}", forms[i]);
		good(f, entry);
		assert_release(f, 1, "closed");
		assert_null(custos_json_get(custos_state_target(&f->state, "one"), "deployed"));
	}
}

static void an_unknown_outcome_waits_for_a_person(void **state)
{
	struct fold *f = *state;
	furnish(f);
	good(f, INTENT_A("[{'name':'one'},{'name':'two'}]"));
	good(f, "{'event':'release.unknown','intent':8,'target':'one'}");
	assert_release(f, 0, "open");
	good(f, "{'event':'release.done','intent':8,'target':'two'}");
	assert_release(f, 0, "unknown");
	bad(f, "{'event':'release.resolved','intent':7,'as':'done'}", "no such intent");
	bad(f, "{'event':'release.resolved','as':'done'}", "no such intent");
	good(f, "{'event':'release.resolved','intent':8,'as':'failed','note':'looked at it'}");
	assert_release(f, 0, "resolved");
	assert_string_equal(custos_json_text(release(f, 0), "as"), "failed");
	bad(f, "{'event':'release.resolved','intent':8,'as':'done'}", "nothing is left to resolve");
	assert_string_equal(custos_json_text(release(f, 0), "as"), "failed");
}

static void what_is_closed_cannot_be_resolved(void **state)
{
	struct fold *f = *state;
	furnish(f);
	good(f, INTENT_A("[{'name':'one'}]"));
	good(f, "{'event':'release.not_rolled_back','intent':8,'target':'one'}");
	assert_release(f, 0, "closed");
	bad(f, "{'event':'release.resolved','intent':8,'as':'done'}", "nothing is left to resolve");
}

/* A person has spoken while the release was still under way: their word stays, the outcome is noted. */
static void a_late_outcome_does_not_reopen(void **state)
{
	struct fold *f = *state;
	furnish(f);
	good(f, INTENT_A("[{'name':'one'},{'name':'two'}]"));
	good(f, "{'event':'release.resolved','intent':8,'as':'failed'}");
	good(f, "{'event':'release.unknown','intent':8,'target':'one'}");
	assert_release(f, 0, "resolved");
	assert_string_equal(result(f, 0, 0), "unknown");
}

/* The cheat that matters: an unsigned entry that makes a failure a success, or plants a "backup" for the next roll-back. */
static void a_second_outcome_is_refused(void **state)
{
	static const char *const seconds[] = { "release.done", "release.rolled_back", "release.not_rolled_back", "release.untouched",
		"release.unknown" };
	struct fold *f = *state;
	char entry[256];
	furnish(f);
	good(f, INTENT_A("[{'name':'one'},{'name':'two'}]"));
	good(f, "{'event':'release.not_rolled_back','intent':8,'target':'one'}");
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		snprintf(entry, sizeof entry, "{'event':'%s','intent':8,'target':'one','backup':'/tmp/evil','previous_leaf_sha256':'ee'}",
			seconds[i]);
		bad(f, entry, "outcome already");
	}
	good(f, "{'event':'release.done','intent':8,'target':'two','backup':'/backup'}");
	bad(f, "{'event':'release.done','intent':8,'target':'two','backup':'/tmp/evil'}", "outcome already");
	assert_string_equal(result(f, 0, 0), "not_rolled_back");
	assert_null(custos_json_get(custos_state_target(&f->state, "one"), "deployed"));
	assert_string_equal(custos_json_text(custos_json_get(custos_state_target(&f->state, "two"), "deployed"), "backup"), "/backup");
}

/* Whoever feeds the fold can see whether it stands where the log does. */
static void it_knows_where_it_stands(void **state)
{
	struct fold *f = *state;
	assert_true(f->state.next == 0);
	furnish(f);
	assert_true(f->state.next == 8);
	good(f, "{'event':'token.repaired'}");
	assert_true(f->state.next == 9);
	bad(f, INTENT_A("[]"), "no host");
	/* an entry that was refused may have been half applied */
	assert_true(f->state.next == UINT64_MAX);
}

static void an_outcome_needs_its_intent(void **state)
{
	struct fold *f = *state;
	furnish(f);
	bad(f, "{'event':'release.done','intent':8,'target':'one'}", "no such intent");
	good(f, INTENT_A("[{'name':'one'}]"));
	static const char *const no_intent[] = {
		"{'event':'release.done','target':'one'}",
		"{'event':'release.done','intent':-1,'target':'one'}",
		"{'event':'release.done','intent':'8','target':'one'}",
		"{'event':'release.done','intent':8.0,'target':'one'}",
		"{'event':'release.done','intent':7,'target':'one'}",
		"{'event':'release.done','intent':9,'target':'one'}",
		"{'event':'release.done','intent':8}",
		"{'event':'release.done','intent':8,'target':['one']}",
	};
	for (size_t i = 0; i < sizeof no_intent / sizeof *no_intent; i++)
		bad(f, no_intent[i], "no such intent");
	bad(f, "{'event':'release.done','intent':8,'target':'two'}", "does not name this host");
	bad(f, "{'event':'release.done','intent':8,'target':''}", "does not name this host");
	assert_release(f, 0, "open");
	assert_null(result(f, 0, 0));
}

static void outcomes_are_of_the_intent_s_kind(void **state)
{
	struct fold *f = *state;
	furnish(f);
	good(f, INTENT_A("[{'name':'one'}]"));
	bad(f, "{'event':'rollback.done','intent':8,'target':'one'}", "another kind");
	bad(f, "{'event':'rollback.failed','intent':8,'target':'one'}", "another kind");
	good(f, "{'event':'release.done','intent':8,'target':'one','backup':'/b','previous_leaf_sha256':'01d'}");
	good(f, "{'event':'rollback.intent','key':'a','hosts':[{'name':'one'}]}");
	bad(f, "{'event':'release.done','intent':10,'target':'one'}", "another kind");
	bad(f, "{'event':'release.rolled_back','intent':10,'target':'one'}", "another kind");
	assert_release(f, 1, "open");
	good(f, "{'event':'rollback.failed','intent':10,'target':'one'}");
	assert_release(f, 1, "closed");
	/* the failed one forgets nothing; the one that worked does */
	assert_non_null(custos_json_get(custos_state_target(&f->state, "one"), "deployed"));
	good(f, "{'event':'rollback.intent','key':'a','hosts':[{'name':'one'}]}");
	good(f, "{'event':'rollback.done','intent':12,'target':'one'}");
	assert_null(custos_json_get(custos_state_target(&f->state, "one"), "deployed"));
	/* what nobody finished is unknown, whatever it was */
	good(f, "{'event':'rollback.intent','key':'a','hosts':[{'name':'one'}]}");
	good(f, "{'event':'release.unknown','intent':14,'target':'one'}");
	assert_release(f, 3, "unknown");
}

/* The way back exists only when what was served before is what custos put there last. */
static void the_previous_pair(void **state)
{
	struct fold *f = *state;
	furnish(f);
	good(f, INTENT_A("[{'name':'two'}]"));
	good(f, "{'event':'release.done','intent':8,'target':'two','time':'t1','previous_leaf_sha256':'factory','backup':'/backup'}");
	good(f, "{'event':'release.intent','key':'b','container_sha256':'" BOX_B "','leaf_sha256':'2eaf','chain_sha256':'c4a2','hosts':[{'name':'two'}]}");
	good(f, "{'event':'release.done','intent':10,'target':'two','time':'t2','previous_leaf_sha256':'1eaf'}");
	const struct custos_json *deployed = custos_json_get(custos_state_target(&f->state, "two"), "deployed"),
		*previous = custos_json_get(deployed, "previous");
	assert_string_equal(custos_json_text(deployed, "key"), "b");
	assert_string_equal(custos_json_text(deployed, "leaf_sha256"), "2eaf");
	assert_string_equal(custos_json_text(previous, "key"), "a");
	assert_string_equal(custos_json_text(previous, "chain_sha256"), "c4a1");
	/* somebody changed the host in between: the pair of ours is not what was there before */
	good(f, INTENT_A("[{'name':'two'}]"));
	good(f, "{'event':'release.done','intent':12,'target':'two','previous_leaf_sha256':'stranger'}");
	deployed = custos_json_get(custos_state_target(&f->state, "two"), "deployed");
	assert_null(custos_json_get(deployed, "previous"));
	/* and the chain of predecessors does not grow with every release */
	good(f, INTENT_A("[{'name':'two'}]"));
	good(f, "{'event':'release.done','intent':14,'target':'two','previous_leaf_sha256':'1eaf'}");
	good(f, INTENT_A("[{'name':'two'}]"));
	good(f, "{'event':'release.done','intent':16,'target':'two','previous_leaf_sha256':'1eaf'}");
	previous = custos_json_get(custos_json_get(custos_state_target(&f->state, "two"), "deployed"), "previous");
	assert_non_null(previous);
	assert_null(custos_json_get(previous, "previous"));
}

static void a_target_that_went_away_meanwhile(void **state)
{
	struct fold *f = *state;
	furnish(f);
	good(f, INTENT_A("[{'name':'one'}]"));
	good(f, "{'event':'target.remove','target':'one'}");
	good(f, "{'event':'release.done','intent':8,'target':'one'}");
	assert_release(f, 0, "closed");
	assert_null(custos_state_target(&f->state, "one"));
}

static void other_events_are_history_only(void **state)
{
	struct fold *f = *state;
	furnish(f);
	const struct custos_json *known;
	assert_int_equal(custos_state_keys(&f->state, &known, NULL), CUSTOS_OK);
	CUSTOS_AUTO(custos_json) *keys = custos_json_copy(known);
	assert_int_equal(custos_state_targets(&f->state, &known, NULL), CUSTOS_OK);
	CUSTOS_AUTO(custos_json) *targets = custos_json_copy(known);
	good(f, "{'event':'token.login_failed','key':'a','target':'one'}");
	good(f, "{'event':'token.repaired'}");
	good(f, "{'event':'key.generated','key':'a'}");
	good(f, "{'event':'release.don','intent':1,'target':'one'}");
	assert_int_equal(custos_state_keys(&f->state, &known, NULL), CUSTOS_OK);
	assert_true(custos_json_equal(keys, known));
	assert_int_equal(custos_state_targets(&f->state, &known, NULL), CUSTOS_OK);
	assert_true(custos_json_equal(targets, known));
	assert_int_equal(custos_json_count(f->state.releases), 0);
}

/* The state owns what it keeps: an entry that is changed or freed afterwards changes nothing. */
static void entries_are_only_borrowed(void **state)
{
	struct fold *f = *state;
	furnish(f);
	CUSTOS_AUTO(custos_json) *entry = custos_json_object();
	custos_json_set_text(entry, "event", "target.add");
	custos_json_set(entry, "target", custos_json_object());
	custos_json_set_text(custos_json_child(entry, "target"), "name", "four");
	custos_json_set_text(custos_json_child(entry, "target"), "address", "192.0.2.4:22");
	assert_int_equal(custos_state_apply(&f->state, f->next, entry, NULL), CUSTOS_OK);
	custos_json_set_text(custos_json_child(entry, "target"), "address", "192.0.2.66:22");
	assert_string_equal(custos_json_text(custos_state_target(&f->state, "four"), "address"), "192.0.2.4:22");
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(it_begins_once_and_with_genesis),
		UNIT(without_a_kek),
		UNIT(sealed_keys_are_opened_as_themselves),
		UNIT(keys_appear_once),
		UNIT(a_key_renews_one_that_is_there),
		UNIT(permission_is_added_and_lost_with_the_target),
		UNIT(targets_appear_and_go_once),
		UNIT(requests_and_certificates_belong_to_a_key),
		UNIT(an_intent_that_could_not_have_been_permitted),
		UNIT(a_sign_only_key_goes_nowhere),
		UNIT(a_release_is_open_until_every_host_is_told),
		UNIT(logins_are_for_the_record),
		UNIT(an_unknown_outcome_waits_for_a_person),
		UNIT(what_is_closed_cannot_be_resolved),
		UNIT(a_late_outcome_does_not_reopen),
		UNIT(a_second_outcome_is_refused),
		UNIT(it_knows_where_it_stands),
		UNIT(an_outcome_needs_its_intent),
		UNIT(outcomes_are_of_the_intent_s_kind),
		UNIT(the_previous_pair),
		UNIT(a_target_that_went_away_meanwhile),
		UNIT(other_events_are_history_only),
		UNIT(entries_are_only_borrowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
