/* Splitting and combining as custos does it: the keeper's side in a process of its own whose terminal is a pseudo-terminal, with this test as the person at it. The keeper plays
 * the token: it knows the KEK, and what comes back must be it. */
#include "shares_person.h"

#include "vault/share_file.h"
#include "vault/shares.h"

#include <sys/ioctl.h>
#include <sys/stat.h>

static const char ORIGIN[] = "custody.example/lab";
static char directory[64];

/* ---- the keeper ---- */

struct keeper {
	struct custos_share_plan plan;
	struct custos_combine_options options;
	const char *phrase;
	/* what must come of it */
	custos_rc rc;
	const char *why;         /* in its message, or in the JSON of what is out */
};

static void kek_bytes(uint8_t out[CUSTOS_SHARE_VALUE])
{
	for (unsigned i = 0; i < CUSTOS_SHARE_VALUE; i++)
		out[i] = (uint8_t)(i * 37 + 11);
}

#define NEED(call) \
	do { \
		custos_rc need_rc_ = (call); \
		if (need_rc_ != CUSTOS_OK) \
			return need_rc_; \
	} while (0)

static custos_rc same_kek(struct custos_ephemeral *token, const uint8_t *point, struct custos_bytes sealed, struct custos_err *err)
{
	uint8_t kek[CUSTOS_SHARE_VALUE], got[CUSTOS_SHARE_VALUE] = { 0 };
	CUSTOS_AUTO(custos_secret) *opened = NULL;
	kek_bytes(kek);
	NEED(custos_unseal(token, point, sealed, &opened, err));
	NEED(custos_secret_expose(opened, copy_out, got, err));
	CUSTOS_REQUIRE(memcmp(kek, got, sizeof kek) == 0, err, CUSTOS_E_INTERNAL, "it is not the KEK");
	return CUSTOS_OK;
}

