/* A token whose profile says that keys travel under a courier's RSA key, and one whose profile promises what it cannot do: the release, and every way to get
 * something else out of it. */
#include "token_lab.h"
#include "crypto/transport_key.h"

#include <openssl/x509.h>

/* SoftHSM's own profile but for the transport. */
#define PROFILE(transport) \
	"name: lab-profile\nmatch: {manufacturer: SoftHSM project, model: SoftHSM v2}\ntier: hardened\ntoken_file_copy: softhsm\n" \
	"wrap: {mechanism: 0x210a, format: rfc5649, padding: 7}\ntransport: " transport "\n" \
	"keys: {deployable: [rsa-2048, ec-p256], sign_only: [ec-p256], log: [ec-p256]}\npin: {min: 4, max: 255}\n"

static struct lab lab;
static struct custos_token_key key;

/* A courier with its key, and the intent that names it. */
struct errand {
	struct custos_transport_key *courier;
	struct custos_buf spki;
	struct lab_intent intent;
	struct custos_token_key_ref ref;
	struct custos_permit *permit;
};

static void begin(struct errand *e, enum custos_transport logged)
{
	memset(e, 0, sizeof *e);
	LAB_OK(&lab, custos_transport_key_new(&e->courier, &e->spki, &lab.err));
	lab.transport = logged;
	lab.courier_key = custos_transport_needs_key(logged) ? custos_buf_view(&e->spki) : CUSTOS_BYTES(NULL, 0);
	lab_commit_intent(&lab, &key, &e->intent);
	e->ref = lab_ref(&key);
	LAB_OK(&lab, custos_permit_mint(&e->intent.terms, &e->permit, &lab.err));
}

static void end(struct errand *e)
{
	custos_transport_key_free(e->courier);
	custos_buf_done(&e->spki);
	custos_permit_free(e->permit);
	lab_intent_done(&e->intent);
}

static custos_rc compare(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const unsigned char *p = bytes;
	EVP_PKEY *got = d2i_AutoPrivateKey(NULL, &p, (long)len);
	unsigned char *der = NULL;
	int der_len = got == NULL ? 0 : i2d_PUBKEY(got, &der);
	bool same = der_len > 0 && custos_bytes_equal(CUSTOS_BYTES(der, (size_t)der_len), custos_buf_view(ctx));
	OPENSSL_free(der);
	EVP_PKEY_free(got);
	CUSTOS_REQUIRE(same, err, CUSTOS_E_TOKEN, "another key arrived");
	return CUSTOS_OK;
}

static void open_lab(const char *profile)
{
	custos_token_free(lab.token);
	lab.token = NULL;
	struct custos_token_where where = { .module = LAB_MODULE, .uri = lab.uri, .serial = lab.serial, .profile = profile };
	LAB_OK(&lab, custos_token_open(&where, &lab.token, &lab.err));
	assert_string_equal(custos_token_info(lab.token)->profile, "lab-profile");
	lab_login(&lab);
}

static void reopen(const char *profile)
{
	open_lab(profile);
	LAB_OK(&lab, custos_token_kek_open(lab.token, LAB_KEK(lab.kek_id, lab.canary.container, lab.canary.spki), &lab.err));
	LAB_OK(&lab, custos_token_log_signer(lab.token, lab.log_id, custos_buf_view(&lab.log_key.spki), &lab.signer, &lab.err));
}

