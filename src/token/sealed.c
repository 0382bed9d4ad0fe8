/* The token's part in sealed keys. Its sealing key decrypts (RSA-OAEP) or derives (ECDH) and does nothing else; what it opens is a content key, which lies in locked
 * memory here for as long as it takes to seal it to one courier. No content key is opened but for an intent that the guard admits, and those that
 * were drawn here a moment ago to try the sealing key with. */
#include "token/keys.h"
#include "crypto/digest.h"
#include "crypto/seal.h"
#include "memory/scrub.h"

/* Some tokens want room for a whole modulus. */
enum { OPENED_MAX = 1024 };

void custos_made_sealing_done(struct custos_made_sealing *made)
{
	custos_buf_done(&made->spki);
	custos_json_free(made->attributes);
	made->attributes = NULL;
}

static enum custos_key_type type_of(enum custos_sealing method)
{
	return method == CUSTOS_SEALING_ECDH_P256 ? CUSTOS_KEY_EC_P256 : CUSTOS_KEY_RSA_2048;
}

static const struct custos_policy *policy_of(enum custos_sealing method)
{
	return method == CUSTOS_SEALING_ECDH_P256 ? &custos_policy_sealing_derive : &custos_policy_sealing_decrypt;
}

static struct custos_policy_values values_of(const struct custos_session *session, struct custos_bytes id, struct custos_bytes label)
{
	return (struct custos_policy_values){
		.id = id, .label = label, .profile = &session->profile,
		.wrap_mechanism = session->profile.sealing == CUSTOS_SEALING_ECDH_P256 ? CKM_ECDH1_DERIVE : CKM_RSA_PKCS_OAEP };
}

/* ---- a content key out of what it is sealed in ---- */

struct opening {
	const struct custos_session *session;
	CK_OBJECT_HANDLE key;
	struct custos_bytes sealed;
	size_t len;
};

static custos_rc decrypt(void *ctx, uint8_t *out, size_t room, struct custos_err *err)
{
	struct opening *o = ctx;
	CK_FUNCTION_LIST *f = o->session->module.functions;
	CK_RSA_PKCS_OAEP_PARAMS parameters = { .hash_alg = CKM_SHA256, .mgf = CKG_MGF1_SHA256, .source = CKZ_DATA_SPECIFIED };
	CK_MECHANISM mechanism = { CKM_RSA_PKCS_OAEP, &parameters, sizeof parameters };
	CK_ULONG len = room;
	CUSTOS_TRY(custos_ck(f->C_DecryptInit(o->session->handle, &mechanism, o->key), err, "token “%s” cannot decrypt with the sealing key", o->session->info.label));
	CUSTOS_TRY(custos_ck(f->C_Decrypt(o->session->handle, custos_ck_bytes(o->sealed.ptr), o->sealed.len, out, &len), err, "token “%s” cannot open the content key", o->session->info.label));
	CUSTOS_REQUIRE(len > 0 && len <= room, err, CUSTOS_E_TOKEN, "token “%s” opened a content key of %lu bytes", o->session->info.label, len);
	o->len = len;
	return CUSTOS_OK;
}

static custos_rc read_value(void *ctx, uint8_t *out, size_t room, struct custos_err *err)
{
	struct opening *o = ctx;
	CK_ATTRIBUTE value = { CKA_VALUE, out, room };
	CUSTOS_TRY(custos_ck(o->session->module.functions->C_GetAttributeValue(o->session->handle, o->key, &value, 1), err, "token “%s” does not show what was agreed on",
	                     o->session->info.label));
	CUSTOS_REQUIRE(value.ulValueLen == room, err, CUSTOS_E_TOKEN, "token “%s” agreed on %lu bytes", o->session->info.label, value.ulValueLen);
	return CUSTOS_OK;
}

static custos_rc open_by_derivation(const struct custos_session *session, CK_OBJECT_HANDLE key, const uint8_t *point, struct custos_bytes sealed, struct custos_secret **ret_key,
                                    struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *z = NULL;
	CUSTOS_AUTO_OBJECT agreed = { session, 0 };
	CUSTOS_TRY(custos_transport_agree(session, key, point, NULL, &custos_policy_agreed, &agreed, err));
	struct opening o = { .session = session, .key = agreed.handle };
	CUSTOS_TRY(custos_secret_new(CUSTOS_CONTENT_KEY_SIZE, &z, err));
	CUSTOS_TRY(custos_secret_expose(z, read_value, &o, err));
	return custos_unwrap_secret(z, sealed, ret_key, err);
}

