/* Attacks by somebody who holds the PIN: each is tried on a throw-away KEK, and what counts is what comes of it, not what the token says. */
#include "crypto/digest.h"
#include "token/probe.h"

enum { WRAPPED_MAX = 8192 };

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static const struct turn {
	CK_ATTRIBUTE_TYPE type;
	const char *name;
	CK_BBOOL to;
} turns[] = {
	{ CKA_DECRYPT, "decrypt", CK_TRUE }, { CKA_ENCRYPT, "encrypt", CK_TRUE }, { CKA_DERIVE, "derive", CK_TRUE }, { CKA_SIGN, "sign", CK_TRUE },
	{ CKA_SENSITIVE, "sensitive", CK_FALSE }, { CKA_EXTRACTABLE, "extractable", CK_TRUE }, { CKA_MODIFIABLE, "modifiable", CK_TRUE }, { CKA_PRIVATE, "private", CK_FALSE },
};

static bool is_turned(struct custos_probe *p, CK_OBJECT_HANDLE object, const struct turn *turn)
{
	CK_BBOOL value = turn->to == CK_TRUE ? CK_FALSE : CK_TRUE;
	CK_ATTRIBUTE a = { turn->type, &value, sizeof value };
	return p->f->C_GetAttributeValue(p->session->handle, object, &a, 1) == CKR_OK && (value != CK_FALSE) == (turn->to != CK_FALSE);
}

/* An operation that was begun is ended, or the next one would be refused for the wrong reason. */
static bool can_cipher(struct custos_probe *p, CK_OBJECT_HANDLE kek, const struct custos_aes_mechanism *m, bool decrypts)
{
	static const uint8_t iv[16], input[32];
	CK_MECHANISM mechanism = { m->type, m->iv > 0 ? custos_ck_bytes(iv) : NULL, m->iv };
	CK_BYTE out[64];
	CK_ULONG len = sizeof out;
	CK_RV rv = decrypts ? p->f->C_DecryptInit(p->session->handle, &mechanism, kek) : p->f->C_EncryptInit(p->session->handle, &mechanism, kek);
	if (rv != CKR_OK)
		return false;
	if (decrypts)
		(void)p->f->C_Decrypt(p->session->handle, custos_ck_bytes(input), sizeof input, out, &len);
	else
		(void)p->f->C_Encrypt(p->session->handle, custos_ck_bytes(input), sizeof input, out, &len);
	return true;
}

static void list_ciphers(struct custos_probe *p, CK_OBJECT_HANDLE kek, char *hits, size_t size)
{
	for (const struct custos_aes_mechanism *m = custos_aes_mechanisms; m->name != NULL; m++) {
		if (can_cipher(p, kek, m, false))
			custos_probe_list(hits, size, "encrypts by %s", m->name);
		if (can_cipher(p, kek, m, true))
			custos_probe_list(hits, size, "decrypts by %s", m->name);
	}
}

custos_rc custos_probe_kek_secret(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	return custos_probe_judge(p, "refused", custos_probe_can_read(p, set.kek.handle) ? "its value can be read" : "", CUSTOS_VERDICT_FAIL);
}

custos_rc custos_probe_kek_wrapped(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	CUSTOS_AUTO_OBJECT known = { p->session, 0 };
	uint8_t bytes[32];
	char hits[128] = "";
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	CUSTOS_TRY(custos_random(bytes, sizeof bytes, err));
	CUSTOS_TRY(custos_probe_known_key(p, bytes, &known, err));
	for (const struct custos_aes_mechanism *m = custos_aes_mechanisms; m->name != NULL; m++) {
		CK_BYTE wrapped[WRAPPED_MAX];
		CK_ULONG len = sizeof wrapped;
		if (custos_probe_wrap(p, m->type, known.handle, set.kek.handle, wrapped, &len) == CKR_OK)
			custos_probe_list(hits, sizeof hits, "by %s", m->name);
	}
	return custos_probe_judge(p, "refused", hits, CUSTOS_VERDICT_FAIL);
}

custos_rc custos_probe_kek_cipher(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	char hits[256] = "";
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	list_ciphers(p, set.kek.handle, hits, sizeof hits);
	return custos_probe_judge(p, "refused", hits, CUSTOS_VERDICT_FAIL);
}

