/* What the checks work with: pairs, a key whose bytes are known, a KEK. All of it session objects, destroyed with their scope. */
#include "crypto/digest.h"
#include "crypto/trial.h"
#include "token/probe.h"

enum { WRAPPED_MAX = 8192 };

const struct custos_aes_mechanism custos_aes_mechanisms[] = {
	{ 0x2109, "0x2109", 0 }, { 0x210a, "0x210a", 0 }, { 0x210b, "0x210b", 0 }, { CKM_AES_ECB, "ecb", 0 }, { CKM_AES_CBC, "cbc", 16 }, { CKM_AES_CBC_PAD, "cbc-pad", 16 }, { 0, NULL, 0 },
};

const uint8_t custos_probe_iv[CUSTOS_TRIAL_IV_SIZE] = { 0 };

static CK_MECHANISM mechanism_of(CK_MECHANISM_TYPE type)
{
	CK_MECHANISM m = { type, NULL, 0 };
	for (const struct custos_aes_mechanism *known = custos_aes_mechanisms; known->name != NULL; known++)
		if (known->type == type && known->iv > 0)
			m = (CK_MECHANISM){ type, custos_ck_bytes(custos_probe_iv), known->iv };
	return m;
}

CK_RV custos_probe_wrap(struct custos_probe *p, CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE with, CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *len)
{
	CK_MECHANISM m = mechanism_of(mechanism);
	return p->f->C_WrapKey(p->session->handle, &m, with, key, out, len);
}

CK_RV custos_probe_unwrap(struct custos_probe *p, CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE with, struct custos_bytes wrapped, struct custos_template *t, CK_OBJECT_HANDLE *ret)
{
	CK_MECHANISM m = mechanism_of(mechanism);
	return p->f->C_UnwrapKey(p->session->handle, &m, with, custos_ck_bytes(wrapped.ptr), wrapped.len, t->attributes, t->count, ret);
}

struct custos_policy_values custos_probe_values(struct custos_probe *p)
{
	return (struct custos_policy_values){ .profile = &p->strict };
}

custos_rc custos_probe_pair(struct custos_probe *p, enum custos_key_type type, struct custos_new_pair *ret_pair, struct custos_err *err)
{
	struct custos_policy_values values = custos_probe_values(p);
	return custos_pair_make(p->session, type, &custos_policy_session_private, &custos_policy_session_public, &values, ret_pair, err);
}

custos_rc custos_probe_any_pair(struct custos_probe *p, enum custos_key_type *ret_type, struct custos_new_pair *ret_pair, struct custos_err *err)
{
	struct custos_err why = { 0 };
	*ret_type = CUSTOS_KEY_EC_P256;
	if (custos_probe_pair(p, CUSTOS_KEY_EC_P256, ret_pair, &why) == CUSTOS_OK)
		return CUSTOS_OK;
	*ret_type = CUSTOS_KEY_RSA_2048;
	if (custos_probe_pair(p, CUSTOS_KEY_RSA_2048, ret_pair, &why) == CUSTOS_OK)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(why.rc == CUSTOS_E_TOKEN, err, why.rc, "%s", why.msg);
	return custos_ck((CK_RV)why.native, err, "no session key that could be released can be made");
}

custos_rc custos_probe_known_key(struct custos_probe *p, const uint8_t bytes[static 32], struct custos_object *ret_key, struct custos_err *err)
{
	static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	static const CK_ATTRIBUTE_TYPE on[] = { CKA_PRIVATE, CKA_SENSITIVE, CKA_WRAP, CKA_UNWRAP }, off[] = { CKA_TOKEN, CKA_EXTRACTABLE, CKA_SIGN, CKA_VERIFY, CKA_DERIVE };
	struct custos_template t = { .count = 0 };
	CUSTOS_TRY(custos_template_number(&t, CKA_CLASS, CKO_SECRET_KEY, err));
	CUSTOS_TRY(custos_template_number(&t, CKA_KEY_TYPE, CKK_AES, err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_VALUE, CUSTOS_BYTES(bytes, CUSTOS_TRIAL_KEY_SIZE), err));
	for (size_t i = 0; i < sizeof on / sizeof *on; i++)
		CUSTOS_TRY(custos_template_bytes(&t, on[i], CUSTOS_BYTES(&yes, sizeof yes), err));
	for (size_t i = 0; i < sizeof off / sizeof *off; i++)
		CUSTOS_TRY(custos_template_bytes(&t, off[i], CUSTOS_BYTES(&no, sizeof no), err));
	struct custos_object key = { p->session, 0 };
	CUSTOS_TRY(custos_ck(p->f->C_CreateObject(p->session->handle, t.attributes, t.count, &key.handle), err, "no known key can be given to the token"));
	*ret_key = key;
	return CUSTOS_OK;
}

/* Whether what `mechanism` makes of this key is RFC 5649 around it. */
static custos_rc try_mechanism(struct custos_probe *p, CK_MECHANISM_TYPE mechanism, const struct custos_object *known, const uint8_t *bytes, const struct custos_new_pair *pair,
                               struct custos_bytes spki, struct custos_wrapped_look *ret_look, struct custos_err *err)
{
	CK_BYTE wrapped[WRAPPED_MAX];
	CK_ULONG len = sizeof wrapped;
	*ret_look = (struct custos_wrapped_look){ 0 };
	if (custos_probe_wrap(p, mechanism, known->handle, pair->private_key.handle, wrapped, &len) != CKR_OK || len > sizeof wrapped)
		return CUSTOS_OK;
	return custos_wrapped_look(bytes, custos_probe_iv, CUSTOS_BYTES(wrapped, len), spki, ret_look, err);
}

