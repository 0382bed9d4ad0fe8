/* Signatures: one by each mechanism the token has for a type of key, each verified in software against the public key the token showed. */
#include "crypto/digest.h"
#include "crypto/trial.h"
#include "crypto/verify.h"
#include "token/context_login.h"
#include "token/probe.h"

#include <stdio.h>

enum { MESSAGE_SIZE = 64, SIGNATURE_MAX = 1024, DIGEST_INFO_PREFIX = 19 };
enum input { MESSAGE, DIGEST, DIGEST_INFO };
enum kind { PKCS1, PSS, ECDSA, EDDSA };

struct way {
	CK_KEY_TYPE key;
	enum custos_key_type only;   /* 0: every type of that kind */
	CK_MECHANISM_TYPE mechanism;
	const char *name;
	enum input input;
	enum kind kind;
};
/* The first of a kind is the one custos signs with when a profile says nothing else. */
static const struct way ways[] = {
	{ CKK_RSA, 0, CKM_RSA_PKCS, "rsa-pkcs", DIGEST_INFO, PKCS1 },
	{ CKK_RSA, 0, CKM_SHA256_RSA_PKCS, "sha256-rsa-pkcs", MESSAGE, PKCS1 },
	{ CKK_RSA, 0, CKM_RSA_PKCS_PSS, "rsa-pkcs-pss", DIGEST, PSS },
	{ CKK_RSA, 0, CKM_SHA256_RSA_PKCS_PSS, "sha256-rsa-pkcs-pss", MESSAGE, PSS },
	{ CKK_EC, 0, CKM_ECDSA, "ecdsa", DIGEST, ECDSA },
	{ CKK_EC, CUSTOS_KEY_EC_P256, CKM_ECDSA_SHA256, "ecdsa-sha256", MESSAGE, ECDSA },
	{ CKK_EC, CUSTOS_KEY_EC_P384, CKM_ECDSA_SHA384, "ecdsa-sha384", MESSAGE, ECDSA },
	{ CKK_EC, CUSTOS_KEY_EC_P521, CKM_ECDSA_SHA512, "ecdsa-sha512", MESSAGE, ECDSA },
	{ CKK_EC_EDWARDS, 0, CKM_EDDSA, "eddsa", MESSAGE, EDDSA },
};

struct signing {
	enum custos_key_type type;
	CK_OBJECT_HANDLE key;
	struct custos_bytes spki;
	uint8_t message[MESSAGE_SIZE];
	uint8_t input[DIGEST_INFO_PREFIX + 64];
};

static custos_rc make_input(const struct way *way, struct signing *s, struct custos_bytes *ret_input, struct custos_err *err)
{
	/* RFC 8017 9.2, note 1: DigestInfo of SHA-256 */
	static const uint8_t prefix[DIGEST_INFO_PREFIX] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
	struct custos_bytes message = CUSTOS_BYTES(s->message, MESSAGE_SIZE);
	size_t before = way->input == DIGEST_INFO ? sizeof prefix : 0;
	if (way->input == MESSAGE) {
		*ret_input = message;
		return CUSTOS_OK;
	}
	memcpy(s->input, prefix, before);
	size_t size = s->type == CUSTOS_KEY_EC_P384 ? 48 : s->type == CUSTOS_KEY_EC_P521 ? 64 : CUSTOS_HASH_SIZE;
	if (s->type == CUSTOS_KEY_EC_P384)
		CUSTOS_TRY(custos_sha384(message, s->input + before, err));
	else if (s->type == CUSTOS_KEY_EC_P521)
		CUSTOS_TRY(custos_sha512(message, s->input + before, err));
	else
		CUSTOS_TRY(custos_sha256(message, s->input + before, err));
	*ret_input = CUSTOS_BYTES(s->input, before + size);
	return CUSTOS_OK;
}