static custos_rc split(const struct keeper *k, struct custos_json **ret_shares, struct custos_err *err)
{
	uint8_t kek[CUSTOS_SHARE_VALUE], point[CUSTOS_POINT_SIZE], token_point[CUSTOS_POINT_SIZE], back[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO(custos_split) *s = NULL;
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	CUSTOS_AUTO(custos_ephemeral) *token = NULL;
	CUSTOS_AUTO_BUF wrapped = { 0 };
	CUSTOS_AUTO_BUF sealed = { 0 };
	CUSTOS_AUTO(custos_json) *planned = NULL;
	NEED(custos_split_start(&k->plan, ORIGIN, &s, err));
	kek_bytes(kek);
	NEED(custos_secret_new(sizeof kek, &secret, err));
	NEED(custos_secret_expose(secret, copy_in, kek, err));
	NEED(custos_seal(secret, custos_split_point(s), point, &wrapped, err));
	NEED(custos_ephemeral_new(&token, token_point, err));
	NEED(custos_split_hand_over(s, point, custos_buf_view(&wrapped), token_point, back, &sealed, err));
	NEED(same_kek(token, back, custos_buf_view(&sealed), err));
	NEED(custos_split_describe(s, &planned, err));
	CUSTOS_REQUIRE(custos_json_count(planned) == k->plan.count && strlen(custos_split_set(s)) == 8 && custos_split_memory(s)[0] == 'm', err, CUSTOS_E_INTERNAL, "the plan is not told");
	return custos_split_give_out(s, ret_shares, err);
}

static custos_rc get_phrase(void *ctx, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	const struct keeper *k = ctx;
	CUSTOS_REQUIRE(strncmp(what, "pass phrase of /", 16) == 0, err, CUSTOS_E_INTERNAL, "%s", what);
	*ret_secret = secret_of(k->phrase, strlen(k->phrase));
	return CUSTOS_OK;
}

static custos_rc combine(struct keeper *k, struct custos_json **ret_report, struct custos_err *err)
{
	uint8_t token_point[CUSTOS_POINT_SIZE], back[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO(custos_combine) *m = NULL;
	CUSTOS_AUTO(custos_ephemeral) *token = NULL;
	CUSTOS_AUTO_BUF sealed = { 0 };
	const struct custos_pin pin = { .ctx = k, .get = get_phrase };
	k->options.origin = k->options.origin == NULL ? ORIGIN : k->options.origin;
	k->options.pass_phrase = k->phrase == NULL ? NULL : &pin;
	NEED(custos_combine_start(&k->options, &m, err));
	NEED(custos_combine_collect(m, ret_report, err));
	NEED(custos_ephemeral_new(&token, token_point, err));
	NEED(custos_combine_seal(m, token_point, back, &sealed, err));
	return same_kek(token, back, custos_buf_view(&sealed), err);
}

/* 0: it came out as it must. What it says goes to the terminal, for whoever wants to know why not. */
static int keep(struct keeper *k)
{
	struct custos_err err = { 0 };
	CUSTOS_AUTO(custos_json) *told = NULL;
	if (custos_secret_start(&err) != CUSTOS_OK)
		return 100;
	custos_rc rc = k->plan.count > 0 ? split(k, &told, &err) : combine(k, &told, &err);
	char *text = told == NULL ? NULL : custos_json_pretty(told);
	printf("\nkeeper: %d %s [%s] %s\n", (int)rc, err.msg, err.hint, text == NULL ? "" : text);
	fflush(stdout);
	bool said = k->why == NULL || strstr(err.msg, k->why) != NULL || (text != NULL && strstr(text, k->why) != NULL);
	free(text);
	return rc != k->rc ? 1 : !said ? 2 : rc != CUSTOS_OK && err.hint[0] == '\0' && rc != CUSTOS_E_INPUT && rc != CUSTOS_E_AUTH && rc != CUSTOS_E_USAGE ? 3 : 0;
}

static pid_t keeper_starts(struct person *p, struct keeper *k)
{
	person_sits_down(p);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	close(p->master);
	if (login_tty(p->slave) != 0)
		_exit(101);
	_exit(keep(k));
}

static void keeper_ends(struct person *p, pid_t pid)
{
	int status;
	person_sees(p, "\nkeeper: ");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	while (person_reads(p, 0))
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("status %x: %s", (unsigned)status, p->seen);
	assert_true(is_as_before(p));
	person_leaves(p);
}

/* A keeper at whose terminal nobody has to do anything. */
static void run(struct keeper k)
{
	struct person p;
	pid_t pid = keeper_starts(&p, &k);
	keeper_ends(&p, pid);
}

/* ---- files ---- */

static const char *path_in(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", directory, name);
	return path;
}

static void write_public(const char *name, EVP_PKEY *key, bool as_certificate)
{
	FILE *f = fopen(path_in(name), "w");
	assert_non_null(f);
	X509 *cert = X509_new();
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"custodian.example.com", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(as_certificate ? PEM_write_X509(f, cert) : PEM_write_PUBKEY(f, key), 1);
	X509_free(cert);
	fclose(f);
}

static size_t read_file(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(out, 1, size - 1, f);
	fclose(f);
	out[n] = '\0';
	return n;
}

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static struct custodian custodians[3];

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof directory, "%s/custos-vault-shares-XXXXXX", P_tmpdir);
	if (mkdtemp(directory) == NULL)
		return -1;
	custodian_new(&custodians[0], NULL);
	custodian_new(&custodians[1], "open sesame");
	custodian_new(&custodians[2], NULL);
	write_public("a.pem", custodians[0].key, false);
	write_public("b.pem", custodians[1].key, true);
	write_public("c.pem", custodians[2].key, false);
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	char command[128];
	for (size_t i = 0; i < 3; i++)
		custodian_done(&custodians[i]);
	snprintf(command, sizeof command, "rm -r '%s'", directory);
	return system(command);
}

/* ---- from start to end ---- */

static char on_screen[CUSTOS_SHARE_TEXT + 1];

