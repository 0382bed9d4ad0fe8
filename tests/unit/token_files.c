/* What the token layer reads and writes on disk: profiles, SoftHSM's token file and its safety copy, the per-token lock. */
#include "token_lab.h"
#include "token/profile.h"
#include "token/softhsm_files.h"
#include "token/token_lock.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct lab lab;

/* Goal: the shipped profile is what the design assumes about SoftHSM. */
static void shipped_profile_is_read(void **state)
{
	(void)state;
	struct custos_token_profile p = { 0 }, q = { 0 };
	bool found = false;
	LAB_OK(&lab, custos_token_profile_named("softhsm", &p, &lab.err));
	assert_int_equal(p.tier, CUSTOS_TIER_HARDENED);
	assert_int_equal(p.wrap_mechanism, 0x210a);
	assert_int_equal(p.padding, 7);
	assert_int_equal(p.file_copy, CUSTOS_FILE_COPY_SOFTHSM);
	assert_false(custos_key_types_include(&p.deployable, CUSTOS_KEY_ED25519));
	assert_int_equal(p.log.of[0], CUSTOS_KEY_ED25519);
	LAB_OK(&lab, custos_token_profile_for_module("/usr/lib/softhsm/libsofthsm2.so", &q, &found, &lab.err));
	assert_true(found);
	LAB_OK(&lab, custos_token_profile_for_module("/usr/lib/other.so", &q, &found, &lab.err));
	assert_false(found);
	struct custos_token_info token = { .manufacturer = "SoftHSM project", .model = "SoftHSM v2", .firmware = "2.6" };
	assert_true(custos_token_profile_fits(&p, &token));
	token.model[9] = '3';
	assert_false(custos_token_profile_fits(&p, &token));
	LAB_FAILS(&lab, custos_token_profile_named("nosuch", &p, &lab.err), CUSTOS_E_INPUT, "nosuch");
}

#define HEAD "name: x\nmatch: {manufacturer: M, model: N}\n"
#define KEYS "keys: {deployable: [ec-p256], sign_only: [ed25519], log: [ed25519]}\npin: {min: 4, max: 8}\n"
#define WRAP "wrap: {mechanism: 0x210a, format: rfc5649, padding: 7}\n"

/* Goal: every profile that is compiled in is readable and is found by the words of its token, and by those of no other. */
static void shipped_profiles_know_their_tokens(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct custos_token_info token;
		enum custos_tier tier;
	} known[] = {
		{ "softhsm", { .manufacturer = "SoftHSM project", .model = "SoftHSM v2", .firmware = "2.6" }, CUSTOS_TIER_HARDENED },
		{ "nss", { .manufacturer = "Mozilla Foundation", .model = "NSS 3", .firmware = "0.0" }, CUSTOS_TIER_BASIC },
		{ "opencryptoki", { .manufacturer = "IBM Corp.", .model = "IBM SoftTok", .firmware = "1.0" }, CUSTOS_TIER_SIGN_ONLY },
		{ "tpm2", { .manufacturer = "IBM", .model = "SW   TPM", .firmware = "25.35" }, CUSTOS_TIER_SIGN_ONLY },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		struct custos_token_profile p = { 0 };
		bool found = false;
		LAB_OK(&lab, custos_token_profile_for_token(&known[i].token, &p, &found, &lab.err));
		assert_true(found);
		assert_string_equal(p.name, known[i].name);
		assert_int_equal(p.tier, known[i].tier);
		for (size_t k = 0; k < sizeof known / sizeof *known; k++)
			assert_int_equal(custos_token_profile_fits(&p, &known[k].token), i == k);
	}
	struct custos_token_info stranger = { .manufacturer = "SoftHSM project", .model = "NSS 3" };
	struct custos_token_profile p;
	bool found = true;
	LAB_OK(&lab, custos_token_profile_for_token(&stranger, &p, &found, &lab.err));
	assert_false(found);
}

/* Goal: a version is matched part by part. */
static void versions_are_matched_by_part(void **state)
{
	(void)state;
	static const char text[] = "name: x\nmatch: {manufacturer: M, model: N, firmware: '2.6'}\ntier: sign-only\nkeys: {log: [ec-p256]}\npin: {min: 4}\n";
	struct custos_token_profile p;
	struct custos_token_info token = { .manufacturer = "M", .model = "N", .firmware = "2.6" };
	LAB_OK(&lab, custos_token_profile_parse(CUSTOS_BYTES_STR(text), "x.yaml", &p, &lab.err));
	assert_true(custos_token_profile_fits(&p, &token));
	static const char *const others[] = { "2.60", "2", "12.6", "" };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		snprintf(token.firmware, sizeof token.firmware, "%s", others[i]);
		assert_false(custos_token_profile_fits(&p, &token));
	}
	snprintf(token.firmware, sizeof token.firmware, "2.6.1");
	assert_true(custos_token_profile_fits(&p, &token));
}

