/* The release and the KEK's backup, keeper's side: the permit is spent first, then custos-token is shown what was logged, and the parcel is handed out only
 * after the key has proven itself against the SPKI it was released for. The only caller of custos_permit_consume(). */
#include "token/exchange.h"
#include "crypto/digest.h"
#include "crypto/transport_key.h"

static custos_rc terms_of(const struct custos_release_request *request, enum custos_transport transport, struct custos_release_terms *ret_terms, struct custos_err *err)
{
	CUSTOS_TRY(custos_sha256(request->key->container, ret_terms->container_sha256, err));
	memcpy(ret_terms->courier_point, request->courier_point, CUSTOS_POINT_SIZE);
	ret_terms->transport = transport;
	if (request->courier_key.len > 0)
		CUSTOS_TRY(custos_sha256(request->courier_key, ret_terms->courier_key_sha256, err));
	return custos_sha256(request->hosts_line, ret_terms->hosts_sha256, err);
}

/* What was logged, and for whom: the middle of each of these requests. */
static void put_evidence(struct custos_wire_out *w, const struct custos_release_request *q)
{
	custos_wire_put_fixed(w, q->courier_point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(w, q->leaf);
	custos_wire_put_u32(w, (uint32_t)q->proof_count);
	for (size_t i = 0; i < q->proof_count; i++)
		custos_wire_put_fixed(w, q->proof[i], CUSTOS_HASH_SIZE);
	custos_wire_put_bytes(w, q->checkpoint_body);
	custos_wire_put_bytes(w, q->hosts_line);
}

static custos_rc write_request(const struct custos_release_request *q, const uint8_t *challenge, struct custos_buf *body, struct custos_err *err)
{
	struct custos_wire_out w = { .buf = body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)q->key->type);
	custos_wire_put_bytes(&w, q->key->container);
	custos_wire_put_bytes(&w, q->key->spki);
	put_evidence(&w, q);
	custos_wire_put_fixed(&w, challenge, CUSTOS_CHALLENGE_SIZE);
	if (q->courier_key.len > 0)
		custos_wire_put_bytes(&w, q->courier_key);
	return w.rc;
}

void custos_release_parcel_done(struct custos_release_parcel *parcel)
{
	custos_buf_done(&parcel->wrapped);
	custos_buf_done(&parcel->wrapping_key);
}

static custos_rc leaf_hash(struct custos_bytes leaf, uint8_t *ret_hash, struct custos_err *err)
{
	CUSTOS_AUTO(custos_merkle) *merkle = NULL;
	CUSTOS_TRY(custos_merkle_new(&merkle, err));
	return custos_merkle_leaf(merkle, leaf, ret_hash, err);
}

static custos_rc fill_parcel(struct custos_release_parcel *parcel, struct custos_bytes wrapped, struct custos_bytes wrapping_key, struct custos_err *err)
{
	CUSTOS_TRY(custos_buf_append(&parcel->wrapped, wrapped.ptr, wrapped.len, err));
	return custos_buf_append(&parcel->wrapping_key, wrapping_key.ptr, wrapping_key.len, err);
}

static custos_rc take_parcel(const struct custos_frame *frame, const struct custos_token_key_ref *key, const uint8_t *challenge, struct custos_release_parcel *ret_parcel,
                             struct custos_err *err)
{
	struct custos_release_parcel parcel = *ret_parcel;
	bool to_key = custos_transport_needs_key(parcel.transport);
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_bytes signature = custos_wire_bytes(&r);
	if (!to_key)
		custos_wire_fixed(&r, parcel.token_point, sizeof parcel.token_point);
	struct custos_bytes wrapped = custos_wire_bytes(&r);
	struct custos_bytes wrapping_key = to_key ? custos_wire_bytes(&r) : CUSTOS_BYTES(NULL, 0);
	CUSTOS_TRY(custos_wire_end(&r, "RELEASED", err));
	CUSTOS_TRY(custos_token_prove("the key being released", key->spki, key->type, challenge, signature, err));
	CUSTOS_REQUIRE(custos_token_is_wrapped(wrapped), err, CUSTOS_E_TOKEN, "the token wrapped the key to %zu bytes", wrapped.len);
	CUSTOS_REQUIRE(wrapping_key.len == (to_key ? (size_t)CUSTOS_TRANSPORT_KEY_BYTES : 0), err, CUSTOS_E_TOKEN, "the token wrapped the transport key to %zu bytes", wrapping_key.len);
	custos_rc rc = fill_parcel(&parcel, wrapped, wrapping_key, err);
	if (rc != CUSTOS_OK) {
		custos_release_parcel_done(&parcel);
		return rc;
	}
	*ret_parcel = parcel;
	return CUSTOS_OK;
}

