/* What custos-token believes about the log: the last checkpoint it signed itself, and nothing else.
 *
 * A pure core, without token and I/O: bodies and leaves come in, a verdict comes out. A checkpoint body is three lines, origin, size, root
 * (C2SP tlog-checkpoint); anything else is not signed, so the log key signs nothing but checkpoints. A release is allowed for the leaf that is the last entry
 * of the tree signed last, once. A sealed key may also be opened for no host, by a key.open_intent, to sign in a courier. */
#ifndef CUSTOS_TOKEN_RELEASE_GUARD_H
#define CUSTOS_TOKEN_RELEASE_GUARD_H

#include "base/permit.h"
#include "crypto/sealed_container.h"

struct custos_guard;

CUSTOS_RC custos_guard_new(struct custos_guard **ret_guard, struct custos_err *err);
void custos_guard_free(struct custos_guard *guard);
CUSTOS_DEFINE_FREEP(custos_guard);

/* May this body be signed after the one signed last? CUSTOS_E_POLICY when it goes back, names another log or a second root for the same size. */
CUSTOS_RC custos_guard_check_body(const struct custos_guard *guard, struct custos_bytes body, struct custos_err *err);
/* It was signed. */
CUSTOS_RC custos_guard_remember(struct custos_guard *guard, struct custos_bytes body, struct custos_err *err);

/* Whether these bytes could be signed as a checkpoint. No other key and no other request may sign such bytes. */
CUSTOS_MUST bool custos_guard_is_checkpoint(struct custos_bytes message);

struct custos_guard_claim {
	enum custos_intent_kind kind;
	struct custos_bytes container, leaf, checkpoint_body, hosts_line;
	const uint8_t *courier_point;         /* CUSTOS_POINT_SIZE */
	const uint8_t (*proof)[CUSTOS_HASH_SIZE];
	size_t proof_count;
	enum custos_transport transport;      /* the profile's, whatever the keeper says; of a sealed key ecdh-p256 */
	struct custos_bytes courier_key;      /* SPKI; empty when the transport needs none */
	const struct custos_sealed_name *sealed; /* NULL: a wrapped key. Else what the container of a sealed one says of itself, and the log must say the same */
};
/* CUSTOS_E_POLICY unless the claim holds in every part. Success uses the leaf up, whatever happens afterwards. */
CUSTOS_RC custos_guard_admit(struct custos_guard *guard, const struct custos_guard_claim *claim, struct custos_err *err);
/* The leaf hash of an entry (RFC 6962 2.1), to which transports that can bind the parcel. */
CUSTOS_RC custos_guard_leaf_hash(const struct custos_guard *guard, struct custos_bytes leaf, uint8_t ret_hash[static CUSTOS_HASH_SIZE], struct custos_err *err);

#endif
