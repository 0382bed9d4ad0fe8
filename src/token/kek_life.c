/* The life of a KEK after its birth: out to its backup, back from it, onto the token, and its end; and the keys that move from one to the next.
 *
 * A KEK that lies on the token never leaves it. One that has a backup is a session object until the backup has proven itself; the copy that then stays is like
 * any other KEK, and differs from one that was never out by what the token remembers of its past. Only ciphertext leaves this process. */
#include "data/json.h"
#include "token/keys.h"

enum { COPIES_MAX = 8 };

static custos_rc require_unkept(const struct custos_session *session, struct custos_err *err)
{
	CUSTOS_REQUIRE(session->kek != 0 && session->kek_is_unkept, err, CUSTOS_E_POLICY, "there is no KEK that was made for a backup");
	return CUSTOS_OK;
}

static custos_rc let_out(const struct custos_session *session, const uint8_t *point, const struct custos_kek_canary *canary, struct custos_transported *out, struct custos_err *err)
{
	/* the intent names the canary: it must be this KEK's */
	CUSTOS_TRY(custos_kek_prove(session, session->kek, canary, &out->signature, err));
	return custos_key_hand_over_agreed(session, session->kek, point, NULL, out, err);
}

custos_rc custos_kek_hand_over(struct custos_session *session, const struct custos_guard_claim *claim, const struct custos_kek_canary *canary, struct custos_transported *ret_transported,
                               struct custos_err *err)
{
	CUSTOS_TRY(require_unkept(session, err));
	CUSTOS_TRY(custos_guard_admit(session->guard, claim, err));
	struct custos_transported transported = { 0 };
	custos_rc rc = let_out(session, claim->courier_point, canary, &transported, err);
	if (rc != CUSTOS_OK) {
		custos_transported_done(&transported);
		return rc;
	}
	*ret_transported = transported;
	return CUSTOS_OK;
}

/* A KEK that can be copied into one that decrypts is no better than a file: tokens that let that happen are of tier basic, and known to. Tried for the session: whoever is killed at it
 * leaves no copy. */
static custos_rc refuse_looser_copy(struct custos_session *session, CK_OBJECT_HANDLE kek, struct custos_err *err)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	static const CK_ATTRIBUTE_TYPE loose[] = { CKA_DECRYPT, CKA_EXTRACTABLE, CKA_MODIFIABLE };
	for (size_t i = 0; i < sizeof loose / sizeof *loose && session->profile.tier == CUSTOS_TIER_HARDENED; i++) {
		CK_ATTRIBUTE looser[] = { { CKA_TOKEN, &no, sizeof no }, { loose[i], &yes, sizeof yes } };
		CUSTOS_AUTO_OBJECT copy = { session, 0 };
		CK_RV rv = session->module.functions->C_CopyObject(session->handle, kek, looser, sizeof looser / sizeof *looser, &copy.handle);
		CUSTOS_REQUIRE(rv != CKR_OK, err, CUSTOS_E_TOKEN, "token “%s” lets looser copies of a KEK be made that has a backup", session->info.label);
	}
	return CUSTOS_OK;
}

/* The copy that stays, as `policy` says it must look; it is destroyed again unless it opens the canary. */
static custos_rc keep(struct custos_session *session, CK_OBJECT_HANDLE unkept, const struct custos_policy *policy, struct custos_bytes id, const struct custos_kek_canary *canary,
                      struct custos_json *attributes, struct custos_buf *signature, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_policy_values values = custos_kek_values(session, id, CUSTOS_BYTES(NULL, 0));
	struct custos_template t;
	CUSTOS_TRY(custos_template_make(&custos_policy_keep_kek, &values, &t, err));
	CUSTOS_AUTO_OBJECT kek = { session, 0 };
	CUSTOS_TRY(custos_ck(f->C_CopyObject(session->handle, unkept, t.attributes, t.count, &kek.handle), err, "cannot keep the KEK on token “%s”", session->info.label));
	CUSTOS_TRY(custos_policy_read_back(f, session->handle, kek.handle, policy, &values, attributes, err));
	CUSTOS_TRY(refuse_looser_copy(session, kek.handle, err));
	CUSTOS_TRY(custos_kek_prove(session, kek.handle, canary, signature, err));
	CUSTOS_TRY(custos_session_sync(session, err));
	struct custos_object gone = { session, unkept };
	custos_object_destroy(&gone);
	session->kek = kek.handle;
	session->kek_is_unkept = false;
	kek.handle = 0;
	return CUSTOS_OK;
}

