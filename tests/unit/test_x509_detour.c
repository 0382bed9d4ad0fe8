/* The shortest path is not always one: limits of length and of names, anchors that have expired, issuers made wrong. Where there is another way it is taken; where there is
 * none the chain is still built, for whoever judges it to say why. */
#include "x509_pki.h"

#include "x509/chain.h"

/* root signs top signs low signs leaf, and root or somebody else certifies low or top once more, with a limit. */
struct pki {
	EVP_PKEY *key[5];
	X509 *root, *old_root, *top, *low, *leaf;
};

static struct pki *pki_new(void)
{
	struct pki *p = calloc(1, sizeof *p);
	for (int i = 0; i < 5; i++)
		p->key[i] = lab_ec();
	p->root = lab_root("Lab Root", p->key[0]);
	p->old_root = lab_issue((struct lab_spec){ .cn = "Lab Old Root", .ca = true, .key = p->key[4], .from = -900, .until = -1 });
	p->top = lab_ca("Lab Top", p->key[1], p->root, p->key[0]);
	p->low = lab_ca("Lab Low", p->key[2], p->top, p->key[1]);
	p->leaf = lab_leaf("a.example.com", p->key[3], p->low, p->key[2]);
	return p;
}

static void pki_free(struct pki *p)
{
	for (int i = 0; i < 5; i++)
		EVP_PKEY_free(p->key[i]);
	X509_free(p->root);
	X509_free(p->old_root);
	X509_free(p->top);
	X509_free(p->low);
	X509_free(p->leaf);
	free(p);
}

/* How long the chain is, built from these with both roots trusted; *ret_second is its second certificate's index in the bag. */
static size_t built_for(const char *purpose, const struct pki *p, X509 *const *certs, size_t count, size_t *ret_second)
{
	struct custos_bag *bag = NULL;
	struct custos_anchors *trust = NULL;
	struct custos_chain *chain = NULL;
	CUSTOS_AUTO_BUF pem = { .max = CUSTOS_BAG_INPUT_MAX }, roots = { 0 };
	lab_pem(&roots, p->old_root);
	lab_pem(&roots, p->root);
	for (size_t i = 0; i < count; i++)
		lab_pem(&pem, certs[i]);
	assert_int_equal(custos_anchors_new(&trust, NULL), CUSTOS_OK);
	assert_int_equal(custos_anchors_add_pem(trust, custos_buf_view(&roots), "roots", NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_new(&bag, NULL), CUSTOS_OK);
	assert_int_equal(custos_bag_add(bag, "bag", custos_buf_view(&pem), NULL), CUSTOS_OK);
	const struct custos_chain_options options = { .now_unix = LAB_NOW, .trust = trust, .purpose = purpose };
	assert_int_equal(custos_chain_build(bag, &options, &chain, NULL), CUSTOS_OK);
	assert_int_equal(chain->end, CUSTOS_CHAIN_ANCHORED);
	size_t length = chain->count;
	*ret_second = length > 1 ? chain->item[1] : SIZE_MAX;
	custos_chain_free(chain);
	custos_anchors_free(trust);
	custos_bag_free(bag);
	return length;
}

static size_t built(const struct pki *p, X509 *const *certs, size_t count, size_t *ret_second)
{
	return built_for(NULL, p, certs, count, ret_second);
}

/* `low` once more, straight from the root, with this limit: leaf, low would be the shortest chain. */
static X509 *short_cut(const struct pki *p, int nid, const char *limit)
{
	const struct lab_spec spec = { .cn = "Lab Low", .ca = true, .key = p->key[2], .issuer = p->root, .issuer_key = p->key[0] };
	X509 *cert = lab_issue(spec);
	if (limit != NULL)
		lab_extension(cert, p->root, nid, limit);
	lab_sign(cert, p->key[0], &spec);
	return cert;
}

static void names_it_may_not_issue_for(void **state)
{
	(void)state;
	static const struct {
		const char *limit;
		size_t length;
	} rows[] = {
		{ NULL, 2 }, { "critical,permitted;DNS:example.com", 2 }, { "critical,excluded;DNS:other.example", 2 }, { "critical,excluded;DNS:example.com", 3 }, { "critical,permitted;DNS:other.example", 3 },
	};
	struct pki *p = pki_new();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t second;
		X509 *cut = short_cut(p, NID_name_constraints, rows[i].limit);
		X509 *const both[] = { cut, p->leaf, p->low, p->top }, *const alone[] = { cut, p->leaf };
		assert_int_equal(built(p, both, 4, &second), rows[i].length);
		assert_int_equal(second, rows[i].length == 2 ? 0 : 2);
		assert_int_equal(built(p, alone, 2, &second), 2);
		X509_free(cut);
	}
	pki_free(p);
}

static void so_many_below_it(void **state)
{
	(void)state;
	struct pki *p = pki_new();
	size_t second;
	const struct lab_spec spec = { .cn = "Lab Top", .key = p->key[1], .usage = "critical,keyCertSign", .issuer = p->root, .issuer_key = p->key[0] };
	for (int limit = 0; limit < 2; limit++) {
		X509 *narrow = lab_issue(spec), *bridge = lab_ca("Lab Bridge", p->key[4], p->root, p->key[0]), *wide = lab_ca("Lab Top", p->key[1], bridge, p->key[4]);
		lab_extension(narrow, p->root, NID_basic_constraints, limit == 0 ? "critical,CA:TRUE,pathlen:0" : "critical,CA:TRUE,pathlen:1");
		lab_sign(narrow, p->key[0], &spec);
		X509 *const both[] = { narrow, p->leaf, p->low, wide, bridge }, *const alone[] = { narrow, p->leaf, p->low };
		assert_int_equal(built(p, both, 5, &second), limit == 0 ? 4 : 3);
		assert_int_equal(built(p, alone, 3, &second), 3);
		X509_free(narrow);
		X509_free(bridge);
		X509_free(wide);
	}
	pki_free(p);
}