/* Goal: a profile with anything unknown, missing or impossible is refused and the file is named. */
static void bad_profiles_are_refused(void **state)
{
	(void)state;
	static const char good[] = HEAD "tier: hardened\n" WRAP KEYS;
	static const char *const bad[] = {
		HEAD "tier: hardened\n" WRAP KEYS "surprise: 1\n", HEAD "tier: trusted\n" WRAP KEYS, HEAD "tier: hardened\n" KEYS,
		HEAD "tier: hardened\nwrap: {mechanism: 210a, format: rfc5649}\n" KEYS, HEAD "tier: hardened\nwrap: {mechanism: 0x210a, format: rfc3394}\n" KEYS,
		HEAD "tier: hardened\nwrap: {mechanism: 0x210a, format: rfc5649, padding: 8}\n" KEYS, HEAD "tier: sign-only\n" KEYS,
		HEAD "tier: hardened\n" WRAP "keys: {log: [rsa-2048]}\npin: {min: 4}\n", HEAD "tier: hardened\n" WRAP "keys: {log: [ed448]}\npin: {min: 4}\n",
		HEAD "tier: hardened\n" WRAP "keys: {log: [ed25519, ed25519]}\npin: {min: 4}\n", HEAD "tier: hardened\n" WRAP "keys: {log: [ed25519]}\npin: {min: 9, max: 8}\n",
		"name: a name\n" "match: {manufacturer: M, model: N}\ntier: hardened\n" WRAP KEYS, "name: x\ntier: hardened\n" WRAP KEYS, "",
		/* the rest of the fields */
		HEAD "tier: hardened\nattributes: {not_sent: [copyable]}\n" WRAP KEYS, HEAD "tier: basic\nattributes: {not_read: [sensitive]}\n" WRAP KEYS,
		HEAD "tier: basic\nattributes: {not_read: [extractable]}\n" WRAP KEYS, HEAD "tier: basic\nattributes: {not_read: [local, local]}\n" WRAP KEYS,
		HEAD "tier: basic\nattributes: {not_kept: [local]}\n" WRAP KEYS, HEAD "tier: basic\nsession_objects: no\n" WRAP KEYS, HEAD "tier: basic\nsession_objects: perhaps\n" WRAP KEYS,
		HEAD "tier: basic\ntransport: rsa-oaep-md5\n" WRAP KEYS, HEAD "tier: basic\nsign: {rsa: rsa-x509}\n" WRAP KEYS, HEAD "tier: basic\nsign: {dsa: dsa}\n" WRAP KEYS,
		HEAD "tier: basic\nsessions: many\n" WRAP KEYS, HEAD "tier: unusable\n" WRAP KEYS,
		HEAD "tier: basic\nwrap: {mechanism: 0x210b, format: rfc5649, ec_point_attribute: d5a0db00}\n" KEYS,
		HEAD "tier: basic\nparameters: A_NAME_OF_MORE_THAN_THIRTY_ONE_CHARACTERS\n" WRAP KEYS,
		"name: x\nmatch: {manufacturer: a-manufacturer-of-more-than-thirty-two-characters, model: N}\ntier: hardened\n" WRAP KEYS,
	};
	struct custos_token_profile p;
	LAB_OK(&lab, custos_token_profile_parse(CUSTOS_BYTES_STR(good), "good.yaml", &p, &lab.err));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		LAB_FAILS(&lab, custos_token_profile_parse(CUSTOS_BYTES_STR(bad[i]), "bad.yaml", &p, &lab.err), CUSTOS_E_INPUT, "bad.yaml");
}