static custos_rc open_by_decryption(const struct custos_session *session, CK_OBJECT_HANDLE key, struct custos_bytes sealed, struct custos_secret **ret_key, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *opened = NULL;
	struct opening o = { .session = session, .key = key, .sealed = sealed };
	CUSTOS_TRY(custos_secret_new(OPENED_MAX, &opened, err));
	CUSTOS_TRY(custos_secret_expose(opened, decrypt, &o, err));
	custos_secret_shorten(opened, o.len);
	*ret_key = CUSTOS_TAKE(opened);
	return CUSTOS_OK;
}

static custos_rc open_content_key(const struct custos_session *session, CK_OBJECT_HANDLE key, const uint8_t *point, struct custos_bytes sealed, struct custos_secret **ret_key,
                                  struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *opened = NULL;
	if (session->profile.sealing == CUSTOS_SEALING_ECDH_P256)
		CUSTOS_TRY(open_by_derivation(session, key, point, sealed, &opened, err));
	else
		CUSTOS_TRY(open_by_decryption(session, key, sealed, &opened, err));
	CUSTOS_REQUIRE(custos_secret_length(opened) == CUSTOS_CONTENT_KEY_SIZE, err, CUSTOS_E_TAMPERED, "the content key has %zu bytes", custos_secret_length(opened));
	*ret_key = CUSTOS_TAKE(opened);
	return CUSTOS_OK;
}

/* ---- does the sealing key do what it is for? ---- */

struct comparison {
	struct custos_secret *other;
	const uint8_t *bytes;
	size_t len;
};

static custos_rc compare(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const struct comparison *c = ctx;
	uint8_t different = len == c->len ? 0 : 1;
	/* the difference takes the place of what was drawn, which nobody needs any more */
	for (size_t i = 0; i < len && i < c->len; i++) {
		bytes[i] ^= c->bytes[i];
		different |= bytes[i];
	}
	CUSTOS_REQUIRE(different == 0, err, CUSTOS_E_TOKEN, "the token's sealing key opens something else than what was sealed to it");
	return CUSTOS_OK;
}

static custos_rc with_first(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct comparison *c = ctx;
	c->bytes = bytes;
	c->len = len;
	return custos_secret_expose(c->other, compare, c, err);
}

static custos_rc try_key(const struct custos_session *session, CK_OBJECT_HANDLE key, const struct custos_sealing_key *public_half, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *drawn = NULL;
	CUSTOS_AUTO(custos_secret) *opened = NULL;
	struct custos_sealed_key sealed = { 0 };
	CUSTOS_TRY(custos_content_key_new(&drawn, err));
	CUSTOS_TRY(custos_content_key_seal(drawn, public_half, &sealed, err));
	custos_rc rc = open_content_key(session, key, sealed.point, custos_buf_view(&sealed.sealed), &opened, err);
	custos_buf_done(&sealed.sealed);
	CUSTOS_TRY(rc);
	struct comparison c = { .other = drawn };
	return custos_secret_expose(opened, with_first, &c, err);
}

/* ---- making and finding it ---- */

static custos_rc fill(struct custos_session *session, struct custos_bytes id, struct custos_bytes label, struct custos_made_sealing *made, struct custos_err *err)
{
	CK_FUNCTION_LIST *f = session->module.functions;
	struct custos_policy_values values = values_of(session, id, label);
	struct custos_new_pair pair;
	CUSTOS_TRY(custos_pair_generate(session, type_of(made->method), policy_of(made->method), &custos_policy_sealing_public, &values, &pair, err));
	/* destroyed again unless it does what it is for */
	CUSTOS_AUTO_OBJECT private_key = pair.private_key;
	CUSTOS_AUTO_OBJECT public_key = pair.public_key;
	CUSTOS_TRY(custos_object_spki(session, public_key.handle, type_of(made->method), &made->spki, err));
	const struct custos_sealing_key key = { made->method, custos_buf_view(&made->spki) };
	CUSTOS_TRY(try_key(session, private_key.handle, &key, err));
	made->attributes = custos_json_object();
	CUSTOS_TRY(custos_policy_read_back(f, session->handle, private_key.handle, policy_of(made->method), &values, made->attributes, err));
	CUSTOS_TRY(custos_session_sync(session, err));
	private_key.handle = 0;
	public_key.handle = 0;
	return CUSTOS_OK;
}

