/* For tokens that agree on no key with a courier: an AES key made here goes under the courier's RSA key, the released key under the AES key. The courier's key is
 * the one that the logged intent names by its hash; whoever calls has that checked. */
#include "token/keys.h"
#include "crypto/transport_key.h"
#include "crypto/verify.h"

static custos_rc import_courier_key(const struct custos_session *session, struct custos_bytes spki, struct custos_object *ret_key, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_policy_values values = { .profile = &session->profile };
	struct custos_template t;
	CUSTOS_AUTO_BUF modulus = { .max = 1024 };
	CUSTOS_AUTO_BUF exponent = { .max = 16 };
	CUSTOS_TRY(custos_spki_rsa_numbers(spki, &modulus, &exponent, err));
	CUSTOS_REQUIRE(modulus.len == CUSTOS_TRANSPORT_KEY_BYTES, err, CUSTOS_E_POLICY, "the courier's key has %zu bits", 8 * modulus.len);
	CUSTOS_TRY(custos_template_make(&custos_policy_courier_key, &values, &t, err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_MODULUS, custos_buf_view(&modulus), err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_PUBLIC_EXPONENT, custos_buf_view(&exponent), err));
	CUSTOS_AUTO_OBJECT key = { session, 0 };
	CUSTOS_TRY(custos_ck(f->C_CreateObject(session->handle, t.attributes, t.count, &key.handle), err, "token “%s” does not take the courier's key", session->info.label));
	*ret_key = key;
	key.handle = 0;
	return CUSTOS_OK;
}

static custos_rc make_aes_key(const struct custos_session *session, struct custos_object *ret_key, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_policy_values values = { .profile = &session->profile };
	struct custos_template t;
	CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
	CUSTOS_TRY(custos_template_make(&custos_policy_travelling, &values, &t, err));
	CUSTOS_AUTO_OBJECT key = { session, 0 };
	CUSTOS_TRY(custos_ck(f->C_GenerateKey(session->handle, &generate, t.attributes, t.count, &key.handle), err, "token “%s” cannot make a transport key", session->info.label));
	CUSTOS_TRY(custos_policy_read_back(f, session->handle, key.handle, &custos_policy_travelling, &values, NULL, err));
	*ret_key = key;
	key.handle = 0;
	return CUSTOS_OK;
}

static custos_rc wrap_aes_key(const struct custos_session *session, CK_OBJECT_HANDLE courier_key, CK_OBJECT_HANDLE aes, const uint8_t *binding, struct custos_buf *wrapped, struct custos_err *err)
{
	bool labelled = session->profile.transport == CUSTOS_TRANSPORT_RSA_OAEP;
	CK_RSA_PKCS_OAEP_PARAMS parameters = {
		.hashAlg = labelled ? CKM_SHA256 : CKM_SHA_1,
		.mgf = labelled ? CKG_MGF1_SHA256 : CKG_MGF1_SHA1,
		.source = CKZ_DATA_SPECIFIED,
		.pSourceData = labelled ? custos_ck_bytes(binding) : NULL,
		.ulSourceDataLen = labelled ? CUSTOS_HASH_SIZE : 0,
	};
	CK_MECHANISM mechanism = { CKM_RSA_PKCS_OAEP, &parameters, sizeof parameters };
	CK_BYTE out[1024];
	CK_ULONG len = sizeof out;
	CUSTOS_TRY(custos_ck(session->module.functions->C_WrapKey(session->handle, &mechanism, courier_key, aes, out, &len), err, "token “%s” cannot wrap a transport key",
	                     session->info.label));
	CUSTOS_REQUIRE(len == CUSTOS_TRANSPORT_KEY_BYTES, err, CUSTOS_E_TOKEN, "token “%s” wrapped the transport key to %lu bytes", session->info.label, len);
	return custos_buf_append(wrapped, out, len, err);
}

custos_rc custos_key_hand_over_rsa(const struct custos_session *session, CK_OBJECT_HANDLE key, const struct custos_courier_ends *courier, struct custos_transported *out, struct custos_err *err)
{
	CUSTOS_AUTO_OBJECT courier_key = { session, 0 };
	CUSTOS_AUTO_OBJECT aes = { session, 0 };
	CUSTOS_TRY(import_courier_key(session, courier->key, &courier_key, err));
	CUSTOS_TRY(make_aes_key(session, &aes, err));
	CUSTOS_TRY(wrap_aes_key(session, courier_key.handle, aes.handle, courier->binding, &out->wrapping_key, err));
	return custos_kek_wrap(session, aes.handle, key, &out->wrapped, err);
}
