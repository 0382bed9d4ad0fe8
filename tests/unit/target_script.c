/* The commands, run for real by dash and by busybox ash on files in a temporary directory: staging, switching, going back, the dead man's switch, and
 * what a host can be in the way of. */
#include "script_fixture.h"

#define BOTH_SHELLS for (enum shell shell = DASH; shell <= ASH; shell++)

static ino_t inode(const struct rig *rig, const char *name)
{
	struct stat st;
	assert_int_equal(stat(at(rig, name), &st), 0);
	return st.st_ino;
}

static void in_place(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: in-place\nversion: echo \"it's $((1+1)) 'q' \\\\ \"; echo second\n", false, 60);
		ino_t crt = inode(&rig, "ssl/crt"), key = inode(&rig, "ssl/key");
		must(&rig, CUSTOS_SCRIPT_LOCK);
		must(&rig, CUSTOS_SCRIPT_PROBE);
		assert_string_equal(custos_reply_get(&rig.reply, "version"), "it's 2 'q' \\ ");
		assert_string_equal(custos_reply_get(&rig.reply, "certificate.mode"), "1644");
		assert_string_equal(custos_reply_get(&rig.reply, "key.mode"), "400");
		assert_int_equal(strlen(custos_reply_get(&rig.reply, "certificate.sha256")), 64);
		assert_string_equal(custos_reply_get(&rig.reply, "key.sha256"), "");
		must(&rig, CUSTOS_SCRIPT_BACKUP);
		assert_file(at(&rig, "backup1/.custos-esx1-" FIXTURE_NONCE "/key"), OLD_KEY, 0600);
		must(&rig, CUSTOS_SCRIPT_ARM);
		must(&rig, CUSTOS_SCRIPT_STAGE_CHAIN);
		must(&rig, CUSTOS_SCRIPT_STAGE_KEY);
		assert_file(at(&rig, "stage/.custos-" FIXTURE_NONCE "/key"), NEW_KEY, 0600);
		assert_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
		must(&rig, CUSTOS_SCRIPT_SWITCH);
		assert_file(at(&rig, "ssl/crt"), NEW_CHAIN, 01644);
		assert_file(at(&rig, "ssl/key"), NEW_KEY, 0400);
		assert_int_equal(inode(&rig, "ssl/crt"), crt);
		assert_int_equal(inode(&rig, "ssl/key"), key);
		must(&rig, CUSTOS_SCRIPT_RESTORE);
		assert_file(at(&rig, "ssl/crt"), OLD_CHAIN, 01644);
		assert_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
		assert_int_equal(inode(&rig, "ssl/key"), key);
		must(&rig, CUSTOS_SCRIPT_RESTORE); /* asked twice: the same */
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		assert_false(exists(&rig, "stage/.custos-" FIXTURE_NONCE));
		assert_false(exists(&rig, "stage/.custos.lock"));
		assert_false(exists(&rig, "backup1/.custos-esx1-" FIXTURE_NONCE));
		rig_down(&rig);
	}
}

static void by_rename(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: rename\n", true, 60);
		ino_t crt = inode(&rig, "ssl/crt");
		up_to(&rig, CUSTOS_SCRIPT_SWITCH);
		assert_file(at(&rig, "ssl/crt"), NEW_CHAIN, 01644);
		assert_file(at(&rig, "ssl/key"), NEW_KEY, 0400);
		assert_int_not_equal(inode(&rig, "ssl/crt"), crt);
		must(&rig, CUSTOS_SCRIPT_DISARM);
		must(&rig, CUSTOS_SCRIPT_DISARM); /* the answer to the first was lost */
		assert_file(at(&rig, "ssl/key"), NEW_KEY, 0400);
		assert_true(exists(&rig, "backup1/.custos-esx1-" FIXTURE_NONCE "/key")); /* it was to be kept */
		assert_false(exists(&rig, "stage/.custos-" FIXTURE_NONCE));
		rig_down(&rig);
	}
}

