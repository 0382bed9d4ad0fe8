/* Profiles and plans: what is refused, with which line; the way over the wire; cheating on either. */
#include "target_fixture.h"

static const char good[] =
	"name: web\n"
	"keys: [rsa-2048]\n"
	"keys_because: it is old\n"
	"key_format: pkcs1\n"
	"files:\n"
	"  certificate: {path: /etc/web/crt, mode: \"0644\", owner: \"root:root\"}\n"
	"  key: {path: /etc/web/key, mode: \"0600\", owner: \"root:root\"}\n"
	"replace: in-place\n"
	"backup: [/var/backups, \"/data/disk*\"]\n"
	"reload:\n"
	"  - {name: hup, run: kill -HUP 1}\n"
	"  - {name: restart, only_if: test -x /bin/true, run: /bin/true, budget_ms: 2000, settle_ms: 3000}\n"
	"verify: {probes: 2, interval_ms: 100, alive: cat /run/pid}\n"
	"persist: {run: save, proof: /boot/state}\n";

static custos_rc parse(const char *yaml, struct custos_err *err)
{
	struct custos_profile *profile = NULL;
	custos_rc rc = custos_profile_parse(CUSTOS_BYTES_STR(yaml), "p.yaml", &profile, err);
	custos_profile_free(profile);
	return rc;
}

