/* Releases: who may go where, intents and outcomes, and what was left open. Used by the deploy layer. */
#ifndef CUSTOS_VAULT_RELEASE_H
#define CUSTOS_VAULT_RELEASE_H

#include "target/plan.h"
#include "vault/vault.h"
#include "x509/anchors.h"

/* One release at a time in one custody directory: takes DIR/release.lock or fails. May replay the log: records looked up before
 * are looked up again. */
CUSTOS_RC custos_release_lock(struct custos_custody *c, struct custos_err *err);
void custos_release_unlock(struct custos_custody *c);
/* Records open releases that nobody is working on as release.unknown. Does nothing while another process holds the lock, or when
 * the store cannot be written. */
CUSTOS_RC custos_release_find_orphans(struct custos_custody *c, struct custos_err *err);

/* What a release of a key carries: the certificate chain as it was accepted (or an earlier one of the same custody). */
struct custos_consignment {
	char *key;                     /* name */
	struct custos_vault_key material;
	struct custos_buf leaf;        /* DER */
	struct custos_buf chain_pem;   /* leaf, then intermediates */
	char leaf_sha256[65], chain_sha256[65], container_sha256[65], spki_sha256[65];
};
void custos_consignment_done(struct custos_consignment *goods);
/* `chain_sha256` NULL: the certificate accepted last. */
CUSTOS_RC custos_consignment_load(struct custos_custody *c, const char *key, const char *chain_sha256, struct custos_consignment *ret_goods,
                                  struct custos_err *err);

/* May this key go to this target? Allowed by name, key type accepted by the profile, certificate valid now and covering every
 * name the target is verified by. Everything from the replayed log. *ret_profile is the profile the target was added with. */
CUSTOS_RC custos_release_policy(struct custos_custody *c, const struct custos_consignment *goods, const char *target,
                                struct custos_profile **ret_profile, struct custos_err *err);
/* The profile a target was added with, by its hash in the log. */
CUSTOS_RC custos_release_profile(struct custos_custody *c, const struct custos_json *target, struct custos_profile **ret_profile,
                                 struct custos_err *err);
/* Trust anchors a client would use, by the genesis entry. */
CUSTOS_RC custos_vault_anchors(struct custos_custody *c, struct custos_anchors **ret_anchors, struct custos_err *err);

/* Inside begin: the intent durable and signed, and with it the permit; the transaction is over whatever happens. */
CUSTOS_RC custos_vault_commit_intent(struct custos_custody *c, const struct custos_json *fields, const struct custos_release_terms *terms, struct custos_log_intent *ret_intent,
                                     struct custos_err *err);
/* What custos-token wants to see of it. Borrows everything. */
struct custos_release_request custos_vault_request(const struct custos_log_intent *intent, const struct custos_token_key_ref *key, const uint8_t *point, struct custos_bytes receivers);

/* How these goods get from this token (NULL: none is there) to a courier. */
enum custos_transport custos_release_transport(const struct custos_consignment *goods, const struct custos_token *token);
/* The host as the intent names it: {"name","address","hostkeys","profile_sha256"}. */
struct custos_json *custos_release_host(const struct custos_json *target);
/* What one courier is to carry where. Everything is borrowed. */
struct custos_release_order {
	const struct custos_consignment *goods;
	const struct custos_json *hosts;            /* array of custos_release_host() */
	const uint8_t *courier_point;               /* CUSTOS_POINT_SIZE bytes */
	enum custos_transport transport;            /* as the courier was told: custos_release_transport() */
	struct custos_bytes courier_key;            /* SPKI, when the transport needs one; else empty */
	const uint8_t *courier_sha256;              /* CUSTOS_HASH_SIZE bytes: the program that was started */
	const char *memory_backend;                 /* how the courier has locked its memory */
	const char *reason;                         /* NULL: none */
};
/* Logs the intent for these hosts and this courier, has the token wrap the key for it. The parcel is ciphertext. Policy is asked
 * again under the write lock. *ret_intent is set as soon as the intent is durable, also when the token fails after that. */
CUSTOS_RC custos_release_execute(struct custos_custody *c, const struct custos_release_order *order, uint64_t *ret_intent,
                                 struct custos_release_parcel *ret_parcel, struct custos_err *err);

#endif
