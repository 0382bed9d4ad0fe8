/* Sealed keys at the token: the sealing key does what it is for and nothing else, and a content key is opened for the logged container, courier and
 * purpose, once. Cheats past the permit, and past the keeper straight into custos-token. */
#include "token_lab.h"

#include "crypto/new_key.h"
#include "crypto/sealed_container.h"

static struct lab lab;
static uint8_t sealing_id[16];
static struct custos_token_sealing sealing;
static struct custos_token_key web, other;

static struct custos_sealing_key public_half(void)
{
	return (struct custos_sealing_key){ (enum custos_sealing)sealing.method, custos_buf_view(&sealing.spki) };
}

/* What a courier does at a birth; `origin` and `name` are what the cheats change. */
static void bear(const char *origin, const char *name, const struct custos_sealing_key *to, struct custos_token_key *key)
{
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	struct custos_sealed_name label = { .type = "ec-p256" };
	custos_buf_done(&key->spki);
	custos_buf_done(&key->container);
	key->type = CUSTOS_KEY_EC_P256;
	snprintf(label.origin, sizeof label.origin, "%s", origin);
	snprintf(label.key, sizeof label.key, "%s", name);
	LAB_OK(&lab, custos_key_birth("ec-p256", &pkcs8, &key->spki, &lab.err));
	LAB_OK(&lab, custos_sha256(custos_buf_view(&key->spki), label.spki_sha256, &lab.err));
	LAB_OK(&lab, custos_sealed_container_make(pkcs8, &label, to, &key->container, &lab.err));
}

/* An entry over which a checkpoint was signed. `hosts` as canonical JSON. */
static void commit(const struct custos_token_key *key, const char *name, const char *event, const char *hosts_line, struct lab_intent *intent)
{
	uint8_t spki[CUSTOS_HASH_SIZE];
	struct custos_json *hosts = NULL;
	memset(intent, 0, sizeof *intent);
	intent->terms.kind = strcmp(event, "key.open_intent") == 0 ? CUSTOS_INTENT_OPENING : CUSTOS_INTENT_RELEASE;
	LAB_OK(&lab, custos_ephemeral_new(&intent->courier, intent->point, &lab.err));
	LAB_OK(&lab, custos_sha256(custos_buf_view(&key->container), intent->terms.container_sha256, &lab.err));
	LAB_OK(&lab, custos_sha256(custos_buf_view(&key->spki), spki, &lab.err));
	memcpy(intent->terms.courier_point, intent->point, sizeof intent->point);
	LAB_OK(&lab, custos_json_parse(CUSTOS_BYTES_STR(hosts_line), "hosts", &hosts, &lab.err));
	LAB_OK(&lab, custos_json_line(hosts, &intent->hosts, &lab.err));
	LAB_OK(&lab, custos_sha256(custos_buf_view(&intent->hosts), intent->terms.hosts_sha256, &lab.err));
	struct custos_json *entry = custos_json_object();
	custos_json_set_int(entry, "v", 1);
	custos_json_set_int(entry, "index", (int64_t)lab.count);
	custos_json_set_text(entry, "event", event);
	custos_json_set_text(entry, "time", "2026-11-23T07:00:00Z");
	custos_json_set_text(entry, "key", name);
	custos_json_set_hex(entry, "spki_sha256", spki, sizeof spki);
	custos_json_set_hex(entry, "container_sha256", intent->terms.container_sha256, CUSTOS_HASH_SIZE);
	custos_json_set_hex(entry, "courier_point", intent->point, CUSTOS_POINT_SIZE);
	custos_json_set(entry, "hosts", hosts);
	LAB_OK(&lab, custos_json_line(entry, &intent->leaf, &lab.err));
	custos_json_free(entry);
	lab_append(&lab, custos_buf_view(&intent->leaf));
	lab_prove(&lab, lab.count - 1, intent);
	lab_body(&lab, lab.count, &intent->body);
	lab_sign(&lab, &intent->body);
}

static custos_rc release(const struct custos_token_key *key, const struct lab_intent *intent, struct custos_permit *permit, struct custos_release_parcel *parcel)
{
	struct custos_token_key_ref ref = lab_ref(key);
	struct custos_release_request request = lab_request(&ref, intent);
	return custos_token_release_sealed(lab.token, intent->terms.kind, permit, &request, parcel, &lab.err);
}

