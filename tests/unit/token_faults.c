/* Wrong PINs, wrong tokens, broken drivers, killed processes. The misbehaving module is token_shim.c. */
#include "token_lab.h"
#include "token/token_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

static struct lab lab;

static void play(const char *part)
{
	lab_play(&lab, part);
}

static off_t reports(void)
{
	struct stat st = { 0 };
	assert_int_equal(stat(lab.report, &st), 0);
	return st.st_size;
}

static custos_rc open_with(const char *module, const char *uri, const char *serial, struct custos_token **ret_token)
{
	struct custos_token_where where = { .module = module, .uri = uri, .serial = serial, .profile = "softhsm" };
	return custos_token_open(&where, ret_token, &lab.err);
}

static void open_shim(struct custos_token **ret_token)
{
	if (geteuid() != 0)
		skip(); /* a module must belong to root */
	LAB_OK(&lab, open_with(lab.shim, lab.uri, lab.serial, ret_token));
}

static custos_rc login_with(struct custos_token *token, struct custos_secret *pin)
{
	custos_rc rc = custos_token_login(token, pin, &lab.err);
	custos_secret_free(pin);
	return rc;
}

/* Goal: a wrong PIN is one attempt, exit category 4, the flags afterwards are told and fresh; the right PIN then works and clears them. */
static void wrong_pin_is_one_attempt(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	play("nothing");
	open_shim(&token);
	assert_false(custos_token_info(token)->pin_count_low);
	LAB_FAILS(&lab, login_with(token, lab_pin("0000wrong0000")), CUSTOS_E_AUTH, "flags now: user PIN count low");
	assert_null(custos_token_trouble(token)); /* a no is an answer */
	assert_int_equal(reports(), 1);
	assert_true(custos_token_info(token)->pin_count_low);
	assert_int_equal(lab.err.native, 0xa0); /* CKR_PIN_INCORRECT */
	/* too short to be one: not even tried */
	LAB_FAILS(&lab, login_with(token, lab_pin("123")), CUSTOS_E_AUTH, "4 to 255");
	assert_int_equal(reports(), 1);
	LAB_OK(&lab, login_with(token, lab_own_pin(&lab)));
	assert_int_equal(reports(), 2);
	assert_false(custos_token_info(token)->pin_count_low);
	custos_token_free(token);
}

/* Goal: with the last attempt at stake, or with a locked PIN, none is made, not even with the right PIN. */
static void last_attempt_is_never_taken(void **state)
{
	(void)state;
	static const char *const parts[] = { "final-try", "locked" };
	for (size_t i = 0; i < 2; i++) {
		struct custos_token *token = NULL;
		play(parts[i]);
		open_shim(&token);
		LAB_FAILS(&lab, login_with(token, lab_own_pin(&lab)), CUSTOS_E_AUTH, "no attempt was made");
		assert_int_equal(reports(), 0);
		custos_token_free(token);
	}
}

/* Goal: nothing but the login is possible before the login. */
static void nothing_before_login(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	struct custos_token_key key;
	LAB_OK(&lab, open_with(LAB_MODULE, lab.uri, lab.serial, &token));
	LAB_FAILS(&lab, custos_token_key_generate(token, CUSTOS_KEY_EC_P256, &key, &lab.err), CUSTOS_E_INTERNAL, "may not be sent");
	LAB_FAILS(&lab, custos_token_login(token, NULL, &lab.err), CUSTOS_E_USAGE, "no PIN pad");
	custos_token_free(token);
}

