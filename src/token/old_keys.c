/* The end of keys that are objects on the token. What is destroyed is known by its public key, never by its label or id alone; that it is gone is
 * read back. */
#include "token/keys.h"

/* At most one object of the class; *ret_object is 0 when there is none. */
static custos_rc find(const struct custos_session *session, CK_OBJECT_CLASS class, struct custos_bytes id, CK_OBJECT_HANDLE *ret_object, struct custos_err *err)
{
	CK_OBJECT_HANDLE object = 0;
	size_t count = 0;
	CUSTOS_TRY(custos_objects_find(session, class, id, CUSTOS_BYTES(NULL, 0), &object, &count, err));
	CUSTOS_REQUIRE(count <= 1, err, CUSTOS_E_TOKEN, "token “%s” holds several objects of the key that is to be destroyed", session->info.label);
	*ret_object = count == 0 ? 0 : object;
	return CUSTOS_OK;
}

static custos_rc read_type(const struct custos_session *session, CK_OBJECT_HANDLE object, CK_KEY_TYPE *ret_type, struct custos_err *err)
{
	CK_ATTRIBUTE key_type = { CKA_KEY_TYPE, ret_type, sizeof *ret_type };
	return custos_ck(session->module.functions->C_GetAttributeValue(session->handle, object, &key_type, 1), err, "cannot read the type of the key that is to be destroyed");
}

/* The public half says which key it is. */
static custos_rc check_identity(const struct custos_session *session, CK_OBJECT_HANDLE public_key, struct custos_bytes spki, struct custos_err *err)
{
	static const enum custos_key_type types[] = { CUSTOS_KEY_RSA_2048, CUSTOS_KEY_EC_P256, CUSTOS_KEY_EC_P384, CUSTOS_KEY_EC_P521, CUSTOS_KEY_ED25519 };
	CK_KEY_TYPE kind = 0;
	CUSTOS_TRY(read_type(session, public_key, &kind, err));
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		CUSTOS_AUTO_BUF found = { .max = 4096 };
		struct custos_err other_curve = { 0 };
		if (custos_cryptoki_key_type(types[i]) == kind && custos_object_spki(session, public_key, types[i], &found, &other_curve) == CUSTOS_OK &&
		    custos_bytes_equal(custos_buf_view(&found), spki))
			return CUSTOS_OK;
	}
	CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "nothing was destroyed; find out who put it there", "token “%s” holds another key under the id of this one", session->info.label);
}

static custos_rc destroy(const struct custos_session *session, CK_OBJECT_HANDLE object, struct custos_err *err)
{
	return object == 0 ? CUSTOS_OK
	                   : custos_ck(session->module.functions->C_DestroyObject(session->handle, object), err, "token “%s” does not destroy the key", session->info.label);
}

custos_rc custos_key_destroy(struct custos_session *session, struct custos_bytes id, struct custos_bytes spki, struct custos_err *err)
{
	CK_OBJECT_HANDLE private_key, public_key;
	CUSTOS_REQUIRE(session->log_key != 0, err, CUSTOS_E_INTERNAL, "the log's key is not open: it could be the one that is to be destroyed");
	CUSTOS_TRY(find(session, CKO_PRIVATE_KEY, id, &private_key, err));
	CUSTOS_TRY(find(session, CKO_PUBLIC_KEY, id, &public_key, err));
	CUSTOS_REQUIRE(private_key == 0 || private_key != session->log_key, err, CUSTOS_E_POLICY, "the log's key is not destroyed");
	CUSTOS_REQUIRE(private_key == 0 || private_key != session->sealing_key, err, CUSTOS_E_POLICY, "the sealing key is not destroyed");
	CUSTOS_REQUIRE(private_key == 0 || public_key != 0, err, CUSTOS_E_TOKEN, "token “%s” holds only the private half of that key: whose it is cannot be told",
	               session->info.label);
	if (public_key != 0)
		CUSTOS_TRY(check_identity(session, public_key, spki, err));
	CUSTOS_TRY(destroy(session, private_key, err));
	CUSTOS_TRY(destroy(session, public_key, err));
	CUSTOS_TRY(find(session, CKO_PRIVATE_KEY, id, &private_key, err));
	CUSTOS_TRY(find(session, CKO_PUBLIC_KEY, id, &public_key, err));
	CUSTOS_REQUIRE(private_key == 0 && public_key == 0, err, CUSTOS_E_TOKEN, "token “%s” says that it has destroyed the key, and still has it", session->info.label);
	return custos_session_sync(session, err);
}