/* With a permit that says what the caller wants, as no log would make it: what custos-token says. */
static custos_rc release_anyway(const struct custos_token_key *key, struct lab_intent *intent, struct custos_release_parcel *parcel)
{
	struct custos_permit *permit = NULL;
	LAB_OK(&lab, custos_sha256(custos_buf_view(&key->container), intent->terms.container_sha256, &lab.err));
	LAB_OK(&lab, custos_permit_mint(&intent->terms, &permit, &lab.err));
	custos_rc rc = release(key, intent, permit, parcel);
	custos_permit_free(permit);
	return rc;
}

/* The courier's part: does what came open the container? */
static void open_in_courier(const struct custos_token_key *key, const struct lab_intent *intent, struct custos_release_parcel *parcel)
{
	CUSTOS_AUTO(custos_secret) *content_key = NULL;
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	CUSTOS_AUTO_BUF signature = { 0 };
	struct custos_sealed_container parsed;
	LAB_OK(&lab, custos_sealed_container_parse(custos_buf_view(&key->container), &parsed, &lab.err));
	LAB_OK(&lab, custos_unseal(intent->courier, parcel->token_point, custos_buf_view(&parcel->wrapped), &content_key, &lab.err));
	LAB_OK(&lab, custos_sealed_container_open(&parsed, content_key, &pkcs8, &lab.err));
	LAB_OK(&lab, custos_key_sign_once(pkcs8, custos_buf_view(&key->spki), CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("x"), &signature, &lab.err));
	custos_buf_done(&parcel->wrapped);
}

#define HOST "[{\"address\":\"192.0.2.10:22\",\"target\":\"esx1.example\"}]"

/* Goal: for hosts, and for none to sign once, the content key comes, for this courier, once. */
static void the_truth_is_released_once(void **state)
{
	(void)state;
	static const char *const ways[][2] = { { "release.intent", HOST }, { "key.open_intent", "[]" } };
	for (size_t i = 0; i < 2; i++) {
		struct lab_intent intent;
		struct custos_release_parcel parcel = { 0 };
		struct custos_permit *permit = NULL;
		commit(&web, "web", ways[i][0], ways[i][1], &intent);
		LAB_OK(&lab, custos_permit_mint(&intent.terms, &permit, &lab.err));
		LAB_OK(&lab, release(&web, &intent, permit, &parcel));
		open_in_courier(&web, &intent, &parcel);
		memset(&parcel, 0, sizeof parcel);
		LAB_FAILS(&lab, release(&web, &intent, permit, &parcel), CUSTOS_E_POLICY, "has been used");
		custos_permit_free(permit);
		LAB_FAILS(&lab, release_anyway(&web, &intent, &parcel), CUSTOS_E_POLICY, "intent has been used");
		assert_null(parcel.wrapped.ptr);
		lab_intent_done(&intent);
	}
}

/* Goal: the permit is for one container, courier and set of hosts, and there is no release without one. */
static void the_permit_is_compared(void **state)
{
	(void)state;
	struct lab_intent intent;
	struct custos_release_parcel parcel = { 0 };
	struct custos_permit *permit = NULL;
	commit(&web, "web", "key.open_intent", "[]", &intent);
	LAB_FAILS(&lab, release(&web, &intent, NULL, &parcel), CUSTOS_E_POLICY, "needs a permit");
	LAB_OK(&lab, custos_permit_mint(&intent.terms, &permit, &lab.err));
	LAB_FAILS(&lab, release(&other, &intent, permit, &parcel), CUSTOS_E_POLICY, "another key");
	LAB_FAILS(&lab, release(&web, &intent, permit, &parcel), CUSTOS_E_POLICY, "has been used");
	custos_permit_free(permit);
	intent.point[1] ^= 1;
	LAB_OK(&lab, custos_permit_mint(&intent.terms, &permit, &lab.err));
	LAB_FAILS(&lab, release(&web, &intent, permit, &parcel), CUSTOS_E_POLICY, "another courier");
	custos_permit_free(permit);
	lab_intent_done(&intent);
}