/* Goal: a URI selects one token by what it says, and is refused when it says anything it should not. */
static void selection_is_strict(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	static const struct {
		const char *uri, *text;
	} bad[] = {
		{ "pkcs11:token=custos-faults?pin-value=1234", "holds a PIN" },
		{ "pkcs11:token=custos-faults?pin-source=file:/tmp/pin", "holds a PIN" },
		{ "pkcs11:token=custos-faults?module-path=/tmp/evil.so", "names a module" },
		{ "pkcs11:token=custos-faults?module-name=evil", "names a module" },
		{ "pkcs11:token=custos-faults;colour=blue", "not known" },
		{ "pkcs11:token=other;token=custos-faults", "twice" },
		{ "pkcs11:token=custos-faults;object=custos-kek", "names an object" },
		{ "pkcs11:token=custos-faults;library-manufacturer=SoftHSM", "describes a library" },
		{ "pkcs11:slot-id=0", "names a slot" },
		{ "pkcs11:", "nothing in particular" },
		{ "pkcs11:token=%zz", "cannot be understood" },
		{ "custos-faults", "cannot be understood" },
		{ "", "no token URI" },
		{ "pkcs11:token=custos-faults;serial=0123456789abcdef", "another serial number" },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		LAB_FAILS(&lab, open_with(LAB_MODULE, bad[i].uri, lab.serial, &token), CUSTOS_E_INPUT, bad[i].text);
		assert_null(strstr(lab.err.msg, "1234"));
		assert_null(strstr(lab.err.hint, "1234"));
	}
	LAB_FAILS(&lab, open_with(LAB_MODULE, "pkcs11:token=nobody", NULL, &token), CUSTOS_E_TOKEN, "there is “custos-faults” serial");
	LAB_FAILS(&lab, open_with(LAB_MODULE, lab.uri, "0123456789abcdef", &token), CUSTOS_E_TOKEN, lab.serial);
	/* without a serial it is discovered */
	LAB_OK(&lab, open_with(LAB_MODULE, lab.uri, NULL, &token));
	assert_string_equal(custos_token_info(token)->serial, lab.serial);
	assert_string_equal(custos_token_info(token)->profile, "softhsm");
	assert_string_equal(custos_token_info(token)->tier, "hardened");
	char uri[256];
	snprintf(uri, sizeof uri, "%s", custos_token_info(token)->uri);
	custos_token_free(token);
	/* and the URI it tells selects it again */
	LAB_OK(&lab, open_with(LAB_MODULE, uri, NULL, &token));
	custos_token_free(token);
}

/* Goal: two tokens of one label are an error that shows how to tell them apart, and the serial does. */
static void two_tokens_of_one_label(void **state)
{
	(void)state;
	char line[256], second[17];
	struct custos_token *token = NULL;
	struct custos_json *list = NULL;
	snprintf(line, sizeof line, "softhsm_init_token custos-faults %s/so-pin %s/pin", lab.dir, lab.dir);
	lab_bash(&lab, line, second, sizeof second);
	LAB_FAILS(&lab, open_with(LAB_MODULE, lab.uri, NULL, &token), CUSTOS_E_TOKEN, "two tokens match");
	assert_non_null(strstr(lab.err.msg, lab.serial));
	assert_non_null(strstr(lab.err.msg, second));
	assert_non_null(strstr(lab.err.hint, "serial="));
	LAB_OK(&lab, open_with(LAB_MODULE, lab.uri, second, &token));
	assert_string_equal(custos_token_info(token)->serial, second);
	custos_token_free(token);
	LAB_OK(&lab, custos_token_list(&(struct custos_token_where){ .module = LAB_MODULE }, &list, &lab.err));
	size_t initialized = 0;
	for (size_t i = 0; i < custos_json_count(list); i++)
		initialized += custos_json_bool(custos_json_at(list, i), "initialized", false) ? 1 : 0;
	assert_int_equal(initialized, 2);
	custos_json_free(list);
	snprintf(line, sizeof line, "rm -r \"$(softhsm_token_dir %s)\"", second);
	lab_bash(&lab, line, second, sizeof second);
}

