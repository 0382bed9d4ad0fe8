/* Keys on a real token, from birth to a courier's hands. */
#include "token_lab.h"

#include <openssl/x509.h>

static struct lab lab;

static size_t objects_on_token(void)
{
	char line[128], out[32];
	snprintf(line, sizeof line, "softhsm_count_objects %s", lab.serial);
	lab_bash(&lab, line, out, sizeof out);
	return strtoul(out, NULL, 10);
}

struct released {
	struct custos_bytes spki;
	unsigned padding;
};

/* The courier's view: PKCS#8 with at most seven zero bytes behind it, and its public half. */
static custos_rc compare_public(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct released *released = ctx;
	const unsigned char *p = bytes;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)len);
	CUSTOS_REQUIRE(key != NULL, err, CUSTOS_E_TOKEN, "what arrived is not a private key");
	unsigned char *der = NULL;
	int der_len = i2d_PUBKEY(key, &der);
	bool equal = der_len > 0 && custos_bytes_equal(CUSTOS_BYTES(der, (size_t)der_len), released->spki);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	released->padding = (unsigned)(bytes + len - p);
	for (const unsigned char *c = p; c < bytes + len; c++)
		CUSTOS_REQUIRE(*c == 0, err, CUSTOS_E_TOKEN, "the padding is not zero");
	CUSTOS_REQUIRE(equal, err, CUSTOS_E_TOKEN, "another key arrived");
	return CUSTOS_OK;
}

static void release_and_compare(const struct custos_token_key *key)
{
	struct lab_intent intent;
	struct custos_permit *permit = NULL;
	struct custos_release_parcel parcel = { 0 };
	struct custos_secret *secret = NULL;
	lab_commit_intent(&lab, key, &intent);
	struct custos_token_key_ref ref = lab_ref(key);
	struct custos_release_request request = lab_request(&ref, &intent);
	LAB_OK(&lab, custos_permit_mint(&intent.terms, &permit, &lab.err));
	LAB_OK(&lab, custos_token_release(lab.token, permit, &request, &parcel, &lab.err));
	LAB_OK(&lab, custos_unseal(intent.courier, parcel.token_point, custos_buf_view(&parcel.wrapped), &secret, &lab.err));
	struct released released = { .spki = custos_buf_view(&key->spki) };
	LAB_OK(&lab, custos_secret_expose(secret, compare_public, &released, &lab.err));
	assert_true(released.padding <= custos_token_info(lab.token)->padding_max);
	custos_secret_free(secret);
	custos_release_parcel_done(&parcel);
	custos_permit_free(permit);
	lab_intent_done(&intent);
}

/* Goal: every deployable type is made, signs, is released to a courier's key, and what arrives there is the private half of the SPKI. */
static void every_type_reaches_the_courier(void **state)
{
	(void)state;
	static const enum custos_key_type types[] = { CUSTOS_KEY_RSA_2048, CUSTOS_KEY_RSA_3072, CUSTOS_KEY_RSA_4096, CUSTOS_KEY_EC_P256, CUSTOS_KEY_EC_P384,
		                                    CUSTOS_KEY_EC_P521, CUSTOS_KEY_RSA_8192 };
	size_t before = objects_on_token();
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct custos_token_key key = { 0 };
		CUSTOS_AUTO_BUF signature = { 0 };
		LAB_OK(&lab, custos_token_key_generate(lab.token, types[i], &key, &lab.err));
		assert_int_equal(key.type, types[i]);
		struct custos_token_key_ref ref = lab_ref(&key);
		struct custos_bytes message = CUSTOS_BYTES_STR("to be signed");
		LAB_OK(&lab, custos_token_sign(lab.token, &ref, custos_key_signature(types[i]), message, &signature, &lab.err));
		LAB_OK(&lab, custos_verify("test", ref.spki, custos_key_signature(types[i]), message, custos_buf_view(&signature), &lab.err));
		release_and_compare(&key);
		custos_token_key_done(&key);
	}
	/* nothing is left on the token */
	assert_int_equal(objects_on_token(), before);
}

/* Goal: a container proves which key is in it; another key's SPKI is noticed before the parcel is handed out. */
static void container_of_another_key_is_noticed(void **state)
{
	(void)state;
	struct custos_token_key a = { 0 }, b = { 0 };
	struct lab_intent intent;
	struct custos_permit *permit = NULL;
	struct custos_release_parcel parcel = { 0 };
	CUSTOS_AUTO_BUF signature = { 0 };
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &a, &lab.err));
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &b, &lab.err));
	struct custos_token_key_ref mixed = lab_ref(&a);
	mixed.spki = custos_buf_view(&b.spki);
	LAB_FAILS(&lab, custos_token_sign(lab.token, &mixed, CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("x"), &signature, &lab.err), CUSTOS_E_TOKEN, "");
	assert_int_equal(signature.len, 0);
	lab_commit_intent(&lab, &a, &intent);
	struct custos_release_request request = lab_request(&mixed, &intent);
	LAB_OK(&lab, custos_permit_mint(&intent.terms, &permit, &lab.err));
	LAB_FAILS(&lab, custos_token_release(lab.token, permit, &request, &parcel, &lab.err), CUSTOS_E_TOKEN, "the key being released");
	assert_int_equal(parcel.wrapped.len, 0);
	custos_permit_free(permit);
	lab_intent_done(&intent);
	custos_token_key_done(&a);
	custos_token_key_done(&b);
}

