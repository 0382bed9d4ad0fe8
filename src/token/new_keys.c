/* New keys: pairs by policy, deployable and sign-only keys, and the log's key. */
#include "crypto/verify.h"
#include "token/keys.h"
#include "token/wire_info.h"

#include <stdio.h>

/* Object identifiers of the curves, DER, as CKA_EC_PARAMS takes them. */
static const uint8_t p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const uint8_t p384[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 };
static const uint8_t p521[] = { 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23 };
static const uint8_t ed25519[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };

void custos_made_key_done(struct custos_made_key *key)
{
	custos_buf_done(&key->spki);
	custos_buf_done(&key->container);
	custos_buf_done(&key->signature);
	custos_buf_done(&key->second_signature);
}

static custos_rc public_parameters(enum custos_key_type type, struct custos_template *t, CK_MECHANISM_TYPE *ret_mechanism, struct custos_err *err)
{
	static const uint8_t exponent[] = { 0x01, 0x00, 0x01 };
	switch (type) {
	case CUSTOS_KEY_RSA_2048:
	case CUSTOS_KEY_RSA_3072:
	case CUSTOS_KEY_RSA_4096:
	case CUSTOS_KEY_RSA_6144:
	case CUSTOS_KEY_RSA_8192:
		*ret_mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN;
		CUSTOS_TRY(custos_template_number(t, CKA_MODULUS_BITS, custos_key_type_bits(type), err));
		return custos_template_bytes(t, CKA_PUBLIC_EXPONENT, CUSTOS_BYTES(exponent, sizeof exponent), err);
	case CUSTOS_KEY_EC_P256:
		*ret_mechanism = CKM_EC_KEY_PAIR_GEN;
		return custos_template_bytes(t, CKA_EC_PARAMS, CUSTOS_BYTES(p256, sizeof p256), err);
	case CUSTOS_KEY_EC_P384:
		*ret_mechanism = CKM_EC_KEY_PAIR_GEN;
		return custos_template_bytes(t, CKA_EC_PARAMS, CUSTOS_BYTES(p384, sizeof p384), err);
	case CUSTOS_KEY_EC_P521:
		*ret_mechanism = CKM_EC_KEY_PAIR_GEN;
		return custos_template_bytes(t, CKA_EC_PARAMS, CUSTOS_BYTES(p521, sizeof p521), err);
	case CUSTOS_KEY_ED25519:
		*ret_mechanism = CKM_EC_EDWARDS_KEY_PAIR_GEN;
		return custos_template_bytes(t, CKA_EC_PARAMS, CUSTOS_BYTES(ed25519, sizeof ed25519), err);
	case CUSTOS_KEY_TYPES_END:
		break;
	}
	CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "a key of an unknown type was asked for");
}

custos_rc custos_pair_make(const struct custos_session *session, enum custos_key_type type, const struct custos_policy *private_policy, const struct custos_policy *public_policy,
                           const struct custos_policy_values *values, struct custos_new_pair *ret_pair, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_template private_template, public_template;
	CK_MECHANISM mechanism = { 0 };
	CUSTOS_TRY(custos_template_make(private_policy, values, &private_template, err));
	CUSTOS_TRY(custos_template_make(public_policy, values, &public_template, err));
	CUSTOS_TRY(public_parameters(type, &public_template, &mechanism.mechanism, err));
	struct custos_new_pair pair = { { session, 0 }, { session, 0 } };
	CK_RV rv = f->C_GenerateKeyPair(session->handle, &mechanism, public_template.attributes, public_template.count, private_template.attributes, private_template.count,
	                                &pair.public_key.handle, &pair.private_key.handle);
	CUSTOS_TRY(custos_ck(rv, err, "token “%s” cannot make an %s key", session->info.label, custos_key_type_name(type)));
	*ret_pair = pair;
	return CUSTOS_OK;
}

