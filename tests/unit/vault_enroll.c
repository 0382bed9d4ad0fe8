/* The list of keys to enroll and the directory their requests go to: what a person may write is read as it stands, what no list can mean is refused with
 * file and line, and no file is ever replaced or left half written. */
#include "vault/enroll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static custos_rc read_list(const char *text, struct custos_enroll_list *list, struct custos_err *err)
{
	*err = (struct custos_err){ 0 };
	return custos_enroll_read(CUSTOS_BYTES_STR(text), "keys.yaml", list, err);
}

static void defaults_are_filled_in(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_enroll_list_done) struct custos_enroll_list list = { 0 };
	struct custos_err err;
	static const char text[] =
		"defaults: { type: ec-p256, profile: esxi, subject: O=Example }\n"
		"keys:\n"
		"  - name: web1\n"
		"    san: [\"dns:web1.example.com\", \"ip:192.0.2.7\"]\n"
		"  - { name: signer, type: ed25519, class: sign-only, profile: server, subject: CN=s.example.com, san: \"dns:s.example.com\" }\n";
	assert_int_equal(read_list(text, &list, &err), CUSTOS_OK);
	assert_int_equal(list.count, 2);
	const struct custos_enroll_entry *web = &list.entries[0], *signer = &list.entries[1];
	assert_string_equal(web->name, "web1");
	assert_int_equal(web->type, CUSTOS_KEY_EC_P256);
	assert_int_equal(web->class, CUSTOS_CLASS_DEPLOYABLE);
	assert_string_equal(web->spec.profile, "esxi");
	assert_string_equal(web->spec.subject, "O=Example");
	assert_string_equal(web->spec.sans[1], "ip:192.0.2.7");
	assert_null(web->spec.sans[2]);
	assert_int_equal(web->line, 3);
	assert_int_equal(signer->type, CUSTOS_KEY_ED25519);
	assert_int_equal(signer->class, CUSTOS_CLASS_SIGN_ONLY);
	assert_string_equal(signer->spec.profile, "server");
	assert_string_equal(signer->spec.subject, "CN=s.example.com");
	assert_string_equal(signer->spec.sans[0], "dns:s.example.com");
}

static void a_bare_list_has_the_defaults_of_the_commands(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_enroll_list_done) struct custos_enroll_list list = { 0 };
	struct custos_err err;
	assert_int_equal(read_list("- { name: a, san: dns:a.example.com }\n", &list, &err), CUSTOS_OK);
	assert_int_equal(list.entries[0].type, CUSTOS_KEY_RSA_2048);
	assert_int_equal(list.entries[0].class, CUSTOS_CLASS_DEPLOYABLE);
	assert_string_equal(list.entries[0].spec.profile, "server");
	assert_string_equal(list.entries[0].spec.subject, "");
}