/* Goal: a container that was changed in any byte does not come out, and a shortened one neither. */
static void damaged_container_is_refused(void **state)
{
	(void)state;
	struct custos_token_key key = { 0 };
	CUSTOS_AUTO_BUF signature = { 0 };
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &key, &lab.err));
	struct custos_token_key_ref ref = lab_ref(&key);
	for (size_t i = 0; i < key.container.len; i += 7) {
		key.container.ptr[i] ^= 1;
		LAB_FAILS(&lab, custos_token_sign(lab.token, &ref, CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("x"), &signature, &lab.err), CUSTOS_E_TOKEN, "cannot unwrap");
		key.container.ptr[i] ^= 1;
	}
	ref.container.len -= 8;
	LAB_FAILS(&lab, custos_token_sign(lab.token, &ref, CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("x"), &signature, &lab.err), CUSTOS_E_TOKEN, "cannot unwrap");
	ref.container.len -= 3;
	LAB_FAILS(&lab, custos_token_sign(lab.token, &ref, CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("x"), &signature, &lab.err), CUSTOS_E_INPUT, "cannot be one");
	custos_token_key_done(&key);
}

/* Goal: sign-only keys of every type stay on the token, sign, and are found again by id; a second of the same id or label is refused. */
static void sign_only_keys_stay(void **state)
{
	(void)state;
	for (int type = CUSTOS_KEY_RSA_2048; type <= CUSTOS_KEY_EC_P521; type++) {
		uint8_t id[16];
		char label[32];
		struct custos_token_key key = { 0 }, second = { 0 };
		CUSTOS_AUTO_BUF signature = { 0 };
		size_t before = objects_on_token();
		snprintf(label, sizeof label, "login-%d", type);
		LAB_OK(&lab, custos_random(id, sizeof id, &lab.err));
		LAB_OK(&lab, custos_token_key_generate_sign_only(lab.token, (enum custos_key_type)type, id, label, &key, &lab.err));
		assert_int_equal(key.container.len, 0);
		assert_int_equal(objects_on_token(), before + 2);
		struct custos_token_key_ref ref = { .type = key.type, .spki = custos_buf_view(&key.spki), .id = id };
		LAB_OK(&lab, custos_token_sign(lab.token, &ref, custos_key_signature(key.type), CUSTOS_BYTES_STR("to be signed"), &signature, &lab.err));
		LAB_FAILS(&lab, custos_token_key_generate_sign_only(lab.token, (enum custos_key_type)type, id, "other", &second, &lab.err), CUSTOS_E_POLICY, "that id already");
		id[0] ^= 1;
		LAB_FAILS(&lab, custos_token_key_generate_sign_only(lab.token, (enum custos_key_type)type, id, label, &second, &lab.err), CUSTOS_E_POLICY, label);
		LAB_FAILS(&lab, custos_token_sign(lab.token, &ref, custos_key_signature(key.type), CUSTOS_BYTES_STR("x"), &signature, &lab.err), CUSTOS_E_TOKEN, "does not hold the key");
		assert_int_equal(objects_on_token(), before + 2);
		custos_token_key_done(&key);
	}
}

/* Goal: this token cannot wrap Ed25519, so a deployable one is refused before anything is made. */
static void unwrappable_type_is_refused(void **state)
{
	(void)state;
	struct custos_token_key key = { 0 };
	LAB_FAILS(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_ED25519, &key, &lab.err), CUSTOS_E_POLICY, "cannot keep ed25519 keys");
	assert_memory_equal(lab.err.hint, "take ec-p256; the token can keep rsa-2048,", sizeof "take ec-p256; the token can keep rsa-2048," - 1);
	assert_non_null(strstr(lab.err.hint, "--class sign-only"));
	assert_null(key.spki.ptr);
}