/* Goal: `token init` makes a token whose PIN works, and refuses to touch one that exists. */
static void token_init_makes_and_never_destroys(void **state)
{
	(void)state;
	struct custos_json *made = NULL;
	struct custos_token *token = NULL;
	struct custos_secret *so_pin = lab_pin("so-pin-of-a-test"), *pin = lab_pin("user-pin-of-a-test");
	struct custos_token_where where = { .module = LAB_MODULE };
	LAB_OK(&lab, custos_token_init(&where, "custos-new", so_pin, pin, &made, &lab.err));
	assert_string_equal(custos_json_text(made, "label"), "custos-new");
	assert_true(custos_json_bool(made, "initialized", false));
	LAB_OK(&lab, open_with(LAB_MODULE, custos_json_text(made, "uri"), NULL, &token));
	LAB_OK(&lab, custos_token_login(token, pin, &lab.err));
	custos_token_free(token);
	where.uri = "pkcs11:token=custos-new";
	struct custos_json *again = NULL;
	LAB_FAILS(&lab, custos_token_init(&where, "custos-new-2", so_pin, pin, &again, &lab.err), CUSTOS_E_POLICY, "initialised already");
	where.uri = NULL;
	LAB_FAILS(&lab, custos_token_init(&where, "a-label-of-more-than-thirty-two-bytes", so_pin, pin, &again, &lab.err), CUSTOS_E_USAGE, "1 to 32");
	custos_json_free(made);
	custos_secret_free(so_pin);
	custos_secret_free(pin);
}

/* Goal: only the system's modules and root's files are loaded. */
static void unsafe_modules_are_refused(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	char path[128], line[1024], none[8];
	snprintf(line, sizeof line, "mkdir -p %s/open; chmod 0777 %s/open; cp %s %s/open/m.so; cp %s %s/writable.so; chmod 0666 %s/writable.so", lab.dir, lab.dir, lab.shim,
	         lab.dir, lab.shim, lab.dir, lab.dir);
	lab_bash(&lab, line, none, sizeof none);
	snprintf(path, sizeof path, "%s/open/m.so", lab.dir);
	LAB_FAILS(&lab, open_with(path, lab.uri, lab.serial, &token), CUSTOS_E_TOKEN, "not safe to load");
	snprintf(path, sizeof path, "%s/writable.so", lab.dir);
	LAB_FAILS(&lab, open_with(path, lab.uri, lab.serial, &token), CUSTOS_E_TOKEN, "not safe to load");
	if (geteuid() == 0) {
		assert_int_equal(chmod(path, 0644), 0);
		assert_int_equal(chown(path, 65534, 65534), 0);
		LAB_FAILS(&lab, open_with(path, lab.uri, lab.serial, &token), CUSTOS_E_TOKEN, "does not belong to root");
	}
	LAB_FAILS(&lab, open_with("../libsofthsm2.so", lab.uri, lab.serial, &token), CUSTOS_E_INPUT, "neither a bare name");
	LAB_FAILS(&lab, open_with("no-such-module", lab.uri, lab.serial, &token), CUSTOS_E_TOKEN, "no PKCS#11 module");
	LAB_FAILS(&lab, open_with("/etc/hostname", lab.uri, lab.serial, &token), CUSTOS_E_TOKEN, "/etc/hostname");
}

/* Goal: a token that is not what its profile says is not opened. */
static void stranger_is_not_opened(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	if (geteuid() != 0)
		skip();
	play("stranger");
	LAB_FAILS(&lab, open_with(lab.shim, lab.uri, lab.serial, &token), CUSTOS_E_TOKEN, "no profile fits");
}

static custos_rc sign_something(struct custos_token *token)
{
	struct custos_token_key_ref ref = lab_ref(&lab.canary);
	CUSTOS_AUTO_BUF signature = { 0 };
	return custos_token_sign(token, &ref, CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("x"), &signature, &lab.err);
}

/* Through the shim, which behaves while the KEK is opened and misbehaves from then on only if its part is about something else than signing. */
static void open_and_login(struct custos_token **ret_token)
{
	open_shim(ret_token);
	LAB_OK(&lab, login_with(*ret_token, lab_own_pin(&lab)));
}

