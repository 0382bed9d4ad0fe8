/* Looking at a host without changing it, run for real by dash and by busybox ash: every obstacle is found, not only the first, and nothing is written; and
 * what is made of the facts, also of those that a host makes up. */
#include "script_fixture.h"

#include "target/inspection.h"

#define BOTH_SHELLS for (enum shell shell = DASH; shell <= ASH; shell++)

struct stamp {
	unsigned long files;
	struct timespec newest;
};
static struct stamp stamp;

static int look_at(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path, (void)type, (void)ftw;
	stamp.files++;
	if (st->st_mtim.tv_sec > stamp.newest.tv_sec || (st->st_mtim.tv_sec == stamp.newest.tv_sec && st->st_mtim.tv_nsec > stamp.newest.tv_nsec))
		stamp.newest = st->st_mtim;
	return 0;
}

/* A file or directory made, removed or written would be newer, or one more. */
static struct stamp stamp_of(const struct rig *rig)
{
	stamp = (struct stamp){ 0 };
	assert_int_equal(nftw(rig->root, look_at, 16, FTW_PHYS), 0);
	return stamp;
}

static struct custos_json *inspect(struct rig *rig, unsigned rc)
{
	struct stamp before = stamp_of(rig);
	assert_int_equal(run_script(rig, CUSTOS_SCRIPT_INSPECT), rc);
	struct stamp after = stamp_of(rig);
	assert_memory_equal(&before, &after, sizeof before);
	struct custos_json *found = custos_inspection_describe(&rig->plan, &rig->reply);
	assert_non_null(found);
	return found;
}

static void assert_text(const struct custos_json *object, const char *key, const char *want)
{
	const char *text = custos_json_text(object, key);
	if (text == NULL || strcmp(text, want) != 0)
		fail_msg("%s is \"%s\", not \"%s\"", key, text == NULL ? "" : text, want);
}

static void a_host_in_order(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: in-place\nversion: echo Web 1.0\nreport:\n  - {name: one, run: \"printf 'a\\\\nb'; echo lost >&2\"}\n  - {name: none, run: \"false\"}\n  - {name: bad, run: \"this is 'not sh\"}\n", false, 60);
		struct custos_json *found = inspect(&rig, 0);
		assert_text(found, "version", "Web 1.0");
		const struct custos_json *files = custos_json_get(found, "files"), *reports = custos_json_get(found, "report"), *room = custos_json_get(found, "room");
		assert_int_equal(custos_json_count(files), 2);
		assert_text(custos_json_at(files, 0), "kind", "certificate");
		assert_text(custos_json_at(files, 0), "path", at(&rig, "ssl/crt"));
		assert_text(custos_json_at(files, 0), "mode", "1644");
		assert_int_equal(strlen(custos_json_text(custos_json_at(files, 0), "sha256")), 64);
		assert_text(custos_json_at(files, 1), "mode", "400");
		assert_true(custos_json_bool(custos_json_at(files, 1), "present", false));
		assert_null(custos_json_get(custos_json_at(files, 1), "sha256"));
		assert_int_equal(custos_json_count(reports), 3);
		assert_text(custos_json_at(reports, 0), "name", "one");
		assert_text(custos_json_at(reports, 0), "says", "a; b");
		assert_null(custos_json_text(custos_json_at(reports, 1), "says"));
		assert_null(custos_json_text(custos_json_at(reports, 2), "says"));
		assert_int_equal(custos_json_count(room), 2);
		assert_text(custos_json_at(room, 0), "directory", at(&rig, "stage"));
		assert_true(custos_json_int(custos_json_at(room, 0), "free_kib", 0) > custos_json_int(custos_json_at(room, 0), "needed_kib", 0));
		assert_true(custos_json_int(custos_json_at(room, 0), "needed_kib", 0) > 48);
		assert_int_equal(custos_json_count(custos_json_get(found, "obstacles")), 0);
		custos_json_free(found);
		rig_down(&rig);
	}
}

