/* custody.yaml: written and read back unchanged whatever a token calls itself; bad YAML refused with its line; nothing believed that
 * somebody else could have written. */
#include "vault/binding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

struct place {
	char dir[64], file[96];
	struct custos_err err;
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof *p);
	snprintf(p->dir, sizeof p->dir, "/tmp/custos-binding-XXXXXX");
	if (mkdtemp(p->dir) == NULL)
		return -1;
	snprintf(p->file, sizeof p->file, "%s/custody.yaml", p->dir);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	if (unlink(p->file) != 0)
		rmdir(p->file);
	int rc = rmdir(p->dir);
	free(p);
	return rc;
}

static void put_file(const struct place *p, const char *text, size_t len, mode_t mode)
{
	unlink(p->file);
	CUSTOS_AUTO_FD fd = open(p->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
}

static const char good[] =
	"custos: 1\n"
	"origin: log.example/lab\n"
	"token:\n"
	"  module: libsofthsm2\n"
	"  uri: pkcs11:token=lab\n"
	"  serial: 0123456789abcdef\n"
	"  profile: softhsm\n"
	"store: sqlite:custody.db\n"
	"log:\n"
	"  vkey: log.example/lab+12345678+AAAA\n";

static custos_rc read_back(struct place *p, struct custos_binding *b)
{
	custos_err_clear(&p->err);
	*b = (struct custos_binding){ 0 };
	return custos_binding_read(p->dir, b, &p->err);
}

static void assert_refused(struct place *p, custos_rc rc, const char *why)
{
	struct custos_binding b;
	custos_rc got = read_back(p, &b);
	if (got != rc || strstr(p->err.msg, why) == NULL)
		fail_msg("%s instead of %s: \"%s\" does not say \"%s\"", custos_rc_name(got), custos_rc_name(rc), p->err.msg, why);
	assert_null(b.origin);
}

static void a_good_one_is_read(void **state)
{
	struct place *p = *state;
	struct custos_binding b;
	put_file(p, good, sizeof good - 1, 0644);
	assert_int_equal(read_back(p, &b), CUSTOS_OK);
	assert_string_equal(b.origin, "log.example/lab");
	assert_string_equal(b.serial, "0123456789abcdef");
	assert_string_equal(b.vkey, "log.example/lab+12345678+AAAA");
	assert_null(b.pin_source);
	custos_binding_done(&b);
}

/* `from` in the good one replaced by `to`. */
static void put_changed(const struct place *p, const char *from, const char *to)
{
	char text[2048];
	const char *at = strstr(good, from);
	assert_non_null(at);
	snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from));
	put_file(p, text, strlen(text), 0600);
}