/* Nothing there before: made with the profile's modes, and gone again after a roll-back. */
static void first_pair(void **state)
{
	(void)state;
	if (getuid() != 0) /* the profile's owner is root */
		skip();
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: in-place\n", false, 60);
		assert_int_equal(unlink(at(&rig, "ssl/crt")) | unlink(at(&rig, "ssl/key")), 0);
		up_to(&rig, CUSTOS_SCRIPT_SWITCH);
		assert_file(at(&rig, "ssl/crt"), NEW_CHAIN, 0644);
		assert_file(at(&rig, "ssl/key"), NEW_KEY, 0600);
		must(&rig, CUSTOS_SCRIPT_RESTORE);
		assert_false(exists(&rig, "ssl/crt"));
		assert_false(exists(&rig, "ssl/key"));
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		rig_down(&rig);
	}
}

static void one_combined_file(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "files: {combined: {path: %/ssl/key, mode: \"0600\"}}\n", false, 60);
		up_to(&rig, CUSTOS_SCRIPT_SWITCH);
		assert_file(at(&rig, "ssl/key"), NEW_CHAIN NEW_KEY, 0400);
		must(&rig, CUSTOS_SCRIPT_RESTORE);
		assert_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		rig_down(&rig);
	}
}

/* The previous pair back: a deployment whose source is an earlier backup. */
static void job_rollback(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: in-place\n", true, 60);
		up_to(&rig, CUSTOS_SCRIPT_SWITCH);
		must(&rig, CUSTOS_SCRIPT_DISARM);
		free(rig.plan.previous_backup);
		rig.plan.previous_backup = strdup(rig.backup);
		memcpy(rig.plan.nonce, "fedcba9876543210", 16);
		struct custos_script_values values = values_of(&rig);
		values.from_backup = true;
		must(&rig, CUSTOS_SCRIPT_LOCK);
		assert_int_equal(run_script_with(&rig, CUSTOS_SCRIPT_PROBE, "", 0, &values), 0);
		must(&rig, CUSTOS_SCRIPT_BACKUP);
		must(&rig, CUSTOS_SCRIPT_ARM);
		must(&rig, CUSTOS_SCRIPT_SWITCH_BACK);
		assert_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
		assert_file(at(&rig, "ssl/crt"), OLD_CHAIN, 01644);
		must(&rig, CUSTOS_SCRIPT_RESTORE); /* and undone once more */
		assert_file(at(&rig, "ssl/key"), NEW_KEY, 0400);
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		char command[300];
		/* one that another user has put there is not ours */
		if (geteuid() == 0) {
			snprintf(command, sizeof command, "chown 65534 %s/backup1/.custos-esx1-%s", rig.root, FIXTURE_NONCE);
			run_command(&rig, command, "", 0, &(struct custos_buf){ 0 });
			must(&rig, CUSTOS_SCRIPT_LOCK);
			assert_int_not_equal(run_script_with(&rig, CUSTOS_SCRIPT_PROBE, "", 0, &values), 0);
			assert_non_null(strstr(custos_reply_get(&rig.reply, "why"), "is not ours"));
			must(&rig, CUSTOS_SCRIPT_CLEAN);
		}
		/* a backup that is not there is noticed before anything is touched */
		snprintf(command, sizeof command, "rm -rf %s/backup1/.custos-esx1-%s", rig.root, FIXTURE_NONCE);
		run_command(&rig, command, "", 0, &(struct custos_buf){ 0 });
		must(&rig, CUSTOS_SCRIPT_LOCK);
		assert_int_not_equal(run_script_with(&rig, CUSTOS_SCRIPT_PROBE, "", 0, &values), 0);
		assert_non_null(strstr(custos_reply_get(&rig.reply, "why"), "not there any more"));
		rig_down(&rig);
	}
}