custos_rc custos_pair_generate(const struct custos_session *session, enum custos_key_type type, const struct custos_policy *private_policy, const struct custos_policy *public_policy,
                               const struct custos_policy_values *values, struct custos_new_pair *ret_pair, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_new_pair pair;
	CUSTOS_TRY(custos_pair_make(session, type, private_policy, public_policy, values, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_policy_read_back(f, session->handle, private_key.handle, private_policy, values, NULL, err));
	CUSTOS_TRY(custos_policy_read_back(f, session->handle, public_key.handle, public_policy, values, NULL, err));
	*ret_pair = (struct custos_new_pair){ private_key, public_key };
	private_key.handle = 0;
	public_key.handle = 0;
	return CUSTOS_OK;
}

/* Nothing was asked of the token yet. With the nearest thing that it can do by its profile, and all of them. */
static custos_rc refuse_type(const struct custos_session *session, enum custos_key_type type, enum custos_key_class class, struct custos_err *err)
{
	const struct custos_token_profile *p = &session->profile;
	const struct custos_key_types *can = class == CUSTOS_CLASS_DEPLOYABLE ? &p->deployable : &p->sign_only;
	bool signs = class == CUSTOS_CLASS_DEPLOYABLE && custos_key_types_include(&p->sign_only, type);
	enum custos_key_type nearest;
	char list[160] = "";
	for (size_t i = 0; i < can->count; i++) {
		size_t used = strlen(list);
		snprintf(list + used, sizeof list - used, "%s %s", i == 0 ? "" : ",", custos_key_type_name(can->of[i]));
	}
	(void)custos_err_set(err, CUSTOS_E_POLICY, 0, "token “%s” (profile %s) cannot keep %s keys of that class", session->info.label, p->name, custos_key_type_name(type));
	if (custos_key_types_nearest(can, type, &nearest))
		custos_err_hint(err, "take %s; the token can keep%s%s", custos_key_type_name(nearest), list, signs ? "; this one with --class sign-only, which never leaves it" : "");
	else
		custos_err_hint(err, "%s", signs ? "take --class sign-only: a key that stays on the token" : "it keeps none of any type");
	return CUSTOS_E_POLICY;
}

/* The pair is gone when this returns: what signs afterwards is what is in the container. */
static custos_rc fill_wrapped(struct custos_session *session, enum custos_key_type type, const uint8_t *challenge, struct custos_made_key *key, struct custos_err *err)
{
	struct custos_policy_values values = { .profile = &session->profile };
	struct custos_new_pair pair;
	CUSTOS_TRY(custos_pair_generate(session, type, &custos_policy_session_private, &custos_policy_session_public, &values, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_object_spki(session, public_key.handle, type, &key->spki, err));
	CUSTOS_TRY(custos_object_sign_challenge(session, private_key.handle, type, challenge, &key->signature, err));
	return custos_kek_wrap(session, session->kek, private_key.handle, &key->container, err);
}

static custos_rc fill_deployable(struct custos_session *session, enum custos_key_type type, const uint8_t *challenges, struct custos_made_key *key, struct custos_err *err)
{
	CUSTOS_TRY(fill_wrapped(session, type, challenges, key, err));
	CUSTOS_AUTO_OBJECT unwrapped = { session, 0 };
	CUSTOS_TRY(custos_kek_unwrap(session, custos_buf_view(&key->container), type, custos_buf_view(&key->spki), &unwrapped, err));
	return custos_object_sign_challenge(session, unwrapped.handle, type, challenges + CUSTOS_CHALLENGE_SIZE, &key->second_signature, err);
}

typedef custos_rc fill_key(struct custos_session *session, enum custos_key_type type, const uint8_t *challenges, struct custos_made_key *key, struct custos_err *err);

static custos_rc make_for_kek(struct custos_session *session, enum custos_key_type type, fill_key *fill, const uint8_t *challenges, struct custos_made_key *ret_key,
                              struct custos_err *err)
{
	CUSTOS_REQUIRE(session->kek != 0, err, CUSTOS_E_INTERNAL, "no KEK is open");
	if (!custos_key_types_include(&session->profile.deployable, type))
		return refuse_type(session, type, CUSTOS_CLASS_DEPLOYABLE, err);
	struct custos_made_key key = { .type = type };
	custos_rc rc = fill(session, type, challenges, &key, err);
	if (rc != CUSTOS_OK) {
		custos_made_key_done(&key);
		return rc;
	}
	*ret_key = key;
	return CUSTOS_OK;
}

custos_rc custos_key_make_deployable(struct custos_session *session, enum custos_key_type type, const uint8_t challenges[static 2 * CUSTOS_CHALLENGE_SIZE], struct custos_made_key *ret_key,
                                     struct custos_err *err)
{
	return make_for_kek(session, type, fill_deployable, challenges, ret_key, err);
}

custos_rc custos_key_make_wrapped(struct custos_session *session, enum custos_key_type type, const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE], struct custos_made_key *ret_key,
                                  struct custos_err *err)
{
	return make_for_kek(session, type, fill_wrapped, challenge, ret_key, err);
}

static custos_rc fill_sign_only(struct custos_session *session, enum custos_key_type type, const struct custos_policy_values *values, const uint8_t *challenge, struct custos_made_key *key,
                                struct custos_err *err)
{
	struct custos_new_pair pair;
	CUSTOS_TRY(custos_pair_generate(session, type, &custos_policy_token_private, &custos_policy_token_public, values, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_object_spki(session, public_key.handle, type, &key->spki, err));
	CUSTOS_TRY(custos_object_sign_challenge(session, private_key.handle, type, challenge, &key->signature, err));
	/* the keeper verifies too; here it decides whether the pair stays on the token */
	uint8_t text[CUSTOS_CHALLENGE_TEXT_SIZE];
	custos_challenge_text(challenge, text);
	CUSTOS_TRY(custos_verify("the new key", custos_buf_view(&key->spki), custos_key_signature(type), CUSTOS_BYTES(text, sizeof text), custos_buf_view(&key->signature), err));
	CUSTOS_TRY(custos_session_sync(session, err));
	private_key.handle = 0;
	public_key.handle = 0;
	return CUSTOS_OK;
}

static custos_rc make_sign_only(struct custos_session *session, enum custos_key_type type, struct custos_bytes id, struct custos_bytes label, const uint8_t *challenge,
                                struct custos_made_key *ret_key, struct custos_err *err)
{
	struct custos_policy_values values = { .id = id, .label = label, .profile = &session->profile };
	struct custos_made_key key = { .type = type };
	CUSTOS_TRY(custos_object_refuse_existing(session, id, label, err));
	custos_rc rc = fill_sign_only(session, type, &values, challenge, &key, err);
	if (rc != CUSTOS_OK) {
		custos_made_key_done(&key);
		return rc;
	}
	*ret_key = key;
	return CUSTOS_OK;
}

custos_rc custos_key_make_sign_only(struct custos_session *session, enum custos_key_type type, struct custos_bytes id, struct custos_bytes label,
                                    const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE], struct custos_made_key *ret_key, struct custos_err *err)
{
	if (!custos_key_types_include(&session->profile.sign_only, type))
		return refuse_type(session, type, CUSTOS_CLASS_SIGN_ONLY, err);
	return make_sign_only(session, type, id, label, challenge, ret_key, err);
}

custos_rc custos_log_key_make(struct custos_session *session, struct custos_bytes id, struct custos_bytes label, const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE],
                              struct custos_made_key *ret_key, struct custos_err *err)
{
	const struct custos_key_types *types = &session->profile.log;
	CUSTOS_REQUIRE(types->count > 0, err, CUSTOS_E_TOKEN, "token “%s” has no key type that can sign the log", session->info.label);
	for (size_t i = 0; i + 1 < types->count; i++) {
		/* only a mechanism the token does not have leads to the next type; any other failure is one */
		struct custos_err why = { 0 };
		custos_rc rc = make_sign_only(session, types->of[i], id, label, challenge, ret_key, &why);
		if (rc == CUSTOS_OK)
			return rc;
		if (why.native == (long)CKR_MECHANISM_INVALID)
			continue;
		(void)custos_err_set(err, why.rc, why.native, "%s", why.msg);
		custos_err_hint(err, "%s", why.hint);
		return rc;
	}
	return make_sign_only(session, types->of[types->count - 1], id, label, challenge, ret_key, err);
}

