/* Breadth-first search: every certificate is visited once, so loops end and the first path found to an end is a shortest one. */
#include "x509/path.h"
#include "crypto/digest.h"
#include "x509/openssl.h"

enum { WORK_US = 400000 };

void custos_graph_done(struct custos_graph *graph)
{
	free(graph->nodes);
	free(graph->heads);
	free(graph->nexts);
	free(graph->duplicates);
	*graph = (struct custos_graph){ 0 };
}

static custos_rc describe(struct custos_node *node, const struct custos_bag_item *item, int64_t now_unix, struct custos_err *err)
{
	CUSTOS_TRY(custos_sha256(custos_buf_view(&item->der), node->sha256, err));
	node->cert = item->cert;
	node->subject_hash = X509_subject_name_hash(item->cert);
	node->issuer_hash = X509_issuer_name_hash(item->cert);
	node->ca = X509_check_ca(item->cert) != 0;
	node->valid_now = custos_issuer_valid_at(item->cert, now_unix);
	return CUSTOS_OK;
}

/* Fingerprints are the keys of a small open table that lives only here; it is at most half full. */
static bool seen_before(const struct custos_graph *graph, size_t *table, size_t mask, const struct custos_node *node)
{
	size_t slot;
	memcpy(&slot, node->sha256, sizeof slot);
	for (slot &= mask; table[slot] != SIZE_MAX; slot = (slot + 1) & mask)
		if (memcmp(graph->nodes[table[slot]].sha256, node->sha256, sizeof node->sha256) == 0)
			return true;
	table[slot] = graph->count;
	return false;
}

static void free_sizes(size_t **p)
{
	free(*p);
}