static custos_rc open_kek(struct custos_token *token)
{
	return custos_token_kek_open(token, LAB_KEK(lab.kek_id, lab.canary.container, lab.canary.spki), &lab.err);
}

/* Goal: a driver that crashes is an error with its signal; the keeper goes on, and so does the next custos-token. */
static void crash_is_an_error(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	play("crashes");
	open_and_login(&token);
	assert_null(custos_token_trouble(token));
	LAB_FAILS(&lab, open_kek(token), CUSTOS_E_TOKEN, "ended by signal 11 while unwrapping the KEK's canary");
	assert_string_equal(custos_token_trouble(token), "ended unexpectedly");
	LAB_FAILS(&lab, sign_something(token), CUSTOS_E_TOKEN, "has ended before");
	assert_string_equal(custos_token_trouble(token), "ended unexpectedly");
	custos_token_free(token);
	play("nothing");
	open_and_login(&token);
	LAB_OK(&lab, open_kek(token));
	custos_token_free(token);
}

/* Goal: a driver that hangs is killed after its time. */
static void hang_is_an_error(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	play("hangs");
	open_and_login(&token);
	token->times.call_ms = 300;
	pid_t pid = custos_token_pid(token);
	LAB_FAILS(&lab, open_kek(token), CUSTOS_E_TOKEN, "did not answer within 0.3 s while");
	assert_string_equal(custos_token_trouble(token), "did not answer in time");
	assert_int_equal(kill(pid, 0), -1);
	custos_token_free(token);
}

/* Goal: kill -9 in the middle of an operation is a clean error, the lock is free again and the token is whole. */
static void kill_is_an_error(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	play("hangs");
	open_and_login(&token);
	unlink(lab.report);
	assert_int_equal(mkfifo(lab.report, 0600), 0);
	pid_t victim = custos_token_pid(token), killer = fork();
	assert_true(killer >= 0);
	if (killer == 0) {
		char byte;
		int fd = open(lab.report, O_RDONLY);
		_exit(fd >= 0 && read(fd, &byte, 1) == 1 && kill(victim, SIGKILL) == 0 ? 0 : 1);
	}
	LAB_FAILS(&lab, open_kek(token), CUSTOS_E_TOKEN, "ended by signal 9 while");
	int status = 0;
	assert_int_equal(waitpid(killer, &status, 0), killer);
	assert_int_equal(status, 0);
	custos_token_free(token);
	lab_reopen(&lab);
	LAB_OK(&lab, sign_something(lab.token));
	lab_close(&lab);
}