static custos_rc verify(const struct way *way, const struct signing *s, struct custos_bytes signature, struct custos_err *err)
{
	struct custos_bytes message = CUSTOS_BYTES(s->message, MESSAGE_SIZE);
	if (way->kind == PSS)
		return custos_verify(way->name, s->spki, CUSTOS_SIGNATURE_RSA_PSS_SHA256, message, signature, err);
	if (way->kind != ECDSA)
		return custos_verify(way->name, s->spki, custos_key_signature(s->type), message, signature, err);
	CUSTOS_AUTO_BUF der = { .max = SIGNATURE_MAX };
	CUSTOS_TRY(custos_ecdsa_to_der(signature, &der, err));
	return custos_verify(way->name, s->spki, custos_key_signature(s->type), message, custos_buf_view(&der), err);
}

/* *ret_rv tells a mechanism that is not there from a signature that is wrong. */
static custos_rc sign_one(struct custos_probe *p, const struct way *way, struct signing *s, CK_RV *ret_rv, struct custos_err *err)
{
	CK_RSA_PKCS_PSS_PARAMS pss = { .hashAlg = CKM_SHA256, .mgf = CKG_MGF1_SHA256, .sLen = CUSTOS_HASH_SIZE };
	CK_MECHANISM mechanism = { way->mechanism, way->kind == PSS ? &pss : NULL, way->kind == PSS ? sizeof pss : 0 };
	CK_BYTE out[SIGNATURE_MAX];
	CK_ULONG len = sizeof out;
	struct custos_bytes input = { 0 };
	CK_SESSION_HANDLE handle = 0;
	CUSTOS_TRY(make_input(way, s, &input, err));
	/* in a session of its own: some tokens hold on to a key whose signature failed, and do not let it be destroyed */
	CUSTOS_TRY(custos_ck(p->f->C_OpenSession(p->session->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &handle), err, "no second session"));
	struct custos_session other = *p->session;
	other.handle = handle;
	custos_rc rc = custos_context_check(&other, err);
	*ret_rv = rc == CUSTOS_OK ? p->f->C_SignInit(handle, &mechanism, s->key) : CKR_OK;
	if (rc == CUSTOS_OK && *ret_rv == CKR_OK)
		rc = custos_context_log_in(&other, s->key, err);
	if (rc == CUSTOS_OK && *ret_rv == CKR_OK)
		*ret_rv = p->f->C_Sign(handle, custos_ck_bytes(input.ptr), input.len, out, &len);
	(void)p->f->C_CloseSession(handle);
	CUSTOS_TRY(rc);
	if (*ret_rv != CKR_OK)
		return CUSTOS_OK;
	CUSTOS_REQUIRE(len <= sizeof out, err, CUSTOS_E_TOKEN, "the signature of %s has %lu bytes", way->name, len);
	return verify(way, s, CUSTOS_BYTES(out, len), err);
}

/* A token object whose signature failed may not be destroyed before the module ends (tpm2-pkcs11), and something would be left: what the profile says to
 * be of no use is not tried there. */
static bool is_spared(const struct custos_probe *p, const struct way *way, bool is_session)
{
	return !is_session && way->input != MESSAGE && ((way->kind == PKCS1 && p->session->profile.rsa == CUSTOS_RSA_HASHED_BY_TOKEN) ||
	                                                (way->kind == ECDSA && p->session->profile.ecdsa == CUSTOS_ECDSA_HASHED_BY_TOKEN));
}