static void builtin_is_complete(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	struct custos_profile *profile = NULL;
	struct custos_bytes yaml = custos_profile_builtin("esxi");
	assert_true(yaml.len > 0);
	assert_int_equal(custos_profile_builtin("nobody").len, 0);
	if (custos_profile_parse(yaml, "esxi", &profile, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	assert_int_equal(custos_profile_key_format(profile), 0);
	assert_int_equal(custos_profile_accepts(profile, "rsa-3072", &err), CUSTOS_OK);
	assert_int_equal(custos_profile_accepts(profile, "ec-p256", &err), CUSTOS_E_POLICY);
	assert_non_null(strstr(err.msg, "ESXi serves RSA keys only"));
	custos_profile_free(profile);
}

static void the_example_is_good(void **state)
{
	(void)state;
	char text[8192];
	FILE *f = fopen(EXAMPLE_PROFILE, "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = '\0';
	struct custos_err err = { 0 };
	if (parse(text, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
}

/* One change makes a good profile bad; the message names the line. */
static void bad_profiles(void **state)
{
	(void)state;
	static const struct {
		const char *old, *new, *says;
	} cases[] = {
		{ "name: web\n", "name: web\ncolour: red\n", "p.yaml:2:" },
		{ "name: web\n", "name: Web Server\n", "p.yaml:1:" },
		{ "name: web\n", "name: web\nname: web\n", "p.yaml:2:" },
		{ "keys: [rsa-2048]", "keys: [dsa]", "p.yaml:2:" },
		{ "key_format: pkcs1", "key_format: pkcs12", "p.yaml:4:" },
		{ "path: /etc/web/crt", "path: etc/web/crt", "p.yaml:6:" },
		{ "path: /etc/web/crt", "path: /etc/../web/crt", "p.yaml:6:" },
		{ "path: /etc/web/crt", "path: \"/etc/web/c rt\"", "p.yaml:6:" },
		{ "path: /etc/web/crt", "path: \"/etc/web/$(id)\"", "p.yaml:6:" },
		{ "path: /etc/web/crt", "path: /etc/web/key", "named twice" },
		{ "mode: \"0600\"", "mode: \"0608\"", "p.yaml:7:" },
		{ "mode: \"0600\"", "mode: \"0644\"", "private key" },
		{ "key: {path: /etc/web/key, mode: \"0600\", owner: \"root:root\"}", "key: {path: /etc/web/key, mode: \"0600\", owner: \"root\"}", "p.yaml:7:" },
		{ "key: {path", "kee: {path", "p.yaml:7:" },
		{ "replace: in-place", "replace: copy", "p.yaml:8:" },
		{ "backup: [/var/backups, \"/data/disk*\"]", "backup: [\"/data/*/x\"]", "plain absolute path" },
		{ "backup: [/var/backups, \"/data/disk*\"]\n", "", "no backup directory" },
		{ "run: kill -HUP 1", "run: \"kill\\n-HUP 1\"", "p.yaml:11:" },
		{ "run: kill -HUP 1", "run: \"kill \\e[1m\"", "p.yaml:11:" },
		{ "run: kill -HUP 1", "ran: kill -HUP 1", "p.yaml:11:" },
		{ "budget_ms: 2000", "budget_ms: 2", "p.yaml:12:" },
		{ "budget_ms: 2000", "budget_ms: soon", "p.yaml:12:" },
		{ "probes: 2", "probes: 0", "p.yaml:13:" },
		{ "persist: {run: save", "persist: {walk: save", "p.yaml:14:" },
		{ "proof: /boot/state", "proof: boot", "p.yaml:14:" },
		{ "persist: {run: save", "--- \npersist: {run: save", "p.yaml" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[4096];
		const char *at = strstr(good, cases[i].old);
		assert_non_null(at);
		snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, cases[i].new, at + strlen(cases[i].old));
		struct custos_err err = { 0 };
		custos_rc rc = parse(text, &err);
		if (rc != CUSTOS_E_INPUT || strstr(err.msg, cases[i].says) == NULL)
			fail_msg("case %zu (%s): rc %d, \"%s\"", i, cases[i].new, (int)rc, err.msg);
	}
	struct custos_err err = { 0 };
	if (parse(good, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
}

static void bad_targets(void **state)
{
	(void)state;
	static const struct {
		const char *key, *value, *says;
	} cases[] = {
		{ "name", "Web 1", "name" }, { "address", "esx1 .example.com", "address" }, { "address", "host:0", "address" }, { "address", "host:70000", "address" },
		{ "address", "-oProxyCommand=x", "address" }, { "user", "", "user" }, { "user", "-l", "user" }, { "user", "a b", "user" }, { "auth", "telepathy", "log in" },
		{ "auth", "key:", "log in" }, { "sni", "a b", "sni" }, { "profile", "", "profile" }, { "group", "A", "group" },
	};
	struct custos_err err = { 0 };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct custos_json *target = fixture_plain_target();
		custos_json_set_text(target, cases[i].key, cases[i].value);
		err = (struct custos_err){ 0 };
		custos_rc rc = custos_target_check(target, &err);
		if (rc != CUSTOS_E_INPUT || strstr(err.msg, cases[i].says) == NULL)
			fail_msg("case %zu (%s): rc %d, \"%s\"", i, cases[i].value, (int)rc, err.msg);
		custos_json_free(target);
	}
	static const char *const bad_pins[] = { "MD5:aa", "SHA256:AAAA", FIXTURE_PIN "A", "SHA256:AAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAA" };
	for (size_t i = 0; i < sizeof bad_pins / sizeof *bad_pins; i++) {
		struct custos_json *target = fixture_plain_target(), *pins = custos_json_array();
		custos_json_push(pins, custos_json_string(bad_pins[i]));
		custos_json_set(target, "hostkeys", pins);
		assert_int_equal(custos_target_check(target, &err), CUSTOS_E_INPUT);
		custos_json_free(target);
	}
	struct custos_json *target = fixture_plain_target();
	custos_json_remove(target, "hostkeys");
	err = (struct custos_err){ 0 };
	assert_int_equal(custos_target_check(target, &err), CUSTOS_E_INPUT);
	assert_non_null(strstr(err.hint, "scan"));
	custos_json_free(target);
}

static void good_targets(void **state)
{
	(void)state;
	static const char *const addresses[] = { "192.0.2.7", "192.0.2.7:2222", "[2001:db8::7]:22", "[2001:db8::7]", "esx1" };
	static const char *const auths[] = { "agent", "agent:SHA256:x", "password", "password:tty", "key:/k", "token:pkcs11:object=x" };
	struct custos_err err = { 0 };
	for (size_t i = 0; i < 5; i++) {
		struct custos_json *target = fixture_plain_target();
		custos_json_set_text(target, "address", addresses[i]);
		custos_json_set_text(target, "auth", auths[i]);
		if (custos_target_check(target, &err) != CUSTOS_OK)
			fail_msg("%s", err.msg);
		custos_json_free(target);
	}
}

static void over_the_wire(void **state)
{
	(void)state;
	struct custos_json *target = fixture_plain_target();
	struct custos_plan plan = { 0 }, again = { 0 };
	struct custos_err err = { 0 };
	struct custos_buf first = { .max = 65536 }, second = { .max = 65536 };
	fixture_plan(good, target, (struct custos_plan_options){ .keep_backup = true, .previous_backup = "/var/backups/.custos-esx1-x", .confirm_within_s = 77 }, &plan);
	assert_int_equal(custos_plan_encode(&plan, &first, &err), CUSTOS_OK);
	assert_int_equal(custos_plan_decode(custos_buf_view(&first), &again, &err), CUSTOS_OK);
	assert_string_equal(again.auth, "agent");
	assert_true(again.keep_backup);
	assert_false(again.ssh_legacy);
	assert_int_equal(again.confirm_within_s, 77);
	assert_int_equal(again.recipe.step_count, 2);
	assert_string_equal(again.recipe.steps[1].only_if, "test -x /bin/true");
	assert_string_equal(again.recipe.backups[1], "/data/disk*");
	assert_int_equal(custos_plan_encode(&again, &second, &err), CUSTOS_OK);
	assert_true(custos_bytes_equal(custos_buf_view(&first), custos_buf_view(&second)));
	custos_plan_done(&again);

	/* cut at every byte, and one byte too many */
	for (size_t len = 0; len < first.len; len++) {
		struct custos_plan cut = { 0 };
		err = (struct custos_err){ 0 };
		uint8_t *exact = malloc(len + 1); /* so that a sanitizer sees a read beyond the end */
		memcpy(exact, first.ptr, len);
		assert_int_not_equal(custos_plan_decode(CUSTOS_BYTES(exact, len), &cut, &err), CUSTOS_OK);
		free(exact);
	}
	assert_int_equal(custos_buf_append(&first, "x", 1, &err), CUSTOS_OK);
	assert_int_not_equal(custos_plan_decode(custos_buf_view(&first), &again, &err), CUSTOS_OK);
	/* every single flipped byte is either refused or decodes to a plan that passes all checks; nothing crashes */
	for (size_t i = 0; i + 1 < first.len; i++) {
		struct custos_plan flipped = { 0 };
		err = (struct custos_err){ 0 };
		first.ptr[i] ^= 0x81;
		if (custos_plan_decode(CUSTOS_BYTES(first.ptr, first.len - 1), &flipped, &err) == CUSTOS_OK)
			custos_plan_done(&flipped);
		first.ptr[i] ^= 0x81;
	}
	custos_buf_done(&first);
	custos_buf_done(&second);
	custos_plan_done(&plan);
	custos_json_free(target);
}

/* What the courier must not believe, even from its keeper. */
static void forged_plans(void **state)
{
	(void)state;
	struct custos_json *target = fixture_plain_target();
	for (int i = 0; i < 6; i++) {
		struct custos_plan plan = { 0 }, decoded = { 0 };
		struct custos_err err = { 0 };
		struct custos_buf bytes = { .max = 65536 };
		fixture_plan(good, target, (struct custos_plan_options){ 0 }, &plan);
		char **const slots[] = { &plan.nonce, &plan.recipe.files[0].path, &plan.recipe.steps[0].run, &plan.recipe.become, &plan.previous_backup, &plan.recipe.staging };
		static const char *const forged[] = { "../../etc", "/etc/x'; rm -rf /; '", "true\nreboot", "sudo; reboot", "/a/../b", "tmp" };
		free(*slots[i]);
		*slots[i] = strdup(forged[i]);
		assert_int_equal(custos_plan_encode(&plan, &bytes, &err), CUSTOS_OK);
		assert_int_equal(custos_plan_decode(custos_buf_view(&bytes), &decoded, &err), CUSTOS_E_INPUT);
		custos_buf_done(&bytes);
		custos_plan_done(&plan);
	}
	custos_json_free(target);
}

static void description_names_every_command(void **state)
{
	(void)state;
	struct custos_json *target = fixture_plain_target();
	struct custos_plan plan = { 0 };
	fixture_plan(good, target, (struct custos_plan_options){ 0 }, &plan);
	struct custos_json *steps = custos_plan_describe(&plan);
	char *text = custos_json_pretty(steps);
	static const char *const wanted[] = { "kill -HUP 1", "/etc/web/key", "/etc/web/crt", "save", "/boot/state", "test -x /bin/true" };
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		assert_non_null(strstr(text, wanted[i]));
	free(text);
	custos_json_free(steps);
	custos_plan_done(&plan);
	custos_json_free(target);
}

static void too_long_for_a_command_line(void **state)
{
	(void)state;
	struct custos_json *target = fixture_plain_target();
	struct custos_profile *profile = NULL;
	struct custos_err err = { 0 };
	struct custos_buf yaml = { .max = 100000 };
	/* quotes grow when they are quoted: eight steps of 1,900 of them cannot be carried */
	assert_int_equal(custos_buf_append_str(&yaml, "name: web\nfiles: {combined: {path: /a, mode: \"0600\"}}\nbackup: [/tmp]\nverify: {}\nreload:\n", &err), CUSTOS_OK);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(custos_buf_append_str(&yaml, "  - {name: s, run: \"", &err), CUSTOS_OK);
		for (int k = 0; k < 1900; k++)
			assert_int_equal(custos_buf_append_str(&yaml, "'", &err), CUSTOS_OK);
		assert_int_equal(custos_buf_append_str(&yaml, "\"}\n", &err), CUSTOS_OK);
	}
	if (custos_profile_parse(custos_buf_view(&yaml), "p.yaml", &profile, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	struct custos_plan plan = { 0 };
	struct custos_plan_options options = { .nonce = FIXTURE_NONCE, .previous_backup = "" };
	assert_int_equal(custos_plan_build(target, profile, &options, &plan, &err), CUSTOS_E_INPUT);
	assert_non_null(strstr(err.hint, "shorten"));
	custos_profile_free(profile);
	custos_buf_done(&yaml);
	custos_json_free(target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builtin_is_complete), cmocka_unit_test(the_example_is_good), cmocka_unit_test(bad_profiles), cmocka_unit_test(bad_targets),
		cmocka_unit_test(good_targets), cmocka_unit_test(over_the_wire), cmocka_unit_test(forged_plans), cmocka_unit_test(description_names_every_command),
		cmocka_unit_test(too_long_for_a_command_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
