/* The state machine of one host's deployment. Pure: events and a clock go in, the next action comes out.
 *
 *   LOCK ─ PROBE ─ BEFORE ─ BACKUP ─ ARM ─ STAGE_CHAIN ─▶ READY ──go──▶ STAGE_KEY ─▶ SWITCH ─▶ RELOAD ⇄ VERIFY ─▶ PERSIST ─▶ DISARM ─▶ ENDED deployed
 *     │ any failure: CLEAN, then READY reports it           │ abort         │ failure    │ failure  │ ladder ends  │           │
 *     ▼                                                     ▼               ▼            ▼          ▼              ▼           ▼
 *   READY (failed) ─▶ ENDED untouched                     CLEAN ─▶ ENDED untouched     ROLLBACK ─▶ ROLLBACK_RELOAD ⇄ ROLLBACK_VERIFY ─▶ ROLLBACK_PERSIST
 *                                                                                        │ failure or ladder ends        │ all served as before
 *   job probe: LOOK, to the end whatever it finds ─ BEFORE ─▶ READY (failed, when something stands in the way) ─▶ ENDED untouched
 *   connection lost from STAGE_KEY on: RECONNECT, once,                                  ▼                               ▼
 *   then ROLLBACK (or CLEAN, or DISARM again)                                      ENDED not_rolled_back     CLEAN ─▶ ENDED rolled_back
 *
 * Promises: before SWITCH every failure ends untouched; `deployed` needs the keeper's verdict NEW for every endpoint over all probes, the
 * persist command's proof and a dead man's switch that was disarmed in time; `rolled_back` needs the files restored and every
 * endpoint that served something before serving it again. Without the keeper nothing can be verified: what was switched is put back. */
#ifndef CUSTOS_TARGET_MACHINE_H
#define CUSTOS_TARGET_MACHINE_H

#include "target/script.h"

enum custos_deploy_state {
	CUSTOS_DEPLOY_LOOK = 1,     /* dry run and probe instead of LOCK and PROBE */
	CUSTOS_DEPLOY_LOCK,
	CUSTOS_DEPLOY_PROBE,
	CUSTOS_DEPLOY_BEFORE,       /* what is served before */
	CUSTOS_DEPLOY_BACKUP,
	CUSTOS_DEPLOY_ARM,
	CUSTOS_DEPLOY_STAGE_CHAIN,
	CUSTOS_DEPLOY_READY,        /* reported (also: unchanged, failed); waits for the keeper */
	CUSTOS_DEPLOY_STAGE_KEY,
	CUSTOS_DEPLOY_SWITCH,
	CUSTOS_DEPLOY_RELOAD,
	CUSTOS_DEPLOY_VERIFY,
	CUSTOS_DEPLOY_PERSIST,
	CUSTOS_DEPLOY_DISARM,
	CUSTOS_DEPLOY_ROLLBACK,
	CUSTOS_DEPLOY_ROLLBACK_RELOAD,
	CUSTOS_DEPLOY_ROLLBACK_VERIFY,
	CUSTOS_DEPLOY_ROLLBACK_PERSIST,
	CUSTOS_DEPLOY_CLEAN,
	CUSTOS_DEPLOY_RECONNECT,
	CUSTOS_DEPLOY_ENDED,
	CUSTOS_DEPLOY_STATES
};
const char *custos_deploy_state_name(enum custos_deploy_state state); /* "lock" … , for people */

/* The same numbers as in link/courier.h; the courier asserts it. */
enum custos_deploy_job { CUSTOS_DEPLOY_JOB_DEPLOY = 1, CUSTOS_DEPLOY_JOB_DRY_RUN, CUSTOS_DEPLOY_JOB_ROLLBACK, CUSTOS_DEPLOY_JOB_PROBE = 10 };
enum custos_deploy_seen { CUSTOS_SEEN_NEW = 1, CUSTOS_SEEN_OLD, CUSTOS_SEEN_OTHER, CUSTOS_SEEN_UNACCEPTABLE, CUSTOS_SEEN_NONE };
enum custos_deploy_prepared { CUSTOS_DEPLOY_PREPARED_READY = 1, CUSTOS_DEPLOY_PREPARED_UNCHANGED, CUSTOS_DEPLOY_PREPARED_FAILED };
enum custos_deploy_result {
	CUSTOS_DEPLOY_DEPLOYED = 1, CUSTOS_DEPLOY_UNCHANGED, CUSTOS_DEPLOY_UNTOUCHED, CUSTOS_DEPLOY_ROLLED_BACK, CUSTOS_DEPLOY_NOT_ROLLED_BACK
};
enum custos_deploy_when { CUSTOS_WHEN_BEFORE, CUSTOS_WHEN_AFTER, CUSTOS_WHEN_ROLLED_BACK };

