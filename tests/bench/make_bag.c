/* make_bag KIND COUNT: certificates on stdout, for benchmarks and for tests of limits; no private key is written, and what is asked for is made the
 * same way each time (keys and serials apart).
 *
 *   chain     PEM: a leaf with two intermediates and a root, among strangers of other names
 *   tangle    PEM: certificates of one name that may all have issued each other, and whose signatures do not verify
 *   circle    PEM: a leaf below two CAs, and certificates with which they certify each other
 *   wide      DER: certificates of one name with RSA keys of 16,384 bits and signatures that do not verify
 *   names     DER: one certificate with COUNT alternative names
 *   subject   DER: one certificate with COUNT parts in its subject
 *   extended  DER: one certificate with COUNT unknown extensions
 *   dust      DER: COUNT certificates that are as small as they get
 *
 * A root that may be taken for the trust anchor is the first certificate of these, the leaf the last:
 *
 *   twins     PEM: CAs of one name and one key identifier, each with a key of its own; the last of them issued the leaf
 *   mesh      PEM: CAs that have all certified each other, COUNT certificates; the root excludes the name of the one above the leaf
 *   claims    PEM: CAs of one name and one key that issued the leaf, and that the root did not sign as they say
 *   limits    PEM: CAs of one name and one key with 50 name constraints each, above a leaf with 20,000 names */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(promise) \
	do { \
		if (!(promise)) { \
			fprintf(stderr, "make_bag: %s\n", #promise); \
			exit(1); \
		} \
	} while (0)

struct ca {
	X509 *cert;
	EVP_PKEY *key;
};

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	MUST(extension != NULL && X509_add_ext(cert, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void add_part(X509_NAME *name, const char *type, const char *value)
{
	MUST(X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) == 1);
}

enum extras { EXTRA_CA = 1, EXTRA_LEAF = 2, EXTRA_IDS = 4 };

/* Not signed yet. */
static X509 *blank(const char *cn, EVP_PKEY *key, X509 *issuer, unsigned extras)
{
	X509 *cert = X509_new();
	uint64_t serial;
	MUST(cert != NULL && RAND_bytes((unsigned char *)&serial, sizeof serial) == 1);
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1);
	add_part(X509_get_subject_name(cert), "O", "Example");
	add_part(X509_get_subject_name(cert), "CN", cn);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer == NULL ? cert : issuer));
	X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * 90);
	X509_set_pubkey(cert, key);
	if ((extras & EXTRA_CA) != 0) {
		extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
		extend(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	}
	if ((extras & EXTRA_LEAF) != 0) {
		char san[128];
		snprintf(san, sizeof san, "DNS:%s", cn);
		extend(cert, cert, NID_subject_alt_name, san);
		extend(cert, cert, NID_ext_key_usage, "serverAuth");
		extend(cert, cert, NID_key_usage, "critical,digitalSignature");
	}
	if ((extras & EXTRA_IDS) != 0) {
		extend(cert, cert, NID_subject_key_identifier, "hash");
		extend(cert, issuer == NULL ? cert : issuer, NID_authority_key_identifier, "keyid");
	}
	return cert;
}

static X509 *issue(const char *cn, EVP_PKEY *key, const struct ca *issuer, unsigned extras)
{
	X509 *cert = blank(cn, key, issuer == NULL ? NULL : issuer->cert, extras);
	MUST(X509_sign(cert, issuer == NULL ? key : issuer->key, EVP_sha256()) > 0);
	return cert;
}

static struct ca make_ca(const char *cn, const struct ca *issuer)
{
	struct ca ca = { .key = EVP_EC_gen("P-256") };
	MUST(ca.key != NULL);
	ca.cert = issue(cn, ca.key, issuer, EXTRA_CA | EXTRA_IDS);
	return ca;
}

static void drop_ca(struct ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
}

enum form { AS_PEM, AS_DER };

static void put(X509 *cert, enum form form)
{
	MUST((form == AS_PEM ? PEM_write_X509(stdout, cert) : i2d_X509_fp(stdout, cert)) == 1);
	X509_free(cert);
}

static void put_kept(X509 *cert)
{
	MUST(PEM_write_X509(stdout, cert) == 1);
}

