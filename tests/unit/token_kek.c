/* The life of a KEK on two real tokens: out to a backup that proves itself, onto its token, back out of the backup, keys moved from one to the next; and whoever tries any of it
 * without having logged it, or with something that is not the KEK. */
#include "token_lab.h"

static struct lab lab;                       /* where a KEK is born */
static struct custos_token *second;          /* and where its backup goes: another token of the same directory */
static char second_uri[96];

struct born {
	uint8_t id[16];
	struct custos_token_key canary;
	enum custos_kek_variant variant;
};

static struct custos_token_kek kek_of(const struct born *b)
{
	return (struct custos_token_kek){ b->variant, b->id, custos_buf_view(&b->canary.container), custos_buf_view(&b->canary.spki) };
}

static void born_done(struct born *b)
{
	custos_token_key_done(&b->canary);
}

static void bear(struct born *b, const char *label, enum custos_kek_birth birth)
{
	struct custos_json *attributes = NULL;
	*b = (struct born){ .variant = birth == CUSTOS_KEK_BORN_LOCAL ? CUSTOS_KEK_LOCAL_ONLY : CUSTOS_KEK_BACKED_UP };
	LAB_OK(&lab, custos_random(b->id, sizeof b->id, &lab.err));
	LAB_OK(&lab, custos_token_kek_create(lab.token, b->id, label, birth, &attributes, &lab.err));
	assert_int_equal(custos_json_bool(attributes, "token", birth != CUSTOS_KEK_BORN_LOCAL), birth == CUSTOS_KEK_BORN_LOCAL);
	custos_json_free(attributes);
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &b->canary, &lab.err));
}

