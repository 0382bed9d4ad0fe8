/* Cheating on a release: past the permit in the keeper, and past the keeper straight into custos-token. */
#include "token_lab.h"

#include <signal.h>

static struct lab lab;
static struct custos_token_key key, other;

static struct custos_permit *mint(const struct custos_release_terms *terms)
{
	struct custos_permit *permit = NULL;
	LAB_OK(&lab, custos_permit_mint(terms, &permit, &lab.err));
	return permit;
}

/* The permit must refuse and the parcel stay empty; then the same permit must not work for the truth either. */
static void permit_refuses(struct custos_permit *permit, const struct custos_release_request *request, const struct custos_release_request *truth, const char *text)
{
	struct custos_release_parcel parcel = { 0 };
	LAB_FAILS(&lab, custos_token_release(lab.token, permit, request, &parcel, &lab.err), CUSTOS_E_POLICY, text);
	assert_null(parcel.wrapped.ptr);
	LAB_FAILS(&lab, custos_token_release(lab.token, permit, truth, &parcel, &lab.err), CUSTOS_E_POLICY, "has been used");
	assert_null(parcel.wrapped.ptr);
	custos_permit_free(permit);
}

/* Goal: a used permit, one of another key, another courier and other hosts: refused in the keeper, before custos-token is asked. */
static void permit_is_for_one_release(void **state)
{
	(void)state;
	struct lab_intent intent;
	struct custos_release_parcel parcel = { 0 };
	lab_commit_intent(&lab, &key, &intent);
	struct custos_token_key_ref ref = lab_ref(&key), other_ref = lab_ref(&other);
	struct custos_release_request truth = lab_request(&ref, &intent), lie = truth;
	uint8_t point[CUSTOS_POINT_SIZE];

	lie.key = &other_ref;
	permit_refuses(mint(&intent.terms), &lie, &truth, "another key");
	lie = truth;
	memcpy(point, intent.point, sizeof point);
	point[1] ^= 1;
	lie.courier_point = point;
	permit_refuses(mint(&intent.terms), &lie, &truth, "another courier");
	lie = truth;
	lie.hosts_line = CUSTOS_BYTES_STR("[{\"address\":\"192.0.2.66:22\",\"target\":\"esx1.example\"}]");
	permit_refuses(mint(&intent.terms), &lie, &truth, "other hosts");
	LAB_FAILS(&lab, custos_token_release(lab.token, NULL, &truth, &parcel, &lab.err), CUSTOS_E_POLICY, "needs a permit");

	struct custos_permit *permit = mint(&intent.terms);
	LAB_OK(&lab, custos_token_release(lab.token, permit, &truth, &parcel, &lab.err));
	custos_release_parcel_done(&parcel);
	memset(&parcel, 0, sizeof parcel);
	permit_refuses(permit, &truth, &truth, "has been used");
	/* a second permit for the same entry (which the log never gives) is stopped by custos-token */
	permit = mint(&intent.terms);
	LAB_FAILS(&lab, custos_token_release(lab.token, permit, &truth, &parcel, &lab.err), CUSTOS_E_POLICY, "intent has been used");
	custos_permit_free(permit);
	lab_intent_done(&intent);
}

/* A keeper that was taken over: it writes RELEASE by hand, without any permit. */
static custos_rc raw_release(const struct custos_token_key *k, const struct lab_intent *intent, const uint8_t *point, struct custos_bytes leaf, struct custos_bytes body,
                             struct custos_bytes hosts, struct custos_err *err)
{
	static const uint8_t challenge[CUSTOS_CHALLENGE_SIZE];
	CUSTOS_AUTO_BUF message = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &message, .err = err };
	custos_wire_put_u8(&w, (uint8_t)k->type);
	custos_wire_put_bytes(&w, custos_buf_view(&k->container));
	custos_wire_put_bytes(&w, custos_buf_view(&k->spki));
	custos_wire_put_fixed(&w, point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, leaf);
	custos_wire_put_u32(&w, (uint32_t)intent->proof_count);
	for (size_t i = 0; i < intent->proof_count; i++)
		custos_wire_put_fixed(&w, intent->proof[i], CUSTOS_HASH_SIZE);
	custos_wire_put_bytes(&w, body);
	custos_wire_put_bytes(&w, hosts);
	custos_wire_put_fixed(&w, challenge, sizeof challenge);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = { CUSTOS_TOKEN_RELEASE, CUSTOS_TOKEN_RELEASED, -1, 10000, "cheating" };
	return custos_token_call(lab.token, &x, custos_buf_view(&message), &frame, err);
}

#define LEAF custos_buf_view(&intent.leaf)
#define BODY custos_buf_view(&intent.body)
#define HOSTS custos_buf_view(&intent.hosts)

