/* The keeper's side of the token: starts custos-token and asks it for things.
 *
 * One `struct custos_token` is one running custos-token process with one module, one token and, after login, one session. The process holds
 * the per-token lock from initialisation to the end. Whatever comes back is checked here in software: signatures, public keys, challenges.
 * A helper that hangs is killed after its time; a helper that dies is CUSTOS_E_TOKEN, and the keeper goes on. */
#ifndef CUSTOS_TOKEN_CLIENT_H
#define CUSTOS_TOKEN_CLIENT_H

#include "base/permit.h"
#include "base/signer.h"
#include "memory/secret.h"
#include <custos/json.h>

struct custos_token;

struct custos_token_where {
	const char *module;   /* name in the system's PKCS#11 directory, or an absolute path owned by root; after "network:" one that may use the network */
	const char *uri;      /* RFC 7512, selects exactly one token; pin-value, module-path and unrecognized attributes are refused */
	const char *serial;   /* NULL, or the serial the binding demands */
	const char *out_of_reach[3]; /* up to two directories, then NULL: custos-token and the module reach no file below them */
	const char *profile;  /* name of a shipped profile ("softhsm"), or a whole profile as YAML; NULL: matched from the token's own words */
};

struct custos_token_info {
	char manufacturer[33], model[17], serial[17], label[33], firmware[16];
	char profile[32];     /* e.g. "softhsm" */
	char tier[16];        /* what the profile promises: "hardened", "basic", "sign-only" */
	char uri[256];        /* pkcs11:… that selects this token: manufacturer, serial and label */
	char module[256];     /* the resolved path, after "network:" if that was said */
	bool initialized, login_required, pin_count_low, pin_final_try, pin_locked, protected_path;
	bool repaired;        /* the token's file was put back from its safety copy just now */
	unsigned padding_max; /* zero bytes tolerated after an unwrapped key */
	enum custos_transport transport; /* how a key travels from it to a courier */
};

enum custos_key_type {
	CUSTOS_KEY_RSA_2048 = 1, CUSTOS_KEY_RSA_3072, CUSTOS_KEY_RSA_4096, CUSTOS_KEY_EC_P256, CUSTOS_KEY_EC_P384, CUSTOS_KEY_ED25519,
	CUSTOS_KEY_EC_P521, CUSTOS_KEY_RSA_6144, CUSTOS_KEY_RSA_8192,
	CUSTOS_KEY_TYPES_END   /* one more than the last */
};
const char *custos_key_type_name(enum custos_key_type type);                       /* "rsa-2048" … */
CUSTOS_MUST bool custos_key_type_parse(const char *name, enum custos_key_type *ret_type);
unsigned custos_key_type_bits(enum custos_key_type type);                         /* of an RSA modulus; 0 for what is not RSA */
const char *custos_key_type_group(enum custos_key_type type);                     /* "P-256" …; NULL for what is on no such curve */
size_t custos_key_type_point_size(enum custos_key_type type);                     /* of an uncompressed point on that curve; else 0 */

/* Lists every token of where->module as the array that `custos token list --json` prints (no login). */
CUSTOS_RC custos_token_list(const struct custos_token_where *where, struct custos_json **ret_list, struct custos_err *err);
/* Initialises the token that `where` selects (an uninitialised slot may be named by `pkcs11:slot-id=N`, or with uri NULL the first one without a token) and sets the user PIN. Refuses a
 * token that is initialised already. */
CUSTOS_RC custos_token_init(const struct custos_token_where *where, const char *label, struct custos_secret *so_pin, struct custos_secret *user_pin,
                            struct custos_json **ret_token, struct custos_err *err);

CUSTOS_RC custos_token_open(const struct custos_token_where *where, struct custos_token **ret_token, struct custos_err *err);
void custos_token_free(struct custos_token *token);   /* ends the session and the process */
CUSTOS_DEFINE_FREEP(custos_token);
const struct custos_token_info *custos_token_info(const struct custos_token *token);
struct custos_json *custos_token_info_json(const struct custos_token_info *info);
pid_t custos_token_pid(const struct custos_token *token);
/* NULL while it has done what it was there for, whether that was yes or no; else what became of it, in our words: "did not answer in time", "ended unexpectedly",
 * "broke the protocol", "is gone or out of order", "did not take the PIN for a signature". The first of these stays. */
const char *custos_token_trouble(const struct custos_token *token);

/* One attempt; `pin` NULL: at the token's own PIN pad, where a person is waited for. Refused before any attempt when the flags say FINAL_TRY or LOCKED. On CUSTOS_E_AUTH the message holds the flags after the attempt, and *info
 * is fresh. */
CUSTOS_RC custos_token_login(struct custos_token *token, struct custos_secret *pin, struct custos_err *err);

