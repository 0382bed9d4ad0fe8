/* One function a request: decode the body, do it, encode the reply. Every request is answered; a failure travels as category, native code, message
 * and hint. A body that cannot be decoded is the keeper's fault and is answered like any other failure. */
#include "token/serve.h"
#include "data/json.h"
#include "memory/secret.h"
#include "token/absence.h"
#include "token/context_login.h"
#include "token/probe.h"
#include "token/wire_info.h"

enum { PIN_MAX = 255 };

/* A request being answered. */
struct request {
	struct custos_session *session;
	struct custos_channel *channel;
	struct custos_wire in;
	int fd;                       /* the frame's descriptor, -1 when none */
	uint8_t reply;                /* what answers it when it succeeds */
	struct custos_wire_out out;
};

static custos_rc put_info(struct request *q)
{
	custos_info_put(&q->out, &q->session->info);
	return q->out.rc;
}

static custos_rc put_json(struct request *q, struct custos_json *json, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *owned = json;
	CUSTOS_AUTO_BUF line = { 0 };
	CUSTOS_TRY(custos_json_line(owned, &line, err));
	custos_wire_put_bytes(&q->out, custos_buf_view(&line));
	return q->out.rc;
}

static custos_rc put_signature(struct request *q, const struct custos_buf *signature)
{
	custos_wire_put_bytes(&q->out, custos_buf_view(signature));
	return q->out.rc;
}

static custos_rc put_key(struct request *q, struct custos_made_key *key)
{
	custos_wire_put_u8(&q->out, (uint8_t)key->type);
	custos_wire_put_bytes(&q->out, custos_buf_view(&key->spki));
	custos_wire_put_bytes(&q->out, custos_buf_view(&key->container));
	custos_wire_put_bytes(&q->out, custos_buf_view(&key->signature));
	custos_wire_put_bytes(&q->out, custos_buf_view(&key->second_signature));
	custos_made_key_done(key);
	return q->out.rc;
}

static custos_rc serve_list(struct request *q, struct custos_err *err)
{
	CUSTOS_AUTO_STR *module = custos_wire_text(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, "LIST", err));
	struct custos_json *list = NULL;
	CUSTOS_TRY(custos_session_list(q->session, module, &list, err));
	return put_json(q, list, err);
}

static custos_rc serve_init(struct request *q, struct custos_err *err)
{
	CUSTOS_AUTO_STR *module = custos_wire_text(&q->in);
	CUSTOS_AUTO_STR *uri = custos_wire_text(&q->in);
	CUSTOS_AUTO_STR *serial = custos_wire_text(&q->in);
	CUSTOS_AUTO_STR *label = custos_wire_text(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, "INIT", err));
	CUSTOS_AUTO(custos_secret) *so_pin = NULL;
	CUSTOS_AUTO(custos_secret) *user_pin = NULL;
	CUSTOS_TRY(custos_secret_read_line(q->fd, PIN_MAX, "SO PIN", &so_pin, err));
	CUSTOS_TRY(custos_secret_read_line(q->fd, PIN_MAX, "user PIN", &user_pin, err));
	struct custos_token_where where = { .module = module, .uri = uri, .serial = serial };
	CUSTOS_TRY(custos_session_init_token(q->session, &where, label, so_pin, user_pin, err));
	return put_info(q);
}

static custos_rc serve_open(struct request *q, struct custos_err *err)
{
	CUSTOS_AUTO_STR *module = custos_wire_text(&q->in);
	CUSTOS_AUTO_STR *uri = custos_wire_text(&q->in);
	CUSTOS_AUTO_STR *serial = custos_wire_text(&q->in);
	CUSTOS_AUTO_STR *profile = custos_wire_text(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, "OPEN", err));
	struct custos_token_where where = { .module = module, .uri = uri, .serial = serial, .profile = profile };
	CUSTOS_TRY(custos_session_open(q->session, &where, err));
	return put_info(q);
}

static custos_rc serve_login(struct request *q, struct custos_err *err)
{
	CUSTOS_TRY(custos_wire_end(&q->in, "LOGIN", err));
	/* from the pipe straight into locked memory; no frame buffer ever held it */
	CUSTOS_AUTO(custos_secret) *pin = NULL;
	if (q->fd >= 0)
		CUSTOS_TRY(custos_secret_read_line(q->fd, PIN_MAX, "PIN", &pin, err));
	CUSTOS_TRY(custos_session_login(q->session, pin, err));
	CUSTOS_TRY(custos_context_settle(q->session, &pin, err));
	return put_info(q);
}

