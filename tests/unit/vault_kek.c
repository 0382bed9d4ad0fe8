/* The fold of the KEKs: which generation is current, what is under which, what can follow what; and what somebody who writes entries by hand could try: a backup nobody was told of, a
 * key that moves without moving, a KEK that ends under its keys, a custody that goes on with a KEK it never had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vault_entries.h"

/* The second KEK: its intent is entry 3, and with a backup that of the backup entry 4. */
#define INTENT_2 "{'generation':2,'id':'02','label':'custos-kek-02','backup':true}"
#define BACKUP_2 "{'intent':3,'generation':2,'id':'02'}"
#define LOCAL_2 "{'intent':3,'generation':2,'id':'02','label':'custos-kek-02','variant':'local-only','canary_sha256':'c2','canary_spki_sha256':'d2'}"
#define BACKED_2 \
	"{'intent':3,'generation':2,'id':'02','label':'custos-kek-02','variant':'backed-up','canary_sha256':'c2','canary_spki_sha256':'d2','backup':{'kind':'shares','set':'00000001','threshold':2}}"
#define RESTORED_2 "{'generation':2,'id':'02','from':'shares','token':{'serial':'99'},'log_key':{'id':'77'},'vkey':'new'}"

static int up(void **state)
{
	struct fold *f = calloc(1, sizeof *f);
	assert_int_equal(custos_state_start(&f->state, &f->err), CUSTOS_OK);
	GOOD("custody.genesis", "{'kek':{'id':'01','label':'custos-kek-01','variant':'local-only','canary_sha256':'c1','canary_spki_sha256':'d1'},'token':{'serial':'11'},'log_key':{'id':'66'}}");
	GOOD("key.generate", "{'key':'k','type':'ec-p256','born':'token','spki_sha256':'aa','container_sha256':'cc'}"); /* 1: as it was written when there was one KEK */
	GOOD("key.generate", "{'key':'s','type':'ec-p256','born':'token','spki_sha256':'bb','id':'00'}");              /* 2 */
	*state = f;
	return 0;
}

/* A custody whose KEK is to have a backup begins without one. */
static int up_without(void **state)
{
	struct fold *f = calloc(1, sizeof *f);
	assert_int_equal(custos_state_start(&f->state, &f->err), CUSTOS_OK);
	GOOD("custody.genesis", "{'kek':null,'token':{'serial':'11'},'log_key':{'id':'66'}}");
	*state = f;
	return 0;
}

static const char *kek_text(const struct fold *f, int64_t generation, const char *member)
{
	return custos_json_text(custos_state_kek_of(&f->state, generation), member);
}

static int64_t generation_of(const struct fold *f, const char *key)
{
	return custos_state_generation(custos_state_key(&f->state, key));
}

static int64_t current(const struct fold *f)
{
	return custos_json_int(custos_state_kek(&f->state), "generation", 0);
}

static void to_second(struct fold *f)
{
	GOOD("kek.generate_intent", INTENT_2); /* 3 */
	GOOD("kek.backup_intent", BACKUP_2);   /* 4 */
	GOOD("kek.generated", BACKED_2);       /* 5 */
}

static void the_first_is_in_the_genesis(void **state)
{
	struct fold *f = *state;
	assert_true(custos_state_has_kek(&f->state));
	assert_int_equal(current(f), 1);
	assert_string_equal(kek_text(f, 1, "state"), "current");
	assert_string_equal(kek_text(f, 1, "variant"), "local-only");
	assert_string_equal(kek_text(f, 1, "canary_sha256"), "c1");
	assert_int_equal(generation_of(f, "k"), 1);
	assert_int_equal(generation_of(f, "s"), 0);
	assert_int_equal(custos_state_count_under(&f->state, 1), 1);
	assert_null(custos_state_kek_of(&f->state, 0));
	assert_null(custos_state_kek_of(&f->state, -1));
	assert_null(custos_state_kek_of(&f->state, 2));
	assert_string_equal(custos_json_text(custos_json_get(f->state.binding, "token"), "serial"), "11");
	GOOD("key.destroy_intent", "{'key':'k'}");
	assert_int_equal(custos_state_count_under(&f->state, 1), 0);
}