/* Goal: the key arrives, with the key that the intent names and no other, and once. */
static void a_key_travels_under_the_couriers_key(void **state)
{
	(void)state;
	struct errand e, another;
	struct custos_release_parcel parcel = { 0 };
	struct custos_secret *secret = NULL;
	assert_int_equal(custos_token_info(lab.token)->transport, CUSTOS_TRANSPORT_RSA_OAEP_SHA1);
	begin(&e, CUSTOS_TRANSPORT_RSA_OAEP_SHA1);
	struct custos_release_request request = lab_request(&e.ref, &e.intent);
	request.courier_key = custos_buf_view(&e.spki);
	LAB_OK(&lab, custos_token_release(lab.token, e.permit, &request, &parcel, &lab.err));
	const struct custos_transport_parcel sealed = { parcel.transport, custos_buf_view(&parcel.wrapping_key), custos_buf_view(&parcel.wrapped), parcel.leaf_hash };
	LAB_OK(&lab, custos_transport_key_open(e.courier, &sealed, &secret, &lab.err));
	LAB_OK(&lab, custos_secret_expose(secret, compare, &key.spki, &lab.err));
	custos_secret_free(secret);
	begin(&another, CUSTOS_TRANSPORT_RSA_OAEP_SHA1);
	LAB_FAILS(&lab, custos_transport_key_open(another.courier, &sealed, &secret, &lab.err), CUSTOS_E_TAMPERED, "does not open");
	custos_release_parcel_done(&parcel);
	end(&e);
	end(&another);
}

/* Goal: the permit is for one courier's key. */
static void the_permit_is_for_one_key(void **state)
{
	(void)state;
	struct errand e;
	struct custos_release_parcel parcel = { 0 };
	CUSTOS_AUTO(custos_transport_key) *thief = NULL;
	CUSTOS_AUTO_BUF thiefs = { 0 };
	LAB_OK(&lab, custos_transport_key_new(&thief, &thiefs, &lab.err));
	begin(&e, CUSTOS_TRANSPORT_RSA_OAEP_SHA1);
	struct custos_release_request request = lab_request(&e.ref, &e.intent);
	request.courier_key = custos_buf_view(&thiefs);
	LAB_FAILS(&lab, custos_token_release(lab.token, e.permit, &request, &parcel, &lab.err), CUSTOS_E_POLICY, "another transport");
	end(&e);
	/* a permit without a key, a request with one; and the other way round */
	begin(&e, CUSTOS_TRANSPORT_ECDH_P256);
	request = lab_request(&e.ref, &e.intent);
	LAB_FAILS(&lab, custos_token_release(lab.token, e.permit, &request, &parcel, &lab.err), CUSTOS_E_POLICY, "another transport");
	end(&e);
}

/* A keeper that was taken over writes the request by hand. */
static custos_rc raw_release(const struct errand *e, uint8_t request, struct custos_bytes courier_key, struct custos_err *err)
{
	static const uint8_t challenge[CUSTOS_CHALLENGE_SIZE];
	CUSTOS_AUTO_BUF message = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &message, .err = err };
	custos_wire_put_u8(&w, (uint8_t)key.type);
	custos_wire_put_bytes(&w, custos_buf_view(&key.container));
	custos_wire_put_bytes(&w, custos_buf_view(&key.spki));
	custos_wire_put_fixed(&w, e->intent.point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, custos_buf_view(&e->intent.leaf));
	custos_wire_put_u32(&w, (uint32_t)e->intent.proof_count);
	for (size_t i = 0; i < e->intent.proof_count; i++)
		custos_wire_put_fixed(&w, e->intent.proof[i], CUSTOS_HASH_SIZE);
	custos_wire_put_bytes(&w, custos_buf_view(&e->intent.body));
	custos_wire_put_bytes(&w, custos_buf_view(&e->intent.hosts));
	custos_wire_put_fixed(&w, challenge, sizeof challenge);
	if (request == CUSTOS_TOKEN_RELEASE_TO_KEY)
		custos_wire_put_bytes(&w, courier_key);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { request, request == CUSTOS_TOKEN_RELEASE_TO_KEY ? CUSTOS_TOKEN_RELEASED_TO_KEY : CUSTOS_TOKEN_RELEASED, -1, 10000, "cheating" };
	return custos_token_call(lab.token, &x, custos_buf_view(&message), &frame, err);
}