custos_rc custos_probe_set_attributes(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	char hits[320] = "";
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
		CK_BBOOL to = turns[i].to;
		CK_ATTRIBUTE a = { turns[i].type, &to, sizeof to };
		if (p->f->C_SetAttributeValue(p->session->handle, set.kek.handle, &a, 1) == CKR_OK && is_turned(p, set.kek.handle, &turns[i]))
			custos_probe_list(hits, sizeof hits, "%s", turns[i].name);
	}
	CK_ATTRIBUTE loose = { CKA_UNWRAP_TEMPLATE, NULL, 0 };
	if (p->f->C_SetAttributeValue(p->session->handle, set.kek.handle, &loose, 1) == CKR_OK)
		custos_probe_list(hits, sizeof hits, "unwrap_template");
	/* whatever it says of itself by now */
	list_ciphers(p, set.kek.handle, hits, sizeof hits);
	return custos_probe_judge(p, "refused", hits, CUSTOS_VERDICT_FAIL);
}

custos_rc custos_probe_copy(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	char hits[256] = "";
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
		CK_BBOOL to = turns[i].to;
		CK_ATTRIBUTE t[] = { { CKA_TOKEN, custos_ck_bytes(&no), sizeof no }, { turns[i].type, &to, sizeof to } };
		CUSTOS_AUTO_OBJECT copy = { p->session, 0 };
		if (p->f->C_CopyObject(p->session->handle, set.kek.handle, t, 2, &copy.handle) == CKR_OK && is_turned(p, copy.handle, &turns[i]))
			custos_probe_list(hits, sizeof hits, "%s", turns[i].name);
	}
	return custos_probe_judge(p, "refused", hits, CUSTOS_VERDICT_FAIL);
}

/* The template of what custos unwraps, with another word for one attribute, or without it. */
enum variation { PROPER, READABLE, SILENT, ON_TOKEN, AS_EC };

static custos_rc vary(struct custos_probe *p, const struct custos_probe_set *set, enum variation how, struct custos_template *t, struct custos_err *err)
{
	enum custos_key_type type = how == AS_EC ? CUSTOS_KEY_EC_P256 : set->type;
	struct custos_policy_values values = { .profile = &p->session->profile, .key_type = custos_cryptoki_key_type(type) };
	CUSTOS_TRY(custos_template_make(&custos_policy_unwrapped, &values, t, err));
	for (CK_ULONG i = 0; i < t->count; i++) {
		if (t->attributes[i].type == CKA_SENSITIVE && how == READABLE)
			t->attributes[i].pValue = custos_ck_bytes(&no);
		if (t->attributes[i].type == CKA_TOKEN && how == ON_TOKEN)
			t->attributes[i].pValue = custos_ck_bytes(&yes);
		if (t->attributes[i].type == CKA_SENSITIVE && how == SILENT)
			t->attributes[i--] = t->attributes[--t->count];
	}
	size_t size = 65;
	if (p->session->profile.ec_point_attribute == 0 || type != CUSTOS_KEY_EC_P256 || set->spki.len < size)
		return CUSTOS_OK;
	return custos_template_bytes(t, p->session->profile.ec_point_attribute, CUSTOS_BYTES(set->spki.ptr + set->spki.len - size, size), err);
}

/* How the KEK answers a variation. Not read when the token says no. */
static custos_rc attempt(struct custos_probe *p, const struct custos_probe_set *set, enum variation how, bool *ret_came_out, bool *ret_readable, struct custos_err *err)
{
	struct custos_template t;
	CUSTOS_AUTO_OBJECT out = { p->session, 0 };
	CUSTOS_TRY(vary(p, set, how, &t, err));
	*ret_came_out = custos_probe_unwrap(p, set->mechanism, set->kek.handle, custos_buf_view(&set->wrapped), &t, &out.handle) == CKR_OK;
	*ret_readable = *ret_came_out && custos_probe_can_read(p, out.handle);
	return CUSTOS_OK;
}

/* A refusal proves nothing unless the proper way works. */
static custos_rc make_proven(struct custos_probe *p, struct custos_probe_set *set, struct custos_err *err)
{
	struct custos_template t;
	CUSTOS_AUTO_OBJECT out = { p->session, 0 };
	CUSTOS_TRY(custos_probe_set_make(p, set, err));
	CUSTOS_TRY(vary(p, set, PROPER, &t, err));
	return custos_ck(custos_probe_unwrap(p, set->mechanism, set->kek.handle, custos_buf_view(&set->wrapped), &t, &out.handle), err, "the container does not come out the proper way");
}

