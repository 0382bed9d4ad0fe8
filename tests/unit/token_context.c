/* Keys that want the PIN before each signature (CKA_ALWAYS_AUTHENTICATE): it comes again, once a signature, and never again after it was not taken. It is SoftHSM that wants
 * it; token_shim.c in front of it makes such keys, counts the logins, and refuses. */
#include "token_lab.h"
#include "token/batch.h"

extern const char custos_token_profile_softhsm[];
extern const size_t custos_token_profile_softhsm_len;

static struct lab lab;
static char telling[4096];                        /* SoftHSM's profile, and always_authenticate: yes */
static uint8_t key_id[16] = { 7 };
static struct custos_token_key key;               /* sign-only, made by a token that forces it */

/* Told by lab_saw(): x for a login, c for one for a signature, p for one at its pad. */
static void play(const char *part)
{
	lab_play(&lab, part);
}

static struct custos_token *open_as(const char *profile)
{
	if (geteuid() != 0)
		skip(); /* a module must belong to root */
	struct custos_token_where where = { .module = lab.shim, .uri = lab.uri, .serial = lab.serial, .profile = profile };
	struct custos_token *token = NULL;
	LAB_OK(&lab, custos_token_open(&where, &token, &lab.err));
	struct custos_secret *pin = lab_own_pin(&lab);
	LAB_OK(&lab, custos_token_login(token, pin, &lab.err));
	custos_secret_free(pin);
	return token;
}

static custos_rc sign(struct custos_token *token)
{
	CUSTOS_AUTO_BUF signature = { 0 };
	struct custos_token_key_ref ref = { .type = key.type, .spki = custos_buf_view(&key.spki), .id = key_id };
	custos_rc rc = custos_token_sign(token, &ref, custos_key_signature(key.type), CUSTOS_BYTES_STR("message"), &signature, &lab.err);
	assert_true((rc == CUSTOS_OK) == (signature.len > 0));
	return rc;
}

/* Goal: where the profile says so, keys that are made and used, the log's among them, get the PIN once for each signature; keys that want nothing get nothing. */
static void profile_says_so(void **state)
{
	(void)state;
	play("always");
	struct custos_token *token = open_as(telling);
	lab_saw(&lab, "x");
	LAB_OK(&lab, custos_token_key_generate_sign_only(token, CUSTOS_KEY_EC_P256, key_id, "wants-it", &key, &lab.err));
	lab_saw(&lab, "xc");
	LAB_OK(&lab, sign(token));
	LAB_OK(&lab, sign(token));
	lab_saw(&lab, "xccc");
	struct custos_token_key log_key, deployable;
	struct custos_signer signer = { 0 };
	CUSTOS_AUTO_BUF signature = { 0 };
	uint8_t id[16] = { 8 };
	LAB_OK(&lab, custos_token_log_key_create(token, id, "wants-it-for-the-log", &log_key, &lab.err));
	LAB_OK(&lab, custos_token_log_signer(token, id, custos_buf_view(&log_key.spki), &signer, &lab.err));
	CUSTOS_AUTO_BUF body = { 0 };
	lab_append(&lab, CUSTOS_BYTES_STR("{}"));
	lab_body(&lab, lab.count, &body);
	LAB_OK(&lab, signer.sign(signer.ctx, custos_buf_view(&body), &signature, &lab.err));
	lab_saw(&lab, "xccccc");
	LAB_OK(&lab, custos_token_kek_open(token, LAB_KEK(lab.kek_id, lab.canary.container, lab.canary.spki), &lab.err));
	LAB_OK(&lab, custos_token_key_generate(token, CUSTOS_KEY_EC_P256, &deployable, &lab.err));
	lab_saw(&lab, "xccccc");
	custos_token_key_done(&deployable);
	custos_token_key_done(&log_key);
	custos_token_free(token);
}

/* Goal: without a word in the profile it is enough that a key on the token says so when it is logged in to; also from many sessions at once. */
static void key_says_so(void **state)
{
	(void)state;
	play("nothing");
	struct custos_token *token = open_as("softhsm");
	LAB_OK(&lab, sign(token));
	lab_saw(&lab, "xc");
	struct custos_token_job jobs[8];
	struct custos_token_batch batch;
	bool more = true;
	for (size_t i = 0; i < 8; i++)
		jobs[i] = (struct custos_token_job){ .kind = CUSTOS_JOB_SIGN, .type = key.type, .id = key_id, .spki = custos_buf_view(&key.spki), .message = CUSTOS_BYTES_STR("message") };
	LAB_OK(&lab, custos_token_batch_start(token, jobs, 8, 4, &batch, &lab.err));
	for (size_t i = 0; i < 8; i++) {
		struct custos_token_result result = { 0 };
		LAB_OK(&lab, custos_token_batch_next(&batch, &result, &more, &lab.err));
		assert_true(more);
		if (result.rc != CUSTOS_OK)
			fail_msg("%s", result.why.msg);
		LAB_OK(&lab, custos_verify("the key", custos_buf_view(&key.spki), custos_key_signature(key.type), CUSTOS_BYTES_STR("message"), custos_buf_view(&result.signature), &lab.err));
		custos_token_result_done(&result);
	}
	lab_saw(&lab, "xccccccccc");
	custos_token_free(token);
}