static custos_rc serve_info(struct request *q, struct custos_err *err)
{
	CUSTOS_TRY(custos_wire_end(&q->in, "INFO", err));
	CUSTOS_TRY(custos_session_read_flags(q->session, err));
	return put_info(q);
}

static custos_rc serve_kek_create(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE];
	custos_wire_fixed(&q->in, id, sizeof id);
	CUSTOS_AUTO_STR *label = custos_wire_text(&q->in);
	enum custos_kek_birth birth = (enum custos_kek_birth)custos_wire_u8(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, "KEK_CREATE", err));
	CUSTOS_REQUIRE(birth == CUSTOS_KEK_BORN_LOCAL || birth == CUSTOS_KEK_BORN_FOR_BACKUP, err, CUSTOS_E_INTERNAL, "KEK_CREATE message of an unknown kind");
	struct custos_json *attributes = NULL;
	CUSTOS_TRY(custos_kek_create(q->session, CUSTOS_BYTES(id, sizeof id), CUSTOS_BYTES_STR(label), birth, &attributes, err));
	return put_json(q, attributes, err);
}

static void read_canary(struct request *q, struct custos_kek_canary *canary, uint8_t *challenge)
{
	canary->container = custos_wire_bytes(&q->in);
	canary->spki = custos_wire_bytes(&q->in);
	canary->challenge = challenge;
	custos_wire_fixed(&q->in, challenge, CUSTOS_CHALLENGE_SIZE);
}

static custos_rc serve_kek_open(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE], challenge[CUSTOS_CHALLENGE_SIZE];
	struct custos_kek_canary canary;
	CK_OBJECT_HANDLE kek;
	custos_wire_fixed(&q->in, id, sizeof id);
	enum custos_kek_variant variant = (enum custos_kek_variant)custos_wire_u8(&q->in);
	read_canary(q, &canary, challenge);
	CUSTOS_TRY(custos_wire_end(&q->in, "KEK_OPEN", err));
	CUSTOS_AUTO_BUF signature = { 0 };
	/* a KEK that does not open its canary is not the KEK, and then there is none */
	q->session->kek = 0;
	q->session->kek_is_unkept = false;
	CUSTOS_TRY(custos_kek_find(q->session, CUSTOS_BYTES(id, sizeof id), variant, &kek, err));
	CUSTOS_TRY(custos_kek_prove(q->session, kek, &canary, &signature, err));
	q->session->kek = kek;
	return put_signature(q, &signature);
}

static custos_rc put_kek(struct request *q, struct custos_json *attributes, const struct custos_buf *signature, struct custos_err *err)
{
	CUSTOS_TRY(put_json(q, attributes, err));
	return put_signature(q, signature);
}

static custos_rc serve_kek_keep(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE], challenge[CUSTOS_CHALLENGE_SIZE];
	struct custos_kek_canary canary;
	struct custos_json *attributes = NULL;
	CUSTOS_AUTO_BUF signature = { 0 };
	custos_wire_fixed(&q->in, id, sizeof id);
	read_canary(q, &canary, challenge);
	CUSTOS_TRY(custos_wire_end(&q->in, "KEK_KEEP", err));
	CUSTOS_TRY(custos_kek_keep(q->session, CUSTOS_BYTES(id, sizeof id), &canary, &attributes, &signature, err));
	return put_kek(q, attributes, &signature, err);
}

static custos_rc serve_kek_receive(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE], point[CUSTOS_POINT_SIZE], challenge[CUSTOS_CHALLENGE_SIZE];
	struct custos_kek_delivery delivery = { .flags = custos_wire_u8(&q->in) != 0 ? CUSTOS_KEK_RECEIVE_KEEP : 0, .id = CUSTOS_BYTES(id, sizeof id), .sender_point = point };
	struct custos_kek_canary canary;
	struct custos_json *attributes = NULL;
	CUSTOS_AUTO_BUF signature = { 0 };
	custos_wire_fixed(&q->in, id, sizeof id);
	CUSTOS_AUTO_STR *label = custos_wire_text(&q->in);
	custos_wire_fixed(&q->in, point, sizeof point);
	delivery.sealed = custos_wire_bytes(&q->in);
	read_canary(q, &canary, challenge);
	CUSTOS_TRY(custos_wire_end(&q->in, "KEK_RECEIVE", err));
	delivery.label = CUSTOS_BYTES_STR(label);
	CUSTOS_TRY(custos_kek_receive(q->session, &delivery, &canary, &attributes, &signature, err));
	return put_kek(q, attributes, &signature, err);
}

