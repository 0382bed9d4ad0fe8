/* The fold of a key's life: what can follow what, and what somebody who writes entries by hand could try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault_entries.h"

static int up(void **state)
{
	struct fold *f = calloc(1, sizeof *f);
	assert_int_equal(custos_state_start(&f->state, &f->err), CUSTOS_OK);
	GOOD("custody.genesis", "{}");
	GOOD("key.generate", "{'key':'k','type':'ec-p256','born':'token','spki_sha256':'aa','container_sha256':'cc'}"); /* 1 */
	GOOD("key.generate", "{'key':'s','type':'ec-p256','born':'token','spki_sha256':'bb','id':'00'}");              /* 2 */
	GOOD("target.add", "{'target':{'name':'web','address':'web.example.com:22'}}");                              /* 3 */
	GOOD("key.allow", "{'key':'k','targets':['web']}");                                                         /* 4 */
	*state = f;
	return 0;
}

static const char *text(const struct fold *f, const char *key, const char *member)
{
	return custos_json_text(custos_state_key(&f->state, key), member);
}

static const struct custos_json *part(const struct fold *f, const char *key, const char *member)
{
	return custos_json_get(custos_state_key(&f->state, key), member);
}

static void drills(void **state)
{
	struct fold *f = *state;
	assert_null(text(f, "k", "drilled"));
	GOOD("key.drilled", "{'key':'k'}");
	assert_string_equal(text(f, "k", "drilled"), "2026-11-23T08:00:00Z");
	assert_string_equal(custos_json_text(part(f, "k", "drill"), "result"), "passed");
	GOOD("key.drill_failed", "{'key':'k','reason':'it does not open'}");
	assert_string_equal(custos_json_text(part(f, "k", "drill"), "result"), "failed");
	assert_string_equal(custos_json_text(part(f, "k", "drill"), "reason"), "it does not open");
	/* when it last proved something is not forgotten */
	assert_non_null(text(f, "k", "drilled"));
	BAD("key.drilled", "{'key':'nobody'}", "no such key");
	BAD("key.drilled", "{}", "no such key");
	BAD("key.drill_failed", "{'key':['k']}", "no such key");
}

static void exports(void **state)
{
	struct fold *f = *state;
	BAD("key.exported", "{'key':'k'}", "not that of the key");
	BAD("key.exported", "{'key':'k','container_sha256':'dd'}", "not that of the key");
	/* a sign-only key has no container: leaving the member out on both sides does not make one */
	BAD("key.exported", "{'key':'s'}", "not that of the key");
	GOOD("key.exported", "{'key':'k','container_sha256':'cc'}");
	GOOD("key.exported", "{'key':'k','container_sha256':'cc'}");
	assert_int_equal(custos_json_count(part(f, "k", "exports")), 2);
	assert_int_equal(custos_json_integer_value(custos_json_at(part(f, "k", "exports"), 1), -1), 6);
}

static void a_key_ends_in_two_steps(void **state)
{
	struct fold *f = *state;
	BAD("key.destroyed", "{'key':'k','intent':1}", "no such intent");
	GOOD("key.destroy_intent", "{'key':'k','reason':'worn out'}"); /* 5 */
	assert_string_equal(text(f, "k", "state"), "destroying");
	assert_false(custos_state_is_live(custos_state_key(&f->state, "k")));
	BAD("key.destroy_intent", "{'key':'k'}", "destroyed");
	BAD("key.destroyed", "{'key':'k'}", "no such intent");
	BAD("key.destroyed", "{'key':'k','intent':4}", "no such intent");
	BAD("key.destroyed", "{'key':'s','intent':5}", "no such intent");
	GOOD("key.destroyed", "{'key':'k','intent':5,'verdict':'removed'}"); /* 6 */
	assert_string_equal(text(f, "k", "state"), "destroyed");
	assert_string_equal(custos_json_text(part(f, "k", "destruction"), "verdict"), "removed");
	assert_string_equal(custos_json_text(part(f, "k", "destruction"), "reason"), "worn out");
	BAD("key.destroyed", "{'key':'k','intent':5}", "no such intent");
	/* nothing is done with it any more, by whoever can append entries */
	BAD("key.allow", "{'key':'k','targets':['web']}", "destroyed");
	BAD("csr.create", "{'key':'k'}", "destroyed");
	BAD("cert.accept", "{'key':'k'}", "destroyed");
	BAD("key.drilled", "{'key':'k'}", "destroyed");
	BAD("key.exported", "{'key':'k','container_sha256':'cc'}", "destroyed");
	BAD("release.intent", "{'key':'k','container_sha256':'cc','hosts':[{'name':'web'}]}", "destroyed");
	/* nor do its name and its public key become free */
	BAD("key.generate", "{'key':'k','spki_sha256':'ee'}", "exists already");
	BAD("key.generate", "{'key':'l','spki_sha256':'aa'}", "another name");
	BAD("key.import_intent", "{'key':'l','spki_sha256':'aa'}", "another name");
}