/* The right ones stand a quarter of the way apart, root first and leaf last. */
static void chain(size_t count)
{
	struct ca root = make_ca("Bench Root", NULL), top = make_ca("Bench Top", &root), low = make_ca("Bench Low", &top), stranger = make_ca("Stranger", NULL);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *leaf = issue("bench.example.com", key, &low, EXTRA_LEAF | EXTRA_IDS), *right[] = { root.cert, top.cert, low.cert, leaf };
	MUST(count >= 4);
	for (size_t i = 0, given = 0; i < count; i++) {
		char cn[64];
		if (given < 4 && i >= given * (count - 1) / 3) {
			put_kept(right[given++]);
			continue;
		}
		snprintf(cn, sizeof cn, "Stranger %zu", i);
		put(issue(cn, stranger.key, &stranger, EXTRA_CA | EXTRA_IDS), AS_PEM);
	}
	X509_free(leaf);
	EVP_PKEY_free(key);
	drop_ca(&root);
	drop_ca(&top);
	drop_ca(&low);
	drop_ca(&stranger);
}

/* Three keys of one name and no key identifiers: only a signature tells who issued whom. */
static void tangle(size_t count)
{
	struct ca a = make_ca("Tangle", NULL);
	EVP_PKEY *b = EVP_EC_gen("P-256"), *c = EVP_EC_gen("P-256");
	for (size_t i = 0; i < count; i++)
		put(issue("Tangle", i % 2 == 0 ? b : c, &a, EXTRA_CA), AS_PEM);
	put(issue("tangle.example.com", b, &a, EXTRA_LEAF), AS_PEM);
	EVP_PKEY_free(b);
	EVP_PKEY_free(c);
	drop_ca(&a);
}

static void circle(size_t count)
{
	struct ca a = make_ca("Circle A", NULL), b = make_ca("Circle B", NULL);
	for (size_t i = 0; i < count; i++)
		put(i % 2 == 0 ? issue("Circle A", a.key, &b, EXTRA_CA | EXTRA_IDS) : issue("Circle B", b.key, &a, EXTRA_CA | EXTRA_IDS), AS_PEM);
	put(issue("circle.example.com", a.key, &b, EXTRA_LEAF), AS_PEM);
	drop_ca(&a);
	drop_ca(&b);
}

/* A public key that nobody has the private one of: an odd number. */
static EVP_PKEY *odd_number(unsigned bits)
{
	BIGNUM *n = BN_new(), *e = BN_new();
	MUST(n != NULL && e != NULL && BN_rand(n, (int)bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD) == 1 && BN_set_word(e, 65537) == 1);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	MUST(build != NULL && OSSL_PARAM_BLD_push_BN(build, "n", n) == 1 && OSSL_PARAM_BLD_push_BN(build, "e", e) == 1);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	MUST(EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(build);
	BN_free(n);
	BN_free(e);
	return key;
}

/* A signature that is a signature's length and none; the algorithm is taken from a signature that is. */
static void forge(X509 *cert, EVP_PKEY *signer, size_t len)
{
	const X509_ALGOR *algorithm;
	const ASN1_BIT_STRING *signature;
	unsigned char *junk = OPENSSL_zalloc(len);
	MUST(junk != NULL && X509_sign(cert, signer, EVP_sha256()) > 0);
	X509_get0_signature(&signature, &algorithm, cert);
	memset(junk + 1, 0x5a, len - 1);
	ASN1_STRING_set0((ASN1_STRING *)(uintptr_t)signature, junk, (int)len);
}

static void wide(size_t count)
{
	enum { BITS = 16384 };
	EVP_PKEY *signer = EVP_RSA_gen(2048), *key = odd_number(BITS);
	MUST(signer != NULL);
	for (size_t i = 0; i <= count; i++) {
		X509 *cert = blank(i == count ? "wide.example.com" : "Wide", key, NULL, i == count ? EXTRA_LEAF : EXTRA_CA), *named = blank("Wide", key, NULL, 0);
		X509_set_issuer_name(cert, X509_get_subject_name(named));
		X509_free(named);
		forge(cert, signer, BITS / 8);
		put(cert, AS_DER);
	}
	EVP_PKEY_free(key);
	EVP_PKEY_free(signer);
}

static void one_large(const char *kind, size_t count)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = blank("large.example.com", key, NULL, strcmp(kind, "names") == 0 ? 0 : EXTRA_LEAF);
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	ASN1_OCTET_STRING *nothing = ASN1_OCTET_STRING_new();
	for (size_t i = 0; i < count; i++) {
		char text[64];
		if (strcmp(kind, "names") == 0) {
			GENERAL_NAME *name = GENERAL_NAME_new();
			ASN1_IA5STRING *value = ASN1_IA5STRING_new();
			ASN1_STRING_set(value, "a", 1);
			GENERAL_NAME_set0_value(name, GEN_DNS, value);
			MUST(sk_GENERAL_NAME_push(names, name) > 0);
		} else if (strcmp(kind, "subject") == 0) {
			add_part(X509_get_subject_name(cert), "O", "x");
		} else {
			snprintf(text, sizeof text, "1.3.6.1.4.1.%zu", 100000 + i);
			ASN1_OBJECT *object = OBJ_txt2obj(text, 1);
			X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, nothing);
			MUST(extension != NULL && X509_add_ext(cert, extension, -1) == 1);
			X509_EXTENSION_free(extension);
			ASN1_OBJECT_free(object);
		}
	}
	if (strcmp(kind, "names") == 0)
		MUST(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1);
	MUST(X509_sign(cert, key, EVP_sha256()) > 0);
	put(cert, AS_DER);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	ASN1_OCTET_STRING_free(nothing);
	EVP_PKEY_free(key);
}

