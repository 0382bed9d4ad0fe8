/* Attacks by somebody who holds the PIN and writes PKCS#11 calls himself: what the KEK's template has to stop, tried on the real token. Each attack is
 * tried on a careless KEK first, where it must succeed, or the refusal would prove nothing. */
#include "token_lab.h"
#include "token_module.h"

static struct lab lab;
static struct custos_token_key key;
static CK_FUNCTION_LIST *f;
static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE kek, careless;
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS private_class = CKO_PRIVATE_KEY, secret_class = CKO_SECRET_KEY;
static CK_KEY_TYPE ec = CKK_EC, aes = CKK_AES, generic = CKK_GENERIC_SECRET;
static CK_ULONG size = 32;
static CK_MECHANISM wrap_pad = { 0x210a, NULL, 0 };

#define BOOL(t, v) { t, &(v), sizeof(CK_BBOOL) }
#define COUNT(a) (sizeof(a) / sizeof *(a))

static CK_OBJECT_HANDLE find(CK_OBJECT_CLASS *class, const uint8_t *id)
{
	CK_ATTRIBUTE wanted[] = { { CKA_CLASS, class, sizeof *class }, { CKA_ID, (void *)(uintptr_t)id, 16 } };
	CK_OBJECT_HANDLE found[2];
	CK_ULONG count = 0;
	assert_int_equal(f->C_FindObjectsInit(session, wanted, COUNT(wanted)), CKR_OK);
	assert_int_equal(f->C_FindObjects(session, found, 2, &count), CKR_OK);
	assert_int_equal(f->C_FindObjectsFinal(session), CKR_OK);
	assert_int_equal(count, 1);
	return found[0];
}

/* What a tool without a policy would make: WRAP and UNWRAP asked for, the rest left to the defaults. */
static void make_careless(void)
{
	CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_ATTRIBUTE t[] = { { CKA_VALUE_LEN, &size, sizeof size }, BOOL(CKA_TOKEN, no), BOOL(CKA_SENSITIVE, yes), BOOL(CKA_EXTRACTABLE, no), BOOL(CKA_WRAP, yes), BOOL(CKA_UNWRAP, yes),
		                 BOOL(CKA_DECRYPT, no) };
	assert_int_equal(f->C_GenerateKey(session, &generate, t, COUNT(t), &careless), CKR_OK);
}

/* An exportable EC key wrapped under the careless KEK. */
static void wrap_carelessly(CK_BYTE *wrapped, CK_ULONG *len)
{
	static const CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	CK_MECHANISM generate = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE public_t[] = { { CKA_EC_PARAMS, (void *)(uintptr_t)p256, sizeof p256 }, BOOL(CKA_TOKEN, no) };
	CK_ATTRIBUTE private_t[] = { BOOL(CKA_TOKEN, no), BOOL(CKA_EXTRACTABLE, yes), BOOL(CKA_SENSITIVE, yes) };
	CK_OBJECT_HANDLE public_key, private_key;
	assert_int_equal(f->C_GenerateKeyPair(session, &generate, public_t, COUNT(public_t), private_t, COUNT(private_t), &public_key, &private_key), CKR_OK);
	assert_int_equal(f->C_WrapKey(session, &wrap_pad, careless, private_key, wrapped, len), CKR_OK);
}

/* Goal: no attribute of the KEK can be turned, and no copy with other attributes can be made. */
static void attributes_stay(void **state)
{
	(void)state;
	static const struct {
		CK_ATTRIBUTE_TYPE type;
		CK_BBOOL *value;
	} turns[] = { { CKA_DECRYPT, &yes }, { CKA_ENCRYPT, &yes }, { CKA_DERIVE, &yes }, { CKA_SIGN, &yes }, { CKA_SENSITIVE, &no }, { CKA_EXTRACTABLE, &yes }, { CKA_MODIFIABLE, &yes },
		          { CKA_COPYABLE, &yes }, { CKA_TRUSTED, &yes }, { CKA_PRIVATE, &no } };
	CK_ATTRIBUTE decrypt[] = { BOOL(CKA_DECRYPT, yes) };
	assert_int_equal(f->C_SetAttributeValue(session, careless, decrypt, 1), CKR_OK);
	for (size_t i = 0; i < COUNT(turns); i++) {
		CK_ATTRIBUTE t[] = { { turns[i].type, turns[i].value, sizeof(CK_BBOOL) } };
		CK_OBJECT_HANDLE copy = 0;
		assert_int_not_equal(f->C_SetAttributeValue(session, kek, t, 1), CKR_OK);
		assert_int_not_equal(f->C_CopyObject(session, kek, t, 1, &copy), CKR_OK);
	}
	CK_ATTRIBUTE session_object[] = { BOOL(CKA_TOKEN, no) };
	CK_OBJECT_HANDLE copy = 0;
	assert_int_equal(f->C_CopyObject(session, careless, session_object, 1, &copy), CKR_OK);
	assert_int_not_equal(f->C_CopyObject(session, kek, session_object, 1, &copy), CKR_OK);
	assert_int_not_equal(f->C_CopyObject(session, kek, NULL, 0, &copy), CKR_OK);
	CK_ATTRIBUTE loose[] = { { CKA_UNWRAP_TEMPLATE, NULL, 0 } };
	assert_int_not_equal(f->C_SetAttributeValue(session, kek, loose, 1), CKR_OK);
	CK_BYTE value[64];
	CK_ATTRIBUTE read[] = { { CKA_VALUE, value, sizeof value } };
	assert_int_equal(f->C_GetAttributeValue(session, kek, read, 1), CKR_ATTRIBUTE_SENSITIVE);
}

