/* Transports: each tried with a throw-away key, opened as a courier opens it, and, where the parcel is bound to the intent, not opened with another binding. */
#include "crypto/digest.h"
#include "crypto/pem.h"
#include "crypto/seal.h"
#include "crypto/transport_key.h"
#include "crypto/verify.h"
#include "token/probe.h"

#include <stdio.h>

enum { PADDING_MAX = 7 };

/* The best first. */
static const enum custos_transport order[CUSTOS_TRANSPORT_COUNT] = {
	CUSTOS_TRANSPORT_ECDH_P256_KDF, CUSTOS_TRANSPORT_ECDH_P256, CUSTOS_TRANSPORT_RSA_OAEP, CUSTOS_TRANSPORT_RSA_OAEP_SHA1,
};

/* A courier's two keys; the second only where the transport needs it. */
struct courier {
	struct custos_ephemeral *ephemeral;
	struct custos_transport_key *key;
	struct custos_buf spki;
	uint8_t point[CUSTOS_POINT_SIZE], binding[CUSTOS_HASH_SIZE];
};

static void courier_done(struct courier *c)
{
	custos_ephemeral_free(c->ephemeral);
	custos_transport_key_free(c->key);
	custos_buf_done(&c->spki);
}

static custos_rc courier_init(struct courier *c, enum custos_transport transport, struct custos_err *err)
{
	CUSTOS_TRY(custos_random(c->binding, sizeof c->binding, err));
	CUSTOS_TRY(custos_ephemeral_new(&c->ephemeral, c->point, err));
	return custos_transport_needs_key(transport) ? custos_transport_key_new(&c->key, &c->spki, err) : CUSTOS_OK;
}

static custos_rc open_parcel(const struct courier *c, enum custos_transport transport, const uint8_t *binding, const struct custos_transported *t, struct custos_secret **ret_plain,
                             struct custos_err *err)
{
	if (transport == CUSTOS_TRANSPORT_ECDH_P256)
		return custos_unseal(c->ephemeral, t->token_point, custos_buf_view(&t->wrapped), ret_plain, err);
	if (transport == CUSTOS_TRANSPORT_ECDH_P256_KDF)
		return custos_unseal_bound(c->ephemeral, t->token_point, binding, custos_buf_view(&t->wrapped), ret_plain, err);
	const struct custos_transport_parcel parcel = { transport, custos_buf_view(&t->wrapping_key), custos_buf_view(&t->wrapped), binding };
	return custos_transport_key_open(c->key, &parcel, ret_plain, err);
}

static bool is_bound(enum custos_transport transport)
{
	return transport == CUSTOS_TRANSPORT_ECDH_P256_KDF || transport == CUSTOS_TRANSPORT_RSA_OAEP;
}

static custos_rc judge_parcel(const struct courier *c, enum custos_transport transport, const struct custos_transported *t, unsigned padding_max, struct custos_bytes spki, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *plain = NULL;
	CUSTOS_AUTO(custos_secret) *other = NULL;
	struct custos_err why = { 0 };
	uint8_t wrong[CUSTOS_HASH_SIZE];
	custos_rc rc = open_parcel(c, transport, c->binding, t, &plain, &why);
	if (rc == CUSTOS_OK)
		rc = custos_key_matches_spki(plain, padding_max, spki, &why);
	CUSTOS_REQUIRE(rc == CUSTOS_OK, err, CUSTOS_E_TOKEN, "what a courier opens is not the key: %s", why.msg);
	memcpy(wrong, c->binding, sizeof wrong);
	wrong[0] ^= 1;
	CUSTOS_REQUIRE(!is_bound(transport) || open_parcel(c, transport, wrong, t, &other, &why) != CUSTOS_OK, err, CUSTOS_E_TOKEN, "the parcel is not bound to the intent");
	return CUSTOS_OK;
}

custos_rc custos_probe_hand_over(struct custos_probe *p, CK_OBJECT_HANDLE key, unsigned padding_max, struct custos_bytes spki, struct custos_err *err)
{
	enum custos_transport transport = p->session->profile.transport;
	CUSTOS_CLEANUP(courier_done) struct courier c = { 0 };
	CUSTOS_CLEANUP(custos_transported_done) struct custos_transported t = { 0 };
	CUSTOS_TRY(courier_init(&c, transport, err));
	struct custos_courier_ends ends = { .point = c.point, .key = custos_buf_view(&c.spki), .binding = c.binding };
	CUSTOS_TRY(custos_key_hand_over(p->session, key, &ends, &t, err));
	return judge_parcel(&c, transport, &t, padding_max, spki, err);
}

