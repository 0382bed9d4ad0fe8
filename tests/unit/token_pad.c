/* A token with a PIN pad of its own: the PIN is entered there and nowhere else, under the same rules as any other. The pad, and the person at it, is token_shim.c. */
#include "token_lab.h"

static struct lab lab;

/* Told by lab_saw(): p for a login without a PIN, P for one with. */
static void play(const char *part, const char *typed)
{
	setenv("CUSTOS_SHIM_PIN", typed, 1);
	lab_play(&lab, part);
}

static const char *own_pin(void)
{
	static char text[64];
	char path[96];
	snprintf(path, sizeof path, "%s/pin", lab.dir);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof text, file));
	fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static struct custos_token *open_pad(void)
{
	if (geteuid() != 0)
		skip(); /* a module must belong to root */
	struct custos_token_where where = { .module = lab.shim, .uri = lab.uri, .serial = lab.serial, .profile = "softhsm" };
	struct custos_token *token = NULL;
	LAB_OK(&lab, custos_token_open(&where, &token, &lab.err));
	return token;
}

static custos_rc open_kek(struct custos_token *token)
{
	return custos_token_kek_open(token, LAB_KEK(lab.kek_id, lab.canary.container, lab.canary.spki), &lab.err);
}

/* Goal: one login without a PIN, and the token is as good as after any other. A person may take longer than any call of the token. */
static void pin_is_entered_at_the_token(void **state)
{
	(void)state;
	play("pad", own_pin());
	struct custos_token *token = open_pad();
	assert_true(custos_token_info(token)->protected_path);
	/* with no time at all for a call: what is waited for is the person */
	int call_ms = token->times.call_ms;
	token->times.call_ms = 0;
	LAB_OK(&lab, custos_token_login(token, NULL, &lab.err));
	assert_true(token->times.pad_ms >= 60000);
	token->times.call_ms = call_ms;
	lab_saw(&lab, "p");
	LAB_OK(&lab, open_kek(token));
	custos_token_free(token);
}

/* Goal: what is typed wrong there is one attempt, and told like any other, with the flags after it; the next one is the caller's to decide. */
static void wrong_pin_at_the_pad_is_one_attempt(void **state)
{
	(void)state;
	play("pad", "0000wrong0000");
	struct custos_token *token = open_pad();
	LAB_FAILS(&lab, custos_token_login(token, NULL, &lab.err), CUSTOS_E_AUTH, "flags now: user PIN count low");
	lab_saw(&lab, "p");
	assert_true(custos_token_info(token)->pin_count_low);
	assert_null(strstr(lab.err.msg, "wrong0"));
	LAB_FAILS(&lab, open_kek(token), CUSTOS_E_INTERNAL, "may not be sent");
	custos_token_free(token);
	play("pad", own_pin());
	token = open_pad();
	LAB_OK(&lab, custos_token_login(token, NULL, &lab.err));
	custos_token_free(token);
}

/* Goal: with the last attempt at stake, or a locked PIN, nobody is asked at the pad either. */
static void last_attempt_is_not_taken_at_the_pad(void **state)
{
	(void)state;
	static const char *const parts[] = { "pad-final-try", "pad-locked" };
	for (size_t i = 0; i < 2; i++) {
		play(parts[i], own_pin());
		struct custos_token *token = open_pad();
		LAB_FAILS(&lab, custos_token_login(token, NULL, &lab.err), CUSTOS_E_AUTH, "no attempt was made");
		lab_saw(&lab, "");
		custos_token_free(token);
	}
}

/* Goal: a person who gives up, and one who never comes, are errors that say so; the keeper lives on. */
static void nobody_at_the_pad(void **state)
{
	(void)state;
	play("pad-cancelled", "");
	struct custos_token *token = open_pad();
	LAB_FAILS(&lab, custos_token_login(token, NULL, &lab.err), CUSTOS_E_AUTH, "no PIN was entered at the pad");
	assert_null(custos_token_trouble(token));
	lab_saw(&lab, "p");
	custos_token_free(token);
	play("pad-hangs", "");
	token = open_pad();
	token->times.pad_ms = 300;
	LAB_FAILS(&lab, custos_token_login(token, NULL, &lab.err), CUSTOS_E_TOKEN, "did not answer within 0.3 s while waiting for the PIN at the token's own pad");
	assert_int_equal(custos_token_pid(token), 0);
	custos_token_free(token);
}

/* Goal: a token without a pad is refused by the keeper before anything is sent, and by custos-token when a keeper asks all the same. */
static void token_without_a_pad(void **state)
{
	(void)state;
	play("nothing", own_pin());
	struct custos_token *token = open_pad();
	LAB_FAILS(&lab, custos_token_login(token, NULL, &lab.err), CUSTOS_E_USAGE, "no PIN pad of its own");
	assert_non_null(strstr(lab.err.hint, "no attempt was made"));
	token->info.protected_path = true;
	LAB_FAILS(&lab, custos_token_login(token, NULL, &lab.err), CUSTOS_E_USAGE, "no PIN pad of its own");
	lab_saw(&lab, "");
	/* and it is as good as before */
	struct custos_secret *pin = lab_own_pin(&lab);
	LAB_OK(&lab, custos_token_login(token, pin, &lab.err));
	custos_secret_free(pin);
	custos_token_free(token);
}

static int start(void **state)
{
	(void)state;
	if (lab_start(&lab, "custos-pad") != 0)
		return -1;
	lab_close(&lab);
	lab_shim(&lab);
	return 0;
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
		cmocka_unit_test(pin_is_entered_at_the_token),
		cmocka_unit_test(wrong_pin_at_the_pad_is_one_attempt),
		cmocka_unit_test(last_attempt_is_not_taken_at_the_pad),
		cmocka_unit_test(nobody_at_the_pad),
		cmocka_unit_test(token_without_a_pad),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
