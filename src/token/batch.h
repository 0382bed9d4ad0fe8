/* Many keys at once, the keeper's side: one request, results as they come, so that keeper and token work at the same time.
 *
 * A batch is started, then its results are taken one by one until there are no more; nothing else can be asked of the token meanwhile. A job that
 * failed does not stop the others. What has gone wrong with the token itself ends the batch. */
#ifndef CUSTOS_TOKEN_BATCH_H
#define CUSTOS_TOKEN_BATCH_H

#include "link/token.h"
#include "token/client.h"

struct custos_token_job {
	enum custos_token_job_kind kind;
	enum custos_key_type type;
	enum custos_key_class class;             /* make */
	const uint8_t *id;                       /* 16 bytes for sign-only keys, else NULL */
	const char *label;                       /* make, sign-only */
	struct custos_bytes container, spki, message; /* sign */
	enum custos_signature algorithm;         /* sign; 0: the type's own */
};

/* About how many bytes a job takes in the request, whose body has CUSTOS_FRAME_BODY_MAX. */
size_t custos_token_job_size(const struct custos_token_job *job);

/* What came of one job.
 *
 * make: `key`, which has signed a challenge of this process with what became of spki. Of a container that is all that is known: the key is to be
 * acknowledged only after something fresh was signed with the container (a `sign` job) and verified.
 * sign: `signature`, NOT verified here: whoever asked for it verifies it under the key's SPKI. */
struct custos_token_result {
	size_t job;
	custos_rc rc;                            /* CUSTOS_OK or what failed; then only `why` is set */
	struct custos_err why;
	struct custos_token_key key;
	struct custos_buf signature;
};
void custos_token_result_done(struct custos_token_result *result);

struct custos_token_batch {
	struct custos_token *token;
	const struct custos_token_job *jobs;
	size_t count, left;
	bool done[CUSTOS_TOKEN_JOBS_MAX];
	uint8_t challenges[CUSTOS_TOKEN_JOBS_MAX][CUSTOS_CHALLENGE_SIZE];
};

/* `jobs` (at most CUSTOS_TOKEN_JOBS_MAX) is borrowed until the last result was taken. `sessions`: how many may work at once, at most
 * CUSTOS_TOKEN_SESSIONS_MAX; the token's profile may allow fewer. */
CUSTOS_RC custos_token_batch_start(struct custos_token *token, const struct custos_token_job *jobs, size_t count, unsigned sessions,
                                   struct custos_token_batch *ret_batch, struct custos_err *err);
/* Waits for the next result; `result` must be zero or done. *ret_more is false when there was none left. */
CUSTOS_RC custos_token_batch_next(struct custos_token_batch *batch, struct custos_token_result *result, bool *ret_more, struct custos_err *err);

#endif
