/* A custos-token that lies, against the keeper's client: every answer spoiled in every way gives one clear error, nothing of it is believed,
 * and nothing more is asked of a helper that broke the protocol. The liar (token_liar.c) has the real custos-token answer first. */
#include "token_lab.h"

#include "link_wire.h"

static struct lab lab;
static struct custos_token_key key;

/* ---- what the keeper may want ---- */

struct want {
	const char *name;
	uint8_t request, reply;
	custos_rc (*ask)(struct custos_token *token);
};

/* Results that must stay as they are on failure. */
static union {
	struct custos_token_key key;
	struct custos_release_parcel parcel;
	uint8_t bytes[sizeof(struct custos_token_key) + sizeof(struct custos_release_parcel)];
} result;

static custos_rc ask_kek_create(struct custos_token *token)
{
	struct custos_json *attributes = NULL;
	uint8_t id[16];
	char label[40];
	LAB_OK(&lab, custos_random(id, sizeof id, &lab.err));
	snprintf(label, sizeof label, "kek-%02x%02x%02x", id[0], id[1], id[2]);
	custos_rc rc = custos_token_kek_create(token, id, label, CUSTOS_KEK_BORN_LOCAL, &attributes, &lab.err);
	assert_true((rc == CUSTOS_OK) == (attributes != NULL));
	custos_json_free(attributes);
	return rc;
}

static custos_rc ask_kek_open(struct custos_token *token)
{
	return custos_token_kek_open(token, LAB_KEK(lab.kek_id, lab.canary.container, lab.canary.spki), &lab.err);
}

static custos_rc ask_generate(struct custos_token *token)
{
	return custos_token_key_generate(token, CUSTOS_KEY_EC_P256, &result.key, &lab.err);
}

static custos_rc ask_log_open(struct custos_token *token)
{
	struct custos_signer signer = { 0 };
	custos_rc rc = custos_token_log_signer(token, lab.log_id, custos_buf_view(&lab.log_key.spki), &signer, &lab.err);
	assert_true((rc == CUSTOS_OK) == (signer.sign != NULL));
	return rc;
}

static custos_rc ask_sign(struct custos_token *token)
{
	CUSTOS_AUTO_BUF signature = { 0 };
	struct custos_token_key_ref ref = lab_ref(&key);
	custos_rc rc = custos_token_sign(token, &ref, CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("message"), &signature, &lab.err);
	assert_true((rc == CUSTOS_OK) == (signature.len > 0));
	return rc;
}

static custos_rc ask_release(struct custos_token *token)
{
	struct lab_intent intent;
	struct custos_permit *permit = NULL;
	struct custos_token_key_ref ref = lab_ref(&key);
	struct lab of = lab;
	of.token = token;
	of.signer.ctx = token;
	of.count = 0;
	lab_commit_intent(&of, &key, &intent);
	LAB_OK(&of, custos_permit_mint(&intent.terms, &permit, &of.err));
	struct custos_release_request request = lab_request(&ref, &intent);
	custos_rc rc = custos_token_release(token, permit, &request, &result.parcel, &lab.err);
	custos_permit_free(permit);
	lab_intent_done(&intent);
	return rc;
}

static const struct want wants[] = {
	{ "KEK_CREATE", CUSTOS_TOKEN_KEK_CREATE, CUSTOS_TOKEN_KEK_CREATED, ask_kek_create },
	{ "KEK_OPEN", CUSTOS_TOKEN_KEK_OPEN, CUSTOS_TOKEN_KEK_OPENED, ask_kek_open },
	{ "LOG_OPEN", CUSTOS_TOKEN_LOG_OPEN, CUSTOS_TOKEN_LOG_OPENED, ask_log_open },
	{ "KEY_GENERATE", CUSTOS_TOKEN_KEY_GENERATE, CUSTOS_TOKEN_KEY_MADE, ask_generate },
	{ "SIGN", CUSTOS_TOKEN_SIGN, CUSTOS_TOKEN_SIGNED, ask_sign },
	{ "RELEASE", CUSTOS_TOKEN_RELEASE, CUSTOS_TOKEN_RELEASED, ask_release },
};
enum { WANTS = sizeof wants / sizeof *wants };

/* ---- lying ---- */

static void lie(unsigned reply, const char *how)
{
	char text[64];
	snprintf(text, sizeof text, "%u:%s", reply, how);
	assert_int_equal(setenv("CUSTOS_LIE", text, 1), 0);
}

static custos_rc open_token(struct custos_token **ret_token)
{
	struct custos_token_where where = { .module = LAB_MODULE, .uri = lab.uri, .serial = lab.serial };
	custos_err_clear(&lab.err);
	custos_rc rc = custos_token_open(&where, ret_token, &lab.err);
	assert_true((rc == CUSTOS_OK) == (*ret_token != NULL));
	return rc;
}