static void what_no_list_can_mean_is_refused_with_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} bad[] = {
		{ "keys:\n", "keys.yaml:1: a list of keys is expected here" },
		{ "keys: []\n", "keys.yaml:1: a list of keys is expected here" },
		{ "keys: { name: a }\n", "keys.yaml:1: a list of keys is expected here" },
		{ "a", "keys.yaml:1: a map is expected here" },
		{ "[]\n", "keys.yaml:1: a list of keys is expected here" },
		{ "defaults: { type: ec-p256 }\n", "keys.yaml:1: \"keys\" is missing" },
		{ "keys: [ { name: a, san: x } ]\nkey: 1\n", "keys.yaml:2: \"key\" is not known here" },
		{ "defaults: { name: a }\nkeys: [ { name: a, san: x } ]\n", "keys.yaml:1: \"name\" is not known here" },
		{ "defaults: { san: x }\nkeys: [ { name: a } ]\n", "keys.yaml:1: \"san\" is not known here" },
		{ "defaults:\n  type: rsa\nkeys: [ { name: a, san: x } ]\n", "keys.yaml:2: \"rsa\" is not a key type" },
		{ "- name: a\n  san: x\n- name: b\n  san: x\n  sans: y\n", "keys.yaml:5: \"sans\" is not known here" },
		{ "- name: a\n  san: x\n- san: x\n", "keys.yaml:3: \"name\" is missing" },
		{ "- name: a\n  san: x\n- a\n", "keys.yaml:3: a map is expected here" },
		{ "- name: ../a\n  san: x\n", "keys.yaml:1: \"../a\" is not a name" },
		{ "- name: .a\n  san: x\n", "keys.yaml:1: \".a\" is not a name" },
		{ "- name: A\n  san: x\n", "keys.yaml:1: \"A\" is not a name" },
		{ "- name: a\n", "keys.yaml:1: key a asks for no name" },
		{ "- name: a\n  san: []\n", "keys.yaml:2: key a asks for no name" },
		{ "- name: a\n  san: { dns: a }\n", "keys.yaml:2: \"san\" must be a list of texts" },
		{ "- name: a\n  san: [[x]]\n", "keys.yaml:2: \"san\" must be a list of texts" },
		{ "- name: a\n  san: x\n  type: dsa\n", "keys.yaml:3: \"dsa\" is not a key type" },
		{ "- name: a\n  san: x\n  class: secret\n", "keys.yaml:3: \"class\" must be one of deployable, sign-only" },
		{ "- name: a\n  san: x\n  profile: toaster\n", "keys.yaml:3: \"profile\" must be one of server, esxi, client" },
		{ "- name: a\n  san: x\n  subject: [CN=a]\n", "keys.yaml:3: \"subject\" must be text" },
		{ "- { name: a, san: x }\n- { name: b, san: x }\n- name: a\n  san: y\n", "keys.yaml:3: key a is in the list twice; the first time in line 1" },
		{ "- { name: a, name: b, san: x }\n", "keys.yaml:1: " },
		{ "- &a { name: a, san: x }\n- *a\n", "keys.yaml:1: " },
		{ "- { name: a, san: x }\n---\n- { name: b, san: x }\n", "keys.yaml:2: " },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct custos_enroll_list list = { .count = 77 };
		struct custos_err err;
		if (read_list(bad[i].text, &list, &err) != CUSTOS_E_INPUT || strncmp(err.msg, bad[i].says, strlen(bad[i].says)) != 0)
			fail_msg("%s\nsays: %s\nnot:  %s", bad[i].text, err.msg, bad[i].says);
		assert_int_equal(list.count, 77);
	}
}

static void a_list_has_an_end(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF text = { 0 };
	CUSTOS_CLEANUP(custos_enroll_list_done) struct custos_enroll_list list = { 0 };
	struct custos_err err;
	for (int i = 0; i < CUSTOS_ENROLL_MAX; i++)
		assert_int_equal(custos_buf_printf(&text, NULL, "- {name: k%d, san: dns:a}\n", i), CUSTOS_OK);
	assert_int_equal(read_list((const char *)text.ptr, &list, &err), CUSTOS_OK);
	assert_int_equal(list.count, CUSTOS_ENROLL_MAX);
	custos_enroll_list_done(&list);
	assert_int_equal(custos_buf_append_str(&text, "- {name: one-more, san: dns:a}\n", NULL), CUSTOS_OK);
	assert_int_equal(read_list((const char *)text.ptr, &list, &err), CUSTOS_E_INPUT);
	assert_non_null(strstr(err.msg, "more than 10000 keys"));
}

/* ---- the directory ---- */

static char place[64];

static int make_place(void **state)
{
	(void)state;
	snprintf(place, sizeof place, "/tmp/custos-enroll-XXXXXX");
	return mkdtemp(place) == NULL;
}

static int remove_place(void **state)
{
	(void)state;
	CUSTOS_AUTO_FD at = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = opendir(place);
	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		if (unlinkat(at, e->d_name, 0) != 0)
			(void)unlinkat(at, e->d_name, AT_REMOVEDIR);
	closedir(dir);
	return rmdir(place);
}

static size_t count_files(void)
{
	size_t count = 0;
	DIR *dir = opendir(place);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count - 2;
}

static void a_request_appears_whole_and_once(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_enroll_dir_close) struct custos_enroll_dir dir = { .fd = -1 };
	struct custos_err err = { 0 };
	CUSTOS_AUTO_BUF read = { 0 };
	bool found = true;
	assert_int_equal(custos_enroll_dir_open(place, &dir, &err), CUSTOS_OK);
	assert_int_equal(custos_enroll_dir_read(&dir, "a", &read, &found, &err), CUSTOS_OK);
	assert_false(found);
	assert_int_equal(custos_enroll_dir_write(&dir, "a", CUSTOS_BYTES_STR("first"), &err), CUSTOS_OK);
	assert_int_equal(custos_enroll_dir_write(&dir, "a", CUSTOS_BYTES_STR("second"), &err), CUSTOS_E_INPUT);
	assert_non_null(strstr(err.msg, "a.csr exists"));
	assert_int_equal(custos_enroll_dir_read(&dir, "a", &read, &found, &err), CUSTOS_OK);
	assert_true(found);
	assert_string_equal((const char *)read.ptr, "first");
	/* nothing beside it, also after the refusal */
	assert_int_equal(count_files(), 1);
}