/* A public key as the token made it. */
struct custos_token_key {
	enum custos_key_type type;
	struct custos_buf spki;       /* DER, built from the public object */
	struct custos_buf container;  /* wrapped private key; empty for sign-only keys and the log key */
};
void custos_token_key_done(struct custos_token_key *key);

/* What is known of a KEK: how it came to its token, its CKA_ID (random, given by the caller) and its canary, a P-256 key's container that it made and opens. */
enum custos_kek_variant { CUSTOS_KEK_LOCAL_ONLY = 1, CUSTOS_KEK_BACKED_UP, CUSTOS_KEK_RESTORED };
const char *custos_kek_variant_name(enum custos_kek_variant variant);  /* "local-only", "backed-up", "restored" */
CUSTOS_MUST bool custos_kek_variant_parse(const char *name, enum custos_kek_variant *ret_variant);
struct custos_token_kek {
	enum custos_kek_variant variant;
	const uint8_t *id;                       /* 16 bytes */
	struct custos_bytes canary, canary_spki;
};

/* Made with the template of policy.c, read back attribute by attribute, and open from now on. *ret_attributes is what was read back, for the log. Refuses when an object of that
 * label or id exists. FOR_BACKUP: a session object; it is lost unless a backup takes it and custos_token_kek_keep() then leaves it on the token. */
enum custos_kek_birth { CUSTOS_KEK_BORN_LOCAL = 1, CUSTOS_KEK_BORN_FOR_BACKUP };
CUSTOS_RC custos_token_kek_create(struct custos_token *token, const uint8_t id[static 16], const char *label, enum custos_kek_birth birth, struct custos_json **ret_attributes,
                                  struct custos_err *err);
/* Finds the KEK (exactly one), reads its attributes back against the class policy of its variant, unwraps the canary and has it sign a fresh challenge that is verified. From here on
 * the KEK is the one used by the calls below. */
CUSTOS_RC custos_token_kek_open(struct custos_token *token, const struct custos_token_kek *kek, struct custos_err *err);
/* The copy of a KEK made for a backup that stays on the token, proven by its canary. */
CUSTOS_RC custos_token_kek_keep(struct custos_token *token, const struct custos_token_kek *kek, struct custos_json **ret_attributes, struct custos_err *err);
/* A KEK that was sealed to the point of custos_token_import_begin(). It opens its canary, or nothing stays. PROVE: nothing stays in any case. KEEP: it is this token's KEK
 * `id` with this label from now on; its variant is "restored". */
enum custos_kek_taking { CUSTOS_KEK_PROVE, CUSTOS_KEK_TAKE };
struct custos_token_kek_delivery {
	enum custos_kek_taking taking;
	const char *label;
	const uint8_t *sender_point;             /* CUSTOS_POINT_SIZE */
	struct custos_bytes sealed;
};
CUSTOS_RC custos_token_kek_receive(struct custos_token *token, const struct custos_token_kek *kek, const struct custos_token_kek_delivery *delivery, struct custos_json **ret_attributes,
                                   struct custos_err *err);
/* The end of a KEK that is not the one that is open. Gone already is fine. */
CUSTOS_RC custos_token_kek_destroy(struct custos_token *token, const uint8_t id[static 16], struct custos_err *err);

/* Log key: Ed25519, else P-256. */
CUSTOS_RC custos_token_log_key_create(struct custos_token *token, const uint8_t id[static 16], const char *label, struct custos_token_key *ret_key, struct custos_err *err);
/* Signer over the log key; `spki` must match the object on the token and is borrowed by the signer. custos-token remembers every checkpoint body signed through it. */
CUSTOS_RC custos_token_log_signer(struct custos_token *token, const uint8_t id[static 16], struct custos_bytes spki, struct custos_signer *ret_signer, struct custos_err *err);

/* Deployable key: session object, wrapped under the KEK, unwrapped once more to sign a challenge (verified here), and gone from the token. */
CUSTOS_RC custos_token_key_generate(struct custos_token *token, enum custos_key_type type, struct custos_token_key *ret_key, struct custos_err *err);
/* Sign-only key: non-extractable token object with this id and label, read back, challenged. */
CUSTOS_RC custos_token_key_generate_sign_only(struct custos_token *token, enum custos_key_type type, const uint8_t id[static 16], const char *label,
                                              struct custos_token_key *ret_key, struct custos_err *err);
/* Signs `message` with a deployable key (unwrapped to a session object for this one call) or with a sign-only key (container empty, id given). The signature (DER for
 * ECDSA) is verified in software against spki before it is returned. */
struct custos_token_key_ref {
	enum custos_key_type type;
	struct custos_bytes spki, container;
	const uint8_t *id;
};
CUSTOS_RC custos_token_sign(struct custos_token *token, const struct custos_token_key_ref *key, enum custos_signature algorithm, struct custos_bytes message,
                            struct custos_buf *signature, struct custos_err *err);
