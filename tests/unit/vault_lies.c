/* A custos-token that lies while a key is made: whatever answer it spoils, the command ends in one error and the store is as it was, its log
 * whole, and the next command with an honest token works. The liar is token_liar.c; the token below it is a SoftHSM. */
#include "token_lab.h"

#include <custos/custody.h>

static struct lab lab;
static char directory[96];

static custos_rc get_pin(void *ctx, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	(void)what, (void)err;
	*ret_secret = lab_own_pin(ctx);
	return CUSTOS_OK;
}

static const struct custos_pin pin = { .ctx = &lab, .get = get_pin };

static void close_custody(struct custos_custody **c)
{
	custos_custody_free(*c);
}

static void open_custody(struct custos_custody **ret_custody)
{
	LAB_OK(&lab, custos_custody_open(directory, &pin, ret_custody, &lab.err));
}

/* How many entries the log has, signed or not, after all of it was verified; that a token failed, and that such entries were covered later, is no deed. */
static int64_t entries(void)
{
	CUSTOS_CLEANUP(close_custody) struct custos_custody *c = NULL;
	CUSTOS_AUTO(custos_json) *report = NULL;
	CUSTOS_AUTO(custos_json) *log = NULL;
	CUSTOS_AUTO(custos_json) *keys = NULL;
	int64_t deeds = 0;
	open_custody(&c);
	LAB_OK(&lab, custos_journal_verify(c, NULL, &report, &lab.err));
	LAB_OK(&lab, custos_journal_show(c, 0, &log, &lab.err));
	LAB_OK(&lab, custos_key_list(c, &keys, &lab.err));
	for (size_t i = 0; i < custos_json_count(keys); i++)
		assert_null(strstr(custos_json_text(custos_json_at(keys, i), "name"), "never"));
	for (size_t i = 0; i < custos_json_count(log); i++) {
		const char *event = custos_json_text(custos_json_at(log, i), "event");
		deeds += strcmp(event, "token.failed") != 0 && strcmp(event, "log.adopted") != 0 ? 1 : 0;
	}
	return deeds;
}

static custos_rc make_key(const char *name, const char *key_class)
{
	CUSTOS_CLEANUP(close_custody) struct custos_custody *c = NULL;
	CUSTOS_AUTO(custos_json) *made = NULL;
	open_custody(&c);
	custos_err_clear(&lab.err);
	return custos_key_generate(c, name, "ec-p256", key_class, &made, &lab.err);
}

static void nothing_is_half_done(void **state)
{
	(void)state;
	static const unsigned replies[] = { CUSTOS_TOKEN_OPENED, CUSTOS_TOKEN_LOGGED_IN, CUSTOS_TOKEN_KEK_OPENED, CUSTOS_TOKEN_LOG_OPENED, CUSTOS_TOKEN_KEY_MADE,
		                                CUSTOS_TOKEN_SIGNED };
	static const char *const ways[] = { "exits", "killed", "version", "type-3", "descriptor", "cut", "flip-20" };
	static const char *const classes[] = { "deployable", "sign-only" };
	int64_t before = entries();
	size_t tried = 0;
	for (size_t r = 0; r < sizeof replies / sizeof *replies; r++)
		for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
			/* a name of its own for each: a sign-only key that the liar had made stays on its token, where custos does not overwrite it */
			char lie[32], name[16];
			/* a letter of the token's name, and the body that is empty, are nothing to believe */
			if ((w >= 5 && replies[r] == CUSTOS_TOKEN_LOG_OPENED) || (w == 6 && r < 2))
				continue;
			snprintf(lie, sizeof lie, "%u:%s", replies[r], ways[w]);
			assert_int_equal(setenv("CUSTOS_LIE", lie, 1), 0);
			snprintf(name, sizeof name, "never-%zu", tried);
			custos_rc rc = make_key(name, classes[tried++ % 2]);
			if (rc != CUSTOS_E_TOKEN && rc != CUSTOS_E_INTERNAL && rc != CUSTOS_E_INPUT)
				fail_msg("%s: %s “%s”", lie, custos_rc_name(rc), lab.err.msg);
			assert_true(lab.err.msg[0] != '\0');
			assert_int_equal(unsetenv("CUSTOS_LIE"), 0);
			assert_int_equal(entries(), before);
		}
	assert_true(tried > 30);
	/* and the truth is still told */
	LAB_OK(&lab, make_key("after", "deployable"));
	assert_int_equal(entries(), before + 1);
}

/* Enrols two keys of a class, named never-…; the report is looked at whatever became of it: nothing is said to be done that is not. */
static custos_rc enroll(const char *key_class, size_t number)
{
	CUSTOS_CLEANUP(close_custody) struct custos_custody *c = NULL;
	CUSTOS_AUTO(custos_json) *report = NULL;
	char file[128], out[128];
	snprintf(file, sizeof file, "%s/keys-%zu.yaml", lab.dir, number);
	snprintf(out, sizeof out, "%s/requests", lab.dir);
	FILE *to = fopen(file, "wx");
	assert_non_null(to);
	for (int i = 0; i < 2; i++)
		fprintf(to, "- { name: never-%zu-%d, type: ec-p256, class: %s, san: dns:never.example.com }\n", number, i, key_class);
	assert_int_equal(fclose(to), 0);
	open_custody(&c);
	custos_err_clear(&lab.err);
	struct custos_enroll_options options = { .file = file, .out = out, .jobs = 1 };
	custos_rc rc = custos_enroll(c, &options, &report, &lab.err);
	for (size_t i = 0; rc != CUSTOS_OK && i < custos_json_count(report); i++)
		assert_null(custos_json_text(custos_json_at(report, i), "file"));
	return rc;
}

