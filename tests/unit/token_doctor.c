/* The doctor: its judgement on findings that were made up, its checks on a real token, and on a module that lies (token_shim.c). */
#include "token_lab.h"
#include "token/doctor.h"

#include <fcntl.h>

static struct lab lab;

static void play(const char *part)
{
	setenv("CUSTOS_SHIM", part, 1);
	setenv("CUSTOS_SHIM_MODULE", lab.real_module, 1);
}

/* ---- judging ---- */

/* Findings of a token that passes everything. */
static struct custos_json *all_well(void)
{
	struct custos_json *checks = custos_json_array();
	for (size_t i = 0; custos_check_at(i) != NULL; i++) {
		struct custos_json *one = custos_json_object();
		custos_json_set_text(one, "name", custos_check_at(i)->name);
		custos_json_set_text(one, "verdict", "ok");
		custos_json_set_text(one, "seen", "made up");
		custos_json_push(checks, one);
	}
	return checks;
}

static struct custos_json *finding_of(struct custos_json *checks, const char *name)
{
	for (size_t i = 0; i < custos_json_count(checks); i++)
		if (strcmp(custos_json_text(custos_json_at(checks, i), "name"), name) == 0)
			return custos_json_item(checks, i);
	fail_msg("there is no check %s", name);
	return NULL;
}

static enum custos_tier tier_with(const char *name, const char *verdict, char *reason, size_t size)
{
	struct custos_json *checks = all_well();
	custos_json_set_text(finding_of(checks, name), "verdict", verdict);
	enum custos_tier tier = custos_doctor_judge(checks, reason, size);
	custos_json_free(checks);
	return tier;
}

/* Goal: each check caps the tier as its row says, whatever the verdict is called; a check that was not made, or has a verdict nobody knows, is no pass. */
static void each_check_has_its_weight(void **state)
{
	(void)state;
	char reason[512];
	struct custos_json *checks = all_well();
	assert_int_equal(custos_doctor_judge(checks, reason, sizeof reason), CUSTOS_TIER_HARDENED);
	custos_json_free(checks);
	for (size_t i = 0; custos_check_at(i) != NULL; i++) {
		const struct custos_check_row *row = custos_check_at(i);
		assert_int_equal(tier_with(row->name, "fail", reason, sizeof reason), row->failed);
		assert_true(row->failed == CUSTOS_TIER_HARDENED || strstr(reason, row->name) != NULL);
		assert_int_equal(tier_with(row->name, "lacks", reason, sizeof reason), row->lacking);
		assert_int_equal(tier_with(row->name, "died", reason, sizeof reason), CUSTOS_TIER_UNUSABLE);
		assert_int_equal(tier_with(row->name, "skipped", reason, sizeof reason), CUSTOS_TIER_UNUSABLE);
		assert_int_equal(tier_with(row->name, "OK", reason, sizeof reason), CUSTOS_TIER_UNUSABLE);
		assert_int_equal(tier_with(row->name, "warn", reason, sizeof reason), CUSTOS_TIER_HARDENED);
	}
}

/* Goal: what is missing from the findings is no pass either, and a token that signs nothing is of no use. */
static void nothing_found_is_nothing_passed(void **state)
{
	(void)state;
	char reason[512];
	struct custos_json *none = custos_json_array(), *checks = all_well();
	assert_int_equal(custos_doctor_judge(none, reason, sizeof reason), CUSTOS_TIER_UNUSABLE);
	assert_int_equal(custos_doctor_judge(NULL, reason, sizeof reason), CUSTOS_TIER_UNUSABLE);
	for (size_t i = 0; i < custos_json_count(checks); i++)
		if (strncmp(custos_json_text(custos_json_at(checks, i), "name"), "sign-", 5) == 0)
			custos_json_set_text(custos_json_item(checks, i), "verdict", "lacks");
	assert_int_equal(custos_doctor_judge(checks, reason, sizeof reason), CUSTOS_TIER_UNUSABLE);
	assert_non_null(strstr(reason, "no key of any type signs"));
	/* a reason that does not fit is cut, not written past its end */
	char small[12];
	memset(small, 'x', sizeof small);
	(void)custos_doctor_judge(checks, small, sizeof small - 1);
	assert_int_equal(small[sizeof small - 1], 'x');
	custos_json_free(none);
	custos_json_free(checks);
}