static custos_rc allocate(struct custos_graph *graph, size_t certs, size_t **ret_table, struct custos_err *err)
{
	size_t buckets = 16;
	while (buckets < 2 * certs)
		buckets *= 2;
	graph->nodes = calloc(certs + 1, sizeof *graph->nodes);
	graph->nexts = calloc(certs + 1, sizeof *graph->nexts);
	graph->duplicates = calloc(certs + 1, sizeof *graph->duplicates);
	graph->heads = calloc(buckets, sizeof *graph->heads);
	*ret_table = calloc(buckets, sizeof **ret_table);
	CUSTOS_REQUIRE(graph->nodes != NULL && graph->nexts != NULL && graph->duplicates != NULL && graph->heads != NULL && *ret_table != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	memset(graph->heads, 0xff, buckets * sizeof *graph->heads);
	memset(*ret_table, 0xff, buckets * sizeof **ret_table);
	graph->buckets = buckets;
	graph->budget = 4 * certs + 256;
	graph->work.left_us = WORK_US;
	return CUSTOS_OK;
}

custos_rc custos_graph_init(struct custos_graph *graph, const struct custos_bag *bag, int64_t now_unix, struct custos_err *err)
{
	CUSTOS_CLEANUP(free_sizes) size_t *table = NULL;
	*graph = (struct custos_graph){ .now_unix = now_unix };
	CUSTOS_TRY(allocate(graph, custos_bag_count_kind(bag, CUSTOS_ITEM_CERTIFICATE), &table, err));
	size_t at = 0;
	for (const struct custos_bag_item *item; (item = custos_bag_next(bag, CUSTOS_ITEM_CERTIFICATE, &at)) != NULL;) {
		struct custos_node *node = &graph->nodes[graph->count];
		CUSTOS_TRY(describe(node, item, now_unix, err));
		node->item = at - 1;
		if (seen_before(graph, table, graph->buckets - 1, node)) {
			graph->duplicates[graph->duplicate_count++] = at - 1;
			continue;
		}
		size_t bucket = node->subject_hash & (graph->buckets - 1);
		graph->nexts[graph->count] = graph->heads[bucket];
		graph->heads[bucket] = graph->count++;
	}
	custos_x509_drain();
	return CUSTOS_OK;
}

/* Is there budget for looking at one more? */
static bool look(struct custos_graph *graph)
{
	if (graph->budget == 0) {
		graph->work.exhausted = true;
		return false;
	}
	graph->budget--;
	return true;
}

bool custos_graph_issued(struct custos_graph *graph, size_t child, size_t issuer)
{
	struct custos_node *c = &graph->nodes[child], *i = &graph->nodes[issuer];
	if (!look(graph) || i->subject_hash != c->issuer_hash || !i->ca || X509_check_issued(i->cert, c->cert) != X509_V_OK)
		return false;
	return custos_work_verify(&graph->work, c->cert, X509_get0_pubkey(i->cert));
}

struct custos_issuer_terms custos_graph_terms(struct custos_graph *graph, size_t leaf)
{
	return (struct custos_issuer_terms){ .leaf = graph->nodes[leaf].cert, .now_unix = graph->now_unix, .purpose = graph->purpose, .work = &graph->work };
}

static bool is_root(struct custos_graph *graph, size_t node)
{
	struct custos_node *n = &graph->nodes[node];
	if (n->subject_hash != n->issuer_hash || !look(graph) || X509_self_signed(n->cert, 0) != 1)
		return false;
	return custos_work_verify(&graph->work, n->cert, X509_get0_pubkey(n->cert));
}

size_t custos_graph_root_of(struct custos_graph *graph, size_t node)
{
	size_t found = SIZE_MAX;
	for (size_t i = graph->heads[graph->nodes[node].issuer_hash & (graph->buckets - 1)]; i != SIZE_MAX; i = graph->nexts[i])
		if (i != node && is_root(graph, i) && custos_graph_issued(graph, node, i) && (found == SIZE_MAX || i < found))
			found = i;
	custos_x509_drain();
	return found;
}

/* One search. `parents` and `depths` belong to visited nodes; `queue` holds them in the order of their distance. */
struct search {
	struct custos_graph *graph;
	const struct custos_anchors *trust;
	size_t leaf;
	struct custos_issuer_terms terms;
	bool fitting_only;
	size_t *parents, *queue, head, tail;
	unsigned char *depths;
	size_t best;
	enum custos_path_end end;
};

/* How many certificates from here down count for a limit of the path's length: all but the leaf and the self-issued ones. */
static long counted(const struct search *s, size_t node)
{
	long count = 0;
	for (; node != s->leaf; node = s->parents[node])
		count += custos_issuer_self_issued(s->graph->nodes[node].cert) ? 0 : 1;
	return count;
}

/* Could a client go on from `child` to this issuer? */
static bool fits(const struct search *s, size_t child, size_t issuer)
{
	X509 *cert = s->graph->nodes[issuer].cert;
	long below = X509_get_pathlen(cert);
	return (below < 0 || counted(s, child) <= below) && custos_issuer_fits(cert, &s->terms);
}

static enum custos_path_end expand(struct search *s, size_t node)
{
	struct custos_graph *g = s->graph;
	bool issuer_seen = false, pushed = false;
	for (size_t i = g->heads[g->nodes[node].issuer_hash & (g->buckets - 1)]; i != SIZE_MAX; i = g->nexts[i]) {
		if (i == node)
			continue;
		bool visited = s->depths[i] != 0;
		if (visited && issuer_seen)
			continue;
		if (!custos_graph_issued(g, node, i))
			continue;
		issuer_seen = true;
		if (visited || s->depths[node] >= CUSTOS_PATH_MAX || (s->fitting_only && !fits(s, node, i)))
			continue;
		s->depths[i] = (unsigned char)(s->depths[node] + 1);
		s->parents[i] = node;
		s->queue[s->tail++] = i;
		pushed = true;
	}
	/* no end at all, a dead end, or an end that somebody outside the bag may go on from */
	return pushed ? CUSTOS_PATH_NONE : issuer_seen ? CUSTOS_PATH_LOOP : CUSTOS_PATH_OPEN;
}

static void visit(struct search *s, size_t node)
{
	enum custos_path_end end;
	struct custos_graph *g = s->graph;
	const struct custos_anchor_terms terms = { .fitting_only = s->fitting_only, .below = counted(s, node), .issuer = s->terms };
	if (s->trust != NULL && custos_anchors_issued(s->trust, g->nodes[node].cert, &terms))
		end = CUSTOS_PATH_ANCHORED;
	else if (is_root(g, node))
		end = CUSTOS_PATH_ROOT;
	else
		end = expand(s, node);
	if (end > s->end) {
		s->end = end;
		s->best = node;
	}
}

static void run(struct search *s, size_t leaf)
{
	memset(s->depths, 0, s->graph->count);
	s->head = s->tail = 0;
	s->end = CUSTOS_PATH_NONE;
	s->best = leaf;
	s->queue[s->tail++] = leaf;
	s->depths[leaf] = 1;
	s->parents[leaf] = SIZE_MAX;
	/* without anchors the first root is the nearest one; with them a root is only second best */
	enum custos_path_end enough = s->trust == NULL ? CUSTOS_PATH_ROOT : CUSTOS_PATH_ANCHORED;
	while (s->head < s->tail && s->end < enough)
		visit(s, s->queue[s->head++]);
	custos_x509_drain();
}

static void write_path(const struct search *s, struct custos_path *ret_path)
{
	size_t count = s->depths[s->best], node = s->best;
	*ret_path = (struct custos_path){ .count = count, .end = s->end };
	for (size_t i = count; i > 0; i--) {
		ret_path->node[i - 1] = node;
		node = s->parents[node];
	}
}

static bool is_accepted(const struct custos_path_goal *goal, const struct custos_path *path)
{
	return path->end == CUSTOS_PATH_ANCHORED && (goal->accepts == NULL || goal->accepts(goal->context, path));
}

custos_rc custos_path_find(struct custos_graph *graph, size_t leaf, const struct custos_path_goal *goal, struct custos_path *ret_path, struct custos_err *err)
{
	CUSTOS_CLEANUP(free_sizes) size_t *parents = calloc(graph->count + 1, sizeof *parents);
	CUSTOS_CLEANUP(free_sizes) size_t *queue = calloc(graph->count + 1, sizeof *queue);
	CUSTOS_AUTO_STR *depths = calloc(graph->count + 1, 1);
	CUSTOS_REQUIRE(parents != NULL && queue != NULL && depths != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	struct search s = { .graph = graph, .trust = goal->trust, .leaf = leaf, .terms = custos_graph_terms(graph, leaf), .fitting_only = true, .parents = parents, .queue = queue, .depths = (unsigned char *)depths };
	run(&s, leaf);
	write_path(&s, ret_path);
	if (is_accepted(goal, ret_path))
		return CUSTOS_OK;
	if (s.end < CUSTOS_PATH_ROOT && (s.end != CUSTOS_PATH_OPEN || goal->trust != NULL)) {
		s.fitting_only = false;
		run(&s, leaf);
		if (s.end > ret_path->end)
			write_path(&s, ret_path);
	}
	if (goal->trust != NULL && goal->accepts != NULL)
		CUSTOS_TRY(custos_path_try_each(graph, leaf, goal, ret_path, err));
	return CUSTOS_OK;
}