enum custos_deploy_event_kind {
	CUSTOS_EVENT_START,
	CUSTOS_EVENT_COMMAND,            /* a command came to an end or ran out of time, and the connection is still good */
	CUSTOS_EVENT_LOST,               /* the connection is gone, or was never made */
	CUSTOS_EVENT_VERDICT,
	CUSTOS_EVENT_TICK,               /* the time to wait for has come */
	CUSTOS_EVENT_GO, CUSTOS_EVENT_ABORT,
	CUSTOS_EVENT_RECONNECTED, CUSTOS_EVENT_RECONNECT_FAILED,
	CUSTOS_EVENT_KEEPER_GONE,        /* while no command runs; else the flag below comes with the command's end */
};
struct custos_deploy_event {
	enum custos_deploy_event_kind kind;
	int64_t now_ms;
	bool keeper_gone;
	struct custos_bytes out, complaints; /* COMMAND: standard output and error */
	bool timed_out;                      /* COMMAND */
	custos_rc category;                  /* LOST before READY, e.g. a refused login (CUSTOS_OK stands for CUSTOS_E_NETWORK); ABORT with `why` */
	const char *why, *hint;              /* LOST, RECONNECT_FAILED, VERDICT, ABORT; may be NULL */
	enum custos_deploy_seen seen;        /* VERDICT */
	const uint8_t *leaf_sha256;          /* VERDICT: 32 bytes, NULL when nothing was served */
	size_t key_length;                   /* GO: bytes that STAGE_KEY will send */
};

enum custos_deploy_do {
	CUSTOS_DO_RUN,                   /* run `script` with `input` on its standard input; then COMMAND or LOST */
	CUSTOS_DO_PROBE,                 /* fetch what the next endpoint serves, have it judged; then VERDICT */
	CUSTOS_DO_WAIT,                  /* then TICK at `until_ms` */
	CUSTOS_DO_REPORT,                /* tell the keeper `report` as prepared; then GO or ABORT */
	CUSTOS_DO_RECONNECT,             /* then RECONNECTED or RECONNECT_FAILED */
	CUSTOS_DO_FINISH,                /* tell the keeper `report` as outcome; no further event */
};
enum custos_deploy_input { CUSTOS_INPUT_NOTHING, CUSTOS_INPUT_CHAIN, CUSTOS_INPUT_KEY };
struct custos_deploy_action {
	enum custos_deploy_do what;
	struct custos_buf script;        /* RUN; public */
	enum custos_deploy_input input;
	int timeout_ms;
	int64_t until_ms;
	enum custos_deploy_when when;    /* PROBE */
	uint32_t probe;                  /* PROBE: counts up over the whole deployment */
};
void custos_deploy_action_done(struct custos_deploy_action *action);

struct custos_deploy_report {
	enum custos_deploy_prepared prepared;
	enum custos_deploy_result result;
	custos_rc category;
	char why[512], hint[1024], version[256], backup[256];
	uint8_t leaf_sha256[32];         /* served before; zeros: nothing */
};

struct custos_machine {
	const struct custos_plan *plan;      /* borrowed */
	enum custos_deploy_job job;
	char chain_sha256[65];
	size_t chain_length, key_length;
	enum custos_deploy_state state, resume; /* resume: where RECONNECT leads */
	struct custos_deploy_report report;
	char backup[256];
	bool touched, switched, persisted, reported, reconnected, keeper_gone;
	size_t step;
	bool step_ran;                       /* some step of this pass over the ladder was not skipped */
	/* one pass of verification */
	bool waiting, round_bad;
	unsigned good;
	uint32_t endpoint, probe;
	int64_t good_since_ms, deadline_ms, until_ms;
	enum custos_alive { CUSTOS_ALIVE_IDLE, CUSTOS_ALIVE_FIRST, CUSTOS_ALIVE_LAST } alive;
	char alive_first[256];
	enum custos_deploy_seen before[CUSTOS_VERIFY_MAX];
	bool stored_is_new;
	char last_wrong[256];                /* what the latest wrong probe showed */
};

/* `chain_sha256` is hex; "" and 0 for the job ROLLBACK. */
void custos_machine_init(struct custos_machine *m, const struct custos_plan *plan, enum custos_deploy_job job, const char *chain_sha256, size_t chain_length);
/* Takes one event and says what to do next. `ret_action` must be zero or done. CUSTOS_E_INTERNAL for an event that the state does not know; the
 * state is unchanged then. */
CUSTOS_RC custos_machine_step(struct custos_machine *m, const struct custos_deploy_event *event, struct custos_deploy_action *ret_action, struct custos_err *err);

#endif
