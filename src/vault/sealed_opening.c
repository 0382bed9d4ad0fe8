/* A sealed key is opened outside the token, so that is logged first: intent, checkpoint, permit; then the token opens the content key for one courier, which has no
 * socket, opens the container, signs one message and ends. The keeper sees ciphertext and a signature, which it verifies. */
#include "crypto/digest.h"
#include "crypto/verify.h"
#include "vault/release.h"
#include "vault/sealed.h"

enum { BYE_MS = 10000, WORK_MS = 260000, GRACE_MS = 2000 };

void custos_sealed_courier_done(struct custos_sealed_courier *courier)
{
	(void)custos_helper_stop(&courier->helper, GRACE_MS);
	custos_courier_met_done(&courier->met);
}

/* Of the categories it can know, those that a key may have. */
static custos_rc take_refusal(const struct custos_frame *frame, struct custos_err *err)
{
	struct custos_err why = { 0 };
	custos_rc said = custos_courier_take_refusal(frame, &why);
	custos_rc rc = said == CUSTOS_E_TAMPERED || said == CUSTOS_E_SYSTEM || said == CUSTOS_E_POLICY ? said : CUSTOS_E_INTERNAL;
	return custos_err_set_hinted(err, rc, why.hint, "the courier refuses the key: %s", why.msg);
}

custos_rc custos_sealed_courier_ask(struct custos_sealed_courier *courier, uint8_t question, const struct custos_buf *body, uint8_t answer, struct custos_frame *ret_frame,
                                    struct custos_err *err)
{
	static const char what[] = "has the sealed key";
	CUSTOS_TRY(custos_channel_send(&courier->helper.channel, question, custos_buf_view(body), -1, err));
	CUSTOS_TRY(custos_courier_hear(&courier->helper, WORK_MS, what, ret_frame, err));
	if (ret_frame->type == CUSTOS_COURIER_KEY_REFUSED)
		return take_refusal(ret_frame, err);
	CUSTOS_REQUIRE(ret_frame->type == answer, err, CUSTOS_E_INTERNAL, "message %u does not belong here", ret_frame->type);
	CUSTOS_AUTO_FRAME bye = { .fd = -1 };
	CUSTOS_TRY(custos_courier_hear(&courier->helper, BYE_MS, what, &bye, err));
	CUSTOS_REQUIRE(bye.type == CUSTOS_COURIER_BYE, err, CUSTOS_E_INTERNAL, "message %u does not belong here", bye.type);
	return CUSTOS_OK;
}

/* ---- the intent ---- */

struct opening {
	struct custos_custody *c;
	const struct custos_vault_use *use;
	const struct custos_token_key_ref *key;
	const struct custos_sealed_courier *courier;
	struct custos_release_terms terms;
	struct custos_log_intent intent;
};

static custos_rc make_terms(struct opening *o, struct custos_err *err)
{
	CUSTOS_TRY(custos_sha256(o->key->container, o->terms.container_sha256, err));
	memcpy(o->terms.courier_point, o->courier->met.point, CUSTOS_POINT_SIZE);
	return custos_sha256(CUSTOS_BYTES_STR("[]"), o->terms.hosts_sha256, err);
}

static custos_rc describe(const struct opening *o, struct custos_json *fields, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_sha256(o->key->spki, hash, err));
	custos_json_set_text(fields, "key", o->use->name);
	custos_json_set_hex(fields, "spki_sha256", hash, sizeof hash);
	custos_json_set_hex(fields, "container_sha256", o->terms.container_sha256, CUSTOS_HASH_SIZE);
	custos_json_set_text(fields, "purpose", o->use->purpose);
	custos_json_set_hex(fields, "courier_point", o->terms.courier_point, CUSTOS_POINT_SIZE);
	custos_json_set_hex(fields, "courier_sha256", o->courier->met.sha256, CUSTOS_HASH_SIZE);
	custos_json_set_text(fields, "memory", o->courier->met.memory_backend);
	custos_json_set(fields, "hosts", custos_json_array());
	return CUSTOS_OK;
}

