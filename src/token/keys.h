/* What custos-token does with keys. Every object made here is either the KEK, a sign-only pair or the log's pair, or it is a session object
 * that is destroyed before the function returns, whatever happens. */
#ifndef CUSTOS_TOKEN_KEYS_H
#define CUSTOS_TOKEN_KEYS_H

#include "link/token.h"
#include "token/session.h"

/* An object that is destroyed when its scope ends; `keep` by setting handle to 0. */
struct custos_object {
	const struct custos_session *session;
	CK_OBJECT_HANDLE handle;
};
void custos_object_destroy(struct custos_object *object);
#define CUSTOS_AUTO_OBJECT __attribute__((cleanup(custos_object_destroy))) struct custos_object

/* Objects with this class (CK_UNAVAILABLE_INFORMATION: any) and, unless empty, id and label. *ret_first is valid when *ret_count is not 0. */
CUSTOS_RC custos_objects_find(const struct custos_session *session, CK_OBJECT_CLASS class, struct custos_bytes id, struct custos_bytes label, CK_OBJECT_HANDLE *ret_first,
                              size_t *ret_count, struct custos_err *err);
/* Exactly one, or CUSTOS_E_TOKEN naming `what`. */
CUSTOS_RC custos_object_find_one(const struct custos_session *session, CK_OBJECT_CLASS class, struct custos_bytes id, const char *what, CK_OBJECT_HANDLE *ret_object,
                                 struct custos_err *err);
/* Refuses when anything on the token has this id or label already. */
CUSTOS_RC custos_object_refuse_existing(const struct custos_session *session, struct custos_bytes id, struct custos_bytes label, struct custos_err *err);
/* SPKI of a public key object. */
CUSTOS_RC custos_object_spki(const struct custos_session *session, CK_OBJECT_HANDLE public_key, enum custos_key_type type, struct custos_buf *spki, struct custos_err *err);
CK_KEY_TYPE custos_cryptoki_key_type(enum custos_key_type type);

struct custos_new_pair {
	struct custos_object private_key, public_key;
};
/* Makes a pair by the two policies. The doctor asks for no more. */
CUSTOS_RC custos_pair_make(const struct custos_session *session, enum custos_key_type type, const struct custos_policy *private_policy, const struct custos_policy *public_policy,
                           const struct custos_policy_values *values, struct custos_new_pair *ret_pair, struct custos_err *err);
/* Makes a pair by the two policies and reads both back. */
CUSTOS_RC custos_pair_generate(const struct custos_session *session, enum custos_key_type type, const struct custos_policy *private_policy, const struct custos_policy *public_policy,
                               const struct custos_policy_values *values, struct custos_new_pair *ret_pair, struct custos_err *err);

/* A signature over `message` as enum custos_signature defines it (DER for ECDSA). */
CUSTOS_RC custos_object_sign(const struct custos_session *session, CK_OBJECT_HANDLE key, enum custos_key_type type, struct custos_bytes message, struct custos_buf *signature,
                             struct custos_err *err);
CUSTOS_RC custos_object_sign_challenge(const struct custos_session *session, CK_OBJECT_HANDLE key, enum custos_key_type type, const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE],
                                       struct custos_buf *signature, struct custos_err *err);

/* What the keeper wants signed with a key of the custody: a container, unwrapped for this one signature, or without one the sign-only key `id`. Whatever
 * looks like a checkpoint, and the log's key, are refused. */
struct custos_signing {
	enum custos_key_type type;
	struct custos_bytes id, container, spki, message;
	enum custos_signature algorithm;   /* 0: the type's own; else that, or PSS where the profile has it */
};
CUSTOS_RC custos_key_sign(struct custos_session *session, const struct custos_signing *signing, struct custos_buf *signature, struct custos_err *err);

/* KEK. What its policies are filled with; `id` and `label` may be empty. */
struct custos_policy_values custos_kek_values(const struct custos_session *session, struct custos_bytes id, struct custos_bytes label);
CUSTOS_RC custos_kek_create(struct custos_session *session, struct custos_bytes id, struct custos_bytes label, enum custos_kek_birth birth, struct custos_json **ret_attributes,
                            struct custos_err *err);
/* The KEK `id`, read back as that variant. */
CUSTOS_RC custos_kek_find(const struct custos_session *session, struct custos_bytes id, enum custos_kek_variant variant, CK_OBJECT_HANDLE *ret_kek, struct custos_err *err);
/* What a KEK wrapped on the day it was made: a P-256 key, which signs the challenge when it is out. Appends the signature. */
struct custos_kek_canary {
	struct custos_bytes container, spki;
	const uint8_t *challenge;                /* CUSTOS_CHALLENGE_SIZE */
};
CUSTOS_RC custos_kek_prove(const struct custos_session *session, CK_OBJECT_HANDLE kek, const struct custos_kek_canary *canary, struct custos_buf *signature, struct custos_err *err);
CUSTOS_RC custos_kek_wrap(const struct custos_session *session, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, struct custos_buf *wrapped, struct custos_err *err);
/* From a container to a session object, read back; needs a KEK. `spki` is the public half, which some tokens want to be told of an EC key; it is not
 * checked here. */
