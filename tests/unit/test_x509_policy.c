/* Policy about certificates: how long they may last, keys that nobody should rely on, the list of blocked keys, and what acceptance of one problem
 * does not cover. */
#include "x509_trust.h"

#include "data/json.h"
#include "weak_rsa.h"
#include "x509/cert.h"
#include "x509/check.h"
#include "x509/rules.h"

static int setup(void **state)
{
	struct lab_trust *f = calloc(1, sizeof *f);
	f->root_key = lab_ec();
	f->ca_key = lab_ec();
	f->key = lab_rsa(2048);
	/* so long that every date of these tests lies in it */
	lab_trust_begin(f, 4000);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct lab_trust *f = *state;
	lab_trust_end(f);
	free(f);
	return 0;
}

/* The report about one leaf of the lab's CA with its intermediate; whether it is usable. The leaf is freed. */
static bool check(struct lab_trust *f, X509 *leaf, struct custos_check_options options, struct custos_json **ret_report)
{
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	CUSTOS_AUTO_BUF pem = { 0 };
	lab_pem(&pem, leaf);
	lab_pem(&pem, f->ca);
	X509_free(leaf);
	if (options.now_unix == 0)
		options.now_unix = LAB_NOW;
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_add(bag, "bag.pem", custos_buf_view(&pem), NULL), CUSTOS_OK);
	assert_int_equal(custos_cert_check(bag, &options, ret_report, NULL, NULL), CUSTOS_OK);
	return custos_json_bool(*ret_report, "usable", false);
}

static const struct custos_json *find(const struct custos_json *report, const char *code)
{
	const struct custos_json *problems = custos_json_get(report, "problems");
	for (size_t i = 0; i < custos_json_count(problems); i++)
		if (strcmp(custos_json_text(custos_json_at(problems, i), "code"), code) == 0)
			return custos_json_at(problems, i);
	return NULL;
}

/* That code and no other error. */
static void expect_only(const struct custos_json *report, const char *code, const char *words)
{
	const struct custos_json *problems = custos_json_get(report, "problems"), *p = find(report, code);
	if (p == NULL)
		fail_msg("no problem %s", code);
	assert_string_equal(custos_json_text(p, "severity"), "error");
	if (strstr(custos_json_text(p, "text"), words) == NULL)
		assert_string_equal(custos_json_text(p, "text"), words);
	for (size_t i = 0; i < custos_json_count(problems); i++)
		if (custos_json_at(problems, i) != p)
			assert_string_not_equal(custos_json_text(custos_json_at(problems, i), "severity"), "error");
}

/* Begins `from` and lasts for so many seconds, as issued by the lab's CA. */
static X509 *lasting(struct lab_trust *f, int64_t from, int64_t seconds)
{
	X509 *leaf = lab_leaf("a.example.com", f->key, f->ca, f->ca_key);
	ASN1_TIME_set(X509_getm_notBefore(leaf), from);
	ASN1_TIME_set(X509_getm_notAfter(leaf), from + seconds);
	lab_sign(leaf, f->ca_key, &(struct lab_spec){ 0 });
	return leaf;
}

static bool fits(struct lab_trust *f, int64_t from, int64_t seconds, struct custos_validity_limit limit)
{
	CUSTOS_AUTO(custos_json) *report = NULL;
	bool usable = check(f, lasting(f, from, seconds), (struct custos_check_options){ .now_unix = from + 10, .validity = limit }, &report);
	if (!usable)
		expect_only(report, "long_validity", "is valid for");
	return usable;
}

static void public_limits_go_by_the_beginning(void **state)
{
	static const struct {
		int64_t first; /* the first second of the step */
		int days, before;
	} steps[] = {
		{ 1598918400, 398, 825 }, { 1773532800, 200, 398 }, { 1805068800, 100, 200 }, { 1868227200, 47, 100 },
	};
	struct lab_trust *f = *state;
	const struct custos_validity_limit public = { .kind = CUSTOS_VALIDITY_PUBLIC };
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		int64_t first = steps[i].first, day = LAB_DAY;
		assert_int_equal(custos_rules_public_days(first - 1), steps[i].before);
		assert_int_equal(custos_rules_public_days(first), steps[i].days);
		/* both ends belong to it: N days are N × 86,400 seconds less one apart */
		assert_true(fits(f, first, steps[i].days * day - 1, public));
		assert_false(fits(f, first, steps[i].days * day, public));
		assert_true(fits(f, first - 1, steps[i].before * day - 1, public));
		assert_false(fits(f, first - 1, steps[i].before * day, public));
	}
}