/* Goal: what is refused is refused with the nearest thing there is. */
static void the_nearest_type_is_named(void **state)
{
	(void)state;
	static const struct {
		struct custos_key_types can;
		enum custos_key_type wanted, nearest;
	} cases[] = {
		{ { { CUSTOS_KEY_RSA_2048, CUSTOS_KEY_RSA_4096, CUSTOS_KEY_EC_P384 }, 3 }, CUSTOS_KEY_RSA_8192, CUSTOS_KEY_RSA_4096 },
		{ { { CUSTOS_KEY_RSA_4096, CUSTOS_KEY_RSA_2048, CUSTOS_KEY_EC_P384 }, 3 }, CUSTOS_KEY_RSA_3072, CUSTOS_KEY_RSA_2048 },
		{ { { CUSTOS_KEY_RSA_8192, CUSTOS_KEY_RSA_4096 }, 2 }, CUSTOS_KEY_RSA_2048, CUSTOS_KEY_RSA_4096 },
		{ { { CUSTOS_KEY_EC_P384, CUSTOS_KEY_EC_P256, CUSTOS_KEY_RSA_2048 }, 3 }, CUSTOS_KEY_EC_P521, CUSTOS_KEY_EC_P384 },
		{ { { CUSTOS_KEY_EC_P384, CUSTOS_KEY_EC_P256, CUSTOS_KEY_RSA_2048 }, 3 }, CUSTOS_KEY_ED25519, CUSTOS_KEY_EC_P256 },
		{ { { CUSTOS_KEY_RSA_3072, CUSTOS_KEY_EC_P256 }, 2 }, CUSTOS_KEY_ED25519, CUSTOS_KEY_EC_P256 },
		{ { { CUSTOS_KEY_RSA_3072, CUSTOS_KEY_RSA_2048 }, 2 }, CUSTOS_KEY_ED25519, CUSTOS_KEY_RSA_3072 },
	};
	enum custos_key_type nearest = CUSTOS_KEY_TYPES_END;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_true(custos_key_types_nearest(&cases[i].can, cases[i].wanted, &nearest));
		assert_string_equal(custos_key_type_name(nearest), custos_key_type_name(cases[i].nearest));
	}
	assert_false(custos_key_types_nearest(&(struct custos_key_types){ .count = 0 }, CUSTOS_KEY_RSA_2048, &nearest));
	for (int type = CUSTOS_KEY_RSA_2048; type < CUSTOS_KEY_TYPES_END; type++) {
		enum custos_key_type parsed;
		assert_true(custos_key_type_parse(custos_key_type_name((enum custos_key_type)type), &parsed) && parsed == (enum custos_key_type)type);
		assert_int_not_equal(custos_key_signature(parsed), 0);
	}
}

/* A path below the directory of the lab's token. */
static void token_path(const char *name, char *out, size_t size)
{
	char line[128], dir[128];
	snprintf(line, sizeof line, "softhsm_token_dir %s", lab.serial);
	lab_bash(&lab, line, dir, sizeof dir);
	snprintf(out, size, "%s/%s", dir, name);
}

static void read_all(const char *path, struct custos_buf *content)
{
	uint8_t chunk[4096];
	CUSTOS_AUTO_FD fd = open(path, O_RDONLY);
	custos_buf_done(content);
	for (ssize_t len; fd >= 0 && (len = read(fd, chunk, sizeof chunk)) > 0;)
		LAB_OK(&lab, custos_buf_append(content, chunk, (size_t)len, &lab.err));
}

static void write_all(const char *path, struct custos_bytes content)
{
	CUSTOS_AUTO_FD fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
	assert_true(fd >= 0);
	if (content.len > 0)
		assert_int_equal(write(fd, content.ptr, content.len), (ssize_t)content.len);
}

/* Goal: a real token file is whole; every shorter one is torn; another serial, another kind of value or garbage is neither copied nor replaced. */
static void token_file_is_judged(void **state)
{
	(void)state;
	char path[256];
	CUSTOS_AUTO_BUF object = { 0 };
	token_path("token.object", path, sizeof path);
	read_all(path, &object);
	assert_true(object.len > 200);
	struct custos_bytes all = custos_buf_view(&object);
	assert_int_equal(custos_softhsm_judge(all, lab.serial), CUSTOS_SOFTHSM_WHOLE);
	for (size_t len = 0; len < all.len; len++)
		assert_int_equal(custos_softhsm_judge(CUSTOS_BYTES(all.ptr, len), lab.serial), CUSTOS_SOFTHSM_TORN);
	assert_int_equal(custos_softhsm_judge(all, "0000000000000000"), CUSTOS_SOFTHSM_STRANGE);
	/* blocks that were allocated and never written: zeros, wherever they begin */
	uint8_t *copy = malloc(all.len);
	assert_non_null(copy);
	for (size_t from = 0; from < all.len - 8; from += 16) {
		memcpy(copy, all.ptr, all.len);
		memset(copy + from, 0, all.len - from);
		assert_int_not_equal(custos_softhsm_judge(CUSTOS_BYTES(copy, all.len), lab.serial), CUSTOS_SOFTHSM_WHOLE);
	}
	memcpy(copy, all.ptr, all.len);
	copy[23] = 9; /* the kind of the first attribute */
	assert_int_equal(custos_softhsm_judge(CUSTOS_BYTES(copy, all.len), lab.serial), CUSTOS_SOFTHSM_STRANGE);
	memcpy(copy, all.ptr, all.len);
	copy[24] = 0xff; /* its length: far beyond the file */
	assert_int_equal(custos_softhsm_judge(CUSTOS_BYTES(copy, all.len), lab.serial), CUSTOS_SOFTHSM_TORN);
	free(copy);
}