/* Goal: a key that does not tell is taken to want it where the profile says so. */
static void silent_key_is_asked_nothing(void **state)
{
	(void)state;
	play("always-silent");
	struct custos_token *token = open_as(telling);
	LAB_OK(&lab, sign(token));
	lab_saw(&lab, "xc");
	custos_token_free(token);
}

/* Goal: a PIN that is not taken for a signature is one attempt, whoever asks for the next signature and with whatever key, and the keeper knows what happened. */
static void refused_once_is_refused_for_ever(void **state)
{
	(void)state;
	play("always-refused");
	struct custos_token *token = open_as("softhsm");
	LAB_FAILS(&lab, sign(token), CUSTOS_E_AUTH, "took the PIN for the login and not for a signature (CKR_PIN_INCORRECT)");
	lab_saw(&lab, "xc");
	assert_string_equal(custos_token_trouble(token), "did not take the PIN for a signature");
	LAB_FAILS(&lab, sign(token), CUSTOS_E_AUTH, "is not tried again");
	LAB_FAILS(&lab, custos_token_kek_open(token, LAB_KEK(lab.kek_id, lab.canary.container, lab.canary.spki), &lab.err), CUSTOS_E_AUTH, "is not tried again");
	lab_saw(&lab, "xc");
	custos_token_free(token);
}

/* Goal: the same when many sessions sign at once: one of them made the one attempt. */
static void refused_in_one_of_many_sessions(void **state)
{
	(void)state;
	play("always-refused");
	struct custos_token *token = open_as("softhsm");
	struct custos_token_job jobs[16];
	struct custos_token_batch batch;
	bool more = true;
	for (size_t i = 0; i < 16; i++)
		jobs[i] = (struct custos_token_job){ .kind = CUSTOS_JOB_SIGN, .type = key.type, .id = key_id, .spki = custos_buf_view(&key.spki), .message = CUSTOS_BYTES_STR("message") };
	LAB_OK(&lab, custos_token_batch_start(token, jobs, 16, 8, &batch, &lab.err));
	for (size_t i = 0; i < 16; i++) {
		struct custos_token_result result = { 0 };
		LAB_OK(&lab, custos_token_batch_next(&batch, &result, &more, &lab.err));
		assert_int_equal(result.rc, CUSTOS_E_AUTH);
		custos_token_result_done(&result);
	}
	lab_saw(&lab, "xc");
	assert_non_null(custos_token_trouble(token));
	custos_token_free(token);
}

/* Goal: the last attempt is not taken for a signature either, and a PIN that was entered at the token is not there to be given again. */
static void no_attempt_at_all(void **state)
{
	(void)state;
	play("always-final-try");
	struct custos_token *token = open_as("softhsm");
	LAB_FAILS(&lab, sign(token), CUSTOS_E_AUTH, "no attempt was made");
	lab_saw(&lab, "x");
	custos_token_free(token);
	char path[96], pin[64] = "";
	snprintf(path, sizeof path, "%s/pin", lab.dir);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(pin, sizeof pin, file));
	fclose(file);
	pin[strcspn(pin, "\n")] = '\0';
	setenv("CUSTOS_SHIM_PIN", pin, 1);
	play("pad");
	struct custos_token_where where = { .module = lab.shim, .uri = lab.uri, .serial = lab.serial, .profile = "softhsm" };
	LAB_OK(&lab, custos_token_open(&where, &token, &lab.err));
	LAB_OK(&lab, custos_token_login(token, NULL, &lab.err));
	LAB_FAILS(&lab, sign(token), CUSTOS_E_POLICY, "the token's own pad");
	lab_saw(&lab, "p");
	custos_token_free(token);
}

/* Goal: a token that makes such keys and whose profile does not say so: the PIN is not there when the key is made, nothing is tried, and the remedy is named. On a token
 * without such keys nothing is ever kept. */
static void nobody_said_so(void **state)
{
	(void)state;
	struct lab other;
	struct custos_token_key made;
	uint8_t id[16] = { 9 };
	lab_make(&other, "custos-context-2");
	lab_shim(&other);
	play("always");
	struct custos_token_where where = { .module = other.shim, .uri = other.uri, .serial = other.serial, .profile = "softhsm" };
	LAB_OK(&other, custos_token_open(&where, &other.token, &other.err));
	lab_login(&other);
	LAB_FAILS(&other, custos_token_key_generate_sign_only(other.token, CUSTOS_KEY_EC_P256, id, "unheard", &made, &other.err), CUSTOS_E_TOKEN, "CKR_USER_NOT_LOGGED_IN");
	assert_non_null(strstr(other.err.hint, "always_authenticate"));
	lab_saw(&lab, "x");
	lab_remove(&other);
}

static int start(void **state)
{
	(void)state;
	if (lab_start(&lab, "custos-context") != 0)
		return -1;
	lab_close(&lab);
	lab_shim(&lab);
	snprintf(telling, sizeof telling, "%.*s\nalways_authenticate: yes\n", (int)custos_token_profile_softhsm_len, custos_token_profile_softhsm);
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
		cmocka_unit_test(profile_says_so),
		cmocka_unit_test(key_says_so),
		cmocka_unit_test(silent_key_is_asked_nothing),
		cmocka_unit_test(refused_once_is_refused_for_ever),
		cmocka_unit_test(refused_in_one_of_many_sessions),
		cmocka_unit_test(no_attempt_at_all),
		cmocka_unit_test(nobody_said_so),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