static custos_rc try_ways(struct custos_probe *p, struct signing *s, bool is_session, struct custos_err *err)
{
	char verified[160] = "", lacking[160] = "", wrong[256] = "";
	bool first = true, portable = false, hashed = false, pss = false;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		const struct way *way = &ways[i];
		CK_RV rv = CKR_OK;
		struct custos_err why = { 0 };
		if (way->key != custos_cryptoki_key_type(s->type) || (way->only != 0 && way->only != s->type))
			continue;
		if (is_spared(p, way, is_session)) {
			first = false;
			continue;
		}
		custos_rc rc = sign_one(p, way, s, &rv, &why);
		if (rc != CUSTOS_OK && rc != CUSTOS_E_TOKEN)
			CUSTOS_FAIL(err, rc, "%s", why.msg);
		bool good = rc == CUSTOS_OK && rv == CKR_OK;
		portable = portable || (first && good);
		pss = pss || (good && way->mechanism == CKM_RSA_PKCS_PSS);
		hashed = hashed || (!first && good && way->kind != PSS);
		first = false;
		if (good)
			custos_probe_list(verified, sizeof verified, "%s", way->name);
		else if (rc == CUSTOS_OK)
			custos_probe_list(lacking, sizeof lacking, "%s", way->name);
		else
			custos_probe_list(wrong, sizeof wrong, "%s", why.msg);
	}
	custos_json_set_bool(p->facts, "digest", portable);
	custos_json_set_bool(p->facts, "pss", pss);
	if (wrong[0] != '\0')
		return custos_probe_say(p, CUSTOS_VERDICT_FAIL, "%s", wrong);
	if (!portable && !hashed)
		return custos_probe_say(p, CUSTOS_VERDICT_LACKS, "a key can be made, but it signs by none of: %s", lacking);
	return custos_probe_say(p, CUSTOS_VERDICT_OK, "%s%s%s", verified, lacking[0] != '\0' ? "; not " : "", lacking);
}

/* A session pair or, on a token without session objects, a token pair that nobody else has a name for. */
static custos_rc make_pair(struct custos_probe *p, struct custos_new_pair *ret_pair, bool *ret_is_session, struct custos_err *err)
{
	struct custos_err why = { 0 };
	uint8_t id[16];
	*ret_is_session = true;
	if (p->session->profile.session_objects && custos_probe_pair(p, p->row->type, ret_pair, &why) == CUSTOS_OK)
		return CUSTOS_OK;
	*ret_is_session = false;
	CUSTOS_TRY(custos_random(id, sizeof id, err));
	struct custos_policy_values values = { .id = CUSTOS_BYTES(id, sizeof id), .label = CUSTOS_BYTES_STR(CUSTOS_PROBE_LABEL), .profile = &p->session->profile };
	struct custos_err second = { 0 };
	custos_rc rc = custos_pair_make(p->session, p->row->type, &custos_policy_token_private, &custos_policy_token_public, &values, ret_pair, &second);
	/* what it said first is what it lacks */
	return rc == CUSTOS_OK ? rc : custos_err_set(err, rc, why.rc != CUSTOS_OK ? why.native : second.native, "%s", why.rc != CUSTOS_OK ? why.msg : second.msg);
}

custos_rc custos_probe_sign(struct custos_probe *p, struct custos_err *err)
{
	struct signing s = { .type = p->row->type };
	struct custos_new_pair pair;
	struct custos_err why = { 0 };
	CUSTOS_AUTO_BUF spki = { 0 };
	bool is_session;
	if (custos_probe_spares(p))
		return custos_probe_say(p, CUSTOS_VERDICT_INFO, "not tried; --large tries it");
	custos_rc rc = make_pair(p, &pair, &is_session, &why);
	if (rc == CUSTOS_E_TOKEN) {
		char name[48];
		custos_ckr_name((CK_RV)why.native, name);
		return custos_probe_say(p, CUSTOS_VERDICT_LACKS, "no such key can be made: %s", name);
	}
	CUSTOS_REQUIRE(rc == CUSTOS_OK, err, rc, "%s", why.msg);
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	custos_json_set_bool(p->facts, "session_objects", is_session);
	CUSTOS_TRY(custos_object_spki(p->session, public_key.handle, s.type, &spki, err));
	CUSTOS_TRY(custos_random(s.message, sizeof s.message, err));
	s.key = private_key.handle;
	s.spki = custos_buf_view(&spki);
	return try_ways(p, &s, is_session, err);
}