static custos_rc serve_kek_destroy(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE];
	custos_wire_fixed(&q->in, id, sizeof id);
	CUSTOS_TRY(custos_wire_end(&q->in, "KEK_DESTROY", err));
	return custos_kek_destroy(q->session, CUSTOS_BYTES(id, sizeof id), err);
}

static custos_rc serve_rewrap(struct request *q, struct custos_err *err)
{
	uint8_t from[CUSTOS_TOKEN_ID_SIZE], challenges[2 * CUSTOS_CHALLENGE_SIZE];
	struct custos_rewrap rewrap = { .from = CUSTOS_BYTES(from, sizeof from), .challenges = challenges };
	custos_wire_fixed(&q->in, from, sizeof from);
	rewrap.variant = (enum custos_kek_variant)custos_wire_u8(&q->in);
	rewrap.type = (enum custos_key_type)custos_wire_u8(&q->in);
	rewrap.spki = custos_wire_bytes(&q->in);
	rewrap.container = custos_wire_bytes(&q->in);
	custos_wire_fixed(&q->in, challenges, sizeof challenges);
	CUSTOS_TRY(custos_wire_end(&q->in, "KEY_REWRAP", err));
	struct custos_made_key key;
	CUSTOS_TRY(custos_key_rewrap(q->session, &rewrap, &key, err));
	return put_key(q, &key);
}

static custos_rc serve_log_key_create(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE], challenge[CUSTOS_CHALLENGE_SIZE];
	custos_wire_fixed(&q->in, id, sizeof id);
	CUSTOS_AUTO_STR *label = custos_wire_text(&q->in);
	custos_wire_fixed(&q->in, challenge, sizeof challenge);
	CUSTOS_TRY(custos_wire_end(&q->in, "LOG_KEY_CREATE", err));
	struct custos_made_key key;
	CUSTOS_TRY(custos_log_key_make(q->session, CUSTOS_BYTES(id, sizeof id), CUSTOS_BYTES_STR(label), challenge, &key, err));
	return put_key(q, &key);
}

static custos_rc serve_log_open(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE];
	custos_wire_fixed(&q->in, id, sizeof id);
	struct custos_bytes spki = custos_wire_bytes(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, "LOG_OPEN", err));
	return custos_log_key_open(q->session, CUSTOS_BYTES(id, sizeof id), spki, err);
}

static custos_rc serve_log_sign(struct request *q, struct custos_err *err)
{
	struct custos_bytes body = custos_wire_bytes(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, "LOG_SIGN", err));
	CUSTOS_AUTO_BUF signature = { 0 };
	CUSTOS_TRY(custos_log_key_sign(q->session, body, &signature, err));
	return put_signature(q, &signature);
}

static custos_rc serve_generate(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE], challenges[2 * CUSTOS_CHALLENGE_SIZE];
	enum custos_key_type type = (enum custos_key_type)custos_wire_u8(&q->in);
	uint8_t class = custos_wire_u8(&q->in);
	custos_wire_fixed(&q->in, id, sizeof id);
	CUSTOS_AUTO_STR *label = custos_wire_text(&q->in);
	custos_wire_fixed(&q->in, challenges, sizeof challenges);
	CUSTOS_TRY(custos_wire_end(&q->in, "KEY_GENERATE", err));
	struct custos_made_key key;
	CUSTOS_REQUIRE(class == CUSTOS_CLASS_DEPLOYABLE || class == CUSTOS_CLASS_SIGN_ONLY, err, CUSTOS_E_INTERNAL, "KEY_GENERATE message of an unknown class");
	if (class == CUSTOS_CLASS_DEPLOYABLE)
		CUSTOS_TRY(custos_key_make_deployable(q->session, type, challenges, &key, err));
	else
		CUSTOS_TRY(custos_key_make_sign_only(q->session, type, CUSTOS_BYTES(id, sizeof id), CUSTOS_BYTES_STR(label), challenges, &key, err));
	return put_key(q, &key);
}