/* The algorithm custos uses for a key type (SHA-256; SHA-384 for P-384, SHA-512 for P-521). */
enum custos_signature custos_key_signature(enum custos_key_type type);
/* That one, or RSASSA-PSS for RSA. */
CUSTOS_MUST bool custos_key_signs_by(enum custos_key_type type, enum custos_signature algorithm);

/* A key that was not born here (crypto/seal.h, from a courier to the token). begin: the point of an ephemeral pair that is good for one attempt. import: the key is
 * unwrapped to a session object, has to sign a challenge that verifies against `spki`, is wrapped under the KEK, and has to do it again out of its
 * container. */
CUSTOS_RC custos_token_import_begin(struct custos_token *token, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err);
struct custos_token_import {
	enum custos_key_type type;
	struct custos_bytes spki;
	const uint8_t *courier_point;        /* CUSTOS_POINT_SIZE */
	struct custos_bytes sealed;
};
CUSTOS_RC custos_token_import(struct custos_token *token, const struct custos_token_import *import, struct custos_token_key *ret_key, struct custos_err *err);

/* A key moves from the KEK it is under to the one that is open. It has signed before and after, or it is still where it was. */
CUSTOS_RC custos_token_key_rewrap(struct custos_token *token, const struct custos_token_kek *from, const struct custos_token_key_ref *key, struct custos_token_key *ret_key,
                                  struct custos_err *err);

/* The end of a sign-only key: its objects are destroyed on the token and looked for afterwards. That they are gone already is fine. CUSTOS_E_POLICY when
 * the token holds another key under this id. */
CUSTOS_RC custos_token_key_destroy(struct custos_token *token, const uint8_t id[static 16], struct custos_bytes spki, struct custos_err *err);

/* The release (docs/ARCHITECTURE.md, the way of a key, step 4). `permit` is consumed by this call whatever happens.
 * custos-token gets the intent's leaf, its inclusion proof and the checkpoint body it signed last, and checks for itself: the body is the one it
 * signed last in this process, the leaf is the last entry of that tree, the leaf is a `release.intent` naming this container's hash, this courier's
 * point and exactly these hosts, and it was not used before. */
struct custos_release_request {
	const struct custos_token_key_ref *key;
	const uint8_t *courier_point;        /* CUSTOS_POINT_SIZE */
	struct custos_bytes leaf;            /* the exact bytes of the log entry */
	const uint8_t (*proof)[CUSTOS_HASH_SIZE];
	size_t proof_count;
	struct custos_bytes checkpoint_body; /* origin, size, root: three lines */
	struct custos_bytes hosts_line;      /* canonical JSON of the hosts this call is for */
	struct custos_bytes courier_key;     /* SPKI, when the token's transport needs one; else empty */
};
struct custos_release_parcel {
	enum custos_transport transport;
	uint8_t token_point[CUSTOS_POINT_SIZE];
	struct custos_buf wrapped, wrapping_key; /* the latter under the courier's key, when there is one */
	uint8_t leaf_hash[CUSTOS_HASH_SIZE];     /* of the intent */
	struct custos_bytes container; /* of a sealed key, borrowed: the courier needs it too; else empty. The caller of custos_token_release_sealed() sets it */
};
void custos_release_parcel_done(struct custos_release_parcel *parcel);
CUSTOS_RC custos_token_release(struct custos_token *token, struct custos_permit *permit, const struct custos_release_request *request,
                               struct custos_release_parcel *ret_parcel, struct custos_err *err);
/* The same for the KEK that was made for a backup: the key of the request is its canary, the point that of whoever keeps the backup, the leaf a `kek.backup_intent`. */
CUSTOS_RC custos_token_kek_backup(struct custos_token *token, struct custos_permit *permit, const struct custos_release_request *request,
                                  struct custos_release_parcel *ret_parcel, struct custos_err *err);

/* Sealed keys (crypto/sealed_container.h). create: `method` none when the token can neither decrypt nor derive; nothing is made then. open: before the first
 * release; the key proves that it opens what is sealed to `spki`. release: as above, with the key's container; `kind` is a release, or an opening, which is for no
 * host. The parcel is the content key, sealed to the courier's point whatever the token's transport is. */
struct custos_token_sealing {
	unsigned method;                     /* enum custos_sealing */
	struct custos_buf spki;
	struct custos_json *attributes;
};
void custos_token_sealing_done(struct custos_token_sealing *sealing);
CUSTOS_RC custos_token_sealing_create(struct custos_token *token, const uint8_t id[static 16], const char *label, struct custos_token_sealing *ret_sealing, struct custos_err *err);
CUSTOS_RC custos_token_sealing_open(struct custos_token *token, const uint8_t id[static 16], unsigned method, struct custos_bytes spki, struct custos_err *err);
CUSTOS_RC custos_token_release_sealed(struct custos_token *token, enum custos_intent_kind kind, struct custos_permit *permit, const struct custos_release_request *request,
                                      struct custos_release_parcel *ret_parcel, struct custos_err *err);

#endif