custos_rc custos_sealing_create(struct custos_session *session, struct custos_bytes id, struct custos_bytes label, struct custos_made_sealing *ret_made, struct custos_err *err)
{
	CUSTOS_CLEANUP(custos_made_sealing_done) struct custos_made_sealing made = { .method = session->profile.sealing };
	if (made.method != CUSTOS_SEALING_NONE) {
		CUSTOS_TRY(custos_object_refuse_existing(session, id, label, err));
		CUSTOS_TRY(fill(session, id, label, &made, err));
	}
	*ret_made = made;
	made = (struct custos_made_sealing){ 0 };
	return CUSTOS_OK;
}

custos_rc custos_sealing_open(struct custos_session *session, struct custos_bytes id, const struct custos_sealing_key *key, struct custos_err *err)
{
	struct custos_policy_values values = values_of(session, id, CUSTOS_BYTES(NULL, 0));
	CK_OBJECT_HANDLE private_key, public_key;
	CUSTOS_AUTO_BUF found = { .max = 4096 };
	session->sealing_key = 0;
	CUSTOS_REQUIRE(key->method != CUSTOS_SEALING_NONE && key->method == session->profile.sealing, err, CUSTOS_E_POLICY, "token “%s” does not seal by %s", session->info.label,
	               custos_sealing_name(key->method));
	CUSTOS_TRY(custos_object_find_one(session, CKO_PRIVATE_KEY, id, "the sealing key", &private_key, err));
	CUSTOS_TRY(custos_object_find_one(session, CKO_PUBLIC_KEY, id, "the public half of the sealing key", &public_key, err));
	CUSTOS_REQUIRE(private_key != session->log_key, err, CUSTOS_E_POLICY, "the log's key signs checkpoints only");
	CUSTOS_TRY(custos_policy_read_back(session->module.functions, session->handle, private_key, policy_of(key->method), &values, NULL, err));
	CUSTOS_TRY(custos_object_spki(session, public_key, type_of(key->method), &found, err));
	CUSTOS_REQUIRE(custos_bytes_equal(custos_buf_view(&found), key->spki), err, CUSTOS_E_TOKEN, "the sealing key on token “%s” is not the one the custody was made with",
	               session->info.label);
	CUSTOS_TRY(try_key(session, private_key, key, err));
	CUSTOS_TRY(custos_sha256(key->spki, session->sealing_sha256, err));
	session->sealing_key = private_key;
	return CUSTOS_OK;
}

/* ---- step 4 of a release ---- */

static custos_rc hand_over(const struct custos_session *session, const struct custos_sealed_container *container, const uint8_t *courier_point, uint8_t *ret_point,
                           struct custos_buf *sealed, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *content_key = NULL;
	CUSTOS_TRY(open_content_key(session, session->sealing_key, container->point, container->content_key, &content_key, err));
	return custos_seal(content_key, courier_point, ret_point, sealed, err);
}

custos_rc custos_sealed_release(struct custos_session *session, struct custos_guard_claim *claim, uint8_t ret_point[static CUSTOS_POINT_SIZE], struct custos_buf *sealed, struct custos_err *err)
{
	struct custos_sealed_container container;
	CUSTOS_REQUIRE(session->sealing_key != 0, err, CUSTOS_E_INTERNAL, "no sealing key is open");
	CUSTOS_TRY(custos_sealed_container_parse(claim->container, &container, err));
	CUSTOS_REQUIRE(container.method == session->profile.sealing && memcmp(container.sealing_sha256, session->sealing_sha256, CUSTOS_HASH_SIZE) == 0, err, CUSTOS_E_POLICY,
	               "the container is sealed to another key than that of token “%s”", session->info.label);
	claim->sealed = &container.name;
	custos_rc rc = custos_guard_admit(session->guard, claim, err);
	claim->sealed = NULL;
	CUSTOS_TRY(rc);
	rc = hand_over(session, &container, claim->courier_point, ret_point, sealed, err);
	custos_scrub_stack();
	custos_scrub_registers();
	return rc;
}