static void dust(size_t count)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (size_t i = 0; i < count; i++) {
		X509 *cert = X509_new();
		ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), i);
		X509_gmtime_adj(X509_getm_notBefore(cert), 0);
		X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
		X509_set_pubkey(cert, key);
		MUST(X509_sign(cert, key, NULL) > 0);
		put(cert, AS_DER);
	}
	EVP_PKEY_free(key);
}

/* One key identifier for all: what tells keys apart elsewhere tells nothing here. */
static void same_identifiers(X509 *cert, X509 *issuer)
{
	extend(cert, cert, NID_subject_key_identifier, "5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A");
	if (issuer != NULL)
		extend(cert, issuer, NID_authority_key_identifier, "keyid");
}

static X509 *below(const char *cn, EVP_PKEY *key, const struct ca *issuer, unsigned extras)
{
	X509 *cert = blank(cn, key, issuer->cert, extras);
	same_identifiers(cert, issuer->cert);
	return cert;
}

static void twins(size_t count)
{
	struct ca root = make_ca("Twins Root", NULL), last = { 0 };
	put_kept(root.cert);
	for (size_t i = 0; i < count; i++) {
		drop_ca(&last);
		last.key = EVP_EC_gen("P-256");
		last.cert = below("Twin", last.key, &root, EXTRA_CA);
		MUST(X509_sign(last.cert, root.key, EVP_sha256()) > 0);
		put_kept(last.cert);
	}
	X509 *leaf = below("twins.example.com", root.key, &last, EXTRA_LEAF);
	MUST(X509_sign(leaf, last.key, EVP_sha256()) > 0);
	put(leaf, AS_PEM);
	drop_ca(&last);
	drop_ca(&root);
}

static NAME_CONSTRAINTS *no_constraints(void)
{
	NAME_CONSTRAINTS *limits = NAME_CONSTRAINTS_new();
	MUST(limits != NULL && (limits->excludedSubtrees = sk_GENERAL_SUBTREE_new_null()) != NULL);
	return limits;
}

static void exclude(NAME_CONSTRAINTS *limits, int type, void *value)
{
	GENERAL_SUBTREE *tree = GENERAL_SUBTREE_new();
	MUST(tree != NULL && value != NULL);
	GENERAL_NAME_set0_value(tree->base, type, value);
	MUST(sk_GENERAL_SUBTREE_push(limits->excludedSubtrees, tree) > 0);
}

static void put_limits(X509 *cert, NAME_CONSTRAINTS *limits, EVP_PKEY *signer)
{
	MUST(X509_add1_ext_i2d(cert, NID_name_constraints, limits, 1, 0) == 1 && X509_sign(cert, signer, EVP_sha256()) > 0);
	NAME_CONSTRAINTS_free(limits);
}