custos_rc custos_probe_wrap_mechanism(struct custos_probe *p, CK_MECHANISM_TYPE *ret_mechanism, unsigned *ret_padding, struct custos_err *err)
{
	const CK_MECHANISM_TYPE candidates[] = { p->session->profile.wrap_mechanism, 0x210b, 0x210a };
	uint8_t bytes[CUSTOS_TRIAL_KEY_SIZE];
	enum custos_key_type type;
	struct custos_new_pair pair;
	CUSTOS_AUTO_OBJECT known = { p->session, 0 };
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_TRY(custos_random(bytes, sizeof bytes, err));
	CUSTOS_TRY(custos_probe_any_pair(p, &type, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	(void)private_key.handle;
	CUSTOS_TRY(custos_object_spki(p->session, public_key.handle, type, &spki, err));
	CUSTOS_TRY(custos_probe_known_key(p, bytes, &known, err));
	for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
		struct custos_wrapped_look look = { 0 };
		if (candidates[i] != 0)
			CUSTOS_TRY(try_mechanism(p, candidates[i], &known, bytes, &pair, custos_buf_view(&spki), &look, err));
		if (look.form != CUSTOS_WRAPPED_RFC5649 || !look.is_the_key)
			continue;
		*ret_mechanism = candidates[i];
		*ret_padding = look.padding;
		return CUSTOS_OK;
	}
	return custos_ck(CKR_MECHANISM_INVALID, err, "no mechanism wraps as RFC 5649");
}

/* Leaves out what the token refuses: the whole template first, then without each of the attributes that a profile may leave out, at last without all. */
custos_rc custos_probe_kek(struct custos_probe *p, CK_MECHANISM_TYPE mechanism, struct custos_object *ret_kek, struct custos_err *err)
{
	static const char *const enforced[] = { "copyable", "modifiable", "allowed_mechanisms", "wrap_template", "unwrap_template" };
	enum { TRIALS = 2 + sizeof enforced / sizeof *enforced };
	CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
	struct custos_policy_values values = custos_probe_values(p);
	CK_RV rv = CKR_OK;
	values.wrap_mechanism = mechanism;
	for (size_t i = 0; i < TRIALS; i++) {
		struct custos_template t;
		p->refused = i == 0 ? 0 : i < TRIALS - 1 ? custos_attribute_bit(enforced[i - 1]) : 0x1f;
		p->strict.not_sent = p->refused;
		CUSTOS_TRY(custos_template_make(&custos_policy_trial_kek, &values, &t, err));
		p->strict.not_sent = 0;
		struct custos_object kek = { p->session, 0 };
		rv = p->f->C_GenerateKey(p->session->handle, &generate, t.attributes, t.count, &kek.handle);
		if (rv != CKR_OK)
			continue;
		*ret_kek = kek;
		return CUSTOS_OK;
	}
	return custos_ck(rv, err, "no KEK can be made");
}

void custos_probe_set_done(struct custos_probe_set *set)
{
	custos_object_destroy(&set->kek);
	custos_object_destroy(&set->pair.private_key);
	custos_object_destroy(&set->pair.public_key);
	custos_buf_done(&set->spki);
	custos_buf_done(&set->wrapped);
}

custos_rc custos_probe_set_make(struct custos_probe *p, struct custos_probe_set *set, struct custos_err *err)
{
	CK_BYTE wrapped[WRAPPED_MAX];
	CK_ULONG len = sizeof wrapped;
	CUSTOS_TRY(custos_probe_wrap_mechanism(p, &set->mechanism, &set->padding, err));
	CUSTOS_TRY(custos_probe_any_pair(p, &set->type, &set->pair, err));
	CUSTOS_TRY(custos_object_spki(p->session, set->pair.public_key.handle, set->type, &set->spki, err));
	CUSTOS_TRY(custos_probe_kek(p, set->mechanism, &set->kek, err));
	CUSTOS_TRY(custos_ck(custos_probe_wrap(p, set->mechanism, set->kek.handle, set->pair.private_key.handle, wrapped, &len), err, "the KEK cannot wrap a key"));
	CUSTOS_REQUIRE(len <= sizeof wrapped && len >= 24, err, CUSTOS_E_TOKEN, "the KEK wrapped a key to %lu bytes", len);
	return custos_buf_append(&set->wrapped, wrapped, len, err);
}

custos_rc custos_probe_count_objects(struct custos_probe *p, size_t *ret_count, struct custos_err *err)
{
	static const CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE on_token = { CKA_TOKEN, custos_ck_bytes(&yes), sizeof yes };
	CK_OBJECT_HANDLE found[64];
	CK_ULONG count = 0;
	*ret_count = 0;
	CUSTOS_TRY(custos_ck(p->f->C_FindObjectsInit(p->session->handle, &on_token, 1), err, "the token cannot be searched"));
	CK_RV rv;
	do {
		rv = p->f->C_FindObjects(p->session->handle, found, sizeof found / sizeof *found, &count);
		*ret_count += rv == CKR_OK ? count : 0;
	} while (rv == CKR_OK && count > 0);
	(void)p->f->C_FindObjectsFinal(p->session->handle);
	return custos_ck(rv, err, "the token cannot be searched");
}

/* Of secret, EC and Edwards keys the value, of RSA keys the private exponent. The bytes are of a throw-away key and are wiped all the same. */
bool custos_probe_can_read(struct custos_probe *p, CK_OBJECT_HANDLE key)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1 };
	bool can = false;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		CK_BYTE value[4096];
		CK_ATTRIBUTE a = { types[i], value, sizeof value };
		CK_RV rv = p->f->C_GetAttributeValue(p->session->handle, key, &a, 1);
		can = can || (rv == CKR_OK && a.ulValueLen > 0 && a.ulValueLen <= sizeof value);
		explicit_bzero(value, sizeof value);
	}
	return can;
}
