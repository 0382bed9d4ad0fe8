/* custos-courier from SETUP to BYE against a real sshd, with this test as its keeper. What is believed about a host is what is in its files afterwards. */
#include "courier_play.h"

static void assert_served_files(const struct stage *s, const struct pair *p)
{
	CUSTOS_AUTO_BUF crt = { 0 };
	CUSTOS_AUTO_BUF key = { 0 };
	CUSTOS_AUTO_BUF want = { 0 };
	get_file(path_in(s, "ssl/crt"), &crt);
	get_file(path_in(s, "ssl/key"), &key);
	pair_key_pem(p, &want);
	assert_true(custos_bytes_equal(custos_buf_view(&crt), custos_buf_view(&p->pem)));
	assert_true(custos_bytes_equal(custos_buf_view(&key), custos_buf_view(&want)));
	struct stat st;
	assert_int_equal(stat(path_in(s, "ssl/key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
}

static void assert_nothing_left(const struct stage *s, const char *where)
{
	char command[512];
	snprintf(command, sizeof command, "test -z \"$(ls -A %s/%s)\"", s->root, where);
	if (system(command) != 0)
		fail_msg("something is left in %s/%s", s->root, where);
}

static bool log_says(const struct stage *s, const char *what)
{
	CUSTOS_AUTO_BUF log = { 0 };
	get_file(path_in(s, "sshd.log"), &log);
	return memmem(log.ptr, log.len, what, strlen(what)) != NULL;
}

static void deploys(void **state)
{
	(void)state;
	struct stage s;
	stage_up(&s);
	int64_t start_ms = custos_clock_monotonic_ms();
	play(&s);
	if (s.outcome[0] != CUSTOS_OUTCOME_DEPLOYED)
		fail_msg("outcome %u: %s", s.outcome[0], s.why);
	print_message("deployed in %lld ms, key in the clear for %u ms\n", (long long)(custos_clock_monotonic_ms() - start_ms), s.exposure_ms);
	assert_string_equal(s.version, "Test Host 1");
	assert_int_equal(s.status, 0);
	assert_served_files(&s, &s.new);
	assert_nothing_left(&s, "stage");
	assert_true(s.backup[0] == '/');
	assert_int_equal(s.ssh_sockets, 1);

	/* the same once more: nothing to do */
	play(&s);
	assert_int_equal(s.prepared[0], CUSTOS_PREPARED_UNCHANGED);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_UNCHANGED);
	assert_nothing_left(&s, "stage");
	stage_down(&s);
}

static void goes_back_on_request(void **state)
{
	(void)state;
	struct stage s;
	stage_up(&s);
	play(&s);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_DEPLOYED);
	s.job = CUSTOS_JOB_ROLLBACK;
	/* another deployment has another nonce: the backup's directory name is taken otherwise */
	shell("mv %s %s/backup/.custos-host0-before", s.backup, s.root);
	snprintf(s.backup, sizeof s.backup, "%s/backup/.custos-host0-before", s.root);
	play(&s);
	if (s.outcome[0] != CUSTOS_OUTCOME_DEPLOYED)
		fail_msg("outcome %u: %s", s.outcome[0], s.why);
	assert_served_files(&s, &s.old);
	stage_down(&s);
}

static void rolls_back_a_service_that_does_not_reload(void **state)
{
	(void)state;
	struct stage s;
	stage_up(&s);
	s.reload = "echo reloaded, honestly";
	play(&s);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_ROLLED_BACK);
	assert_int_equal(s.outcome_category[0], CUSTOS_E_ROLLED_BACK);
	assert_served_files(&s, &s.old);
	assert_nothing_left(&s, "stage");
	assert_nothing_left(&s, "backup");
	stage_down(&s);
}

static void says_so_when_the_service_stays_dead(void **state)
{
	(void)state;
	struct stage s;
	stage_up(&s);
	s.reload = "rm -f loaded/key";
	play(&s);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_NOT_ROLLED_BACK);
	assert_int_equal(s.outcome_category[0], CUSTOS_E_NOT_ROLLED_BACK);
	assert_non_null(strstr(s.hint, s.backup));
	assert_served_files(&s, &s.old); /* the files are back all the same */
	shell("rm -f %s/stage/.custos-*/armed", s.root);
	stage_down(&s);
}

static void a_wrong_host_key_gets_nothing(void **state)
{
	(void)state;
	struct stage s;
	stage_up(&s);
	s.pins = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	play(&s);
	assert_int_equal(s.prepared[0], CUSTOS_PREPARED_FAILED);
	assert_int_equal(s.prepared_category[0], CUSTOS_E_POLICY);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_UNTOUCHED);
	assert_non_null(strstr(s.why, s.pins));
	assert_non_null(strstr(s.why, s.pin));
	assert_non_null(strstr(s.hint, "console"));
	assert_false(log_says(&s, "userauth-request"));
	assert_false(log_says(&s, "Accepted"));
	stage_down(&s);
}

