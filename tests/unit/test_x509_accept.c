/* What a person may accept, one by one: for each code there is a certificate that is refused without it, refused with all the others, and taken with it alone. */
#include "x509_trust.h"

#include "data/json.h"
#include "weak_rsa.h"
#include "x509/cert.h"
#include "x509/check.h"

struct fixture {
	struct lab_trust pki;
	struct custos_anchors *others;
	struct custos_blocklist *blocklist;
	struct custos_buf request;
};

/* What is given and what is asked of it; certificates are freed with it. */
struct given {
	X509 *certs[3];
	struct custos_check_options options;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	CUSTOS_AUTO_BUF spki = { 0 }, list = { 0 };
	uint8_t hash[32];
	f->pki.root_key = lab_rsa(2048);
	f->pki.ca_key = lab_rsa(2048);
	f->pki.key = lab_rsa(2048);
	lab_trust_begin(&f->pki, 400);
	X509 *stranger = lab_root("Other Root", f->pki.key);
	f->others = lab_anchors(stranger);
	X509_free(stranger);
	lab_spki(&spki, f->pki.key);
	assert_int_equal(custos_spki_sha256(custos_buf_view(&spki), hash, NULL), CUSTOS_OK);
	for (int i = 0; i < 32; i++)
		assert_int_equal(custos_buf_printf(&list, NULL, "%02x", hash[i]), CUSTOS_OK);
	assert_int_equal(custos_blocklist_parse(custos_buf_view(&list), "list", &f->blocklist, NULL), CUSTOS_OK);
	lab_request(&f->request, "a.example.com", "DNS:a.example.com,DNS:b.example.com", f->pki.key);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	lab_trust_end(&f->pki);
	custos_anchors_free(f->others);
	custos_blocklist_free(f->blocklist);
	custos_buf_done(&f->request);
	free(f);
	return 0;
}

/* In order, but for what the spec says otherwise. */
static struct given with(const struct fixture *f, struct lab_spec s)
{
	s.cn = "a.example.com";
	s.sans = s.sans == NULL ? "DNS:a.example.com" : s.sans;
	s.usage = s.usage == NULL ? "critical,digitalSignature,keyEncipherment" : s.usage;
	s.purpose = s.purpose == NULL ? "serverAuth" : s.purpose;
	s.key = s.key == NULL ? f->pki.key : s.key;
	s.issuer = f->pki.ca;
	s.issuer_key = f->pki.ca_key;
	X509_up_ref(f->pki.ca);
	return (struct given){ .certs = { lab_issue(s), f->pki.ca }, .options = { .trust = f->pki.anchors } };
}

static struct given of_key(const struct fixture *f, EVP_PKEY *key)
{
	bool rsa = EVP_PKEY_is_a(key, "RSA");
	struct given g = with(f, (struct lab_spec){ .key = key, .usage = rsa ? NULL : "critical,digitalSignature" });
	EVP_PKEY_free(key);
	return g;
}

static struct given expired(const struct fixture *f) { return with(f, (struct lab_spec){ .from = -50, .until = -1 }); }
static struct given not_yet_valid(const struct fixture *f) { return with(f, (struct lab_spec){ .from = 1, .until = 50 }); }
static struct given no_server_auth(const struct fixture *f) { return with(f, (struct lab_spec){ .purpose = "clientAuth" }); }
static struct given key_usage(const struct fixture *f) { return with(f, (struct lab_spec){ .usage = "critical,keyAgreement" }); }
static struct given sha1_signature(const struct fixture *f) { return with(f, (struct lab_spec){ .md_sha1 = true }); }
static struct given weak_rsa(const struct fixture *f) { return of_key(f, lab_rsa(1024)); }
static struct given weak_ec(const struct fixture *f) { return of_key(f, EVP_EC_gen("prime192v1")); }

static struct given long_validity(const struct fixture *f)
{
	struct given g = with(f, (struct lab_spec){ 0 });
	g.options.validity = (struct custos_validity_limit){ .kind = CUSTOS_VALIDITY_DAYS, .days = 30 };
	return g;
}

static struct given san_missing(const struct fixture *f)
{
	struct given g = with(f, (struct lab_spec){ 0 });
	g.options.csr = custos_buf_view(&f->request);
	return g;
}

static struct given blocked_key(const struct fixture *f)
{
	struct given g = with(f, (struct lab_spec){ 0 });
	g.options.blocklist = f->blocklist;
	return g;
}

static struct given missing_intermediate(const struct fixture *f)
{
	struct given g = with(f, (struct lab_spec){ 0 });
	X509_free(g.certs[1]);
	g.certs[1] = NULL;
	return g;
}

static struct given untrusted_root(const struct fixture *f)
{
	struct given g = with(f, (struct lab_spec){ 0 });
	X509_up_ref(f->pki.root);
	g.certs[2] = f->pki.root;
	g.options.trust = f->others;
	return g;
}

/* Where nothing is trusted: else the root is not trusted besides. */
static struct given self_signed(const struct fixture *f)
{
	return (struct given){ .certs = { lab_issue((struct lab_spec){ .cn = "a", .sans = "DNS:a.example.com", .key = f->pki.key }) } };
}

/* A name that its CA may not issue for, which the client alone sees. */
static struct given client_refuses(const struct fixture *f)
{
	X509 *narrow = lab_ca("Narrow CA", f->pki.ca_key, f->pki.root, f->pki.root_key);
	lab_extension(narrow, f->pki.root, NID_name_constraints, "critical,permitted;DNS:b.example.com");
	lab_sign(narrow, f->pki.root_key, &(struct lab_spec){ 0 });
	return (struct given){ .certs = { lab_leaf("a.example.com", f->pki.key, narrow, f->pki.ca_key), narrow }, .options = { .trust = f->pki.anchors } };
}

