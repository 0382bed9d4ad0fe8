/* What an open log holds; seen by log.c, release.c, publish.c and verify.c only. */
#ifndef CUSTOS_LOG_STATE_H
#define CUSTOS_LOG_STATE_H

#include "log/log.h"
#include "log/note.h"
#include "log/tree.h"

struct custos_log {
	struct custos_log_storage storage;
	char *origin, *vkey;               /* vkey is NULL until the log has its key */
	struct custos_note_key key;
	struct custos_tree tree;           /* may begin in the middle: see custos_log_complete() */
	struct custos_tree_edge durable;   /* the tree as of the last commit */
	struct custos_buf checkpoint;      /* newest durable note */
	uint64_t signed_size;
	int pending_unsigned, pending;     /* entries since the last commit: those that may stand unsigned, and all */
	enum {
		CUSTOS_LOG_SOUND,
		CUSTOS_LOG_SPOILT,
		CUSTOS_LOG_POISONED
	} health; /* spoilt: an append failed, the transaction must end; poisoned: see custos_log_commit() */
};

/* Reads what lies before the place the log was opened from, so that the tree has every leaf. CUSTOS_E_TAMPERED unless it is what the signed root says. */
CUSTOS_RC custos_log_complete(struct custos_log *log, struct custos_err *err);

/* A checkpoint over all entries, signed, verified in software and put into the storage, but not durable yet. On failure the transaction was aborted. */
struct custos_log_signing {
	struct custos_buf body, note;
};
CUSTOS_RC custos_log_sign(struct custos_log *log, const struct custos_signer *signer, struct custos_log_signing *ret_signing, struct custos_err *err);
/* Makes what was signed durable and takes over its note. */
CUSTOS_RC custos_log_finish(struct custos_log *log, struct custos_log_signing *signing, struct custos_err *err);

/* custos_log_append() that also appends the entry's bytes to `leaf`. */
CUSTOS_RC custos_log_append_leaf(struct custos_log *log, const char *event, const struct custos_json *fields, struct custos_buf *leaf,
                                 struct custos_err *err);

static inline void custos_log_signing_done(struct custos_log_signing *signing)
{
	custos_buf_done(&signing->body);
	custos_buf_done(&signing->note);
}
#define CUSTOS_AUTO_SIGNING __attribute__((cleanup(custos_log_signing_done))) struct custos_log_signing

#endif