static void not_while_a_release_is_open(void **state)
{
	struct fold *f = *state;
	GOOD("release.intent", "{'key':'k','container_sha256':'cc','hosts':[{'name':'web'}]}"); /* 5 */
	assert_non_null(custos_state_open_release(&f->state, "k"));
	assert_null(custos_state_open_release(&f->state, "s"));
	BAD("key.destroy_intent", "{'key':'k'}", "a release of the key is open");
	GOOD("key.destroy_intent", "{'key':'s'}");
	GOOD("release.unknown", "{'intent':5,'target':'web'}");
	BAD("key.destroy_intent", "{'key':'k'}", "a release of the key is open");
	GOOD("release.resolved", "{'intent':5,'as':'failed'}");
	assert_null(custos_state_open_release(&f->state, "k"));
	GOOD("key.destroy_intent", "{'key':'k'}");
}

static void a_container_comes_back(void **state)
{
	struct fold *f = *state;
	BAD("key.restored", "{'key':'k','container_sha256':'dd'}", "not that of the key");
	BAD("key.restored", "{'key':'k'}", "not that of the key");
	BAD("key.restored", "{'key':'s'}", "not that of the key");
	BAD("key.restored", "{'key':'nobody','container_sha256':'cc'}", "no such key");
	GOOD("key.drill_failed", "{'key':'k'}");
	GOOD("key.restored", "{'key':'k','container_sha256':'cc','was':'missing'}");
	assert_string_equal(custos_json_text(part(f, "k", "drill"), "result"), "passed");
	GOOD("key.destroy_intent", "{'key':'k'}"); /* 7 */
	GOOD("key.restored", "{'key':'k','container_sha256':'cc'}");
	/* the end of what was begun before is nothing any more */
	BAD("key.destroyed", "{'key':'k','intent':7}", "no such intent");
	GOOD("key.destroy_intent", "{'key':'k'}"); /* 9 */
	BAD("key.destroyed", "{'key':'k','intent':7}", "no such intent");
	GOOD("key.destroyed", "{'key':'k','intent':9}");
	GOOD("key.restored", "{'key':'k','container_sha256':'cc'}");
	assert_true(custos_state_is_live(custos_state_key(&f->state, "k")));
	assert_null(part(f, "k", "destruction"));
	GOOD("release.intent", "{'key':'k','container_sha256':'cc','hosts':[{'name':'web'}]}");
}

static void imports_follow_their_intents(void **state)
{
	struct fold *f = *state;
	BAD("key.imported", "{'key':'i','intent':4,'type':'ec-p256','spki_sha256':'dd','container_sha256':'11'}", "no such intent");
	BAD("key.import_intent", "{'type':'ec-p256'}", "exists already");
	BAD("key.import_intent", "{'key':'k','spki_sha256':'dd'}", "exists already");
	BAD("key.import_intent", "{'key':'i','spki_sha256':'bb'}", "another name");
	GOOD("key.import_intent", "{'key':'i','type':'ec-p256','spki_sha256':'dd'}"); /* 5 */
	assert_null(custos_state_key(&f->state, "i"));
	BAD("key.imported", "{'key':'i','type':'ec-p256','spki_sha256':'dd'}", "no such intent");
	BAD("key.imported", "{'key':'i','intent':4,'type':'ec-p256','spki_sha256':'dd'}", "no such intent");
	BAD("key.imported", "{'key':'j','intent':5,'type':'ec-p256','spki_sha256':'dd'}", "no such intent");
	BAD("key.imported", "{'key':'i','intent':5,'type':'ec-p256','spki_sha256':'ee'}", "not the key of the intent");
	BAD("key.imported", "{'key':'i','intent':5,'type':'ec-p384','spki_sha256':'dd'}", "not the key of the intent");
	BAD("key.imported", "{'key':'i','intent':5}", "not the key of the intent");
	/* the last intent for a name counts */
	GOOD("key.import_intent", "{'key':'i','type':'ec-p384','spki_sha256':'ee'}"); /* 6 */
	BAD("key.imported", "{'key':'i','intent':5,'type':'ec-p256','spki_sha256':'dd'}", "no such intent");
	GOOD("key.imported", "{'key':'i','intent':6,'type':'ec-p384','born':'file','spki_sha256':'ee','container_sha256':'11'}");
	assert_string_equal(text(f, "i", "born"), "file");
	assert_string_equal(text(f, "k", "born"), "token");
	assert_string_equal(text(f, "i", "state"), "active");
	BAD("key.imported", "{'key':'i','intent':6,'type':'ec-p384','spki_sha256':'ee'}", "no such intent");
	/* the name was given away meanwhile */
	GOOD("key.import_intent", "{'key':'m','type':'ec-p256','spki_sha256':'77'}"); /* 8 */
	GOOD("key.generate", "{'key':'m','type':'ec-p256','spki_sha256':'88'}");
	BAD("key.imported", "{'key':'m','intent':8,'type':'ec-p256','spki_sha256':'77'}", "exists already");
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, up, fold_down)
	const struct CMUnitTest tests[] = {
		WITH(drills), WITH(exports), WITH(a_key_ends_in_two_steps), WITH(not_while_a_release_is_open), WITH(a_container_comes_back), WITH(imports_follow_their_intents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
