/* The log: append-only, Merkle-hashed (RFC 6962 2.1 as used by C2SP tlog-tiles), every checkpoint a signed note (C2SP signed-note,
 * tlog-checkpoint) by a key on the token.
 *
 * An entry is one line of sorted compact ASCII JSON: {"event","index","time","v":1, …}. The log does not know where it is kept: a storage interface
 * is given by the caller, and entry, state change and checkpoint go into one transaction of it. It does not know the token either: it signs
 * through the signer interface and verifies every signature in software before it believes it.
 *
 * Nothing unsigned is durable, except the events named custos_log_may_stand_unsigned(): what had to be recorded while the
 * token could not sign (a refused PIN, a token that died, an outcome). They are covered by the next checkpoint. */
#ifndef CUSTOS_LOG_LOG_H
#define CUSTOS_LOG_LOG_H

#include "base/permit.h"
#include "base/signer.h"
#include "data/json.h"

struct custos_log;

struct custos_log_storage {
	void *ctx;
	/* Calls `each` for every entry from index `first` in order. */
	CUSTOS_MUST custos_rc (*entries)(void *ctx, uint64_t first, custos_rc (*each)(void *each_ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err), void *each_ctx, struct custos_err *err);
	/* The newest checkpoint note, empty when there is none. */
	CUSTOS_MUST custos_rc (*newest_checkpoint)(void *ctx, struct custos_buf *note, struct custos_err *err);
	CUSTOS_MUST custos_rc (*append)(void *ctx, uint64_t index, struct custos_bytes leaf, struct custos_err *err);   /* inside a transaction */
	CUSTOS_MUST custos_rc (*put_checkpoint)(void *ctx, uint64_t size, struct custos_bytes note, struct custos_err *err); /* inside a transaction */
	CUSTOS_MUST custos_rc (*commit)(void *ctx, struct custos_err *err);   /* durable when it returns */
	void (*abort)(void *ctx);
};

/* Verification key in vkey form (name+hex+base64) from origin and SPKI. */
CUSTOS_RC custos_log_vkey(const char *origin, struct custos_bytes spki, struct custos_buf *vkey, struct custos_err *err);

/* Opens and verifies: every leaf is hashed, the root at the checkpoint's size equals the checkpoint's, its signature verifies under `vkey`, origin equals, index fields count
 * from 0, an unsigned tail holds only events that may stand unsigned. Otherwise CUSTOS_E_TAMPERED and the entry is named. `each` (may be
 * NULL) sees every parsed entry in order. With vkey NULL the log must be empty (a new custody). */
typedef custos_rc (*custos_log_visitor)(void *ctx, uint64_t index, const struct custos_json *entry, struct custos_err *err);
CUSTOS_RC custos_log_open(const struct custos_log_storage *storage, const char *origin, const char *vkey, custos_log_visitor each, void *each_ctx, struct custos_log **ret_log, struct custos_err *err);
/* Opens it from an entry on: as custos_log_open(), but the entries before `from->size` are not read. In their place stand the roots of the complete
 * subtrees they make, largest first, in hex, which need not be trusted: with the entries after them they must lead to the signed root, and only the true ones do.
 * The checkpoint must cover the entry `from->size`. What needs all entries (custos_log_each(), _verify(), _publish(), the root of an older size) reads them then, and compares. */
struct custos_log_base {
	uint64_t size;
	const struct custos_json *subtrees;
};
CUSTOS_RC custos_log_open_from(const struct custos_log_storage *storage, const char *origin, const char *vkey, const struct custos_log_base *from,
                               custos_log_visitor each, void *each_ctx, struct custos_log **ret_log, struct custos_err *err);
/* The subtrees of the first `size` entries, as custos_log_open_from() takes them. */
CUSTOS_RC custos_log_subtrees(struct custos_log *log, uint64_t size, struct custos_json **ret_subtrees, struct custos_err *err);
void custos_log_free(struct custos_log *log);
CUSTOS_DEFINE_FREEP(custos_log);

/* A log opened without vkey gets its key once, before its first checkpoint. */
CUSTOS_RC custos_log_set_vkey(struct custos_log *log, const char *vkey, struct custos_err *err);
/* The token with the key is lost: checkpoints are signed with another from now on. What the old one has signed has been verified when the log was opened. */
CUSTOS_RC custos_log_change_vkey(struct custos_log *log, const char *vkey, struct custos_err *err);

uint64_t custos_log_size(const struct custos_log *log);
uint64_t custos_log_signed_size(const struct custos_log *log);
CUSTOS_RC custos_log_root(struct custos_log *log, uint64_t size, uint8_t ret_root[static CUSTOS_HASH_SIZE], struct custos_err *err);
/* The newest signed note (text, borrowed until the next commit), empty when there is none. */
struct custos_bytes custos_log_checkpoint(const struct custos_log *log);
const char *custos_log_vkey_text(const struct custos_log *log);
const char *custos_log_origin(const struct custos_log *log);
/* `{"origin","size","root","entries","vkey","checkpoint"}`: size and root are the newest checkpoint's, entries counts the unsigned ones too. */
struct custos_json *custos_log_json(const struct custos_log *log);