/* 2 of 3, for the tests after it: a's in share-1.txt, b's in share-2.txt, share 3 in on_screen. */
static void split_to_two_files_and_the_screen(void **state)
{
	(void)state;
	struct person p;
	struct stat st;
	const char *const keys[] = { path_in("a.pem"), path_in("b.pem"), NULL };
	struct keeper k = { .plan = { 2, 3, keys, directory }, .why = "\"screen\": true" };
	pid_t pid = keeper_starts(&p, &k);
	person_sees(&p, "Next: share 3 of 3");
	person_sees(&p, "the whole.");
	person_types(&p, "\n");
	person_copies(&p, on_screen);
	person_types(&p, "\n");
	keeper_ends(&p, pid);
	assert_non_null(strstr(p.seen, "a.pem"));
	assert_int_equal(stat(path_in("share-1.txt"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(path_in("share-2.txt"), &st), 0);
	assert_int_not_equal(stat(path_in("share-3.txt"), &st), 0);
}

static void combined_from_files_and_hands(void **state)
{
	(void)state;
	struct custos_share_source files[] = { { path_in("share-1.txt"), custodians[0].path }, { path_in("share-2.txt"), custodians[1].path } };
	/* the files alone; the second key is protected */
	run((struct keeper){ .options = { .files = files, .count = 2 }, .phrase = "open sesame", .why = "\"threshold\": 2" });
	run((struct keeper){ .options = { .files = files, .count = 2 }, .phrase = "open barley", .rc = CUSTOS_E_AUTH, .why = "pass phrase" });
	run((struct keeper){ .options = { .files = files, .count = 2 }, .rc = CUSTOS_E_AUTH, .why = "no way to ask" });
	/* one and the hand-written one */
	struct person p;
	struct keeper k = { .options = { .files = files, .count = 1 } };
	pid_t pid = keeper_starts(&p, &k);
	person_sees(&p, "share 2 of 2 that are needed");
	person_types(&p, on_screen);
	keeper_ends(&p, pid);
	/* ended by the person */
	k = (struct keeper){ .options = { .files = files, .count = 1 }, .rc = CUSTOS_E_POLICY };
	pid = keeper_starts(&p, &k);
	person_sees(&p, "share 2 of 2 that are needed");
	person_types(&p, "\003");
	keeper_ends(&p, pid);
}

static void files_that_do_not_fit(void **state)
{
	(void)state;
	struct custos_share_source wrong_key[] = { { path_in("share-1.txt"), custodians[2].path } };
	run((struct keeper){ .options = { .files = wrong_key, .count = 1 }, .rc = CUSTOS_E_INPUT, .why = "share-1.txt does not open with that key" });
	struct custos_share_source twice[] = { { path_in("share-1.txt"), custodians[0].path }, { path_in("share-1.txt"), custodians[0].path } };
	run((struct keeper){ .options = { .files = twice, .count = 2 }, .rc = CUSTOS_E_INPUT, .why = "are both share 1" });
	struct custos_share_source one[] = { { path_in("share-1.txt"), custodians[0].path } };
	run((struct keeper){ .options = { .origin = "other.example/lab", .files = one, .count = 1 }, .rc = CUSTOS_E_POLICY, .why = "custody.example/lab" });
	run((struct keeper){ .options = { .set = "00000000", .threshold = 2, .files = one, .count = 1 }, .rc = CUSTOS_E_INPUT, .why = "wanted is the set 00000000" });
	struct custos_share_source no_key[] = { { path_in("share-1.txt"), path_in("a.pem") } };
	run((struct keeper){ .options = { .files = no_key, .count = 1 }, .rc = CUSTOS_E_INPUT, .why = "cannot be taken" });
	struct custos_share_source missing[] = { { path_in("share-9.txt"), path_in("a.pem") } };
	run((struct keeper){ .options = { .files = missing, .count = 1 }, .rc = CUSTOS_E_INPUT, .why = "share-9.txt" });
}

/* What a header claims is not believed: another number, another set, more or fewer needed. */
static void headers_that_were_edited(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *instead;
		custos_rc rc;
	} edits[] = {
		{ "number: 1", "number: 3", CUSTOS_E_TAMPERED },
		{ "threshold: 2", "threshold: 3", CUSTOS_E_TAMPERED },
		{ "set: ", "set: 00000000", CUSTOS_E_TAMPERED },
		{ "log: custody.example/lab", "log: custody.example/bal", CUSTOS_E_POLICY },
		{ "number: 1", "number: 01", CUSTOS_E_INPUT },
		{ "number: 1", "number: 21", CUSTOS_E_INPUT },
		{ "number: 1", "number: 1 ", CUSTOS_E_INPUT },
		{ "number: 1", "number:  1", CUSTOS_E_INPUT },
		{ "threshold: 2", "threshold: 1", CUSTOS_E_INPUT },
		{ "custos-share: 1", "custos-share: 2", CUSTOS_E_INPUT },
		{ "custos-share: 1", "custos-container: 1", CUSTOS_E_INPUT },
	};
	char text[4096], edited[4200];
	read_file(path_in("share-1.txt"), text, sizeof text);
	for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
		const char *at = strstr(text, edits[i].line);
		assert_non_null(at);
		int len = snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text), text, edits[i].instead, at + strcspn(at, "\n"));
		write_file(path_in("edited.txt"), edited, (size_t)len);
		struct custos_share_source file[] = { { path_in("edited.txt"), custodians[0].path } };
		run((struct keeper){ .options = { .files = file, .count = 1 }, .rc = edits[i].rc, .why = edits[i].rc == CUSTOS_E_POLICY ? "custody.example/bal" : "edited.txt" });
	}
}

