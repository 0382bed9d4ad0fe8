/* Wrapping: attributes as read back, the format proven in software, and the whole way of a deployable key. */
#include "crypto/digest.h"
#include "crypto/trial.h"
#include "crypto/verify.h"
#include "token/probe.h"
#include "token/wire_info.h"

#include <stdio.h>

enum { WRAPPED_MAX = 8192, PADDING_MAX = 7 };

/* A finding about attributes: what no profile may leave out decides, what it may is told. */
static custos_rc tell_differences(struct custos_probe *p, uint32_t optional, const char *others, const char *fine)
{
	char names[256];
	custos_attribute_names(optional, names, sizeof names);
	custos_json_set_text(p->facts, "not_read", names);
	if (others[0] != '\0')
		return custos_probe_say(p, CUSTOS_VERDICT_FAIL, "not what was asked for: %s", others);
	return custos_probe_say(p, CUSTOS_VERDICT_OK, "%s%s%s", fine, optional != 0 ? "; not kept: " : "", names);
}

custos_rc custos_probe_key(struct custos_probe *p, struct custos_err *err)
{
	enum custos_key_type type;
	struct custos_new_pair pair;
	struct custos_policy_values values = custos_probe_values(p);
	char others[256];
	uint32_t optional;
	CUSTOS_TRY(custos_probe_any_pair(p, &type, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	(void)public_key.handle;
	CUSTOS_TRY(custos_policy_differences(p->f, p->session->handle, private_key.handle, &custos_policy_session_private, &values, &optional, others, sizeof others, err));
	if (others[0] == '\0' && custos_probe_can_read(p, private_key.handle))
		return custos_probe_say(p, CUSTOS_VERDICT_FAIL, "a sensitive private key can be read");
	return tell_differences(p, optional, others, "sensitive, for signing only");
}

static custos_rc kek_differences(struct custos_probe *p, struct custos_object *ret_kek, uint32_t *ret_optional, char *others, size_t size, struct custos_err *err)
{
	CK_MECHANISM_TYPE mechanism;
	unsigned padding;
	CUSTOS_TRY(custos_probe_wrap_mechanism(p, &mechanism, &padding, err));
	CUSTOS_TRY(custos_probe_kek(p, mechanism, ret_kek, err));
	struct custos_policy_values values = custos_probe_values(p);
	values.wrap_mechanism = mechanism;
	return custos_policy_differences(p->f, p->session->handle, ret_kek->handle, &custos_policy_trial_kek, &values, ret_optional, others, size, err);
}

custos_rc custos_probe_kek_core(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_OBJECT kek = { p->session, 0 };
	char others[256];
	uint32_t optional;
	CUSTOS_TRY(kek_differences(p, &kek, &optional, others, sizeof others, err));
	if (others[0] != '\0')
		return custos_probe_say(p, CUSTOS_VERDICT_FAIL, "not what was asked for: %s", others);
	return custos_probe_say(p, CUSTOS_VERDICT_OK, "AES-256, private, sensitive, not extractable, for wrapping only");
}

custos_rc custos_probe_kek_template(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_OBJECT kek = { p->session, 0 };
	char others[256], refused[160], changed[160];
	uint32_t optional;
	CUSTOS_TRY(kek_differences(p, &kek, &optional, others, sizeof others, err));
	custos_attribute_names(p->refused, refused, sizeof refused);
	custos_attribute_names(optional & ~p->refused, changed, sizeof changed);
	custos_json_set_text(p->facts, "not_sent", refused);
	custos_json_set_text(p->facts, "not_read", changed);
	if (p->refused == 0 && optional == 0)
		return custos_probe_say(p, CUSTOS_VERDICT_OK, "all of it, as read back");
	return custos_probe_say(p, CUSTOS_VERDICT_FAIL, "%s%s%s%s%s", refused[0] != '\0' ? "refused: " : "", refused, refused[0] != '\0' && changed[0] != '\0' ? "; " : "",
	                        changed[0] != '\0' ? "not kept: " : "", changed);
}

/* What every mechanism makes of one key, and of the profile's mechanism with several keys the most padding. */
struct forms {
	char each[256];
	bool good;
	unsigned padding;
	CK_MECHANISM_TYPE mechanism;
};

static custos_rc look_at(struct custos_probe *p, const struct custos_aes_mechanism *m, enum custos_key_type type, struct forms *forms, struct custos_err *err)
{
	static const uint8_t zero_iv[CUSTOS_TRIAL_IV_SIZE];
	uint8_t bytes[CUSTOS_TRIAL_KEY_SIZE];
	CK_BYTE wrapped[WRAPPED_MAX];
	CK_ULONG len = sizeof wrapped;
	CUSTOS_AUTO_OBJECT known = { p->session, 0 };
	CUSTOS_AUTO_BUF spki = { 0 };
	struct custos_new_pair pair;
	struct custos_wrapped_look look;
	char name[48];
	CUSTOS_TRY(custos_random(bytes, sizeof bytes, err));
	CUSTOS_TRY(custos_probe_known_key(p, bytes, &known, err));
	CUSTOS_TRY(custos_probe_pair(p, type, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_object_spki(p->session, public_key.handle, type, &spki, err));
	CK_RV rv = custos_probe_wrap(p, m->type, known.handle, private_key.handle, wrapped, &len);
	if (rv != CKR_OK) {
		custos_ckr_name(rv, name);
		custos_probe_list(forms->each, sizeof forms->each, "%s of %s %s", m->name, custos_key_type_name(type), name);
		return CUSTOS_OK;
	}
	CUSTOS_REQUIRE(len <= sizeof wrapped, err, CUSTOS_E_TOKEN, "it wrapped a key to %lu bytes", len);
	CUSTOS_TRY(custos_wrapped_look(bytes, zero_iv, CUSTOS_BYTES(wrapped, len), custos_buf_view(&spki), &look, err));
	bool good = look.form == CUSTOS_WRAPPED_RFC5649 && look.is_the_key;
	custos_probe_list(forms->each, sizeof forms->each, "%s of %s %s%s", m->name, custos_key_type_name(type), custos_wrapped_form_name(look.form),
	                  look.is_the_key ? "" : " and not the key");
	if (good && look.padding > forms->padding)
		forms->padding = look.padding;
	if (m->type == p->session->profile.wrap_mechanism || p->session->profile.wrap_mechanism == 0)
		forms->good = forms->good || good;
	return CUSTOS_OK;
}

custos_rc custos_probe_format(struct custos_probe *p, struct custos_err *err)
{
	struct forms forms = { .good = false };
	enum custos_key_type type;
	{
		struct custos_new_pair pair;
		CUSTOS_TRY(custos_probe_any_pair(p, &type, &pair, err));
		CUSTOS_AUTO_OBJECT private_key = pair.private_key;
		CUSTOS_AUTO_OBJECT public_key = pair.public_key;
		(void)private_key.handle, (void)public_key.handle;
	}
	for (const struct custos_aes_mechanism *m = custos_aes_mechanisms; m->name != NULL; m++) {
		CK_MECHANISM_INFO info;
		bool has = p->f->C_GetMechanismInfo(p->session->slot, m->type, &info) == CKR_OK && (info.flags & CKF_WRAP) != 0;
		if (has)
			CUSTOS_TRY(look_at(p, m, type, &forms, err));
		/* RSA: every number of the private key is there, so that the comparison is of the whole key */
		if (has && m->type == p->session->profile.wrap_mechanism)
			CUSTOS_TRY(look_at(p, m, CUSTOS_KEY_RSA_2048, &forms, err));
	}
	if (forms.each[0] == '\0')
		return custos_probe_say(p, CUSTOS_VERDICT_LACKS, "no mechanism wraps under AES");
	return custos_probe_say(p, forms.good ? CUSTOS_VERDICT_OK : CUSTOS_VERDICT_FAIL, "%s", forms.each);
}

custos_rc custos_probe_size_query(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	CK_ULONG said = 0;
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	CK_RV rv = custos_probe_wrap(p, set.mechanism, set.kek.handle, set.pair.private_key.handle, NULL, &said);
	if (rv != CKR_OK)
		return custos_ck(rv, err, "a size query is refused");
	if (said < set.wrapped.len)
		return custos_probe_say(p, CUSTOS_VERDICT_WARN, "it says %lu bytes and needs %zu; custos never asks", said, set.wrapped.len);
	return custos_probe_say(p, CUSTOS_VERDICT_OK, "%s", said == set.wrapped.len ? "exact" : "more than it needs");
}

static custos_rc prove_unwrapped(struct custos_probe *p, CK_OBJECT_HANDLE key, struct custos_bytes spki, struct custos_err *err)
{
	uint8_t challenge[CUSTOS_CHALLENGE_SIZE], text[CUSTOS_CHALLENGE_TEXT_SIZE];
	CUSTOS_AUTO_BUF signature = { 0 };
	CUSTOS_TRY(custos_random(challenge, sizeof challenge, err));
	CUSTOS_TRY(custos_object_sign_challenge(p->session, key, p->row->type, challenge, &signature, err));
	custos_challenge_text(challenge, text);
	return custos_verify("the unwrapped key", spki, custos_key_signature(p->row->type), CUSTOS_BYTES(text, sizeof text), custos_buf_view(&signature), err);
}

/* By the functions that make, keep and release a key, with the session's own profile: what is proven is what will be done. */
static custos_rc whole_way(struct custos_probe *p, unsigned padding, struct custos_err *err)
{
	struct custos_session *s = p->session;
	struct custos_policy_values values = { .profile = &s->profile };
	struct custos_new_pair pair;
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_AUTO_BUF container = { 0 };
	CUSTOS_TRY(custos_pair_generate(s, p->row->type, &custos_policy_session_private, &custos_policy_session_public, &values, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_object_spki(s, public_key.handle, p->row->type, &spki, err));
	CUSTOS_TRY(custos_kek_wrap(s, s->kek, private_key.handle, &container, err));
	custos_object_destroy(&private_key);
	CUSTOS_AUTO_OBJECT unwrapped = { s, 0 };
	CUSTOS_TRY(custos_kek_unwrap(s, custos_buf_view(&container), p->row->type, custos_buf_view(&spki), &unwrapped, err));
	CUSTOS_TRY(prove_unwrapped(p, unwrapped.handle, custos_buf_view(&spki), err));
	return custos_probe_hand_over(p, unwrapped.handle, padding, custos_buf_view(&spki), err);
}

/* The session's profile, or what was learned of a token that has none, is in force while `work` runs; so is a throw-away KEK. */
custos_rc custos_probe_deploy(struct custos_probe *p, struct custos_err *err)
{
	struct custos_session *s = p->session;
	struct custos_token_profile kept = s->profile;
	CK_OBJECT_HANDLE kept_kek = s->kek;
	CUSTOS_AUTO_OBJECT kek = { s, 0 };
	CK_MECHANISM_TYPE mechanism;
	unsigned padding;
	if (custos_probe_spares(p))
		return custos_probe_say(p, CUSTOS_VERDICT_INFO, "not tried; --large tries it");
	CUSTOS_TRY(custos_probe_wrap_mechanism(p, &mechanism, &padding, err));
	CUSTOS_TRY(custos_probe_kek(p, mechanism, &kek, err));
	if (s->profile.wrap_mechanism == 0) {
		s->profile.tier = CUSTOS_TIER_BASIC;
		s->profile.wrap_mechanism = mechanism;
		s->profile.padding = PADDING_MAX;
		custos_probe_choose_transport(p);
	}
	s->kek = kek.handle;
	custos_rc rc = whole_way(p, s->profile.padding, err);
	s->profile = kept;
	s->kek = kept_kek;
	CUSTOS_TRY(rc);
	return custos_probe_say(p, CUSTOS_VERDICT_OK, "proven");
}

custos_rc custos_probe_profile(struct custos_probe *p, struct custos_err *err)
{
	CK_TOKEN_INFO token;
	CK_MECHANISM_TYPE mechanism = 0;
	unsigned padding = 0;
	struct custos_err why = { 0 };
	char text[24];
	CUSTOS_TRY(custos_ck(p->f->C_GetTokenInfo(p->session->slot, &token), err, "the token does not describe itself"));
	custos_json_set_int(p->facts, "pin_min", token.ulMinPinLen > 255 ? 0 : (int64_t)token.ulMinPinLen);
	custos_json_set_int(p->facts, "pin_max", token.ulMaxPinLen > 255 || token.ulMaxPinLen == 0 ? 255 : (int64_t)token.ulMaxPinLen);
	if (custos_probe_wrap_mechanism(p, &mechanism, &padding, &why) != CUSTOS_OK)
		return custos_probe_say(p, CUSTOS_VERDICT_INFO, "no mechanism wraps as RFC 5649; PINs of %lu to %lu characters", token.ulMinPinLen, token.ulMaxPinLen);
	snprintf(text, sizeof text, "0x%lx", mechanism);
	custos_json_set_text(p->facts, "mechanism", text);
	/* how much it pads depends on the key's length: the profile's word, or all that is tolerable */
	custos_json_set_int(p->facts, "padding", p->session->profile.wrap_mechanism == mechanism ? (int64_t)p->session->profile.padding : PADDING_MAX);
	return custos_probe_say(p, CUSTOS_VERDICT_INFO, "%s is RFC 5649; PINs of %lu to %lu characters", text, token.ulMinPinLen, token.ulMaxPinLen);
}