static void a_token_that_cannot_wrap_has_none(void **state)
{
	struct fold *f = *state;
	assert_false(custos_state_has_kek(&f->state));
	assert_null(custos_state_kek(&f->state));
	BAD("key.generate", "{'key':'k','spki_sha256':'aa','container_sha256':'cc','kek':1}", "not in use");
	BAD("kek.restored", "{'generation':1,'id':'01'}", "not the KEK that has a backup");
	BAD("kek.retire_intent", "{'generation':1}", "no such KEK");
	/* or gets its first one with a backup */
	GOOD("kek.generate_intent", "{'generation':1,'id':'01','backup':true}"); /* 1 */
	GOOD("kek.backup_intent", "{'intent':1,'generation':1,'id':'01'}");
	GOOD("kek.generated", "{'intent':1,'generation':1,'id':'01','variant':'backed-up','backup':{'kind':'token'}}");
	assert_int_equal(current(f), 1);
	GOOD("key.generate", "{'key':'k','spki_sha256':'aa','container_sha256':'cc','kek':1}");
}

static void one_comes_after_the_other(void **state)
{
	struct fold *f = *state;
	BAD("kek.generate_intent", "{'generation':1,'id':'02'}", "not the next");
	BAD("kek.generate_intent", "{'generation':3,'id':'02'}", "not the next");
	BAD("kek.generate_intent", "{'id':'02'}", "not the next");
	BAD("kek.generate_intent", "{'generation':'2','id':'02'}", "not the next");
	BAD("kek.generated", LOCAL_2, "no such intent");
	GOOD("kek.generate_intent", INTENT_2); /* 3 */
	BAD("kek.generated", "{'intent':2,'generation':2,'id':'02','variant':'local-only'}", "no such intent");
	BAD("kek.generated", "{'intent':3,'generation':2,'id':'03','variant':'local-only'}", "no such intent");
	BAD("kek.generated", "{'intent':3,'generation':2,'variant':'local-only'}", "no such intent");
	BAD("kek.generated", "{'intent':3,'generation':2,'id':'02'}", "no such intent");
	BAD("kek.generated", "{'intent':3,'generation':2,'id':'02','variant':'restored','backup':{}}", "not what was logged");
	assert_int_equal(current(f), 1);
	/* an attempt that came to nothing: only the last intent counts */
	GOOD("kek.generate_intent", "{'generation':2,'id':'04','backup':false}"); /* 4 */
	BAD("kek.generated", LOCAL_2, "no such intent");
	GOOD("kek.generated", "{'intent':4,'generation':2,'id':'04','label':'l','variant':'local-only','canary_sha256':'c4','canary_spki_sha256':'d4'}");
	assert_int_equal(current(f), 2);
	assert_string_equal(kek_text(f, 1, "state"), "old");
	assert_string_equal(kek_text(f, 2, "state"), "current");
	assert_null(custos_json_get(custos_state_kek(&f->state), "backup"));
	BAD("kek.generated", "{'intent':4,'generation':2,'id':'04','variant':'local-only'}", "no such intent");
	BAD("kek.generate_intent", INTENT_2, "not the next");
}

static void a_backup_is_logged_before_it_is_had(void **state)
{
	struct fold *f = *state;
	BAD("kek.backup_intent", BACKUP_2, "no such intent");
	GOOD("kek.generate_intent", INTENT_2); /* 3 */
	BAD("kek.backup_intent", "{'intent':2,'generation':2,'id':'02'}", "no such intent");
	BAD("kek.backup_intent", "{'generation':2,'id':'02'}", "no such intent");
	BAD("kek.backup_intent", "{'intent':3,'generation':2,'id':'01'}", "no such intent");
	BAD("kek.backup_intent", "{'intent':3,'generation':2}", "no such intent");
	/* it has a backup that never was logged to go out */
	BAD("kek.generated", BACKED_2, "not what was logged");
	BAD("kek.generated", "{'intent':3,'generation':2,'id':'02','variant':'local-only','backup':{'kind':'token'}}", "not what was logged");
	BAD("kek.generated", "{'intent':3,'generation':2,'id':'02','variant':'backed-up'}", "not what was logged");
	GOOD("kek.backup_intent", BACKUP_2); /* 4 */
	/* it went out, and is said to have stayed */
	BAD("kek.generated", LOCAL_2, "not what was logged");
	BAD("kek.generated", "{'intent':3,'generation':2,'id':'02','variant':'backed-up'}", "not what was logged");
	BAD("kek.generated", "{'intent':3,'generation':2,'id':'02','variant':'local-only','backup':{'kind':'token'}}", "not what was logged");
	GOOD("kek.generated", BACKED_2); /* 5 */
	assert_string_equal(kek_text(f, 2, "variant"), "backed-up");
	assert_string_equal(custos_json_text(custos_json_get(custos_state_kek(&f->state), "backup"), "set"), "00000001");
	/* the KEK that is on the token does not go out once more */
	BAD("kek.backup_intent", BACKUP_2, "no such intent");
	BAD("kek.backup_intent", "{'intent':5,'generation':2,'id':'02'}", "no such intent");
	/* nor does what went out in an attempt of before count for the next */
	GOOD("kek.generate_intent", "{'generation':3,'id':'05'}"); /* 6 */
	GOOD("kek.backup_intent", "{'intent':6,'generation':3,'id':'05'}");
	GOOD("kek.generate_intent", "{'generation':3,'id':'06'}"); /* 8 */
	BAD("kek.generated", "{'intent':8,'generation':3,'id':'06','variant':'backed-up','backup':{'kind':'token'}}", "not what was logged");
	GOOD("kek.generated", "{'intent':8,'generation':3,'id':'06','variant':'local-only'}");
}

