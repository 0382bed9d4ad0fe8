/* What a custody knows: its log, replayed. A pure fold over the entries; nothing else ever changes it. An entry that cannot follow
 * those before it (a second outcome of a host, a release to a host the key was not allowed for, …) is CUSTOS_E_TAMPERED.
 *
 *   event               does
 *   custody.genesis     token, KEK, log key, canary, trust anchors
 *   key.generate        a key appears: type, class, SPKI, container hash
 *   key.import_intent   a key out of a file is about to be sealed to the token; key.imported: it appears
 *   key.open_intent     a sealed key is about to be opened in a courier, to sign once: for a request, a drill, at its birth, at its return
 *   key.drilled, key.drill_failed   its container was opened, or not; key.exported: there is a copy of it
 *   key.destroy_intent  the key is used for nothing any more; key.destroyed: it is gone; key.restored: it is back
 *   kek.generate_intent a new KEK is about to be made; kek.backup_intent: and to leave for its backup; kek.generated: it is the current one
 *   key.rewrapped       the key is under the current KEK now
 *   kek.retire_intent   a KEK without keys is about to end; kek.retired: it has
 *   kek.restored        the custody goes on with another token, which got the KEK out of its backup
 *   key.allow           targets the key may go to
 *   csr.create          hash of the last request, its subject and SANs
 *   cert.accept         leaf, chain and validity that belong to the key
 *   target.add/.remove  a host with its pins and profile
 *   release.intent      an open release; closed for a host by release.done, .rolled_back, .not_rolled_back, .untouched, .unknown,
 *                       and an unknown one as a whole by release.resolved
 *   rollback.intent     the same for putting a copy on the host back; closed by rollback.done, rollback.failed
 *   state.snapshot      says what the state is at this point (hash of its snapshot, below); it changes nothing, but a reading may begin with it
 *   others              are history only: token.login_failed, token.repaired, token.failed, and log.adopted, which names the entries that stood
 *                       unsigned until the checkpoint it is in */
#ifndef CUSTOS_VAULT_STATE_H
#define CUSTOS_VAULT_STATE_H

#include "vault/pages.h"

/* A new member is a line here and a line in the table of state_members.c. With it, or when the fold makes something else of entries there may be already, the snapshots of
 * before are no longer those of the state: the format gets a new number, and a snapshot of another format is passed over. */
enum { CUSTOS_STATE_FORMAT = 1 };
struct custos_state {
	uint64_t next;                 /* index of the entry that comes next; UINT64_MAX after one that was refused */
	struct custos_json *genesis;   /* NULL in an empty log */
	struct custos_pages *keys;     /* name → record */
	struct custos_pages *names;    /* SPKI hash → name of the key, for every key there ever was */
	struct custos_pages *targets;  /* name → record; "deployed" holds what the last outcome said */
	struct custos_json *releases;  /* array of {"index","event","key","time","hosts":[{"target","result"|null,"log_index" of its outcome}…],
	                                * "state":"open"|"closed"|"unknown"|"resolved"}; of those before a snapshot only the unfinished */
	struct custos_json *imports;   /* name → intent of an import without outcome */
	struct custos_json *keks;      /* array by generation, from 1: {"generation","id","label","variant","canary_sha256","canary_spki_sha256","backup" (who
	                                * keeps it)?,"state":"current"|"old"|"retiring"|"retired"|"lost","time","log_index","restored"?}; empty without a KEK */
	struct custos_json *binding;   /* {"token","log_key"} in force, "kek_intent": of a KEK without outcome */
};

CUSTOS_RC custos_state_start(struct custos_state *ret_state, struct custos_err *err);
void custos_state_done(struct custos_state *state);
CUSTOS_RC custos_state_apply(struct custos_state *state, uint64_t index, const struct custos_json *entry, struct custos_err *err);

/* The snapshot of a state: blobs that name each other by hash, and the hash of the first. The same state makes the same blobs. `flags` as of custos_pages_write(). */
CUSTOS_RC custos_state_write(struct custos_state *state, const struct custos_pages_sink *sink, unsigned flags, uint8_t ret_sha256[static CUSTOS_HASH_SIZE],
                             struct custos_err *err);
/* A state that was just started becomes the one of this snapshot, `next` the index of the entry that comes next. Records are read when they are asked for. */
CUSTOS_RC custos_state_resume(struct custos_state *state, uint64_t next, const uint8_t sha256[static CUSTOS_HASH_SIZE], const struct custos_pages_source *source,
                              struct custos_err *err);
/* Appends the hash of every blob of a snapshot. */
CUSTOS_RC custos_state_list(const uint8_t sha256[static CUSTOS_HASH_SIZE], const struct custos_pages_source *source, struct custos_buf *hashes, struct custos_err *err);
/* Nothing was found that should have been: a blob of the snapshot is missing or another. It stays so; custos_state_apply() asks by itself. */
CUSTOS_RC custos_state_check(const struct custos_state *state, struct custos_err *err);

/* All records, name → record, in the order in which they came. Borrowed until the next entry is applied. */
CUSTOS_RC custos_state_keys(const struct custos_state *state, const struct custos_json **ret_keys, struct custos_err *err);
CUSTOS_RC custos_state_targets(const struct custos_state *state, const struct custos_json **ret_targets, struct custos_err *err);
/* Records by name; NULL when there is none, or when it could not be had: custos_state_check() tells. Borrowed. */
const struct custos_json *custos_state_key(const struct custos_state *state, const char *name);
const struct custos_json *custos_state_target(const struct custos_state *state, const char *name);
/* Has the custody a KEK? Without one, on a token that cannot wrap, no key is deployable. */
bool custos_state_has_kek(const struct custos_state *state);
/* Is the "state" of this record (NULL: of none) that? */
bool custos_state_is(const struct custos_json *record, const char *state);
/* Is this key (a record) neither destroyed nor about to be? */
bool custos_state_is_live(const struct custos_json *key);
/* The newest release of the key of this name that is open or unknown, NULL. */
const struct custos_json *custos_state_open_release(const struct custos_state *state, const char *key);
/* May this key (a record) go to the target of this name? */
bool custos_state_is_allowed(const struct custos_json *key, const char *target);
/* The KEK that new keys go under, NULL when there is none; that of a generation; the generation a key (a record) is under, 0 for one
 * without a container. */
const struct custos_json *custos_state_kek(const struct custos_state *state);
const struct custos_json *custos_state_kek_of(const struct custos_state *state, int64_t generation);
int64_t custos_state_generation(const struct custos_json *key);
/* How many keys in use are under it; SIZE_MAX when they cannot be read, see custos_state_check(). */
size_t custos_state_count_under(const struct custos_state *state, int64_t generation);
/* The key with this SPKI hash (lower-case hex), NULL. */
const struct custos_json *custos_state_key_by_spki(const struct custos_state *state, const char *spki_sha256);

#endif