/* Under the write lock: what the intent says would follow from the log as it is now; somebody may have been faster. */
static custos_rc ask_again(const struct opening *o, const struct custos_json *fields, struct custos_err *err)
{
	const struct custos_json *key = custos_state_key(&o->c->state, o->use->name);
	if (strcmp(o->use->purpose, "birth") == 0) {
		CUSTOS_REQUIRE(key == NULL, err, CUSTOS_E_POLICY, "there is a key named %s already", o->use->name);
		return CUSTOS_OK;
	}
	if (strcmp(o->use->purpose, "restore") != 0)
		CUSTOS_TRY(custos_vault_find_key(o->c, o->use->name, &key, err));
	CUSTOS_REQUIRE(key != NULL && custos_json_equal(custos_json_get(key, "container_sha256"), custos_json_get(fields, "container_sha256")), err, CUSTOS_E_TAMPERED,
	               "the container of key %s is not the one the log names", o->use->name);
	return CUSTOS_OK;
}

static custos_rc log_intent(struct opening *o, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	CUSTOS_TRY(make_terms(o, err));
	CUSTOS_TRY(describe(o, fields, err));
	CUSTOS_TRY(custos_vault_begin(o->c, err));
	custos_rc rc = ask_again(o, fields, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(o->c);
		return rc;
	}
	return custos_vault_commit_intent(o->c, fields, &o->terms, &o->intent, err);
}

/* ---- the token, the courier ---- */

static custos_rc open_content_key(struct opening *o, struct custos_token *token, struct custos_release_parcel *ret_parcel, struct custos_err *err)
{
	const struct custos_release_request request = custos_vault_request(&o->intent, o->key, o->courier->met.point, CUSTOS_BYTES_STR("[]"));
	return custos_token_release_sealed(token, o->terms.kind, o->intent.permit, &request, ret_parcel, err);
}

static custos_rc have_signed(struct custos_sealed_courier *courier, const struct opening *o, const struct custos_release_parcel *parcel, struct custos_bytes message,
                             struct custos_buf *signature, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	enum custos_signature algorithm = o->use->algorithm;
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_fixed(&w, parcel->token_point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, custos_buf_view(&parcel->wrapped));
	custos_wire_put_bytes(&w, o->key->container);
	custos_wire_put_bytes(&w, o->key->spki);
	custos_wire_put_u8(&w, (uint8_t)algorithm);
	custos_wire_put_bytes(&w, message);
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(custos_sealed_courier_ask(courier, CUSTOS_COURIER_OPEN_KEY, &body, CUSTOS_COURIER_KEY_SIGNED, &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	struct custos_bytes made = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEY_SIGNED", err));
	CUSTOS_TRY(custos_verify("the sealed key", o->key->spki, algorithm, message, made, err));
	return custos_buf_append(signature, made.ptr, made.len, err);
}

static custos_rc go(struct opening *o, struct custos_token *token, struct custos_sealed_courier *courier, struct custos_bytes message, struct custos_buf *signature, struct custos_err *err)
{
	struct custos_release_parcel parcel = { 0 };
	CUSTOS_TRY(log_intent(o, err));
	CUSTOS_TRY(open_content_key(o, token, &parcel, err));
	custos_rc rc = have_signed(courier, o, &parcel, message, signature, err);
	custos_release_parcel_done(&parcel);
	return rc;
}

custos_rc custos_sealed_sign(struct custos_custody *c, const struct custos_token_key_ref *key, const struct custos_vault_use *use, struct custos_bytes message,
                             struct custos_buf *signature, struct custos_err *err)
{
	struct custos_token *token;
	/* it is under no KEK */
	static const struct custos_vault_key under_none = { .kek = 0 };
	CUSTOS_CLEANUP(custos_sealed_courier_done) struct custos_sealed_courier courier = { .helper = { .channel = { .fd = -1 } } };
	struct opening o = { .c = c, .use = use, .key = key, .courier = &courier, .terms = { .kind = CUSTOS_INTENT_OPENING } };
	CUSTOS_TRY(custos_vault_token_for(c, &under_none, &token, err));
	CUSTOS_TRY(custos_sealing_open(c, token, err));
	CUSTOS_TRY(custos_courier_meet(CUSTOS_JOB_SIGNING, &courier.helper, &courier.met, err));
	custos_rc rc = go(&o, token, &courier, message, signature, err);
	custos_log_intent_done(&o.intent);
	return rc;
}
