/* A key from outside: sealed by a courier to a pair of the token's, unwrapped to a session object like any deployable key, and from then on one of them. Nothing
 * leaves the token here but ciphertext under the KEK. */
#include "token/keys.h"

void custos_import_end(struct custos_session *session)
{
	struct custos_object pair = { session, session->import_key };
	custos_object_destroy(&pair);
	session->import_key = 0;
}

custos_rc custos_import_begin(struct custos_session *session, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_err *err)
{
	struct custos_policy_values values = { .profile = &session->profile };
	struct custos_new_pair pair;
	if (custos_transport_needs_key(session->profile.transport))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "have a key made on it", "token “%s” agrees on no key with a courier, so it takes none from outside", session->info.label);
	custos_import_end(session);
	CUSTOS_TRY(custos_pair_generate(session, CUSTOS_KEY_EC_P256, &custos_policy_ephemeral_private, &custos_policy_ephemeral_public, &values, &pair, err));
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_object_read_point(session, public_key.handle, ret_point, err));
	session->import_key = private_key.handle;
	private_key.handle = 0;
	return CUSTOS_OK;
}

/* The imported key itself is gone when this returns: what signs last is what is in the container. */
static custos_rc wrap(const struct custos_session *session, const struct custos_import *import, struct custos_made_key *key, struct custos_err *err)
{
	CUSTOS_AUTO_OBJECT transport = { session, 0 };
	CUSTOS_AUTO_OBJECT imported = { session, 0 };
	CUSTOS_TRY(custos_transport_agree(session, session->import_key, import->courier_point, NULL, &custos_policy_import, &transport, err));
	CUSTOS_TRY(custos_key_unwrap(session, transport.handle, import->sealed, import->type, import->spki, &imported, err));
	CUSTOS_TRY(custos_object_sign_challenge(session, imported.handle, import->type, import->challenges, &key->signature, err));
	return custos_kek_wrap(session, session->kek, imported.handle, &key->container, err);
}

static custos_rc fill(const struct custos_session *session, const struct custos_import *import, struct custos_made_key *key, struct custos_err *err)
{
	CUSTOS_AUTO_OBJECT unwrapped = { session, 0 };
	CUSTOS_TRY(wrap(session, import, key, err));
	CUSTOS_TRY(custos_kek_unwrap(session, custos_buf_view(&key->container), import->type, import->spki, &unwrapped, err));
	CUSTOS_TRY(custos_object_sign_challenge(session, unwrapped.handle, import->type, import->challenges + CUSTOS_CHALLENGE_SIZE, &key->second_signature, err));
	return custos_buf_append(&key->spki, import->spki.ptr, import->spki.len, err);
}

custos_rc custos_import_key(struct custos_session *session, const struct custos_import *import, struct custos_made_key *ret_key, struct custos_err *err)
{
	CUSTOS_REQUIRE(session->kek != 0, err, CUSTOS_E_INTERNAL, "no KEK is open");
	CUSTOS_REQUIRE(session->import_key != 0, err, CUSTOS_E_INTERNAL, "no import was begun");
	struct custos_made_key key = { .type = import->type };
	custos_rc rc = CUSTOS_OK;
	if (!custos_key_types_include(&session->profile.deployable, import->type))
		rc = custos_err_set_hinted(err, CUSTOS_E_POLICY, "have a key of another type made", "token “%s” (profile %s) cannot keep %s keys of that class", session->info.label,
		                           session->profile.name, custos_key_type_name(import->type));
	if (rc == CUSTOS_OK)
		rc = fill(session, import, &key, err);
	custos_import_end(session);
	if (rc != CUSTOS_OK) {
		custos_made_key_done(&key);
		return rc;
	}
	*ret_key = key;
	return CUSTOS_OK;
}
