/* Chains from bags in any order, the search's bounds, and what a client says. */
#include "x509_pki.h"

#include "x509/chain.h"
#include "x509/judge.h"

#include <time.h>

enum { ROOT, TOP, LOW, LEAF, CERTS };

struct fixture {
	EVP_PKEY *key[CERTS];
	X509 *cert[CERTS];       /* root signs top signs low signs leaf */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	for (int i = 0; i < CERTS; i++)
		f->key[i] = lab_ec();
	f->cert[ROOT] = lab_root("Lab Root", f->key[ROOT]);
	f->cert[TOP] = lab_ca("Lab Top", f->key[TOP], f->cert[ROOT], f->key[ROOT]);
	f->cert[LOW] = lab_ca("Lab Low", f->key[LOW], f->cert[TOP], f->key[TOP]);
	f->cert[LEAF] = lab_leaf("a.example.com", f->key[LEAF], f->cert[LOW], f->key[LOW]);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < CERTS; i++) {
		X509_free(f->cert[i]);
		EVP_PKEY_free(f->key[i]);
	}
	free(f);
	return 0;
}

static struct custos_bag *bag_of(X509 *const *certs, size_t count)
{
	struct custos_bag *bag = NULL;
	CUSTOS_AUTO_BUF pem = { .max = CUSTOS_BAG_INPUT_MAX };
	for (size_t i = 0; i < count; i++)
		lab_pem(&pem, certs[i]);
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_add(bag, "bundle.pem", custos_buf_view(&pem), NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), count);
	return bag;
}

static struct custos_chain *build(const struct custos_bag *bag, struct custos_chain_options o)
{
	struct custos_chain *chain = NULL;
	o.now_unix = LAB_NOW;
	assert_int_equal(custos_chain_build(bag, &o, &chain, NULL), CUSTOS_OK);
	return chain;
}

static struct custos_chain *chain_of(X509 *const *certs, size_t count, struct custos_chain_options o)
{
	struct custos_bag *bag = bag_of(certs, count);
	struct custos_chain *chain = build(bag, o);
	custos_bag_free(bag); /* the chain does not need it any more */
	return chain;
}

static void expect_chain(const struct custos_chain *chain, X509 *const *certs, size_t count)
{
	assert_int_equal(chain->count, count);
	for (size_t i = 0; i < count; i++) {
		CUSTOS_AUTO_BUF der = { 0 };
		lab_der(&der, certs[i]);
		assert_true(custos_bytes_equal(chain->der[i], custos_buf_view(&der)));
	}
}

static bool has(const struct custos_chain *chain, const char *code)
{
	return custos_problems_find(&chain->problems, code) != NULL;
}

/* All 24 orders of four certificates give the same chain. */
static void every_order(void **state)
{
	struct fixture *f = *state;
	X509 *wanted[] = { f->cert[LEAF], f->cert[LOW], f->cert[TOP] };
	size_t in_order = 0;
	for (int n = 0; n < 256; n++) {
		int at[] = { n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6 & 3 }, seen = 1 << at[0] | 1 << at[1] | 1 << at[2] | 1 << at[3];
		if (seen != 15)
			continue;
		X509 *mixed[CERTS];
		for (int i = 0; i < CERTS; i++)
			mixed[i] = f->cert[at[i]];
		struct custos_chain *chain = chain_of(mixed, CERTS, (struct custos_chain_options){ 0 });
		expect_chain(chain, wanted, 3);
		assert_true(chain->root.len > 0);
		assert_int_equal(chain->end, CUSTOS_CHAIN_ROOT);
		assert_true(has(chain, "root_included"));
		assert_int_equal(custos_problems_count(&chain->problems, CUSTOS_SEVERITY_WARNING), 0);
		in_order += !has(chain, "wrong_order");
		custos_chain_free(chain);
	}
	assert_int_equal(in_order, 4); /* the root may stand anywhere */
}