/* Goal: custos-token itself refuses another key, no key, and every transport but its own, whatever was logged. */
static void the_token_judges_for_itself(void **state)
{
	(void)state;
	struct errand e;
	CUSTOS_AUTO(custos_transport_key) *thief = NULL;
	CUSTOS_AUTO_BUF thiefs = { 0 };
	const struct custos_bytes none = CUSTOS_BYTES(NULL, 0);
	LAB_OK(&lab, custos_transport_key_new(&thief, &thiefs, &lab.err));
	begin(&e, CUSTOS_TRANSPORT_RSA_OAEP_SHA1);
	LAB_FAILS(&lab, raw_release(&e, CUSTOS_TOKEN_RELEASE_TO_KEY, custos_buf_view(&thiefs), &lab.err), CUSTOS_E_POLICY, "another courier's key");
	LAB_FAILS(&lab, raw_release(&e, CUSTOS_TOKEN_RELEASE_TO_KEY, none, &lab.err), CUSTOS_E_POLICY, "do not fit");
	LAB_FAILS(&lab, raw_release(&e, CUSTOS_TOKEN_RELEASE, none, &lab.err), CUSTOS_E_POLICY, "do not fit");
	LAB_OK(&lab, raw_release(&e, CUSTOS_TOKEN_RELEASE_TO_KEY, custos_buf_view(&e.spki), &lab.err));
	LAB_FAILS(&lab, raw_release(&e, CUSTOS_TOKEN_RELEASE_TO_KEY, custos_buf_view(&e.spki), &lab.err), CUSTOS_E_POLICY, "has been used");
	end(&e);
	static const enum custos_transport others[] = { CUSTOS_TRANSPORT_ECDH_P256, CUSTOS_TRANSPORT_ECDH_P256_KDF, CUSTOS_TRANSPORT_RSA_OAEP };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		begin(&e, others[i]);
		LAB_FAILS(&lab, raw_release(&e, CUSTOS_TOKEN_RELEASE_TO_KEY, custos_buf_view(&e.spki), &lab.err), CUSTOS_E_POLICY, "this token's is rsa-oaep-sha1");
		LAB_FAILS(&lab, raw_release(&e, CUSTOS_TOKEN_RELEASE, none, &lab.err), CUSTOS_E_POLICY, "this token's is rsa-oaep-sha1");
		end(&e);
	}
}

/* Goal: an import needs an agreed key; it is refused before a pair is made. */
static void nothing_comes_in_without_agreement(void **state)
{
	(void)state;
	uint8_t point[CUSTOS_POINT_SIZE];
	LAB_FAILS(&lab, custos_token_import_begin(lab.token, point, &lab.err), CUSTOS_E_POLICY, "takes none from outside");
}

/* Goal: a profile that promises what the token cannot do gives an error, never another transport. */
static void a_promise_that_is_not_kept(void **state)
{
	(void)state;
	struct errand e;
	struct custos_release_parcel parcel = { 0 };
	reopen(PROFILE("ecdh-p256-kdf"));
	begin(&e, CUSTOS_TRANSPORT_ECDH_P256_KDF);
	struct custos_release_request request = lab_request(&e.ref, &e.intent);
	LAB_FAILS(&lab, custos_token_release(lab.token, e.permit, &request, &parcel, &lab.err), CUSTOS_E_TOKEN, "CKR_MECHANISM_PARAM_INVALID");
	end(&e);
	/* a downgrade: what was logged is what older couriers understand */
	begin(&e, CUSTOS_TRANSPORT_ECDH_P256);
	LAB_FAILS(&lab, raw_release(&e, CUSTOS_TOKEN_RELEASE, CUSTOS_BYTES(NULL, 0), &lab.err), CUSTOS_E_POLICY, "logged for transport ecdh-p256, and this token's is ecdh-p256-kdf");
	end(&e);
	reopen(PROFILE("rsa-oaep"));
	begin(&e, CUSTOS_TRANSPORT_RSA_OAEP);
	request = lab_request(&e.ref, &e.intent);
	request.courier_key = custos_buf_view(&e.spki);
	LAB_FAILS(&lab, custos_token_release(lab.token, e.permit, &request, &parcel, &lab.err), CUSTOS_E_TOKEN, "CKR_ARGUMENTS_BAD");
	end(&e);
}

