/* One courier: one key, one group of hosts. What its files share; nothing outside this layer includes it. */
#ifndef CUSTOS_COURIER_COURIER_H
#define CUSTOS_COURIER_COURIER_H

#include "courier/ssh.h"
#include "crypto/seal.h"
#include "crypto/transport_key.h"
#include "link/courier.h"
#include "target/machine.h"

enum { CUSTOS_COURIER_HOSTS_MAX = 32 };

struct custos_courier;

struct custos_courier_host {
	struct custos_courier *courier;
	uint32_t index;
	struct custos_plan plan;
	struct custos_machine machine;
	struct custos_deploy_action action;    /* what the machine wants next */
	struct custos_arena *arena;            /* of its SSH session */
	struct custos_ssh *ssh;                /* NULL while there is no connection */
	int socket;                            /* handed over and not used yet; -1 */
	char *no_socket;                       /* why there is none */
	uint8_t credential;                    /* enum custos_courier_credential; 0: none came */
	struct custos_buf a, b;                /* of the credential: public or sealed */
	int key_fd;
	bool reported, finished;
	enum custos_deploy_state told;         /* last PROGRESS */
	uint32_t exposure_ms;
};

struct custos_courier {
	struct custos_channel channel;
	struct custos_ephemeral *ephemeral;
	enum custos_courier_job job;
	uint8_t key_format, padding;
	enum custos_transport transport;       /* said once, before any host was connected */
	bool has_transport, has_intent;
	struct custos_transport_key *transport_key;
	uint8_t intent_hash[CUSTOS_HASH_SIZE];
	struct custos_buf wrapping_key;        /* under the transport key */
	struct custos_buf leaf, chain;
	struct custos_buf container;           /* of a sealed key; empty for any other */
	char chain_sha256[65];
	struct custos_courier_host *hosts;
	uint32_t count;
	bool keeper_gone;
};

/* Everything but the jobs that go to no host: a key from a file, shares, a sealed key's birth and signature. */
static inline bool custos_courier_has_hosts(enum custos_courier_job job)
{
	return job < CUSTOS_JOB_IMPORT || job == CUSTOS_JOB_PROBE;
}

/* The whole errand, from SETUP to BYE. Everything of the courier is wiped and released when it returns. */
CUSTOS_RC custos_courier_serve(struct custos_err *err);

/* keeper.c: every message but KEY. */
/* Before libcrypto is ready, because its heap depends on what SETUP says; and what needs it, after. */
CUSTOS_RC custos_courier_receive_setup(struct custos_courier *c, struct custos_err *err);
CUSTOS_RC custos_courier_ready_hosts(struct custos_courier *c, struct custos_err *err);
CUSTOS_RC custos_courier_send_hello(struct custos_courier *c, const uint8_t point[static CUSTOS_POINT_SIZE], struct custos_err *err);
CUSTOS_RC custos_courier_receive_supplies(struct custos_courier *c, struct custos_err *err);
void custos_courier_tell_progress(struct custos_courier_host *host);
CUSTOS_RC custos_courier_send_prepared(struct custos_courier_host *host, struct custos_err *err);
CUSTOS_RC custos_courier_send_facts(struct custos_courier_host *host, const struct custos_reply *facts, struct custos_err *err);
CUSTOS_RC custos_courier_send_outcome(struct custos_courier_host *host, struct custos_err *err);
CUSTOS_RC custos_courier_send_bye(struct custos_courier *c, struct custos_err *err);
/* A socket for this host. *ret_fd is -1 when the keeper could not connect; *ret_why (the caller's to free) says why then. */
CUSTOS_RC custos_courier_ask_socket(struct custos_courier_host *host, enum custos_courier_socket purpose, int *ret_fd, char **ret_why, struct custos_err *err);
CUSTOS_RC custos_courier_ask_signature(void *host, struct custos_bytes data, struct custos_buf *signature, struct custos_err *err);
/* Sends the body of a SERVED message, returns the verdict. */
CUSTOS_RC custos_courier_ask_verdict(struct custos_courier_host *host, struct custos_bytes served, enum custos_deploy_seen *ret_seen, char **ret_why, struct custos_err *err);
/* True when the keeper has ended; remembered. */
bool custos_courier_is_alone(struct custos_courier *c);

/* transport.c: the way the key will come, what it is bound to, and opening it. TRANSPORT is answered. */
CUSTOS_RC custos_courier_take_transport(struct custos_courier *c, const struct custos_frame *frame, struct custos_err *err);
CUSTOS_RC custos_courier_take_intent(struct custos_courier *c, const struct custos_frame *frame, struct custos_err *err);
CUSTOS_RC custos_courier_unseal(struct custos_courier *c, const uint8_t token_point[static CUSTOS_POINT_SIZE], struct custos_bytes wrapped, struct custos_secret **ret_der, struct custos_err *err);