/* Goal: whole → copied once; torn → put back from a copy of the same token, and from no other; no copy → said so, nothing touched. */
static void token_file_is_protected(void **state)
{
	(void)state;
	char object_path[256], copy_path[256], tokens[128];
	CUSTOS_AUTO_BUF whole = { 0 };
	CUSTOS_AUTO_BUF now = { 0 };
	enum custos_softhsm_action action;
	struct stat before, after;
	snprintf(tokens, sizeof tokens, "%s/tokens", lab.dir);
	token_path("token.object", object_path, sizeof object_path);
	token_path("token.object.custos", copy_path, sizeof copy_path);
	unlink(copy_path);
	read_all(object_path, &whole);

	write_all(object_path, CUSTOS_BYTES(NULL, 0));
	LAB_FAILS(&lab, custos_softhsm_protect(tokens, lab.serial, &action, &lab.err), CUSTOS_E_TOKEN, "damaged");
	read_all(object_path, &now);
	assert_int_equal(now.len, 0);
	write_all(object_path, custos_buf_view(&whole));

	LAB_OK(&lab, custos_softhsm_protect(tokens, lab.serial, &action, &lab.err));
	assert_int_equal(action, CUSTOS_SOFTHSM_COPIED);
	assert_int_equal(stat(copy_path, &before), 0);
	assert_int_equal(before.st_mode & 0777, 0600);
	LAB_OK(&lab, custos_softhsm_protect(tokens, lab.serial, &action, &lab.err));
	assert_int_equal(action, CUSTOS_SOFTHSM_NOTHING);
	assert_int_equal(stat(copy_path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);

	for (size_t len = 0; len < whole.len; len += 97) {
		write_all(object_path, CUSTOS_BYTES(whole.ptr, len));
		LAB_OK(&lab, custos_softhsm_protect(tokens, lab.serial, &action, &lab.err));
		assert_int_equal(action, CUSTOS_SOFTHSM_REPAIRED);
		read_all(object_path, &now);
		assert_true(custos_bytes_equal(custos_buf_view(&now), custos_buf_view(&whole)));
	}
	assert_int_equal(unlink(object_path), 0);
	LAB_OK(&lab, custos_softhsm_protect(tokens, lab.serial, &action, &lab.err));
	assert_int_equal(action, CUSTOS_SOFTHSM_REPAIRED);

	/* a copy that is torn itself, or of another token */
	write_all(object_path, CUSTOS_BYTES(NULL, 0));
	write_all(copy_path, CUSTOS_BYTES(whole.ptr, whole.len - 1));
	LAB_FAILS(&lab, custos_softhsm_protect(tokens, lab.serial, &action, &lab.err), CUSTOS_E_TOKEN, "damaged");
	whole.ptr[0x58] ^= 1; /* a digit of the serial */
	write_all(copy_path, custos_buf_view(&whole));
	whole.ptr[0x58] ^= 1;
	LAB_FAILS(&lab, custos_softhsm_protect(tokens, lab.serial, &action, &lab.err), CUSTOS_E_TOKEN, "damaged");
	/* a copy that is a symbolic link is not followed */
	assert_int_equal(unlink(copy_path), 0);
	assert_int_equal(symlink("/etc/passwd", copy_path), 0);
	LAB_FAILS(&lab, custos_softhsm_protect(tokens, lab.serial, &action, &lab.err), CUSTOS_E_TOKEN, "token.object.custos");
	unlink(copy_path);
	write_all(object_path, custos_buf_view(&whole));
}

/* Goal: the token directory is read as SoftHSM reads it, and serials come from names of the right shape only. */
static void configuration_and_names(void **state)
{
	(void)state;
	char conf[128], serial[CUSTOS_SOFTHSM_SERIAL_SIZE];
	char *dir = NULL;
	snprintf(conf, sizeof conf, "%s/other.conf", lab.dir);
	write_all(conf, CUSTOS_BYTES_STR("# directories.tokendir = /wrong\n  directories.tokendir  =  /var/lib/example/tokens// # where\nlog.level = INFO\n"));
	LAB_OK(&lab, custos_softhsm_token_dir(conf, &dir, &lab.err));
	assert_string_equal(dir, "/var/lib/example/tokens");
	free(dir);
	write_all(conf, CUSTOS_BYTES_STR("log.level = INFO\n"));
	LAB_FAILS(&lab, custos_softhsm_token_dir(conf, &dir, &lab.err), CUSTOS_E_TOKEN, "tokendir");
	write_all(conf, CUSTOS_BYTES_STR("directories.tokendir = tokens\n"));
	LAB_FAILS(&lab, custos_softhsm_token_dir(conf, &dir, &lab.err), CUSTOS_E_TOKEN, "tokendir");
	LAB_FAILS(&lab, custos_softhsm_token_dir("/nonexistent/softhsm2.conf", &dir, &lab.err), CUSTOS_E_TOKEN, "/nonexistent/softhsm2.conf");
	assert_true(custos_softhsm_serial("01234567-89ab-cdef-fedc-ba9876543210", serial));
	assert_string_equal(serial, "fedcba9876543210");
	static const char *const bad[] = { "", ".", "01234567-89ab-cdef-fedc-ba987654321", "01234567-89ab-cdef-fedc-ba98765432100", "01234567x89ab-cdef-fedc-ba9876543210",
		                               "01234567-89ab-cdef-fe/c-ba9876543210", "01234567-89AB-cdef-fedc-ba9876543210" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(custos_softhsm_serial(bad[i], serial));
}

/* Goal: one holder at a time, who is named; a free lock can be taken again; names cannot leave the directory. */
static void lock_is_exclusive(void **state)
{
	(void)state;
	char dir[96], path[160], expected[160];
	int first = -1, second = -1;
	struct stat st;
	snprintf(dir, sizeof dir, "%s/locks", lab.dir);
	LAB_OK(&lab, custos_token_lock(dir, "../a b", 0, &first, &lab.err));
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01777);
	snprintf(path, sizeof path, "%s/%%2E%%2E%%2Fa%%20b", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	snprintf(expected, sizeof expected, "in use by process %ld", (long)getpid());
	LAB_FAILS(&lab, custos_token_lock(dir, "../a b", 0, &second, &lab.err), CUSTOS_E_TOKEN, expected);
	LAB_OK(&lab, custos_token_lock(dir, "another", 0, &second, &lab.err));
	close(second);
	close(first);
	LAB_OK(&lab, custos_token_lock(dir, "../a b", 0, &first, &lab.err));
	close(first);
	LAB_FAILS(&lab, custos_token_lock(dir, "", 0, &first, &lab.err), CUSTOS_E_TOKEN, "no serial");

	/* traps laid in a directory everybody may write to */
	snprintf(path, sizeof path, "%s/trap", dir);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	LAB_FAILS(&lab, custos_token_lock(dir, "trap", 0, &first, &lab.err), CUSTOS_E_SYSTEM, "symbolic link");
	unlink(path);
	assert_int_equal(mkfifo(path, 0666), 0);
	LAB_FAILS(&lab, custos_token_lock(dir, "trap", 0, &first, &lab.err), CUSTOS_E_SYSTEM, "plain file");
	unlink(path);
	snprintf(expected, sizeof expected, "%s/another", dir);
	assert_int_equal(link(expected, path), 0);
	LAB_FAILS(&lab, custos_token_lock(dir, "trap", 0, &first, &lab.err), CUSTOS_E_SYSTEM, "plain file");
	snprintf(path, sizeof path, "%s/link-to-locks", lab.dir);
	assert_int_equal(symlink(dir, path), 0);
	LAB_FAILS(&lab, custos_token_lock(path, "a", 0, &first, &lab.err), CUSTOS_E_SYSTEM, "lock directory");
}

static int start(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	if (custos_secret_start(&err) != CUSTOS_OK)
		return -1;
	lab_make(&lab, "custos-files");
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
		cmocka_unit_test(shipped_profile_is_read), cmocka_unit_test(shipped_profiles_know_their_tokens), cmocka_unit_test(versions_are_matched_by_part),  cmocka_unit_test(bad_profiles_are_refused), cmocka_unit_test(the_nearest_type_is_named), cmocka_unit_test(token_file_is_judged),
		cmocka_unit_test(token_file_is_protected), cmocka_unit_test(configuration_and_names),  cmocka_unit_test(lock_is_exclusive),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
