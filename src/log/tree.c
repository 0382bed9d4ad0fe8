/* The log's tree. */
#include "log/tree.h"

#include <inttypes.h>

enum { TILE = 256 };

static void free_hashes(custos_hash **hashes)
{
	free(*hashes);
}
#define AUTO_HASHES CUSTOS_CLEANUP(free_hashes) custos_hash

custos_rc custos_tree_init(struct custos_tree *tree, struct custos_err *err)
{
	*tree = (struct custos_tree){ 0 };
	return custos_merkle_new(&tree->merkle, err);
}

void custos_tree_done(struct custos_tree *tree)
{
	custos_merkle_free(tree->merkle);
	free(tree->leaves);
	*tree = (struct custos_tree){ 0 };
}

static custos_rc grow(struct custos_tree *tree, struct custos_err *err)
{
	if (tree->edge.count - tree->base.count < tree->cap)
		return CUSTOS_OK;
	size_t cap = tree->cap == 0 ? 256 : 2 * tree->cap;
	custos_hash *leaves = reallocarray(tree->leaves, cap, sizeof *leaves);
	CUSTOS_REQUIRE(leaves != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	tree->leaves = leaves;
	tree->cap = cap;
	return CUSTOS_OK;
}

size_t custos_tree_depth(uint64_t count)
{
	return (size_t)__builtin_popcountll(count);
}

void custos_tree_begin(struct custos_tree *tree, const struct custos_tree_edge *base)
{
	tree->base = *base;
	tree->edge = *base;
}

static custos_rc edge_add(const struct custos_tree *tree, struct custos_tree_edge *edge, const uint8_t leaf[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	memcpy(edge->node[edge->depth++], leaf, CUSTOS_HASH_SIZE);
	/* Every trailing one bit of the old size is a subtree as large as the one that ends here: join them. */
	for (size_t bits = edge->count; (bits & 1) != 0; bits >>= 1) {
		CUSTOS_TRY(custos_merkle_node(tree->merkle, edge->node[edge->depth - 2], edge->node[edge->depth - 1], edge->node[edge->depth - 2], err));
		edge->depth--;
	}
	edge->count++;
	return CUSTOS_OK;
}

custos_rc custos_tree_add(struct custos_tree *tree, struct custos_bytes entry, struct custos_err *err)
{
	CUSTOS_TRY(grow(tree, err));
	struct custos_tree_edge edge = tree->edge;
	uint8_t *leaf = tree->leaves[edge.count - tree->base.count];
	CUSTOS_TRY(custos_merkle_leaf(tree->merkle, entry, leaf, err));
	CUSTOS_TRY(edge_add(tree, &edge, leaf, err));
	tree->edge = edge;
	return CUSTOS_OK;
}

void custos_tree_take_back(struct custos_tree *tree, const struct custos_tree_edge *edge)
{
	if (edge->count <= tree->edge.count && edge->count >= tree->base.count)
		tree->edge = *edge;
}

static custos_rc edge_root(const struct custos_tree *tree, const struct custos_tree_edge *edge, uint8_t ret_root[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	custos_hash root;
	memcpy(root, edge->node[edge->depth - 1], sizeof root);
	for (size_t i = edge->depth - 1; i > 0; i--)
		CUSTOS_TRY(custos_merkle_node(tree->merkle, edge->node[i - 1], root, root, err));
	memcpy(ret_root, root, sizeof root);
	return CUSTOS_OK;
}

custos_rc custos_tree_edge_at(const struct custos_tree *tree, uint64_t size, struct custos_tree_edge *ret_edge, struct custos_err *err)
{
	CUSTOS_REQUIRE(size <= tree->edge.count, err, CUSTOS_E_INTERNAL, "the log has %zu entries, not %" PRIu64, tree->edge.count, size);
	CUSTOS_REQUIRE(size >= tree->base.count, err, CUSTOS_E_INTERNAL, "the log was read from entry %zu on, not from %" PRIu64, tree->base.count, size);
	struct custos_tree_edge edge = size == tree->edge.count ? tree->edge : tree->base;
	while (edge.count < size)
		CUSTOS_TRY(edge_add(tree, &edge, tree->leaves[edge.count - tree->base.count], err));
	*ret_edge = edge;
	return CUSTOS_OK;
}

custos_rc custos_tree_root(const struct custos_tree *tree, uint64_t size, uint8_t ret_root[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	struct custos_tree_edge edge;
	CUSTOS_TRY(custos_tree_edge_at(tree, size, &edge, err));
	return size == 0 ? custos_sha256(CUSTOS_BYTES(NULL, 0), ret_root, err) : edge_root(tree, &edge, ret_root, err);
}

custos_rc custos_tree_check_leaf(const struct custos_tree *tree, uint64_t index, struct custos_bytes entry, struct custos_err *err)
{
	custos_hash hash;
	CUSTOS_REQUIRE(index < tree->edge.count, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " was not there before", index);
	CUSTOS_TRY(custos_merkle_leaf(tree->merkle, entry, hash, err));
	CUSTOS_REQUIRE(index >= tree->base.count, err, CUSTOS_E_INTERNAL, "the log was read from entry %zu on, not from %" PRIu64, tree->base.count, index);
	CUSTOS_REQUIRE(memcmp(hash, tree->leaves[index - tree->base.count], sizeof hash) == 0, err, CUSTOS_E_TAMPERED,
	               "log entry %" PRIu64 " is not what it was", index);
	return CUSTOS_OK;
}

custos_rc custos_tree_prove_last(const struct custos_tree_edge *before, custos_hash **ret_proof, size_t *ret_count, struct custos_err *err)
{
	AUTO_HASHES *proof = calloc(before->depth + 1, sizeof *proof);
	CUSTOS_REQUIRE(proof != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < before->depth; i++)
		memcpy(proof[i], before->node[before->depth - 1 - i], CUSTOS_HASH_SIZE);
	*ret_proof = CUSTOS_TAKE(proof);
	*ret_count = before->depth;
	return CUSTOS_OK;
}

static custos_rc level_up(const struct custos_tree *tree, const custos_hash *hashes, size_t count, custos_hash **ret_up, struct custos_err *err)
{
	AUTO_HASHES *up = calloc(count / TILE + 1, sizeof *up);
	CUSTOS_REQUIRE(up != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < count / TILE; i++)
		CUSTOS_TRY(custos_merkle_root(tree->merkle, hashes + i * TILE, TILE, up[i], err));
	*ret_up = CUSTOS_TAKE(up);
	return CUSTOS_OK;
}

custos_rc custos_tree_levels(const struct custos_tree *tree, size_t size,
                             custos_rc (*each)(void *ctx, int level, const custos_hash *hashes, size_t count, struct custos_err *err),
                             void *ctx, struct custos_err *err)
{
	CUSTOS_REQUIRE(size <= tree->edge.count && tree->base.count == 0, err, CUSTOS_E_INTERNAL, "the log has %zu entries, not %zu", tree->edge.count, size);
	AUTO_HASHES *own = NULL;
	const custos_hash *hashes = custos_tree_leaves(tree);
	for (int level = 0; size > 0; level++, size /= TILE) {
		CUSTOS_TRY(each(ctx, level, hashes, size, err));
		custos_hash *up = NULL;
		CUSTOS_TRY(level_up(tree, hashes, size, &up, err));
		free(own);
		own = up;
		hashes = (const custos_hash *)up;
	}
	return CUSTOS_OK;
}