static void mesh(size_t count)
{
	enum { AUTHORITIES_MAX = 128 };
	struct ca root = make_ca("Mesh Root", NULL), all[AUTHORITIES_MAX];
	size_t n = 2, given = 0;
	while (n < AUTHORITIES_MAX && n * n < count)
		n++;
	for (size_t i = 0; i < n; i++) {
		char cn[32];
		snprintf(cn, sizeof cn, "Mesh %zu", i);
		all[i] = make_ca(cn, &root);
	}
	NAME_CONSTRAINTS *limits = no_constraints();
	exclude(limits, GEN_DIRNAME, X509_NAME_dup(X509_get_subject_name(all[0].cert)));
	put_limits(root.cert, limits, root.key);
	put_kept(root.cert);
	put_kept(all[n - 1].cert);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n && given < count; k++)
			if (i != k) {
				X509 *cert = blank("Mesh", all[k].key, all[i].cert, EXTRA_CA | EXTRA_IDS);
				X509_set_subject_name(cert, X509_get_subject_name(all[k].cert));
				MUST(X509_sign(cert, all[i].key, EVP_sha256()) > 0);
				put(cert, AS_PEM);
				given++;
			}
	put(issue("mesh.example.com", root.key, &all[0], EXTRA_LEAF | EXTRA_IDS), AS_PEM);
	for (size_t i = 0; i < n; i++)
		drop_ca(&all[i]);
	drop_ca(&root);
}

/* The signature of one is put on all: right in form, and wrong. */
static void claims(size_t count)
{
	struct ca root = { .key = EVP_EC_gen("P-384") }, liar = make_ca("Claims", NULL);
	const ASN1_BIT_STRING *signature, *own;
	root.cert = issue("Claims Root", root.key, NULL, EXTRA_CA | EXTRA_IDS);
	put_kept(root.cert);
	X509_get0_signature(&signature, NULL, root.cert);
	for (size_t i = 0; i < count; i++) {
		X509 *cert = blank("Claims", liar.key, root.cert, EXTRA_CA | EXTRA_IDS);
		MUST(X509_sign(cert, liar.key, EVP_sha256()) > 0);
		X509_get0_signature(&own, NULL, cert);
		MUST(ASN1_STRING_set((ASN1_STRING *)(uintptr_t)own, signature->data, signature->length) == 1);
		put(cert, AS_PEM);
	}
	put(issue("claims.example.com", root.key, &liar, EXTRA_LEAF | EXTRA_IDS), AS_PEM);
	drop_ca(&liar);
	drop_ca(&root);
}

static ASN1_IA5STRING *dns_name(size_t number)
{
	char text[32];
	ASN1_IA5STRING *name = ASN1_IA5STRING_new();
	snprintf(text, sizeof text, "a%zu.example", number);
	MUST(name != NULL && ASN1_STRING_set(name, text, -1) == 1);
	return name;
}

static void add_names(X509 *cert, size_t count)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	for (size_t i = 0; i < count; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();
		GENERAL_NAME_set0_value(name, GEN_DNS, dns_name(i));
		MUST(sk_GENERAL_NAME_push(names, name) > 0);
	}
	MUST(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE) == 1);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
}

static void limits(size_t count)
{
	enum { CONSTRAINTS = 50, NAMES = 20000 };
	struct ca root = make_ca("Limits Root", NULL), many = make_ca("Limits", &root);
	put_kept(root.cert);
	for (size_t i = 0; i < count; i++) {
		X509 *cert = blank("Limits", many.key, root.cert, EXTRA_CA | EXTRA_IDS);
		NAME_CONSTRAINTS *all = no_constraints();
		for (size_t k = 0; k < CONSTRAINTS; k++)
			exclude(all, GEN_DNS, dns_name(NAMES + k));
		put_limits(cert, all, root.key);
		put(cert, AS_PEM);
	}
	X509 *leaf = blank("limits.example.com", root.key, many.cert, EXTRA_LEAF | EXTRA_IDS);
	add_names(leaf, NAMES);
	MUST(X509_sign(leaf, many.key, EVP_sha256()) > 0);
	put(leaf, AS_PEM);
	drop_ca(&many);
	drop_ca(&root);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *kind;
		void (*make)(size_t count);
	} kinds[] = { { "chain", chain }, { "tangle", tangle }, { "circle", circle }, { "wide", wide }, { "dust", dust },
		    { "twins", twins }, { "mesh", mesh }, { "claims", claims }, { "limits", limits } };
	size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	bool made = false;
	for (size_t i = 0; count > 0 && i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i].kind, argv[1]) == 0) {
			kinds[i].make(count);
			made = true;
		}
	if (count > 0 && (strcmp(argv[1], "names") == 0 || strcmp(argv[1], "subject") == 0 || strcmp(argv[1], "extended") == 0)) {
		one_large(argv[1], count);
		made = true;
	}
	if (!made) {
		fprintf(stderr, "usage: make_bag chain|tangle|circle|wide|names|subject|extended|dust|twins|mesh|claims|limits COUNT\n");
		return 2;
	}
	return fclose(stdout) == 0 ? 0 : 1;
}