static void what_arrives_is_checked(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: in-place\n", false, 60);
		up_to(&rig, CUSTOS_SCRIPT_ARM);
		struct custos_script_values values = values_of(&rig);
		assert_int_not_equal(run_script_with(&rig, CUSTOS_SCRIPT_STAGE_CHAIN, "new chain\nwith two lines\r\n", 25, &values), 0);
		assert_non_null(strstr(custos_reply_get(&rig.reply, "why"), "not what was sent"));
		assert_int_not_equal(run_script_with(&rig, CUSTOS_SCRIPT_STAGE_KEY, NEW_KEY, strlen(NEW_KEY) - 1, &values), 0);
		assert_non_null(strstr(custos_reply_get(&rig.reply, "why"), "bytes instead of"));
		/* a chain in the staging directory that was changed after it was staged is not what the file holds at the end */
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		assert_file(at(&rig, "ssl/crt"), OLD_CHAIN, 01644);
		rig_down(&rig);
	}
}

static void the_servers_own_test(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "test: grep -q NEWKEY \"$CUSTOS_KEY\" && grep -q two \"$CUSTOS_CERT\" && ! test -e %/bad || { echo \"will not do\"; false; }\n", false, 60);
		up_to(&rig, CUSTOS_SCRIPT_STAGE_KEY);
		write_file(at(&rig, "bad"), "", 0600);
		must_fail(&rig, CUSTOS_SCRIPT_STAGE_KEY, "refused the new pair");
		assert_string_equal(custos_reply_get(&rig.reply, "said"), "will not do ");
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		rig_down(&rig);
	}
}

static void locks(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: in-place\n", false, 60);
		must(&rig, CUSTOS_SCRIPT_LOCK);
		must_fail(&rig, CUSTOS_SCRIPT_LOCK, "holds the lock");
		assert_string_equal(custos_reply_get(&rig.reply, "locked"), "yes");
		/* a second deployment, refused, must not take the first one's lock with it */
		memcpy(rig.plan.nonce, "fedcba9876543210", 16);
		must_fail(&rig, CUSTOS_SCRIPT_LOCK, "holds the lock");
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		assert_true(exists(&rig, "stage/.custos.lock"));
		/* a lock that was left behind long ago gives way; one that does not say until when stays */
		write_file(at(&rig, "stage/.custos.lock/until"), "1000000000\n", 0600);
		must(&rig, CUSTOS_SCRIPT_LOCK);
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		assert_int_equal(mkdir(at(&rig, "stage/.custos.lock"), 0700), 0);
		must_fail(&rig, CUSTOS_SCRIPT_LOCK, "holds the lock");
		rig_down(&rig);
	}
}

static void hosts_that_cannot(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "require: [cat, no-such-tool]\n", false, 60);
		must(&rig, CUSTOS_SCRIPT_LOCK);
		must_fail(&rig, CUSTOS_SCRIPT_PROBE, "no-such-tool is not on the host");
		rig_down(&rig);

		rig_up(&rig, shell, "refuse: [{if: \"test -e %/ssl\", because: it's managed, remedy: \"ask 'them'\"}]\n", false, 60);
		must(&rig, CUSTOS_SCRIPT_LOCK);
		must_fail(&rig, CUSTOS_SCRIPT_PROBE, "it's managed");
		assert_string_equal(custos_reply_get(&rig.reply, "refused"), "yes");
		assert_string_equal(custos_reply_get(&rig.reply, "hint"), "ask 'them'");
		must_fail(&rig, CUSTOS_SCRIPT_LOOK, "it's managed");
		rig_down(&rig);

		rig_up(&rig, shell, "replace: rename\n", false, 60);
		assert_int_equal(rename(at(&rig, "ssl/key"), at(&rig, "ssl/real")), 0);
		assert_int_equal(symlink("real", at(&rig, "ssl/key")), 0);
		must(&rig, CUSTOS_SCRIPT_LOCK);
		must_fail(&rig, CUSTOS_SCRIPT_PROBE, "symbolic link");
		rig_down(&rig);

		rig_up(&rig, shell, "version: \"this is 'not sh\"\n", false, 60); /* a command that is no shell code does no harm to the rest */
		must(&rig, CUSTOS_SCRIPT_LOOK);
		rig_down(&rig);
	}
}