static custos_rc serve_sign(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE];
	enum custos_key_type type = (enum custos_key_type)custos_wire_u8(&q->in);
	enum custos_signature algorithm = (enum custos_signature)custos_wire_u8(&q->in);
	custos_wire_fixed(&q->in, id, sizeof id);
	struct custos_bytes container = custos_wire_bytes(&q->in), spki = custos_wire_bytes(&q->in), message = custos_wire_bytes(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, "SIGN", err));
	CUSTOS_REQUIRE(algorithm != 0 && custos_key_signs_by(type, algorithm), err, CUSTOS_E_INTERNAL, "SIGN message whose algorithm does not fit the key");
	CUSTOS_AUTO_BUF signature = { 0 };
	struct custos_signing signing = { type, CUSTOS_BYTES(id, sizeof id), container, spki, message, algorithm };
	CUSTOS_TRY(custos_key_sign(q->session, &signing, &signature, err));
	return put_signature(q, &signature);
}

/* A release, or a KEK on its way to its backup: the same claim, judged by the same guard, on a key or on what stands for the KEK. RELEASE_TO_KEY is for the transports that need a key of
 * the courier's: the guard refuses what the profile does not say. */
static custos_rc serve_letting_out(struct request *q, enum custos_intent_kind kind, struct custos_err *err)
{
	bool to_key = q->reply == CUSTOS_TOKEN_RELEASED_TO_KEY;
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE];
	struct custos_evidence evidence;
	struct custos_guard_claim claim = { .kind = kind };
	/* a KEK is agreed on directly, whatever keys do */
	claim.transport = kind == CUSTOS_INTENT_RELEASE ? q->session->profile.transport : CUSTOS_TRANSPORT_ECDH_P256;
	enum custos_key_type type = (enum custos_key_type)custos_wire_u8(&q->in);
	claim.container = custos_wire_bytes(&q->in);
	struct custos_bytes spki = custos_wire_bytes(&q->in);
	CUSTOS_TRY(custos_serve_evidence(&q->in, &evidence, &claim, err));
	custos_wire_fixed(&q->in, challenge, sizeof challenge);
	if (to_key)
		claim.courier_key = custos_wire_bytes(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, kind == CUSTOS_INTENT_RELEASE ? "RELEASE" : "KEK_BACKUP", err));
	struct custos_transported t;
	const struct custos_kek_canary canary = { claim.container, spki, challenge };
	if (kind == CUSTOS_INTENT_RELEASE)
		CUSTOS_TRY(custos_key_transport(q->session, type, spki, &claim, challenge, &t, err));
	else
		CUSTOS_TRY(custos_kek_hand_over(q->session, &claim, &canary, &t, err));
	custos_wire_put_bytes(&q->out, custos_buf_view(&t.signature));
	if (!to_key)
		custos_wire_put_fixed(&q->out, t.token_point, sizeof t.token_point);
	custos_wire_put_bytes(&q->out, custos_buf_view(&t.wrapped));
	if (to_key)
		custos_wire_put_bytes(&q->out, custos_buf_view(&t.wrapping_key));
	custos_transported_done(&t);
	return q->out.rc;
}

static custos_rc serve_release(struct request *q, struct custos_err *err)
{
	return serve_letting_out(q, CUSTOS_INTENT_RELEASE, err);
}

static custos_rc serve_kek_backup(struct request *q, struct custos_err *err)
{
	return serve_letting_out(q, CUSTOS_INTENT_KEK_BACKUP, err);
}

static custos_rc serve_sealing_create(struct request *q, struct custos_err *err)
{
	(void)err;
	return custos_serve_sealing_create(q->session, &q->in, &q->out);
}

static custos_rc serve_sealing_open(struct request *q, struct custos_err *err)
{
	return custos_serve_sealing_open(q->session, &q->in, err);
}

static custos_rc serve_release_sealed(struct request *q, struct custos_err *err)
{
	(void)err;
	return custos_serve_release_sealed(q->session, &q->in, &q->out);
}