static void bad_yaml_is_refused_with_its_line(void **state)
{
	struct place *p = *state;
	static const struct {
		const char *from, *to, *why;
	} changes[] = {
		{ "custos: 1\n", "", "custody.yaml:1: \"custos: 1\" is missing" },
		{ "custos: 1", "custos: 2", "custody.yaml:1: \"custos\" must be" },
		{ "custos: 1", "custos: one", "custody.yaml:1: \"custos\" must be" },
		{ "origin: log.example/lab\n", "", "custody.yaml:1: \"origin\" is missing" },
		{ "store:", "shop:", "custody.yaml:8: \"shop\" is not known" },
		{ "store: sqlite:custody.db", "store: [a]", "custody.yaml:8: \"store\" must be text" },
		{ "  serial:", "  pin-value: 1234\n  serial:", "custody.yaml:6: \"pin-value\" is not known" },
		{ "  serial: 0123456789abcdef\n", "", "\"serial\" is missing" },
		{ "  vkey:", "  key:", "custody.yaml:10: \"key\" is not known" },
		{ "log:\n  vkey: log.example/lab+12345678+AAAA\n", "", "\"log\" is missing" },
		{ "log:\n  vkey: log.example/lab+12345678+AAAA\n", "log: x\n", "custody.yaml:9: a map is expected" },
		{ "store:", "origin: evil.example\nstore:", "custody.yaml:8: \"origin\" stands here twice, first in line 2" },
		{ "store:", "---\nstore:", "custody.yaml:8: a second document" },
		{ "origin: log.example/lab", "origin: &x log.example/lab", "custody.yaml:2: anchors" },
		{ "origin: log.example/lab", "origin: *x", "custody.yaml:2: aliases" },
		{ "origin: log.example/lab", "origin: !!str x", "custody.yaml:2: tags" },
		{ "origin: log.example/lab", "origin: {a: b", "custody.yaml:" },
		{ "store:", "pin: exec:/bin/evil\nstore:", "custody.yaml:8: a program as PIN source" },
		{ "store:", "certificates: {max_days: 0}\nstore:", "custody.yaml:8: \"max_days\" must be a number of days" },
		{ "store:", "certificates: {max_days: 090}\nstore:", "custody.yaml:8: \"max_days\" must be" },
		{ "store:", "certificates: {max_days: 36501}\nstore:", "custody.yaml:8: \"max_days\" must be" },
		{ "store:", "certificates: {max_days: [90]}\nstore:", "custody.yaml:8: \"max_days\" must be text" },
		{ "store:", "certificates: {max_days: Public}\nstore:", "custody.yaml:8: \"max_days\" must be" },
		{ "store:", "certificates: {blocklist: \"\"}\nstore:", "custody.yaml:8: \"blocklist\" must name a file" },
		{ "store:", "certificates: {block_list: a}\nstore:", "custody.yaml:8: \"block_list\" is not known" },
		{ "store:", "certificates: none\nstore:", "custody.yaml:8: a map is expected" },
		{ "store:", "pin: \"exec:/bin/evil\"\nstore:", "custody.yaml:8: a program as PIN source" },
	};
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		put_changed(p, changes[i].from, changes[i].to);
		assert_refused(p, CUSTOS_E_INPUT, changes[i].why);
	}
	put_file(p, "", 0, 0600);
	assert_refused(p, CUSTOS_E_INPUT, "the file is empty");
	put_file(p, "- a\n- b\n", 8, 0600);
	assert_refused(p, CUSTOS_E_INPUT, "a map is expected");
	put_file(p, "custos: 1\0\n", 11, 0600);
	assert_refused(p, CUSTOS_E_INPUT, "custody.yaml:1:");
}

static void a_harmless_pin_source_is_kept(void **state)
{
	struct place *p = *state;
	struct custos_binding b;
	put_changed(p, "store:", "pin: file:/root/pin\nstore:");
	assert_int_equal(read_back(p, &b), CUSTOS_OK);
	assert_string_equal(b.pin_source, "file:/root/pin");
	custos_binding_done(&b);
}

static void policy_about_certificates_is_kept(void **state)
{
	struct place *p = *state;
	static const char *const limits[] = { "public", "none", "1", "90", "36500" };
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
		struct custos_binding b, again;
		char with[128];
		snprintf(with, sizeof with, "certificates:\n  max_days: %s\n  blocklist: weak \\ keys.txt\nstore:", limits[i]);
		put_changed(p, "store:", with);
		assert_int_equal(read_back(p, &b), CUSTOS_OK);
		assert_string_equal(b.max_days, limits[i]);
		assert_string_equal(b.blocklist, "weak \\ keys.txt");
		/* a custody that goes on with another token goes on with its policy */
		assert_int_equal(custos_binding_stage(p->dir, &b, &p->err), CUSTOS_OK);
		assert_int_equal(custos_binding_adopt(p->dir, &p->err), CUSTOS_OK);
		assert_int_equal(read_back(p, &again), CUSTOS_OK);
		assert_string_equal(again.max_days, b.max_days);
		assert_string_equal(again.blocklist, b.blocklist);
		custos_binding_done(&b);
		custos_binding_done(&again);
	}
}

/* What somebody else could have written keeps no key from being taken, nor lets one through. */
static void named_files_are_believed_when_they_are_ours(void **state)
{
	struct place *p = *state;
	CUSTOS_AUTO_BUF text = { .max = 16 };
	CUSTOS_AUTO_BUF open = { .max = 16 };
	CUSTOS_AUTO_BUF small = { .max = 3 };
	put_file(p, "0123", 4, 0644);
	assert_int_equal(custos_binding_read_named(p->dir, "custody.yaml", &text, &p->err), CUSTOS_OK);
	assert_int_equal(text.len, 4);
	assert_int_equal(custos_binding_read_named("/", p->file, &open, &p->err), CUSTOS_OK);
	assert_int_equal(custos_binding_read_named(p->dir, "custody.yaml", &small, &p->err), CUSTOS_E_INPUT);
	assert_non_null(strstr(p->err.msg, "is larger than"));
	custos_err_clear(&p->err);
	put_file(p, "0123", 4, 0664);
	assert_int_equal(custos_binding_read_named(p->dir, "custody.yaml", &open, &p->err), CUSTOS_E_POLICY);
	assert_non_null(strstr(p->err.msg, "can be written by others"));
	custos_err_clear(&p->err);
	assert_int_equal(custos_binding_read_named(p->dir, "nowhere.txt", &open, &p->err), CUSTOS_E_INPUT);
	assert_non_null(strstr(p->err.msg, "cannot open nowhere.txt, which custody.yaml names"));
	custos_err_clear(&p->err);
	assert_int_equal(custos_binding_read_named(p->dir, ".", &open, &p->err), CUSTOS_E_INPUT);
}

