/* Inside the vault: an open custody, its token session, and the one way to change anything. */
#ifndef CUSTOS_VAULT_VAULT_H
#define CUSTOS_VAULT_VAULT_H

#include "log/log.h"
#include "link/token.h"
#include "store/store.h"
#include "token/client.h"
#include "vault/binding.h"
#include "vault/state.h"
#include <custos/custody.h>

struct custos_custody {
	char *dir;
	struct custos_binding binding;
	struct custos_pin pin;
	bool has_pin;
	struct custos_store *store;
	struct custos_log *log;            /* NULL when it could not be read again; begin tries once more */
	uint64_t seen_size;                /* the newest checkpoint this process has seen and its root, when it was read again; 0: none */
	uint8_t seen_root[CUSTOS_HASH_SIZE];
	struct custos_state state;
	struct custos_json *snapshot;      /* the newest entry a reading may begin with; NULL */
	struct custos_token *token;        /* NULL until somebody needed it; logged in and KEK checked when set */
	int64_t open_kek;                  /* generation of the KEK that the token uses; 0: none */
	struct custos_signer signer;
	struct custos_buf log_spki;        /* what the signer borrows */
	uint64_t unsigned_from, unsigned_to; /* entries that stood unsigned when the transaction began */
	bool sealing_is_open;              /* the token's sealing key was tried in this session */
	int release_lock;                  /* held while a release is under way; -1 */
};

CUSTOS_DEFINE_FREEP(custos_custody);

/* --- changing: begin, append…, then commit or abort ---
 * begin waits for the write lock and catches up with what other processes appended meanwhile. */
CUSTOS_RC custos_vault_begin(struct custos_custody *c, struct custos_err *err);
/* Appends and applies to the state; CUSTOS_E_POLICY when the entry cannot follow what others have appended meanwhile. On any later failure call custos_vault_abort(). `fields` is borrowed. */
CUSTOS_RC custos_vault_append(struct custos_custody *c, const char *event, const struct custos_json *fields, uint64_t *ret_index,
                              struct custos_err *err);
/* Entries that stood unsigned so far are about to be signed: says so in an entry, so that they can be told for ever. Called by
 * commit, and before a release intent. */
CUSTOS_RC custos_vault_adopt_unsigned(struct custos_custody *c, struct custos_err *err);
/* Signed by the token, verified, durable. */
CUSTOS_RC custos_vault_commit(struct custos_custody *c, struct custos_err *err);
void custos_vault_abort(struct custos_custody *c);
/* begin, append one, commit; aborts on failure. */
CUSTOS_RC custos_vault_record(struct custos_custody *c, const char *event, const struct custos_json *fields, uint64_t *ret_index,
                              struct custos_err *err);
/* The same without the token: only events that may stand unsigned. */
CUSTOS_RC custos_vault_record_unsigned(struct custos_custody *c, const char *event, const struct custos_json *fields, struct custos_err *err);
/* Signed when the token is there and answers, else unsigned: for outcomes, which must be written in any case. */
CUSTOS_RC custos_vault_record_outcome(struct custos_custody *c, const char *event, const struct custos_json *fields, uint64_t *ret_index,
                                      struct custos_err *err);
/* Throws the state away and replays the log. */
CUSTOS_RC custos_vault_reload(struct custos_custody *c, struct custos_err *err);

/* --- blobs: what the log names by hash --- */
CUSTOS_RC custos_vault_put_blob(struct custos_custody *c, const char *kind, struct custos_bytes blob,
                                uint8_t ret_sha256[static CUSTOS_HASH_SIZE], struct custos_err *err);
/* Checks the hash: a missing or different blob is CUSTOS_E_TAMPERED. `what` names it. */
CUSTOS_RC custos_vault_get_blob(struct custos_custody *c, const char *what, const char *sha256_hex, struct custos_buf *blob, struct custos_err *err);

/* A file with a token's profile: read as strictly as a shipped one, and not yet held against any token. */
CUSTOS_RC custos_vault_read_profile(const char *path, struct custos_buf *ret_text, struct custos_err *err);

