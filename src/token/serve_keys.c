/* KEYS: many keys in one request. Jobs are taken from one list by as many sessions as the keeper wants and the profile allows, each in a thread of its
 * own, the first in this one; a result goes out as soon as it is there, so that the keeper works while the token does.
 *
 * A module is never called from two threads with one session. A job that fails is a result like any other; only a request that cannot be read fails as
 * a whole. When this returns every thread has ended and every session but the first is closed. */
#include "token/serve.h"
#include "token/absence.h"
#include "token/keys.h"

#include <pthread.h>

struct job {
	enum custos_token_job_kind kind;
	enum custos_key_type type;
	enum custos_key_class class;
	enum custos_signature algorithm;               /* sign */
	uint8_t id[CUSTOS_TOKEN_ID_SIZE], challenge[CUSTOS_CHALLENGE_SIZE];
	struct custos_bytes label, container, spki, message; /* borrowed from the frame */
};

struct work {
	struct job jobs[CUSTOS_TOKEN_JOBS_MAX];
	size_t count, next;
	struct custos_channel *channel;
	pthread_mutex_t lock;                          /* of next, channel and rc */
	custos_rc rc;                                  /* of sending: without a keeper nothing more is begun */
};

struct worker {
	struct work *work;
	struct custos_session session;
	pthread_t thread;
	bool started;
};

static custos_rc read_job(struct custos_wire *in, struct job *job, struct custos_err *err)
{
	job->kind = (enum custos_token_job_kind)custos_wire_u8(in);
	job->type = (enum custos_key_type)custos_wire_u8(in);
	if (job->kind == CUSTOS_JOB_MAKE) {
		job->class = (enum custos_key_class)custos_wire_u8(in);
		custos_wire_fixed(in, job->id, sizeof job->id);
		job->label = custos_wire_bytes(in);
		custos_wire_fixed(in, job->challenge, sizeof job->challenge);
		CUSTOS_REQUIRE(job->class == CUSTOS_CLASS_DEPLOYABLE || job->class == CUSTOS_CLASS_SIGN_ONLY, err, CUSTOS_E_INTERNAL, "KEYS message with a key of an unknown class");
	} else {
		CUSTOS_REQUIRE(job->kind == CUSTOS_JOB_SIGN, err, CUSTOS_E_INTERNAL, "KEYS message with an unknown job");
		job->algorithm = (enum custos_signature)custos_wire_u8(in);
		CUSTOS_REQUIRE(job->algorithm != 0 && custos_key_signs_by(job->type, job->algorithm), err, CUSTOS_E_INTERNAL, "KEYS message whose algorithm does not fit the key");
		custos_wire_fixed(in, job->id, sizeof job->id);
		job->container = custos_wire_bytes(in);
		job->spki = custos_wire_bytes(in);
		job->message = custos_wire_bytes(in);
	}
	return CUSTOS_OK;
}

static custos_rc do_job(struct custos_session *session, const struct job *job, struct custos_made_key *key, struct custos_err *err)
{
	struct custos_bytes id = CUSTOS_BYTES(job->id, sizeof job->id);
	if (job->kind == CUSTOS_JOB_SIGN) {
		struct custos_signing signing = { job->type, id, job->container, job->spki, job->message, job->algorithm };
		return custos_key_sign(session, &signing, &key->signature, err);
	}
	if (job->class == CUSTOS_CLASS_DEPLOYABLE)
		return custos_key_make_wrapped(session, job->type, job->challenge, key, err);
	return custos_key_make_sign_only(session, job->type, id, job->label, job->challenge, key, err);
}

static custos_rc write_result(size_t index, custos_rc rc, const struct custos_err *why, const struct custos_made_key *key, struct custos_buf *body, struct custos_err *err)
{
	struct custos_wire_out out = { .buf = body, .err = err };
	custos_wire_put_u32(&out, (uint32_t)index);
	custos_wire_put_u8(&out, (uint8_t)rc);
	if (rc == CUSTOS_OK) {
		custos_wire_put_bytes(&out, custos_buf_view(&key->spki));
		custos_wire_put_bytes(&out, custos_buf_view(&key->container));
		custos_wire_put_bytes(&out, custos_buf_view(&key->signature));
	} else {
		custos_wire_put_u64(&out, (uint64_t)why->native);
		custos_wire_put_text(&out, why->msg);
		custos_wire_put_text(&out, why->hint);
	}
	return out.rc;
}