static void size_is_limited(void **state)
{
	struct place *p = *state;
	char *text = malloc(65537);
	memset(text, '#', 65537);
	memcpy(text, good, sizeof good - 1);
	struct custos_binding b;
	put_file(p, text, 65536, 0600);
	assert_int_equal(read_back(p, &b), CUSTOS_OK);
	custos_binding_done(&b);
	put_file(p, text, 65537, 0600);
	assert_refused(p, CUSTOS_E_INPUT, "larger than 64 KiB");
	free(text);
}

static void what_others_may_write_is_not_read(void **state)
{
	struct place *p = *state;
	struct custos_binding b;
	static const mode_t files[] = { 0620, 0602, 0666, 0777 }, dirs[] = { 0770, 0707, 0777, 01777 };
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		put_file(p, good, sizeof good - 1, files[i]);
		assert_refused(p, CUSTOS_E_POLICY, "can be written by others");
		assert_non_null(strstr(p->err.hint, "chmod"));
	}
	put_file(p, good, sizeof good - 1, 0600);
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++) {
		assert_int_equal(chmod(p->dir, dirs[i]), 0);
		assert_refused(p, CUSTOS_E_POLICY, "can be written by others");
	}
	assert_int_equal(chmod(p->dir, 0755), 0);
	assert_int_equal(read_back(p, &b), CUSTOS_OK);
	custos_binding_done(&b);
}

static void what_belongs_to_others_is_not_read(void **state)
{
	struct place *p = *state;
	if (geteuid() != 0)
		skip();
	put_file(p, good, sizeof good - 1, 0600);
	assert_int_equal(chown(p->file, 65534, 65534), 0);
	assert_refused(p, CUSTOS_E_POLICY, "belongs to user 65534");
	assert_int_equal(chown(p->file, 0, 0), 0);
	assert_int_equal(chown(p->dir, 65534, 0), 0);
	assert_refused(p, CUSTOS_E_POLICY, "belongs to user 65534");
	/* writing there is refused as well: the owner could exchange what was written */
	char v[] = "v";
	struct custos_binding b = { v, v, v, v, v, v, v, NULL, NULL, NULL };
	assert_int_equal(unlink(p->file), 0);
	assert_int_equal(custos_binding_write(p->dir, &b, NULL), CUSTOS_E_POLICY);
	assert_int_equal(access(p->file, F_OK), -1);
	assert_int_equal(chown(p->dir, 0, 0), 0);
	assert_int_equal(mkdir(p->file, 0700), 0);
}

/* Whatever is not a plain file: followed nowhere, waited for never. */
static void only_a_regular_file_will_do(void **state)
{
	struct place *p = *state;
	char elsewhere[128];
	snprintf(elsewhere, sizeof elsewhere, "%s/real.yaml", p->dir);
	assert_refused(p, CUSTOS_E_INPUT, "it has no custody.yaml");
	put_file(p, good, sizeof good - 1, 0600);
	assert_int_equal(rename(p->file, elsewhere), 0);
	assert_int_equal(symlink("real.yaml", p->file), 0);
	assert_refused(p, CUSTOS_E_INPUT, "cannot open");
	assert_int_equal(unlink(p->file), 0);
	assert_int_equal(mkfifo(p->file, 0600), 0);
	assert_refused(p, CUSTOS_E_INPUT, "not a regular file");
	assert_int_equal(unlink(p->file), 0);
	assert_int_equal(mkdir(p->file, 0700), 0);
	assert_refused(p, CUSTOS_E_INPUT, "not a regular file");
	assert_int_equal(unlink(elsewhere), 0);
	struct custos_binding b = { 0 };
	assert_int_equal(custos_binding_read("/nonexistent/custody", &b, &p->err), CUSTOS_E_INPUT);
}

