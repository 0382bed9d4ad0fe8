/* An errand: one courier, one key, one group of hosts, from its start to its end.
 *
 * The keeper's side of link/courier.h. The errand knows nothing of the log: it prepares the hosts, hands over a parcel, and says what became of
 * each host. It connects sockets when asked, has logins signed (once for each connection and each session), and judges what is served. */
#ifndef CUSTOS_DEPLOY_ERRAND_H
#define CUSTOS_DEPLOY_ERRAND_H

#include "link/courier.h"
#include "link/spawn.h"
#include "target/script.h"
#include "vault/release.h"
#include <custos/deploy.h>

struct custos_errand_host {
	struct custos_json *target_copy;       /* the target's record: a copy, because the state may be replayed meanwhile */
	struct custos_json *named;             /* the host as the intent names it */
	size_t next_endpoint;
	struct custos_plan plan;
	char *auth;
	struct custos_buf login_blob;          /* SSH public key, when the agent signs */
	unsigned ssh_sockets;                  /* connections made so far */
	bool login_due;                        /* one was made, and nobody has asked for a login on it yet */
	unsigned login_signatures;             /* given so far, whether the courier used them or not; in the log with the outcome */
	/* PREPARED */
	enum custos_prepared prepared;         /* 0: not yet */
	char *version, *backup;
	struct custos_reply facts;             /* of a probe; complete once they came */
	uint8_t previous_leaf[CUSTOS_HASH_SIZE];
	bool has_previous;
	/* OUTCOME */
	enum custos_outcome outcome;           /* 0: none, the courier ended before it said */
	custos_rc category;
	char *why, *hint;
	uint32_t exposure_ms;
	/* what it serves, as last seen, and what was said of that */
	enum custos_courier_verdict verdict;   /* 0: none yet */
	uint8_t served_leaf[CUSTOS_HASH_SIZE];
	char served_spki[65];
	bool serves;
};

struct custos_errand {
	const struct custos_deploy_options *options;
	const struct custos_anchors *anchors;  /* NULL in jobs that judge by hash alone */
	enum custos_courier_job job;
	struct custos_bytes leaf, chain_pem;   /* borrowed */
	uint8_t wanted_leaf[CUSTOS_HASH_SIZE]; /* what must be served at the end */
	unsigned key_format, padding;
	enum custos_transport transport;       /* how the token hands the key over */
	struct custos_buf courier_key;         /* SPKI, made by the courier when the transport needs one */
	struct custos_errand_host *hosts;
	size_t count;
	struct custos_confinement *confinement; /* borrowed, or NULL: entered by the keeper before it hears of a host, and NULL from then on */
	struct custos_helper helper;
	uint8_t courier_point[CUSTOS_POINT_SIZE], courier_sha256[CUSTOS_HASH_SIZE];
	char *memory_backend;
	bool went;                             /* the key, or the go-ahead of a roll-back, was sent */
	struct custos_buf login_sessions;      /* SHA-256 of each SSH session the agent was asked to sign for: none is signed for twice */
	int64_t deadline_ms;                   /* of the present half */
};

/* One more host; `hosts` must have room. */
CUSTOS_RC custos_errand_add_host(struct custos_errand *errand, const struct custos_json *target, const struct custos_profile *profile,
                                 struct custos_err *err);
/* Starts the courier, gives it sockets and credentials, and returns when every host has said PREPARED. A host that could not be
 * prepared is not an error here. */
CUSTOS_RC custos_errand_prepare(struct custos_errand *errand, struct custos_err *err);
/* Hands the parcel over (NULL: ROLLBACK's go-ahead) for the hosts that are ready and returns when every host has said OUTCOME or
 * the courier has ended. */
CUSTOS_RC custos_errand_deliver(struct custos_errand *errand, const struct custos_release_parcel *parcel, struct custos_err *err);
/* No key will come: hosts are cleaned up. */
CUSTOS_RC custos_errand_abort(struct custos_errand *errand, struct custos_err *err);
/* A deployment of a key with a given chain (NULL: the one accepted last); what custos_deploy() and custos_rollback() share. */
CUSTOS_RC custos_deploy_consignment(struct custos_custody *c, const char *key, const char *chain_sha256, const char *const targets[], size_t count,
                                    const struct custos_deploy_options *options, struct custos_json **ret_results, struct custos_err *err);
size_t custos_errand_count_ready(const struct custos_errand *errand);
void custos_errand_done(struct custos_errand *errand);

/* --- errand_serve.c: what the courier may ask for while it works --- */
/* Handles one message of PREPARE or KEY; OUTCOME and PREPARED are filled into the host. *ret_bye: the courier has said goodbye. */
CUSTOS_RC custos_errand_serve(struct custos_errand *errand, const struct custos_frame *frame, bool *ret_bye, struct custos_err *err);
CUSTOS_RC custos_errand_send_socket(struct custos_errand *errand, uint32_t host, enum custos_courier_socket purpose, struct custos_err *err);

#endif
