/* The requests of custos-token, one at a time. */
#ifndef CUSTOS_TOKEN_SERVE_H
#define CUSTOS_TOKEN_SERVE_H

#include "link/token.h"
#include "token/session.h"

/* Answers requests until the channel closes (CUSTOS_OK) or the keeper breaks the protocol. `softhsm_conf` is SoftHSM's configuration in force. */
CUSTOS_RC custos_serve(struct custos_channel *channel, const char *softhsm_conf, struct custos_err *err);

/* KEYS: the jobs of one request, each answered on the channel as soon as it is done. */
CUSTOS_RC custos_serve_keys(struct custos_channel *channel, struct custos_session *session, struct custos_wire *in, struct custos_err *err);

/* serve_evidence.c: what was logged, and for whom, out of a request that lets something out: point, leaf, proof, checkpoint body, receivers. The claim borrows from `in` and from
 * the evidence. */
enum { CUSTOS_PROOF_MAX = 64 };
struct custos_evidence {
	uint8_t point[CUSTOS_POINT_SIZE], proof[CUSTOS_PROOF_MAX][CUSTOS_HASH_SIZE];
};
CUSTOS_RC custos_serve_evidence(struct custos_wire *in, struct custos_evidence *evidence, struct custos_guard_claim *claim, struct custos_err *err);

/* serve_sealed.c: the requests that concern sealed keys; bodies as link/token.h has them. */
CUSTOS_RC custos_serve_sealing_create(struct custos_session *session, struct custos_wire *in, struct custos_wire_out *out);
CUSTOS_RC custos_serve_sealing_open(struct custos_session *session, struct custos_wire *in, struct custos_err *err);
CUSTOS_RC custos_serve_release_sealed(struct custos_session *session, struct custos_wire *in, struct custos_wire_out *out);

#endif
