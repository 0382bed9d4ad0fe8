/* Objects on the token: finding, destroying, and the public key as SPKI. */
#include "token/keys.h"
#include "base/text.h"
#include "crypto/verify.h"

void custos_object_destroy(struct custos_object *object)
{
	if (object->handle != 0)
		(void)object->session->module.functions->C_DestroyObject(object->session->handle, object->handle);
	object->handle = 0;
}

CK_KEY_TYPE custos_cryptoki_key_type(enum custos_key_type type)
{
	switch (type) {
	case CUSTOS_KEY_RSA_2048:
	case CUSTOS_KEY_RSA_3072:
	case CUSTOS_KEY_RSA_4096:
	case CUSTOS_KEY_RSA_6144:
	case CUSTOS_KEY_RSA_8192:
		return CKK_RSA;
	case CUSTOS_KEY_EC_P256:
	case CUSTOS_KEY_EC_P384:
	case CUSTOS_KEY_EC_P521:
		return CKK_EC;
	case CUSTOS_KEY_ED25519:
		return CKK_EC_EDWARDS;
	case CUSTOS_KEY_TYPES_END:
		break;
	}
	return CKK_VENDOR_DEFINED;
}

custos_rc custos_objects_find(const struct custos_session *session, CK_OBJECT_CLASS class, struct custos_bytes id, struct custos_bytes label, CK_OBJECT_HANDLE *ret_first,
                              size_t *ret_count, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_template wanted = { .count = 0 };
	CK_OBJECT_HANDLE found[2] = { 0 };
	CK_ULONG count = 0;
	if (class != CK_UNAVAILABLE_INFORMATION)
		CUSTOS_TRY(custos_template_number(&wanted, CKA_CLASS, class, err));
	if (id.len > 0)
		CUSTOS_TRY(custos_template_bytes(&wanted, CKA_ID, id, err));
	if (label.len > 0)
		CUSTOS_TRY(custos_template_bytes(&wanted, CKA_LABEL, label, err));
	CUSTOS_TRY(custos_ck(f->C_FindObjectsInit(session->handle, wanted.attributes, wanted.count), err, "cannot search token “%s”", session->info.label));
	CK_RV rv = f->C_FindObjects(session->handle, found, 2, &count);
	(void)f->C_FindObjectsFinal(session->handle);
	CUSTOS_TRY(custos_ck(rv, err, "cannot search token “%s”", session->info.label));
	*ret_first = found[0];
	*ret_count = count;
	return CUSTOS_OK;
}

custos_rc custos_object_find_one(const struct custos_session *session, CK_OBJECT_CLASS class, struct custos_bytes id, const char *what, CK_OBJECT_HANDLE *ret_object,
                                 struct custos_err *err)
{
	CK_OBJECT_HANDLE first = 0;
	size_t count = 0;
	CUSTOS_TRY(custos_objects_find(session, class, id, CUSTOS_BYTES(NULL, 0), &first, &count, err));
	if (count == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "this is not the token the custody was made with, or the object was deleted", "token “%s” serial %s does not hold %s", session->info.label,
		                 session->info.serial, what);
	CUSTOS_REQUIRE(count == 1, err, CUSTOS_E_TOKEN, "token “%s” holds %s more than once", session->info.label, what);
	*ret_object = first;
	return CUSTOS_OK;
}

custos_rc custos_object_refuse_existing(const struct custos_session *session, struct custos_bytes id, struct custos_bytes label, struct custos_err *err)
{
	CK_OBJECT_HANDLE first;
	size_t count;
	CUSTOS_AUTO_STR *shown = custos_text_safe(label, 64);
	CUSTOS_REQUIRE(id.len > 0 && label.len > 0, err, CUSTOS_E_INTERNAL, "an object on the token needs an id and a label");
	CUSTOS_TRY(custos_objects_find(session, CK_UNAVAILABLE_INFORMATION, id, CUSTOS_BYTES(NULL, 0), &first, &count, err));
	CUSTOS_REQUIRE(count == 0, err, CUSTOS_E_POLICY, "token “%s” holds an object of that id already", session->info.label);
	CUSTOS_TRY(custos_objects_find(session, CK_UNAVAILABLE_INFORMATION, CUSTOS_BYTES(NULL, 0), label, &first, &count, err));
	if (count > 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "choose another name; nothing on a token is ever overwritten", "token “%s” holds an object called “%s” already", session->info.label,
		                 shown != NULL ? shown : "?");
	return CUSTOS_OK;
}

/* CKA_EC_POINT is a DER OCTET STRING on most tokens and the bare point on some. */
static struct custos_bytes bare_point(struct custos_bytes value, size_t size)
{
	if (size < 0x80 && value.len == size + 2 && value.ptr[0] == 0x04 && value.ptr[1] == size)
		return CUSTOS_BYTES(value.ptr + 2, size);
	if (size >= 0x80 && value.len == size + 3 && value.ptr[0] == 0x04 && value.ptr[1] == 0x81 && value.ptr[2] == size)
		return CUSTOS_BYTES(value.ptr + 3, size);
	return value;
}

custos_rc custos_object_spki(const struct custos_session *session, CK_OBJECT_HANDLE public_key, enum custos_key_type type, struct custos_buf *spki, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	CUSTOS_AUTO_BUF first = { 0 };
	CUSTOS_AUTO_BUF second = { 0 };
	if (custos_cryptoki_key_type(type) == CKK_RSA) {
		CUSTOS_TRY(custos_attribute_read(f, session->handle, public_key, CKA_MODULUS, "the modulus", &first, err));
		CUSTOS_TRY(custos_attribute_read(f, session->handle, public_key, CKA_PUBLIC_EXPONENT, "the public exponent", &second, err));
		return custos_spki_rsa(custos_buf_view(&first), custos_buf_view(&second), spki, err);
	}
	CUSTOS_TRY(custos_attribute_read(f, session->handle, public_key, CKA_EC_POINT, "the public point", &first, err));
	if (type == CUSTOS_KEY_ED25519)
		return custos_spki_ed25519(bare_point(custos_buf_view(&first), 32), spki, err);
	return custos_spki_ec(custos_key_type_group(type), bare_point(custos_buf_view(&first), custos_key_type_point_size(type)), spki, err);
}
