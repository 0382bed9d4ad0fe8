/* Path by path, shortest first. A certificate may be on several paths, so what is wrong with one of them as a whole (names of a CA between, say, or an anchor that a client takes for
 * another) does not keep the others from being tried. Bounded by the graph's budget and by how many paths are held and judged. */
#include "x509/path.h"
#include "x509/openssl.h"

enum { STEPS_MAX = 2048, JUDGED_MAX = 64, NOT_KNOWN = -1 };

/* One more certificate on a path: the step before it is one nearer to the leaf. */
struct step {
	size_t node;
	unsigned before, depth;
};

/* Issuers that clients would go on to are looked for once for each certificate: `first` is where they begin in `issuers`. */
struct each {
	struct custos_graph *graph;
	const struct custos_path_goal *goal;
	size_t leaf;
	struct step *steps;
	unsigned step_count, judged;
	long *first;
	unsigned char *anchored;
	size_t *issuers, issuer_count, issuer_max;
};

static void free_each(struct each *e)
{
	free(e->steps);
	free(e->first);
	free(e->anchored);
	free(e->issuers);
}

static custos_rc allocate(struct each *e, struct custos_err *err)
{
	size_t nodes = e->graph->count;
	/* each node's list ends with SIZE_MAX */
	e->issuer_max = e->graph->budget + nodes + 1;
	e->steps = calloc(STEPS_MAX, sizeof *e->steps);
	e->first = malloc((nodes + 1) * sizeof *e->first);
	e->anchored = calloc(nodes + 1, 1);
	e->issuers = malloc(e->issuer_max * sizeof *e->issuers);
	CUSTOS_REQUIRE(e->steps != NULL && e->first != NULL && e->anchored != NULL && e->issuers != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < nodes; i++)
		e->first[i] = NOT_KNOWN;
	return CUSTOS_OK;
}

static void look_around(struct each *e, size_t node)
{
	struct custos_graph *g = e->graph;
	const struct custos_anchor_terms terms = { .fitting_only = true, .issuer = custos_graph_terms(g, e->leaf) };
	e->first[node] = (long)e->issuer_count;
	e->anchored[node] = custos_anchors_issued(e->goal->trust, g->nodes[node].cert, &terms) ? 1 : 0;
	for (size_t i = g->heads[g->nodes[node].issuer_hash & (g->buckets - 1)]; i != SIZE_MAX; i = g->nexts[i])
		if (i != node && i != e->leaf && custos_graph_issued(g, node, i) && custos_issuer_fits(g->nodes[i].cert, &terms.issuer))
			e->issuers[e->issuer_count++] = i;
	e->issuers[e->issuer_count++] = SIZE_MAX;
}

static bool is_on_path(const struct each *e, unsigned at, size_t node)
{
	for (;; at = e->steps[at].before) {
		if (e->steps[at].node == node)
			return true;
		if (e->steps[at].depth == 1)
			return false;
	}
}

static void write_path(const struct each *e, unsigned at, struct custos_path *path)
{
	*path = (struct custos_path){ .count = e->steps[at].depth, .end = CUSTOS_PATH_ANCHORED };
	for (size_t i = path->count; i > 0; i--, at = e->steps[at].before)
		path->node[i - 1] = e->steps[at].node;
}

static bool is_accepted(struct each *e, const struct custos_path *path)
{
	struct custos_graph *g = e->graph;
	if (e->judged++ >= JUDGED_MAX) {
		g->work.exhausted = true;
		return false;
	}
	for (size_t i = 0; i < path->count; i++)
		if (!custos_work_afford_judging(&g->work, g->nodes[path->node[i]].cert, g->nodes[e->leaf].cert))
			return false;
	return e->goal->accepts(e->goal->context, path);
}

static void go_on(struct each *e, unsigned at)
{
	const struct step *step = &e->steps[at];
	for (const size_t *issuer = &e->issuers[e->first[step->node]]; *issuer != SIZE_MAX && step->depth < CUSTOS_PATH_MAX; issuer++) {
		if (is_on_path(e, at, *issuer))
			continue;
		if (e->step_count >= STEPS_MAX) {
			e->graph->work.exhausted = true;
			return;
		}
		e->steps[e->step_count++] = (struct step){ .node = *issuer, .before = at, .depth = step->depth + 1 };
	}
}

custos_rc custos_path_try_each(struct custos_graph *graph, size_t leaf, const struct custos_path_goal *goal, struct custos_path *ret_path, struct custos_err *err)
{
	CUSTOS_CLEANUP(free_each) struct each e = { .graph = graph, .goal = goal, .leaf = leaf };
	struct custos_path path;
	CUSTOS_TRY(allocate(&e, err));
	e.steps[e.step_count++] = (struct step){ .node = leaf, .depth = 1 };
	for (unsigned at = 0; at < e.step_count && !graph->work.exhausted; at++) {
		size_t node = e.steps[at].node;
		if (e.first[node] == NOT_KNOWN)
			look_around(&e, node);
		if (e.anchored[node] != 0) {
			write_path(&e, at, &path);
			if (is_accepted(&e, &path)) {
				*ret_path = path;
				break;
			}
		}
		go_on(&e, at);
	}
	custos_x509_drain();
	return CUSTOS_OK;
}