/* Whatever happens the permit is spent: terms that could not be computed fit no permit. */
static custos_rc spend(struct custos_permit *permit, enum custos_intent_kind kind, enum custos_transport transport, const struct custos_release_request *request, struct custos_err *err)
{
	struct custos_release_terms terms = { .kind = kind };
	custos_rc rc = terms_of(request, transport, &terms, err);
	if (rc != CUSTOS_OK)
		memset(&terms, 0, sizeof terms);
	CUSTOS_REQUIRE(permit != NULL, err, CUSTOS_E_POLICY, "a release needs a permit");
	CUSTOS_TRY(custos_permit_consume(permit, &terms, err));
	return rc;
}

static custos_rc let_out(struct custos_token *token, enum custos_intent_kind kind, struct custos_permit *permit, const struct custos_release_request *request,
                         struct custos_release_parcel *ret_parcel, struct custos_err *err)
{
	/* a KEK is agreed on directly, whatever keys do */
	enum custos_transport transport = kind == CUSTOS_INTENT_RELEASE ? token->info.transport : CUSTOS_TRANSPORT_ECDH_P256;
	CUSTOS_TRY(spend(permit, kind, transport, request, err));
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE];
	CUSTOS_TRY(custos_random(challenge, sizeof challenge, err));
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_TRY(write_request(request, challenge, &body, err));
	bool is_release = kind == CUSTOS_INTENT_RELEASE, to_key = custos_transport_needs_key(transport);
	CUSTOS_REQUIRE(to_key == (request->courier_key.len > 0), err, CUSTOS_E_INTERNAL, "transport %s and the courier's key do not fit", custos_transport_name(transport));
	struct custos_exchange x = { to_key ? CUSTOS_TOKEN_RELEASE_TO_KEY : is_release ? CUSTOS_TOKEN_RELEASE : CUSTOS_TOKEN_KEK_BACKUP,
		                         to_key ? CUSTOS_TOKEN_RELEASED_TO_KEY : CUSTOS_TOKEN_RELEASED, -1, token->times.call_ms,
		                         is_release ? "releasing a key" : "letting the KEK out to its backup" };
	struct custos_release_parcel parcel = { .transport = transport };
	CUSTOS_TRY(leaf_hash(request->leaf, parcel.leaf_hash, err));
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	CUSTOS_TRY(take_parcel(&frame, request->key, challenge, &parcel, err));
	*ret_parcel = parcel;
	return CUSTOS_OK;
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

static custos_rc write_sealed_request(enum custos_intent_kind kind, const struct custos_release_request *q, struct custos_buf *body, struct custos_err *err)
{
	struct custos_wire_out w = { .buf = body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)kind);
	custos_wire_put_bytes(&w, q->key->container);
	put_evidence(&w, q);
	return w.rc;
}

/* custos-token itself seals the content key to the courier's point, whatever transport it has for keys that it wraps. */
custos_rc custos_token_release_sealed(struct custos_token *token, enum custos_intent_kind kind, struct custos_permit *permit, const struct custos_release_request *request,
                                      struct custos_release_parcel *ret_parcel, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { .max = CUSTOS_FRAME_BODY_MAX };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_release_parcel parcel = { .transport = CUSTOS_TRANSPORT_ECDH_P256 };
	CUSTOS_TRY(spend(permit, kind, parcel.transport, request, err));
	CUSTOS_TRY(write_sealed_request(kind, request, &body, err));
	struct custos_exchange x = { CUSTOS_TOKEN_RELEASE_SEALED, CUSTOS_TOKEN_SEALED_RELEASED, -1, token->times.call_ms, "opening a content key" };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	custos_wire_fixed(&r, parcel.token_point, sizeof parcel.token_point);
	struct custos_bytes sealed = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "SEALED_RELEASED", err));
	CUSTOS_REQUIRE(custos_token_is_wrapped(sealed), err, CUSTOS_E_TOKEN, "the content key came sealed in %zu bytes", sealed.len);
	CUSTOS_TRY(custos_buf_append(&parcel.wrapped, sealed.ptr, sealed.len, err));
	*ret_parcel = parcel;
	return CUSTOS_OK;
}
