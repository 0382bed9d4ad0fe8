/* Threads: several sessions, each in a thread of its own, make, wrap, unwrap, sign and verify at once, for a second and a half. What one session can do alone is found out
 * first, so that what then goes wrong goes wrong because of the others. */
#include "base/clock.h"
#include "crypto/digest.h"
#include "crypto/verify.h"
#include "token/probe.h"
#include "token/wire_info.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 4, WORK_MS = 1500, PADDING_MAX = 7 };

struct worker {
	struct custos_probe probe;               /* with a session of its own */
	struct custos_session session;
	CK_OBJECT_HANDLE kek;                    /* 0: the token wraps nothing */
	int64_t until_ms;
	atomic_bool *goes_wrong;                 /* nobody goes on after the first */
	pthread_t thread;
	bool is_open, is_started;
	unsigned rounds;
	struct custos_err err;
};

static custos_rc prove(struct worker *w, CK_OBJECT_HANDLE key, enum custos_key_type type, struct custos_bytes spki, struct custos_err *err)
{
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE], text[CUSTOS_CHALLENGE_TEXT_SIZE];
	CUSTOS_AUTO_BUF signature = { 0 };
	CUSTOS_TRY(custos_random(challenge, sizeof challenge, err));
	custos_challenge_text(challenge, text);
	CUSTOS_TRY(custos_object_sign_challenge(&w->session, key, type, challenge, &signature, err));
	return custos_verify("a key made in a thread", spki, custos_key_signature(type), CUSTOS_BYTES(text, sizeof text), custos_buf_view(&signature), err);
}

/* One key's life, in objects of this session but for the KEK. */
static custos_rc one_round(struct worker *w, struct custos_err *err)
{
	struct custos_session *s = &w->session;
	enum custos_key_type type;
	struct custos_new_pair pair;
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_AUTO_BUF container = { 0 };
	CUSTOS_TRY(custos_probe_any_pair(&w->probe, &type, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_object_spki(s, public_key.handle, type, &spki, err));
	CUSTOS_TRY(prove(w, private_key.handle, type, custos_buf_view(&spki), err));
	if (w->kek == 0)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_kek_wrap(s, w->kek, private_key.handle, &container, err));
	CUSTOS_AUTO_OBJECT unwrapped = { s, 0 };
	CUSTOS_TRY(custos_key_unwrap(s, w->kek, custos_buf_view(&container), type, custos_buf_view(&spki), &unwrapped, err));
	return prove(w, unwrapped.handle, type, custos_buf_view(&spki), err);
}

static void *work(void *at)
{
	struct worker *w = at;
	do {
		if (one_round(w, &w->err) != CUSTOS_OK)
			atomic_store(w->goes_wrong, true);
		else
			w->rounds++;
	} while (!atomic_load(w->goes_wrong) && custos_clock_monotonic_ms() < w->until_ms);
	return NULL;
}

/* The probe, in another session or its own, with what was learned of a token that has no profile. */
static void equip(struct worker *w, const struct custos_probe *p, CK_OBJECT_HANDLE kek, CK_MECHANISM_TYPE mechanism)
{
	w->probe = *p;
	w->probe.session = &w->session;
	w->kek = kek;
	if (w->session.profile.wrap_mechanism != 0)
		return;
	w->session.profile.wrap_mechanism = mechanism;
	w->session.profile.padding = PADDING_MAX;
}

static size_t start(struct worker *workers, const struct worker *alone, struct custos_probe *p, atomic_bool *goes_wrong)
{
	size_t started = 0;
	int64_t until_ms = custos_clock_monotonic_ms() + WORK_MS;
	for (size_t i = 0; i < THREADS; i++) {
		struct worker *w = &workers[i];
		w->is_open = custos_session_open_another(p->session, &w->session, NULL) == CUSTOS_OK;
		if (!w->is_open)
			continue;
		equip(w, p, alone->kek, alone->session.profile.wrap_mechanism);
		w->goes_wrong = goes_wrong;
		w->until_ms = until_ms;
		w->is_started = pthread_create(&w->thread, NULL, work, w) == 0;
		started += w->is_started ? 1 : 0;
	}
	return started;
}

static custos_rc work_together(struct custos_probe *p, const struct worker *alone)
{
	struct worker workers[THREADS] = { 0 };
	atomic_bool goes_wrong = false;
	unsigned rounds = 0;
	size_t started = start(workers, alone, p, &goes_wrong);
	const struct custos_err *why = NULL;
	for (size_t i = 0; i < THREADS; i++) {
		if (workers[i].is_started)
			pthread_join(workers[i].thread, NULL);
		if (workers[i].is_open)
			custos_session_close_another(&workers[i].session);
		rounds += workers[i].rounds;
		if (why == NULL && workers[i].err.rc != CUSTOS_OK)
			why = &workers[i].err;
	}
	custos_json_set_int(p->facts, "threads", (int64_t)started);
	custos_json_set_int(p->facts, "keys", rounds);
	if (why != NULL)
		custos_json_set_text(p->facts, "why", why->msg);
	if (atomic_load(&goes_wrong))
		return custos_probe_say(p, CUSTOS_VERDICT_FAIL, "what one session does goes wrong with %zu threads at it", started);
	if (started < 2)
		return custos_probe_say(p, CUSTOS_VERDICT_LACKS, "one session and no more");
	return custos_probe_say(p, CUSTOS_VERDICT_OK, "%zu threads at once: every key %sproven", started, alone->kek != 0 ? "wrapped, unwrapped and " : "");
}

custos_rc custos_probe_threads(struct custos_probe *p, struct custos_err *err)
{
	struct worker alone = { .session = *p->session };
	struct custos_err why = { 0 };
	CUSTOS_AUTO_OBJECT kek = { p->session, 0 };
	CK_MECHANISM_TYPE mechanism = 0;
	unsigned padding;
	if (custos_session_limit(p->session) < 2)
		return custos_probe_say(p, CUSTOS_VERDICT_INFO, "one session at a time, by the profile");
	if (!p->session->profile.session_objects)
		return custos_probe_say(p, CUSTOS_VERDICT_INFO, "not tried: there are no session objects");
	bool wraps = custos_probe_wrap_mechanism(p, &mechanism, &padding, &why) == CUSTOS_OK && custos_probe_kek(p, mechanism, &kek, &why) == CUSTOS_OK;
	equip(&alone, p, wraps ? kek.handle : 0, mechanism);
	struct custos_err first = { 0 };
	if (wraps && one_round(&alone, &first) != CUSTOS_OK)
		alone.kek = 0;
	/* what it cannot do alone has its own checks */
	if (alone.kek == 0)
		CUSTOS_TRY(one_round(&alone, err));
	return work_together(p, &alone);
}