static void passwords(void **state)
{
	(void)state;
	if (getuid() != 0)
		skip();
	struct stage s;
	stage_up(&s);
	s.password = "correct horse";
	play(&s);
	if (s.outcome[0] != CUSTOS_OUTCOME_DEPLOYED)
		fail_msg("outcome %u: %s", s.outcome[0], s.why);
	assert_true(log_says(&s, "Accepted keyboard-interactive"));
	stage_down(&s);

	stage_up(&s);
	s.password = "battery staple";
	play(&s);
	assert_int_equal(s.prepared[0], CUSTOS_PREPARED_FAILED);
	assert_int_equal(s.prepared_category[0], CUSTOS_E_AUTH);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_UNTOUCHED);
	CUSTOS_AUTO_BUF attempts = { 0 };
	get_file(path_in(&s, "attempts"), &attempts);
	assert_string_equal((char *)attempts.ptr, "attempt\n"); /* one, and no second */
	assert_served_files(&s, &s.old);
	stage_down(&s);
}

static void login_keys(void **state)
{
	(void)state;
	struct stage s;
	stage_up(&s);
	s.by_signer = true;
	play(&s);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_DEPLOYED);
	assert_int_equal(s.signatures, 1);
	assert_true(log_says(&s, "Accepted publickey"));
	stage_down(&s);

	stage_up(&s);
	shell("cd %s && rm login login.pub && ssh-keygen -q -t rsa -b 2048 -N '' -f login && cp login.pub authorized_keys", s.root);
	play(&s);
	assert_int_equal(s.prepared[0], CUSTOS_PREPARED_FAILED);
	assert_int_equal(s.prepared_category[0], CUSTOS_E_AUTH);
	assert_non_null(strstr(s.hint, "ecdsa"));
	stage_down(&s);

	stage_up(&s);
	shell("cd %s && ssh-keygen -q -p -N 'a pass phrase' -f login > /dev/null", s.root);
	play(&s);
	assert_int_equal(s.prepared_category[0], CUSTOS_E_AUTH);
	assert_non_null(strstr(s.why, "pass phrase"));
	stage_down(&s);

	stage_up(&s);
	shell("cd %s && : > authorized_keys", s.root);
	play(&s);
	assert_int_equal(s.prepared_category[0], CUSTOS_E_AUTH);
	stage_down(&s);
}

static void a_key_of_another_certificate_is_not_delivered(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stage s;
		stage_up(&s);
		s.wrong_key = i == 0;
		s.garble_parcel = i == 1;
		play(&s);
		assert_int_equal(s.prepared[0], CUSTOS_PREPARED_READY);
		assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_UNTOUCHED);
		assert_int_not_equal(s.outcome_category[0], CUSTOS_OK);
		assert_served_files(&s, &s.old);
		assert_nothing_left(&s, "stage");
		assert_nothing_left(&s, "backup");
		stage_down(&s);
	}
}

/* Goal: every transport brings the key; a parcel that is bound to another intent, to none although it should be, or sealed the plain way brings nothing, and the
 * host stays as it was. */
static void assert_nothing_brought(struct stage *s)
{
	play(s);
	assert_int_equal(s->outcome[0], CUSTOS_OUTCOME_UNTOUCHED);
	assert_int_equal(s->outcome_category[0], CUSTOS_E_TAMPERED);
	assert_served_files(s, &s->old);
	s->no_intent = s->other_intent = s->downgraded = false;
}

static void transports(void **state)
{
	(void)state;
	static const enum custos_transport all[] = { CUSTOS_TRANSPORT_ECDH_P256_KDF, CUSTOS_TRANSPORT_RSA_OAEP, CUSTOS_TRANSPORT_RSA_OAEP_SHA1 };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct stage s;
		stage_up(&s);
		s.transport = all[i];
		s.no_intent = true;
		assert_nothing_brought(&s);
		s.other_intent = all[i] != CUSTOS_TRANSPORT_RSA_OAEP_SHA1; /* which has nothing to bind with but its key */
		if (s.other_intent)
			assert_nothing_brought(&s);
		s.downgraded = !custos_transport_needs_key(all[i]); /* where it does, an INTENT without a key says nothing */
		if (s.downgraded)
			assert_nothing_brought(&s);
		play(&s);
		if (s.outcome[0] != CUSTOS_OUTCOME_DEPLOYED)
			fail_msg("%s: outcome %u: %s", custos_transport_name(all[i]), s.outcome[0], s.why);
		print_message("%s: key in the clear for %u ms\n", custos_transport_name(all[i]), s.exposure_ms);
		assert_served_files(&s, &s.new);
		assert_int_equal(s.status, 0);
		stage_down(&s);
	}
}