static custos_rc serve_keys(struct request *q, struct custos_err *err)
{
	return custos_serve_keys(q->channel, q->session, &q->in, err);
}

static custos_rc serve_destroy(struct request *q, struct custos_err *err)
{
	uint8_t id[CUSTOS_TOKEN_ID_SIZE];
	custos_wire_fixed(&q->in, id, sizeof id);
	struct custos_bytes spki = custos_wire_bytes(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, "KEY_DESTROY", err));
	return custos_key_destroy(q->session, CUSTOS_BYTES(id, sizeof id), spki, err);
}

static custos_rc serve_import_begin(struct request *q, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_TRY(custos_wire_end(&q->in, "IMPORT_BEGIN", err));
	CUSTOS_TRY(custos_import_begin(q->session, point, err));
	custos_wire_put_fixed(&q->out, point, sizeof point);
	return q->out.rc;
}

static custos_rc serve_import(struct request *q, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE], challenges[2 * CUSTOS_CHALLENGE_SIZE];
	struct custos_import import = { .type = (enum custos_key_type)custos_wire_u8(&q->in), .courier_point = point, .challenges = challenges };
	import.spki = custos_wire_bytes(&q->in);
	custos_wire_fixed(&q->in, point, sizeof point);
	import.sealed = custos_wire_bytes(&q->in);
	custos_wire_fixed(&q->in, challenges, sizeof challenges);
	CUSTOS_TRY(custos_wire_end(&q->in, "IMPORT", err));
	struct custos_made_key key;
	CUSTOS_TRY(custos_import_key(q->session, &import, &key, err));
	return put_key(q, &key);
}

static custos_rc serve_doctor(struct request *q, struct custos_err *err)
{
	enum custos_check check = (enum custos_check)custos_wire_u8(&q->in);
	uint32_t flags = custos_wire_u32(&q->in);
	CUSTOS_TRY(custos_wire_end(&q->in, "DOCTOR", err));
	struct custos_json *finding = NULL;
	CUSTOS_TRY(custos_probe_run(q->session, check, flags, &finding, err));
	return put_json(q, finding, err);
}

static const struct {
	uint8_t request, reply;
	custos_rc (*serve)(struct request *q, struct custos_err *err);
} table[] = {
	{ CUSTOS_TOKEN_LIST, CUSTOS_TOKEN_LISTED, serve_list },
	{ CUSTOS_TOKEN_INIT, CUSTOS_TOKEN_INITIALIZED, serve_init },
	{ CUSTOS_TOKEN_OPEN, CUSTOS_TOKEN_OPENED, serve_open },
	{ CUSTOS_TOKEN_LOGIN, CUSTOS_TOKEN_LOGGED_IN, serve_login },
	{ CUSTOS_TOKEN_INFO, CUSTOS_TOKEN_INFO_IS, serve_info },
	{ CUSTOS_TOKEN_KEK_CREATE, CUSTOS_TOKEN_KEK_CREATED, serve_kek_create },
	{ CUSTOS_TOKEN_KEK_OPEN, CUSTOS_TOKEN_KEK_OPENED, serve_kek_open },
	{ CUSTOS_TOKEN_LOG_KEY_CREATE, CUSTOS_TOKEN_KEY_MADE, serve_log_key_create },
	{ CUSTOS_TOKEN_LOG_OPEN, CUSTOS_TOKEN_LOG_OPENED, serve_log_open },
	{ CUSTOS_TOKEN_LOG_SIGN, CUSTOS_TOKEN_SIGNED, serve_log_sign },
	{ CUSTOS_TOKEN_KEY_GENERATE, CUSTOS_TOKEN_KEY_MADE, serve_generate },
	{ CUSTOS_TOKEN_SIGN, CUSTOS_TOKEN_SIGNED, serve_sign },
	{ CUSTOS_TOKEN_RELEASE, CUSTOS_TOKEN_RELEASED, serve_release },
	{ CUSTOS_TOKEN_RELEASE_TO_KEY, CUSTOS_TOKEN_RELEASED_TO_KEY, serve_release },
	{ CUSTOS_TOKEN_KEY_DESTROY, CUSTOS_TOKEN_KEY_DESTROYED, serve_destroy },
	{ CUSTOS_TOKEN_IMPORT_BEGIN, CUSTOS_TOKEN_IMPORT_POINT, serve_import_begin },
	{ CUSTOS_TOKEN_IMPORT, CUSTOS_TOKEN_KEY_MADE, serve_import },
	{ CUSTOS_TOKEN_KEYS, CUSTOS_TOKEN_KEYS_DONE, serve_keys },
	{ CUSTOS_TOKEN_KEK_BACKUP, CUSTOS_TOKEN_RELEASED, serve_kek_backup },
	{ CUSTOS_TOKEN_KEK_KEEP, CUSTOS_TOKEN_KEK_TAKEN, serve_kek_keep },
	{ CUSTOS_TOKEN_KEK_RECEIVE, CUSTOS_TOKEN_KEK_TAKEN, serve_kek_receive },
	{ CUSTOS_TOKEN_KEK_DESTROY, CUSTOS_TOKEN_KEY_DESTROYED, serve_kek_destroy },
	{ CUSTOS_TOKEN_KEY_REWRAP, CUSTOS_TOKEN_KEY_MADE, serve_rewrap },
	{ CUSTOS_TOKEN_DOCTOR, CUSTOS_TOKEN_FOUND, serve_doctor },
	{ CUSTOS_TOKEN_SEALING_CREATE, CUSTOS_TOKEN_SEALING_CREATED, serve_sealing_create },
	{ CUSTOS_TOKEN_SEALING_OPEN, CUSTOS_TOKEN_SEALING_OPENED, serve_sealing_open },
	{ CUSTOS_TOKEN_RELEASE_SEALED, CUSTOS_TOKEN_SEALED_RELEASED, serve_release_sealed },
};