/* --- the token, opened and logged in on first use, KEK checked by its canary --- */
/* What is made now goes under the current KEK. */
CUSTOS_RC custos_vault_token(struct custos_custody *c, struct custos_token **ret_token, struct custos_err *err);
/* The same for who works with a key that is there: the KEK is the one it is under. */
struct custos_vault_key;
CUSTOS_RC custos_vault_token_for(struct custos_custody *c, const struct custos_vault_key *key, struct custos_token **ret_token, struct custos_err *err);
/* Records that the token has failed, if it has (custos_token_trouble()), once and for all that this command had to do with it. Not within a transaction, and not in a log that has not begun. */
void custos_vault_note_trouble(struct custos_custody *c, const struct custos_token *token);

/* --- records by name; borrowed until the log is replayed --- */
/* A destroyed key, or one that is being destroyed, is CUSTOS_E_POLICY: only what shows, ends or restores keys takes any. */
CUSTOS_RC custos_vault_find_key(const struct custos_custody *c, const char *name, const struct custos_json **ret_key, struct custos_err *err);
CUSTOS_RC custos_vault_find_any_key(const struct custos_custody *c, const char *name, const struct custos_json **ret_key, struct custos_err *err);
CUSTOS_RC custos_vault_find_target(const struct custos_custody *c, const char *name, const struct custos_json **ret_target, struct custos_err *err);

/* CUSTOS_E_POLICY when the custody has no KEK: nothing deployable can be made, imported or enrolled in it. */
CUSTOS_RC custos_vault_check_deployable(const struct custos_custody *c, struct custos_err *err);
/* What a sign-only key is called on the token. For people; the beginning of its id keeps it apart from what an interrupted attempt may have left there, and from a key of
 * that name in another custody on the same token. */
enum { CUSTOS_VAULT_LABEL_SIZE = 80 };
void custos_vault_label_key(const char *name, const uint8_t id[static 16], char ret_label[static CUSTOS_VAULT_LABEL_SIZE]);

/* --- inside begin and commit: a new key (of class sign-only when it has an id), a request that was made for a key --- */
CUSTOS_RC custos_vault_append_key(struct custos_custody *c, const char *name, const struct custos_token_key *key, const uint8_t *id,
                                  struct custos_err *err);
/* The same for a key that takes the place of another one. */
CUSTOS_RC custos_vault_append_successor(struct custos_custody *c, const char *name, const char *renews, const struct custos_token_key *key, const uint8_t *id, struct custos_err *err);
/* `facts` as of custos_csr_facts(). */
struct custos_csr_spec;
CUSTOS_RC custos_vault_append_request(struct custos_custody *c, const char *name, const struct custos_csr_spec *spec, struct custos_bytes der,
                                      const struct custos_json *facts, struct custos_err *err);
/* A request that no CA should sign is CUSTOS_E_INPUT. */
CUSTOS_RC custos_vault_check_request(const struct custos_csr_spec *spec, const char *key_type, struct custos_err *err);

/* Everything the token layer wants to know of a key; `ref` borrows from the buffers. */
struct custos_vault_key {
	struct custos_buf spki, container;
	uint8_t id[16];
	int64_t kek;                       /* generation; 0 without a container, or with one that is under no KEK (sealed) */
	enum custos_key_class class;
	struct custos_token_key_ref ref;
};
void custos_vault_key_done(struct custos_vault_key *key);
CUSTOS_RC custos_vault_load_key(struct custos_custody *c, const struct custos_json *record, struct custos_vault_key *ret_key, struct custos_err *err);
/* What a key signs for: its name and the purpose go into the log before a sealed key is opened ("request", "drill", "restore", "accept"). */
struct custos_vault_use {
	const char *name, *purpose;
	enum custos_signature algorithm;
};
/* The key signs a message: on the token, out of its container if it has one, or, a sealed key, in a courier, which is logged before it is opened. The signature is
 * verified against its SPKI. */
CUSTOS_RC custos_vault_sign(struct custos_custody *c, const struct custos_vault_key *key, const struct custos_vault_use *use, struct custos_bytes message,
                            struct custos_buf *signature, struct custos_err *err);
/* The same over a challenge. */
CUSTOS_RC custos_vault_prove_key(struct custos_custody *c, const char *name, const struct custos_vault_key *key, const char *purpose, struct custos_err *err);

#endif