static void missing_issuer(void **state)
{
	struct fixture *f = *state;
	struct custos_anchors *trust = NULL;
	CUSTOS_AUTO_BUF pem = { 0 };
	struct custos_chain *chain = chain_of(&f->cert[LEAF], 1, (struct custos_chain_options){ 0 });
	const struct custos_problem *problem = custos_problems_find(&chain->problems, "missing_intermediate");
	assert_non_null(problem);
	assert_int_equal(problem->severity, CUSTOS_SEVERITY_ERROR);
	assert_non_null(strstr(problem->text, "CN=Lab Low,O=Example"));
	custos_chain_free(chain);
	/* a hole in the middle: the root does not help, and is named as what it is */
	X509 *hole[] = { f->cert[LEAF], f->cert[TOP], f->cert[ROOT] };
	chain = chain_of(hole, 3, (struct custos_chain_options){ 0 });
	expect_chain(chain, hole, 1);
	assert_true(has(chain, "missing_intermediate"));
	assert_true(has(chain, "stranger"));
	custos_chain_free(chain);
	/* the second intermediate is missing: only anchors can tell */
	X509 *low[] = { f->cert[LEAF], f->cert[LOW] };
	chain = chain_of(low, 2, (struct custos_chain_options){ 0 });
	assert_int_equal(custos_problems_count(&chain->problems, CUSTOS_SEVERITY_WARNING), 0);
	assert_int_equal(chain->end, CUSTOS_CHAIN_OPEN);
	custos_chain_free(chain);
	lab_pem(&pem, f->cert[ROOT]);
	assert_int_equal(custos_anchors_new(&trust, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_add_pem(trust, custos_buf_view(&pem), "root", NULL), CUSTOS_OK);
	chain = chain_of(low, 2, (struct custos_chain_options){ .trust = trust });
	problem = custos_problems_find(&chain->problems, "missing_intermediate");
	assert_non_null(problem);
	assert_non_null(strstr(problem->text, "CN=Lab Top,O=Example"));
	custos_chain_free(chain);
	X509 *all[] = { f->cert[LEAF], f->cert[LOW], f->cert[TOP] };
	chain = chain_of(all, 3, (struct custos_chain_options){ .trust = trust });
	assert_int_equal(chain->end, CUSTOS_CHAIN_ANCHORED);
	assert_int_equal(chain->problems.count, 0);
	custos_chain_free(chain);
	custos_anchors_free(trust);
}

static void duplicates_strangers_and_several_leaves(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *key = lab_ec();
	X509 *other_root = lab_root("Other Root", key), *other_leaf = lab_leaf("b.example.com", key, f->cert[LOW], f->key[LOW]);
	X509 *bag[] = { f->cert[LEAF], f->cert[LOW], f->cert[LEAF], other_root, f->cert[TOP] };
	X509 *wanted[] = { f->cert[LEAF], f->cert[LOW], f->cert[TOP] };
	struct custos_chain *chain = chain_of(bag, 5, (struct custos_chain_options){ 0 });
	expect_chain(chain, wanted, 3);
	assert_non_null(strstr(custos_problems_find(&chain->problems, "duplicate")->text, "CN=a.example.com"));
	assert_non_null(strstr(custos_problems_find(&chain->problems, "stranger")->text, "CN=Other Root"));
	custos_chain_free(chain);
	X509 *two[] = { f->cert[LEAF], other_leaf, f->cert[LOW], f->cert[TOP] };
	chain = chain_of(two, 4, (struct custos_chain_options){ 0 });
	assert_int_equal(custos_problems_find(&chain->problems, "several_leaves")->severity, CUSTOS_SEVERITY_ERROR);
	custos_chain_free(chain);
	CUSTOS_AUTO_BUF spki = { 0 };
	lab_spki(&spki, key);
	chain = chain_of(two, 4, (struct custos_chain_options){ .leaf_spki = custos_buf_view(&spki) });
	X509 *named[] = { other_leaf, f->cert[LOW], f->cert[TOP] };
	expect_chain(chain, named, 3);
	assert_false(has(chain, "several_leaves"));
	custos_chain_free(chain);
	/* an old and a renewed certificate of one key: the valid one is taken */
	X509 *old = lab_issue((struct lab_spec){ .cn = "b.example.com", .sans = "DNS:b.example.com", .from = -400, .until = -5, .key = key, .issuer = f->cert[LOW], .issuer_key = f->key[LOW] });
	X509 *renewed[] = { old, other_leaf, f->cert[LOW], f->cert[TOP] };
	chain = chain_of(renewed, 4, (struct custos_chain_options){ 0 });
	expect_chain(chain, named, 3);
	assert_int_equal(custos_problems_find(&chain->problems, "several_of_key")->severity, CUSTOS_SEVERITY_WARNING);
	custos_chain_free(chain);
	X509_free(old);
	X509_free(other_root);
	X509_free(other_leaf);
	EVP_PKEY_free(key);
}

static void only_authorities_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct custos_chain *chain = chain_of(f->cert, 3, (struct custos_chain_options){ 0 });
	assert_int_equal(chain->count, 0);
	assert_true(has(chain, "no_server_certificate"));
	custos_chain_free(chain);
	struct custos_bag *bag = NULL;
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	chain = build(bag, (struct custos_chain_options){ 0 });
	assert_int_equal(chain->count, 0);
	assert_true(has(chain, "no_certificate"));
	custos_chain_free(chain);
	custos_bag_free(bag);
}