static void public_limits_are_for_public_roots(void **state)
{
	struct lab_trust *f = *state;
	CUSTOS_AUTO(custos_anchors) *others = NULL;
	assert_int_equal(custos_anchors_new(&others, NULL), CUSTOS_OK);
	int64_t year = (int64_t)397 * LAB_DAY;
	assert_false(fits(f, LAB_NOW, year, (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_PUBLIC, .roots = f->anchors }));
	assert_true(fits(f, LAB_NOW, year, (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_PUBLIC, .roots = others }));
	assert_false(fits(f, LAB_NOW, year, (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_PUBLIC }));
	assert_true(fits(f, LAB_NOW, year, (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_ANY }));
}

static void an_own_limit(void **state)
{
	struct lab_trust *f = *state;
	const struct custos_validity_limit ninety = { .kind = CUSTOS_VALIDITY_DAYS, .days = 90 };
	/* what `openssl ca -days 90` makes */
	assert_true(fits(f, LAB_NOW, (int64_t)90 * LAB_DAY, ninety));
	assert_false(fits(f, LAB_NOW, (int64_t)90 * LAB_DAY + 1, ninety));
	assert_true(fits(f, LAB_NOW, (int64_t)3000 * LAB_DAY, (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_DAYS, .days = 3000 }));
	CUSTOS_AUTO(custos_json) *report = NULL;
	assert_true(check(f, lasting(f, LAB_NOW - 10, (int64_t)91 * LAB_DAY),
	                  (struct custos_check_options){ .validity = ninety, .accept = (const char *const[]){ "long_validity", NULL } }, &report));
	assert_true(custos_json_bool(find(report, "long_validity"), "accepted", false));
	assert_non_null(strstr(custos_json_text(find(report, "long_validity"), "text"), "valid for 91 days; this custody takes 90 at most"));
}

static X509 *leaf_of(struct lab_trust *f, EVP_PKEY *key)
{
	X509 *leaf = lab_leaf("a.example.com", key, f->ca, f->ca_key);
	EVP_PKEY_free(key);
	return leaf;
}