/* Open, logged in, KEK and log found. The lie must be about something later, or about a request that is not made here. */
static struct custos_token *furnished(const struct want *next)
{
	struct custos_token *token = NULL;
	assert_int_equal(open_token(&token), CUSTOS_OK);
	struct custos_secret *pin = lab_own_pin(&lab);
	LAB_OK(&lab, custos_token_login(token, pin, &lab.err));
	custos_secret_free(pin);
	if (next->reply != CUSTOS_TOKEN_KEK_OPENED)
		LAB_OK(&lab, ask_kek_open(token));
	if (next->reply != CUSTOS_TOKEN_LOG_OPENED)
		LAB_OK(&lab, ask_log_open(token));
	token->times.call_ms = token->times.generate_ms = strstr(getenv("CUSTOS_LIE"), ":silent") != NULL ? 2000 : 30000;
	return token;
}

/* One answer spoiled: the category, a text, and whether the helper is still asked afterwards. */
static void spoiled(const struct want *w, const char *how, custos_rc category, const char *text, bool lives)
{
	char told[600];
	lie(w->reply, how);
	struct custos_token *token = furnished(w);
	size_t descriptors = count_descriptors();
	custos_err_clear(&lab.err);
	memset(&result, 0x5a, sizeof result);
	custos_rc rc = w->ask(token);
	snprintf(told, sizeof told, "%s", lab.err.msg);
	if (rc != category || strstr(told, text) == NULL || strchr(told, '\n') != NULL)
		fail_msg("%s, %s: %s “%s”, not %s “%s”", w->name, how, custos_rc_name(rc), told, custos_rc_name(category), text);
	for (size_t i = 0; i < sizeof result.bytes; i++)
		assert_int_equal(result.bytes[i], 0x5a);
	if ((token->helper.pid != 0) != lives)
		fail_msg("%s, %s: the helper %s", w->name, how, lives ? "was ended" : "lives on");
	if (!lives) {
		assert_int_equal(token->helper.channel.fd, -1);
		assert_int_equal(count_descriptors(), descriptors - 1);
		LAB_FAILS(&lab, ask_kek_open(token), CUSTOS_E_TOKEN, "has ended before");
	} else {
		assert_int_equal(count_descriptors(), descriptors);
	}
	custos_token_free(token);
}

/* Goal: frames that are none, or not of this place in the conversation, end the helper; so does one that ends or hangs. */
static void broken_frames_end_it(void **state)
{
	(void)state;
	static const struct {
		const char *how, *text;
	} lies[] = {
		{ "version", "another protocol" }, { "length", "wrong length" }, { "half", "wrong length" }, { "too-long", "too long" }, { "descriptor", "wrong descriptors" },
		{ "descriptors", "more than one descriptor" }, { "type-3", "not allowed" }, { "type-0", "not allowed" }, { "type-77", "not allowed" }, { "type-11", "answered with message 11" },
		{ "exits", "ended with status 7 while" }, { "killed", "ended by signal 9 while" }, { "nothing", "ended with status 0 while" },
	};
	for (size_t w = 0; w < WANTS; w++)
		for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
			/* all of them on one request, a few on the others; of an empty body there is no half */
			bool whole = strcmp(lies[i].how, "half") == 0 && wants[w].reply == CUSTOS_TOKEN_LOG_OPENED;
			if (!whole && (w == 4 || (w + i) % 4 == 0))
				spoiled(&wants[w], lies[i].how, CUSTOS_E_TOKEN, lies[i].text, false);
		}
	spoiled(&wants[4], "silent", CUSTOS_E_TOKEN, "did not answer within", false);
}

/* Goal: a body that is cut, has something behind it or is missing is an error that names the message, whatever it is. */
static void broken_bodies(void **state)
{
	(void)state;
	for (size_t w = 0; w < WANTS; w++) {
		/* nobody looks for anything in this one */
		if (wants[w].reply == CUSTOS_TOKEN_LOG_OPENED)
			continue;
		spoiled(&wants[w], "trailing", CUSTOS_E_INTERNAL, wants[w].reply == CUSTOS_TOKEN_KEY_MADE ? "KEY_MADE message" : "trailing bytes", true);
		spoiled(&wants[w], "cut", CUSTOS_E_INTERNAL, "is truncated", true);
		spoiled(&wants[w], "empty", CUSTOS_E_INTERNAL, "is truncated", true);
	}
}