custos_rc custos_probe_unwrap_readable(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	char hits[128] = "";
	bool out = false, readable = false;
	CUSTOS_TRY(make_proven(p, &set, err));
	CUSTOS_TRY(attempt(p, &set, READABLE, &out, &readable, err));
	if (readable)
		custos_probe_list(hits, sizeof hits, "readable when asked for");
	CUSTOS_TRY(attempt(p, &set, SILENT, &out, &readable, err));
	if (readable)
		custos_probe_list(hits, sizeof hits, "readable when nothing is said");
	CUSTOS_TRY(attempt(p, &set, PROPER, &out, &readable, err));
	if (readable)
		custos_probe_list(hits, sizeof hits, "readable even when it must not be");
	return custos_probe_judge(p, "refused", hits, CUSTOS_VERDICT_FAIL);
}

custos_rc custos_probe_unwrap_token(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	bool out = false, readable = false;
	CUSTOS_TRY(make_proven(p, &set, err));
	CUSTOS_TRY(attempt(p, &set, ON_TOKEN, &out, &readable, err));
	return custos_probe_judge(p, "refused", out ? "it stays on the token" : "", CUSTOS_VERDICT_FAIL);
}

/* PKCS#8 is bytes to whoever calls it a generic secret. */
custos_rc custos_probe_unwrap_secret(struct custos_probe *p, struct custos_err *err)
{
	static const CK_KEY_TYPE kinds[] = { CKK_GENERIC_SECRET, CKK_AES };
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	char hits[128] = "";
	CUSTOS_TRY(make_proven(p, &set, err));
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct custos_template t = { .count = 0 };
		CUSTOS_AUTO_OBJECT out = { p->session, 0 };
		CUSTOS_TRY(custos_template_number(&t, CKA_CLASS, CKO_SECRET_KEY, err));
		CUSTOS_TRY(custos_template_number(&t, CKA_KEY_TYPE, kinds[i], err));
		CUSTOS_TRY(custos_template_bytes(&t, CKA_TOKEN, CUSTOS_BYTES(&no, sizeof no), err));
		CUSTOS_TRY(custos_template_bytes(&t, CKA_SENSITIVE, CUSTOS_BYTES(&no, sizeof no), err));
		CUSTOS_TRY(custos_template_bytes(&t, CKA_EXTRACTABLE, CUSTOS_BYTES(&yes, sizeof yes), err));
		if (custos_probe_unwrap(p, set.mechanism, set.kek.handle, custos_buf_view(&set.wrapped), &t, &out.handle) == CKR_OK)
			custos_probe_list(hits, sizeof hits, "as %s%s", kinds[i] == CKK_AES ? "an AES key" : "a generic secret", custos_probe_can_read(p, out.handle) ? ", readable" : "");
	}
	return custos_probe_judge(p, "refused", hits, CUSTOS_VERDICT_FAIL);
}

custos_rc custos_probe_other_mechanisms(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	char hits[128] = "";
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	for (const struct custos_aes_mechanism *m = custos_aes_mechanisms; m->name != NULL; m++) {
		CK_BYTE wrapped[WRAPPED_MAX];
		CK_ULONG len = sizeof wrapped;
		if (m->type != set.mechanism && custos_probe_wrap(p, m->type, set.kek.handle, set.pair.private_key.handle, wrapped, &len) == CKR_OK)
			custos_probe_list(hits, sizeof hits, "wraps by %s", m->name);
	}
	return custos_probe_judge(p, "refused", hits, CUSTOS_VERDICT_FAIL);
}

custos_rc custos_probe_wrap_secret(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
	struct custos_template t = { .count = 0 };
	CUSTOS_AUTO_OBJECT secret = { p->session, 0 };
	CK_BYTE wrapped[WRAPPED_MAX];
	CK_ULONG len = sizeof wrapped;
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	CUSTOS_TRY(custos_template_number(&t, CKA_VALUE_LEN, 32, err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_TOKEN, CUSTOS_BYTES(&no, sizeof no), err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_SENSITIVE, CUSTOS_BYTES(&yes, sizeof yes), err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_EXTRACTABLE, CUSTOS_BYTES(&yes, sizeof yes), err));
	CUSTOS_TRY(custos_ck(p->f->C_GenerateKey(p->session->handle, &generate, t.attributes, t.count, &secret.handle), err, "no secret key can be made"));
	bool hit = custos_probe_wrap(p, set.mechanism, set.kek.handle, secret.handle, wrapped, &len) == CKR_OK;
	return custos_probe_judge(p, "refused", hit ? "it wraps them" : "", CUSTOS_VERDICT_FAIL);
}

