/* The KEK: made and found under the class policy, wrapping and unwrapping private keys and nothing else. */
#include "token/keys.h"

enum { WRAPPED_MAX = 8192 };

struct custos_policy_values custos_kek_values(const struct custos_session *session, struct custos_bytes id, struct custos_bytes label)
{
	return (struct custos_policy_values){ .id = id, .label = label, .wrap_mechanism = session->profile.wrap_mechanism, .profile = &session->profile };
}

static custos_rc require_wrapping(const struct custos_session *session, struct custos_err *err)
{
	if (session->profile.tier == CUSTOS_TIER_SIGN_ONLY)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "a custody needs a token that wraps keys; “custos token doctor” tells what one can do", "token “%s” cannot wrap keys", session->info.label);
	return CUSTOS_OK;
}

custos_rc custos_kek_create(struct custos_session *session, struct custos_bytes id, struct custos_bytes label, enum custos_kek_birth birth, struct custos_json **ret_attributes,
                            struct custos_err *err)
{
	bool is_unkept = birth == CUSTOS_KEK_BORN_FOR_BACKUP;
	const struct custos_policy *policy = is_unkept ? &custos_policy_unkept_kek : &custos_policy_kek;
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_policy_values values = custos_kek_values(session, id, label);
	struct custos_template t;
	CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
	CUSTOS_TRY(require_wrapping(session, err));
	CUSTOS_TRY(custos_object_refuse_existing(session, id, label, err));
	CUSTOS_TRY(custos_template_make(policy, &values, &t, err));
	/* destroyed again unless it is what was asked for */
	CUSTOS_AUTO_OBJECT kek = { session, 0 };
	CUSTOS_TRY(custos_ck(f->C_GenerateKey(session->handle, &mechanism, t.attributes, t.count, &kek.handle), err, "cannot make the KEK on token “%s”", session->info.label));
	struct custos_json *attributes = custos_json_object();
	custos_rc rc = custos_policy_read_back(f, session->handle, kek.handle, policy, &values, attributes, err);
	if (rc == CUSTOS_OK)
		rc = is_unkept ? custos_kek_try_keeping(session, kek.handle, id, err) : custos_session_sync(session, err);
	if (rc != CUSTOS_OK) {
		custos_json_free(attributes);
		return rc;
	}
	session->kek = kek.handle;
	session->kek_is_unkept = is_unkept;
	kek.handle = 0;
	*ret_attributes = attributes;
	return CUSTOS_OK;
}

custos_rc custos_kek_find(const struct custos_session *session, struct custos_bytes id, enum custos_kek_variant variant, CK_OBJECT_HANDLE *ret_kek, struct custos_err *err)
{
	static const struct custos_policy *const policies[] = {
		[CUSTOS_KEK_LOCAL_ONLY] = &custos_policy_kek, [CUSTOS_KEK_BACKED_UP] = &custos_policy_backed_up_kek, [CUSTOS_KEK_RESTORED] = &custos_policy_restored_kek,
	};
	struct custos_policy_values values = custos_kek_values(session, id, CUSTOS_BYTES(NULL, 0));
	CK_OBJECT_HANDLE kek;
	CUSTOS_REQUIRE(variant >= CUSTOS_KEK_LOCAL_ONLY && variant <= CUSTOS_KEK_RESTORED, err, CUSTOS_E_INTERNAL, "a KEK of an unknown variant");
	CUSTOS_TRY(require_wrapping(session, err));
	CUSTOS_TRY(custos_object_find_one(session, CKO_SECRET_KEY, id, "the KEK", &kek, err));
	CUSTOS_TRY(custos_policy_read_back(session->module.functions, session->handle, kek, policies[variant], &values, NULL, err));
	*ret_kek = kek;
	return CUSTOS_OK;
}

custos_rc custos_kek_prove(const struct custos_session *session, CK_OBJECT_HANDLE kek, const struct custos_kek_canary *canary, struct custos_buf *signature, struct custos_err *err)
{
	CUSTOS_AUTO_OBJECT key = { session, 0 };
	custos_rc rc = custos_key_unwrap(session, kek, canary->container, CUSTOS_KEY_EC_P256, canary->spki, &key, err);
	if (rc != CUSTOS_OK)
		custos_err_hint(err, "the KEK is another one, or damaged, or its canary is");
	CUSTOS_TRY(rc);
	return custos_object_sign_challenge(session, key.handle, CUSTOS_KEY_EC_P256, canary->challenge, signature, err);
}