custos_rc custos_kek_try_keeping(struct custos_session *session, CK_OBJECT_HANDLE kek, struct custos_bytes id, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_policy_values values = custos_kek_values(session, id, CUSTOS_BYTES(NULL, 0));
	struct custos_template t;
	struct custos_err why = { 0 };
	CUSTOS_AUTO_OBJECT copy = { session, 0 };
	CUSTOS_TRY(custos_template_make(&custos_policy_keep_kek, &values, &t, err));
	custos_rc rc = custos_ck(f->C_CopyObject(session->handle, kek, t.attributes, t.count, &copy.handle), &why, "it cannot be copied");
	if (rc == CUSTOS_OK)
		rc = custos_policy_read_back(f, session->handle, copy.handle, &custos_policy_backed_up_kek, &values, NULL, &why);
	if (rc == CUSTOS_OK)
		return rc;
	return custos_err_set_hinted(err, rc, "make the custody on another token; as the second token, which keeps a backup, this one may do",
	                             "token “%s” cannot keep a KEK that has a backup: %s", session->info.label, why.msg);
}

custos_rc custos_kek_keep(struct custos_session *session, struct custos_bytes id, const struct custos_kek_canary *canary, struct custos_json **ret_attributes,
                          struct custos_buf *signature, struct custos_err *err)
{
	CUSTOS_TRY(require_unkept(session, err));
	CUSTOS_AUTO(custos_json) *attributes = custos_json_object();
	CUSTOS_TRY(keep(session, session->kek, &custos_policy_backed_up_kek, id, canary, attributes, signature, err));
	*ret_attributes = CUSTOS_TAKE(attributes);
	return CUSTOS_OK;
}

static custos_rc unwrap(const struct custos_session *session, const struct custos_kek_delivery *delivery, struct custos_object *ret_kek, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_policy_values values = custos_kek_values(session, delivery->id, delivery->label);
	struct custos_template t;
	CK_MECHANISM mechanism = { session->profile.wrap_mechanism, NULL, 0 };
	CUSTOS_AUTO_OBJECT transport = { session, 0 };
	CUSTOS_AUTO_OBJECT kek = { session, 0 };
	CUSTOS_TRY(custos_transport_agree(session, session->import_key, delivery->sender_point, NULL, &custos_policy_import, &transport, err));
	CUSTOS_TRY(custos_template_make(&custos_policy_received_kek, &values, &t, err));
	CUSTOS_TRY(custos_ck(f->C_UnwrapKey(session->handle, &mechanism, transport.handle, custos_ck_bytes(delivery->sealed.ptr), delivery->sealed.len, t.attributes, t.count, &kek.handle), err,
	                     "token “%s” cannot take the KEK", session->info.label));
	CUSTOS_TRY(custos_policy_read_back(f, session->handle, kek.handle, &custos_policy_received_kek, &values, NULL, err));
	*ret_kek = kek;
	kek.handle = 0;
	return CUSTOS_OK;
}

static custos_rc receive(struct custos_session *session, const struct custos_kek_delivery *delivery, const struct custos_kek_canary *canary, struct custos_json *attributes,
                         struct custos_buf *signature, struct custos_err *err)
{
	CUSTOS_AUTO_OBJECT kek = { session, 0 };
	CUSTOS_AUTO_BUF first = { 0 };
	bool stays = (delivery->flags & CUSTOS_KEK_RECEIVE_KEEP) != 0;
	if (stays)
		CUSTOS_TRY(custos_object_refuse_existing(session, delivery->id, delivery->label, err));
	CUSTOS_TRY(unwrap(session, delivery, &kek, err));
	CUSTOS_TRY(custos_kek_prove(session, kek.handle, canary, stays ? &first : signature, err));
	if (!stays)
		return CUSTOS_OK;
	CUSTOS_TRY(keep(session, kek.handle, &custos_policy_restored_kek, delivery->id, canary, attributes, signature, err));
	kek.handle = 0; /* keep() has destroyed it */
	return CUSTOS_OK;
}