/* What RFC 5649 promises: nothing but what was wrapped opens. */
custos_rc custos_probe_integrity(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	char hits[160] = "";
	uint8_t invented[WRAPPED_MAX];
	CUSTOS_TRY(make_proven(p, &set, err));
	CUSTOS_TRY(custos_random(invented, sizeof invented, err));
	size_t whole = set.wrapped.len;
	const struct {
		const char *name;
		size_t len, flip;
		bool invented;
	} trials[] = { { "first bit flipped", whole, 0, false }, { "bit in the middle flipped", whole, whole / 2, false }, { "last bit flipped", whole, whole - 1, false },
		           { "8 bytes short", whole - 8, whole, false }, { "random bytes", whole, whole, true }, { "40 random bytes", 40, whole, true } };
	for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
		struct custos_template t;
		CUSTOS_AUTO_OBJECT out = { p->session, 0 };
		uint8_t blob[WRAPPED_MAX];
		memcpy(blob, trials[i].invented ? invented : set.wrapped.ptr, whole);
		if (trials[i].flip < whole)
			blob[trials[i].flip] ^= 1;
		CUSTOS_TRY(vary(p, &set, PROPER, &t, err));
		if (custos_probe_unwrap(p, set.mechanism, set.kek.handle, CUSTOS_BYTES(blob, trials[i].len), &t, &out.handle) == CKR_OK)
			custos_probe_list(hits, sizeof hits, "it opens: %s", trials[i].name);
	}
	return custos_probe_judge(p, "refused", hits, CUSTOS_VERDICT_FAIL);
}

custos_rc custos_probe_confusion(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	CK_BYTE wrapped[WRAPPED_MAX];
	CK_ULONG len = sizeof wrapped;
	struct custos_new_pair pair;
	struct custos_template t;
	CUSTOS_AUTO_OBJECT out = { p->session, 0 };
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	CUSTOS_TRY(custos_probe_pair(p, CUSTOS_KEY_RSA_2048, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	(void)public_key.handle;
	CUSTOS_TRY(custos_ck(custos_probe_wrap(p, set.mechanism, set.kek.handle, private_key.handle, wrapped, &len), err, "an RSA key cannot be wrapped"));
	CUSTOS_TRY(vary(p, &set, AS_EC, &t, err));
	bool hit = custos_probe_unwrap(p, set.mechanism, set.kek.handle, CUSTOS_BYTES(wrapped, len), &t, &out.handle) == CKR_OK;
	return custos_probe_judge(p, "refused", hit ? "it is; custos has every key sign before it believes it" : "", CUSTOS_VERDICT_WARN);
}

/* Not through the KEK, whose one mechanism refuses: through any key somebody makes. It says what else is possible with the PIN. */
custos_rc custos_probe_conjuring(struct custos_probe *p, struct custos_err *err)
{
	uint8_t bytes[CUSTOS_TRIAL_KEY_SIZE], invented[CUSTOS_TRIAL_UNPADDED_SIZE], unpadded[CUSTOS_TRIAL_UNPADDED_SIZE];
	char hits[128] = "";
	CUSTOS_AUTO_OBJECT known = { p->session, 0 };
	CUSTOS_TRY(custos_random(bytes, sizeof bytes, err));
	CUSTOS_TRY(custos_random(invented, sizeof invented, err));
	CUSTOS_TRY(custos_wrapped_unpadded(bytes, custos_probe_iv, unpadded, err));
	CUSTOS_TRY(custos_probe_known_key(p, bytes, &known, err));
	for (const struct custos_aes_mechanism *m = custos_aes_mechanisms; m->name != NULL; m++) {
		struct custos_template t = { .count = 0 };
		CUSTOS_AUTO_OBJECT out = { p->session, 0 };
		CUSTOS_TRY(custos_template_number(&t, CKA_CLASS, CKO_SECRET_KEY, err));
		CUSTOS_TRY(custos_template_number(&t, CKA_KEY_TYPE, CKK_AES, err));
		CUSTOS_TRY(custos_template_bytes(&t, CKA_TOKEN, CUSTOS_BYTES(&no, sizeof no), err));
		const uint8_t *blob = m->type == CKM_AES_CBC_PAD ? unpadded : invented;  /* of random bytes one in a hundred ends like padding */
		if (custos_probe_unwrap(p, m->type, known.handle, CUSTOS_BYTES(blob, CUSTOS_TRIAL_UNPADDED_SIZE), &t, &out.handle) == CKR_OK)
			custos_probe_list(hits, sizeof hits, "by %s", m->name);
	}
	return custos_probe_judge(p, "refused", hits, CUSTOS_VERDICT_WARN);
}
