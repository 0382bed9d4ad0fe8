/* The graph of a bag's certificates and the search for a path from a leaf upwards. An edge is a name, a key identifier and a signature that
 * verifies. Certificates are found by the hash of their subject, so looking is linear; what verifying may cost is the same for every bag, whoever
 * signed what how often and with keys of what size. */
#ifndef CUSTOS_X509_PATH_H
#define CUSTOS_X509_PATH_H

#include "x509/anchors.h"
#include "x509/bag.h"
#include "x509/issuer.h"

enum { CUSTOS_PATH_MAX = 10 };

struct custos_node {
	struct x509_st *cert;
	size_t item;               /* index in the bag */
	uint8_t sha256[32];
	unsigned long subject_hash, issuer_hash;
	bool ca, valid_now;
};

struct custos_graph {
	struct custos_node *nodes;
	size_t count;
	size_t *heads, *nexts;     /* buckets by subject hash; SIZE_MAX ends a chain */
	size_t buckets;
	size_t *duplicates;        /* items that are equal to an earlier one */
	size_t duplicate_count;
	size_t budget;             /* candidates that may still be looked at */
	struct custos_work work;   /* signatures that may still be verified */
	int64_t now_unix;
	const char *purpose;       /* of the leaf, as judge.h has it; NULL: a server's */
};

/* Ordered: the higher the better. */
enum custos_path_end { CUSTOS_PATH_NONE, CUSTOS_PATH_LOOP, CUSTOS_PATH_OPEN, CUSTOS_PATH_ROOT, CUSTOS_PATH_ANCHORED };

struct custos_path {
	size_t node[CUSTOS_PATH_MAX], count; /* leaf first */
	enum custos_path_end end;
};

/* now_unix 0: dates are not looked at. */
CUSTOS_RC custos_graph_init(struct custos_graph *graph, const struct custos_bag *bag, int64_t now_unix, struct custos_err *err);
void custos_graph_done(struct custos_graph *graph);
#define CUSTOS_AUTO_GRAPH __attribute__((cleanup(custos_graph_done))) struct custos_graph

/* What a path is to come to. `accepts` has the last word about one that ends at an anchor. */
struct custos_path_goal {
	const struct custos_anchors *trust; /* NULL: a root of the bag is enough */
	bool (*accepts)(void *context, const struct custos_path *path); /* NULL: every one is good */
	void *context;
};

/* The best end is wanted (anchored before root before open), then the shortest path; certificates that clients do not go on to (issuer.h), that may not have so many
 * below them, and paths that are not accepted only when there is no path without them. */
CUSTOS_RC custos_path_find(struct custos_graph *graph, size_t leaf, const struct custos_path_goal *goal, struct custos_path *ret_path, struct custos_err *err);
/* The same path by path instead of certificate by certificate (paths.c): slower, bounded, and so finds those that are only right as a whole. *ret_path is only
 * written when one was accepted. */
CUSTOS_RC custos_path_try_each(struct custos_graph *graph, size_t leaf, const struct custos_path_goal *goal, struct custos_path *ret_path, struct custos_err *err);
/* What is asked of issuers above this leaf; charged to the graph. */
struct custos_issuer_terms custos_graph_terms(struct custos_graph *graph, size_t leaf);
/* Did this issuer sign this child? By name, key identifier and signature. */
CUSTOS_MUST bool custos_graph_issued(struct custos_graph *graph, size_t child, size_t issuer);
/* A self-signed certificate of the bag that issued this node, or SIZE_MAX. */
size_t custos_graph_root_of(struct custos_graph *graph, size_t node);

#endif
