/* Signing with the mechanisms that work on almost every token measured: RSA on a DigestInfo, ECDSA on a digest made here, EdDSA without parameters. */
#include "crypto/digest.h"
#include "crypto/verify.h"
#include "token/context_login.h"
#include "token/keys.h"
#include "token/wire_info.h"

enum { SIGNATURE_MAX = 1024 };

static custos_rc sign_raw(const struct custos_session *session, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type, struct custos_bytes input, struct custos_buf *signature,
                          struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	CK_RSA_PKCS_PSS_PARAMS pss = { .hashAlg = CKM_SHA256, .mgf = CKG_MGF1_SHA256, .sLen = CUSTOS_HASH_SIZE };
	CK_MECHANISM mechanism = { type, type == CKM_RSA_PKCS_PSS ? &pss : NULL, type == CKM_RSA_PKCS_PSS ? sizeof pss : 0 };
	CK_BYTE out[SIGNATURE_MAX];
	CK_ULONG len = sizeof out;
	CUSTOS_TRY(custos_context_check(session, err));
	CUSTOS_TRY(custos_ck(f->C_SignInit(session->handle, &mechanism, key), err, "token “%s” cannot sign", session->info.label));
	custos_rc rc = custos_context_log_in(session, key, err);
	if (rc != CUSTOS_OK) {
		/* ends the operation that was begun, or the session is of no use for anything; whatever comes out is nobody's */
		(void)f->C_Sign(session->handle, custos_ck_bytes(input.ptr), input.len, out, &len);
		return rc;
	}
	rc = custos_ck(f->C_Sign(session->handle, custos_ck_bytes(input.ptr), input.len, out, &len), err, "token “%s” cannot sign", session->info.label);
	/* a key that was made after the login, on a token whose profile does not know it makes such keys */
	if (rc != CUSTOS_OK && err != NULL && err->native == CKR_USER_NOT_LOGGED_IN)
		custos_err_hint(err, "the key may want the PIN before each signature: “always_authenticate: yes” in the token's profile");
	CUSTOS_TRY(rc);
	CUSTOS_REQUIRE(len <= sizeof out, err, CUSTOS_E_TOKEN, "token “%s” made a signature of %lu bytes", session->info.label, len);
	return custos_buf_append(signature, out, len, err);
}

/* Most tokens sign what they are given; those that hash it themselves are told so by their profile. */
static custos_rc sign_rsa(const struct custos_session *session, CK_OBJECT_HANDLE key, struct custos_bytes message, struct custos_buf *signature, struct custos_err *err)
{
	/* RFC 8017 9.2, note 1: DigestInfo of SHA-256 */
	static const uint8_t prefix[19] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
	uint8_t digest_info[sizeof prefix + CUSTOS_HASH_SIZE];
	if (session->profile.rsa == CUSTOS_RSA_HASHED_BY_TOKEN)
		return sign_raw(session, key, CKM_SHA256_RSA_PKCS, message, signature, err);
	memcpy(digest_info, prefix, sizeof prefix);
	CUSTOS_TRY(custos_sha256(message, digest_info + sizeof prefix, err));
	return sign_raw(session, key, CKM_RSA_PKCS, CUSTOS_BYTES(digest_info, sizeof digest_info), signature, err);
}

/* The digest has the curve's size: a longer one is accepted by tokens and gives signatures that do not verify. */
static custos_rc digest_for(enum custos_key_type type, struct custos_bytes message, uint8_t *digest, size_t *ret_size, CK_MECHANISM_TYPE *ret_hashing, struct custos_err *err)
{
	switch (custos_key_signature(type)) {
	case CUSTOS_SIGNATURE_ECDSA_SHA512:
		*ret_size = 64;
		*ret_hashing = CKM_ECDSA_SHA512;
		return custos_sha512(message, digest, err);
	case CUSTOS_SIGNATURE_ECDSA_SHA384:
		*ret_size = 48;
		*ret_hashing = CKM_ECDSA_SHA384;
		return custos_sha384(message, digest, err);
	default:
		*ret_size = 32;
		*ret_hashing = CKM_ECDSA_SHA256;
		return custos_sha256(message, digest, err);
	}
}

