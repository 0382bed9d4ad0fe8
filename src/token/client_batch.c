/* Many keys at once: see batch.h. Every result is that of a job that was asked for and has none yet; a public key is believed after it has verified a
 * signature over a challenge made here. */
#include "token/batch.h"
#include "crypto/digest.h"
#include "token/exchange.h"

size_t custos_token_job_size(const struct custos_token_job *job)
{
	return 128 + (job->label == NULL ? 0 : strlen(job->label)) + job->container.len + job->spki.len + job->message.len;
}

void custos_token_result_done(struct custos_token_result *result)
{
	custos_token_key_done(&result->key);
	custos_buf_done(&result->signature);
	*result = (struct custos_token_result){ 0 };
}

static void put_job(struct custos_wire_out *w, const struct custos_token_job *job, const uint8_t *challenge)
{
	static const uint8_t no_id[CUSTOS_TOKEN_ID_SIZE];
	custos_wire_put_u8(w, (uint8_t)job->kind);
	custos_wire_put_u8(w, (uint8_t)job->type);
	custos_wire_put_u8(w, job->kind == CUSTOS_JOB_MAKE ? (uint8_t)job->class : (uint8_t)(job->algorithm != 0 ? job->algorithm : custos_key_signature(job->type)));
	custos_wire_put_fixed(w, job->id != NULL ? job->id : no_id, CUSTOS_TOKEN_ID_SIZE);
	if (job->kind == CUSTOS_JOB_MAKE) {
		custos_wire_put_text(w, job->label);
		custos_wire_put_fixed(w, challenge, CUSTOS_CHALLENGE_SIZE);
	} else {
		custos_wire_put_bytes(w, job->container);
		custos_wire_put_bytes(w, job->spki);
		custos_wire_put_bytes(w, job->message);
	}
}

/* For each result as long as one key may take: a token at work on several gives the first of them in that time. */
static struct custos_exchange exchange_of(const struct custos_token *token, const struct custos_token_job *jobs, size_t count)
{
	int timeout_ms = token->times.generate_ms;
	for (size_t i = 0; i < count; i++)
		if (custos_token_generate_ms(token, jobs[i].type) > timeout_ms)
			timeout_ms = custos_token_generate_ms(token, jobs[i].type);
	return (struct custos_exchange){ CUSTOS_TOKEN_KEYS, CUSTOS_TOKEN_KEYS_DONE, -1, timeout_ms, "making keys and requests" };
}

custos_rc custos_token_batch_start(struct custos_token *token, const struct custos_token_job *jobs, size_t count, unsigned sessions,
                                   struct custos_token_batch *ret_batch, struct custos_err *err)
{
	CUSTOS_REQUIRE(count > 0 && count <= CUSTOS_TOKEN_JOBS_MAX && sessions > 0 && sessions <= CUSTOS_TOKEN_SESSIONS_MAX, err, CUSTOS_E_INTERNAL,
	               "%zu jobs for %u sessions of the token", count, sessions);
	struct custos_token_batch batch = { .token = token, .jobs = jobs, .count = count, .left = count };
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_wire_out w = { .buf = &body, .err = err };
	CUSTOS_TRY(custos_random(batch.challenges[0], count * CUSTOS_CHALLENGE_SIZE, err));
	custos_wire_put_u8(&w, (uint8_t)sessions);
	custos_wire_put_u32(&w, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		put_job(&w, &jobs[i], batch.challenges[i]);
	CUSTOS_TRY(w.rc);
	struct custos_exchange x = exchange_of(token, jobs, count);
	CUSTOS_TRY(custos_token_ask(token, &x, custos_buf_view(&body), err));
	*ret_batch = batch;
	return CUSTOS_OK;
}

/* A public key that is none, or a signature that is none, is a failure of this job and no other. */
static custos_rc take_made(const struct custos_token_job *job, const uint8_t *challenge, struct custos_bytes spki, struct custos_bytes container,
                           struct custos_bytes signature, struct custos_token_key *key, struct custos_err *err)
{
	CUSTOS_REQUIRE(job->class == CUSTOS_CLASS_DEPLOYABLE ? custos_token_is_wrapped(container) : container.len == 0, err, CUSTOS_E_TOKEN, "the token returned a container of %zu bytes", container.len);
	CUSTOS_TRY(custos_token_prove("the new key", spki, job->type, challenge, signature, err));
	return custos_token_key_copy(job->type, spki, container, key, err);
}

static custos_rc take_result(struct custos_token_batch *batch, const struct custos_frame *frame, struct custos_token_result *result, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	result->job = custos_wire_u32(&r);
	uint8_t category = custos_wire_u8(&r);
	CUSTOS_REQUIRE(!r.failed && result->job < batch->count && !batch->done[result->job], err, CUSTOS_E_TOKEN, "custos-token answered a job it was not given");
	batch->done[result->job] = true;
	batch->left--;
	if (category != CUSTOS_OK) {
		result->rc = custos_token_take_failure(batch->token, &r, category, "KEYS_RESULT", &result->why);
		if (result->rc == CUSTOS_E_AUTH)
			custos_token_note_refusal(batch->token);
		return CUSTOS_OK;
	}
	struct custos_bytes spki = custos_wire_bytes(&r), container = custos_wire_bytes(&r), signature = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEYS_RESULT", err));
	const struct custos_token_job *job = &batch->jobs[result->job];
	if (job->kind == CUSTOS_JOB_MAKE)
		result->rc = take_made(job, batch->challenges[result->job], spki, container, signature, &result->key, &result->why);
	else if (spki.len > 0 || container.len > 0 || signature.len == 0)
		result->rc = custos_err_set(&result->why, CUSTOS_E_TOKEN, 0, "the token did not sign");
	else
		result->rc = custos_buf_append(&result->signature, signature.ptr, signature.len, &result->why);
	return CUSTOS_OK;
}

custos_rc custos_token_batch_next(struct custos_token_batch *batch, struct custos_token_result *result, bool *ret_more, struct custos_err *err)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_exchange x = exchange_of(batch->token, batch->jobs, batch->count);
	CUSTOS_TRY(custos_token_hear(batch->token, &x, &frame, err));
	*ret_more = frame.type == CUSTOS_TOKEN_KEYS_RESULT;
	custos_rc rc = *ret_more ? take_result(batch, &frame, result, err) : CUSTOS_OK;
	if (rc == CUSTOS_OK && !*ret_more && (frame.type != CUSTOS_TOKEN_KEYS_DONE || frame.body.len != 0 || batch->left != 0))
		rc = custos_err_set(err, CUSTOS_E_TOKEN, 0, "custos-token left %zu of %zu jobs without a result", batch->left, batch->count);
	/* whoever does not keep to what was asked is asked nothing more */
	if (rc != CUSTOS_OK)
		custos_channel_close(&batch->token->helper.channel);
	return rc;
}