/* Goal: a good signature over something else than what was sent, a signature that was touched, a key of another kind. */
static void proofs_that_prove_nothing(void **state)
{
	(void)state;
	static const struct {
		size_t want;
		const char *how, *text;
	} lies[] = {
		{ 1, "ask-14", "the KEK's canary" }, { 1, "flip-20", "the KEK's canary" },
		{ 3, "ask-20", "unwrapped again" }, { 3, "flip-0", "asked for ec-p256" }, { 3, "flip-end", "unwrapped again" }, { 3, "flip-90", "the new key" },
		{ 4, "ask-22", "the key" }, { 4, "flip-20", "the key" },
		{ 5, "ask-24", "the key being released" }, { 5, "flip-20", "the key being released" },
	};
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		const struct want *w = &wants[lies[i].want];
		lie(w->reply, lies[i].how);
		struct custos_token *token = furnished(w);
		memset(&result, 0x5a, sizeof result);
		custos_err_clear(&lab.err);
		custos_rc rc = w->ask(token);
		if (rc == CUSTOS_OK || strstr(lab.err.msg, lies[i].text) == NULL)
			fail_msg("%s, %s: %s “%s”", w->name, lies[i].how, custos_rc_name(rc), lab.err.msg);
		assert_true(rc == CUSTOS_E_TOKEN || rc == CUSTOS_E_INPUT);
		for (size_t k = 0; k < sizeof result.bytes; k++)
			assert_int_equal(result.bytes[k], 0x5a);
		custos_token_free(token);
	}
}

/* Goal: of a failure only what custos-token can know is believed, and not more of its words than fit. */
static void failures_that_lie(void **state)
{
	(void)state;
	/* success, and outcomes of deployments or of the log, are not a token's to tell */
	static const unsigned foreign[] = { 0, 1, 7, 8, 10, 11, 12, 13, 99, 255 };
	char how[16];
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		snprintf(how, sizeof how, "fail-%u", foreign[i]);
		spoiled(&wants[4], how, CUSTOS_E_TOKEN, "all is well", true);
	}
	spoiled(&wants[4], "fail-4", CUSTOS_E_AUTH, "all is well", true);
	spoiled(&wants[4], "text", CUSTOS_E_TOKEN, "AAAA", true);
	assert_int_equal(strlen(lab.err.hint) > 0, 1);
	/* FAILED, with the body of a signature */
	spoiled(&wants[4], "type-1", CUSTOS_E_INTERNAL, "FAILED message", true);
}

/* Goal: another token than the one asked for, or what is no description of one, is not opened; nor is a PIN sent to a helper that is gone. */
static void opening(void **state)
{
	(void)state;
	static const struct {
		unsigned reply;
		const char *how;
		custos_rc category;
		const char *text;
	} lies[] = {
		{ CUSTOS_TOKEN_OPENED, "serial", CUSTOS_E_TOKEN, "custos-token opened token" }, { CUSTOS_TOKEN_OPENED, "cut", CUSTOS_E_INTERNAL, "OPENED message is truncated" },
		{ CUSTOS_TOKEN_OPENED, "trailing", CUSTOS_E_INTERNAL, "OPENED message has" }, { CUSTOS_TOKEN_OPENED, "type-5", CUSTOS_E_TOKEN, "answered with message 5" },
		{ CUSTOS_TOKEN_OPENED, "type-9", CUSTOS_E_TOKEN, "not allowed" }, { CUSTOS_TOKEN_OPENED, "descriptor", CUSTOS_E_TOKEN, "wrong descriptors" },
		{ CUSTOS_TOKEN_OPENED, "exits", CUSTOS_E_TOKEN, "ended with status 7 while opening" }, { CUSTOS_TOKEN_OPENED, "killed", CUSTOS_E_TOKEN, "ended by signal 9 while opening" },
	};
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		struct custos_token *token = NULL;
		size_t descriptors = count_descriptors();
		lie(lies[i].reply, lies[i].how);
		assert_int_equal(open_token(&token), lies[i].category);
		assert_non_null(strstr(lab.err.msg, lies[i].text));
		assert_int_equal(count_descriptors(), descriptors);
	}
	static const char *const logins[] = { "cut", "exits", "type-11", "descriptor", "version" };
	for (size_t i = 0; i < sizeof logins / sizeof *logins; i++) {
		struct custos_token *token = NULL;
		lie(CUSTOS_TOKEN_LOGGED_IN, logins[i]);
		assert_int_equal(open_token(&token), CUSTOS_OK);
		struct custos_secret *pin = lab_own_pin(&lab);
		size_t descriptors = count_descriptors();
		custos_err_clear(&lab.err);
		custos_rc rc = custos_token_login(token, pin, &lab.err);
		assert_true(rc == CUSTOS_E_TOKEN || (i == 0 && rc == CUSTOS_E_INTERNAL));
		assert_int_equal(count_descriptors(), descriptors - (token->helper.pid == 0));
		if (token->helper.pid == 0)
			LAB_FAILS(&lab, custos_token_login(token, pin, &lab.err), CUSTOS_E_TOKEN, "has ended before logging in");
		custos_secret_free(pin);
		custos_token_free(token);
	}
}

static int start(void **state)
{
	(void)state;
	unsetenv("CUSTOS_LIE");
	if (lab_start(&lab, "custos-lies") != 0)
		return -1;
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &key, &lab.err));
	lab_close(&lab);
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
		cmocka_unit_test(broken_frames_end_it), cmocka_unit_test(broken_bodies), cmocka_unit_test(proofs_that_prove_nothing), cmocka_unit_test(failures_that_lie),
		cmocka_unit_test(opening),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