/* The intent for a point, signed; the permit for it, and the call. */
static void log_backup(const struct born *b, const uint8_t *point, const char *event, struct lab_intent *intent)
{
	struct custos_ephemeral *unused;
	lab_log_intent(&lab, &b->canary, event, "second", intent);
	if (point == NULL) {
		lab_sign(&lab, &intent->body);
		return;
	}
	/* written once more, for the point that it is really for */
	lab.count--;
	char *leaf = strndup((const char *)intent->leaf.ptr, intent->leaf.len), hex[2 * CUSTOS_POINT_SIZE + 1];
	for (size_t i = 0; i < CUSTOS_POINT_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", point[i]);
	char *at = strstr(leaf, "\"courier_point\":\"");
	assert_non_null(at);
	memcpy(at + strlen("\"courier_point\":\""), hex, strlen(hex));
	unused = intent->courier;
	custos_ephemeral_free(unused);
	intent->courier = NULL;
	memcpy(intent->point, point, CUSTOS_POINT_SIZE);
	memcpy(intent->terms.courier_point, point, CUSTOS_POINT_SIZE);
	custos_buf_done(&intent->leaf);
	custos_buf_done(&intent->body);
	LAB_OK(&lab, custos_buf_append(&intent->leaf, leaf, strlen(leaf), &lab.err));
	free(leaf);
	lab_append(&lab, custos_buf_view(&intent->leaf));
	lab_prove(&lab, lab.count - 1, intent);
	lab_body(&lab, lab.count, &intent->body);
	lab_sign(&lab, &intent->body);
}

static custos_rc ask(const struct born *b, struct lab_intent *intent, enum custos_intent_kind kind, struct custos_release_parcel *parcel)
{
	struct custos_permit *permit = NULL;
	struct custos_token_key_ref ref = lab_ref(&b->canary);
	struct custos_release_request request = lab_request(&ref, intent);
	intent->terms.kind = CUSTOS_INTENT_KEK_BACKUP;
	LAB_OK(&lab, custos_permit_mint(&intent->terms, &permit, &lab.err));
	custos_rc rc = kind == CUSTOS_INTENT_KEK_BACKUP ? custos_token_kek_backup(lab.token, permit, &request, parcel, &lab.err) : custos_token_release(lab.token, permit, &request, parcel, &lab.err);
	custos_permit_free(permit);
	return rc;
}

static custos_rc receive(struct custos_token *token, const struct born *b, enum custos_kek_taking taking, const struct custos_release_parcel *parcel)
{
	struct custos_json *attributes = NULL;
	struct custos_token_kek kek = kek_of(b);
	const struct custos_token_kek_delivery delivery = { taking, "custos-kek-back", parcel->token_point, custos_buf_view(&parcel->wrapped) };
	custos_rc rc = custos_token_kek_receive(token, &kek, &delivery, &attributes, &lab.err);
	if (rc == CUSTOS_OK && taking == CUSTOS_KEK_TAKE) {
		assert_false(custos_json_bool(attributes, "extractable", true));
		assert_false(custos_json_bool(attributes, "modifiable", true));
		assert_false(custos_json_bool(attributes, "local", true));
	}
	if (rc == CUSTOS_OK)
		assert_int_equal(custos_json_get(attributes, "token") != NULL, taking == CUSTOS_KEK_TAKE);
	custos_json_free(attributes);
	return rc;
}

static void open_second(void)
{
	struct custos_token_where where = { .module = LAB_MODULE, .uri = second_uri };
	LAB_OK(&lab, custos_token_open(&where, &second, &lab.err));
	struct custos_secret *pin = lab_own_pin(&lab);
	LAB_OK(&lab, custos_token_login(second, pin, &lab.err));
	custos_secret_free(pin);
}

/* Goal: a KEK goes to a second token, proves itself there, stays on both, and what one wrapped the other unwraps, also after both were closed. */
static void a_second_token_holds_it(void **state)
{
	(void)state;
	struct born b;
	struct lab_intent intent;
	struct custos_release_parcel parcel = { 0 };
	struct custos_json *attributes = NULL;
	struct custos_token_key key = { 0 };
	CUSTOS_AUTO_BUF signature = { 0 };
	uint8_t point[CUSTOS_POINT_SIZE];
	bear(&b, "custos-kek-b", CUSTOS_KEK_BORN_FOR_BACKUP);
	struct custos_token_kek kek = kek_of(&b);
	LAB_OK(&lab, custos_token_import_begin(second, point, &lab.err));
	log_backup(&b, point, "kek.backup_intent", &intent);
	LAB_OK(&lab, ask(&b, &intent, CUSTOS_INTENT_KEK_BACKUP, &parcel));
	LAB_OK(&lab, receive(second, &b, CUSTOS_KEK_TAKE, &parcel));
	LAB_OK(&lab, custos_token_kek_keep(lab.token, &kek, &attributes, &lab.err));
	static const char *const off[] = { "extractable", "modifiable", "decrypt", "encrypt", "derive", "sign", "never_extractable" };
	for (size_t i = 0; i < sizeof off / sizeof *off; i++)
		assert_false(custos_json_bool(attributes, off[i], true));
	assert_true(custos_json_bool(attributes, "token", false));
	assert_int_equal(custos_json_count(custos_json_get(attributes, "unwrap_template")), 5);
	assert_int_equal(custos_json_count(custos_json_get(attributes, "allowed_mechanisms")), 1);
	custos_json_free(attributes);
	/* nothing is left that could go a second time */
	struct lab_intent again;
	log_backup(&b, NULL, "kek.backup_intent", &again);
	struct custos_release_parcel none = { 0 };
	LAB_FAILS(&lab, ask(&b, &again, CUSTOS_INTENT_KEK_BACKUP, &none), CUSTOS_E_POLICY, "no KEK that was made for a backup");
	lab_intent_done(&again);
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &key, &lab.err));
	lab_reopen(&lab);
	LAB_OK(&lab, custos_token_kek_open(lab.token, &kek, &lab.err));
	/* a variant is not taken for another */
	kek.variant = CUSTOS_KEK_LOCAL_ONLY;
	LAB_FAILS(&lab, custos_token_kek_open(lab.token, &kek, &lab.err), CUSTOS_E_TOKEN, "the KEK:");
	custos_token_free(second);
	open_second();
	kek.variant = CUSTOS_KEK_BACKED_UP;
	LAB_FAILS(&lab, custos_token_kek_open(second, &kek, &lab.err), CUSTOS_E_TOKEN, "the KEK:");
	kek.variant = CUSTOS_KEK_RESTORED;
	LAB_OK(&lab, custos_token_kek_open(second, &kek, &lab.err));
	struct custos_token_key_ref ref = lab_ref(&key);
	LAB_OK(&lab, custos_token_sign(second, &ref, custos_key_signature(key.type), CUSTOS_BYTES_STR("wrapped there, unwrapped here"), &signature, &lab.err));
	/* it is there, so it does not come again */
	LAB_OK(&lab, custos_token_import_begin(second, point, &lab.err));
	LAB_FAILS(&lab, receive(second, &b, CUSTOS_KEK_TAKE, &parcel), CUSTOS_E_POLICY, "that id already");
	custos_token_key_done(&key);
	custos_release_parcel_done(&parcel);
	lab_intent_done(&intent);
	born_done(&b);
	lab_reopen(&lab);
}

