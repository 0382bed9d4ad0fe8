/* From a path in the graph to a chain and to words. The search itself is path.c. */
#include "x509/chain.h"
#include "x509/judge.h"
#include "x509/name.h"
#include "x509/parsed.h"
#include "x509/path.h"

#include <stdio.h>

struct build {
	const struct custos_bag *bag;
	const struct custos_chain_options *options;
	struct custos_graph *graph;
	struct custos_chain *chain;
};

void custos_chain_free(struct custos_chain *chain)
{
	if (chain == NULL)
		return;
	free(chain->der);
	free(chain->item);
	custos_problems_done(&chain->problems);
	custos_buf_done(&chain->store);
	free(chain);
}

static bool has_server_name(const X509 *cert)
{
	bool broken, found = false;
	CUSTOS_AUTO_OSSL(alt_names) GENERAL_NAMES *names = custos_parsed_cert_names(cert, &broken);
	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		int type = sk_GENERAL_NAME_value(names, i)->type;
		found = found || type == GEN_DNS || type == GEN_IPADD;
	}
	return found;
}

/* A self-signed server certificate is often marked as a CA; a name of a host tells it from a real one. */
static bool may_be_leaf(const struct custos_node *node)
{
	return !node->ca || has_server_name(node->cert);
}

/* A certificate that is no CA and names no host is taken for the server's only where there is no better one: it may be an issuer that was made wrong. */
static bool any_names_host(const struct custos_graph *graph)
{
	for (size_t i = 0; i < graph->count; i++)
		if (has_server_name(graph->nodes[i].cert))
			return true;
	return false;
}

static bool has_spki(X509 *cert, struct custos_bytes spki)
{
	CUSTOS_AUTO_BUF own = { 0 };
	return custos_parsed_spki(X509_get_X509_PUBKEY(cert), &own, NULL) == CUSTOS_OK && custos_bytes_equal(custos_buf_view(&own), spki);
}

static int64_t start_of(const X509 *cert)
{
	int64_t from = 0;
	return custos_parsed_time(X509_get0_notBefore(cert), &from) ? from : 0;
}

/* Two certificates of one key (an old one and its renewal): the one that is valid, then the newer one. */
static size_t better_of(const struct custos_graph *graph, size_t a, size_t b)
{
	const struct custos_node *x = &graph->nodes[a], *y = &graph->nodes[b];
	if (x->valid_now != y->valid_now)
		return x->valid_now ? a : b;
	return start_of(y->cert) > start_of(x->cert) ? b : a;
}

static size_t leaf_of_key(const struct build *b)
{
	size_t found = SIZE_MAX, several = 0;
	for (size_t i = 0; i < b->graph->count; i++)
		if (has_spki(b->graph->nodes[i].cert, b->options->leaf_spki)) {
			found = found == SIZE_MAX ? i : better_of(b->graph, found, i);
			several++;
		}
	if (several > 1)
		custos_problems_add(&b->chain->problems, "several_of_key", CUSTOS_SEVERITY_WARNING, "give only the certificate that is meant",
		                    "%zu different certificates belong to this key; the newest one that is valid was taken", several);
	return found;
}

static size_t choose_leaf(const struct build *b)
{
	size_t leaf = b->options->leaf_spki.len > 0 ? leaf_of_key(b) : SIZE_MAX, several = 0;
	bool same_key = true, named = any_names_host(b->graph);
	CUSTOS_AUTO_BUF spki = { 0 };
	if (leaf != SIZE_MAX)
		return leaf;
	for (size_t i = 0; i < b->graph->count; i++) {
		X509 *cert = b->graph->nodes[i].cert;
		if (!may_be_leaf(&b->graph->nodes[i]) || (named && !has_server_name(cert)))
			continue;
		if (several++ > 0)
			same_key = same_key && has_spki(cert, custos_buf_view(&spki));
		else if (custos_parsed_spki(X509_get_X509_PUBKEY(cert), &spki, NULL) != CUSTOS_OK)
			custos_buf_done(&spki);
		leaf = leaf == SIZE_MAX ? i : same_key ? better_of(b->graph, leaf, i) : leaf;
	}
	if (several > 1 && b->options->leaf_spki.len == 0)
		custos_problems_add(&b->chain->problems, same_key ? "several_of_key" : "several_leaves", same_key ? CUSTOS_SEVERITY_WARNING : CUSTOS_SEVERITY_ERROR,
		                    "give only the server certificate that is meant, or name its key",
		                    same_key ? "%zu certificates of one key were given; the newest one that is valid was taken" : "%zu different server certificates were given", several);
	return leaf;
}

