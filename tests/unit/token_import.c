/* Keys from outside, sealed to a pair of the token's, and the end of keys that are objects on it; and whoever hands over something else than was agreed. */
#include "token_lab.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

static struct lab lab;

static size_t objects_on_token(void)
{
	char line[128], out[32];
	snprintf(line, sizeof line, "softhsm_count_objects %s", lab.serial);
	lab_bash(&lab, line, out, sizeof out);
	return strtoul(out, NULL, 10);
}

/* What a courier has read from a file. */
struct outside {
	enum custos_key_type type;
	struct custos_secret *pkcs8;
	struct custos_buf spki;
};

struct bytes_in {
	const uint8_t *bytes;
};

static custos_rc fill(void *ctx, uint8_t *out, size_t len, struct custos_err *err)
{
	const struct bytes_in *in = ctx;
	(void)err;
	memcpy(out, in->bytes, len);
	return CUSTOS_OK;
}

static void make_outside(enum custos_key_type type, struct outside *o)
{
	unsigned bits = custos_key_type_bits(type);
	EVP_PKEY *key = bits > 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits)
	                         : EVP_PKEY_Q_keygen(NULL, NULL, "EC", custos_key_type_group(type));
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	unsigned char *der = NULL, *spki = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der), spki_len = i2d_PUBKEY(key, &spki);
	*o = (struct outside){ .type = type };
	assert_true(len > 0 && spki_len > 0);
	LAB_OK(&lab, custos_secret_new((size_t)len, &o->pkcs8, &lab.err));
	LAB_OK(&lab, custos_secret_expose(o->pkcs8, fill, &(struct bytes_in){ der }, &lab.err));
	LAB_OK(&lab, custos_buf_append(&o->spki, spki, (size_t)spki_len, &lab.err));
	OPENSSL_clear_free(der, (size_t)len);
	OPENSSL_free(spki);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_PKEY_free(key);
}

static void outside_done(struct outside *o)
{
	custos_secret_free(o->pkcs8);
	custos_buf_done(&o->spki);
}

struct sent {
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_buf sealed;
};

static void begin_and_seal(const struct outside *o, struct sent *sent)
{
	uint8_t token_point[CUSTOS_POINT_SIZE];
	*sent = (struct sent){ .sealed = { 0 } };
	LAB_OK(&lab, custos_token_import_begin(lab.token, token_point, &lab.err));
	LAB_OK(&lab, custos_seal(o->pkcs8, token_point, sent->point, &sent->sealed, &lab.err));
}

static struct custos_token_import import_of(const struct outside *o, const struct sent *sent)
{
	return (struct custos_token_import){ .type = o->type, .spki = custos_buf_view(&o->spki), .courier_point = sent->point, .sealed = custos_buf_view(&sent->sealed) };
}

/* Goal: every type that can be kept arrives, signs out of its container, and leaves nothing else on the token. */
static void every_type_arrives(void **state)
{
	(void)state;
	size_t before = objects_on_token();
	for (int type = CUSTOS_KEY_RSA_2048; type <= CUSTOS_KEY_EC_P521; type++) {
		if (type == CUSTOS_KEY_ED25519)
			continue; /* this token wraps none */
		struct outside o;
		struct sent sent;
		struct custos_token_key key = { 0 };
		CUSTOS_AUTO_BUF signature = { 0 };
		make_outside((enum custos_key_type)type, &o);
		begin_and_seal(&o, &sent);
		struct custos_token_import import = import_of(&o, &sent);
		LAB_OK(&lab, custos_token_import(lab.token, &import, &key, &lab.err));
		assert_int_equal(key.type, type);
		assert_true(custos_bytes_equal(custos_buf_view(&key.spki), custos_buf_view(&o.spki)));
		struct custos_token_key_ref ref = lab_ref(&key);
		LAB_OK(&lab, custos_token_sign(lab.token, &ref, custos_key_signature(key.type), CUSTOS_BYTES_STR("to be signed"), &signature, &lab.err));
		/* what was sealed for the way in is not what is kept */
		assert_false(custos_bytes_equal(custos_buf_view(&sent.sealed), custos_buf_view(&key.container)));
		custos_token_key_done(&key);
		custos_buf_done(&sent.sealed);
		outside_done(&o);
	}
	assert_int_equal(objects_on_token(), before);
}

