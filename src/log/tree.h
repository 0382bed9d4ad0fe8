/* The Merkle tree of RFC 6962 2.1, in memory: every leaf hash, and the roots of the perfect subtrees on the right edge, so that
 * the root after an append costs a logarithm and an append can be taken back.
 *
 * A tree may begin with the edge of an older size in the place of the leaves before it. What that edge is made of is not believed: a root
 * over it can only be the signed one when every subtree in it is the one that was signed. */
#ifndef CUSTOS_LOG_TREE_H
#define CUSTOS_LOG_TREE_H

#include "crypto/digest.h"

/* Everything that is needed to go on from, or back to, a size. */
struct custos_tree_edge {
	size_t count, depth;     /* depth is the number of one bits in count */
	custos_hash node[64];    /* largest subtree first */
};

struct custos_tree {
	struct custos_merkle *merkle;
	custos_hash *leaves;            /* from base.count on */
	size_t cap;
	struct custos_tree_edge base;   /* what it began with; of count 0: nothing */
	struct custos_tree_edge edge;
};

CUSTOS_RC custos_tree_init(struct custos_tree *tree, struct custos_err *err);
void custos_tree_done(struct custos_tree *tree);
#define CUSTOS_AUTO_TREE __attribute__((cleanup(custos_tree_done))) struct custos_tree

static inline size_t custos_tree_size(const struct custos_tree *tree)
{
	return tree->edge.count;
}
/* Of a tree without base: all of them. */
static inline const custos_hash *custos_tree_leaves(const struct custos_tree *tree)
{
	return (const custos_hash *)tree->leaves; /* C17 does not add const to an array behind a pointer by itself */
}
/* Number of subtrees in the edge of a tree of `count` leaves. */
size_t custos_tree_depth(uint64_t count);
/* An empty tree goes on from `base`, whose depth is that of its count. */
void custos_tree_begin(struct custos_tree *tree, const struct custos_tree_edge *base);
/* Adds the leaf hash of `entry`. On failure the tree is as before. */
CUSTOS_RC custos_tree_add(struct custos_tree *tree, struct custos_bytes entry, struct custos_err *err);
/* Forgets everything added since `edge` was copied from this tree. */
void custos_tree_take_back(struct custos_tree *tree, const struct custos_tree_edge *edge);
/* The edge of the first `size` leaves, base.count or more. */
CUSTOS_RC custos_tree_edge_at(const struct custos_tree *tree, uint64_t size, struct custos_tree_edge *ret_edge, struct custos_err *err);
/* Root of the first `size` leaves, base.count or more. */
CUSTOS_RC custos_tree_root(const struct custos_tree *tree, uint64_t size, uint8_t ret_root[static CUSTOS_HASH_SIZE], struct custos_err *err);
/* CUSTOS_E_TAMPERED unless `entry` is what leaf `index` was made of. */
CUSTOS_RC custos_tree_check_leaf(const struct custos_tree *tree, uint64_t index, struct custos_bytes entry, struct custos_err *err);
/* Inclusion proof of the leaf that came after `before` and is the last one (RFC 6962 2.1.1): its subtrees, leaf end first. *ret_proof is the caller's to free. */
CUSTOS_RC custos_tree_prove_last(const struct custos_tree_edge *before, custos_hash **ret_proof, size_t *ret_count, struct custos_err *err);
/* Of a tree without base: shows the tile levels of the first `size` leaves: the leaf hashes, then the roots of every full 256 of the level below, until there are none. */
CUSTOS_RC custos_tree_levels(const struct custos_tree *tree, size_t size,
                             custos_rc (*each)(void *ctx, int level, const custos_hash *hashes, size_t count, struct custos_err *err),
                             void *ctx, struct custos_err *err);

#endif