/* Goal: custos-token sees for itself that the container is not the logged one, and that it says of itself something else than the log. */
static void the_container_is_the_logged_one(void **state)
{
	(void)state;
	static const struct {
		const char *origin, *name, *logged, *says;
	} cheats[] = {
		{ "log.example/custody", "other", "web", "of another key than the logged" },
		{ "log.example/elsewhere", "web", "web", "of another custody" },
	};
	struct custos_sealing_key to = public_half();
	struct custos_release_parcel parcel = { 0 };
	struct lab_intent intent;
	commit(&web, "web", "release.intent", HOST, &intent);
	LAB_FAILS(&lab, release_anyway(&other, &intent, &parcel), CUSTOS_E_POLICY, "another key");
	lab_intent_done(&intent);
	for (size_t i = 0; i < sizeof cheats / sizeof *cheats; i++) {
		struct custos_token_key forged = { 0 };
		bear(cheats[i].origin, cheats[i].name, &to, &forged);
		commit(&forged, cheats[i].logged, "release.intent", HOST, &intent);
		LAB_FAILS(&lab, release_anyway(&forged, &intent, &parcel), CUSTOS_E_POLICY, cheats[i].says);
		lab_intent_done(&intent);
		custos_token_key_done(&forged);
	}
	/* the container says one public key, the log another */
	struct custos_token_key mixed = { .type = web.type, .spki = other.spki, .container = web.container };
	commit(&mixed, "web", "release.intent", HOST, &intent);
	LAB_FAILS(&lab, release_anyway(&mixed, &intent, &parcel), CUSTOS_E_POLICY, "of another public key");
	lab_intent_done(&intent);
	assert_null(parcel.wrapped.ptr);
}

/* Goal: an intent of one kind does not pass for the other, and neither opens a wrapped key the other way. */
static void the_kinds_of_intents_are_kept_apart(void **state)
{
	(void)state;
	static const struct {
		const char *event, *hosts, *says;
	} cheats[] = {
		{ "key.open_intent", HOST, "names hosts" }, { "release.intent", "[]", "names no hosts" }, { "key.drilled", "[]", "not a release.intent" },
	};
	struct custos_release_parcel parcel = { 0 };
	struct lab_intent intent;
	struct custos_permit *permit = NULL;
	for (size_t i = 0; i < sizeof cheats / sizeof *cheats; i++) {
		commit(&web, "web", cheats[i].event, cheats[i].hosts, &intent);
		LAB_FAILS(&lab, release_anyway(&web, &intent, &parcel), CUSTOS_E_POLICY, cheats[i].says);
		lab_intent_done(&intent);
	}
	/* asked for as the other kind, with a permit for that, and with the one that the log would give */
	static const struct {
		const char *event, *hosts, *says;
		enum custos_intent_kind asked;
		custos_rc rc;
	} swapped[] = {
		{ "key.open_intent", "[]", "not a release.intent", CUSTOS_INTENT_RELEASE, CUSTOS_E_POLICY },
		{ "release.intent", HOST, "not a key.open_intent", CUSTOS_INTENT_OPENING, CUSTOS_E_POLICY },
		{ "release.intent", HOST, "makes no sense", CUSTOS_INTENT_KEK_BACKUP, CUSTOS_E_INTERNAL },
	};
	for (size_t i = 0; i < sizeof swapped / sizeof *swapped; i++) {
		commit(&web, "web", swapped[i].event, swapped[i].hosts, &intent);
		LAB_OK(&lab, custos_permit_mint(&intent.terms, &permit, &lab.err));
		intent.terms.kind = swapped[i].asked;
		LAB_FAILS(&lab, release(&web, &intent, permit, &parcel), CUSTOS_E_POLICY, "given for something else");
		custos_permit_free(permit);
		LAB_FAILS(&lab, release_anyway(&web, &intent, &parcel), swapped[i].rc, swapped[i].says);
		lab_intent_done(&intent);
	}
	/* a wrapped key is not opened for a courier without hosts */
	struct custos_token_key_ref ref = lab_ref(&lab.canary);
	commit(&lab.canary, "canary", "key.open_intent", "[]", &intent);
	struct custos_release_request request = lab_request(&ref, &intent);
	LAB_OK(&lab, custos_permit_mint(&intent.terms, &permit, &lab.err));
	LAB_FAILS(&lab, custos_token_release(lab.token, permit, &request, &parcel, &lab.err), CUSTOS_E_POLICY, "given for something else");
	custos_permit_free(permit);
	intent.terms.kind = CUSTOS_INTENT_RELEASE;
	LAB_OK(&lab, custos_permit_mint(&intent.terms, &permit, &lab.err));
	LAB_FAILS(&lab, custos_token_release(lab.token, permit, &request, &parcel, &lab.err), CUSTOS_E_POLICY, "not a release.intent");
	custos_permit_free(permit);
	lab_intent_done(&intent);
	/* and what is no sealed container is none, whatever was logged */
	commit(&lab.canary, "canary", "release.intent", HOST, &intent);
	LAB_FAILS(&lab, release_anyway(&lab.canary, &intent, &parcel), CUSTOS_E_TOKEN, "not the container of a sealed key");
	lab_intent_done(&intent);
	assert_null(parcel.wrapped.ptr);
}