/* host.c: one host. */
void custos_courier_host_done(struct custos_courier_host *host);
/* Connects and logs in. What fails is told to the machine, not to the caller. */
void custos_courier_host_begin(struct custos_courier_host *host);
/* Does what the machine wants, if it can be done now: at most one action. *ret_done false: nothing to do before `*ret_until_ms` (INT64_MAX: before the keeper
 * speaks). `key` is the PEM for STAGE_KEY, NULL when it is not there: the action waits. */
void custos_courier_host_act(struct custos_courier_host *host, struct custos_secret *key, bool *ret_done, int64_t *ret_until_ms);
/* Gives one event to the machine. */
void custos_courier_host_tell(struct custos_courier_host *host, const struct custos_deploy_event *event);

/* login.c: a session for a host, with the credential it was given. Takes the socket. */
CUSTOS_RC custos_courier_login(struct custos_courier_host *host, int socket, struct custos_ssh **ret_ssh, struct custos_err *err);

/* A file that came as a descriptor, whole, read by this process alone. `what` names it in errors of this category. */
CUSTOS_RC custos_courier_read_file(int fd, const char *what, custos_rc category, struct custos_secret **ret_content, struct custos_err *err);

/* import.c: the whole errand of an IMPORT after HELLO. */
CUSTOS_RC custos_courier_import(struct custos_courier *c, struct custos_err *err);
/* What it has in common with the two below: this message and no other; a private key from a file, its pass phrase asked for when it has one; the news that nothing will come of it
 * (a keeper that has gone is told nothing); and a secret sealed to the point that the keeper names (it is gone
 * before that is said). */
CUSTOS_RC custos_courier_receive(struct custos_courier *c, uint8_t type, int timeout_ms, struct custos_frame *frame, struct custos_err *err);
CUSTOS_RC custos_courier_read_key(struct custos_courier *c, int fd, struct custos_secret **ret_pkcs8, struct custos_buf *spki, struct custos_err *err);
CUSTOS_RC custos_courier_refuse(struct custos_courier *c, const struct custos_err *why, struct custos_err *err);
CUSTOS_RC custos_courier_seal_to_token(struct custos_courier *c, struct custos_secret **secret, int timeout_ms, struct custos_err *err);

/* split.c, combine.c: the whole errand of a SPLIT or a COMBINE after HELLO. */
CUSTOS_RC custos_courier_split(struct custos_courier *c, struct custos_err *err);
CUSTOS_RC custos_courier_combine(struct custos_courier *c, struct custos_err *err);

/* sealed.c: the whole errand of a BIRTH and of a SIGNING after HELLO. */
CUSTOS_RC custos_courier_bear(struct custos_courier *c, struct custos_err *err);
CUSTOS_RC custos_courier_sign(struct custos_courier *c, struct custos_err *err);
/* A sealed key out of its container, by the content key that came sealed to this courier. That it is the key of a certificate,
 * or of a public key, is checked by whoever uses it. */
CUSTOS_RC custos_courier_open_container(struct custos_courier *c, struct custos_bytes container, const uint8_t token_point[static CUSTOS_POINT_SIZE], struct custos_bytes sealed,
                                        struct custos_secret **ret_pkcs8, struct custos_err *err);

/* scan.c: the whole errand of a SCAN after PREPARE. */
CUSTOS_RC custos_courier_scan(struct custos_courier *c, struct custos_err *err);

/* deliver.c: the one place where the key is in the clear. */
CUSTOS_RC custos_courier_deliver(struct custos_courier *c, const struct custos_frame *key_message, struct custos_err *err);

/* stack.c: the errand on a locked stack, which is wiped afterwards. */
CUSTOS_RC custos_courier_on_locked_stack(struct custos_err *err);

/* epilogue.c: signals that end the process end it through the epilogue; all others are blocked. First thing in main. */
CUSTOS_RC custos_courier_guard(struct custos_err *err);
/* Ends the process through the epilogue in so many seconds, whatever it does then; 0: not any more. */
void custos_courier_watch(unsigned seconds);
/* Wipes every locked page, clears the registers, ends the process. */
__attribute__((noreturn)) void custos_courier_end(int status);

/* sandbox.c: when everything is there that needs files, memory to lock or root; before anything from outside is read. */
CUSTOS_RC custos_courier_enter_sandbox(enum custos_courier_job job, struct custos_err *err);

#endif