/* Goal: what a courier brings back is proven on the token without staying, and something else is not. */
static void what_comes_back_is_proven(void **state)
{
	(void)state;
	struct born b;
	struct lab_intent intent;
	struct custos_release_parcel parcel = { 0 }, back = { 0 };
	struct custos_secret *secret = NULL;
	uint8_t point[CUSTOS_POINT_SIZE];
	bear(&b, "custos-kek-c", CUSTOS_KEK_BORN_FOR_BACKUP);
	log_backup(&b, NULL, "kek.backup_intent", &intent);
	LAB_OK(&lab, ask(&b, &intent, CUSTOS_INTENT_KEK_BACKUP, &parcel));
	LAB_OK(&lab, custos_unseal(intent.courier, parcel.token_point, custos_buf_view(&parcel.wrapped), &secret, &lab.err));
	LAB_OK(&lab, custos_token_import_begin(lab.token, point, &lab.err));
	LAB_OK(&lab, custos_seal(secret, point, back.token_point, &back.wrapped, &lab.err));
	LAB_OK(&lab, receive(lab.token, &b, CUSTOS_KEK_PROVE, &back));
	/* the pair was good for one attempt */
	LAB_FAILS(&lab, receive(lab.token, &b, CUSTOS_KEK_PROVE, &back), CUSTOS_E_INTERNAL, "no import was begun");
	custos_release_parcel_done(&back);
	struct custos_secret *other = NULL;
	LAB_OK(&lab, custos_secret_new(32, &other, &lab.err));
	LAB_OK(&lab, custos_token_import_begin(lab.token, point, &lab.err));
	LAB_OK(&lab, custos_seal(other, point, back.token_point, &back.wrapped, &lab.err));
	LAB_FAILS(&lab, receive(lab.token, &b, CUSTOS_KEK_PROVE, &back), CUSTOS_E_TOKEN, "cannot unwrap");
	custos_secret_free(other);
	custos_secret_free(secret);
	custos_release_parcel_done(&back);
	custos_release_parcel_done(&parcel);
	lab_intent_done(&intent);
	born_done(&b);
	lab_reopen(&lab);
}

/* Goal: a KEK leaves for what was logged and nothing else: not by an intent to release a key, not twice, not to another point, not the KEK that lies on the token. */
static void nothing_leaves_that_was_not_logged(void **state)
{
	(void)state;
	struct born b;
	struct lab_intent intent;
	struct custos_release_parcel parcel = { 0 };
	bear(&b, "custos-kek-d", CUSTOS_KEK_BORN_FOR_BACKUP);
	log_backup(&b, NULL, "release.intent", &intent);
	LAB_FAILS(&lab, ask(&b, &intent, CUSTOS_INTENT_KEK_BACKUP, &parcel), CUSTOS_E_POLICY, "not a kek.backup_intent");
	lab_intent_done(&intent);
	log_backup(&b, NULL, "kek.backup_intent", &intent);
	LAB_FAILS(&lab, ask(&b, &intent, CUSTOS_INTENT_RELEASE, &parcel), CUSTOS_E_POLICY, "something else");
	intent.point[40] ^= 1;
	LAB_FAILS(&lab, ask(&b, &intent, CUSTOS_INTENT_KEK_BACKUP, &parcel), CUSTOS_E_POLICY, "another courier");
	memcpy(intent.terms.courier_point, intent.point, sizeof intent.point);
	LAB_FAILS(&lab, ask(&b, &intent, CUSTOS_INTENT_KEK_BACKUP, &parcel), CUSTOS_E_POLICY, "another courier");
	intent.point[40] ^= 1;
	memcpy(intent.terms.courier_point, intent.point, sizeof intent.point);
	LAB_OK(&lab, ask(&b, &intent, CUSTOS_INTENT_KEK_BACKUP, &parcel));
	custos_release_parcel_done(&parcel);
	LAB_FAILS(&lab, ask(&b, &intent, CUSTOS_INTENT_KEK_BACKUP, &parcel), CUSTOS_E_POLICY, "has been used");
	lab_intent_done(&intent);
	born_done(&b);
	lab_reopen(&lab);
	/* the local KEK: logged as it may be, it does not go */
	struct born local = { .variant = CUSTOS_KEK_LOCAL_ONLY };
	memcpy(local.id, lab.kek_id, sizeof local.id);
	LAB_OK(&lab, custos_token_key_copy(CUSTOS_KEY_EC_P256, custos_buf_view(&lab.canary.spki), custos_buf_view(&lab.canary.container), &local.canary, &lab.err));
	log_backup(&local, NULL, "kek.backup_intent", &intent);
	LAB_FAILS(&lab, ask(&local, &intent, CUSTOS_INTENT_KEK_BACKUP, &parcel), CUSTOS_E_POLICY, "made for a backup");
	struct custos_token_kek kek = kek_of(&local);
	struct custos_json *attributes = NULL;
	LAB_FAILS(&lab, custos_token_kek_keep(lab.token, &kek, &attributes, &lab.err), CUSTOS_E_POLICY, "made for a backup");
	lab_intent_done(&intent);
	born_done(&local);
}