CUSTOS_RC custos_kek_unwrap(const struct custos_session *session, struct custos_bytes container, enum custos_key_type type, struct custos_bytes spki, struct custos_object *ret_key,
                            struct custos_err *err);
/* The same under any key that may unwrap. */
CUSTOS_RC custos_key_unwrap(const struct custos_session *session, CK_OBJECT_HANDLE unwrapping, struct custos_bytes container, enum custos_key_type type, struct custos_bytes spki,
                            struct custos_object *ret_key, struct custos_err *err);

/* The life of a KEK (kek_life.c). Lets the KEK that was made for a backup out to the receiver of the claim, which the guard must admit; what proves it is the canary. */
struct custos_transported;
CUSTOS_RC custos_kek_hand_over(struct custos_session *session, const struct custos_guard_claim *claim, const struct custos_kek_canary *canary, struct custos_transported *ret_transported,
                               struct custos_err *err);
/* Can the token keep a copy of it, closed as it has to be? Known before it goes anywhere; the copy is destroyed. */
CUSTOS_RC custos_kek_try_keeping(struct custos_session *session, CK_OBJECT_HANDLE kek, struct custos_bytes id, struct custos_err *err);
/* Copies it onto the token, proves the copy, and forgets the session object. */
CUSTOS_RC custos_kek_keep(struct custos_session *session, struct custos_bytes id, const struct custos_kek_canary *canary, struct custos_json **ret_attributes,
                          struct custos_buf *signature, struct custos_err *err);
/* A KEK that comes sealed to the pair of custos_import_begin(). It opens its canary before anything stays; KEEP: it stays under this id and label, is proven once more, and
 * is the KEK from now on. */
enum custos_kek_receive_flags { CUSTOS_KEK_RECEIVE_KEEP = 1u << 0 };
struct custos_kek_delivery {
	unsigned flags;
	struct custos_bytes id, label, sealed;
	const uint8_t *sender_point;             /* CUSTOS_POINT_SIZE */
};
CUSTOS_RC custos_kek_receive(struct custos_session *session, const struct custos_kek_delivery *delivery, const struct custos_kek_canary *canary, struct custos_json **ret_attributes,
                             struct custos_buf *signature, struct custos_err *err);
/* Gone already is fine; the KEK that is open is refused. */
CUSTOS_RC custos_kek_destroy(struct custos_session *session, struct custos_bytes id, struct custos_err *err);

/* New keys. Buffers are appended to. */
struct custos_made_key {
	enum custos_key_type type;
	struct custos_buf spki, container, signature, second_signature;
};
void custos_made_key_done(struct custos_made_key *key);
CUSTOS_RC custos_key_make_deployable(struct custos_session *session, enum custos_key_type type, const uint8_t challenges[static 2 * CUSTOS_CHALLENGE_SIZE], struct custos_made_key *ret_key,
                                     struct custos_err *err);
/* The same without the second proof, which is then the keeper's first signature with the container: until that was verified the key is nobody's. */
CUSTOS_RC custos_key_make_wrapped(struct custos_session *session, enum custos_key_type type, const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE], struct custos_made_key *ret_key,
                                  struct custos_err *err);
CUSTOS_RC custos_key_make_sign_only(struct custos_session *session, enum custos_key_type type, struct custos_bytes id, struct custos_bytes label,
                                    const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE], struct custos_made_key *ret_key, struct custos_err *err);

/* Destroys the two objects of a sign-only key, private half first, and looks for them afterwards. Both gone already is fine: this may have been
 * interrupted. Refused unless the public half is `spki`, for the log's key, and before that is known. */
CUSTOS_RC custos_key_destroy(struct custos_session *session, struct custos_bytes id, struct custos_bytes spki, struct custos_err *err);

/* The log's key. */
CUSTOS_RC custos_log_key_make(struct custos_session *session, struct custos_bytes id, struct custos_bytes label, const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE],
                              struct custos_made_key *ret_key, struct custos_err *err);
CUSTOS_RC custos_log_key_open(struct custos_session *session, struct custos_bytes id, struct custos_bytes spki, struct custos_err *err);
/* Signs a checkpoint body the guard allows, and remembers it. */
CUSTOS_RC custos_log_key_sign(struct custos_session *session, struct custos_bytes body, struct custos_buf *signature, struct custos_err *err);