/* Appends one entry inside the caller's open transaction. `fields` (borrowed) must not hold event, index, time or v; they are added. Not durable before a commit. */
CUSTOS_RC custos_log_append(struct custos_log *log, const char *event, const struct custos_json *fields, uint64_t *ret_index, struct custos_err *err);
/* The same; *ret_entry (the caller's to free) is the entry as it stands in the log, index and time included. */
CUSTOS_RC custos_log_append_entry(struct custos_log *log, const char *event, const struct custos_json *fields, struct custos_json **ret_entry, struct custos_err *err);
/* Signs a checkpoint over all entries, verifies it in software, stores it, commits. On failure the transaction is aborted and the log is as before; if the commit itself failed the log is poisoned
 * and refuses everything until it is opened again. */
CUSTOS_RC custos_log_commit(struct custos_log *log, const struct custos_signer *signer, struct custos_err *err);
/* Commits without a checkpoint; refused unless every entry appended since the last commit may stand unsigned. */
CUSTOS_RC custos_log_commit_unsigned(struct custos_log *log, struct custos_err *err);
CUSTOS_MUST bool custos_log_may_stand_unsigned(const char *event); /* token.login_failed, token.failed, token.repaired, release.done, release.rolled_back, release.not_rolled_back, release.untouched, release.unknown, rollback.done, rollback.failed */
/* Forgets entries appended since the last commit and aborts the transaction. */
void custos_log_abort(struct custos_log *log);

/* The release commit: appends `release.intent` (or what else custos_intent_words() calls the kind of the terms) with `fields`, commits it with a signed and verified checkpoint and only then mints the permit for exactly
 * `terms`, after checking that the entry says what the terms say (container_sha256, courier_point in hex, hosts_sha256 = SHA-256 of the canonical line of `hosts`). *ret_proof (caller frees) is the
 * inclusion proof of the entry, *leaf its bytes, *body the checkpoint's body. */
struct custos_log_intent {
	uint64_t index;
	struct custos_buf leaf, body;
	uint8_t (*proof)[CUSTOS_HASH_SIZE];
	size_t proof_count;
	struct custos_permit *permit;
};
void custos_log_intent_done(struct custos_log_intent *intent);
CUSTOS_RC custos_log_commit_release(struct custos_log *log, const struct custos_signer *signer, const struct custos_json *fields, const struct custos_release_terms *terms,
                                    struct custos_log_intent *ret_intent, struct custos_err *err);

/* Walks the entries again, e.g. for `log show`; entries come as stored JSON. */
CUSTOS_RC custos_log_each(struct custos_log *log, custos_log_visitor each, void *ctx, struct custos_err *err);

/* Writes C2SP tlog-tiles (tile/…, tile/entries/…, checkpoint) of the signed size into a directory that is new, empty or an older publication of the same
 * log; existing full tiles must agree. Files go in by temporary name and rename, the checkpoint last. */
CUSTOS_RC custos_log_publish(struct custos_log *log, const char *dir, struct custos_err *err);

/* Verifies a published directory with nothing but the vkey: note, tree from the bundles, every tile, every entry's form, sequence, intents and outcomes. `since` (may be NULL) is an
 * older checkpoint note of the same log: the tree must contain it. *ret_report: {"origin","size","root","entries","open_releases":[…],"successions":[{"index","vkey"}] (entries with which it went on under another key, and the key before),"warnings":[…]}. */
CUSTOS_RC custos_log_verify_dir(const char *dir, const char *vkey, struct custos_bytes since, struct custos_json **ret_report, struct custos_err *err);
/* The same, showing every entry on the way to `each` (may be NULL): what it sees is proven only when this returns CUSTOS_OK. */
CUSTOS_RC custos_log_read_dir(const char *dir, const char *vkey, struct custos_bytes since, custos_log_visitor each, void *each_ctx, struct custos_json **ret_report,
                              struct custos_err *err);
/* What entries owe each other: an outcome (release.done, rolled_back, not_rolled_back, untouched, unknown, resolved, rollback.done, rollback.failed) names in
 * `intent` the index of an earlier release.intent or rollback.intent, and may name in `target` one of its `hosts` (strings, or objects with "target" or "name"); without `target` it speaks for all of
 * them. An intent is open until each of its hosts has an outcome other than release.unknown. */
/* The same checks over an open log (whose opening has verified tree and signature). */
CUSTOS_RC custos_log_verify(struct custos_log *log, struct custos_bytes since, struct custos_json **ret_report, struct custos_err *err);

#endif