/* Goal: a container that is sealed to somebody else's key, or whose sealed content key was changed, is not opened. */
static void only_what_is_sealed_to_this_key(void **state)
{
	(void)state;
	struct custos_ephemeral *stranger = NULL;
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_BUF spki = { 0 };
	struct custos_token_key forged = { 0 };
	struct custos_release_parcel parcel = { 0 };
	struct lab_intent intent;
	struct custos_sealed_container parsed;
	LAB_OK(&lab, custos_ephemeral_new(&stranger, point, &lab.err));
	LAB_OK(&lab, custos_spki_ec("P-256", CUSTOS_BYTES(point, sizeof point), &spki, &lab.err));
	struct custos_sealing_key to = { CUSTOS_SEALING_ECDH_P256, custos_buf_view(&spki) };
	bear("log.example/custody", "web", &to, &forged);
	commit(&forged, "web", "release.intent", HOST, &intent);
	LAB_FAILS(&lab, release_anyway(&forged, &intent, &parcel), CUSTOS_E_POLICY, "sealed to another key");
	lab_intent_done(&intent);
	to = public_half();
	bear("log.example/custody", "web", &to, &forged);
	LAB_OK(&lab, custos_sealed_container_parse(custos_buf_view(&forged.container), &parsed, &lab.err));
	forged.container.ptr[(size_t)(parsed.content_key.ptr - forged.container.ptr) + 3] ^= 1;
	commit(&forged, "web", "release.intent", HOST, &intent);
	LAB_FAILS(&lab, release_anyway(&forged, &intent, &parcel), CUSTOS_E_TOKEN, "does not open");
	lab_intent_done(&intent);
	assert_null(parcel.wrapped.ptr);
	custos_token_key_done(&forged);
	custos_ephemeral_free(stranger);
}

/* Goal: what was changed in the rest of the container is found by the courier: the content key comes, and opens nothing. */
static void the_courier_finds_the_rest(void **state)
{
	(void)state;
	struct custos_token_key changed = { 0 };
	struct custos_release_parcel parcel = { 0 };
	struct custos_sealed_container parsed;
	struct lab_intent intent;
	struct custos_sealing_key to = public_half();
	bear("log.example/custody", "web", &to, &changed);
	changed.container.ptr[changed.container.len - 20] ^= 1;
	commit(&changed, "web", "key.open_intent", "[]", &intent);
	LAB_OK(&lab, release_anyway(&changed, &intent, &parcel));
	CUSTOS_AUTO(custos_secret) *content_key = NULL;
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	LAB_OK(&lab, custos_unseal(intent.courier, parcel.token_point, custos_buf_view(&parcel.wrapped), &content_key, &lab.err));
	LAB_OK(&lab, custos_sealed_container_parse(custos_buf_view(&changed.container), &parsed, &lab.err));
	LAB_FAILS(&lab, custos_sealed_container_open(&parsed, content_key, &pkcs8, &lab.err), CUSTOS_E_TAMPERED, "does not open");
	custos_release_parcel_done(&parcel);
	custos_token_key_done(&changed);
	lab_intent_done(&intent);
}