/* Step 4 of a release. Nothing is unwrapped unless the guard admits the claim. */
struct custos_transported {
	struct custos_buf signature, wrapped, wrapping_key;
	uint8_t token_point[CUSTOS_POINT_SIZE];
};
void custos_transported_done(struct custos_transported *transported);
/* To whom, by the transport of the session's profile; what it does not need may be missing. */
struct custos_courier_ends {
	const uint8_t *point;                    /* CUSTOS_POINT_SIZE */
	struct custos_bytes key;                 /* SPKI */
	const uint8_t *binding;                  /* CUSTOS_HASH_SIZE: the intent's leaf hash */
};
/* The second half of it: a key that is out of its container, wrapped for one courier. Fills token_point or wrapping_key, and wrapped. The release and the doctor
 * call it; it needs no permit because a session key without a container is nobody's yet. */
CUSTOS_RC custos_key_hand_over(const struct custos_session *session, CK_OBJECT_HANDLE key, const struct custos_courier_ends *courier, struct custos_transported *out,
                               struct custos_err *err);
CUSTOS_RC custos_key_transport(struct custos_session *session, enum custos_key_type type, struct custos_bytes spki, const struct custos_guard_claim *claim,
                               const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE], struct custos_transported *ret_transported, struct custos_err *err);

/* AES-256 from ECDH with a courier's point: Z itself is the key (CKD_NULL) or, with a `binding`, what X9.63 makes of both (CKD_SHA256_KDF); never readable,
 * good for what the policy says only. */
CUSTOS_RC custos_transport_agree(const struct custos_session *session, CK_OBJECT_HANDLE ephemeral, const uint8_t courier_point[static CUSTOS_POINT_SIZE], const uint8_t *binding,
                                 const struct custos_policy *policy, struct custos_object *ret_key, struct custos_err *err);
/* By ECDH, whatever the profile says; `binding` may be NULL. A KEK goes to its backup like that. */
CUSTOS_RC custos_key_hand_over_agreed(const struct custos_session *session, CK_OBJECT_HANDLE key, const uint8_t courier_point[static CUSTOS_POINT_SIZE], const uint8_t *binding,
                                      struct custos_transported *out, struct custos_err *err);
/* transport_rsa.c: the transports that need a key of the courier's. */
CUSTOS_RC custos_key_hand_over_rsa(const struct custos_session *session, CK_OBJECT_HANDLE key, const struct custos_courier_ends *courier, struct custos_transported *out,
                                   struct custos_err *err);
/* The uncompressed point of a P-256 public key object. */
CUSTOS_RC custos_object_read_point(const struct custos_session *session, CK_OBJECT_HANDLE public_key, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err);

/* The other direction, in two steps: an ephemeral pair whose point a courier seals a key to; then that key, unwrapped to a session object, proven, wrapped under the
 * KEK and proven once more out of its container. The pair is good for one attempt. */
struct custos_import {
	enum custos_key_type type;
	struct custos_bytes spki;
	const uint8_t *courier_point;            /* CUSTOS_POINT_SIZE */
	struct custos_bytes sealed;
	const uint8_t *challenges;               /* 2 * CUSTOS_CHALLENGE_SIZE */
};
CUSTOS_RC custos_import_begin(struct custos_session *session, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err);
CUSTOS_RC custos_import_key(struct custos_session *session, const struct custos_import *import, struct custos_made_key *ret_key, struct custos_err *err);
/* Whatever becomes of it, the pair is used up. */
void custos_import_end(struct custos_session *session);

/* From the KEK `from` to the one that is open. */
struct custos_rewrap {
	enum custos_key_type type;
	struct custos_bytes from, spki, container;
	enum custos_kek_variant variant;         /* of `from` */
	const uint8_t *challenges;               /* 2 * CUSTOS_CHALLENGE_SIZE: before, and out of the new container */
};
CUSTOS_RC custos_key_rewrap(struct custos_session *session, const struct custos_rewrap *rewrap, struct custos_made_key *ret_key, struct custos_err *err);

/* Sealed keys: the key on the token that content keys are sealed to, and one content key from it to one courier. It passes through locked memory of this process: the
 * token can decrypt or derive, and wrap nothing. */
struct custos_made_sealing {
	enum custos_sealing method;              /* none: nothing was made */
	struct custos_buf spki;
	struct custos_json *attributes;          /* NULL with none */
};
void custos_made_sealing_done(struct custos_made_sealing *made);
CUSTOS_RC custos_sealing_create(struct custos_session *session, struct custos_bytes id, struct custos_bytes label, struct custos_made_sealing *ret_made, struct custos_err *err);
/* Found, read back, of this public half, and able to open what is sealed to it now. */
CUSTOS_RC custos_sealing_open(struct custos_session *session, struct custos_bytes id, const struct custos_sealing_key *key, struct custos_err *err);
/* Nothing is opened unless the guard admits the claim, whose `sealed` is filled in here. */
CUSTOS_RC custos_sealed_release(struct custos_session *session, struct custos_guard_claim *claim, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_buf *sealed, struct custos_err *err);

#endif