/* One transport, with the profile as it is but for that. */
static custos_rc try_transport(struct custos_probe *p, enum custos_transport transport, CK_OBJECT_HANDLE key, struct custos_bytes spki, struct custos_err *err)
{
	enum custos_transport kept = p->session->profile.transport;
	p->session->profile.transport = transport;
	custos_rc rc = custos_probe_hand_over(p, key, PADDING_MAX, spki, err);
	p->session->profile.transport = kept;
	return rc;
}

struct found {
	bool works[CUSTOS_TRANSPORT_COUNT];
	char fine[160], lacking[320], wrong[320];
};

static custos_rc try_all(struct custos_probe *p, struct found *found, struct custos_err *err)
{
	enum custos_key_type type;
	struct custos_new_pair pair;
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_TRY(custos_probe_any_pair(p, &type, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_object_spki(p->session, public_key.handle, type, &spki, err));
	for (size_t i = 0; i < CUSTOS_TRANSPORT_COUNT; i++) {
		struct custos_err why = { 0 };
		char name[48];
		custos_rc rc = try_transport(p, order[i], private_key.handle, custos_buf_view(&spki), &why);
		CUSTOS_REQUIRE(rc == CUSTOS_OK || rc == CUSTOS_E_TOKEN, err, rc, "%s", why.msg);
		found->works[order[i]] = rc == CUSTOS_OK;
		custos_ckr_name((CK_RV)why.native, name);
		if (rc == CUSTOS_OK)
			custos_probe_list(found->fine, sizeof found->fine, "%s", custos_transport_name(order[i]));
		else if (why.native != 0)
			custos_probe_list(found->lacking, sizeof found->lacking, "%s: %s", custos_transport_name(order[i]), name);
		else
			custos_probe_list(found->wrong, sizeof found->wrong, "%s: %s", custos_transport_name(order[i]), why.msg);
	}
	return CUSTOS_OK;
}

/* With the mechanism of a token that has a profile, or with the one that was found. */
static custos_rc try_all_by(struct custos_probe *p, CK_MECHANISM_TYPE mechanism, struct found *found, struct custos_err *err)
{
	CK_MECHANISM_TYPE kept = p->session->profile.wrap_mechanism;
	p->session->profile.wrap_mechanism = mechanism;
	custos_rc rc = try_all(p, found, err);
	p->session->profile.wrap_mechanism = kept;
	return rc;
}

void custos_probe_choose_transport(struct custos_probe *p)
{
	struct found found = { .fine = "" };
	struct custos_err ignored = { 0 };
	if (try_all_by(p, p->session->profile.wrap_mechanism, &found, &ignored) != CUSTOS_OK)
		return;
	for (size_t i = CUSTOS_TRANSPORT_COUNT; i-- > 0;)
		if (found.works[order[i]])
			p->session->profile.transport = order[i];
}

custos_rc custos_probe_transport(struct custos_probe *p, struct custos_err *err)
{
	struct found found = { .fine = "" };
	enum custos_transport said = p->session->profile.transport;
	CK_MECHANISM_TYPE mechanism;
	unsigned padding;
	CUSTOS_TRY(custos_probe_wrap_mechanism(p, &mechanism, &padding, err));
	CUSTOS_TRY(try_all_by(p, mechanism, &found, err));
	for (size_t i = CUSTOS_TRANSPORT_COUNT; i-- > 0;)
		if (found.works[order[i]])
			custos_json_set_text(p->facts, "transport", custos_transport_name(order[i]));
	if (found.fine[0] == '\0')
		return custos_probe_say(p, found.wrong[0] != '\0' ? CUSTOS_VERDICT_FAIL : CUSTOS_VERDICT_LACKS, "%s", found.wrong[0] != '\0' ? found.wrong : found.lacking);
	/* of an unknown token nothing is promised */
	if (p->session->profile.wrap_mechanism != 0 && !found.works[said])
		return custos_probe_say(p, CUSTOS_VERDICT_FAIL, "not %s, which its profile says%s%s; %s", custos_transport_name(said), found.wrong[0] != '\0' ? "; wrong: " : "", found.wrong,
		                        found.fine);
	if (found.wrong[0] != '\0')
		return custos_probe_say(p, CUSTOS_VERDICT_WARN, "%s; wrong: %s", found.fine, found.wrong);
	return custos_probe_say(p, CUSTOS_VERDICT_OK, "%s%s%s", found.fine, found.lacking[0] != '\0' ? "; not " : "", found.lacking);
}