/* Goal: what the doctor writes is a profile, for every tier, and a token cannot write into it what it likes. */
static void written_profiles_are_profiles(void **state)
{
	(void)state;
	static const struct {
		const char *check, *verdict;
		enum custos_tier tier;
	} cases[] = { { "random", "ok", CUSTOS_TIER_HARDENED }, { "kek-set", "fail", CUSTOS_TIER_BASIC }, { "wrap-format", "lacks", CUSTOS_TIER_SIGN_ONLY } };
	struct custos_token_info token = { .manufacturer = "It's: {a} # \"token\"", .model = "N' \\ tier: x", .firmware = "1.0" };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct custos_json *checks = all_well(), *facts = custos_json_object(), *template = custos_json_object();
		CUSTOS_AUTO_BUF yaml = { 0 };
		struct custos_token_profile p;
		custos_json_set_text(facts, "mechanism", "0x210b");
		custos_json_set_int(facts, "padding", 3);
		custos_json_set_int(facts, "pin_min", 6);
		custos_json_set_int(facts, "pin_max", 16);
		custos_json_set(finding_of(checks, "profile"), "facts", facts);
		custos_json_set_text(template, "not_sent", "copyable");
		custos_json_set_text(template, "not_read", "local, key_gen_mechanism");
		custos_json_set(finding_of(checks, "kek-template"), "facts", template);
		custos_json_set_text(finding_of(checks, cases[i].check), "verdict", cases[i].verdict);
		LAB_OK(&lab, custos_doctor_profile(&token, checks, &yaml, &lab.err));
		LAB_OK(&lab, custos_token_profile_parse(custos_buf_view(&yaml), "written.yaml", &p, &lab.err));
		assert_int_equal(p.tier, cases[i].tier);
		assert_true(custos_token_profile_fits(&p, &token));
		assert_int_equal(p.wrap_mechanism, cases[i].tier == CUSTOS_TIER_SIGN_ONLY ? 0 : 0x210b);
		assert_int_equal(p.not_sent, cases[i].tier == CUSTOS_TIER_BASIC ? custos_attribute_bit("copyable") : 0);
		assert_int_equal(p.pin_max, 16);
		custos_json_free(checks);
	}
	struct custos_json *checks = all_well();
	CUSTOS_AUTO_BUF none = { 0 };
	custos_json_set_text(finding_of(checks, "random"), "verdict", "fail");
	LAB_FAILS(&lab, custos_doctor_profile(&token, checks, &none, &lab.err), CUSTOS_E_POLICY, "unusable");
	custos_json_free(checks);
}

/* ---- a real token, and one that lies ---- */

static char why[512];

static struct custos_json *examine(const char *part, enum custos_tier *ret_tier)
{
	struct custos_token_where where = { .module = lab.shim, .uri = lab.uri, .serial = lab.serial, .profile = CUSTOS_PROFILE_ANY };
	struct custos_token *token = NULL;
	struct custos_json *checks = custos_json_array();
	play(part);
	LAB_OK(&lab, custos_token_open(&where, &token, &lab.err));
	/* long enough for every check, short enough to wait for one that never ends */
	token->times.generate_ms = strcmp(part, "hangs") == 0 ? 3000 : token->times.generate_ms;
	LAB_OK(&lab, custos_doctor_look(token, 0, checks, &lab.err));
	struct custos_secret *pin = lab_own_pin(&lab);
	LAB_OK(&lab, custos_token_login(token, pin, &lab.err));
	custos_secret_free(pin);
	LAB_OK(&lab, custos_doctor_examine(token, 0, checks, &lab.err));
	custos_token_free(token);
	*ret_tier = custos_doctor_judge(checks, why, sizeof why);
	return checks;
}

static void expect_finding(struct custos_json *checks, const char *part, const char *name, const char *verdict, const char *seen)
{
	const struct custos_json *found = finding_of(checks, name);
	if (strcmp(custos_json_text(found, "verdict"), verdict) != 0 || strstr(custos_json_text(found, "seen"), seen) == NULL)
		fail_msg("%s: %s is %s “%s”, not %s “%s”", part, name, custos_json_text(found, "verdict"), custos_json_text(found, "seen"), verdict, seen);
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip(); /* a module must belong to root */
}

/* Goal: without a lie the shim is as good as the token behind it, or what follows proves nothing; every check was made, each once. */
static void honest_module_is_hardened(void **state)
{
	(void)state;
	need_root();
	enum custos_tier tier;
	struct custos_json *checks = examine("nothing", &tier);
	for (size_t i = 0; i < custos_json_count(checks); i++)
		assert_string_not_equal(custos_json_text(custos_json_at(checks, i), "verdict"), "fail");
	assert_int_equal(tier, CUSTOS_TIER_HARDENED);
	size_t rows = 0;
	while (custos_check_at(rows) != NULL)
		rows++;
	assert_int_equal(custos_json_count(checks), rows + 1);
	expect_finding(checks, "nothing", "nothing-left", "ok", "as many");
	custos_json_free(checks);
}