static struct given close_primes(const struct fixture *f)
{
	BN_CTX *ctx = BN_CTX_new();
	struct given g = of_key(f, weak_key(close_modulus(50, ctx), 65537));
	BN_CTX_free(ctx);
	return g;
}

static struct given roca(const struct fixture *f)
{
	BN_CTX *ctx = BN_CTX_new();
	BIGNUM *m = primorial(701), *p = roca_prime(1024, m, ctx), *q = roca_prime(1024, m, ctx);
	struct given g = of_key(f, weak_key(product(p, q, ctx), 65537));
	BN_free(m);
	BN_free(p);
	BN_free(q);
	BN_CTX_free(ctx);
	return g;
}

static struct given for_esxi(struct given g)
{
	g.options.for_profile = "esxi";
	return g;
}

static struct given ec_for_esxi(const struct fixture *f) { return for_esxi(of_key(f, lab_ec())); }
static struct given pss_for_esxi(const struct fixture *f) { return for_esxi(with(f, (struct lab_spec){ .pss = true })); }

/* Nobody asks whether it is of two primes, but small factors are found. */
static struct given large_rsa_for_esxi(const struct fixture *f)
{
	BIGNUM *n = BN_new();
	bool small;
	do {
		small = false;
		assert_int_equal(BN_rand(n, 8200, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD), 1);
		for (BN_ULONG d = 3; d < 1000 && !small; d += 2)
			small = BN_mod_word(n, d) == 0;
	} while (small);
	return for_esxi(of_key(f, weak_key(n, 65537)));
}

#define CASE(code) { #code, code }
static const struct {
	const char *code;
	struct given (*make)(const struct fixture *f);
} cases[] = {
	CASE(expired), CASE(not_yet_valid), CASE(long_validity), CASE(san_missing), CASE(no_server_auth), CASE(key_usage), CASE(self_signed), CASE(untrusted_root),
	CASE(missing_intermediate), CASE(client_refuses), CASE(sha1_signature), CASE(weak_rsa), CASE(weak_ec), CASE(close_primes), CASE(roca), CASE(blocked_key), CASE(ec_for_esxi),
	CASE(large_rsa_for_esxi), CASE(pss_for_esxi),
};
enum { CASES = sizeof cases / sizeof *cases };

static struct custos_json *report_of(const struct given *g, const char *const accept[])
{
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	struct custos_check_options options = g->options;
	struct custos_json *report = NULL;
	options.accept = accept;
	options.now_unix = LAB_NOW;
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	for (int i = 0; i < 3 && g->certs[i] != NULL; i++) {
		CUSTOS_AUTO_BUF pem = { 0 };
		lab_pem(&pem, g->certs[i]);
		assert_int_equal(custos_bag_add(bag, "bag.pem", custos_buf_view(&pem), NULL), CUSTOS_OK);
	}
	assert_int_equal(custos_cert_check(bag, &options, &report, NULL, NULL), CUSTOS_OK);
	return report;
}

static void fail_with(const struct custos_json *report, const char *code, const char *what)
{
	char *text = custos_json_pretty(custos_json_get(report, "problems"));
	print_error("%s\n", text);
	free(text);
	fail_msg("%s: %s", code, what);
}

static bool refuses(const struct given *g, const char *code, const char *const accept[], const char *what)
{
	CUSTOS_AUTO(custos_json) *report = report_of(g, accept);
	if (custos_json_bool(report, "usable", false))
		fail_with(report, code, what);
	return true;
}

static void each_takes_one_thing_and_nothing_else(void **state)
{
	const struct fixture *f = *state;
	for (size_t i = 0; i < CASES; i++) {
		const char *code = cases[i].code, *others[CASES] = { NULL }, *own[] = { code, NULL };
		struct given g = cases[i].make(f);
		for (size_t k = 0, n = 0; k < CASES; k++)
			if (k != i)
				others[n++] = cases[k].code;
		assert_true(refuses(&g, code, NULL, "usable without it"));
		assert_true(refuses(&g, code, others, "usable with the others"));
		CUSTOS_AUTO(custos_json) *report = report_of(&g, own);
		const struct custos_json *problems = custos_json_get(report, "problems");
		size_t accepted = 0;
		if (!custos_json_bool(report, "usable", false))
			fail_with(report, code, "not usable with it");
		for (size_t k = 0; k < custos_json_count(problems); k++) {
			const struct custos_json *p = custos_json_at(problems, k);
			if (!custos_json_bool(p, "accepted", false))
				continue;
			assert_string_equal(custos_json_text(p, "code"), code);
			assert_string_equal(custos_json_text(p, "severity"), "warning");
			accepted++;
		}
		assert_true(accepted > 0);
		for (int k = 0; k < 3; k++)
			X509_free(g.certs[k]);
	}
}

/* The table is whole when it has a row for everything that may be accepted; the words of the command line are held against it in judge.bats, by their number. */
static void the_table_is_whole(void **state)
{
	(void)state;
	assert_int_equal(CASES, 19);
	for (size_t i = 0; i < CASES; i++) {
		assert_true(custos_check_may_accept(cases[i].code));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(cases[i].code, cases[k].code);
	}
	assert_false(custos_check_may_accept("other_key"));
	assert_false(custos_check_may_accept(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_takes_one_thing_and_nothing_else), cmocka_unit_test(the_table_is_whole) };
	return cmocka_run_group_tests_name("x509 accept", tests, setup, teardown);
}