/* Goal: a token whose signatures do not verify, whose containers do not open or whose attributes are not what was asked for makes no keys. */
static void liars_make_no_keys(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	struct custos_token_key key = { 0 };
	play("bad-signature");
	open_and_login(&token);
	LAB_FAILS(&lab, open_kek(token), CUSTOS_E_TOKEN, "canary");
	/* nor does a pair stay on the token whose signature does not verify */
	char count[64], earlier[16], later[16];
	snprintf(count, sizeof count, "softhsm_count_objects %s", lab.serial);
	lab_bash(&lab, count, earlier, sizeof earlier);
	LAB_FAILS(&lab, custos_token_key_generate_sign_only(token, CUSTOS_KEY_EC_P256, lab.kek_id, "liar", &key, &lab.err), CUSTOS_E_POLICY, "that id already");
	uint8_t new_id[16];
	LAB_OK(&lab, custos_random(new_id, sizeof new_id, &lab.err));
	LAB_FAILS(&lab, custos_token_key_generate_sign_only(token, CUSTOS_KEY_EC_P256, new_id, "liar", &key, &lab.err), CUSTOS_E_TOKEN, "the new key");
	LAB_FAILS(&lab, custos_token_log_key_create(token, new_id, "liar", &key, &lab.err), CUSTOS_E_TOKEN, "the new key");
	lab_bash(&lab, count, later, sizeof later);
	assert_string_equal(earlier, later);
	custos_token_free(token);
	play("bad-container");
	open_and_login(&token);
	LAB_OK(&lab, open_kek(token));
	LAB_FAILS(&lab, custos_token_key_generate(token, CUSTOS_KEY_EC_P256, &key, &lab.err), CUSTOS_E_TOKEN, "cannot unwrap");
	custos_token_free(token);
	/* SENSITIVE, EXTRACTABLE, DECRYPT, WRAP, NEVER_EXTRACTABLE, LOCAL, MODIFIABLE, COPYABLE */
	static const char *const attributes[] = { "103", "162", "105", "106", "164", "163", "170", "171" };
	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
		char line[64], before[16], after[16];
		struct custos_json *read = NULL;
		uint8_t id[16];
		play("lies");
		setenv("CUSTOS_SHIM_ATTRIBUTE", attributes[i], 1);
		snprintf(line, sizeof line, "softhsm_count_objects %s", lab.serial);
		lab_bash(&lab, line, before, sizeof before);
		open_and_login(&token);
		LAB_OK(&lab, custos_random(id, sizeof id, &lab.err));
		LAB_FAILS(&lab, custos_token_kek_create(token, id, "liar", CUSTOS_KEK_BORN_LOCAL, &read, &lab.err), CUSTOS_E_TOKEN, "the KEK:");
		custos_token_free(token);
		/* and what was made is gone again */
		lab_bash(&lab, line, after, sizeof after);
		assert_string_equal(before, after);
	}
}

/* Goal: a module that fails while it starts is tried again. */
static void passing_weakness_is_overcome(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	play("init-fails-twice");
	open_and_login(&token);
	custos_token_free(token);
}

/* Goal: the token's lock is held when the module is initialised, names its holder, and makes others wait. */
static void lock_comes_first(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	char path[96], expected[64];
	int fd = -1;
	snprintf(path, sizeof path, CUSTOS_TOKEN_LOCK_DIR "/%s", lab.serial);
	setenv("CUSTOS_SHIM_LOCK", path, 1);
	play("needs-lock");
	open_shim(&token);
	assert_int_equal(reports(), 1);
	snprintf(expected, sizeof expected, "in use by process %ld", (long)custos_token_pid(token));
	LAB_FAILS(&lab, custos_token_lock(CUSTOS_TOKEN_LOCK_DIR, lab.serial, 0, &fd, &lab.err), CUSTOS_E_TOKEN, expected);
	custos_token_free(token);
	LAB_OK(&lab, custos_token_lock(CUSTOS_TOKEN_LOCK_DIR, lab.serial, 0, &fd, &lab.err));
	close(fd);
}