/* A chmod that does nothing and says nothing: what was to be kept is looked at, not believed, and both values are told. */
static void modes_that_did_not_come_back(void **state)
{
	(void)state;
	struct rig rig;
	char path[4096];
	const char *usual = getenv("PATH");
	rig_up(&rig, DASH, "replace: in-place\n", false, 60);
	up_to(&rig, CUSTOS_SCRIPT_STAGE_KEY);
	assert_int_equal(mkdir(at(&rig, "lying"), 0755), 0);
	write_file(at(&rig, "lying/chmod"), "#!/bin/sh\n[ \"$1\" = 400 ] || exec /bin/chmod \"$@\"\n", 0755);
	snprintf(path, sizeof path, "%s:%s", at(&rig, "lying"), usual);
	CUSTOS_AUTO_STR *before = strdup(usual);
	assert_int_equal(setenv("PATH", path, 1), 0);
	must_fail(&rig, CUSTOS_SCRIPT_SWITCH, "ssl/key had mode 400 and owner ");
	assert_non_null(strstr(custos_reply_get(&rig.reply, "why"), "and has mode 600 and owner "));
	assert_int_equal(setenv("PATH", before, 1), 0);
	must(&rig, CUSTOS_SCRIPT_RESTORE);
	assert_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
	rig_down(&rig);
}

static void a_dry_run_changes_nothing(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		struct stat before, after;
		rig_up(&rig, shell, "replace: in-place\n", false, 60);
		assert_int_equal(stat(at(&rig, "stage"), &before), 0);
		must(&rig, CUSTOS_SCRIPT_LOOK);
		assert_string_equal(custos_reply_get(&rig.reply, "key.mode"), "400");
		assert_int_equal(stat(at(&rig, "stage"), &after), 0);
		assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim);
		assert_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
		rig_down(&rig);
	}
}

static void ladder_and_persistence(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell,
		       "reload:\n  - {name: never, only_if: \"false\", run: \"touch %/never\"}\n  - {name: bad, run: \"echo line; echo \\\"oh 'no'\\\" >&2; exit 3\"}\n"
		       "  - {name: daemon, run: \"sleep 1000 & echo $! > %/pid\"}\npersist: {run: \"test ! -e %/save || echo saved >> %/state\", proof: %/state}\n", false, 60);
		write_file(at(&rig, "state"), "x", 0600);
		up_to(&rig, CUSTOS_SCRIPT_SWITCH);
		struct custos_script_values values = values_of(&rig);
		assert_int_equal(run_script_with(&rig, CUSTOS_SCRIPT_RELOAD, "", 0, &values), 0);
		assert_string_equal(custos_reply_get(&rig.reply, "skipped"), "yes");
		assert_false(exists(&rig, "never"));
		values.step = 1;
		assert_int_equal(run_script_with(&rig, CUSTOS_SCRIPT_RELOAD, "", 0, &values), 3);
		assert_string_equal(custos_reply_get(&rig.reply, "said"), "line oh 'no' ");
		values.step = 2; /* a daemon that lives on does not hold the channel: this returns */
		assert_int_equal(run_script_with(&rig, CUSTOS_SCRIPT_RELOAD, "", 0, &values), 0);
		char pid[4096];
		read_file(at(&rig, "pid"), pid);
		assert_true(atoi(pid) > 1);
		assert_int_equal(kill(atoi(pid), SIGTERM), 0);
		/* says that it saved and did not */
		must_fail(&rig, CUSTOS_SCRIPT_PERSIST, "did not change");
		write_file(at(&rig, "save"), "", 0600);
		must(&rig, CUSTOS_SCRIPT_PERSIST);
		must(&rig, CUSTOS_SCRIPT_DISARM);
		rig_down(&rig);
	}
}