static custos_rc sign_ecdsa(const struct custos_session *session, CK_OBJECT_HANDLE key, enum custos_key_type type, struct custos_bytes message, struct custos_buf *signature,
                            struct custos_err *err)
{
	uint8_t digest[64];
	size_t size;
	CK_MECHANISM_TYPE hashing;
	CUSTOS_AUTO_BUF raw = { .max = SIGNATURE_MAX };
	CUSTOS_TRY(digest_for(type, message, digest, &size, &hashing, err));
	if (session->profile.ecdsa == CUSTOS_ECDSA_HASHED_BY_TOKEN)
		CUSTOS_TRY(sign_raw(session, key, hashing, message, &raw, err));
	else
		CUSTOS_TRY(sign_raw(session, key, CKM_ECDSA, CUSTOS_BYTES(digest, size), &raw, err));
	return custos_ecdsa_to_der(custos_buf_view(&raw), signature, err);
}

custos_rc custos_object_sign(const struct custos_session *session, CK_OBJECT_HANDLE key, enum custos_key_type type, struct custos_bytes message, struct custos_buf *signature,
                             struct custos_err *err)
{
	switch (custos_key_signature(type)) {
	case CUSTOS_SIGNATURE_RSA_PKCS1_SHA256:
		return sign_rsa(session, key, message, signature, err);
	case CUSTOS_SIGNATURE_ECDSA_SHA256:
	case CUSTOS_SIGNATURE_ECDSA_SHA384:
	case CUSTOS_SIGNATURE_ECDSA_SHA512:
		return sign_ecdsa(session, key, type, message, signature, err);
	case CUSTOS_SIGNATURE_ED25519:
		return sign_raw(session, key, CKM_EDDSA, message, signature, err);
	case CUSTOS_SIGNATURE_RSA_PSS_SHA256:
		break; /* no type's own */
	}
	CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "a key of an unknown type cannot sign");
}

custos_rc custos_object_sign_challenge(const struct custos_session *session, CK_OBJECT_HANDLE key, enum custos_key_type type, const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE],
                                       struct custos_buf *signature, struct custos_err *err)
{
	uint8_t text[CUSTOS_CHALLENGE_TEXT_SIZE];
	custos_challenge_text(challenge, text);
	return custos_object_sign(session, key, type, CUSTOS_BYTES(text, sizeof text), signature, err);
}

/* Before a key is unwrapped. */
static custos_rc check_algorithm(const struct custos_session *session, const struct custos_signing *signing, struct custos_err *err)
{
	bool pss = signing->algorithm == CUSTOS_SIGNATURE_RSA_PSS_SHA256 && custos_key_type_bits(signing->type) > 0;
	CUSTOS_REQUIRE(pss || signing->algorithm == 0 || signing->algorithm == custos_key_signature(signing->type), err, CUSTOS_E_INTERNAL, "an algorithm that does not fit the key");
	if (pss && session->profile.pss == CUSTOS_PSS_NONE)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "leave it at PKCS#1 v1.5", "token “%s” (profile %s) does not sign by RSASSA-PSS", session->info.label, session->profile.name);
	return CUSTOS_OK;
}

/* RFC 8017 8.1: the token pads a digest that was made here. */
static custos_rc sign_pss(const struct custos_session *session, CK_OBJECT_HANDLE key, struct custos_bytes message, struct custos_buf *signature, struct custos_err *err)
{
	uint8_t digest[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_sha256(message, digest, err));
	return sign_raw(session, key, CKM_RSA_PKCS_PSS, CUSTOS_BYTES(digest, sizeof digest), signature, err);
}

custos_rc custos_key_sign(struct custos_session *session, const struct custos_signing *signing, struct custos_buf *signature, struct custos_err *err)
{
	/* whatever key is meant: what looks like a checkpoint is signed by the log's key through LOG_SIGN, or not at all */
	CUSTOS_REQUIRE(!custos_guard_is_checkpoint(signing->message), err, CUSTOS_E_POLICY, "a checkpoint is signed by the log's key only");
	CUSTOS_TRY(check_algorithm(session, signing, err));
	CUSTOS_AUTO_OBJECT unwrapped = { session, 0 };
	CK_OBJECT_HANDLE key;
	if (signing->container.len > 0) {
		CUSTOS_TRY(custos_kek_unwrap(session, signing->container, signing->type, signing->spki, &unwrapped, err));
		key = unwrapped.handle;
	} else {
		CUSTOS_TRY(custos_object_find_one(session, CKO_PRIVATE_KEY, signing->id, "the key", &key, err));
	}
	/* by handle: a checkpoint may have lines that are not known here */
	CUSTOS_REQUIRE(key != session->log_key, err, CUSTOS_E_POLICY, "the log's key signs checkpoints only");
	if (signing->algorithm == CUSTOS_SIGNATURE_RSA_PSS_SHA256)
		return sign_pss(session, key, signing->message, signature, err);
	return custos_object_sign(session, key, signing->type, signing->message, signature, err);
}