/* The new root is also certified by the old one: with the new root trusted the short way, with only the old one the long way. */
static void cross_signed_pair(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *old_key = lab_ec();
	X509 *old_root = lab_root("Old Root", old_key), *cross = lab_ca("Lab Root", f->key[ROOT], old_root, old_key);
	X509 *bag[] = { cross, f->cert[TOP], f->cert[LOW], f->cert[LEAF], f->cert[ROOT] };
	X509 *brief[] = { f->cert[LEAF], f->cert[LOW], f->cert[TOP] }, *full[] = { f->cert[LEAF], f->cert[LOW], f->cert[TOP], cross };
	struct custos_anchors *old_only = NULL;
	CUSTOS_AUTO_BUF pem = { 0 };
	struct custos_chain *chain = chain_of(bag, 5, (struct custos_chain_options){ 0 });
	expect_chain(chain, brief, 3);
	custos_chain_free(chain);
	chain = chain_of(bag, 4, (struct custos_chain_options){ 0 }); /* without the new root there is only the cross */
	expect_chain(chain, full, 4);
	custos_chain_free(chain);
	lab_pem(&pem, old_root);
	assert_int_equal(custos_anchors_new(&old_only, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_add_pem(old_only, custos_buf_view(&pem), "old", NULL), CUSTOS_OK);
	chain = chain_of(bag, 5, (struct custos_chain_options){ .trust = old_only });
	expect_chain(chain, full, 4);
	assert_int_equal(chain->end, CUSTOS_CHAIN_ANCHORED);
	custos_chain_free(chain);
	custos_anchors_free(old_only);
	/* an expired cross certificate is not a way */
	X509 *stale = lab_issue((struct lab_spec){ .cn = "Lab Low", .ca = true, .from = -90, .until = -1, .key = f->key[LOW], .issuer = f->cert[ROOT], .issuer_key = f->key[ROOT] });
	X509 *shorter_but_stale[] = { stale, f->cert[LEAF], f->cert[LOW], f->cert[TOP], f->cert[ROOT] };
	chain = chain_of(shorter_but_stale, 5, (struct custos_chain_options){ 0 });
	expect_chain(chain, brief, 3);
	custos_chain_free(chain);
	/* unless there is no other: then it is the chain, and the date is somebody else's remark */
	X509 *only_stale[] = { f->cert[LEAF], stale };
	chain = chain_of(only_stale, 2, (struct custos_chain_options){ 0 });
	expect_chain(chain, only_stale, 2);
	custos_chain_free(chain);
	X509_free(stale);
	X509_free(cross);
	X509_free(old_root);
	EVP_PKEY_free(old_key);
}

/* Same names, other keys: only the signature decides. */
static void impostor(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *key = lab_ec();
	X509 *fake = lab_issue((struct lab_spec){ .cn = "Lab Low", .ca = true, .no_key_ids = true, .key = key, .issuer = f->cert[TOP], .issuer_key = f->key[TOP] });
	X509 *bag[] = { fake, f->cert[LEAF], f->cert[LOW], f->cert[TOP] };
	X509 *wanted[] = { f->cert[LEAF], f->cert[LOW], f->cert[TOP] };
	struct custos_chain *chain = chain_of(bag, 4, (struct custos_chain_options){ 0 });
	expect_chain(chain, wanted, 3);
	assert_true(has(chain, "stranger"));
	custos_chain_free(chain);
	X509 *only_fake[] = { fake, f->cert[LEAF] };
	chain = chain_of(only_fake, 2, (struct custos_chain_options){ 0 });
	assert_true(has(chain, "missing_intermediate"));
	custos_chain_free(chain);
	X509_free(fake);
	EVP_PKEY_free(key);
}

/* Two authorities that certify each other, and one that certifies itself under another key: an end, no hang. */
static void loops(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *a = lab_ec(), *b = lab_ec();
	X509 *a_root = lab_root("A", a), *b_root = lab_root("B", b), *a_by_b = lab_ca("A", a, b_root, b), *b_by_a = lab_ca("B", b, a_root, a);
	X509 *a_by_old_a = lab_issue((struct lab_spec){ .cn = "A", .ca = true, .key = a, .issuer = a_root, .issuer_key = a, .no_key_ids = true });
	X509 *leaf = lab_leaf("a.example.com", f->key[LEAF], a_root, a);
	X509 *bag[] = { leaf, a_by_b, b_by_a };
	struct custos_chain *chain = chain_of(bag, 3, (struct custos_chain_options){ 0 });
	assert_true(chain->count >= 2 && chain->count <= 3);
	assert_true(has(chain, "no_root"));
	custos_chain_free(chain);
	X509 *with_root[] = { leaf, a_by_b, b_by_a, a_by_old_a, b_root };
	chain = chain_of(with_root, 5, (struct custos_chain_options){ 0 });
	assert_int_equal(chain->end, CUSTOS_CHAIN_ROOT);
	custos_chain_free(chain);
	X509 *all[] = { a_root, b_root, a_by_b, b_by_a, a_by_old_a, leaf };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		X509_free(all[i]);
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
}

/* What a host serves keeps its order; that it is wrong is the host's fault, and not put right there. */
static void served(void **state)
{
	struct fixture *f = *state;
	static const int orders[][3] = { { LEAF, LOW, TOP }, { LEAF, TOP, LOW } };
	for (size_t n = 0; n < 2; n++) {
		struct custos_buf ders[3] = { { 0 }, { 0 }, { 0 } };
		struct custos_bag *bag = NULL;
		for (size_t i = 0; i < 3; i++)
			lab_der(&ders[i], f->cert[orders[n][i]]);
		assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
		assert_int_equal(custos_bag_add_served(bag, "host.example.com:443", ders, 3, NULL), CUSTOS_OK);
		assert_int_equal(custos_bag_at(bag, 2)->form, CUSTOS_FORM_SERVED);
		struct custos_chain *chain = build(bag, (struct custos_chain_options){ 0 });
		assert_int_equal(chain->count, 3);
		assert_int_equal(has(chain, "served_wrong_order"), n == 1);
		assert_false(has(chain, "wrong_order"));
		custos_chain_free(chain);
		custos_bag_free(bag);
		for (size_t i = 0; i < 3; i++)
			custos_buf_done(&ders[i]);
	}
}

static int64_t milliseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 1,000 certificates: different names; one name; one name and one key, so that every one may have issued every other; three
 * keys of one name, so that half of them look like the issuers of the other half until the signature is checked. */
static void a_thousand(void **state)
{
	struct fixture *f = *state;
	enum { MANY = 1000 };
	X509 **certs = calloc(MANY + CERTS, sizeof(X509 *));
	for (int kind = 0; kind < 4; kind++) {
		EVP_PKEY *key = lab_ec();
		int64_t start;
		for (int i = 0; i < MANY; i++) {
			char cn[32];
			snprintf(cn, sizeof cn, kind == 0 ? "CA %d" : "Lab Low", i);
			EVP_PKEY *one = i == 0 ? key : i < MANY / 2 ? f->key[LOW] : f->key[LEAF], *other = i == 0 ? f->key[LOW] : key;
			certs[i] = kind == 3 ? lab_issue((struct lab_spec){ .cn = cn, .ca = true, .no_key_ids = true, .key = one, .issuer = f->cert[LOW], .issuer_key = other })
			         : kind == 2 ? lab_issue((struct lab_spec){ .cn = cn, .ca = true, .key = f->key[LOW], .issuer = f->cert[LOW], .issuer_key = f->key[LOW] })
			         : lab_ca(cn, key, f->cert[TOP], f->key[TOP]);
		}
		for (int i = 0; i < CERTS; i++)
			certs[MANY + i] = f->cert[CERTS - 1 - i];
		struct custos_bag *bag = bag_of(certs, MANY + CERTS);
		start = milliseconds();
		struct custos_chain *chain = build(bag, (struct custos_chain_options){ 0 });
		assert_true(milliseconds() - start < 4000); /* all pairs would be 500,000 signatures */
		assert_true(chain->count >= 1);
		if (kind == 3)
			assert_true(has(chain, "tangled"));
		if (kind < 2) {
			X509 *wanted[] = { f->cert[LEAF], f->cert[LOW], f->cert[TOP] };
			expect_chain(chain, wanted, 3);
			assert_non_null(strstr(custos_problems_find(&chain->problems, "stranger")->text, "and 997 more"));
		}
		custos_chain_free(chain);
		custos_bag_free(bag);
		for (int i = 0; i < MANY; i++)
			X509_free(certs[i]);
		EVP_PKEY_free(key);
	}
	free(certs);
}

static void judged(void **state)
{
	struct fixture *f = *state;
	struct custos_anchors *trust = NULL, *nobody = NULL;
	CUSTOS_AUTO_BUF pem = { 0 };
	struct custos_buf der[CERTS] = { { 0 }, { 0 }, { 0 }, { 0 } };
	char why[256];
	for (int i = 0; i < CERTS; i++)
		lab_der(&der[i], f->cert[i]);
	lab_pem(&pem, f->cert[ROOT]);
	assert_int_equal(custos_anchors_new(&trust, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_new(&nobody, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_add_pem(trust, custos_buf_view(&pem), "root", NULL), CUSTOS_OK);
	struct custos_bytes none = { 0 }, leaf = custos_buf_view(&der[LEAF]), low = custos_buf_view(&der[LOW]), top = custos_buf_view(&der[TOP]), root = custos_buf_view(&der[ROOT]);
	struct custos_bytes good[] = { leaf, low, top }, with_root[] = { leaf, low, top, root }, hole[] = { leaf, low }, turned[] = { low, leaf, top };
	assert_int_equal(custos_judge_served(good, 3, leaf, trust, "a.example.com", LAB_NOW, why, sizeof why), CUSTOS_JUDGE_ACCEPTED);
	assert_string_equal(why, "");
	assert_int_equal(custos_judge_served(with_root, 4, leaf, trust, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_ACCEPTED);
	assert_int_equal(custos_judge_served(good, 3, low, trust, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_OTHER_LEAF);
	assert_non_null(strstr(why, "CN=a.example.com"));
	assert_int_equal(custos_judge_served(turned, 3, leaf, trust, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_OTHER_LEAF);
	assert_int_equal(custos_judge_served(hole, 2, leaf, trust, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	assert_non_null(strstr(why, "missing intermediate"));
	assert_int_equal(custos_judge_served(with_root, 4, leaf, nobody, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	assert_non_null(strstr(why, "not trusted"));
	assert_int_equal(custos_judge_served(good, 3, leaf, trust, "b.example.com", LAB_NOW, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	assert_non_null(strstr(why, "does not name b.example.com"));
	assert_int_equal(custos_judge_served(good, 3, leaf, trust, NULL, LAB_NOW + 101 * LAB_DAY, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	assert_non_null(strstr(why, "expired"));
	assert_int_equal(custos_judge_served(good, 3, none, NULL, "a.example.com", LAB_NOW - 11 * LAB_DAY, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	assert_non_null(strstr(why, "not valid yet"));
	assert_int_equal(custos_judge_served(good, 1, none, NULL, "a.example.com", LAB_NOW, why, sizeof why), CUSTOS_JUDGE_ACCEPTED);
	assert_int_equal(custos_judge_served(good, 0, none, trust, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	struct custos_bytes cut[] = { { leaf.ptr, leaf.len - 1 } };
	assert_int_equal(custos_judge_served(cut, 1, none, trust, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	/* a client certificate is no server's, a CA's key signing for a leaf that is none is no chain */
	X509 *client = lab_issue((struct lab_spec){ .cn = "c", .sans = "DNS:c.example.com", .purpose = "clientAuth", .key = f->key[LEAF], .issuer = f->cert[ROOT], .issuer_key = f->key[ROOT] });
	X509 *below = lab_leaf("d.example.com", f->key[LEAF], f->cert[LEAF], f->key[LEAF]);
	CUSTOS_AUTO_BUF client_der = { 0 }, below_der = { 0 };
	lab_der(&client_der, client);
	lab_der(&below_der, below);
	struct custos_bytes wrong_purpose[] = { custos_buf_view(&client_der) }, no_ca[] = { custos_buf_view(&below_der), leaf, low, top };
	assert_int_equal(custos_judge_served(wrong_purpose, 1, none, trust, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	assert_int_equal(custos_judge_served(no_ca, 4, none, trust, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	X509_free(client);
	X509_free(below);
	assert_int_equal(custos_anchors_add_pem(nobody, CUSTOS_BYTES_STR("hello"), "hello.pem", NULL), CUSTOS_E_INPUT);
	custos_anchors_free(trust);
	custos_anchors_free(nobody);
	assert_int_equal(custos_anchors_new_system(&trust, NULL), CUSTOS_OK);
	assert_int_equal(custos_judge_served(good, 3, leaf, trust, NULL, LAB_NOW, why, sizeof why), CUSTOS_JUDGE_REFUSED);
	custos_anchors_free(trust);
	for (int i = 0; i < CERTS; i++)
		custos_buf_done(&der[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order), cmocka_unit_test(missing_issuer), cmocka_unit_test(duplicates_strangers_and_several_leaves),
		cmocka_unit_test(only_authorities_or_nothing), cmocka_unit_test(cross_signed_pair), cmocka_unit_test(impostor), cmocka_unit_test(loops), cmocka_unit_test(served),
		cmocka_unit_test(a_thousand), cmocka_unit_test(judged),
	};
	return cmocka_run_group_tests_name("x509 chain", tests, setup, teardown);
}