static void keys_move_to_the_current_one(void **state)
{
	struct fold *f = *state;
	BAD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee','kek':2}", "current KEK");
	BAD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee','kek':1}", "current KEK");
	to_second(f);
	assert_int_equal(custos_state_count_under(&f->state, 1), 1);
	BAD("key.rewrapped", "{'key':'nobody','from_sha256':'cc','container_sha256':'ee','kek':2}", "no such key");
	BAD("key.rewrapped", "{'key':'s','container_sha256':'ee','kek':2}", "not that of the key");
	BAD("key.rewrapped", "{'key':'k','container_sha256':'ee','kek':2}", "not that of the key");
	BAD("key.rewrapped", "{'key':'k','from_sha256':'dd','container_sha256':'ee','kek':2}", "not that of the key");
	BAD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee','kek':1}", "current KEK");
	BAD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee','kek':3}", "current KEK");
	BAD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee'}", "current KEK");
	BAD("key.rewrapped", "{'key':'k','from_sha256':'cc','kek':2}", "current KEK");
	assert_int_equal(generation_of(f, "k"), 1);
	GOOD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee','kek':2}");
	assert_int_equal(generation_of(f, "k"), 2);
	assert_string_equal(custos_json_text(custos_state_key(&f->state, "k"), "container_sha256"), "ee");
	assert_string_equal(custos_json_text(custos_state_key(&f->state, "k"), "spki_sha256"), "aa");
	BAD("key.rewrapped", "{'key':'k','from_sha256':'ee','container_sha256':'ff','kek':2}", "current KEK");
	/* from now on the old container is of no key */
	BAD("key.exported", "{'key':'k','container_sha256':'cc'}", "not that of the key");
	GOOD("key.exported", "{'key':'k','container_sha256':'ee'}");
	/* what is destroyed does not move */
	GOOD("key.generate", "{'key':'l','spki_sha256':'ab','container_sha256':'11','kek':1}");
	GOOD("key.destroy_intent", "{'key':'l'}");
	BAD("key.rewrapped", "{'key':'l','from_sha256':'11','container_sha256':'12','kek':2}", "destroyed");
}

static void a_kek_ends_when_no_key_is_left_under_it(void **state)
{
	struct fold *f = *state;
	BAD("kek.retire_intent", "{'generation':1,'id':'01'}", "no such KEK");
	BAD("kek.retired", "{'generation':1,'id':'01'}", "nothing was to be retired");
	to_second(f);
	BAD("kek.retire_intent", "{'generation':1,'id':'01'}", "keys are still under");
	BAD("kek.retired", "{'generation':1,'id':'01'}", "nothing was to be retired");
	BAD("kek.retire_intent", "{'generation':2,'id':'02'}", "no such KEK");
	BAD("kek.retire_intent", "{'generation':0}", "no such KEK");
	BAD("kek.retire_intent", "{}", "no such KEK");
	GOOD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee','kek':2}");
	/* whoever made a key before the new KEK was there may say so until the end is near */
	GOOD("key.generate", "{'key':'late','spki_sha256':'ac','container_sha256':'21','kek':1}");
	BAD("kek.retire_intent", "{'generation':1,'id':'01'}", "keys are still under");
	GOOD("key.rewrapped", "{'key':'late','from_sha256':'21','container_sha256':'22','kek':2}");
	GOOD("kek.retire_intent", "{'generation':1,'id':'01'}");
	BAD("key.generate", "{'key':'later','spki_sha256':'ad','container_sha256':'31','kek':1}", "not in use");
	assert_string_equal(kek_text(f, 1, "state"), "retiring");
	/* told again after a crash in between */
	GOOD("kek.retire_intent", "{'generation':1,'id':'01'}");
	GOOD("kek.retired", "{'generation':1,'id':'01'}");
	assert_string_equal(kek_text(f, 1, "state"), "retired");
	BAD("kek.retired", "{'generation':1,'id':'01'}", "nothing was to be retired");
	BAD("kek.retire_intent", "{'generation':1,'id':'01'}", "no such KEK");
	BAD("key.generate", "{'key':'later','spki_sha256':'ad','container_sha256':'31','kek':1}", "not in use");
	BAD("key.generate", "{'key':'later','spki_sha256':'ad','container_sha256':'31','kek':3}", "not in use");
	GOOD("key.generate", "{'key':'later','spki_sha256':'ad','container_sha256':'31','kek':2}");
}