/* Goal: custos-token itself refuses another container, point, hosts, a leaf that is not in the tree, and the same leaf twice. */
static void token_judges_for_itself(void **state)
{
	(void)state;
	struct lab_intent intent;
	uint8_t point[CUSTOS_POINT_SIZE];
	lab_commit_intent(&lab, &key, &intent);
	memcpy(point, intent.point, sizeof point);
	point[1] ^= 1;
	LAB_FAILS(&lab, raw_release(&other, &intent, intent.point, LEAF, BODY, HOSTS, &lab.err), CUSTOS_E_POLICY, "another key");
	LAB_FAILS(&lab, raw_release(&key, &intent, point, LEAF, BODY, HOSTS, &lab.err), CUSTOS_E_POLICY, "another courier");
	LAB_FAILS(&lab, raw_release(&key, &intent, intent.point, LEAF, BODY, CUSTOS_BYTES_STR("[{}]"), &lab.err), CUSTOS_E_POLICY, "other hosts");
	LAB_FAILS(&lab, raw_release(&key, &intent, intent.point, CUSTOS_BYTES_STR("{\"event\":\"release.intent\"}"), BODY, HOSTS, &lab.err), CUSTOS_E_POLICY, "not the last entry");
	LAB_OK(&lab, raw_release(&key, &intent, intent.point, LEAF, BODY, HOSTS, &lab.err));
	LAB_FAILS(&lab, raw_release(&key, &intent, intent.point, LEAF, BODY, HOSTS, &lab.err), CUSTOS_E_POLICY, "has been used");
	lab_intent_done(&intent);
}

/* Goal: an entry of another kind, an intent that was never signed, an older one, and one of an earlier process release nothing. */
static void only_the_newest_signed_intent(void **state)
{
	(void)state;
	struct lab_intent intent, newer;
	lab_log_intent(&lab, &key, "release.done", "esx1.example", &intent);
	lab_sign(&lab, &intent.body);
	LAB_FAILS(&lab, raw_release(&key, &intent, intent.point, LEAF, BODY, HOSTS, &lab.err), CUSTOS_E_POLICY, "not a release.intent");
	lab_intent_done(&intent);

	lab_log_intent(&lab, &key, "release.intent", "esx1.example", &intent);
	LAB_FAILS(&lab, raw_release(&key, &intent, intent.point, LEAF, BODY, HOSTS, &lab.err), CUSTOS_E_POLICY, "not the one signed last");
	lab_sign(&lab, &intent.body);
	lab_commit_intent(&lab, &key, &newer);
	LAB_FAILS(&lab, raw_release(&key, &intent, intent.point, LEAF, BODY, HOSTS, &lab.err), CUSTOS_E_POLICY, "not the one signed last");
	lab_prove(&lab, lab.count - 2, &intent);
	LAB_FAILS(&lab, raw_release(&key, &intent, intent.point, LEAF, custos_buf_view(&newer.body), HOSTS, &lab.err), CUSTOS_E_POLICY, "not the last entry");
	lab_intent_done(&intent);

	lab_reopen(&lab);
	intent = newer;
	LAB_FAILS(&lab, raw_release(&key, &intent, intent.point, LEAF, BODY, HOSTS, &lab.err), CUSTOS_E_POLICY, "no checkpoint was signed here");
	lab_intent_done(&intent);
}

static custos_rc sign_as_log(const char *body, struct custos_err *err)
{
	CUSTOS_AUTO_BUF signature = { 0 };
	return lab.signer.sign(lab.signer.ctx, CUSTOS_BYTES_STR(body), &signature, err);
}

/* Goal: the log's key is not to be had for anything but a growing log: not through LOG_SIGN, and not as if it were a sign-only key. */
static void log_key_signs_nothing_else(void **state)
{
	(void)state;
	struct lab_intent intent;
	CUSTOS_AUTO_BUF signature = { 0 };
	CUSTOS_AUTO_BUF smaller = { 0 };
	lab_commit_intent(&lab, &key, &intent);
	LAB_FAILS(&lab, sign_as_log("hello", &lab.err), CUSTOS_E_POLICY, "checkpoints only");
	lab_body(&lab, lab.count - 1, &smaller);
	LAB_FAILS(&lab, sign_as_log((const char *)smaller.ptr, &lab.err), CUSTOS_E_POLICY, "goes back");
	lab.leaves[0][0] ^= 1;
	custos_buf_done(&smaller);
	lab_body(&lab, lab.count, &smaller);
	lab.leaves[0][0] ^= 1;
	LAB_FAILS(&lab, sign_as_log((const char *)smaller.ptr, &lab.err), CUSTOS_E_POLICY, "second history");
	struct custos_token_key_ref as_key = { .type = lab.log_key.type, .spki = custos_buf_view(&lab.log_key.spki), .id = lab.log_id };
	LAB_FAILS(&lab, custos_token_sign(lab.token, &as_key, custos_key_signature(as_key.type), custos_buf_view(&smaller), &signature, &lab.err), CUSTOS_E_POLICY, "log's key only");
	lab_intent_done(&intent);
}

