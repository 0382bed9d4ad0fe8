/* Snapshots of the state: log entries a reading may begin with, so that opening a custody costs what was added lately and not what it holds.
 *
 * An entry state.snapshot names the hash of the whole state as of the entries before it (vault/state.h) and the subtrees they make (log/log.h). It is appended by
 * itself, in the transaction and under the checkpoint of what made it due, so it is signed or not there at all. Its blobs need no trust: each is what its hash says. */
#ifndef CUSTOS_VAULT_SNAPSHOT_H
#define CUSTOS_VAULT_SNAPSHOT_H

#include "vault/vault.h"

/* Appends one if enough came since the last, and drops the blobs of the one before the last. Inside a transaction, as the last entry before the checkpoint. */
CUSTOS_RC custos_snapshot_append_due(struct custos_custody *c, struct custos_err *err);
/* The newest entry that looks like one, not yet proven; NULL when there is none. */
CUSTOS_RC custos_snapshot_find(struct custos_custody *c, struct custos_json **ret_entry, struct custos_err *err);
/* The state, just started, becomes that of this entry. */
CUSTOS_RC custos_snapshot_resume(struct custos_custody *c, const struct custos_json *entry, struct custos_err *err);
/* Is this entry one? */
bool custos_snapshot_is(const struct custos_json *entry);
/* Replays the whole log and compares every snapshot with what the entries before it say: CUSTOS_E_TAMPERED names one that says something else. Of the
 * newest every blob is read. */
CUSTOS_RC custos_snapshot_verify(struct custos_custody *c, struct custos_err *err);
/* The same comparison of a published log, as custos_log_read_dir() does the rest. */
CUSTOS_RC custos_snapshot_verify_published(const char *dir, const char *vkey, struct custos_bytes since, struct custos_json **ret_report, struct custos_err *err);

#endif
