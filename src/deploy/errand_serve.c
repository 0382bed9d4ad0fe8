/* What a courier may ask for while it works: a socket, a login signature, a judgement. And what it has to tell. */
#include "base/clock.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "deploy/agent.h"
#include "deploy/dial.h"
#include "deploy/errand.h"
#include "x509/cert.h"
#include "x509/judge.h"

#include <stdio.h>

enum { CONNECT_MS = 10000, WHY = 256, SSH_SOCKETS_MAX = 2, SIGNATURE_MAX = 2048, SERVED_WHEN_MAX = 2 };

static custos_rc find_host(struct custos_errand *e, uint32_t index, struct custos_errand_host **ret, struct custos_err *err)
{
	CUSTOS_REQUIRE(index < e->count, err, CUSTOS_E_INTERNAL, "the courier speaks of a host it does not have");
	*ret = &e->hosts[index];
	return CUSTOS_OK;
}

/* Endpoints are asked for in turn, so that every one of them is seen. */
static const char *address_for(struct custos_errand_host *h, enum custos_courier_socket purpose)
{
	if (purpose == CUSTOS_SOCKET_SSH)
		return custos_json_text(h->named, "address");
	const struct custos_json *verify = custos_json_get(h->target_copy, "verify");
	size_t count = custos_json_count(verify);
	return count == 0 ? NULL : custos_json_string_value(custos_json_at(verify, h->next_endpoint++ % count));
}

static custos_rc send_socket(struct custos_errand *e, uint32_t host, enum custos_courier_socket purpose, int fd, const char *why,
                             struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, (uint8_t)purpose);
	if (fd < 0)
		custos_wire_put_text(&w, why);
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&e->helper.channel, fd < 0 ? CUSTOS_COURIER_NO_SOCKET : CUSTOS_COURIER_SOCKET, custos_buf_view(&body), fd, err);
}

custos_rc custos_errand_send_socket(struct custos_errand *e, uint32_t host, enum custos_courier_socket purpose, struct custos_err *err)
{
	struct custos_errand_host *h = &e->hosts[host];
	const char *address = address_for(h, purpose);
	CUSTOS_AUTO_FD fd = -1;
	struct custos_err why = { 0 };
	custos_rc rc = address == NULL ? custos_err_set(&why, CUSTOS_E_INPUT, 0, "the target has no address for this")
	                               : custos_dial(address, purpose == CUSTOS_SOCKET_SSH ? "22" : "443", CONNECT_MS, &fd, &why);
	if (rc == CUSTOS_OK && purpose == CUSTOS_SOCKET_SSH) {
		h->ssh_sockets++;
		h->login_due = true;
	}
	return send_socket(e, host, purpose, fd, why.msg, err);
}

/* What may be asked for when: the first connection is made without being asked, one more when that broke, and none to a host that was not
 * got ready or has its outcome. */
static bool may_connect(const struct custos_errand_host *h, uint8_t purpose)
{
	return h->outcome == 0 && (purpose == CUSTOS_SOCKET_VERIFY || (h->prepared == CUSTOS_PREPARED_READY && h->ssh_sockets < SSH_SOCKETS_MAX));
}

static custos_rc need_socket(struct custos_errand *e, struct custos_wire *r, struct custos_err *err)
{
	uint32_t host = custos_wire_u32(r);
	uint8_t purpose = custos_wire_u8(r);
	struct custos_errand_host *h = NULL;
	CUSTOS_TRY(custos_wire_end(r, "NEED_SOCKET", err));
	CUSTOS_TRY(find_host(e, host, &h, err));
	CUSTOS_REQUIRE(purpose == CUSTOS_SOCKET_SSH || purpose == CUSTOS_SOCKET_VERIFY, err, CUSTOS_E_INTERNAL,
	               "the courier asks for an unknown kind of socket");
	return may_connect(h, purpose) ? custos_errand_send_socket(e, host, purpose, err)
	                               : send_socket(e, host, purpose, -1, "no further connection is made", err);
}

/* One request for each connection, good or bad, and only until the host is prepared or has its outcome: what a login is for. No session is
 * signed for twice, whatever host it is said to be with: who got another host's session from somewhere must not have both. */
static custos_rc admit_login(struct custos_errand *e, struct custos_errand_host *h, struct custos_bytes data, struct custos_err *err)
{
	struct custos_bytes session = { 0 };
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_REQUIRE(h->login_due && h->login_blob.len > 0 && h->outcome == 0, err, CUSTOS_E_POLICY, "no login is due on %s", h->plan.name);
	h->login_due = false;
	CUSTOS_TRY(custos_agent_check_login(data, h->plan.user, custos_buf_view(&h->login_blob), &session, err));
	CUSTOS_TRY(custos_sha256(session, hash, err));
	for (size_t at = 0; at < e->login_sessions.len; at += sizeof hash)
		CUSTOS_REQUIRE(memcmp(e->login_sessions.ptr + at, hash, sizeof hash) != 0, err, CUSTOS_E_POLICY, "this session has been signed for");
	return custos_buf_append(&e->login_sessions, hash, sizeof hash, err);
}