static void weak_keys(void **state)
{
	struct lab_trust *f = *state;
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *m = primorial(701), *p = roca_prime(1024, m, ctx), *q = roca_prime(1024, m, ctx), *small = number(3);
	const struct {
		const char *code, *words;
		EVP_PKEY *key;
		bool acceptable;
	} cases[] = {
		{ "roca", "CVE-2017-15361", weak_key(product(p, q, ctx), 65537), true },
		{ "close_primes", "Fermat", weak_key(close_modulus(50, ctx), 65537), true },
		{ "broken_rsa", "factor below 752", weak_key(product(p, small, ctx), 65537), false },
		{ "broken_rsa", "even or 1", weak_key(product(p, p, ctx), 1), false },
		{ "weak_rsa", "1024 bits", lab_rsa(1024), true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CUSTOS_AUTO(custos_json) *report = NULL, *accepted = NULL;
		EVP_PKEY_up_ref(cases[i].key);
		assert_false(check(f, leaf_of(f, cases[i].key), (struct custos_check_options){ 0 }, &report));
		assert_string_equal(custos_json_text(find(report, cases[i].code), "severity"), "error");
		bool said = false;
		const struct custos_json *problems = custos_json_get(report, "problems");
		for (size_t k = 0; k < custos_json_count(problems); k++)
			said = said || strstr(custos_json_text(custos_json_at(problems, k), "text"), cases[i].words) != NULL;
		assert_true(said);
		assert_int_equal(custos_check_may_accept(cases[i].code), cases[i].acceptable);
		if (cases[i].acceptable)
			assert_true(check(f, leaf_of(f, cases[i].key), (struct custos_check_options){ .accept = (const char *const[]){ cases[i].code, NULL } }, &accepted));
		else
			EVP_PKEY_free(cases[i].key);
	}
	BN_free(m);
	BN_free(p);
	BN_free(q);
	BN_free(small);
	BN_CTX_free(ctx);
}

/* Not only the leaf's: who can compute an issuer's key can issue. */
static void weak_issuer(void **state)
{
	struct lab_trust *f = *state, weak = *f;
	BN_CTX *ctx = BN_CTX_new();
	CUSTOS_AUTO(custos_json) *report = NULL;
	BIGNUM *p = prime(1024), *q = BN_dup(p);
	BN_add_word(q, 2);
	to_prime(q, ctx);
	EVP_PKEY *ca_key = weak_pair(p, q, ctx);
	weak.ca = lab_issue((struct lab_spec){ .cn = "Weak CA", .ca = true, .key = ca_key, .issuer = f->root, .issuer_key = f->root_key });
	assert_false(check(&weak, lab_leaf("a.example.com", f->key, weak.ca, ca_key), (struct custos_check_options){ .trust = f->anchors }, &report));
	expect_only(report, "close_primes", "'CN=Weak CA,O=Example'");
	X509_free(weak.ca);
	EVP_PKEY_free(ca_key);
	BN_CTX_free(ctx);
}

static void blocklist(void **state)
{
	struct lab_trust *f = *state;
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_AUTO_BUF text = { 0 };
	CUSTOS_AUTO(custos_blocklist) *list = NULL, *other = NULL, *fingerprints = NULL;
	CUSTOS_AUTO(custos_json) *report = NULL, *fine = NULL, *accepted = NULL;
	uint8_t hash[32];
	lab_spki(&spki, f->key);
	assert_int_equal(custos_spki_sha256(custos_buf_view(&spki), hash, NULL), CUSTOS_OK);
	assert_int_equal(custos_buf_append_str(&text, "# keys of the old batch\r\n\n", NULL), CUSTOS_OK);
	for (int i = 0; i < 64; i++)
		assert_int_equal(custos_buf_printf(&text, NULL, "%02X%s", hash[i % 32], i == 31 ? "  \r\n" : ""), CUSTOS_OK);
	/* without a line end, and twice */
	assert_int_equal(custos_blocklist_parse(custos_buf_view(&text), "list", &list, NULL), CUSTOS_OK);
	assert_false(check(f, lab_leaf("a.example.com", f->key, f->ca, f->ca_key), (struct custos_check_options){ .blocklist = list }, &report));
	expect_only(report, "blocked_key", "list of keys");
	assert_true(check(f, lab_leaf("a.example.com", f->key, f->ca, f->ca_key), (struct custos_check_options){ .blocklist = list, .accept = (const char *const[]){ "blocked_key", NULL } }, &accepted));

	assert_int_equal(custos_blocklist_parse(CUSTOS_BYTES_STR("# nobody\n0000000000000000000000000000000000000000000000000000000000000000"), "list", &other, NULL), CUSTOS_OK);
	assert_true(check(f, lab_leaf("a.example.com", f->key, f->ca, f->ca_key), (struct custos_check_options){ .blocklist = other }, &fine));

	/* as Debian has them, and as sha1sum prints them: of a modulus, whatever the exponent */
	bool found = false;
	BIGNUM *n = NULL;
	char line[1100], all[128] = "";
	uint8_t sha1[20];
	assert_int_equal(EVP_PKEY_get_bn_param(f->key, OSSL_PKEY_PARAM_RSA_N, &n), 1);
	char *digits = BN_bn2hex(n);
	int len = snprintf(line, sizeof line, "Modulus=%s\n", digits);
	assert_int_equal(EVP_Digest(line, (size_t)len, sha1, NULL, EVP_sha1(), NULL), 1);
	for (int i = 0; i < 20; i++)
		snprintf(all + 2 * i, 3, "%02x", sha1[i]);
	for (int half = 0; half < 2; half++) {
		custos_blocklist_free(fingerprints);
		assert_int_equal(custos_blocklist_parse(CUSTOS_BYTES_STR(all + 20 * half), "list", &fingerprints, NULL), CUSTOS_OK);
		assert_int_equal(custos_blocklist_find(fingerprints, custos_buf_view(&spki), &found, NULL), CUSTOS_OK);
		assert_true(found);
	}
	all[39] = all[39] == '0' ? '1' : '0';
	custos_blocklist_free(fingerprints);
	assert_int_equal(custos_blocklist_parse(CUSTOS_BYTES_STR(all), "list", &fingerprints, NULL), CUSTOS_OK);
	assert_int_equal(custos_blocklist_find(fingerprints, custos_buf_view(&spki), &found, NULL), CUSTOS_OK);
	assert_false(found);
	BN_free(n);
	OPENSSL_free(digits);
}

static void a_list_that_is_none(void **state)
{
	(void)state;
	static const char *const bad[] = { "x", "# fine\n00112233", "0000000000000000000000000000000000000000000000000000000000000000 key of www\n", "0000000000000000000g\n",
		                           " 00000000000000000000\n" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct custos_blocklist *list = NULL;
		struct custos_err err = { 0 };
		assert_int_equal(custos_blocklist_parse(CUSTOS_BYTES_STR(bad[i]), "weak.txt", &list, &err), CUSTOS_E_INPUT);
		assert_non_null(strstr(err.msg, i == 1 ? "weak.txt:2: not the hash" : "weak.txt:1: not the hash"));
		assert_null(list);
	}
}

/* One error accepted is one error accepted: a client with the anchors is asked for the rest. */
static void acceptance_covers_nothing_else(void **state)
{
	struct lab_trust *f = *state;
	CUSTOS_AUTO(custos_anchors) *others = NULL;
	CUSTOS_AUTO(custos_json) *old = NULL, *stranger = NULL, *purpose = NULL, *sha1 = NULL;
	EVP_PKEY *unknown = lab_ec();
	X509 *unknown_root = lab_root("Unknown Root", unknown);
	CUSTOS_AUTO_BUF pem = { 0 };
	lab_pem(&pem, unknown_root);
	assert_int_equal(custos_anchors_new(&others, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_add_pem(others, custos_buf_view(&pem), "other.pem", NULL), CUSTOS_OK);
	const char *const expired[] = { "expired", NULL };
	struct lab_spec spec = { .cn = "a", .sans = "DNS:a.example.com", .key = f->key, .issuer = f->ca, .issuer_key = f->ca_key, .from = -50, .until = -1 };
	/* the client is asked with the date left out, and says yes */
	assert_true(check(f, lab_issue(spec), (struct custos_check_options){ .trust = f->anchors, .accept = expired }, &old));
	assert_null(find(old, "client_refuses"));
	/* a root that is not trusted stays one */
	assert_false(check(f, lab_issue(spec), (struct custos_check_options){ .trust = others, .accept = expired }, &stranger));
	/* so does a purpose */
	spec.purpose = "clientAuth";
	assert_false(check(f, lab_issue(spec), (struct custos_check_options){ .trust = f->anchors, .accept = expired }, &purpose));
	expect_only(purpose, "no_server_auth", "serverAuth");
	/* and what only the client sees: a name constraint of the CA, with the signature's weakness accepted */
	X509 *narrow = lab_ca("Narrow CA", f->ca_key, f->root, f->root_key);
	lab_extension(narrow, f->root, NID_name_constraints, "critical,permitted;DNS:b.example.com");
	lab_sign(narrow, f->root_key, &(struct lab_spec){ 0 });
	struct lab_trust with_narrow = *f;
	with_narrow.ca = narrow;
	spec = (struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = f->key, .issuer = narrow, .issuer_key = f->ca_key, .md_sha1 = true };
	assert_false(check(&with_narrow, lab_issue(spec), (struct custos_check_options){ .trust = f->anchors, .accept = (const char *const[]){ "sha1_signature", NULL } }, &sha1));
	expect_only(sha1, "client_refuses", "'");
	X509_free(narrow);
	X509_free(unknown_root);
	EVP_PKEY_free(unknown);
}

static void usage_and_names(void **state)
{
	struct lab_trust *f = *state;
	CUSTOS_AUTO(custos_json) *ec = NULL, *rsa = NULL, *none = NULL, *names = NULL;
	EVP_PKEY *key = lab_ec();
	struct lab_spec spec = { .cn = "a", .sans = "DNS:a.example.com,IP:192.0.2.1", .usage = "critical,keyEncipherment", .key = key, .issuer = f->ca, .issuer_key = f->ca_key };
	assert_false(check(f, lab_issue(spec), (struct custos_check_options){ 0 }, &ec));
	expect_only(ec, "key_usage", "clients end the handshake");
	spec.key = f->key;
	assert_true(check(f, lab_issue(spec), (struct custos_check_options){ 0 }, &rsa));
	assert_string_equal(custos_json_text(find(rsa, "key_usage"), "severity"), "warning");
	spec.usage = "critical,keyAgreement";
	assert_false(check(f, lab_issue(spec), (struct custos_check_options){ 0 }, &none));
	spec.usage = NULL;
	const char *const asked[] = { "a.example.com", "192.0.2.1", "b.example.com", NULL };
	assert_true(check(f, lab_issue(spec), (struct custos_check_options){ .names = asked }, &names));
	assert_int_equal(custos_json_count(custos_json_get(names, "problems")), 1);
	assert_non_null(strstr(custos_json_text(find(names, "target_not_covered"), "text"), "b.example.com"));
	EVP_PKEY_free(key);
}

/* Who judges a client's certificate asks for another purpose, and for no host; both, or any, is enough for either. */
static void purposes(void **state)
{
	struct lab_trust *f = *state;
	static const struct {
		const char *purpose;
		bool server, client;
	} cases[] = {
		{ "serverAuth", true, false }, { "clientAuth", false, true }, { "serverAuth,clientAuth", true, true }, { "anyExtendedKeyUsage", true, true }, { NULL, true, true }, { "emailProtection", false, false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int trusting = 0; trusting < 2; trusting++) {
			CUSTOS_AUTO(custos_json) *server = NULL, *client = NULL;
			struct lab_spec spec = { .cn = "a", .sans = "DNS:a.example.com", .usage = "digitalSignature", .purpose = cases[i].purpose, .key = f->key, .issuer = f->ca, .issuer_key = f->ca_key };
			const struct custos_anchors *trust = trusting ? f->anchors : NULL;
			/* that any purpose is none for a server is OpenSSL's opinion, when it has anchors */
			bool any = cases[i].purpose != NULL && strcmp(cases[i].purpose, "anyExtendedKeyUsage") == 0;
			if (any && trusting)
				continue;
			assert_int_equal(check(f, lab_issue(spec), (struct custos_check_options){ .trust = trust }, &server), cases[i].server);
			assert_int_equal(check(f, lab_issue(spec), (struct custos_check_options){ .trust = trust, .for_profile = "client" }, &client), cases[i].client);
			if (!cases[i].server)
				expect_only(server, "no_server_auth", "serverAuth");
			if (!cases[i].client)
				expect_only(client, "no_client_auth", "clientAuth");
		}
	CUSTOS_AUTO(custos_json) *nameless = NULL, *usage = NULL;
	struct lab_spec spec = { .cn = "Jane Doe", .purpose = "clientAuth", .key = f->key, .issuer = f->ca, .issuer_key = f->ca_key };
	assert_true(check(f, lab_issue(spec), (struct custos_check_options){ .trust = f->anchors, .for_profile = "client" }, &nameless));
	assert_int_equal(custos_json_count(custos_json_get(nameless, "problems")), 0);
	assert_string_equal(custos_json_text(nameless, "for"), "client");
	spec.usage = "keyEncipherment";
	assert_false(check(f, lab_issue(spec), (struct custos_check_options){ .trust = f->anchors, .for_profile = "client" }, &usage));
	expect_only(usage, "key_usage", "servers end the handshake");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_limits_go_by_the_beginning), cmocka_unit_test(public_limits_are_for_public_roots), cmocka_unit_test(an_own_limit),
		cmocka_unit_test(weak_keys), cmocka_unit_test(weak_issuer), cmocka_unit_test(blocklist), cmocka_unit_test(a_list_that_is_none),
		cmocka_unit_test(acceptance_covers_nothing_else), cmocka_unit_test(usage_and_names), cmocka_unit_test(purposes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
