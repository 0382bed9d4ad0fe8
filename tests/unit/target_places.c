/* Where a copy of a pair may lie on a host, and the name an endpoint is known by. */
#include "target_fixture.h"

static const char profile[] = "name: web\nfiles: {combined: {path: /etc/web.pem, mode: \"0600\"}}\nbackup: [/var/backups, \"/data/disk*\"]\nverify: {}\n"
			      "reload:\n  - {name: reload, run: \"true\"}\n";

static void copies(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		bool good;
	} rows[] = {
		{ "/var/backups/.custos-esx1-" FIXTURE_NONCE, true }, { "/data/disk1/.custos-esx1-" FIXTURE_NONCE, true }, { "/data/disk/.custos-esx1-" FIXTURE_NONCE, false },
		{ "/data/disk1/tmp/.custos-esx1-" FIXTURE_NONCE, false }, { "/data/.custos-esx1-" FIXTURE_NONCE, false }, { "/tmp/.custos-esx1-" FIXTURE_NONCE, false },
		{ "/var/backups/x/.custos-esx1-" FIXTURE_NONCE, false }, { "/var/backups/.custos-esx2-" FIXTURE_NONCE, false }, { "/var/backups/.custos-esx1-", false },
		{ "/var/backups/custos-esx1-" FIXTURE_NONCE, false }, { "/var/backups/../../tmp/.custos-esx1-" FIXTURE_NONCE, false }, { "/var/backups", false }, { "", false },
	};
	struct custos_plan plan = { 0 };
	CUSTOS_AUTO(custos_json) *target = fixture_plain_target();
	fixture_plan(profile, target, (struct custos_plan_options){ 0 }, &plan);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CUSTOS_AUTO_BUF bytes = { 0 };
		struct custos_plan again = { 0 };
		assert_int_equal(custos_plan_is_backup(&plan, rows[i].path), rows[i].good);
		/* and a plan that names another place for root to remove or put back is none */
		free(plan.previous_backup);
		plan.previous_backup = strdup(rows[i].path);
		assert_int_equal(custos_plan_encode(&plan, &bytes, NULL), CUSTOS_OK);
		assert_int_equal(custos_plan_decode(custos_buf_view(&bytes), &again, NULL) == CUSTOS_OK, rows[i].good || rows[i].path[0] == '\0');
		custos_plan_done(&again);
	}
	custos_plan_done(&plan);
}

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *sni, *endpoint, *name;
	} rows[] = {
		{ "", "web.example.com:443", "web.example.com" }, { "", "web.example.com", "web.example.com" },   { "", "[2001:db8::1]:443", "2001:db8::1" },
		{ "", "[2001:db8::1]", "2001:db8::1" },           { "a.example.com", "[2001:db8::1]", "a.example.com" }, { "", "192.0.2.7:8443", "192.0.2.7" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[256], name[256];
		snprintf(text, sizeof text, "{\"sni\":\"%s\",\"verify\":[\"other.example.com\",\"%s\"]}", rows[i].sni, rows[i].endpoint);
		CUSTOS_AUTO(custos_json) *target = fixture_target(text);
		custos_target_name_at(target, 1, name);
		assert_string_equal(name, rows[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(copies), cmocka_unit_test(names) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