static custos_rc sign_login(struct custos_errand *e, struct custos_wire *r, struct custos_err *err)
{
	uint32_t host = custos_wire_u32(r);
	struct custos_bytes data = custos_wire_bytes(r);
	struct custos_errand_host *h = NULL;
	CUSTOS_TRY(custos_wire_end(r, "SIGN_LOGIN", err));
	CUSTOS_TRY(find_host(e, host, &h, err));
	CUSTOS_AUTO_BUF signature = { .max = SIGNATURE_MAX };
	struct custos_err why = { 0 };
	/* a refusal is an empty signature: the courier reports a login that failed, and the other hosts go on */
	if (admit_login(e, h, data, &why) == CUSTOS_OK &&
	    custos_agent_sign(e->options->agent_socket, custos_buf_view(&h->login_blob), data, &signature, &why) != CUSTOS_OK)
		custos_buf_done(&signature);
	h->login_signatures += signature.len > 0;
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host);
	custos_wire_put_bytes(&w, custos_buf_view(&signature));
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&e->helper.channel, CUSTOS_COURIER_LOGIN_SIGNATURE, custos_buf_view(&body), -1, err);
}

/* What a client with the custody's anchors would say of this chain. */
static custos_rc judge(struct custos_errand *e, struct custos_errand_host *h, uint8_t when, const struct custos_bytes *ders, size_t count,
                       enum custos_courier_verdict *ret, char why[static WHY], struct custos_err *err)
{
	uint8_t leaf[CUSTOS_HASH_SIZE];
	char name[256];
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_TRY(custos_sha256(ders[0], leaf, err));
	if (when == 0 && !h->has_previous) {
		memcpy(h->previous_leaf, leaf, sizeof leaf);
		h->has_previous = true;
	}
	h->serves = true;
	memcpy(h->served_leaf, leaf, sizeof leaf);
	struct custos_err ignored = { 0 };
	h->served_spki[0] = '\0';
	if (custos_cert_spki(ders[0], &spki, &ignored) == CUSTOS_OK) {
		uint8_t hash[CUSTOS_HASH_SIZE];
		CUSTOS_TRY(custos_spki_sha256(custos_buf_view(&spki), hash, err));
		custos_text_hex(hash, sizeof hash, h->served_spki);
	}
	if (memcmp(leaf, e->wanted_leaf, sizeof leaf) == 0) {
		*ret = CUSTOS_VERDICT_NEW;
		custos_target_name_at(h->target_copy, 0, name);
		if (e->anchors != NULL && custos_judge_served(ders, count, e->leaf, e->anchors, name, custos_clock_unix(), why, WHY) != CUSTOS_JUDGE_ACCEPTED)
			*ret = CUSTOS_VERDICT_UNACCEPTABLE;
	} else {
		*ret = h->has_previous && memcmp(leaf, h->previous_leaf, sizeof leaf) == 0 ? CUSTOS_VERDICT_OLD : CUSTOS_VERDICT_OTHER;
		snprintf(why, WHY, "%s",
		         *ret == CUSTOS_VERDICT_OLD ? "the certificate of before is served"
		                                    : "a certificate is served that nobody here knows");
	}
	return CUSTOS_OK;
}

static custos_rc served(struct custos_errand *e, struct custos_wire *r, struct custos_err *err)
{
	struct custos_bytes ders[16];
	char why[WHY] = "";
	struct custos_errand_host *h = NULL;
	uint32_t host = custos_wire_u32(r);
	uint8_t when = custos_wire_u8(r);
	(void)custos_wire_u32(r); /* which probe: of no weight for the verdict */
	CUSTOS_AUTO_STR *tls_error = custos_wire_text(r);
	uint32_t count = custos_wire_u32(r);
	CUSTOS_REQUIRE(count <= sizeof ders / sizeof *ders, err, CUSTOS_E_INTERNAL, "the courier reports too many certificates");
	for (uint32_t i = 0; i < count; i++)
		ders[i] = custos_wire_bytes(r);
	CUSTOS_TRY(custos_wire_end(r, "SERVED", err));
	CUSTOS_TRY(find_host(e, host, &h, err));
	CUSTOS_REQUIRE(when <= SERVED_WHEN_MAX && h->outcome == 0, err, CUSTOS_E_INTERNAL, "the courier's SERVED makes no sense");
	enum custos_courier_verdict verdict = CUSTOS_VERDICT_NONE;
	h->serves = false;
	if (count > 0)
		CUSTOS_TRY(judge(e, h, when, ders, count, &verdict, why, err));
	else
		snprintf(why, sizeof why, "%s", tls_error == NULL || tls_error[0] == '\0' ? "nothing is served" : tls_error);
	h->verdict = verdict;
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u8(&w, (uint8_t)verdict);
	custos_wire_put_text(&w, why);
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&e->helper.channel, CUSTOS_COURIER_VERDICT, custos_buf_view(&body), -1, err);
}