/* Goal: the KEK is what the design says, attribute by attribute, and is made once. */
static void kek_is_as_designed(void **state)
{
	(void)state;
	uint8_t id[16];
	struct custos_json *read = NULL, *again = NULL;
	LAB_OK(&lab, custos_random(id, sizeof id, &lab.err));
	LAB_OK(&lab, custos_token_kek_create(lab.token, id, "custos-kek-2", CUSTOS_KEK_BORN_LOCAL, &read, &lab.err));
	static const struct {
		const char *name;
		bool value;
	} rows[] = {
		{ "token", true }, { "private", true }, { "sensitive", true }, { "extractable", false }, { "wrap", true }, { "unwrap", true }, { "encrypt", false },
		{ "decrypt", false }, { "sign", false }, { "verify", false }, { "derive", false }, { "modifiable", false }, { "copyable", false },
		{ "always_sensitive", true }, { "never_extractable", true }, { "local", true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_non_null(custos_json_get(read, rows[i].name));
		assert_int_equal(custos_json_bool(read, rows[i].name, !rows[i].value), rows[i].value);
	}
	assert_int_equal(custos_json_int(read, "value_len", 0), 32);
	assert_string_equal(custos_json_text(read, "key_gen_mechanism"), "0x1080");
	const struct custos_json *mechanisms = custos_json_get(read, "allowed_mechanisms");
	assert_int_equal(custos_json_count(mechanisms), 1);
	assert_string_equal(custos_json_string_value(custos_json_at(mechanisms, 0)), "0x210a");
	const struct custos_json *unwrap = custos_json_get(read, "unwrap_template");
	assert_int_equal(custos_json_count(unwrap), 5);
	assert_true(custos_json_bool(unwrap, "sensitive", false));
	assert_false(custos_json_bool(unwrap, "token", true));
	assert_string_equal(custos_json_text(custos_json_get(read, "wrap_template"), "class"), "0x3");
	LAB_FAILS(&lab, custos_token_kek_create(lab.token, id, "custos-kek-3", CUSTOS_KEK_BORN_LOCAL, &again, &lab.err), CUSTOS_E_POLICY, "that id already");
	id[0] ^= 1;
	LAB_FAILS(&lab, custos_token_kek_create(lab.token, id, "custos-kek-2", CUSTOS_KEK_BORN_LOCAL, &again, &lab.err), CUSTOS_E_POLICY, "custos-kek-2");
	custos_json_free(read);
	lab_reopen(&lab);
}

/* Goal: a KEK that is not the one of the canary, or a canary of another key, is refused, and then nothing can be unwrapped. */
static void wrong_kek_is_refused(void **state)
{
	(void)state;
	uint8_t id[16];
	struct custos_token_key key = { 0 };
	struct custos_json *read = NULL;
	LAB_OK(&lab, custos_random(id, sizeof id, &lab.err));
	LAB_FAILS(&lab, custos_token_kek_open(lab.token, LAB_KEK(id, lab.canary.container, lab.canary.spki), &lab.err), CUSTOS_E_TOKEN,
	          "does not hold the KEK");
	LAB_OK(&lab, custos_token_kek_create(lab.token, id, "custos-kek-4", CUSTOS_KEK_BORN_LOCAL, &read, &lab.err));
	custos_json_free(read);
	LAB_FAILS(&lab, custos_token_kek_open(lab.token, LAB_KEK(id, lab.canary.container, lab.canary.spki), &lab.err), CUSTOS_E_TOKEN, "cannot unwrap");
	LAB_FAILS(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &key, &lab.err), CUSTOS_E_INTERNAL, "no KEK is open");
	LAB_FAILS(&lab, custos_token_kek_open(lab.token, LAB_KEK(lab.kek_id, lab.canary.container, lab.log_key.spki), &lab.err), CUSTOS_E_INPUT, "P-256");
	lab_reopen(&lab);
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &key, &lab.err));
	LAB_FAILS(&lab, custos_token_kek_open(lab.token, LAB_KEK(lab.kek_id, key.container, lab.canary.spki), &lab.err), CUSTOS_E_TOKEN, "canary");
	custos_token_key_done(&key);
	lab_reopen(&lab);
}

/* Goal: a log signer is only given for the key whose SPKI the custody knows. */
static void foreign_log_key_is_refused(void **state)
{
	(void)state;
	uint8_t id[16];
	struct custos_token_key key = { 0 };
	struct custos_signer signer;
	LAB_OK(&lab, custos_random(id, sizeof id, &lab.err));
	LAB_OK(&lab, custos_token_key_generate_sign_only(lab.token, CUSTOS_KEY_ED25519, id, "not-the-log", &key, &lab.err));
	LAB_FAILS(&lab, custos_token_log_signer(lab.token, id, custos_buf_view(&lab.log_key.spki), &signer, &lab.err), CUSTOS_E_TOKEN, "not the one");
	custos_token_key_done(&key);
	lab_reopen(&lab);
}

static int start(void **state)
{
	(void)state;
	return lab_start(&lab, "custos-keys");
}

static int stop(void **state)
{
	(void)state;
	lab_remove(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_reaches_the_courier),
		cmocka_unit_test(container_of_another_key_is_noticed),
		cmocka_unit_test(damaged_container_is_refused),
		cmocka_unit_test(sign_only_keys_stay),
		cmocka_unit_test(unwrappable_type_is_refused),
		cmocka_unit_test(kek_is_as_designed),
		cmocka_unit_test(wrong_kek_is_refused),
		cmocka_unit_test(foreign_log_key_is_refused),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