static void dead_man(void **state)
{
	(void)state;
	BOTH_SHELLS {
		struct rig rig;
		/* switched, and no word since: the old pair comes back, the service is reloaded, the state saved, and no copy of a key is left, only the mark */
		rig_up(&rig, shell, "persist: {run: \"echo saved >> %/state\"}\n", false, 2);
		up_to(&rig, CUSTOS_SCRIPT_SWITCH);
		assert_file(at(&rig, "ssl/key"), NEW_KEY, 0400);
		eventually(!exists(&rig, "stage/.custos-" FIXTURE_NONCE));
		assert_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
		assert_file(at(&rig, "ssl/crt"), OLD_CHAIN, 01644);
		assert_true(exists(&rig, "reloads"));
		assert_true(exists(&rig, "state"));
		eventually(!exists(&rig, "stage/.custos.lock"));
		assert_false(exists(&rig, "backup1/.custos-esx1-" FIXTURE_NONCE "/key"));
		assert_true(exists(&rig, "backup1/.custos-esx1-" FIXTURE_NONCE "/went-back"));
		/* whoever comes back too late is told */
		must_fail(&rig, CUSTOS_SCRIPT_DISARM, "put the previous pair back");
		must_fail(&rig, CUSTOS_SCRIPT_SWITCH, "not armed any more");
		must(&rig, CUSTOS_SCRIPT_RESTORE);
		rig_down(&rig);

		/* not switched: only what was staged goes */
		rig_up(&rig, shell, "replace: in-place\n", false, 1);
		up_to(&rig, CUSTOS_SCRIPT_STAGE_CHAIN);
		eventually(!exists(&rig, "stage/.custos-" FIXTURE_NONCE));
		must_fail(&rig, CUSTOS_SCRIPT_STAGE_KEY, "not armed any more");
		assert_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
		assert_false(exists(&rig, "reloads"));
		eventually(!exists(&rig, "backup1/.custos-esx1-" FIXTURE_NONCE));
		rig_down(&rig);
	}
}

/* ---- mounts: in a namespace of this process ---- */

static bool own_mounts(void)
{
	if (unshare(CLONE_NEWNS) != 0)
		return false;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void full_disk(void **state)
{
	(void)state;
	if (!own_mounts())
		skip();
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: in-place\n", false, 60);
		/* 64 KiB with the pair in it and 40 KiB of something: enough for a lock, not for a deployment */
		assert_int_equal(mount("tmpfs", at(&rig, "ssl"), "tmpfs", 0, "size=64k"), 0);
		write_file(at(&rig, "ssl/crt"), OLD_CHAIN, 0644);
		write_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
		char fill[64 * 1024];
		memset(fill, 'x', sizeof fill);
		fill[48 * 1024] = '\0';
		write_file(at(&rig, "ssl/fill"), fill, 0600);
		must(&rig, CUSTOS_SCRIPT_LOCK);
		must_fail(&rig, CUSTOS_SCRIPT_PROBE, "no room in");
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		assert_file(at(&rig, "ssl/key"), OLD_KEY, 0400);
		assert_int_equal(umount(at(&rig, "ssl")), 0);

		/* the staging directory is full to the last byte */
		assert_int_equal(mount("tmpfs", at(&rig, "stage"), "tmpfs", 0, "size=4k"), 0);
		fill[4096] = '\0';
		write_file(at(&rig, "stage/fill"), fill, 0600);
		must_fail(&rig, CUSTOS_SCRIPT_LOCK, "full or read-only");
		assert_false(exists(&rig, "stage/.custos.lock"));
		assert_int_equal(umount(at(&rig, "stage")), 0);
		rig_down(&rig);
	}
}