/* Goal: the largest and the least usual keys fit where they have to be locked, and arrive. */
static void large_and_unusual_keys(void **state)
{
	(void)state;
	EVP_PKEY *const keys[] = { EVP_RSA_gen(8192), EVP_EC_gen("P-521"), EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		struct stage s;
		stage_up(&s);
		pair_done(&s.new);
		s.new = (struct pair){ 0 };
		make_pair_of(&s.new, "new.example.com", keys[i]);
		/* a transport with a key of its own besides is the most that is ever needed at once */
		s.transport = CUSTOS_TRANSPORT_RSA_OAEP;
		play(&s);
		if (s.outcome[0] != CUSTOS_OUTCOME_DEPLOYED)
			fail_msg("key %zu: outcome %u: %s", i, s.outcome[0], s.why);
		assert_served_files(&s, &s.new);
		assert_int_equal(s.status, 0);
		stage_down(&s);
	}
}

static void abort_and_dry_run(void **state)
{
	(void)state;
	struct stage s;
	stage_up(&s);
	s.abort_instead = true;
	play(&s);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_UNTOUCHED);
	assert_nothing_left(&s, "stage");
	assert_nothing_left(&s, "backup");
	s.job = CUSTOS_JOB_DRY_RUN;
	play(&s);
	assert_int_equal(s.prepared[0], CUSTOS_PREPARED_READY);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_UNTOUCHED);
	assert_served_files(&s, &s.old);
	stage_down(&s);
}

/* The reload takes the connection down with it, once. */
static void a_cut_connection(void **state)
{
	(void)state;
	static const char cut[] = "if mkdir cut; then p=$PPID; while test \\\"$(cat /proc/$p/comm)\\\" != sshd; do p=$(cut -d\\\" \\\" -f4 /proc/$p/stat); done; kill -9 $p; fi; cp -f ssl/crt ssl/key loaded/";
	struct stage s;
	stage_up(&s);
	s.reload = cut;
	play(&s);
	if (s.outcome[0] != CUSTOS_OUTCOME_ROLLED_BACK)
		fail_msg("outcome %u: %s", s.outcome[0], s.why);
	assert_int_equal(s.ssh_sockets, 2);
	assert_served_files(&s, &s.old);
	assert_nothing_left(&s, "stage");
	stage_down(&s);

	stage_up(&s);
	s.reload = cut;
	s.refuse_reconnect = true;
	play(&s);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_NOT_ROLLED_BACK);
	assert_non_null(strstr(s.why, "connection refused"));
	assert_non_null(strstr(s.why, "dead man's switch"));
	assert_non_null(strstr(s.hint, "ssl/key"));
	assert_served_files(&s, &s.new); /* until the dead man's switch fires */
	shell("rm -f %s/stage/.custos-*/armed", s.root);
	stage_down(&s);
}

static void a_keeper_that_vanishes(void **state)
{
	(void)state;
	struct stage s;
	stage_up(&s);
	s.vanish_after_key = true;
	play(&s);
	assert_true(WIFEXITED(s.status)); /* it was not killed: it went back by itself and ended */
	assert_served_files(&s, &s.old);
	CUSTOS_AUTO_BUF loaded = { 0 };
	get_file(path_in(&s, "loaded/crt"), &loaded);
	assert_true(custos_bytes_equal(custos_buf_view(&loaded), custos_buf_view(&s.old.pem)));
	shell("rm -f %s/stage/.custos-*/armed", s.root);
	stage_down(&s);
}

/* Two targets on one host: the second finds the lock. The first is deployed all the same. */
static void two_hosts(void **state)
{
	(void)state;
	struct stage s;
	stage_up(&s);
	s.hosts = 2;
	play(&s);
	assert_int_equal(s.outcome[0], CUSTOS_OUTCOME_DEPLOYED);
	assert_int_equal(s.prepared[1], CUSTOS_PREPARED_FAILED);
	assert_int_equal(s.prepared_category[1], CUSTOS_E_POLICY);
	assert_int_equal(s.outcome[1], CUSTOS_OUTCOME_UNTOUCHED);
	assert_served_files(&s, &s.new);
	stage_down(&s);
}

static int start(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	signal(SIGPIPE, SIG_IGN);
	return custos_secret_start(&err) == CUSTOS_OK ? 0 : -1;
}

int main(void)
{
	if (access("/usr/sbin/sshd", X_OK) != 0)
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deploys), cmocka_unit_test(goes_back_on_request), cmocka_unit_test(rolls_back_a_service_that_does_not_reload),
		cmocka_unit_test(says_so_when_the_service_stays_dead), cmocka_unit_test(a_wrong_host_key_gets_nothing), cmocka_unit_test(passwords), cmocka_unit_test(login_keys),
		cmocka_unit_test(a_key_of_another_certificate_is_not_delivered), cmocka_unit_test(abort_and_dry_run), cmocka_unit_test(a_cut_connection),
		cmocka_unit_test(a_keeper_that_vanishes), cmocka_unit_test(two_hosts), cmocka_unit_test(transports), cmocka_unit_test(large_and_unusual_keys),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