static void replace(char **old, char *text)
{
	free(*old);
	*old = text;
}

/* A copy this deployment made on the host; in a scan the field holds a fingerprint instead. Its path goes into the log, so it is
 * our name for it or nothing. */
static bool is_own_copy(const struct custos_errand *e, const struct custos_errand_host *h, const char *path)
{
	size_t len = strlen(path), nonce = strlen(h->plan.nonce);
	if (path[0] == '\0' || e->job == CUSTOS_JOB_SCAN)
		return true;
	return custos_plan_is_backup(&h->plan, path) && len > nonce && strcmp(path + len - nonce, h->plan.nonce) == 0;
}

/* A number that is no category, or success in the mouth of a failure, is not passed on as an exit code. */
static custos_rc known(uint8_t category)
{
	return strcmp(custos_rc_name((custos_rc)category), "unknown") == 0 ? CUSTOS_E_INTERNAL : (custos_rc)category;
}

static custos_rc prepared(struct custos_errand *e, struct custos_wire *r, struct custos_err *err)
{
	static const uint8_t none[CUSTOS_HASH_SIZE];
	uint8_t leaf[CUSTOS_HASH_SIZE];
	struct custos_errand_host *h = NULL;
	uint32_t host = custos_wire_u32(r);
	uint8_t status = custos_wire_u8(r), category = custos_wire_u8(r);
	CUSTOS_AUTO_STR *why = custos_wire_text(r);
	CUSTOS_AUTO_STR *hint = custos_wire_text(r);
	CUSTOS_AUTO_STR *version = custos_wire_text(r);
	CUSTOS_AUTO_STR *backup = custos_wire_text(r);
	custos_wire_fixed(r, leaf, sizeof leaf);
	CUSTOS_TRY(custos_wire_end(r, "PREPARED", err));
	CUSTOS_TRY(find_host(e, host, &h, err));
	bool sense = h->prepared == 0 && status >= CUSTOS_PREPARED_READY && status <= CUSTOS_PREPARED_FAILED && is_own_copy(e, h, backup);
	CUSTOS_REQUIRE(sense, err, CUSTOS_E_INTERNAL, "the courier's PREPARED makes no sense");
	CUSTOS_REQUIRE(status != CUSTOS_PREPARED_UNCHANGED || h->verdict == CUSTOS_VERDICT_NEW, err, CUSTOS_E_INTERNAL,
	               "the courier calls %s unchanged, which nobody here has seen", h->plan.name);
	h->prepared = status;
	h->category = known(category);
	h->login_due = false;
	replace(&h->why, CUSTOS_TAKE(why));
	replace(&h->hint, CUSTOS_TAKE(hint));
	replace(&h->version, CUSTOS_TAKE(version));
	replace(&h->backup, CUSTOS_TAKE(backup));
	if (memcmp(leaf, none, sizeof leaf) != 0) {
		memcpy(h->previous_leaf, leaf, sizeof leaf);
		h->has_previous = true;
	}
	return CUSTOS_OK;
}

/* What the courier says became of a host must be possible, and a success must have been seen here. */
static custos_rc check_outcome(const struct custos_errand *e, const struct custos_errand_host *h, uint8_t result, struct custos_err *err)
{
	CUSTOS_REQUIRE(h->outcome == 0 && result >= CUSTOS_OUTCOME_DEPLOYED && result <= CUSTOS_OUTCOME_NOT_ROLLED_BACK, err,
	               CUSTOS_E_INTERNAL, "the courier's OUTCOME makes no sense");
	bool touched = result == CUSTOS_OUTCOME_DEPLOYED || result == CUSTOS_OUTCOME_ROLLED_BACK || result == CUSTOS_OUTCOME_NOT_ROLLED_BACK;
	CUSTOS_REQUIRE(!touched || (e->went && h->prepared == CUSTOS_PREPARED_READY), err, CUSTOS_E_INTERNAL,
	               "the courier changed %s without a go-ahead", h->plan.name);
	CUSTOS_REQUIRE(result != CUSTOS_OUTCOME_DEPLOYED || h->verdict == CUSTOS_VERDICT_NEW, err, CUSTOS_E_INTERNAL,
	               "the courier claims a success on %s that nobody here has seen", h->plan.name);
	CUSTOS_REQUIRE(result != CUSTOS_OUTCOME_UNCHANGED || h->prepared == CUSTOS_PREPARED_UNCHANGED, err, CUSTOS_E_INTERNAL,
	               "the courier calls %s unchanged after all", h->plan.name);
	return CUSTOS_OK;
}