custos_rc custos_log_key_open(struct custos_session *session, struct custos_bytes id, struct custos_bytes spki, struct custos_err *err)
{
	struct custos_policy_values values = { .id = id, .profile = &session->profile };
	CK_FUNCTION_LIST *f = session->module.functions;
	CK_OBJECT_HANDLE private_key, public_key;
	CK_KEY_TYPE kind = 0;
	CK_ATTRIBUTE key_type = { CKA_KEY_TYPE, &kind, sizeof kind };
	CUSTOS_AUTO_BUF found = { .max = 4096 };
	CUSTOS_TRY(custos_object_find_one(session, CKO_PRIVATE_KEY, id, "the log's key", &private_key, err));
	CUSTOS_TRY(custos_object_find_one(session, CKO_PUBLIC_KEY, id, "the log's public key", &public_key, err));
	CUSTOS_TRY(custos_ck(f->C_GetAttributeValue(session->handle, private_key, &key_type, 1), err, "cannot read the type of the log's key"));
	CUSTOS_REQUIRE(kind == CKK_EC || kind == CKK_EC_EDWARDS || kind == CKK_RSA, err, CUSTOS_E_TOKEN, "the log's key on token “%s” is of another type", session->info.label);
	enum custos_key_type type = kind == CKK_EC ? CUSTOS_KEY_EC_P256 : kind == CKK_RSA ? CUSTOS_KEY_RSA_3072 : CUSTOS_KEY_ED25519;
	CUSTOS_TRY(custos_object_spki(session, public_key, type, &found, err));
	CUSTOS_REQUIRE(custos_bytes_equal(custos_buf_view(&found), spki), err, CUSTOS_E_TOKEN, "the log's key on token “%s” is not the one the custody was made with",
	               session->info.label);
	CUSTOS_TRY(custos_policy_read_back(f, session->handle, private_key, &custos_policy_token_private, &values, NULL, err));
	session->log_key = private_key;
	session->log_type = type;
	return CUSTOS_OK;
}

custos_rc custos_log_key_sign(struct custos_session *session, struct custos_bytes body, struct custos_buf *signature, struct custos_err *err)
{
	CUSTOS_REQUIRE(session->log_key != 0, err, CUSTOS_E_INTERNAL, "the log's key is not open");
	CUSTOS_TRY(custos_guard_check_body(session->guard, body, err));
	CUSTOS_TRY(custos_object_sign(session, session->log_key, session->log_type, body, signature, err));
	/* from here on a second tree of that size is a fork, whether or not the keeper stores this one */
	return custos_guard_remember(session->guard, body, err);
}