custos_rc custos_kek_receive(struct custos_session *session, const struct custos_kek_delivery *delivery, const struct custos_kek_canary *canary, struct custos_json **ret_attributes,
                             struct custos_buf *signature, struct custos_err *err)
{
	CUSTOS_REQUIRE(session->import_key != 0, err, CUSTOS_E_INTERNAL, "no import was begun");
	CUSTOS_REQUIRE(delivery->sealed.len >= 24 && delivery->sealed.len % 8 == 0, err, CUSTOS_E_INPUT, "a KEK is never sealed to %zu bytes", delivery->sealed.len);
	CUSTOS_AUTO(custos_json) *attributes = custos_json_object();
	custos_rc rc = receive(session, delivery, canary, attributes, signature, err);
	custos_import_end(session);
	CUSTOS_TRY(rc);
	*ret_attributes = CUSTOS_TAKE(attributes);
	return CUSTOS_OK;
}

custos_rc custos_kek_destroy(struct custos_session *session, struct custos_bytes id, struct custos_err *err)
{
	CK_OBJECT_HANDLE found = 0;
	size_t count = 0;
	CUSTOS_TRY(custos_objects_find(session, CKO_SECRET_KEY, id, CUSTOS_BYTES(NULL, 0), &found, &count, err));
	/* more than one: somebody was killed while he copied it */
	for (unsigned tries = 0; count > 0; tries++) {
		CUSTOS_REQUIRE(tries < COPIES_MAX, err, CUSTOS_E_TOKEN, "token “%s” says that it has destroyed the KEK, and still holds it", session->info.label);
		CUSTOS_REQUIRE(session->kek != 0 && found != session->kek, err, CUSTOS_E_POLICY, "the KEK in use is not destroyed");
		CUSTOS_TRY(custos_ck(session->module.functions->C_DestroyObject(session->handle, found), err, "cannot destroy the KEK on token “%s”", session->info.label));
		CUSTOS_TRY(custos_session_sync(session, err));
		CUSTOS_TRY(custos_objects_find(session, CKO_SECRET_KEY, id, CUSTOS_BYTES(NULL, 0), &found, &count, err));
	}
	return CUSTOS_OK;
}

static custos_rc move(const struct custos_session *session, CK_OBJECT_HANDLE from, const struct custos_rewrap *rewrap, struct custos_made_key *key, struct custos_err *err)
{
	CUSTOS_AUTO_OBJECT before = { session, 0 };
	CUSTOS_AUTO_OBJECT after = { session, 0 };
	CUSTOS_TRY(custos_key_unwrap(session, from, rewrap->container, rewrap->type, rewrap->spki, &before, err));
	CUSTOS_TRY(custos_object_sign_challenge(session, before.handle, rewrap->type, rewrap->challenges, &key->signature, err));
	CUSTOS_TRY(custos_kek_wrap(session, session->kek, before.handle, &key->container, err));
	CUSTOS_TRY(custos_kek_unwrap(session, custos_buf_view(&key->container), rewrap->type, rewrap->spki, &after, err));
	CUSTOS_TRY(custos_object_sign_challenge(session, after.handle, rewrap->type, rewrap->challenges + CUSTOS_CHALLENGE_SIZE, &key->second_signature, err));
	return custos_buf_append(&key->spki, rewrap->spki.ptr, rewrap->spki.len, err);
}

custos_rc custos_key_rewrap(struct custos_session *session, const struct custos_rewrap *rewrap, struct custos_made_key *ret_key, struct custos_err *err)
{
	CK_OBJECT_HANDLE from;
	struct custos_made_key key = { .type = rewrap->type };
	CUSTOS_REQUIRE(session->kek != 0 && !session->kek_is_unkept, err, CUSTOS_E_INTERNAL, "no KEK is open");
	CUSTOS_TRY(custos_kek_find(session, rewrap->from, rewrap->variant, &from, err));
	CUSTOS_REQUIRE(from != session->kek, err, CUSTOS_E_INTERNAL, "a key is moved from one KEK to another");
	custos_rc rc = move(session, from, rewrap, &key, err);
	if (rc != CUSTOS_OK) {
		custos_made_key_done(&key);
		return rc;
	}
	*ret_key = key;
	return CUSTOS_OK;
}