/* An exported container of a key that was destroyed brings it back under the KEK that it is under, and that keeps the KEK. */
static void a_restored_key_keeps_its_kek(void **state)
{
	struct fold *f = *state;
	GOOD("key.destroy_intent", "{'key':'k'}"); /* 3 */
	GOOD("key.destroyed", "{'key':'k','intent':3}");
	GOOD("kek.generate_intent", "{'generation':2,'id':'02'}"); /* 5 */
	GOOD("kek.generated", "{'intent':5,'generation':2,'id':'02','variant':'local-only'}");
	GOOD("kek.retire_intent", "{'generation':1,'id':'01'}");
	GOOD("key.restored", "{'key':'k','container_sha256':'cc'}");
	BAD("kek.retired", "{'generation':1,'id':'01'}", "keys are still under");
	BAD("kek.retire_intent", "{'generation':1,'id':'01'}", "keys are still under");
	GOOD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee','kek':2}");
	GOOD("kek.retired", "{'generation':1,'id':'01'}");
	/* what was destroyed before it could move is not to be had again */
	GOOD("key.destroy_intent", "{'key':'k'}");
	BAD("key.restored", "{'key':'k','container_sha256':'cc'}", "not that of the key");
	GOOD("key.restored", "{'key':'k','container_sha256':'ee'}");
}

static void nothing_comes_back_from_under_a_retired_kek(void **state)
{
	struct fold *f = *state;
	GOOD("key.destroy_intent", "{'key':'k'}"); /* 3 */
	GOOD("kek.generate_intent", "{'generation':2,'id':'02'}"); /* 4 */
	GOOD("kek.generated", "{'intent':4,'generation':2,'id':'02','variant':'local-only'}");
	GOOD("kek.retire_intent", "{'generation':1,'id':'01'}");
	GOOD("kek.retired", "{'generation':1,'id':'01'}");
	BAD("key.restored", "{'key':'k','container_sha256':'cc'}", "its KEK is no more");
}

static void another_token_goes_on(void **state)
{
	struct fold *f = *state;
	/* without a backup nothing can have come back */
	BAD("kek.restored", "{'generation':1,'id':'01','from':'token'}", "not the KEK that has a backup");
	to_second(f);
	BAD("kek.restored", "{'generation':2,'id':'01','from':'shares'}", "not the KEK that has a backup");
	BAD("kek.restored", "{'generation':2,'from':'shares'}", "not the KEK that has a backup");
	assert_string_equal(custos_json_text(custos_json_get(f->state.binding, "token"), "serial"), "11");
	GOOD("kek.restored", RESTORED_2); /* 6 */
	assert_string_equal(kek_text(f, 2, "variant"), "restored");
	assert_string_equal(kek_text(f, 2, "state"), "current");
	/* the key that had not moved yet is under a KEK that is on the old token */
	assert_string_equal(kek_text(f, 1, "state"), "lost");
	assert_int_equal(generation_of(f, "k"), 1);
	BAD("kek.retire_intent", "{'generation':1,'id':'01'}", "no such KEK");
	BAD("kek.retired", "{'generation':1,'id':'01'}", "nothing was to be retired");
	BAD("key.generate", "{'key':'x','spki_sha256':'ad','container_sha256':'31','kek':1}", "not in use");
	assert_string_equal(custos_json_text(custos_json_get(f->state.binding, "token"), "serial"), "99");
	assert_string_equal(custos_json_text(custos_json_get(f->state.binding, "log_key"), "id"), "77");
	/* its shares are as good as before */
	assert_non_null(custos_json_get(custos_state_kek(&f->state), "backup"));
	GOOD("kek.restored", RESTORED_2);
}