/* One job from beginning to end; nothing of it is shared but the channel. */
static void work_at(struct work *work, struct custos_session *session, size_t index)
{
	struct custos_err why = { 0 };
	CUSTOS_CLEANUP(custos_made_key_done) struct custos_made_key key = { 0 };
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	custos_rc rc = do_job(session, &work->jobs[index], &key, &why);
	custos_absence_tell(&session->info, &why);
	custos_rc sent = write_result(index, rc, &why, &key, &body, NULL);
	pthread_mutex_lock(&work->lock);
	if (sent == CUSTOS_OK && work->rc == CUSTOS_OK)
		sent = custos_channel_send(work->channel, CUSTOS_TOKEN_KEYS_RESULT, custos_buf_view(&body), -1, NULL);
	if (work->rc == CUSTOS_OK)
		work->rc = sent;
	pthread_mutex_unlock(&work->lock);
}

static void *work_off(void *at)
{
	struct worker *worker = at;
	struct work *work = worker->work;
	for (;;) {
		pthread_mutex_lock(&work->lock);
		size_t index = work->rc == CUSTOS_OK ? work->next : work->count;
		if (index < work->count)
			work->next++;
		pthread_mutex_unlock(&work->lock);
		if (index >= work->count)
			return NULL;
		work_at(work, &worker->session, index);
	}
}

/* How many sessions: token objects are made one at a time, and nobody needs more sessions than jobs. */
static size_t sessions_for(const struct work *work, const struct custos_session *session, size_t wanted)
{
	size_t limit = custos_session_limit(session);
	size_t sessions = wanted < limit ? wanted : limit;
	for (size_t i = 0; i < work->count; i++)
		if (work->jobs[i].kind == CUSTOS_JOB_MAKE && work->jobs[i].class == CUSTOS_CLASS_SIGN_ONLY)
			return 1;
	return sessions < work->count ? sessions : work->count;
}

static void work_together(struct work *work, struct custos_session *session, size_t sessions)
{
	struct worker workers[CUSTOS_TOKEN_SESSIONS_MAX];
	/* a session or thread that cannot be had is work for the others */
	for (size_t i = 1; i < sessions; i++) {
		struct worker *w = &workers[i];
		w->work = work;
		w->started = custos_session_open_another(session, &w->session, NULL) == CUSTOS_OK;
		if (w->started && pthread_create(&w->thread, NULL, work_off, w) != 0) {
			custos_session_close_another(&w->session);
			w->started = false;
		}
	}
	workers[0] = (struct worker){ .work = work, .session = *session };
	(void)work_off(&workers[0]);
	for (size_t i = 1; i < sessions; i++) {
		if (!workers[i].started)
			continue;
		pthread_join(workers[i].thread, NULL);
		custos_session_close_another(&workers[i].session);
	}
}

custos_rc custos_serve_keys(struct custos_channel *channel, struct custos_session *session, struct custos_wire *in, struct custos_err *err)
{
	struct work work = { .channel = channel, .lock = PTHREAD_MUTEX_INITIALIZER };
	size_t sessions = custos_wire_u8(in);
	work.count = custos_wire_u32(in);
	CUSTOS_REQUIRE(sessions > 0 && work.count > 0 && work.count <= CUSTOS_TOKEN_JOBS_MAX, err, CUSTOS_E_INTERNAL, "KEYS message with %zu jobs for %zu sessions", work.count, sessions);
	for (size_t i = 0; i < work.count; i++)
		CUSTOS_TRY(read_job(in, &work.jobs[i], err));
	CUSTOS_TRY(custos_wire_end(in, "KEYS", err));
	work_together(&work, session, sessions_for(&work, session, sessions));
	CUSTOS_REQUIRE(work.rc == CUSTOS_OK, err, work.rc, "a result of KEYS could not be sent");
	return CUSTOS_OK;
}