static custos_rc outcome(struct custos_errand *e, struct custos_wire *r, struct custos_err *err)
{
	struct custos_errand_host *h = NULL;
	uint32_t host = custos_wire_u32(r);
	uint8_t result = custos_wire_u8(r), category = custos_wire_u8(r);
	CUSTOS_AUTO_STR *why = custos_wire_text(r);
	CUSTOS_AUTO_STR *hint = custos_wire_text(r);
	uint32_t exposure_ms = custos_wire_u32(r);
	CUSTOS_AUTO_STR *backup = custos_wire_text(r);
	CUSTOS_TRY(custos_wire_end(r, "OUTCOME", err));
	CUSTOS_TRY(find_host(e, host, &h, err));
	CUSTOS_TRY(check_outcome(e, h, result, err));
	CUSTOS_REQUIRE(is_own_copy(e, h, backup), err, CUSTOS_E_INTERNAL, "the courier names a copy on %s that it was not to make", h->plan.name);
	h->outcome = result;
	h->exposure_ms = exposure_ms;
	/* a host that failed to prepare has said why already */
	if (h->prepared != CUSTOS_PREPARED_FAILED) {
		h->category = known(category);
		replace(&h->why, CUSTOS_TAKE(why));
		replace(&h->hint, CUSTOS_TAKE(hint));
	}
	replace(&h->backup, CUSTOS_TAKE(backup));
	return CUSTOS_OK;
}

/* Of a probe, once, while the host is looked at. What the facts mean is for target/inspection.c to say. */
static custos_rc facts(struct custos_errand *e, struct custos_wire *r, struct custos_err *err)
{
	struct custos_errand_host *h = NULL;
	uint32_t host = custos_wire_u32(r), count = custos_wire_u32(r);
	__attribute__((cleanup(custos_reply_done))) struct custos_reply told = { .complete = true };
	CUSTOS_REQUIRE(e->job == CUSTOS_JOB_PROBE && count <= CUSTOS_REPLY_FACTS_MAX, err, CUSTOS_E_INTERNAL, "the courier's FACTS make no sense");
	for (uint32_t i = 0; i < count && !r->failed; i++) {
		told.keys[i] = custos_wire_text(r);
		told.values[i] = custos_wire_text(r);
		told.count = i + 1;
	}
	CUSTOS_TRY(custos_wire_end(r, "FACTS", err));
	CUSTOS_TRY(find_host(e, host, &h, err));
	CUSTOS_REQUIRE(h->prepared == 0 && !h->facts.complete, err, CUSTOS_E_INTERNAL, "the courier's FACTS come at the wrong time");
	h->facts = told;
	told = (struct custos_reply){ 0 };
	return CUSTOS_OK;
}

static custos_rc progress(struct custos_errand *e, struct custos_wire *r, struct custos_err *err)
{
	struct custos_errand_host *h = NULL;
	uint32_t host = custos_wire_u32(r);
	(void)custos_wire_u8(r); /* the state: the detail says it in words */
	struct custos_bytes detail = custos_wire_bytes(r);
	CUSTOS_TRY(custos_wire_end(r, "PROGRESS", err));
	CUSTOS_TRY(find_host(e, host, &h, err));
	if (e->options->progress != NULL) {
		CUSTOS_AUTO_STR *line = custos_text_safe(detail, 200);
		if (line != NULL)
			e->options->progress(e->options->progress_ctx, h->plan.name, line);
	}
	return CUSTOS_OK;
}

custos_rc custos_errand_serve(struct custos_errand *e, const struct custos_frame *frame, bool *ret_bye, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	switch (frame->type) {
	case CUSTOS_COURIER_NEED_SOCKET:
		return need_socket(e, &r, err);
	case CUSTOS_COURIER_SIGN_LOGIN:
		return sign_login(e, &r, err);
	case CUSTOS_COURIER_SERVED:
		return served(e, &r, err);
	case CUSTOS_COURIER_PREPARED:
		return prepared(e, &r, err);
	case CUSTOS_COURIER_FACTS:
		return facts(e, &r, err);
	case CUSTOS_COURIER_OUTCOME:
		return outcome(e, &r, err);
	case CUSTOS_COURIER_PROGRESS:
		return progress(e, &r, err);
	case CUSTOS_COURIER_BYE:
		(void)custos_wire_u32(&r); /* how much it has wiped: its own word */
		CUSTOS_TRY(custos_wire_end(&r, "BYE", err));
		*ret_bye = true;
		return CUSTOS_OK;
	default:
		CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "the courier sent message %u, which nobody expects", frame->type);
	}
}
