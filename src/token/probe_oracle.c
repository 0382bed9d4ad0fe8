/* Padding: whether the answer of C_UnwrapKey tells good padding from bad (Bardou et al., CRYPTO 2012). Whoever can ask often enough reads what was wrapped. custos
 * uses no mechanism that pads, and its KEK allows none; the finding is about the token, and about other people's keys on it. */
#include "crypto/digest.h"
#include "token/probe.h"

#include <stdio.h>

enum { TRIES_RSA = 8, WRAPPED_RSA_MAX = 512, LAST_OF_FIRST_BLOCK = 15 };

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

/* A secret of any length, so that what is refused is the padding and not the key. */
static custos_rc secret_template(struct custos_template *t, struct custos_err *err)
{
	t->count = 0;
	CUSTOS_TRY(custos_template_number(t, CKA_CLASS, CKO_SECRET_KEY, err));
	CUSTOS_TRY(custos_template_number(t, CKA_KEY_TYPE, CKK_GENERIC_SECRET, err));
	CUSTOS_TRY(custos_template_bytes(t, CKA_TOKEN, CUSTOS_BYTES(&no, sizeof no), err));
	CUSTOS_TRY(custos_template_bytes(t, CKA_SENSITIVE, CUSTOS_BYTES(&yes, sizeof yes), err));
	return custos_template_bytes(t, CKA_EXTRACTABLE, CUSTOS_BYTES(&no, sizeof no), err);
}

static custos_rc unwrap(struct custos_probe *p, CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE with, struct custos_bytes blob, bool *ret_opens, CK_RV *ret_rv, struct custos_err *err)
{
	struct custos_template t;
	CUSTOS_AUTO_OBJECT out = { p->session, 0 };
	CUSTOS_TRY(secret_template(&t, err));
	*ret_rv = custos_probe_unwrap(p, mechanism, with, blob, &t, &out.handle);
	*ret_opens = *ret_rv == CKR_OK;
	return CUSTOS_OK;
}

static bool can_unwrap(struct custos_probe *p, CK_MECHANISM_TYPE mechanism)
{
	CK_MECHANISM_INFO info;
	return p->f->C_GetMechanismInfo(p->session->slot, mechanism, &info) == CKR_OK && (info.flags & CKF_UNWRAP) != 0;
}

/* Every value of the last byte of what is decrypted, by turning the byte that CBC adds to it. */
static custos_rc try_cbc(struct custos_probe *p, char *hits, size_t size, struct custos_err *err)
{
	uint8_t bytes[CUSTOS_TRIAL_KEY_SIZE], blob[CUSTOS_TRIAL_UNPADDED_SIZE];
	unsigned opened = 0;
	CUSTOS_AUTO_OBJECT known = { p->session, 0 };
	if (!can_unwrap(p, CKM_AES_CBC_PAD))
		return CUSTOS_OK;
	CUSTOS_TRY(custos_random(bytes, sizeof bytes, err));
	CUSTOS_TRY(custos_wrapped_unpadded(bytes, custos_probe_iv, blob, err));
	CUSTOS_TRY(custos_probe_known_key(p, bytes, &known, err));
	uint8_t first = blob[LAST_OF_FIRST_BLOCK];
	for (unsigned i = 0; i < 256; i++) {
		bool opens;
		CK_RV rv;
		blob[LAST_OF_FIRST_BLOCK] = first ^ (uint8_t)i;
		CUSTOS_TRY(unwrap(p, CKM_AES_CBC_PAD, known.handle, CUSTOS_BYTES(blob, sizeof blob), &opens, &rv, err));
		if (rv == CKR_MECHANISM_INVALID)
			return CUSTOS_OK; /* said and not done */
		opened += opens;
	}
	if (opened > 0 && opened < 256)
		custos_probe_list(hits, size, "cbc-pad opens %u of 256 paddings", opened);
	return CUSTOS_OK;
}

