/* Step 4 of a release: out of the container, proven, and wrapped once more under a key agreed with one courier.
 *
 * The private key passes from one wrapping to the next inside the token; what leaves is ciphertext, the token's ephemeral point or a key under the courier's, and
 * a signature. */
#include "token/keys.h"
#include "crypto/verify.h"

void custos_transported_done(struct custos_transported *transported)
{
	custos_buf_done(&transported->signature);
	custos_buf_done(&transported->wrapped);
	custos_buf_done(&transported->wrapping_key);
}

custos_rc custos_transport_agree(const struct custos_session *session, CK_OBJECT_HANDLE ephemeral, const uint8_t courier_point[static CUSTOS_POINT_SIZE], const uint8_t *binding,
                                 const struct custos_policy *policy, struct custos_object *ret_key, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_policy_values values = { .profile = &session->profile };
	struct custos_template t;
	CK_ECDH1_DERIVE_PARAMS parameters = { .kdf = CKD_NULL, .public_data_len = CUSTOS_POINT_SIZE, .public_data = custos_ck_bytes(courier_point) };
	if (binding != NULL) {
		parameters.kdf = CKD_SHA256_KDF;
		parameters.shared_data = custos_ck_bytes(binding);
		parameters.shared_data_len = CUSTOS_HASH_SIZE;
	}
	CK_MECHANISM mechanism = { CKM_ECDH1_DERIVE, &parameters, sizeof parameters };
	CUSTOS_TRY(custos_template_make(policy, &values, &t, err));
	CUSTOS_AUTO_OBJECT key = { session, 0 };
	CUSTOS_TRY(custos_ck(f->C_DeriveKey(session->handle, &mechanism, ephemeral, t.attributes, t.count, &key.handle), err, "token “%s” cannot agree on a key with the courier",
	                     session->info.label));
	CUSTOS_TRY(custos_policy_read_back(f, session->handle, key.handle, policy, &values, NULL, err));
	*ret_key = key;
	key.handle = 0;
	return CUSTOS_OK;
}

custos_rc custos_object_read_point(const struct custos_session *session, CK_OBJECT_HANDLE public_key, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err)
{
	CUSTOS_AUTO_BUF spki = { .max = 256 };
	CUSTOS_AUTO_BUF raw = { .max = 256 };
	CUSTOS_TRY(custos_object_spki(session, public_key, CUSTOS_KEY_EC_P256, &spki, err));
	CUSTOS_TRY(custos_spki_raw(custos_buf_view(&spki), &raw, err));
	CUSTOS_REQUIRE(raw.len == CUSTOS_POINT_SIZE, err, CUSTOS_E_TOKEN, "the token's ephemeral point has %zu bytes", raw.len);
	memcpy(ret_point, raw.ptr, CUSTOS_POINT_SIZE);
	return CUSTOS_OK;
}

custos_rc custos_key_hand_over_agreed(const struct custos_session *session, CK_OBJECT_HANDLE key, const uint8_t courier_point[static CUSTOS_POINT_SIZE], const uint8_t *binding,
                                      struct custos_transported *out, struct custos_err *err)
{
	struct custos_policy_values values = { .profile = &session->profile };
	struct custos_new_pair pair;
	CUSTOS_TRY(custos_pair_generate(session, CUSTOS_KEY_EC_P256, &custos_policy_ephemeral_private, &custos_policy_ephemeral_public, &values, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_object_read_point(session, public_key.handle, out->token_point, err));
	CUSTOS_AUTO_OBJECT transport = { session, 0 };
	CUSTOS_TRY(custos_transport_agree(session, private_key.handle, courier_point, binding, &custos_policy_transport, &transport, err));
	return custos_kek_wrap(session, transport.handle, key, &out->wrapped, err);
}

custos_rc custos_key_hand_over(const struct custos_session *session, CK_OBJECT_HANDLE key, const struct custos_courier_ends *courier, struct custos_transported *out, struct custos_err *err)
{
	switch (session->profile.transport) {
	case CUSTOS_TRANSPORT_ECDH_P256:
		return custos_key_hand_over_agreed(session, key, courier->point, NULL, out, err);
	case CUSTOS_TRANSPORT_ECDH_P256_KDF:
		return custos_key_hand_over_agreed(session, key, courier->point, courier->binding, out, err);
	case CUSTOS_TRANSPORT_RSA_OAEP:
	case CUSTOS_TRANSPORT_RSA_OAEP_SHA1:
		return custos_key_hand_over_rsa(session, key, courier, out, err);
	}
	CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "an unknown transport");
}

static custos_rc fill(struct custos_session *session, enum custos_key_type type, struct custos_bytes spki, const struct custos_guard_claim *claim, const uint8_t *challenge, struct custos_transported *out,
                      struct custos_err *err)
{
	uint8_t binding[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_OBJECT key = { session, 0 };
	CUSTOS_TRY(custos_guard_leaf_hash(session->guard, claim->leaf, binding, err));
	struct custos_courier_ends courier = { .point = claim->courier_point, .key = claim->courier_key, .binding = binding };
	CUSTOS_TRY(custos_kek_unwrap(session, claim->container, type, spki, &key, err));
	CUSTOS_TRY(custos_object_sign_challenge(session, key.handle, type, challenge, &out->signature, err));
	return custos_key_hand_over(session, key.handle, &courier, out, err);
}

custos_rc custos_key_transport(struct custos_session *session, enum custos_key_type type, struct custos_bytes spki, const struct custos_guard_claim *claim,
                               const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE], struct custos_transported *ret_transported, struct custos_err *err)
{
	CUSTOS_REQUIRE(session->kek != 0, err, CUSTOS_E_INTERNAL, "no KEK is open");
	CUSTOS_TRY(custos_guard_admit(session->guard, claim, err));
	struct custos_transported transported = { 0 };
	custos_rc rc = fill(session, type, spki, claim, challenge, &transported, err);
	if (rc != CUSTOS_OK) {
		custos_transported_done(&transported);
		return rc;
	}
	*ret_transported = transported;
	return CUSTOS_OK;
}