/* Goal: the sealing key is that of the genesis or none; it signs nothing, is no sign-only key, and is not destroyed; the log's key is no sealing key. */
static void the_sealing_key_is_for_one_thing(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF signature = { 0 };
	struct custos_token_sealing again = { 0 };
	struct custos_release_parcel parcel = { 0 };
	struct lab_intent intent;
	uint8_t nobody[16] = { 1 };
	const struct custos_token_key_ref as_key = { .type = CUSTOS_KEY_EC_P256, .spki = custos_buf_view(&sealing.spki), .id = sealing_id };
	struct custos_bytes spki = custos_buf_view(&sealing.spki);
	LAB_FAILS(&lab, custos_token_sign(lab.token, &as_key, CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("x"), &signature, &lab.err), CUSTOS_E_TOKEN, "cannot sign");
	LAB_FAILS(&lab, custos_token_key_destroy(lab.token, sealing_id, spki, &lab.err), CUSTOS_E_POLICY, "the sealing key is not destroyed");
	LAB_FAILS(&lab, custos_token_sealing_create(lab.token, sealing_id, "custos-seal-2", &again, &lab.err), CUSTOS_E_POLICY, "already");
	LAB_FAILS(&lab, custos_token_sealing_open(lab.token, sealing_id, CUSTOS_SEALING_RSA_OAEP_SHA256, spki, &lab.err), CUSTOS_E_POLICY, "does not seal by rsa-oaep");
	LAB_FAILS(&lab, custos_token_sealing_open(lab.token, sealing_id, sealing.method, custos_buf_view(&web.spki), &lab.err), CUSTOS_E_TOKEN, "not the one the custody was made with");
	LAB_FAILS(&lab, custos_token_sealing_open(lab.token, nobody, sealing.method, spki, &lab.err), CUSTOS_E_TOKEN, "does not hold the sealing key");
	LAB_FAILS(&lab, custos_token_sealing_open(lab.token, lab.log_id, sealing.method, custos_buf_view(&lab.log_key.spki), &lab.err), CUSTOS_E_POLICY, "signs checkpoints only");
	/* one that was not to be opened is not open */
	commit(&web, "web", "key.open_intent", "[]", &intent);
	LAB_FAILS(&lab, release_anyway(&web, &intent, &parcel), CUSTOS_E_INTERNAL, "no sealing key is open");
	lab_intent_done(&intent);
	LAB_OK(&lab, custos_token_sealing_open(lab.token, sealing_id, sealing.method, spki, &lab.err));
	assert_true(custos_json_is_boolean(custos_json_get(sealing.attributes, "derive")) && custos_json_truth(custos_json_get(sealing.attributes, "derive")));
	assert_false(custos_json_truth(custos_json_get(sealing.attributes, "extractable")));
}

static int set_up(void **state)
{
	struct custos_err err = { 0 };
	(void)state;
	assert_int_equal(custos_secret_start(&err), CUSTOS_OK);
	lab_make(&lab, "lab");
	lab_open(&lab);
	lab_login(&lab);
	lab_furnish(&lab);
	LAB_OK(&lab, custos_random(sealing_id, sizeof sealing_id, &lab.err));
	LAB_OK(&lab, custos_token_sealing_create(lab.token, sealing_id, "custos-seal", &sealing, &lab.err));
	assert_int_equal(sealing.method, CUSTOS_SEALING_ECDH_P256);
	LAB_OK(&lab, custos_token_sealing_open(lab.token, sealing_id, sealing.method, custos_buf_view(&sealing.spki), &lab.err));
	struct custos_sealing_key to = public_half();
	bear("log.example/custody", "web", &to, &web);
	bear("log.example/custody", "other", &to, &other);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	custos_token_sealing_done(&sealing);
	custos_token_key_done(&web);
	custos_token_key_done(&other);
	lab_remove(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_truth_is_released_once), cmocka_unit_test(the_permit_is_compared), cmocka_unit_test(the_container_is_the_logged_one),
		cmocka_unit_test(the_kinds_of_intents_are_kept_apart), cmocka_unit_test(only_what_is_sealed_to_this_key), cmocka_unit_test(the_courier_finds_the_rest),
		cmocka_unit_test(the_sealing_key_is_for_one_thing),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