static void explain_no_leaf(const struct build *b)
{
	struct custos_problems *problems = &b->chain->problems;
	if (b->graph->count == 0)
		custos_problems_add(problems, "no_certificate", CUSTOS_SEVERITY_ERROR, "give the certificate that the CA sent for this server, and its intermediates",
		                    "there is no certificate in what was given");
	else
		custos_problems_add(problems, "no_server_certificate", CUSTOS_SEVERITY_ERROR, "add the certificate that the CA issued for this server",
		                    "only certificates of certification authorities were given (%zu)", b->graph->count);
}

static custos_rc keep_chain(struct build *b, const size_t *nodes, size_t count, size_t root, struct custos_err *err)
{
	struct custos_chain *chain = b->chain;
	size_t total = count + (root == SIZE_MAX ? 0 : 1);
	chain->der = calloc(total + 1, sizeof *chain->der);
	chain->item = calloc(total + 1, sizeof *chain->item);
	CUSTOS_REQUIRE(chain->der != NULL && chain->item != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	chain->store.max = (size_t)CUSTOS_BAG_INPUT_MAX * CUSTOS_PATH_MAX + CUSTOS_BAG_INPUT_MAX;
	for (size_t i = 0; i < total; i++) {
		chain->item[i] = b->graph->nodes[i < count ? nodes[i] : root].item;
		const struct custos_buf *der = &custos_bag_at(b->bag, chain->item[i])->der;
		CUSTOS_TRY(custos_buf_append(&chain->store, der->ptr, der->len, err));
	}
	const uint8_t *at = chain->store.ptr;
	for (size_t i = 0; i < total; i++) {
		size_t len = custos_bag_at(b->bag, chain->item[i])->der.len;
		*(i < count ? &chain->der[i] : &chain->root) = CUSTOS_BYTES(at, len);
		at += len;
	}
	chain->count = count;
	chain->root_item = root == SIZE_MAX ? SIZE_MAX : chain->item[count];
	return CUSTOS_OK;
}

static void note_order(const struct build *b)
{
	const struct custos_chain *chain = b->chain;
	bool wrong = false, one_file = true;
	for (size_t i = 1; i < chain->count; i++) {
		wrong = wrong || chain->item[i] < chain->item[i - 1];
		one_file = one_file && custos_bag_at(b->bag, chain->item[i])->file == custos_bag_at(b->bag, chain->item[0])->file;
	}
	if (wrong && custos_bag_at(b->bag, chain->item[0])->form == CUSTOS_FORM_SERVED)
		custos_problems_add(&b->chain->problems, "served_wrong_order", CUSTOS_SEVERITY_WARNING,
		                    "have it serve its own certificate first, then each issuer; custos cert check with -o writes them so",
		                    "%s: the certificates are served in the wrong order; some clients refuse that", custos_bag_at(b->bag, chain->item[0])->file);
	else if (wrong && one_file)
		custos_problems_add(&b->chain->problems, "wrong_order", CUSTOS_SEVERITY_FIXED,
		                    "nothing to do; a server needs its own certificate first, then each issuer",
		                    "%s: the certificates were in the wrong order; fixed", custos_bag_at(b->bag, chain->item[0])->file);
	else if (wrong)
		custos_problems_add(&b->chain->problems, "wrong_order", CUSTOS_SEVERITY_FIXED,
		                    "nothing to do; a server needs its own certificate first, then each issuer",
		                    "the certificates were given in another order than a server sends them; fixed");
}

enum { NAMED_MAX = 3 };

/* "'CN=x' (a.pem), 'CN=y' (b.pem) and 7 more" */
struct naming {
	struct custos_buf text;
	size_t count;
};

static void name_item(struct naming *n, const struct custos_bag *bag, size_t index)
{
	const struct custos_bag_item *item = custos_bag_at(bag, index);
	if (n->count++ >= NAMED_MAX)
		return;
	CUSTOS_AUTO_STR *subject = custos_name_text(X509_get_subject_name(item->cert));
	custos_rc rc = custos_buf_printf(&n->text, NULL, "%s'%.200s' (%s)", n->count > 1 ? ", " : "", subject == NULL ? "" : subject, item->file);
	(void)rc;
}

static const char *names_of(struct naming *n)
{
	if (n->count > NAMED_MAX) {
		custos_rc rc = custos_buf_printf(&n->text, NULL, " and %zu more", n->count - NAMED_MAX);
		(void)rc;
	}
	return n->text.ptr == NULL ? "" : (const char *)n->text.ptr;
}

static void note_left_out(const struct build *b)
{
	const struct custos_chain *chain = b->chain;
	struct naming twice = { .text = { .max = 8192 } }, strangers = { .text = { .max = 8192 } };
	for (size_t i = 0; i < b->graph->duplicate_count; i++)
		name_item(&twice, b->bag, b->graph->duplicates[i]);
	for (size_t i = 0; i < b->graph->count; i++) {
		size_t item = b->graph->nodes[i].item;
		bool used = item == chain->root_item;
		for (size_t k = 0; k < chain->count; k++)
			used = used || chain->item[k] == item;
		if (!used)
			name_item(&strangers, b->bag, item);
	}
	if (twice.count > 0)
		custos_problems_add(&b->chain->problems, "duplicate", CUSTOS_SEVERITY_FIXED, "nothing to do", "given more than once, used once: %s", names_of(&twice));
	if (strangers.count > 0)
		custos_problems_add(&b->chain->problems, "stranger", CUSTOS_SEVERITY_WARNING, "nothing to do, if this is as expected",
		                    "not part of this chain, left out: %s", names_of(&strangers));
	custos_buf_done(&twice.text);
	custos_buf_done(&strangers.text);
}

static void note_root(const struct build *b)
{
	if (b->chain->root.len == 0)
		return;
	const struct custos_bag_item *root = custos_bag_at(b->bag, b->chain->root_item);
	CUSTOS_AUTO_STR *subject = custos_name_text(X509_get_subject_name(root->cert));
	custos_problems_add(&b->chain->problems, "root_included", CUSTOS_SEVERITY_FIXED, "nothing to do; clients have their own copy of the root",
	                    "%s: the root '%.300s' was given; a server does not send it, left out", root->file, subject == NULL ? "" : subject);
}

/* A signature that nobody can verify is not one whose issuer is missing. */
static bool note_unverifiable(struct custos_problems *problems, const X509 *cert, const char *subject)
{
	const X509_ALGOR *outer = NULL;
	const ASN1_OBJECT *algorithm = NULL;
	int digest = NID_undef, key = NID_undef;
	char text[80] = "";
	X509_get0_signature(NULL, &outer, cert);
	X509_ALGOR_get0(&algorithm, NULL, NULL, outer);
	OBJ_obj2txt(text, sizeof text, algorithm, 0);
	if (X509_ALGOR_cmp(outer, X509_get0_tbs_sigalg(cert)) != 0) {
		/* RFC 5280 4.1.1.2 */
		custos_problems_add(problems, "bad_signature", CUSTOS_SEVERITY_ERROR, "get the file from the CA again",
		                    "'%.300s' says of its signature two different things, and no client takes it", subject);
		return true;
	}
	if (OBJ_find_sigid_algs(OBJ_obj2nid(algorithm), &digest, &key) == 1)
		return false;
	custos_problems_add(problems, "unknown_signature", CUSTOS_SEVERITY_ERROR, "ask the CA for a certificate signed with SHA-256 by an RSA or EC key",
	                    "'%.300s' is signed in a way that clients do not know (%s)", subject, text);
	return true;
}

static void note_end(const struct build *b, const struct custos_path *path)
{
	struct custos_problems *problems = &b->chain->problems;
	X509 *last = b->graph->nodes[path->node[path->count - 1]].cert;
	CUSTOS_AUTO_STR *subject = custos_name_text(X509_get_subject_name(last));
	CUSTOS_AUTO_STR *issuer = custos_name_text(X509_get_issuer_name(last));
	const char *s = subject == NULL ? "" : subject, *i = issuer == NULL ? "" : issuer;
	bool trust = b->options->trust != NULL, alone = path->count == 1;
	if (b->graph->work.exhausted)
		custos_problems_add(problems, "tangled", CUSTOS_SEVERITY_ERROR, "give only the files that the CA sent for this certificate",
		                    "there are too many ways to put these certificates together; the search for a chain was given up");
	if (path->end == CUSTOS_PATH_ANCHORED || (path->end == CUSTOS_PATH_ROOT && !trust))
		return;
	if (path->end == CUSTOS_PATH_ROOT && alone)
		custos_problems_add(problems, "untrusted_root", CUSTOS_SEVERITY_ERROR, "get a certificate from a CA that the clients trust",
		                    "the certificate '%.300s' is self-signed and not trusted", s);
	else if (path->end == CUSTOS_PATH_ROOT)
		custos_problems_add(problems, "untrusted_root", CUSTOS_SEVERITY_ERROR, "if the clients do have this root, name it as a trust anchor",
		                    "the chain ends at the root '%.300s', which is not trusted", s);
	else if (path->end == CUSTOS_PATH_LOOP && path->count >= CUSTOS_PATH_MAX)
		custos_problems_add(problems, "too_long", CUSTOS_SEVERITY_ERROR, "give only the files that the CA sent for this certificate",
		                    "no root is reached within %d certificates", CUSTOS_PATH_MAX);
	else if (path->end == CUSTOS_PATH_LOOP)
		custos_problems_add(problems, "no_root", CUSTOS_SEVERITY_WARNING, "add the root of the CA if a client does not accept this chain",
		                    "the last issuers only certify each other; none of them is a root");
	else if (!note_unverifiable(problems, last, s) && (alone || trust))
		custos_problems_add(problems, "missing_intermediate", CUSTOS_SEVERITY_ERROR,
		                    "get this issuer's certificate from the CA and give it too; if it is the root itself, give the root",
		                    "the issuer's certificate is missing: '%.300s' was issued by '%.300s'", s, i);
}

/* What a client makes of this path: the same judge that has the last word about the chain (check.c). */
static bool client_accepts(void *context, const struct custos_path *path)
{
	const struct build *b = context;
	struct custos_bytes ders[CUSTOS_PATH_MAX];
	char why[512];
	for (size_t i = 0; i < path->count; i++)
		ders[i] = custos_buf_view(&custos_bag_at(b->bag, b->graph->nodes[path->node[i]].item)->der);
	const struct custos_judge_options asked = {
		.anchors = b->options->trust, .purpose = b->options->purpose, .now_unix = b->options->now_unix, .flags = b->options->now_unix == 0 ? CUSTOS_JUDGE_ANY_DATE : 0
	};
	return custos_judge_chain(ders, path->count, &asked, why, sizeof why) == CUSTOS_JUDGE_ACCEPTED;
}

static custos_rc assemble(struct build *b, size_t leaf, struct custos_err *err)
{
	const struct custos_path_goal goal = { .trust = b->options->trust, .accepts = client_accepts, .context = b };
	struct custos_path path;
	CUSTOS_TRY(custos_path_find(b->graph, leaf, &goal, &path, err));
	size_t count = path.count, last = path.node[count - 1], root = SIZE_MAX;
	X509 *end = b->graph->nodes[last].cert;
	if (count > 1 && X509_self_signed(end, 1) == 1) {
		root = last;
		count--;
	} else if (X509_self_signed(end, 1) != 1) {
		root = custos_graph_root_of(b->graph, last);
	}
	custos_x509_drain();
	b->chain->end = path.end == CUSTOS_PATH_ANCHORED ? CUSTOS_CHAIN_ANCHORED : path.end == CUSTOS_PATH_ROOT ? CUSTOS_CHAIN_ROOT : CUSTOS_CHAIN_OPEN;
	CUSTOS_TRY(keep_chain(b, path.node, count, root, err));
	note_order(b);
	note_root(b);
	note_left_out(b);
	note_end(b, &path);
	return CUSTOS_OK;
}

custos_rc custos_chain_build(const struct custos_bag *bag, const struct custos_chain_options *options, struct custos_chain **ret_chain, struct custos_err *err)
{
	CUSTOS_AUTO(custos_chain) *chain = calloc(1, sizeof *chain);
	CUSTOS_AUTO_GRAPH graph = { 0 };
	CUSTOS_REQUIRE(chain != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	chain->root_item = SIZE_MAX;
	CUSTOS_TRY(custos_graph_init(&graph, bag, options->now_unix, err));
	graph.purpose = options->purpose;
	struct build b = { .bag = bag, .options = options, .graph = &graph, .chain = chain };
	size_t leaf = choose_leaf(&b);
	if (leaf == SIZE_MAX)
		explain_no_leaf(&b);
	else
		CUSTOS_TRY(assemble(&b, leaf, err));
	CUSTOS_TRY(custos_problems_whole(&chain->problems, err));
	*ret_chain = CUSTOS_TAKE(chain);
	return CUSTOS_OK;
}