static CK_RV unwrap(CK_OBJECT_HANDLE with, CK_BYTE *wrapped, CK_ULONG len, CK_ATTRIBUTE *t, CK_ULONG count, CK_OBJECT_HANDLE *ret)
{
	return f->C_UnwrapKey(session, &wrap_pad, with, wrapped, len, t, count, ret);
}

/* Goal: a container comes out of the KEK as custos takes it out, and not readable, not on the token, not as something else. */
static void containers_come_out_one_way(void **state)
{
	(void)state;
	CK_BYTE careless_blob[512], value[512];
	CK_ULONG careless_len = sizeof careless_blob;
	CK_OBJECT_HANDLE out = 0;
	wrap_carelessly(careless_blob, &careless_len);
	CK_ATTRIBUTE proper[] = { { CKA_CLASS, &private_class, sizeof private_class }, { CKA_KEY_TYPE, &ec, sizeof ec }, BOOL(CKA_TOKEN, no), BOOL(CKA_PRIVATE, yes),
		                      BOOL(CKA_SENSITIVE, yes), BOOL(CKA_EXTRACTABLE, yes) };
	CK_ATTRIBUTE readable[] = { { CKA_CLASS, &private_class, sizeof private_class }, { CKA_KEY_TYPE, &ec, sizeof ec }, BOOL(CKA_TOKEN, no), BOOL(CKA_PRIVATE, yes),
		                        BOOL(CKA_SENSITIVE, no), BOOL(CKA_EXTRACTABLE, yes) };
	CK_ATTRIBUTE silent[] = { { CKA_CLASS, &private_class, sizeof private_class }, { CKA_KEY_TYPE, &ec, sizeof ec }, BOOL(CKA_TOKEN, no), BOOL(CKA_PRIVATE, yes),
		                      BOOL(CKA_EXTRACTABLE, yes) };
	CK_ATTRIBUTE on_token[] = { { CKA_CLASS, &private_class, sizeof private_class }, { CKA_KEY_TYPE, &ec, sizeof ec }, BOOL(CKA_TOKEN, yes), BOOL(CKA_PRIVATE, yes),
		                        BOOL(CKA_SENSITIVE, yes), BOOL(CKA_EXTRACTABLE, yes) };
	CK_ATTRIBUTE confused[] = { { CKA_CLASS, &secret_class, sizeof secret_class }, { CKA_KEY_TYPE, &generic, sizeof generic }, BOOL(CKA_TOKEN, no), BOOL(CKA_SENSITIVE, no),
		                        BOOL(CKA_EXTRACTABLE, yes) };
	CK_ATTRIBUTE read[] = { { CKA_VALUE, value, sizeof value } };

	/* the careless KEK gives the key away */
	assert_int_equal(unwrap(careless, careless_blob, careless_len, readable, COUNT(readable), &out), CKR_OK);
	assert_int_equal(f->C_GetAttributeValue(session, out, read, 1), CKR_OK);
	assert_int_equal(read[0].ulValueLen, 32);
	assert_int_equal(unwrap(careless, careless_blob, careless_len, confused, COUNT(confused), &out), CKR_OK);

	assert_int_equal(unwrap(kek, key.container.ptr, key.container.len, proper, COUNT(proper), &out), CKR_OK);
	read[0].ulValueLen = sizeof value;
	assert_int_equal(f->C_GetAttributeValue(session, out, read, 1), CKR_ATTRIBUTE_SENSITIVE);
	CK_ATTRIBUTE unveil[] = { BOOL(CKA_SENSITIVE, no) };
	assert_int_not_equal(f->C_SetAttributeValue(session, out, unveil, 1), CKR_OK);
	assert_int_not_equal(unwrap(kek, key.container.ptr, key.container.len, readable, COUNT(readable), &out), CKR_OK);
	assert_int_not_equal(unwrap(kek, key.container.ptr, key.container.len, silent, COUNT(silent), &out), CKR_OK);
	assert_int_not_equal(unwrap(kek, key.container.ptr, key.container.len, on_token, COUNT(on_token), &out), CKR_OK);
	assert_int_not_equal(unwrap(kek, key.container.ptr, key.container.len, confused, COUNT(confused), &out), CKR_OK);
}