static void assert_round_trip(struct place *p, const char *value)
{
	char *const v = strdup(value);
	struct custos_binding b = { v, v, v, v, v, v, v, NULL, NULL, NULL }, again;
	custos_err_clear(&p->err);
	unlink(p->file);
	if (custos_binding_write(p->dir, &b, &p->err) != CUSTOS_OK || read_back(p, &again) != CUSTOS_OK)
		fail_msg("%s", p->err.msg);
	char *const *const members[] = { &again.origin, &again.module, &again.token_uri, &again.serial, &again.profile, &again.store, &again.vkey };
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		assert_string_equal(*members[i], value);
	custos_binding_done(&again);
	free(v);
}

/* What a token calls itself stays text, and cannot become another key of the file. */
static void quoting(void **state)
{
	struct place *p = *state;
	static const char *const values[] = { "plain", "", " ", "  lead and trail  ", "\"", "\\", "\\\"", "a\\nb", "\\x41", "'",
		"# no comment", "a: b", "- x", "{", "[", "*x", "&x", "!tag", "|", ">",
		                              "%", "@", "`", "~", "null", "yes", "1", "a\" \nb", "x\"\npin: \"exec:/bin/evil",
			"Zürich € 𝄞", "\xc2\xa0", "a\xe2\x80\xa8z", "pkcs11:token=a%20b;serial=1?x=y", "---", "..." };
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		if (strchr(values[i], '\n') == NULL)
			assert_round_trip(p, values[i]);
	char longest[3000];
	memset(longest, 'w', sizeof longest);
	for (size_t i = 60; i < sizeof longest; i += 61)
		longest[i] = ' ';
	longest[sizeof longest - 1] = '\0';
	assert_round_trip(p, longest);
}

/* What could not be read back as it is must not be written at all. */
static void what_cannot_be_kept_is_refused(void **state)
{
	struct place *p = *state;
	static const char *const values[] = { "x\"\npin: \"file:/tmp/evil", "a\nb", "a\rb", "a\tb", "\x1b[2J", "\x7f", "caf\xe9",
		"\xc0\xaf", "\xed\xa0\x80", "\xff",
		                              "a\xc2\x85z" /* next line */, "a \xe2\x80\xa8 b" /* line separator */, "a \xe2\x80\xa9 b",
			"\xc2\x9bm" };
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		for (size_t member = 0; member < 7; member++) {
			char *v = strdup(values[i]), plain[] = "plain";
			char *m[7] = { plain, plain, plain, plain, plain, plain, plain };
			m[member] = v;
			struct custos_binding b = { m[0], m[1], m[2], m[3], m[4], m[5], m[6], NULL, NULL, NULL };
			custos_err_clear(&p->err);
			if (custos_binding_write(p->dir, &b, &p->err) != CUSTOS_E_INPUT)
				fail_msg("value %zu was written", i);
			assert_int_equal(access(p->file, F_OK), -1);
			free(v);
		}
	assert_int_equal(mkdir(p->file, 0700), 0);
}

static void nothing_is_overwritten(void **state)
{
	struct place *p = *state;
	char v[] = "v";
	struct custos_binding b = { v, v, v, v, v, v, v, NULL, NULL, NULL };
	struct stat st;
	mode_t before = umask(0);
	assert_int_equal(custos_binding_write(p->dir, &b, NULL), CUSTOS_OK);
	umask(before);
	assert_int_equal(stat(p->file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(custos_binding_write(p->dir, &b, &p->err), CUSTOS_E_SYSTEM);
	assert_int_equal(unlink(p->file), 0);
	/* a link laid out for us is not followed */
	char trap[128];
	snprintf(trap, sizeof trap, "%s/trap", p->dir);
	assert_int_equal(symlink("trap", p->file), 0);
	assert_int_equal(custos_binding_write(p->dir, &b, NULL), CUSTOS_E_SYSTEM);
	assert_int_equal(access(trap, F_OK), -1);
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(a_good_one_is_read),
		UNIT(bad_yaml_is_refused_with_its_line),
		UNIT(a_harmless_pin_source_is_kept),
		UNIT(policy_about_certificates_is_kept),
		UNIT(named_files_are_believed_when_they_are_ours),
		UNIT(size_is_limited),
		UNIT(what_others_may_write_is_not_read),
		UNIT(what_belongs_to_others_is_not_read),
		UNIT(only_a_regular_file_will_do),
		UNIT(quoting),
		UNIT(what_cannot_be_kept_is_refused),
		UNIT(nothing_is_overwritten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