static void read_only_key(void **state)
{
	(void)state;
	if (!own_mounts())
		skip();
	BOTH_SHELLS {
		struct rig rig;
		rig_up(&rig, shell, "replace: in-place\n", false, 60);
		const char *key = at(&rig, "ssl/key");
		up_to(&rig, CUSTOS_SCRIPT_STAGE_KEY);
		assert_int_equal(mount(key, key, NULL, MS_BIND, NULL), 0);
		assert_int_equal(mount(NULL, key, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
		must_fail(&rig, CUSTOS_SCRIPT_PROBE, "cannot be written");
		must_fail(&rig, CUSTOS_SCRIPT_LOOK, "cannot be written");
		/* had nobody asked: the switch fails half way, and the way back brings the certificate back */
		must_fail(&rig, CUSTOS_SCRIPT_SWITCH, "cannot write");
		assert_file(at(&rig, "ssl/crt"), NEW_CHAIN, 01644);
		must(&rig, CUSTOS_SCRIPT_RESTORE);
		assert_file(at(&rig, "ssl/crt"), OLD_CHAIN, 01644);
		must(&rig, CUSTOS_SCRIPT_CLEAN);
		assert_int_equal(umount(at(&rig, "ssl/key")), 0);
		rig_down(&rig);
	}
}

static void replies(void **state)
{
	(void)state;
	static const struct {
		const char *out;
		bool complete;
		unsigned rc;
	} cases[] = {
		{ "", false, 255 }, { "@@" FIXTURE_NONCE " rc=0\n", true, 0 }, { "@@" FIXTURE_NONCE " rc=0", false, 255 }, { "@@" FIXTURE_NONCE " rc=3\n", true, 3 },
		{ "@@" FIXTURE_NONCE " rc=0\nx\n", false, 255 }, { "x@@" FIXTURE_NONCE " rc=0\n", false, 255 }, { "@@fedcba9876543210 rc=0\n", false, 255 },
		{ "@@" FIXTURE_NONCE " rc=\n", false, 255 }, { "@@" FIXTURE_NONCE " rc=256\n", false, 255 }, { "@@" FIXTURE_NONCE " rc=-1\n", false, 255 },
		{ "@@" FIXTURE_NONCE " rc=00000000000000000000\n", false, 255 }, { "@@" FIXTURE_NONCE " rc=1\n@@" FIXTURE_NONCE " rc=0\n", true, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct custos_reply reply = { 0 };
		struct custos_err err = { 0 };
		assert_int_equal(custos_reply_parse(CUSTOS_BYTES_STR(cases[i].out), FIXTURE_NONCE, &reply, &err), CUSTOS_OK);
		if (reply.complete != cases[i].complete || reply.rc != cases[i].rc)
			fail_msg("reply %zu: complete %d rc %u", i, reply.complete, reply.rc);
		custos_reply_done(&reply);
	}
	/* what a host says is made harmless, and there is a limit to how many facts it may state */
	struct custos_buf many = { 0 };
	for (int i = 0; i < 100; i++)
		assert_int_equal(custos_buf_printf(&many, NULL, "@@" FIXTURE_NONCE " version=a\x1b[31m%d\n", i), CUSTOS_OK);
	assert_int_equal(custos_buf_append_str(&many, "@@" FIXTURE_NONCE " rc=0\n", NULL), CUSTOS_OK);
	struct custos_reply reply = { 0 };
	assert_int_equal(custos_reply_parse(custos_buf_view(&many), FIXTURE_NONCE, &reply, NULL), CUSTOS_OK);
	assert_true(reply.complete);
	assert_string_equal(custos_reply_get(&reply, "version"), "a\\x1b[31m0");
	custos_reply_done(&reply);
	custos_buf_done(&many);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_place), cmocka_unit_test(by_rename), cmocka_unit_test(first_pair), cmocka_unit_test(one_combined_file), cmocka_unit_test(job_rollback),
		cmocka_unit_test(what_arrives_is_checked), cmocka_unit_test(the_servers_own_test), cmocka_unit_test(locks), cmocka_unit_test(hosts_that_cannot),
		cmocka_unit_test(modes_that_did_not_come_back), cmocka_unit_test(a_dry_run_changes_nothing), cmocka_unit_test(ladder_and_persistence), cmocka_unit_test(dead_man), cmocka_unit_test(full_disk),
		cmocka_unit_test(read_only_key), cmocka_unit_test(replies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