static void only_a_beginning_is_torn(void **state)
{
	(void)state;
	struct custos_bytes pem = CUSTOS_BYTES_STR("-----BEGIN X");
	assert_true(custos_enroll_dir_is_torn(CUSTOS_BYTES(NULL, 0), pem));
	assert_true(custos_enroll_dir_is_torn(CUSTOS_BYTES_STR("-----BEG"), pem));
	assert_false(custos_enroll_dir_is_torn(pem, pem));
	assert_false(custos_enroll_dir_is_torn(CUSTOS_BYTES_STR("-----BEG!"), pem));
	assert_false(custos_enroll_dir_is_torn(CUSTOS_BYTES_STR("-----BEGIN X-----"), pem));
	assert_false(custos_enroll_dir_is_torn(CUSTOS_BYTES_STR("x"), pem));
}

static void a_link_or_a_directory_is_in_the_way(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_enroll_dir_close) struct custos_enroll_dir dir = { .fd = -1 };
	struct custos_err err = { 0 };
	CUSTOS_AUTO_BUF read = { 0 };
	bool found;
	assert_int_equal(custos_enroll_dir_open(place, &dir, &err), CUSTOS_OK);
	assert_int_equal(symlinkat("elsewhere", dir.fd, "l.csr"), 0);
	assert_int_equal(mkdirat(dir.fd, "d.csr", 0700), 0);
	static const char *const names[] = { "l", "d" };
	for (size_t i = 0; i < 2; i++) {
		custos_err_clear(&err);
		assert_int_equal(custos_enroll_dir_read(&dir, names[i], &read, &found, &err), CUSTOS_E_INPUT);
		assert_non_null(strstr(err.msg, "is in the way"));
		custos_err_clear(&err);
		assert_int_equal(custos_enroll_dir_write(&dir, names[i], CUSTOS_BYTES_STR("x"), &err), CUSTOS_E_INPUT);
	}
	assert_int_equal(faccessat(dir.fd, "elsewhere", F_OK, 0), -1);
	assert_int_equal(count_files(), 2);
}

static void a_file_too_large_to_be_a_request_is_not_read(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_enroll_dir_close) struct custos_enroll_dir dir = { .fd = -1 };
	struct custos_err err = { 0 };
	CUSTOS_AUTO_BUF read = { 0 };
	bool found;
	assert_int_equal(custos_enroll_dir_open(place, &dir, &err), CUSTOS_OK);
	CUSTOS_AUTO_FD fd = openat(dir.fd, "big.csr", O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(ftruncate(fd, 1 << 30), 0);
	assert_int_equal(custos_enroll_dir_read(&dir, "big", &read, &found, &err), CUSTOS_E_INPUT);
}

static void the_directory_is_made_or_refused(void **state)
{
	(void)state;
	CUSTOS_CLEANUP(custos_enroll_dir_close) struct custos_enroll_dir dir = { .fd = -1 };
	struct custos_err err = { 0 };
	char path[128];
	struct stat st;
	snprintf(path, sizeof path, "%s/new", place);
	assert_int_equal(custos_enroll_dir_open(path, &dir, &err), CUSTOS_OK);
	assert_int_equal(stat(path, &st), 0);
	snprintf(path, sizeof path, "%s/no/new", place);
	assert_int_equal(custos_enroll_dir_open(path, &dir, &err), CUSTOS_E_INPUT);
	snprintf(path, sizeof path, "%s/file", place);
	close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
	custos_err_clear(&err);
	assert_int_equal(custos_enroll_dir_open(path, &dir, &err), CUSTOS_E_INPUT);
	assert_non_null(strstr(err.msg, path));
	/* a file system that nobody can write to */
	custos_err_clear(&err);
	assert_int_equal(custos_enroll_dir_open("/proc/self", &dir, &err), CUSTOS_E_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_filled_in),
		cmocka_unit_test(a_bare_list_has_the_defaults_of_the_commands),
		cmocka_unit_test(what_no_list_can_mean_is_refused_with_its_line),
		cmocka_unit_test(a_list_has_an_end),
		cmocka_unit_test_setup_teardown(a_request_appears_whole_and_once, make_place, remove_place),
		cmocka_unit_test(only_a_beginning_is_torn),
		cmocka_unit_test_setup_teardown(a_link_or_a_directory_is_in_the_way, make_place, remove_place),
		cmocka_unit_test_setup_teardown(a_file_too_large_to_be_a_request_is_not_read, make_place, remove_place),
		cmocka_unit_test_setup_teardown(the_directory_is_made_or_refused, make_place, remove_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