static void no_enrolled_key_is_half_done(void **state)
{
	(void)state;
	/* in KEYS_RESULT byte 3 is the end of the job's number, 4 the category, 9 on the public key, 104 on the container; then the signature */
	static const struct {
		unsigned reply;
		const char *how;
	} lies[] = {
		{ CUSTOS_TOKEN_KEYS_RESULT, "exits" }, { CUSTOS_TOKEN_KEYS_RESULT, "killed" }, { CUSTOS_TOKEN_KEYS_RESULT, "version" }, { CUSTOS_TOKEN_KEYS_RESULT, "type-3" },
		{ CUSTOS_TOKEN_KEYS_RESULT, "descriptor" }, { CUSTOS_TOKEN_KEYS_RESULT, "cut" }, { CUSTOS_TOKEN_KEYS_RESULT, "trailing" }, { CUSTOS_TOKEN_KEYS_RESULT, "empty" },
		{ CUSTOS_TOKEN_KEYS_RESULT, "flip-0" }, { CUSTOS_TOKEN_KEYS_RESULT, "flip-4" }, { CUSTOS_TOKEN_KEYS_RESULT, "flip-8" }, { CUSTOS_TOKEN_KEYS_RESULT, "flip-40" },
		{ CUSTOS_TOKEN_KEYS_RESULT, "flip-99" }, { CUSTOS_TOKEN_KEYS_RESULT, "flip-150" }, { CUSTOS_TOKEN_KEYS_RESULT, "flip-end" }, { CUSTOS_TOKEN_KEYS_RESULT, "fail-0" },
		/* the end before the results, and results after the last */
		{ CUSTOS_TOKEN_KEYS_RESULT, "keys-done" }, { CUSTOS_TOKEN_KEYS_DONE, "exits" }, { CUSTOS_TOKEN_KEYS_DONE, "trailing" }, { CUSTOS_TOKEN_KEYS_DONE, "version" },
		{ CUSTOS_TOKEN_SIGNED, "flip-20" },
		/* of each request the last job is asked otherwise: the second key's challenge, then what the first is to sign; no answer is touched */
		{ CUSTOS_TOKEN_FAILED, "ask-keys" },
	};
	static const char *const classes[] = { "deployable", "sign-only" };
	int64_t before = entries();
	size_t tried = 0;
	for (size_t l = 0; l < sizeof lies / sizeof *lies; l++)
		for (size_t k = 0; k < 2; k++) {
			char lie[32];
			/* sign-only keys have no container to spoil */
			if (k == 1 && strcmp(lies[l].how, "flip-150") == 0)
				continue;
			if (strcmp(lies[l].how, "keys-done") == 0)
				snprintf(lie, sizeof lie, "%u:type-%d", lies[l].reply, CUSTOS_TOKEN_KEYS_DONE);
			else if (strcmp(lies[l].how, "ask-keys") == 0)
				snprintf(lie, sizeof lie, "%u:ask-%d", lies[l].reply, CUSTOS_TOKEN_KEYS);
			else
				snprintf(lie, sizeof lie, "%u:%s", lies[l].reply, lies[l].how);
			assert_int_equal(setenv("CUSTOS_LIE", lie, 1), 0);
			custos_rc rc = enroll(classes[k], 1000 + tried++);
			assert_int_equal(unsetenv("CUSTOS_LIE"), 0);
			if (rc == CUSTOS_OK || lab.err.msg[0] == '\0')
				fail_msg("%s, %s: %s “%s”", lie, classes[k], custos_rc_name(rc), lab.err.msg);
			assert_int_equal(entries(), before);
		}
	assert_true(tried > 40);
}

/* A login that fails is the one thing that is written down, and what the helper calls a failed login is written as one. */
static void a_failed_login_is_all_that_is_written(void **state)
{
	(void)state;
	char lie[32];
	int64_t before = entries();
	snprintf(lie, sizeof lie, "%d:fail-%d", CUSTOS_TOKEN_LOGGED_IN, CUSTOS_E_AUTH);
	assert_int_equal(setenv("CUSTOS_LIE", lie, 1), 0);
	assert_int_equal(make_key("never", "deployable"), CUSTOS_E_AUTH);
	assert_int_equal(unsetenv("CUSTOS_LIE"), 0);
	assert_int_equal(entries(), before + 1);
	CUSTOS_CLEANUP(close_custody) struct custos_custody *c = NULL;
	CUSTOS_AUTO(custos_json) *list = NULL;
	open_custody(&c);
	LAB_OK(&lab, custos_journal_show(c, 0, &list, &lab.err));
	assert_string_equal(custos_json_text(custos_json_at(list, custos_json_count(list) - 1), "event"), "token.login_failed");
}

static int start(void **state)
{
	(void)state;
	struct custos_json *report = NULL;
	struct custos_err err = { 0 };
	if (custos_secret_start(&err) != CUSTOS_OK)
		return -1;
	unsetenv("CUSTOS_LIE");
	lab_make(&lab, "custos-vault-lies");
	snprintf(directory, sizeof directory, "%s/custody", lab.dir);
	struct custos_init_options options = { .dir = directory, .module = LAB_MODULE, .token_uri = lab.uri, .origin = "custody.example/lies" };
	LAB_OK(&lab, custos_custody_init(&options, &pin, &report, &lab.err));
	custos_json_free(report);
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
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_is_half_done), cmocka_unit_test(no_enrolled_key_is_half_done), cmocka_unit_test(a_failed_login_is_all_that_is_written) };
	return cmocka_run_group_tests(tests, start, stop);
}