/* Every byte: refused, or another file than it was; never the same share out of another text. */
static void every_byte_of_a_file(void **state)
{
	(void)state;
	char text[4096];
	size_t len = read_file(path_in("share-1.txt"), text, sizeof text), taken = 0;
	CUSTOS_CLEANUP(custos_share_file_done) struct custos_share_file whole = { 0 };
	assert_int_equal(custos_share_file_parse(CUSTOS_BYTES(text, len), "it", &whole, NULL), CUSTOS_OK);
	for (size_t i = 0; i < len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			CUSTOS_CLEANUP(custos_share_file_done) struct custos_share_file share = { 0 };
			text[i] = (char)(text[i] ^ (1 << bit));
			if (custos_share_file_parse(CUSTOS_BYTES(text, len), "it", &share, NULL) == CUSTOS_OK) {
				taken++;
				assert_false(strcmp(share.origin, whole.origin) == 0 && share.set == whole.set && share.threshold == whole.threshold && share.number == whole.number &&
				             memcmp(share.spki_sha256, whole.spki_sha256, sizeof share.spki_sha256) == 0 && memcmp(share.point, whole.point, sizeof share.point) == 0 &&
				             custos_bytes_equal(custos_buf_view(&share.sealed), custos_buf_view(&whole.sealed)));
			}
			text[i] = (char)(text[i] ^ (1 << bit));
		}
	assert_true(taken > 0);
	for (size_t cut = 0; cut < len; cut++) {
		CUSTOS_CLEANUP(custos_share_file_done) struct custos_share_file share = { 0 };
		assert_int_equal(custos_share_file_parse(CUSTOS_BYTES(text, cut), "it", &share, NULL), CUSTOS_E_INPUT);
	}
	text[len] = '\n';
	CUSTOS_CLEANUP(custos_share_file_done) struct custos_share_file share = { 0 };
	assert_int_equal(custos_share_file_parse(CUSTOS_BYTES(text, len + 1), "it", &share, NULL), CUSTOS_E_INPUT);
	/* a byte of what is sealed: it does not open */
	text[len] = '\0';
	char *body = strstr(text, "\n\n") + 6;
	*body = *body == 'A' ? 'B' : 'A';
	write_file(path_in("edited.txt"), text, len);
	struct custos_share_source file[] = { { path_in("edited.txt"), custodians[0].path } };
	run((struct keeper){ .options = { .files = file, .count = 1 }, .rc = CUSTOS_E_INPUT, .why = "does not open" });
}

/* ---- plans that are refused before anything starts ---- */