/* Goal: a pair is good for one attempt, whether it worked or not. */
static void a_pair_is_used_once(void **state)
{
	(void)state;
	struct outside o;
	struct sent sent, other;
	struct custos_token_key key = { 0 }, again = { 0 };
	make_outside(CUSTOS_KEY_EC_P256, &o);
	begin_and_seal(&o, &sent);
	struct custos_token_import import = import_of(&o, &sent);
	LAB_OK(&lab, custos_token_import(lab.token, &import, &key, &lab.err));
	LAB_FAILS(&lab, custos_token_import(lab.token, &import, &again, &lab.err), CUSTOS_E_INTERNAL, "no import was begun");
	/* what was sealed to the pair before does not open with the one after it */
	begin_and_seal(&o, &other);
	LAB_FAILS(&lab, custos_token_import(lab.token, &import, &again, &lab.err), CUSTOS_E_TOKEN, "cannot unwrap");
	import = import_of(&o, &other);
	LAB_FAILS(&lab, custos_token_import(lab.token, &import, &again, &lab.err), CUSTOS_E_INTERNAL, "no import was begun");
	assert_null(again.spki.ptr);
	custos_token_key_done(&key);
	custos_buf_done(&sent.sealed);
	custos_buf_done(&other.sealed);
	outside_done(&o);
}

/* Goal: whatever arrives that is not the private half of the SPKI that was told is refused, and nothing of it is kept. */
static void another_key_is_noticed(void **state)
{
	(void)state;
	struct outside a, b, r;
	struct sent sent;
	struct custos_token_key key = { 0 };
	make_outside(CUSTOS_KEY_EC_P256, &a);
	make_outside(CUSTOS_KEY_EC_P256, &b);
	make_outside(CUSTOS_KEY_RSA_2048, &r);
	size_t before = objects_on_token();
	begin_and_seal(&a, &sent);
	struct custos_token_import import = import_of(&a, &sent);
	import.spki = custos_buf_view(&b.spki);
	LAB_FAILS(&lab, custos_token_import(lab.token, &import, &key, &lab.err), CUSTOS_E_TOKEN, "the imported key");
	custos_buf_done(&sent.sealed);
	/* of another type than was told */
	begin_and_seal(&r, &sent);
	import = import_of(&a, &sent);
	assert_int_not_equal(custos_token_import(lab.token, &import, &key, &lab.err), CUSTOS_OK);
	custos_buf_done(&sent.sealed);
	begin_and_seal(&r, &sent);
	import = import_of(&r, &sent);
	import.type = (enum custos_key_type)77;
	LAB_FAILS(&lab, custos_token_import(lab.token, &import, &key, &lab.err), CUSTOS_E_POLICY, "cannot keep");
	custos_buf_done(&sent.sealed);
	/* damaged on its way, in any part */
	for (size_t at = 0; at < 3; at++) {
		begin_and_seal(&a, &sent);
		sent.sealed.ptr[at * sent.sealed.len / 3] ^= 1;
		import = import_of(&a, &sent);
		LAB_FAILS(&lab, custos_token_import(lab.token, &import, &key, &lab.err), CUSTOS_E_TOKEN, "cannot unwrap");
		custos_buf_done(&sent.sealed);
	}
	/* a point that is on no curve */
	begin_and_seal(&a, &sent);
	sent.point[40] ^= 1;
	import = import_of(&a, &sent);
	assert_int_not_equal(custos_token_import(lab.token, &import, &key, &lab.err), CUSTOS_OK);
	custos_buf_done(&sent.sealed);
	begin_and_seal(&a, &sent);
	import = import_of(&a, &sent);
	import.sealed.len -= 8;
	assert_int_not_equal(custos_token_import(lab.token, &import, &key, &lab.err), CUSTOS_OK);
	custos_buf_done(&sent.sealed);
	assert_null(key.spki.ptr);
	assert_int_equal(objects_on_token(), before);
	outside_done(&a);
	outside_done(&b);
	outside_done(&r);
}