custos_rc custos_kek_wrap(const struct custos_session *session, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, struct custos_buf *wrapped, struct custos_err *err)
{
	/* a buffer that is large enough at once: some tokens answer a size query with less than they write */
	CK_BYTE out[WRAPPED_MAX];
	CK_ULONG len = sizeof out;
	CK_MECHANISM mechanism = { session->profile.wrap_mechanism, NULL, 0 };
	CUSTOS_TRY(custos_ck(session->module.functions->C_WrapKey(session->handle, &mechanism, wrapping, key, out, &len), err, "token “%s” cannot wrap the key", session->info.label));
	CUSTOS_REQUIRE(len <= sizeof out && len >= 24 && len % 8 == 0, err, CUSTOS_E_TOKEN, "token “%s” wrapped the key to %lu bytes", session->info.label, len);
	return custos_buf_append(wrapped, out, len, err);
}

/* The point of an EC key, for tokens that do not find it in the container: the end of the SPKI (RFC 5480 2.2), in the bare form those tokens take. */
static custos_rc add_point(const struct custos_session *session, enum custos_key_type type, struct custos_bytes spki, struct custos_template *t, struct custos_err *err)
{
	if (session->profile.ec_point_attribute == 0 || custos_cryptoki_key_type(type) != CKK_EC)
		return CUSTOS_OK;
	size_t size = custos_key_type_point_size(type);
	CUSTOS_REQUIRE(spki.len > size && spki.ptr[spki.len - size] == 0x04, err, CUSTOS_E_INPUT, "the public key of the container is no %s key", custos_key_type_name(type));
	return custos_template_bytes(t, session->profile.ec_point_attribute, CUSTOS_BYTES(spki.ptr + spki.len - size, size), err);
}

custos_rc custos_kek_unwrap(const struct custos_session *session, struct custos_bytes container, enum custos_key_type type, struct custos_bytes spki, struct custos_object *ret_key,
                            struct custos_err *err)
{
	CUSTOS_REQUIRE(session->kek != 0, err, CUSTOS_E_INTERNAL, "no KEK is open");
	custos_rc rc = custos_key_unwrap(session, session->kek, container, type, spki, ret_key, err);
	if (rc != CUSTOS_OK)
		custos_err_hint(err, "the container is damaged, or belongs to another KEK");
	return rc;
}

custos_rc custos_key_unwrap(const struct custos_session *session, CK_OBJECT_HANDLE unwrapping, struct custos_bytes container, enum custos_key_type type, struct custos_bytes spki,
                            struct custos_object *ret_key, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	CUSTOS_REQUIRE(container.len >= 24 && container.len <= WRAPPED_MAX && container.len % 8 == 0, err, CUSTOS_E_INPUT, "the container of %zu bytes cannot be one", container.len);
	struct custos_policy_values values = { .key_type = custos_cryptoki_key_type(type), .profile = &session->profile };
	struct custos_template t;
	CK_MECHANISM mechanism = { session->profile.wrap_mechanism, NULL, 0 };
	CUSTOS_TRY(custos_template_make(&custos_policy_unwrapped, &values, &t, err));
	CUSTOS_TRY(add_point(session, type, spki, &t, err));
	CUSTOS_AUTO_OBJECT key = { session, 0 };
	CK_RV rv = f->C_UnwrapKey(session->handle, &mechanism, unwrapping, custos_ck_bytes(container.ptr), container.len, t.attributes, t.count, &key.handle);
	CUSTOS_TRY(custos_ck(rv, err, "token “%s” cannot unwrap the container", session->info.label));
	CUSTOS_TRY(custos_policy_read_back(f, session->handle, key.handle, &custos_policy_unwrapped, &values, NULL, err));
	*ret_key = key;
	key.handle = 0;
	return CUSTOS_OK;
}
