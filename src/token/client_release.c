/* The release and the KEK's backup, keeper's side: the permit is spent first, then custos-token is shown what was logged, and the parcel is handed out only
 * after the key has proven itself against the SPKI it was released for. The only caller of custos_permit_consume(). */
#include "token/exchange.h"
#include "crypto/digest.h"

static custos_rc terms_of(const struct custos_release_request *request, struct custos_release_terms *ret_terms, struct custos_err *err)
{
	CUSTOS_TRY(custos_sha256(request->key->container, ret_terms->container_sha256, err));
	memcpy(ret_terms->courier_point, request->courier_point, CUSTOS_POINT_SIZE);
	return custos_sha256(request->hosts_line, ret_terms->hosts_sha256, err);
}

static custos_rc write_request(const struct custos_release_request *q, const uint8_t *challenge, struct custos_buf *body, struct custos_err *err)
{
	struct custos_wire_out w = { .buf = body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)q->key->type);
	custos_wire_put_bytes(&w, q->key->container);
	custos_wire_put_bytes(&w, q->key->spki);
	custos_wire_put_fixed(&w, q->courier_point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, q->leaf);
	custos_wire_put_u32(&w, (uint32_t)q->proof_count);
	for (size_t i = 0; i < q->proof_count; i++)
		custos_wire_put_fixed(&w, q->proof[i], CUSTOS_HASH_SIZE);
	custos_wire_put_bytes(&w, q->checkpoint_body);
	custos_wire_put_bytes(&w, q->hosts_line);
	custos_wire_put_fixed(&w, challenge, CUSTOS_CHALLENGE_SIZE);
	return w.rc;
}

static custos_rc take_parcel(const struct custos_frame *frame, const struct custos_token_key_ref *key, const uint8_t *challenge, struct custos_release_parcel *ret_parcel,
                             struct custos_err *err)
{
	struct custos_release_parcel parcel = { 0 };
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_bytes signature = custos_wire_bytes(&r);
	custos_wire_fixed(&r, parcel.token_point, sizeof parcel.token_point);
	struct custos_bytes wrapped = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "RELEASED", err));
	CUSTOS_TRY(custos_token_prove("the key being released", key->spki, key->type, challenge, signature, err));
	CUSTOS_REQUIRE(custos_token_is_wrapped(wrapped), err, CUSTOS_E_TOKEN, "the token wrapped the key to %zu bytes", wrapped.len);
	CUSTOS_TRY(custos_buf_append(&parcel.wrapped, wrapped.ptr, wrapped.len, err));
	*ret_parcel = parcel;
	return CUSTOS_OK;
}

static custos_rc let_out(struct custos_token *token, enum custos_intent_kind kind, struct custos_permit *permit, const struct custos_release_request *request,
                         struct custos_release_parcel *ret_parcel, struct custos_err *err)
{
	struct custos_release_terms terms = { .kind = kind };
	custos_rc rc = terms_of(request, &terms, err);
	/* whatever happens the permit is spent: terms that could not be computed fit no permit */
	if (rc != CUSTOS_OK)
		memset(&terms, 0, sizeof terms);
	CUSTOS_REQUIRE(permit != NULL, err, CUSTOS_E_POLICY, "a release needs a permit");
	CUSTOS_TRY(custos_permit_consume(permit, &terms, err));
	CUSTOS_TRY(rc);

	uint8_t challenge[CUSTOS_CHALLENGE_SIZE];
	CUSTOS_TRY(custos_random(challenge, sizeof challenge, err));
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(write_request(request, challenge, &body, err));
	bool is_release = kind == CUSTOS_INTENT_RELEASE;
	struct custos_exchange x = { is_release ? CUSTOS_TOKEN_RELEASE : CUSTOS_TOKEN_KEK_BACKUP, CUSTOS_TOKEN_RELEASED, -1, token->times.call_ms,
		                         is_release ? "releasing a key" : "letting the KEK out to its backup" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	return take_parcel(&frame, request->key, challenge, ret_parcel, err);
}

custos_rc custos_token_release(struct custos_token *token, struct custos_permit *permit, const struct custos_release_request *request, struct custos_release_parcel *ret_parcel,
                               struct custos_err *err)
{
	return let_out(token, CUSTOS_INTENT_RELEASE, permit, request, ret_parcel, err);
}

custos_rc custos_token_kek_backup(struct custos_token *token, struct custos_permit *permit, const struct custos_release_request *request, struct custos_release_parcel *ret_parcel,
                                  struct custos_err *err)
{
	CUSTOS_REQUIRE(request->key->type == CUSTOS_KEY_EC_P256, err, CUSTOS_E_INTERNAL, "the KEK's canary is not a P-256 key");
	return let_out(token, CUSTOS_INTENT_KEK_BACKUP, permit, request, ret_parcel, err);
}
