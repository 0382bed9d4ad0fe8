/* Digests and the Merkle hashes of RFC 6962 2.1. EVP contexts are fetched once per call, not per hash, where it matters. */
#ifndef CUSTOS_CRYPTO_DIGEST_H
#define CUSTOS_CRYPTO_DIGEST_H

#include "base/permit.h"

CUSTOS_RC custos_sha256(struct custos_bytes data, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err);
CUSTOS_RC custos_sha384(struct custos_bytes data, uint8_t ret_hash[static 48], struct custos_err *err);
CUSTOS_RC custos_sha512(struct custos_bytes data, uint8_t ret_hash[static 64], struct custos_err *err);
/* SHA-256 of everything that can still be read from `fd`. */
CUSTOS_RC custos_sha256_fd(int fd, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err);
CUSTOS_RC custos_random(uint8_t *out, size_t len, struct custos_err *err);

/* Merkle hashing with one reused context. */
struct custos_merkle;
CUSTOS_RC custos_merkle_new(struct custos_merkle **ret_merkle, struct custos_err *err);
void custos_merkle_free(struct custos_merkle *merkle);
CUSTOS_DEFINE_FREEP(custos_merkle);
typedef uint8_t custos_hash[CUSTOS_HASH_SIZE];
CUSTOS_RC custos_merkle_leaf(struct custos_merkle *m, struct custos_bytes entry, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err);
CUSTOS_RC custos_merkle_node(struct custos_merkle *m, const uint8_t left[static CUSTOS_HASH_SIZE], const uint8_t right[static CUSTOS_HASH_SIZE], uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err);
/* Root of `count` leaf hashes (SHA-256 of nothing for 0). */
CUSTOS_RC custos_merkle_root(struct custos_merkle *m, const custos_hash *leaves, size_t count, uint8_t ret_root[static CUSTOS_HASH_SIZE], struct custos_err *err);
/* Inclusion proof of `index` in a tree of `count` leaves (RFC 6962 2.1.1), leaf end first; *ret_proof is the caller's to free. */
CUSTOS_RC custos_merkle_prove(struct custos_merkle *m, const custos_hash *leaves, size_t count, size_t index, custos_hash **ret_proof, size_t *ret_proof_count, struct custos_err *err);
/* CUSTOS_E_TAMPERED unless the proof leads from the leaf hash to the root. */
CUSTOS_RC custos_merkle_check(struct custos_merkle *m, const uint8_t leaf_hash[static CUSTOS_HASH_SIZE], uint64_t index, uint64_t size, const custos_hash *proof, size_t proof_count,
                              const uint8_t root[static CUSTOS_HASH_SIZE], struct custos_err *err);

#endif