static void every_obstacle_is_found(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: rename\nrequire: [no-such-tool]\nrefuse: [{if: \"test -e %/ssl\", because: it's managed, remedy: \"ask 'them'\"}]\n", false, 60);
		assert_int_equal(mkdir(at(&rig, "stage/.custos.lock"), 0700), 0);
		assert_int_equal(unlink(at(&rig, "ssl/key")), 0);
		assert_int_equal(symlink("crt", at(&rig, "ssl/key")), 0);
		struct custos_json *found = inspect(&rig, 1);
		const struct custos_json *obstacles = custos_json_get(found, "obstacles");
		static const char *const want[][3] = {
			{ "policy", "holds the lock", "gives way by itself" }, { "system", "no-such-tool is not on the host", "install it" }, { "policy", "it's managed", "ask 'them'" },
			{ "system", "is a symbolic link", "" },
		};
		assert_int_equal(custos_json_count(obstacles), sizeof want / sizeof *want);
		for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
			const struct custos_json *obstacle = custos_json_at(obstacles, i);
			assert_text(obstacle, "category", want[i][0]);
			assert_non_null(strstr(custos_json_text(obstacle, "reason"), want[i][1]));
			if (want[i][2][0] != '\0')
				assert_non_null(strstr(custos_json_text(obstacle, "hint"), want[i][2]));
		}
		custos_json_free(found);
		/* a lock past its time stops nobody */
		write_file(at(&rig, "stage/.custos.lock/until"), "1\n", 0600);
		found = inspect(&rig, 1);
		assert_int_equal(custos_json_count(custos_json_get(found, "obstacles")), 3);
		custos_json_free(found);
		rig_down(&rig);
	}
}

static void a_server_that_is_not_there(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: in-place\n", false, 60);
		assert_int_equal(unlink(at(&rig, "ssl/key")), 0);
		assert_int_equal(unlink(at(&rig, "ssl/crt")), 0);
		struct custos_json *found = inspect(&rig, 0);
		const struct custos_json *file = custos_json_at(custos_json_get(found, "files"), 1);
		assert_false(custos_json_bool(file, "present", true));
		assert_null(custos_json_text(file, "mode"));
		custos_json_free(found);
		assert_int_equal(rmdir(at(&rig, "ssl")), 0);
		assert_int_equal(rmdir(at(&rig, "stage")), 0);
		found = inspect(&rig, 1);
		/* the same directory for two files is one obstacle */
		assert_int_equal(custos_json_count(custos_json_get(found, "obstacles")), 2);
		custos_json_free(found);
		rig_down(&rig);
	}
}

/* A host that answers what nobody asked: names that are none, numbers that are none, obstacles without end, text that would move a cursor. */
static void what_a_host_makes_up(void **state)
{
	(void)state;
	static const char out[] = "@@" FIXTURE_NONCE " login.offered=publickey,,password,\x1b[2J\n@@" FIXTURE_NONCE " version=\x1b]0;x\x07\n@@" FIXTURE_NONCE " staging.free=-1\n"
	                          "@@" FIXTURE_NONCE " staging.needed=18446744073709551616\n@@" FIXTURE_NONCE " report.9=x\n@@" FIXTURE_NONCE " plan=forged\n@@" FIXTURE_NONCE " hint=do it\n"
	                          "@@" FIXTURE_NONCE " why=first\n@@" FIXTURE_NONCE " why=second\n@@" FIXTURE_NONCE " refused=yes\n@@" FIXTURE_NONCE " rc=1\n";
	struct custos_json *target = fixture_plain_target();
	struct custos_plan plan = { 0 };
	struct custos_reply reply = { 0 };
	fixture_plan((const char *)custos_profile_builtin("esxi").ptr, target, (struct custos_plan_options){ 0 }, &plan);
	assert_int_equal(custos_reply_parse(CUSTOS_BYTES(out, sizeof out - 1), FIXTURE_NONCE, &reply, NULL), CUSTOS_OK);
	struct custos_json *found = custos_inspection_describe(&plan, &reply);
	CUSTOS_AUTO_STR *text = custos_json_pretty(found);
	for (const char *p = text; *p != '\0'; p++)
		assert_true(*p == '\n' || (unsigned char)*p >= 0x20);
	assert_null(strstr(text, "forged"));
	assert_int_equal(custos_json_count(custos_json_get(found, "room")), 0);
	assert_int_equal(custos_json_count(custos_json_get(found, "login_offered")), 3);
	const struct custos_json *obstacles = custos_json_get(found, "obstacles");
	assert_int_equal(custos_json_count(obstacles), 2);
	assert_text(custos_json_at(obstacles, 0), "hint", "do it");
	assert_null(custos_json_text(custos_json_at(obstacles, 1), "hint"));
	assert_text(custos_json_at(obstacles, 1), "category", "system");
	custos_json_free(found);
	/* nothing at all is a description, too */
	found = custos_inspection_describe(&plan, &(struct custos_reply){ 0 });
	assert_int_equal(custos_json_count(custos_json_get(found, "files")), 2);
	assert_null(custos_json_text(found, "version"));
	custos_json_free(found);
	custos_reply_done(&reply);
	custos_plan_done(&plan);
	custos_json_free(target);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_in_order), cmocka_unit_test(every_obstacle_is_found), cmocka_unit_test(a_server_that_is_not_there), cmocka_unit_test(what_a_host_makes_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