/* Goal: a key moves to another KEK and is the same key; the old KEK ends, the one in use does not; nothing moves from or to what is not there. */
static void keys_move_and_the_old_one_ends(void **state)
{
	(void)state;
	static const enum custos_key_type types[] = { CUSTOS_KEY_RSA_2048, CUSTOS_KEY_EC_P256, CUSTOS_KEY_EC_P384 };
	struct custos_token_key keys[3] = { 0 }, moved = { 0 };
	struct born b;
	struct custos_token_kek from = { CUSTOS_KEK_LOCAL_ONLY, lab.kek_id, custos_buf_view(&lab.canary.container), custos_buf_view(&lab.canary.spki) };
	for (size_t i = 0; i < 3; i++)
		LAB_OK(&lab, custos_token_key_generate(lab.token, types[i], &keys[i], &lab.err));
	struct custos_token_key_ref ref = lab_ref(&keys[0]);
	LAB_FAILS(&lab, custos_token_key_rewrap(lab.token, &from, &ref, &moved, &lab.err), CUSTOS_E_INTERNAL, "from one KEK to another");
	bear(&b, "custos-kek-e", CUSTOS_KEK_BORN_LOCAL);
	struct custos_token_kek to = kek_of(&b);
	LAB_OK(&lab, custos_token_kek_open(lab.token, &to, &lab.err));
	for (size_t i = 0; i < 3; i++) {
		CUSTOS_AUTO_BUF signature = { 0 };
		ref = lab_ref(&keys[i]);
		LAB_OK(&lab, custos_token_key_rewrap(lab.token, &from, &ref, &moved, &lab.err));
		assert_true(custos_bytes_equal(custos_buf_view(&moved.spki), custos_buf_view(&keys[i].spki)));
		assert_false(custos_bytes_equal(custos_buf_view(&moved.container), custos_buf_view(&keys[i].container)));
		struct custos_token_key_ref now = lab_ref(&moved);
		LAB_OK(&lab, custos_token_sign(lab.token, &now, custos_key_signature(types[i]), CUSTOS_BYTES_STR("the same key"), &signature, &lab.err));
		/* what moved is not under the old one any more */
		struct custos_token_key none = { 0 };
		LAB_FAILS(&lab, custos_token_key_rewrap(lab.token, &from, &now, &none, &lab.err), CUSTOS_E_TOKEN, "cannot unwrap");
		custos_token_key_done(&moved);
	}
	/* another key's public half does not make it another key */
	struct custos_token_key_ref mixed = lab_ref(&keys[1]);
	struct custos_token_key other = { 0 };
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &other, &lab.err));
	mixed.spki = custos_buf_view(&other.spki);
	LAB_FAILS(&lab, custos_token_key_rewrap(lab.token, &from, &mixed, &moved, &lab.err), CUSTOS_E_TOKEN, "the moved key");
	LAB_FAILS(&lab, custos_token_kek_destroy(lab.token, b.id, &lab.err), CUSTOS_E_POLICY, "in use");
	LAB_OK(&lab, custos_token_kek_destroy(lab.token, lab.kek_id, &lab.err));
	LAB_OK(&lab, custos_token_kek_destroy(lab.token, lab.kek_id, &lab.err));
	LAB_FAILS(&lab, custos_token_key_rewrap(lab.token, &from, &ref, &moved, &lab.err), CUSTOS_E_TOKEN, "does not hold the KEK");
	LAB_FAILS(&lab, custos_token_kek_open(lab.token, &from, &lab.err), CUSTOS_E_TOKEN, "does not hold the KEK");
	custos_token_key_done(&other);
	for (size_t i = 0; i < 3; i++)
		custos_token_key_done(&keys[i]);
	born_done(&b);
}

static int start(void **state)
{
	(void)state;
	char line[256], serial[32];
	struct custos_err err = { 0 };
	assert_int_equal(custos_secret_start(&err), CUSTOS_OK);
	lab_make(&lab, "kek");
	snprintf(line, sizeof line, "softhsm_init_token second %s/so-pin %s/pin", lab.dir, lab.dir);
	lab_bash(&lab, line, serial, sizeof serial);
	snprintf(second_uri, sizeof second_uri, "pkcs11:token=second");
	lab_open(&lab);
	lab_login(&lab);
	lab_furnish(&lab);
	open_second();
	return 0;
}

static int end(void **state)
{
	(void)state;
	custos_token_free(second);
	lab_remove(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_token_holds_it),
		cmocka_unit_test(what_comes_back_is_proven),
		cmocka_unit_test(nothing_leaves_that_was_not_logged),
		cmocka_unit_test(keys_move_and_the_old_one_ends),
	};
	return cmocka_run_group_tests(tests, start, end);
}