static void an_anchor_that_has_expired(void **state)
{
	(void)state;
	struct pki *p = pki_new();
	size_t second;
	X509 *cut = lab_ca("Lab Low", p->key[2], p->old_root, p->key[4]);
	X509 *const both[] = { cut, p->leaf, p->low, p->top }, *const alone[] = { cut, p->leaf };
	assert_int_equal(built(p, both, 4, &second), 3);
	assert_int_equal(second, 2);
	assert_int_equal(built(p, alone, 2, &second), 2);
	X509_free(cut);
	pki_free(p);
}

/* A CA's certificate whose key may not sign is no CA, and no server either: the leaf is the one that names a host. */
static void an_issuer_made_wrong(void **state)
{
	(void)state;
	struct pki *p = pki_new();
	size_t second;
	X509 *wrong = lab_issue((struct lab_spec){ .cn = "Lab Low", .ca = true, .usage = "critical,digitalSignature", .key = p->key[2], .issuer = p->root, .issuer_key = p->key[0] });
	X509 *const both[] = { wrong, p->leaf, p->low, p->top };
	assert_int_equal(built(p, both, 4, &second), 3);
	assert_int_equal(second, 2);
	X509_free(wrong);
	pki_free(p);
}

/* Clients go on to none of these, whatever else is on the path. */
static void issuers_that_clients_refuse(void **state)
{
	(void)state;
	enum what { PURPOSE, RIGHT_PURPOSE, CRITICAL, NO_CONSTRAINTS, OLD_DIGEST, ROWS };
	struct pki *p = pki_new();
	for (int i = 0; i < ROWS; i++) {
		size_t second;
		const struct lab_spec spec = {
			.cn = "Lab Low", .ca = i != NO_CONSTRAINTS, .usage = "critical,keyCertSign", .md_sha1 = i == OLD_DIGEST, .key = p->key[2], .issuer = p->root, .issuer_key = p->key[0],
			.purpose = i == PURPOSE ? "clientAuth" : i == RIGHT_PURPOSE ? "clientAuth,serverAuth" : NULL,
		};
		X509 *cut = lab_issue(spec);
		if (i == CRITICAL) {
			lab_extension(cut, p->root, NID_netscape_comment, "critical,nobody knows");
			lab_sign(cut, p->key[0], &spec);
		}
		X509 *const both[] = { cut, p->leaf, p->low, p->top }, *const alone[] = { cut, p->leaf };
		assert_int_equal(built(p, both, 4, &second), i == RIGHT_PURPOSE ? 2 : 3);
		assert_int_equal(second, i == RIGHT_PURPOSE ? 0 : 2);
		assert_int_equal(built(p, alone, 2, &second), 2);
		if (i == PURPOSE)
			assert_int_equal(built_for("ssl_client", p, both, 4, &second), 2);
		X509_free(cut);
	}
	pki_free(p);
}

static void exclude(X509 *cert, const X509_NAME *name)
{
	NAME_CONSTRAINTS *limits = NAME_CONSTRAINTS_new();
	GENERAL_SUBTREE *tree = GENERAL_SUBTREE_new();
	GENERAL_NAME_set0_value(tree->base, GEN_DIRNAME, X509_NAME_dup(name));
	limits->excludedSubtrees = sk_GENERAL_SUBTREE_new_null();
	assert_true(sk_GENERAL_SUBTREE_push(limits->excludedSubtrees, tree) > 0);
	assert_int_equal(X509_add1_ext_i2d(cert, NID_name_constraints, limits, 1, 0), 1);
	NAME_CONSTRAINTS_free(limits);
}

/* Names of a CA between are constrained, too: the same certificate is right on one path and wrong on another. */
static void a_path_that_is_only_wrong_as_a_whole(void **state)
{
	(void)state;
	struct pki *p = pki_new();
	size_t second;
	const struct lab_spec spec = { .cn = "Lab Top", .ca = true, .key = p->key[1], .issuer = p->root, .issuer_key = p->key[0] };
	X509 *narrow = lab_issue(spec), *bridge = lab_ca("Lab Bridge", p->key[4], p->root, p->key[0]), *wide = lab_ca("Lab Top", p->key[1], bridge, p->key[4]);
	exclude(narrow, X509_get_subject_name(p->low));
	lab_sign(narrow, p->key[0], &spec);
	X509 *const both[] = { narrow, p->leaf, p->low, wide, bridge }, *const alone[] = { narrow, p->leaf, p->low };
	assert_int_equal(built(p, both, 5, &second), 4);
	assert_int_equal(built(p, alone, 3, &second), 3);
	X509_free(narrow);
	X509_free(bridge);
	X509_free(wide);
	pki_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_it_may_not_issue_for), cmocka_unit_test(so_many_below_it), cmocka_unit_test(an_anchor_that_has_expired), cmocka_unit_test(an_issuer_made_wrong),
		cmocka_unit_test(issuers_that_clients_refuse), cmocka_unit_test(a_path_that_is_only_wrong_as_a_whole),
	};
	return cmocka_run_group_tests_name("x509 detours", tests, NULL, NULL);
}