/* Goal: keepers in parallel take turns: each makes a key on the token and signs, none fails. */
static void parallel_keepers_take_turns(void **state)
{
	(void)state;
	pid_t children[4];
	for (size_t i = 0; i < 4; i++) {
		children[i] = fork();
		assert_true(children[i] >= 0);
		if (children[i] != 0)
			continue;
		/* locked memory is not inherited: a child is a new process and starts as one */
		execl("/proc/self/exe", "turn", lab.dir, lab.serial, (char *)NULL);
		_exit(127);
	}
	for (size_t i = 0; i < 4; i++) {
		int status = 0;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
}

/* One keeper of the test above. */
static int take_turn(const char *dir, const char *serial)
{
	struct lab own = { .count = 0 };
	uint8_t id[16];
	char label[48];
	struct custos_token_key key = { 0 };
	struct custos_token *token = NULL;
	if (custos_secret_start(&own.err) != CUSTOS_OK || custos_random(id, sizeof id, &own.err) != CUSTOS_OK)
		return 1;
	snprintf(own.dir, sizeof own.dir, "%s", dir);
	snprintf(label, sizeof label, "turn-%ld", (long)getpid());
	struct custos_token_where where = { .module = LAB_MODULE, .uri = "pkcs11:token=custos-faults", .serial = serial };
	struct custos_secret *pin = lab_own_pin(&own);
	for (int round = 0; round < 3; round++) {
		if (custos_token_open(&where, &token, &own.err) != CUSTOS_OK || custos_token_login(token, pin, &own.err) != CUSTOS_OK ||
		    (round == 0 && custos_token_key_generate_sign_only(token, CUSTOS_KEY_EC_P256, id, label, &key, &own.err) != CUSTOS_OK)) {
			fprintf(stderr, "turn: %s\n", own.err.msg);
			return 1;
		}
		struct custos_token_key_ref ref = { .type = key.type, .spki = custos_buf_view(&key.spki), .id = id };
		CUSTOS_AUTO_BUF signature = { 0 };
		if (custos_token_sign(token, &ref, CUSTOS_SIGNATURE_ECDSA_SHA256, CUSTOS_BYTES_STR("x"), &signature, &own.err) != CUSTOS_OK) {
			fprintf(stderr, "turn: %s\n", own.err.msg);
			return 1;
		}
		custos_token_free(token);
	}
	custos_secret_free(pin);
	custos_token_key_done(&key);
	return 0;
}

/* Goal: SoftHSM's token file found empty, or torn by the very login, is put back; the KEK still opens; the keeper is told. */
static void torn_token_is_repaired(void **state)
{
	(void)state;
	struct custos_token *token = NULL;
	char line[128], dir[128], path[160];
	snprintf(line, sizeof line, "softhsm_token_dir %s", lab.serial);
	lab_bash(&lab, line, dir, sizeof dir);
	snprintf(path, sizeof path, "%s/token.object", dir);
	LAB_OK(&lab, open_with(LAB_MODULE, lab.uri, lab.serial, &token));
	assert_false(custos_token_info(token)->repaired);
	custos_token_free(token);
	const char *const serials[] = { lab.serial, NULL };
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(truncate(path, i == 0 ? 0 : 100), 0);
		LAB_OK(&lab, open_with(LAB_MODULE, lab.uri, serials[i], &token));
		assert_true(custos_token_info(token)->repaired);
		LAB_OK(&lab, login_with(token, lab_own_pin(&lab)));
		LAB_OK(&lab, open_kek(token));
		custos_token_free(token);
	}
	setenv("CUSTOS_SHIM_FILE", path, 1);
	play("tears-file");
	open_shim(&token);
	assert_false(custos_token_info(token)->repaired);
	LAB_OK(&lab, login_with(token, lab_own_pin(&lab)));
	assert_true(custos_token_info(token)->repaired);
	custos_token_free(token);
	play("nothing");
	LAB_OK(&lab, open_with(LAB_MODULE, lab.uri, lab.serial, &token));
	LAB_OK(&lab, login_with(token, lab_own_pin(&lab)));
	LAB_OK(&lab, open_kek(token));
	custos_token_free(token);
}

static int start(void **state)
{
	(void)state;
	if (lab_start(&lab, "custos-faults") != 0)
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

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[0], "turn") == 0)
		return take_turn(argv[1], argv[2]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_pin_is_one_attempt),
		cmocka_unit_test(last_attempt_is_never_taken),
		cmocka_unit_test(nothing_before_login),
		cmocka_unit_test(selection_is_strict),
		cmocka_unit_test(two_tokens_of_one_label),
		cmocka_unit_test(token_init_makes_and_never_destroys),
		cmocka_unit_test(unsafe_modules_are_refused),
		cmocka_unit_test(stranger_is_not_opened),
		cmocka_unit_test(crash_is_an_error),
		cmocka_unit_test(hang_is_an_error),
		cmocka_unit_test(kill_is_an_error),
		cmocka_unit_test(liars_make_no_keys),
		cmocka_unit_test(passing_weakness_is_overcome),
		cmocka_unit_test(lock_comes_first),
		cmocka_unit_test(parallel_keepers_take_turns),
		cmocka_unit_test(torn_token_is_repaired),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