static void plans_that_are_refused(void **state)
{
	(void)state;
	EVP_PKEY *p384 = EVP_EC_gen("P-384");
	write_public("p384.pem", p384, false);
	EVP_PKEY_free(p384);
	write_public("a-again.pem", custodians[0].key, true);
	const char *a = path_in("a.pem"), *c = path_in("c.pem"), *out = path_in("out");
	assert_int_equal(mkdir(out, 0700), 0);
	const char *const one[] = { a, NULL }, *const two[] = { a, c, NULL }, *const three[] = { a, c, path_in("b.pem"), NULL }, *const same[] = { a, path_in("a-again.pem"), NULL },
	                  *const other[] = { path_in("p384.pem"), NULL }, *const secret[] = { custodians[0].path, NULL }, *const none[] = { path_in("nobody.pem"), NULL };
	run((struct keeper){ .plan = { 1, 3, NULL, NULL }, .rc = CUSTOS_E_USAGE });
	run((struct keeper){ .plan = { 4, 3, NULL, NULL }, .rc = CUSTOS_E_USAGE });
	run((struct keeper){ .plan = { 2, 21, NULL, NULL }, .rc = CUSTOS_E_USAGE });
	run((struct keeper){ .plan = { 2, 2, three, out }, .rc = CUSTOS_E_USAGE, .why = "more custodians" });
	run((struct keeper){ .plan = { 2, 2, two, NULL }, .rc = CUSTOS_E_USAGE, .why = "where the share files go" });
	run((struct keeper){ .plan = { 2, 2, two, path_in("nowhere") }, .rc = CUSTOS_E_INPUT, .why = "nowhere" });
	run((struct keeper){ .plan = { 2, 2, same, out }, .rc = CUSTOS_E_POLICY, .why = "the same key" });
	run((struct keeper){ .plan = { 2, 2, other, out }, .rc = CUSTOS_E_INPUT, .why = "not on P-256" });
	run((struct keeper){ .plan = { 2, 2, secret, out }, .rc = CUSTOS_E_INPUT, .why = "holds a private key" });
	run((struct keeper){ .plan = { 2, 2, none, out }, .rc = CUSTOS_E_INPUT, .why = "nobody.pem" });
	/* the directory of the split above */
	run((struct keeper){ .plan = { 2, 2, one, directory }, .rc = CUSTOS_E_INPUT, .why = "share-1.txt is there already" });
	assert_int_equal(rmdir(out), 0); /* nothing was made in it */
}

static int without_terminal(struct keeper *k)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		_exit(keep(k));
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void without_a_terminal(void **state)
{
	(void)state;
	const char *const keys[] = { path_in("a.pem"), path_in("c.pem"), NULL };
	struct custos_share_source files[] = { { path_in("share-1.txt"), custodians[0].path }, { path_in("share-2.txt"), custodians[1].path } };
	assert_int_equal(mkdir(path_in("dark"), 0700), 0);
	assert_int_equal(without_terminal(&(struct keeper){ .plan = { 2, 3, keys, path_in("dark") }, .rc = CUSTOS_E_POLICY, .why = "no terminal" }), 0);
	assert_int_equal(without_terminal(&(struct keeper){ .plan = { 2, 2, keys, path_in("dark") }, .why = "share-2.txt" }), 0);
	assert_int_equal(without_terminal(&(struct keeper){ .options = { .files = files, .count = 1 }, .rc = CUSTOS_E_POLICY, .why = "1 of the 2 shares" }), 0);
	assert_int_equal(without_terminal(&(struct keeper){ .options = { .count = 0 }, .rc = CUSTOS_E_POLICY, .why = "there are no shares" }), 0);
	assert_int_equal(without_terminal(&(struct keeper){ .options = { .files = files, .count = 2 }, .phrase = "open sesame" }), 0);
}

static void what_is_out_when_somebody_ends_it(void **state)
{
	(void)state;
	struct person p;
	const char *const keys[] = { path_in("a.pem"), NULL };
	assert_int_equal(mkdir(path_in("ended"), 0700), 0);
	struct keeper k = { .plan = { 2, 3, keys, path_in("ended") }, .rc = CUSTOS_E_POLICY, .why = "ended/share-1.txt" };
	pid_t pid = keeper_starts(&p, &k);
	person_sees(&p, "Next: share 2 of 3");
	person_sees(&p, "the whole.");
	person_types(&p, "\003");
	keeper_ends(&p, pid);
	assert_non_null(strstr(p.seen, "share 2 of 3 was not given out"));
	assert_null(strstr(p.seen, "\"number\": 2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_to_two_files_and_the_screen),
		cmocka_unit_test(combined_from_files_and_hands),
		cmocka_unit_test(files_that_do_not_fit),
		cmocka_unit_test(headers_that_were_edited),
		cmocka_unit_test(every_byte_of_a_file),
		cmocka_unit_test(plans_that_are_refused),
		cmocka_unit_test(without_a_terminal),
		cmocka_unit_test(what_is_out_when_somebody_ends_it),
	};
	return cmocka_run_group_tests(tests, set_up, clean_up);
}