/* LIST, INIT and OPEN start from nothing: whatever a failed one before has left is undone. */
static void start_afresh(struct custos_session *session, const char *softhsm_conf)
{
	custos_session_done(session);
	custos_session_init(session, softhsm_conf);
}

static custos_rc answer(struct custos_channel *channel, struct custos_session *session, const char *softhsm_conf, const struct custos_frame *frame, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_err failure = { 0 };
	struct request q = {
		.session = session, .channel = channel, .in = custos_wire_read(custos_buf_view(&frame->body)), .fd = frame->fd, .reply = CUSTOS_TOKEN_FAILED, .out = { .buf = &body, .err = &failure },
	};
	custos_rc rc = CUSTOS_E_INTERNAL;
	bool starts = frame->type == CUSTOS_TOKEN_LIST || frame->type == CUSTOS_TOKEN_INIT || frame->type == CUSTOS_TOKEN_OPEN;
	if (starts)
		start_afresh(session, softhsm_conf);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (table[i].request != frame->type)
			continue;
		q.reply = table[i].reply;
		rc = table[i].serve(&q, &failure);
	}
	custos_absence_tell(&session->info, &failure);
	if (starts && (rc != CUSTOS_OK || frame->type != CUSTOS_TOKEN_OPEN))
		start_afresh(session, softhsm_conf);
	if (rc == CUSTOS_OK)
		return custos_channel_send(channel, q.reply, custos_buf_view(&body), -1, err);
	CUSTOS_AUTO_BUF failed = { 0 };
	struct custos_wire_out out = { .buf = &failed, .err = err };
	custos_wire_put_u8(&out, (uint8_t)rc);
	custos_wire_put_u64(&out, (uint64_t)failure.native);
	custos_wire_put_text(&out, failure.msg);
	custos_wire_put_text(&out, failure.hint);
	CUSTOS_TRY(out.rc);
	return custos_channel_send(channel, CUSTOS_TOKEN_FAILED, custos_buf_view(&failed), -1, err);
}

custos_rc custos_serve(struct custos_channel *channel, const char *softhsm_conf, struct custos_err *err)
{
	struct custos_session session;
	custos_session_init(&session, softhsm_conf);
	custos_rc rc = CUSTOS_OK;
	while (rc == CUSTOS_OK) {
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		rc = custos_channel_receive(channel, -1, &frame, err);
		if (rc == CUSTOS_OK)
			rc = answer(channel, &session, softhsm_conf, &frame, err);
	}
	custos_session_done(&session);
	/* the keeper going away is how this process ends */
	return custos_channel_is_gone(channel) ? CUSTOS_OK : rc;
}
