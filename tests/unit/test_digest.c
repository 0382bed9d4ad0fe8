/* Digests against known answers; the Merkle functions against the well-known eight-leaf tree of Certificate Transparency and against
 * the recursive definition of RFC 6962 2.1 for every size up to 33. */
#include "crypto/digest.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdarg.h>
#include <cmocka.h>

enum { SIZES = 34 };

static void assert_hex(const uint8_t *hash, size_t len, const char *hex)
{
	char text[129];
	custos_text_hex(hash, len, text);
	assert_string_equal(text, hex);
}

static void known_digests(void **state)
{
	(void)state;
	uint8_t hash[48];
	assert_int_equal(custos_sha256(CUSTOS_BYTES_STR("abc"), hash, NULL), CUSTOS_OK);
	assert_hex(hash, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(custos_sha256(CUSTOS_BYTES(NULL, 0), hash, NULL), CUSTOS_OK);
	assert_hex(hash, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_int_equal(custos_sha384(CUSTOS_BYTES_STR("abc"), hash, NULL), CUSTOS_OK);
	assert_hex(hash, 48, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
}

static void the_rest_of_a_descriptor(void **state)
{
	(void)state;
	enum { LEN = 100000 };
	static uint8_t data[LEN];
	uint8_t whole[32], read_back[32];
	struct custos_err err = { 0 };
	FILE *f = tmpfile();
	assert_non_null(f);
	assert_int_equal(custos_random(data, LEN, NULL), CUSTOS_OK);
	assert_int_equal(write(fileno(f), data, LEN), LEN);
	assert_int_equal(lseek(fileno(f), 5, SEEK_SET), 5);
	assert_int_equal(custos_sha256(CUSTOS_BYTES(data + 5, LEN - 5), whole, NULL), CUSTOS_OK);
	assert_int_equal(custos_sha256_fd(fileno(f), read_back, NULL), CUSTOS_OK);
	assert_memory_equal(whole, read_back, 32);
	fclose(f);
	assert_int_equal(custos_sha256_fd(-1, read_back, &err), CUSTOS_E_SYSTEM);
}

static void random_bytes_differ(void **state)
{
	(void)state;
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	assert_int_equal(custos_random(a, sizeof a, NULL), CUSTOS_OK);
	assert_int_equal(custos_random(b, sizeof b, NULL), CUSTOS_OK);
	assert_memory_not_equal(a, b, sizeof a);
	assert_int_equal(custos_random(a, SIZE_MAX, NULL), CUSTOS_E_INTERNAL);
}

static const struct {
	const char *leaf;
	size_t len;
	const char *root;
} known[] = {
	{ "", 0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
	{ "\x00", 1, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
	{ "\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
	{ "\x20\x21", 2, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
	{ "\x30\x31", 2, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
	{ "\x40\x41\x42\x43", 4, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
	{ "\x50\x51\x52\x53\x54\x55\x56\x57", 8, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
	{ "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
};

static void known_tree(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_merkle) *m = NULL;
	custos_hash leaves[8], root, *proof = NULL;
	size_t count = 0;
	assert_int_equal(custos_merkle_new(&m, NULL), CUSTOS_OK);
	assert_int_equal(custos_merkle_root(m, (const custos_hash *)leaves, 0, root, NULL), CUSTOS_OK);
	assert_hex(root, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(custos_merkle_leaf(m, CUSTOS_BYTES(known[i].leaf, known[i].len), leaves[i], NULL), CUSTOS_OK);
		assert_int_equal(custos_merkle_root(m, (const custos_hash *)leaves, i + 1, root, NULL), CUSTOS_OK);
		assert_hex(root, 32, known[i].root);
	}
	assert_int_equal(custos_merkle_prove(m, (const custos_hash *)leaves, 8, 0, &proof, &count, NULL), CUSTOS_OK);
	assert_int_equal(count, 3);
	assert_hex(proof[0], 32, "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
	assert_hex(proof[1], 32, "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
	assert_hex(proof[2], 32, "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4");
	free(proof);
}

/* MTH of RFC 6962 2.1, word by word. */
static void recursive_root(const custos_hash *leaves, size_t n, uint8_t *root)
{
	uint8_t node[65] = { 1 };
	size_t k = 1;
	if (n == 1) {
		memcpy(root, leaves[0], 32);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	recursive_root(leaves, k, node + 1);
	recursive_root(leaves + k, n - k, node + 33);
	assert_int_equal(custos_sha256(CUSTOS_BYTES(node, sizeof node), root, NULL), CUSTOS_OK);
}

struct tree {
	struct custos_merkle *m;
	custos_hash leaves[SIZES], root;
	size_t size;
};

static void refuse_other_proofs(struct tree *t, size_t index, custos_hash *proof, size_t count)
{
	const uint8_t *leaf = t->leaves[index];
	struct custos_err err = { 0 };
	for (size_t other = 0; other < t->size + 2; other++)
		if (other != index)
			assert_int_equal(custos_merkle_check(t->m, leaf, other, t->size, (const custos_hash *)proof, count, t->root, NULL), CUSTOS_E_TAMPERED);
	assert_int_equal(custos_merkle_check(t->m, leaf, index, t->size, (const custos_hash *)proof, count + 1, t->root, &err), CUSTOS_E_TAMPERED);
	assert_non_null(strstr(err.msg, "too long"));
	if (count > 0)
		assert_int_equal(custos_merkle_check(t->m, leaf, index, t->size, (const custos_hash *)proof, count - 1, t->root, NULL), CUSTOS_E_TAMPERED);
	for (size_t byte = 0; byte < count * 32; byte++)
		for (unsigned bit = t->size == 8 ? 0 : byte % 8; bit < 8; bit += t->size == 8 ? 1 : 8) {
			proof[byte / 32][byte % 32] ^= (uint8_t)(1u << bit);
			assert_int_equal(custos_merkle_check(t->m, leaf, index, t->size, (const custos_hash *)proof, count, t->root, NULL), CUSTOS_E_TAMPERED);
			proof[byte / 32][byte % 32] ^= (uint8_t)(1u << bit);
		}
	for (size_t bit = 0; bit < 256; bit++) {
		custos_hash damaged;
		memcpy(damaged, leaf, 32);
		damaged[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_equal(custos_merkle_check(t->m, damaged, index, t->size, (const custos_hash *)proof, count, t->root, NULL), CUSTOS_E_TAMPERED);
	}
}

static void every_size_proves_and_nothing_else_passes(void **state)
{
	(void)state;
	struct tree t = { 0 };
	assert_int_equal(custos_merkle_new(&t.m, NULL), CUSTOS_OK);
	for (size_t i = 0; i < SIZES; i++) {
		uint8_t entry[2] = { (uint8_t)i, 0xee };
		assert_int_equal(custos_merkle_leaf(t.m, CUSTOS_BYTES(entry, 2), t.leaves[i], NULL), CUSTOS_OK);
	}
	for (t.size = 1; t.size < SIZES; t.size++) {
		custos_hash expected, *none = NULL;
		size_t none_count = 0;
		assert_int_equal(custos_merkle_root(t.m, (const custos_hash *)t.leaves, t.size, t.root, NULL), CUSTOS_OK);
		recursive_root((const custos_hash *)t.leaves, t.size, expected);
		assert_memory_equal(t.root, expected, 32);
		for (size_t index = 0; index < t.size; index++) {
			custos_hash *proof = NULL;
			size_t count = 0;
			assert_int_equal(custos_merkle_prove(t.m, (const custos_hash *)t.leaves, t.size, index, &proof, &count, NULL), CUSTOS_OK);
			assert_int_equal(custos_merkle_check(t.m, t.leaves[index], index, t.size, (const custos_hash *)proof, count, t.root, NULL), CUSTOS_OK);
			/* room for one more, so that a proof that is too long can be offered */
			custos_hash *longer = realloc(proof, (count + 1) * sizeof *proof);
			assert_non_null(longer);
			memset(longer[count], 0, 32);
			refuse_other_proofs(&t, index, longer, count);
			free(longer);
		}
		assert_int_equal(custos_merkle_prove(t.m, (const custos_hash *)t.leaves, t.size, t.size, &none, &none_count, NULL), CUSTOS_E_INTERNAL);
		assert_null(none);
	}
	custos_merkle_free(t.m);
}

/* A position near 2^63 needs 63 steps; the walk must end there and not overflow. */
static void very_large_trees(void **state)
{
	(void)state;
	enum { STEPS = 63 };
	CUSTOS_AUTO(custos_merkle) *m = NULL;
	static custos_hash proof[STEPS];
	custos_hash root;
	assert_int_equal(custos_merkle_new(&m, NULL), CUSTOS_OK);
	assert_int_equal(custos_merkle_leaf(m, CUSTOS_BYTES_STR("x"), root, NULL), CUSTOS_OK);
	uint8_t leaf[32];
	memcpy(leaf, root, 32);
	uint64_t size = UINT64_C(1) << STEPS, index = size - 1;
	for (size_t i = 0; i < STEPS; i++)
		assert_int_equal(custos_merkle_node(m, proof[i], root, root, NULL), CUSTOS_OK);
	assert_int_equal(custos_merkle_check(m, leaf, index, size, (const custos_hash *)proof, STEPS, root, NULL), CUSTOS_OK);
	assert_int_equal(custos_merkle_check(m, leaf, index - 1, size, (const custos_hash *)proof, STEPS, root, NULL), CUSTOS_E_TAMPERED);
	assert_int_equal(custos_merkle_check(m, leaf, UINT64_MAX, UINT64_MAX, (const custos_hash *)proof, STEPS, root, NULL), CUSTOS_E_TAMPERED);
	assert_int_equal(custos_merkle_check(m, leaf, 0, 0, NULL, 0, leaf, NULL), CUSTOS_E_TAMPERED);
	assert_int_equal(custos_merkle_check(m, leaf, 0, 1, NULL, 0, leaf, NULL), CUSTOS_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_digests),
		cmocka_unit_test(the_rest_of_a_descriptor),
		cmocka_unit_test(random_bytes_differ),
		cmocka_unit_test(known_tree),
		cmocka_unit_test(every_size_proves_and_nothing_else_passes),
		cmocka_unit_test(very_large_trees),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