/* Goal: the KEK works with its one mechanism, on private keys, and for nothing but wrapping. */
static void one_mechanism_one_purpose(void **state)
{
	(void)state;
	static const CK_MECHANISM_TYPE others[] = { CKM_AES_KEY_WRAP, CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_AES_ECB };
	CK_BYTE out[512], iv[16] = { 0 };
	CK_ULONG len;
	CK_OBJECT_HANDLE private_key = 0, secret = 0;
	CK_ATTRIBUTE proper[] = { { CKA_CLASS, &private_class, sizeof private_class }, { CKA_KEY_TYPE, &ec, sizeof ec }, BOOL(CKA_TOKEN, no), BOOL(CKA_PRIVATE, yes),
		                      BOOL(CKA_SENSITIVE, yes), BOOL(CKA_EXTRACTABLE, yes) };
	assert_int_equal(unwrap(kek, key.container.ptr, key.container.len, proper, COUNT(proper), &private_key), CKR_OK);
	len = sizeof out;
	assert_int_equal(f->C_WrapKey(session, &wrap_pad, kek, private_key, out, &len), CKR_OK);
	for (size_t i = 0; i < COUNT(others); i++) {
		bool needs_iv = others[i] == CKM_AES_CBC || others[i] == CKM_AES_CBC_PAD;
		CK_MECHANISM m = { others[i], needs_iv ? iv : NULL, needs_iv ? sizeof iv : 0 };
		len = sizeof out;
		assert_int_not_equal(f->C_WrapKey(session, &m, kek, private_key, out, &len), CKR_OK);
		assert_int_not_equal(f->C_DecryptInit(session, &m, kek), CKR_OK);
		assert_int_not_equal(f->C_EncryptInit(session, &m, kek), CKR_OK);
	}
	/* the first of them is possible with a careless KEK, and so is decrypting once the attribute was turned */
	CK_MECHANISM key_wrap = { CKM_AES_KEY_WRAP, NULL, 0 }, ecb = { CKM_AES_ECB, NULL, 0 };
	len = sizeof out;
	assert_int_equal(f->C_WrapKey(session, &key_wrap, careless, private_key, out, &len), CKR_OK);
	CK_ATTRIBUTE decrypt[] = { BOOL(CKA_DECRYPT, yes) };
	assert_int_equal(f->C_SetAttributeValue(session, careless, decrypt, 1), CKR_OK);
	assert_int_equal(f->C_DecryptInit(session, &ecb, careless), CKR_OK);
	CK_BYTE block[16] = { 0 };
	len = sizeof out;
	assert_int_equal(f->C_Decrypt(session, block, sizeof block, out, &len), CKR_OK);

	CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_ATTRIBUTE t[] = { { CKA_KEY_TYPE, &aes, sizeof aes }, { CKA_VALUE_LEN, &size, sizeof size }, BOOL(CKA_TOKEN, no), BOOL(CKA_EXTRACTABLE, yes) };
	assert_int_equal(f->C_GenerateKey(session, &generate, t, COUNT(t), &secret), CKR_OK);
	len = sizeof out;
	assert_int_equal(f->C_WrapKey(session, &wrap_pad, careless, secret, out, &len), CKR_OK);
	len = sizeof out;
	assert_int_not_equal(f->C_WrapKey(session, &wrap_pad, kek, secret, out, &len), CKR_OK);
}

/* Goal: the log's key cannot be read, wrapped, copied or given another purpose. */
static void log_key_stays(void **state)
{
	(void)state;
	CK_OBJECT_HANDLE log_key = find(&private_class, lab.log_id), copy = 0;
	CK_BYTE out[512];
	CK_ULONG len = sizeof out;
	CK_ATTRIBUTE read[] = { { CKA_VALUE, out, sizeof out } }, decrypt[] = { BOOL(CKA_DECRYPT, yes) }, open_it[] = { BOOL(CKA_EXTRACTABLE, yes) };
	assert_int_equal(f->C_GetAttributeValue(session, log_key, read, 1), CKR_ATTRIBUTE_SENSITIVE);
	assert_int_not_equal(f->C_WrapKey(session, &wrap_pad, kek, log_key, out, &len), CKR_OK);
	len = sizeof out;
	assert_int_not_equal(f->C_WrapKey(session, &wrap_pad, careless, log_key, out, &len), CKR_OK);
	assert_int_not_equal(f->C_SetAttributeValue(session, log_key, decrypt, 1), CKR_OK);
	assert_int_not_equal(f->C_SetAttributeValue(session, log_key, open_it, 1), CKR_OK);
	assert_int_not_equal(f->C_CopyObject(session, log_key, open_it, 1, &copy), CKR_OK);
	assert_int_not_equal(f->C_CopyObject(session, log_key, NULL, 0, &copy), CKR_OK);
}

static int start(void **state)
{
	(void)state;
	struct lab_module module = { 0 };
	if (lab_start(&lab, "custos-attacks") != 0)
		return -1;
	LAB_OK(&lab, custos_token_key_generate(lab.token, CUSTOS_KEY_EC_P256, &key, &lab.err));
	lab_close(&lab);
	lab_module_open(&lab, &module);
	f = module.f;
	session = module.session;
	kek = find(&secret_class, lab.kek_id);
	make_careless();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	(void)f->C_Finalize(NULL);
	custos_token_key_done(&key);
	lab_remove(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_stay),
		cmocka_unit_test(containers_come_out_one_way),
		cmocka_unit_test(one_mechanism_one_purpose),
		cmocka_unit_test(log_key_stays),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