/* Goal: a profile that is handed over is read as strictly as a shipped one, and must fit the token. */
static void a_profile_that_is_handed_over(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	struct custos_token_where where = { .module = LAB_MODULE, .uri = lab.uri, .serial = lab.serial, .profile = PROFILE("carrier-pigeon") };
	custos_token_free(lab.token);
	lab.token = NULL;
	LAB_FAILS(&lab, custos_token_open(&where, &token, &lab.err), CUSTOS_E_INPUT, "transport");
	where.profile = "name: lab-profile\nmatch: {manufacturer: Another, model: SoftHSM v2}\ntier: sign-only\nkeys: {log: [ec-p256]}\npin: {min: 4}\n";
	LAB_FAILS(&lab, custos_token_open(&where, &token, &lab.err), CUSTOS_E_TOKEN, "no profile fits");
	where.profile = "surprise: 1\n";
	LAB_FAILS(&lab, custos_token_open(&where, &token, &lab.err), CUSTOS_E_INPUT, "surprise");
}

/* Goal: RSASSA-PSS is signed where the profile has it, verified in software, and refused elsewhere before the key is unwrapped. */
static void pss_where_the_profile_has_it(void **state)
{
	(void)state;
	static const char with[] = PROFILE("ecdh-p256") "sign: {pss: rsa-pkcs-pss}\n";
	struct custos_token_key rsa = { 0 };
	CUSTOS_AUTO_BUF signature = { 0 };
	const struct custos_bytes message = CUSTOS_BYTES_STR("to be signed");
	reopen(with);
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_RSA_2048, &rsa, &lab.err));
	struct custos_token_key_ref ref = lab_ref(&rsa), ec = lab_ref(&key);
	LAB_OK(&lab, custos_token_sign(lab.token, &ref, CUSTOS_SIGNATURE_RSA_PSS_SHA256, message, &signature, &lab.err));
	LAB_OK(&lab, custos_verify("it", ref.spki, CUSTOS_SIGNATURE_RSA_PSS_SHA256, message, custos_buf_view(&signature), &lab.err));
	LAB_FAILS(&lab, custos_verify("it", ref.spki, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, message, custos_buf_view(&signature), &lab.err), CUSTOS_E_TOKEN, "does not verify");
	LAB_FAILS(&lab, custos_token_sign(lab.token, &ec, CUSTOS_SIGNATURE_RSA_PSS_SHA256, message, &signature, &lab.err), CUSTOS_E_USAGE, "does not sign that way");
	reopen(PROFILE("ecdh-p256"));
	LAB_FAILS(&lab, custos_token_sign(lab.token, &ref, CUSTOS_SIGNATURE_RSA_PSS_SHA256, message, &signature, &lab.err), CUSTOS_E_POLICY, "does not sign by RSASSA-PSS");
	LAB_OK(&lab, custos_token_sign(lab.token, &ref, CUSTOS_SIGNATURE_RSA_PKCS1_SHA256, message, &signature, &lab.err));
	custos_token_key_done(&rsa);
}

static int start(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	if (custos_secret_start(&err) != CUSTOS_OK)
		return -1;
	lab_make(&lab, "custos-transport");
	open_lab(PROFILE("rsa-oaep-sha1"));
	lab_furnish(&lab);
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &key, &lab.err));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	custos_token_key_done(&key);
	lab_remove(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_travels_under_the_couriers_key), cmocka_unit_test(the_permit_is_for_one_key), cmocka_unit_test(the_token_judges_for_itself),
		cmocka_unit_test(nothing_comes_in_without_agreement), cmocka_unit_test(a_promise_that_is_not_kept), cmocka_unit_test(pss_where_the_profile_has_it), cmocka_unit_test(a_profile_that_is_handed_over),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