/* A table that allows everything: what a keeper without scruples would use. */
static const struct custos_link_rule anything[] = {
	{ CUSTOS_TOKEN_RELEASE, CUSTOS_SIDE_KEEPER, ~0u, CUSTOS_STATE_SAME, 2, "RELEASE" },
	{ CUSTOS_TOKEN_LOG_SIGN, CUSTOS_SIDE_KEEPER, ~0u, CUSTOS_STATE_SAME, 2, "LOG_SIGN" },
	{ CUSTOS_TOKEN_LOGIN, CUSTOS_SIDE_KEEPER, ~0u, CUSTOS_STATE_SAME, 2, "LOGIN" },
	{ 77, CUSTOS_SIDE_KEEPER, ~0u, CUSTOS_STATE_SAME, 2, "NONSENSE" },
};
static const struct custos_link_protocol lawless = { "token", anything, sizeof anything / sizeof *anything };

/* Goal: a message out of order is not looked at; custos-token ends instead. */
static void message_out_of_order_ends_it(void **state)
{
	(void)state;
	static const uint8_t types[] = { CUSTOS_TOKEN_RELEASE, CUSTOS_TOKEN_LOG_SIGN, CUSTOS_TOKEN_LOGIN, 77 };
	for (size_t i = 0; i < sizeof types; i++) {
		struct custos_token *token = NULL;
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		LAB_OK(&lab, custos_token_start(&(struct custos_token_where){ 0 }, &token, &lab.err));
		token->helper.channel.protocol = &lawless;
		LAB_OK(&lab, custos_channel_send(&token->helper.channel, types[i], CUSTOS_BYTES_STR("x"), -1, &lab.err));
		LAB_FAILS(&lab, custos_channel_receive(&token->helper.channel, 10000, &frame, &lab.err), CUSTOS_E_SYSTEM, "has ended");
		int status = custos_helper_stop(&token->helper, 10000);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), CUSTOS_E_INTERNAL);
		custos_token_free(token);
	}
}

/* Goal: a body that is cut off anywhere, or too long, is answered with an error, and the process lives on. */
static void damaged_bodies_are_answered(void **state)
{
	(void)state;
	static const uint8_t requests[] = { CUSTOS_TOKEN_KEK_CREATE, CUSTOS_TOKEN_KEK_OPEN, CUSTOS_TOKEN_LOG_KEY_CREATE, CUSTOS_TOKEN_LOG_OPEN, CUSTOS_TOKEN_LOG_SIGN,
		                                CUSTOS_TOKEN_KEY_GENERATE, CUSTOS_TOKEN_SIGN, CUSTOS_TOKEN_RELEASE };
	uint8_t body[257];
	LAB_OK(&lab, custos_random(body, sizeof body, &lab.err));
	for (size_t i = 0; i < sizeof requests; i++) {
		for (size_t len = 0; len < sizeof body; len += 16) {
			CUSTOS_AUTO_FRAME frame = { .fd = -1 };
			struct custos_exchange x = { requests[i], 0, -1, 10000, "cheating" };
			custos_err_clear(&lab.err);
			assert_int_not_equal(custos_token_call(lab.token, &x, CUSTOS_BYTES(body, len), &frame, &lab.err), CUSTOS_OK);
			assert_int_equal(frame.type, CUSTOS_TOKEN_FAILED);
		}
	}
	struct custos_token_key_ref ref = lab_ref(&key);
	CUSTOS_AUTO_BUF signature = { 0 };
	LAB_OK(&lab, custos_token_sign(lab.token, &ref, CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("x"), &signature, &lab.err));
}

static int start(void **state)
{
	(void)state;
	if (lab_start(&lab, "custos-cheats") != 0)
		return -1;
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &key, &lab.err));
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &other, &lab.err));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	custos_token_key_done(&key);
	custos_token_key_done(&other);
	lab_remove(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permit_is_for_one_release),  cmocka_unit_test(token_judges_for_itself),      cmocka_unit_test(only_the_newest_signed_intent),
		cmocka_unit_test(log_key_signs_nothing_else), cmocka_unit_test(message_out_of_order_ends_it), cmocka_unit_test(damaged_bodies_are_answered),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