/* The one token that kept the backup is the one in use then: nothing else has it. */
static void a_backup_token_in_use_is_no_backup(void **state)
{
	struct fold *f = *state;
	GOOD("kek.generate_intent", INTENT_2); /* 3 */
	GOOD("kek.backup_intent", BACKUP_2);   /* 4 */
	GOOD("kek.generated", "{'intent':3,'generation':2,'id':'02','variant':'backed-up','backup':{'kind':'token','receivers':[{'serial':'99'}]}}");
	GOOD("kek.restored", "{'generation':2,'id':'02','from':'token','token':{'serial':'99'},'log_key':{'id':'77'}}");
	assert_null(custos_json_get(custos_state_kek(&f->state), "backup"));
	BAD("kek.restored", "{'generation':2,'id':'02','from':'token','token':{'serial':'98'},'log_key':{'id':'78'}}", "not the KEK that has a backup");
	/* shares: kept on a token by an attempt that was interrupted, and still out */
	GOOD("kek.generate_intent", "{'generation':3,'id':'03'}"); /* 7 */
	GOOD("kek.backup_intent", "{'intent':7,'generation':3,'id':'03'}");
	GOOD("kek.generated", "{'intent':7,'generation':3,'id':'03','variant':'backed-up','backup':{'kind':'shares','set':'00000001'}}");
	GOOD("kek.restored", "{'generation':3,'id':'03','from':'token','token':{'serial':'98'},'log_key':{'id':'78'}}");
	assert_non_null(custos_json_get(custos_state_kek(&f->state), "backup"));
}

static void what_was_retired_is_not_lost(void **state)
{
	struct fold *f = *state;
	to_second(f);
	GOOD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee','kek':2}");
	GOOD("kek.retire_intent", "{'generation':1,'id':'01'}");
	GOOD("kek.retired", "{'generation':1,'id':'01'}");
	GOOD("kek.restored", RESTORED_2);
	assert_string_equal(kek_text(f, 1, "state"), "retired");
	assert_int_equal(generation_of(f, "k"), 2);
}

/* A sealed key has a container, and that is under no KEK, whatever an entry says. */
static void a_sealed_key_is_under_none(void **state)
{
	struct fold *f = *state;
	BAD("key.generate", "{'key':'z','class':'sealed','born':'courier','spki_sha256':'ba','container_sha256':'c9','kek':1}", "not in use");
	GOOD("key.generate", "{'key':'z','class':'sealed','born':'courier','spki_sha256':'ba','container_sha256':'c9'}"); /* 3 */
	assert_int_equal(generation_of(f, "z"), 0);
	assert_int_equal(custos_state_count_under(&f->state, 1), 1);
	GOOD("kek.generate_intent", "{'generation':2,'id':'02','label':'custos-kek-02','backup':true}"); /* 4 */
	GOOD("kek.backup_intent", "{'intent':4,'generation':2,'id':'02'}");
	GOOD("kek.generated", "{'intent':4,'generation':2,'id':'02','label':'custos-kek-02','variant':'backed-up','backup':{'kind':'shares','set':'00000001','threshold':2}}");
	BAD("key.rewrapped", "{'key':'z','from_sha256':'c9','container_sha256':'ca','kek':2}", "not that of the key");
	GOOD("key.rewrapped", "{'key':'k','from_sha256':'cc','container_sha256':'ee','kek':2}");
	/* it keeps no KEK from ending, and opens as before */
	GOOD("kek.retire_intent", "{'generation':1,'id':'01'}");
	GOOD("kek.retired", "{'generation':1,'id':'01'}");
	GOOD("key.open_intent", "{'key':'z','container_sha256':'c9','purpose':'drill','hosts':[]}");
	/* and comes back from an export though that KEK is no more */
	GOOD("key.destroy_intent", "{'key':'z'}");
	GOOD("key.restored", "{'key':'z','container_sha256':'c9'}");
	assert_int_equal(generation_of(f, "z"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_is_in_the_genesis, up, fold_down),
		cmocka_unit_test_setup_teardown(a_token_that_cannot_wrap_has_none, up_without, fold_down),
		cmocka_unit_test_setup_teardown(one_comes_after_the_other, up, fold_down),
		cmocka_unit_test_setup_teardown(a_backup_is_logged_before_it_is_had, up, fold_down),
		cmocka_unit_test_setup_teardown(keys_move_to_the_current_one, up, fold_down),
		cmocka_unit_test_setup_teardown(a_kek_ends_when_no_key_is_left_under_it, up, fold_down),
		cmocka_unit_test_setup_teardown(a_restored_key_keeps_its_kek, up, fold_down),
		cmocka_unit_test_setup_teardown(nothing_comes_back_from_under_a_retired_kek, up, fold_down),
		cmocka_unit_test_setup_teardown(another_token_goes_on, up, fold_down),
		cmocka_unit_test_setup_teardown(a_backup_token_in_use_is_no_backup, up, fold_down),
		cmocka_unit_test_setup_teardown(what_was_retired_is_not_lost, up, fold_down),
		cmocka_unit_test_setup_teardown(a_sealed_key_is_under_none, up, fold_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