static custos_rc make_rsa(struct custos_probe *p, struct custos_object *ret_public, struct custos_object *ret_private, struct custos_err *err)
{
	static const CK_BYTE exponent[] = { 1, 0, 1 };
	struct custos_template public_template = { .count = 0 }, private_template = { .count = 0 };
	CK_MECHANISM generate = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 };
	CUSTOS_TRY(custos_template_bytes(&public_template, CKA_TOKEN, CUSTOS_BYTES(&no, sizeof no), err));
	CUSTOS_TRY(custos_template_bytes(&public_template, CKA_WRAP, CUSTOS_BYTES(&yes, sizeof yes), err));
	CUSTOS_TRY(custos_template_number(&public_template, CKA_MODULUS_BITS, 2048, err));
	CUSTOS_TRY(custos_template_bytes(&public_template, CKA_PUBLIC_EXPONENT, CUSTOS_BYTES(exponent, sizeof exponent), err));
	CUSTOS_TRY(custos_template_bytes(&private_template, CKA_TOKEN, CUSTOS_BYTES(&no, sizeof no), err));
	CUSTOS_TRY(custos_template_bytes(&private_template, CKA_PRIVATE, CUSTOS_BYTES(&yes, sizeof yes), err));
	CUSTOS_TRY(custos_template_bytes(&private_template, CKA_UNWRAP, CUSTOS_BYTES(&yes, sizeof yes), err));
	return custos_ck(p->f->C_GenerateKeyPair(p->session->handle, &generate, public_template.attributes, public_template.count, private_template.attributes, private_template.count,
	                                         &ret_public->handle, &ret_private->handle), err, "no RSA key that unwraps can be made");
}

static custos_rc make_secret(struct custos_probe *p, struct custos_object *ret_secret, struct custos_err *err)
{
	struct custos_template t = { .count = 0 };
	CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
	CUSTOS_TRY(custos_template_number(&t, CKA_VALUE_LEN, 32, err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_TOKEN, CUSTOS_BYTES(&no, sizeof no), err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_EXTRACTABLE, CUSTOS_BYTES(&yes, sizeof yes), err));
	return custos_ck(p->f->C_GenerateKey(p->session->handle, &generate, t.attributes, t.count, &ret_secret->handle), err, "no secret key can be made");
}

/* A parcel that was damaged decrypts to something without padding, as good as always. A token that gives out some key all the same tells nothing. */
static custos_rc try_rsa(struct custos_probe *p, char *hits, size_t size, struct custos_err *err)
{
	CUSTOS_AUTO_OBJECT public_key = { p->session, 0 };
	CUSTOS_AUTO_OBJECT private_key = { p->session, 0 };
	CUSTOS_AUTO_OBJECT secret = { p->session, 0 };
	CK_MECHANISM mechanism = { CKM_RSA_PKCS, NULL, 0 };
	CK_BYTE wrapped[WRAPPED_RSA_MAX];
	CK_ULONG len = sizeof wrapped;
	bool opens;
	CK_RV rv;
	unsigned refused = 0;
	if (!can_unwrap(p, CKM_RSA_PKCS))
		return CUSTOS_OK;
	CUSTOS_TRY(make_rsa(p, &public_key, &private_key, err));
	CUSTOS_TRY(make_secret(p, &secret, err));
	rv = p->f->C_WrapKey(p->session->handle, &mechanism, public_key.handle, secret.handle, wrapped, &len);
	if (rv != CKR_OK || len > sizeof wrapped || len < TRIES_RSA + 1)
		return CUSTOS_OK; /* nobody wraps like that here */
	CUSTOS_TRY(unwrap(p, CKM_RSA_PKCS, private_key.handle, CUSTOS_BYTES(wrapped, len), &opens, &rv, err));
	if (!opens)
		return CUSTOS_OK;
	for (unsigned i = 0; i < TRIES_RSA; i++) {
		wrapped[len - 1 - i] ^= 1;
		CUSTOS_TRY(unwrap(p, CKM_RSA_PKCS, private_key.handle, CUSTOS_BYTES(wrapped, len), &opens, &rv, err));
		refused += !opens;
	}
	/* what is given out instead may now and then have no length that a key can have */
	if (2 * refused > TRIES_RSA)
		custos_probe_list(hits, size, "rsa-pkcs refuses what has no padding");
	return CUSTOS_OK;
}

custos_rc custos_probe_oracle(struct custos_probe *p, struct custos_err *err)
{
	char hits[160] = "";
	struct custos_err why = { 0 };
	CUSTOS_TRY(try_cbc(p, hits, sizeof hits, err));
	/* a token that makes no such keys has no such oracle */
	custos_rc rc = try_rsa(p, hits, sizeof hits, &why);
	CUSTOS_REQUIRE(rc == CUSTOS_OK || rc == CUSTOS_E_TOKEN, err, rc, "%s", why.msg);
	return custos_probe_judge(p, "no answer tells of padding", hits, CUSTOS_VERDICT_WARN);
}
