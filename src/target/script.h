/* What is run on the host: composes each remote command as one `sh` string and reads the replies. Pure.
 *
 * Every value is single-quoted and control characters are refused. The last line of a reply is `@@NONCE rc=N`: without it the command
 * did not come to its end, whatever the exit status says. Facts are lines `@@NONCE key=value`; anything else is what commands printed.
 * No script carries a byte of a key, and none prints one or a key's hash. */
#ifndef CUSTOS_TARGET_SCRIPT_H
#define CUSTOS_TARGET_SCRIPT_H

#include "target/plan.h"

enum { CUSTOS_SCRIPT_MAX = 32 * 1024 };

enum custos_script {
	CUSTOS_SCRIPT_LOOK,         /* dry run: facts only, nothing is changed: `version`, `certificate.sha256`, `KIND.mode`, `KIND.owner` */
	CUSTOS_SCRIPT_LOCK,
	CUSTOS_SCRIPT_PROBE,        /* the same facts, and takes the room and opens the files for writing */
	CUSTOS_SCRIPT_BACKUP,       /* `backup` */
	CUSTOS_SCRIPT_ARM,
	CUSTOS_SCRIPT_STAGE_CHAIN,  /* standard input: the chain */
	CUSTOS_SCRIPT_STAGE_KEY,    /* standard input: the key */
	CUSTOS_SCRIPT_SWITCH,
	CUSTOS_SCRIPT_SWITCH_BACK,  /* job rollback: the plan's previous backup instead of staged files */
	CUSTOS_SCRIPT_RELOAD,       /* step `step`; `skipped` */
	CUSTOS_SCRIPT_ALIVE,        /* `alive` */
	CUSTOS_SCRIPT_PERSIST,
	CUSTOS_SCRIPT_DISARM,       /* success: removes everything but a backup that is to be kept */
	CUSTOS_SCRIPT_RESTORE,
	CUSTOS_SCRIPT_PERSIST_AGAIN,
	CUSTOS_SCRIPT_CLEAN,        /* no success: removes everything */
	CUSTOS_SCRIPT_INSPECT,      /* job probe: LOOK, but to the end whatever it finds, with the room that is free and the profile's reports (inspection.h) */
	CUSTOS_SCRIPTS
};

struct custos_script_values {
	const char *backup;         /* what BACKUP replied, or "" */
	const char *chain_sha256;   /* hex */
	size_t chain_length, key_length;
	size_t step;
	bool keep_copy;             /* DISARM: the copy of the previous pair stays */
	bool from_backup;           /* job rollback: the plan's previous backup must be there */
};

CUSTOS_RC custos_script_compose(enum custos_script which, const struct custos_plan *plan, const struct custos_script_values *values, struct custos_buf *command, struct custos_err *err);

/* The way back by hand, in words a person can paste into the host's shell. Appends. */
CUSTOS_RC custos_script_manual_way_back(const struct custos_plan *plan, const char *backup, struct custos_buf *text, struct custos_err *err);

enum { CUSTOS_REPLY_FACTS_MAX = 64 };
struct custos_reply {
	bool complete;              /* the trailer was there */
	unsigned rc;
	size_t count;
	char *keys[CUSTOS_REPLY_FACTS_MAX], *values[CUSTOS_REPLY_FACTS_MAX]; /* the values are made safe for display */
};
CUSTOS_RC custos_reply_parse(struct custos_bytes out, const char *nonce, struct custos_reply *ret_reply, struct custos_err *err);
const char *custos_reply_get(const struct custos_reply *reply, const char *key); /* "" when absent */
void custos_reply_done(struct custos_reply *reply);

#endif
