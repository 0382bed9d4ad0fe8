/* Digests and the Merkle hashes of RFC 6962 2.1, all of public data. The tree functions know positions and hashes, never what an entry says. */
#include "crypto/digest.h"
#include "crypto/openssl.h"

#include <errno.h>
#include <openssl/rand.h>

static custos_rc digest(const char *name, size_t size, struct custos_bytes data, uint8_t *ret_hash, struct custos_err *err)
{
	size_t len = 0;
	if (EVP_Q_digest(NULL, name, NULL, data.ptr, data.len, ret_hash, &len) != 1 || len != size)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot make a digest");
	return CUSTOS_OK;
}

custos_rc custos_sha256(struct custos_bytes data, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	return digest("SHA256", CUSTOS_HASH_SIZE, data, ret_hash, err);
}

custos_rc custos_sha384(struct custos_bytes data, uint8_t ret_hash[static 48], struct custos_err *err)
{
	return digest("SHA384", 48, data, ret_hash, err);
}

custos_rc custos_sha512(struct custos_bytes data, uint8_t ret_hash[static 64], struct custos_err *err)
{
	return digest("SHA512", 64, data, ret_hash, err);
}

custos_rc custos_sha256_fd(int fd, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	uint8_t chunk[16384];
	CUSTOS_AUTO_OPENSSL(md_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	if (ctx == NULL || EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot make a digest");
	for (;;) {
		ssize_t got = read(fd, chunk, sizeof chunk);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot read what is to be hashed: %s", strerror(errno));
		if (got == 0)
			break;
		if (EVP_DigestUpdate(ctx, chunk, (size_t)got) != 1)
			return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot make a digest");
	}
	if (EVP_DigestFinal_ex(ctx, ret_hash, NULL) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot make a digest");
	return CUSTOS_OK;
}

custos_rc custos_random(uint8_t *out, size_t len, struct custos_err *err)
{
	CUSTOS_REQUIRE(len <= 1 << 20, err, CUSTOS_E_INTERNAL, "%zu random bytes", len);
	if (RAND_bytes(out, (int)len) != 1)
		return custos_openssl_fail(err, CUSTOS_E_SYSTEM, "no random numbers");
	return CUSTOS_OK;
}

struct custos_merkle {
	EVP_MD *sha256;
	EVP_MD_CTX *ctx;
};

custos_rc custos_merkle_new(struct custos_merkle **ret_merkle, struct custos_err *err)
{
	CUSTOS_AUTO(custos_merkle) *m = calloc(1, sizeof *m);
	CUSTOS_REQUIRE(m != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	m->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	m->ctx = EVP_MD_CTX_new();
	if (m->sha256 == NULL || m->ctx == NULL)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot make a digest");
	*ret_merkle = CUSTOS_TAKE(m);
	return CUSTOS_OK;
}

void custos_merkle_free(struct custos_merkle *m)
{
	if (m == NULL)
		return;
	EVP_MD_CTX_free(m->ctx);
	EVP_MD_free(m->sha256);
	free(m);
}

static custos_rc hash_parts(struct custos_merkle *m, uint8_t prefix, struct custos_bytes a, struct custos_bytes b, uint8_t *ret_hash, struct custos_err *err)
{
	if (EVP_DigestInit_ex2(m->ctx, m->sha256, NULL) != 1 || EVP_DigestUpdate(m->ctx, &prefix, 1) != 1 || EVP_DigestUpdate(m->ctx, a.ptr, a.len) != 1 ||
	    EVP_DigestUpdate(m->ctx, b.ptr, b.len) != 1 || EVP_DigestFinal_ex(m->ctx, ret_hash, NULL) != 1)
		return custos_openssl_fail(err, CUSTOS_E_INTERNAL, "cannot make a digest");
	return CUSTOS_OK;
}

custos_rc custos_merkle_leaf(struct custos_merkle *m, struct custos_bytes entry, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	return hash_parts(m, 0, entry, CUSTOS_BYTES(NULL, 0), ret_hash, err);
}

custos_rc custos_merkle_node(struct custos_merkle *m, const uint8_t left[static CUSTOS_HASH_SIZE], const uint8_t right[static CUSTOS_HASH_SIZE],
                             uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	return hash_parts(m, 1, CUSTOS_BYTES(left, CUSTOS_HASH_SIZE), CUSTOS_BYTES(right, CUSTOS_HASH_SIZE), ret_hash, err);
}

/* Complete subtrees of falling size, as the bits of the number of leaves seen so far; joined from the right at the end. */
custos_rc custos_merkle_root(struct custos_merkle *m, const custos_hash *leaves, size_t count, uint8_t ret_root[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	custos_hash open[64];
	size_t depth = 0;
	if (count == 0)
		return custos_sha256(CUSTOS_BYTES(NULL, 0), ret_root, err);
	for (size_t i = 0; i < count; i++) {
		memcpy(open[depth++], leaves[i], CUSTOS_HASH_SIZE);
		for (size_t seen = i + 1; (seen & 1) == 0; seen >>= 1, depth--)
			CUSTOS_TRY(custos_merkle_node(m, open[depth - 2], open[depth - 1], open[depth - 2], err));
	}
	for (; depth > 1; depth--)
		CUSTOS_TRY(custos_merkle_node(m, open[depth - 2], open[depth - 1], open[depth - 2], err));
	memcpy(ret_root, open[0], CUSTOS_HASH_SIZE);
	return CUSTOS_OK;
}

/* The largest power of two smaller than n, n > 1. */
static size_t split_of(size_t n)
{
	size_t k = 1;
	while (k < n - k)
		k <<= 1;
	return k;
}

custos_rc custos_merkle_prove(struct custos_merkle *m, const custos_hash *leaves, size_t count, size_t index, custos_hash **ret_proof, size_t *ret_proof_count,
                              struct custos_err *err)
{
	custos_hash down[64];
	size_t n = 0, first = 0, width = count;
	CUSTOS_REQUIRE(index < count, err, CUSTOS_E_INTERNAL, "a proof for entry %zu of %zu", index, count);
	while (width > 1) {
		size_t left = split_of(width);
		bool goes_left = index - first < left;
		size_t other = goes_left ? first + left : first, other_width = goes_left ? width - left : left;
		CUSTOS_TRY(custos_merkle_root(m, leaves + other, other_width, down[n++], err));
		first += goes_left ? 0 : left;
		width = goes_left ? left : width - left;
	}
	custos_hash *proof = calloc(n + 1, sizeof *proof);
	CUSTOS_REQUIRE(proof != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		memcpy(proof[i], down[n - 1 - i], CUSTOS_HASH_SIZE);
	*ret_proof = proof;
	*ret_proof_count = n;
	return CUSTOS_OK;
}

/* RFC 9162 2.1.3.2: `at` and `last` are the positions of the entry and of the last entry in the level the proof has reached. */
custos_rc custos_merkle_check(struct custos_merkle *m, const uint8_t leaf_hash[static CUSTOS_HASH_SIZE], uint64_t index, uint64_t size, const custos_hash *proof,
                              size_t proof_count, const uint8_t root[static CUSTOS_HASH_SIZE], struct custos_err *err)
{
	custos_hash have;
	CUSTOS_REQUIRE(index < size, err, CUSTOS_E_TAMPERED, "entry %llu is not in a log of %llu entries", (unsigned long long)index, (unsigned long long)size);
	uint64_t at = index, last = size - 1;
	memcpy(have, leaf_hash, CUSTOS_HASH_SIZE);
	for (size_t i = 0; i < proof_count; i++) {
		CUSTOS_REQUIRE(last != 0, err, CUSTOS_E_TAMPERED, "the proof of entry %llu is too long", (unsigned long long)index);
		if ((at & 1) != 0 || at == last) {
			CUSTOS_TRY(custos_merkle_node(m, proof[i], have, have, err));
			while ((at & 1) == 0 && at != 0) {
				at >>= 1;
				last >>= 1;
			}
		} else {
			CUSTOS_TRY(custos_merkle_node(m, have, proof[i], have, err));
		}
		at >>= 1;
		last >>= 1;
	}
	CUSTOS_REQUIRE(last == 0, err, CUSTOS_E_TAMPERED, "the proof of entry %llu is too short", (unsigned long long)index);
	CUSTOS_REQUIRE(memcmp(have, root, CUSTOS_HASH_SIZE) == 0, err, CUSTOS_E_TAMPERED, "entry %llu is not in the tree with this root",
	               (unsigned long long)index);
	return CUSTOS_OK;
}