/* Goal: each lie is caught by the check that is there for it, and costs what it must. */
static void every_lie_is_caught(void **state)
{
	(void)state;
	need_root();
	static const struct {
		const char *part, *check, *verdict, *seen;
		enum custos_tier tier;
	} lies[] = {
		{ "ignores-protection", "kek-set", "fail", "decrypt", CUSTOS_TIER_BASIC },
		{ "ignores-protection", "kek-copy", "fail", "decrypt", CUSTOS_TIER_BASIC },
		{ "not-for-threads", "threads", "fail", "with 4 threads", CUSTOS_TIER_HARDENED },
		{ "forces-extractable", "kek-wrapped", "fail", "by 0x210a", CUSTOS_TIER_BASIC },
		{ "wrong-format", "wrap-format", "fail", "0x210a of ec-p256 rfc3394", CUSTOS_TIER_SIGN_ONLY },
		{ "wrong-public-key", "deploy-ec-p256", "fail", "does not verify", CUSTOS_TIER_SIGN_ONLY },
		{ "wrong-public-key", "transport", "fail", "not ecdh-p256, which its profile says", CUSTOS_TIER_SIGN_ONLY },
		{ "bad-container", "wrap-format", "fail", "unknown", CUSTOS_TIER_SIGN_ONLY },
		{ "bad-signature", "sign-rsa-2048", "fail", "does not verify", CUSTOS_TIER_UNUSABLE },
		{ "short-size", "size-query", "warn", "custos never asks", CUSTOS_TIER_HARDENED },
		{ "crashes", "sign-rsa-2048", "died", "signal 11", CUSTOS_TIER_UNUSABLE },
		{ "crashes", "logout", "skipped", "", CUSTOS_TIER_UNUSABLE },
		{ "hangs", "sign-rsa-2048", "died", "did not answer", CUSTOS_TIER_UNUSABLE },
	};
	struct custos_json *checks = NULL;
	enum custos_tier tier = CUSTOS_TIER_HARDENED;
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		if (i == 0 || strcmp(lies[i].part, lies[i - 1].part) != 0) {
			custos_json_free(checks);
			checks = examine(lies[i].part, &tier);
		}
		expect_finding(checks, lies[i].part, lies[i].check, lies[i].verdict, lies[i].seen);
		if (tier != lies[i].tier)
			fail_msg("%s: the verdict is %s, not %s: %s", lies[i].part, custos_tier_name(tier), custos_tier_name(lies[i].tier), why);
	}
	custos_json_free(checks);
}

/* Goal: an attribute that the token answers wrongly is a difference in the KEK, whichever it is. */
static void attributes_are_read_back(void **state)
{
	(void)state;
	need_root();
	static const struct {
		const char *attribute, *check;
	} cases[] = { { "103", "kek-attributes" }, { "170", "kek-template" } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		enum custos_tier tier;
		setenv("CUSTOS_SHIM_ATTRIBUTE", cases[i].attribute, 1);
		struct custos_json *checks = examine("lies", &tier);
		assert_string_equal(custos_json_text(finding_of(checks, cases[i].check), "verdict"), "fail");
		assert_true(tier < CUSTOS_TIER_HARDENED);
		custos_json_free(checks);
	}
}

/* Goal: a token that no profile fits is opened to be examined, and for nothing else. */
static void stranger_is_only_examined(void **state)
{
	(void)state;
	need_root();
	struct custos_token_where where = { .module = lab.shim, .uri = "pkcs11:token=custos-doctor-lab", .profile = "" };
	struct custos_token *token = NULL;
	play("stranger");
	LAB_FAILS(&lab, custos_token_open(&where, &token, &lab.err), CUSTOS_E_TOKEN, "no profile fits");
	where.profile = CUSTOS_PROFILE_ANY;
	LAB_OK(&lab, custos_token_open(&where, &token, &lab.err));
	assert_string_equal(custos_token_info(token)->profile, "unknown");
	/* what it can do was not measured, so no key is kept there */
	struct custos_json *attributes = NULL;
	static const uint8_t id[16] = { 1 };
	struct custos_secret *pin = lab_own_pin(&lab);
	LAB_OK(&lab, custos_token_login(token, pin, &lab.err));
	custos_secret_free(pin);
	LAB_FAILS(&lab, custos_token_kek_create(token, id, "kek", CUSTOS_KEK_BORN_LOCAL, &attributes, &lab.err), CUSTOS_E_POLICY, "cannot wrap keys");
	custos_token_free(token);
}

static int start(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	if (custos_secret_start(&err) != CUSTOS_OK)
		return -1;
	lab_make(&lab, "custos-doctor-lab");
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
		cmocka_unit_test(each_check_has_its_weight), cmocka_unit_test(nothing_found_is_nothing_passed), cmocka_unit_test(written_profiles_are_profiles),
		cmocka_unit_test(honest_module_is_hardened), cmocka_unit_test(every_lie_is_caught), cmocka_unit_test(attributes_are_read_back),
		cmocka_unit_test(stranger_is_only_examined),
	};
	return cmocka_run_group_tests_name("token_doctor", tests, start, stop);
}