/* Goal: without a KEK nothing is taken in. */
static void not_without_a_kek(void **state)
{
	(void)state;
	struct outside o;
	struct sent sent;
	struct custos_token_key key = { 0 };
	make_outside(CUSTOS_KEY_EC_P256, &o);
	lab_close(&lab);
	lab_open(&lab);
	lab_login(&lab);
	begin_and_seal(&o, &sent);
	struct custos_token_import import = import_of(&o, &sent);
	LAB_FAILS(&lab, custos_token_import(lab.token, &import, &key, &lab.err), CUSTOS_E_INTERNAL, "no KEK is open");
	custos_buf_done(&sent.sealed);
	outside_done(&o);
	lab_reopen(&lab);
}

/* Goal: a key that is destroyed is gone, is the one that was meant, and is never the log's. */
static void sign_only_keys_end(void **state)
{
	(void)state;
	static const enum custos_key_type types[] = { CUSTOS_KEY_RSA_2048, CUSTOS_KEY_EC_P256, CUSTOS_KEY_EC_P384, CUSTOS_KEY_ED25519 };
	size_t before = objects_on_token();
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		uint8_t id[16];
		char label[32];
		struct custos_token_key key = { 0 };
		CUSTOS_AUTO_BUF signature = { 0 };
		snprintf(label, sizeof label, "ends-%zu", i);
		LAB_OK(&lab, custos_random(id, sizeof id, &lab.err));
		LAB_OK(&lab, custos_token_key_generate_sign_only(lab.token, types[i], id, label, &key, &lab.err));
		struct custos_bytes spki = custos_buf_view(&key.spki);
		LAB_FAILS(&lab, custos_token_key_destroy(lab.token, id, custos_buf_view(&lab.log_key.spki), &lab.err), CUSTOS_E_POLICY, "another key under the id");
		assert_int_equal(objects_on_token(), before + 2);
		LAB_OK(&lab, custos_token_key_destroy(lab.token, id, spki, &lab.err));
		assert_int_equal(objects_on_token(), before);
		struct custos_token_key_ref ref = { .type = key.type, .spki = spki, .id = id };
		LAB_FAILS(&lab, custos_token_sign(lab.token, &ref, custos_key_signature(key.type), CUSTOS_BYTES_STR("x"), &signature, &lab.err), CUSTOS_E_TOKEN, "does not hold the key");
		/* as after an interruption */
		LAB_OK(&lab, custos_token_key_destroy(lab.token, id, spki, &lab.err));
		custos_token_key_done(&key);
	}
	LAB_FAILS(&lab, custos_token_key_destroy(lab.token, lab.log_id, custos_buf_view(&lab.log_key.spki), &lab.err), CUSTOS_E_POLICY, "the log's key is not destroyed");
	/* nor when nobody has said which one that is */
	lab_close(&lab);
	lab_open(&lab);
	lab_login(&lab);
	LAB_FAILS(&lab, custos_token_key_destroy(lab.token, lab.log_id, custos_buf_view(&lab.log_key.spki), &lab.err), CUSTOS_E_INTERNAL, "is not open");
	assert_int_equal(objects_on_token(), before);
	lab_reopen(&lab);
	/* the KEK is no key pair: there is nothing to destroy under its id, and it stays */
	LAB_OK(&lab, custos_token_key_destroy(lab.token, lab.kek_id, custos_buf_view(&lab.log_key.spki), &lab.err));
	assert_int_equal(objects_on_token(), before);
	lab_reopen(&lab);
}

static int start(void **state)
{
	(void)state;
	return lab_start(&lab, "custos-import");
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
		cmocka_unit_test(every_type_arrives),
		cmocka_unit_test(a_pair_is_used_once),
		cmocka_unit_test(another_key_is_noticed),
		cmocka_unit_test(not_without_a_kek),
		cmocka_unit_test(sign_only_keys_end),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
