/* What every kind of object custos makes on a token must look like: every boolean is listed, because the defaults are dangerous. */
#include "token/template.h"

#define ROWS(r) (r), sizeof (r) / sizeof *(r)
#define YES(type, name) { type, name, CUSTOS_ROW_YES, CUSTOS_ROW_BOTH, 0, NULL }
#define NO(type, name) { type, name, CUSTOS_ROW_NO, CUSTOS_ROW_BOTH, 0, NULL }
#define NO_BUT(use, type, name) { type, name, CUSTOS_ROW_NO, CUSTOS_ROW_BOTH | (use), 0, NULL }
#define VERIFY { CKA_VERIFY, "verify", CUSTOS_ROW_YES, CUSTOS_ROW_BOTH | CUSTOS_ROW_LOOSE, 0, NULL }
#define NUMBER(type, name, n) { type, name, CUSTOS_ROW_NUMBER, CUSTOS_ROW_BOTH, n, NULL }
#define MAY(kind, type, name) { type, name, CUSTOS_ROW_##kind, CUSTOS_ROW_BOTH | CUSTOS_ROW_MAY_LACK, 0, NULL }
#define NESTED(type, name, policy) { type, name, CUSTOS_ROW_NESTED, CUSTOS_ROW_BOTH | CUSTOS_ROW_MAY_LACK, 0, policy }
#define SEEN(kind, type, name) { type, name, CUSTOS_ROW_##kind, CUSTOS_ROW_CHECK, 0, NULL }
#define SEEN_NUMBER(type, name, n) { type, name, CUSTOS_ROW_NUMBER, CUSTOS_ROW_CHECK, n, NULL }
#define ID_AND_LABEL { CKA_ID, "id", CUSTOS_ROW_ID, CUSTOS_ROW_BOTH, 0, NULL }, { CKA_LABEL, "label", CUSTOS_ROW_LABEL, CUSTOS_ROW_BOTH, 0, NULL }
#define KEY_TYPE { CKA_KEY_TYPE, "key_type", CUSTOS_ROW_KEY_TYPE, CUSTOS_ROW_BOTH, 0, NULL }

/* A private key may go in, and nothing else, so no secret key can ever be wrapped under the KEK and tried elsewhere. */
static const struct custos_row wrap_rows[] = { NUMBER(CKA_CLASS, "class", CKO_PRIVATE_KEY) };
static const struct custos_policy wrap_policy = { "the KEK's WRAP_TEMPLATE", ROWS(wrap_rows) };
/* What comes out is a session object that cannot be read. */
static const struct custos_row unwrap_rows[] = {
	NUMBER(CKA_CLASS, "class", CKO_PRIVATE_KEY), NO(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), YES(CKA_SENSITIVE, "sensitive"), YES(CKA_EXTRACTABLE, "extractable"),
};
static const struct custos_policy unwrap_policy = { "the KEK's UNWRAP_TEMPLATE", ROWS(unwrap_rows) };

/* Where it lies, whether it can be wrapped and changed, and where it came from: what the kinds of KEK differ in. */
#define KEK_ROWS(is_on_token, can_leave, can_change) \
	NUMBER(CKA_CLASS, "class", CKO_SECRET_KEY), NUMBER(CKA_KEY_TYPE, "key_type", CKK_AES), \
	is_on_token(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), YES(CKA_SENSITIVE, "sensitive"), can_leave(CKA_EXTRACTABLE, "extractable"), \
	YES(CKA_WRAP, "wrap"), YES(CKA_UNWRAP, "unwrap"), NO(CKA_ENCRYPT, "encrypt"), NO(CKA_DECRYPT, "decrypt"), NO(CKA_SIGN, "sign"), NO(CKA_VERIFY, "verify"), NO(CKA_DERIVE, "derive"), \
	ID_AND_LABEL, \
	can_change(CKA_MODIFIABLE, "modifiable"), MAY(WRAP_MECHANISM, CKA_ALLOWED_MECHANISMS, "allowed_mechanisms"), \
	NESTED(CKA_WRAP_TEMPLATE, "wrap_template", &wrap_policy), NESTED(CKA_UNWRAP_TEMPLATE, "unwrap_template", &unwrap_policy)
#define KEK_GENERATED NUMBER(CKA_VALUE_LEN, "value_len", 32), SEEN_NUMBER(CKA_KEY_GEN_MECHANISM, "key_gen_mechanism", CKM_AES_KEY_GEN)
#define KEK_PAST(sensitive, kept, born_here) \
	SEEN(sensitive, CKA_ALWAYS_SENSITIVE, "always_sensitive"), SEEN(kept, CKA_NEVER_EXTRACTABLE, "never_extractable"), SEEN(born_here, CKA_LOCAL, "local")

static const struct custos_row kek_rows[] = { KEK_ROWS(YES, NO, NO), MAY(NO, CKA_COPYABLE, "copyable"), KEK_GENERATED, KEK_PAST(YES, YES, YES) };
const struct custos_policy custos_policy_kek = { "the KEK", ROWS(kek_rows) };
/* the doctor's: the same as a session object */
static const struct custos_row trial_kek_rows[] = { KEK_ROWS(NO, NO, NO), MAY(NO, CKA_COPYABLE, "copyable"), KEK_GENERATED, KEK_PAST(YES, YES, YES) };
const struct custos_policy custos_policy_trial_kek = { "the KEK", ROWS(trial_kek_rows) };

/* Of a KEK that came from elsewhere not every token tells the length; that it opens its canary does. A KEK that has a backup is a session object until the backup has proven itself, and is then copied. */
static const struct custos_row unkept_kek_rows[] = { KEK_ROWS(NO, YES, YES), MAY(YES, CKA_COPYABLE, "copyable"), KEK_GENERATED, KEK_PAST(YES, NO, YES) };
const struct custos_policy custos_policy_unkept_kek = { "the KEK before its backup", ROWS(unkept_kek_rows) };
static const struct custos_row received_kek_rows[] = { KEK_ROWS(NO, YES, YES), MAY(YES, CKA_COPYABLE, "copyable"), KEK_PAST(NO, NO, NO) };
const struct custos_policy custos_policy_received_kek = { "the KEK out of its backup", ROWS(received_kek_rows) };
/* a copy that is not COPYABLE some tokens refuse to make; kek_life.c tries what can be done with it instead */
static const struct custos_row kept_rows[] = { YES(CKA_TOKEN, "token"), NO(CKA_EXTRACTABLE, "extractable"), NO(CKA_MODIFIABLE, "modifiable") };
const struct custos_policy custos_policy_keep_kek = { "the copy of the KEK", ROWS(kept_rows) };
static const struct custos_row backed_up_kek_rows[] = { KEK_ROWS(YES, NO, NO), SEEN_NUMBER(CKA_VALUE_LEN, "value_len", 32), KEK_PAST(YES, NO, YES) };
const struct custos_policy custos_policy_backed_up_kek = { "the KEK", ROWS(backed_up_kek_rows) };
static const struct custos_row restored_kek_rows[] = { KEK_ROWS(YES, NO, NO), KEK_PAST(NO, NO, NO) };
const struct custos_policy custos_policy_restored_kek = { "the KEK", ROWS(restored_kek_rows) };

#define DEPLOYABLE_PRIVATE(loose) \
	NO(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), YES(CKA_SENSITIVE, "sensitive"), YES(CKA_EXTRACTABLE, "extractable"), YES(CKA_SIGN, "sign"), \
	NO(CKA_SIGN_RECOVER, "sign_recover"), NO_BUT(loose, CKA_DECRYPT, "decrypt"), NO_BUT(loose, CKA_UNWRAP, "unwrap"), \
	NO_BUT(loose, CKA_DERIVE, "derive")

static const struct custos_row session_private_rows[] = {
	DEPLOYABLE_PRIVATE(0), SEEN(YES, CKA_LOCAL, "local"), SEEN(YES, CKA_ALWAYS_SENSITIVE, "always_sensitive"),
};
const struct custos_policy custos_policy_session_private = { "the new private key", ROWS(session_private_rows) };

/* Every attribute of the KEK's UNWRAP_TEMPLATE is named, as some tokens demand; never EC_PARAMS, which others refuse. */
static const struct custos_row unwrapped_rows[] = {
	NUMBER(CKA_CLASS, "class", CKO_PRIVATE_KEY), KEY_TYPE, DEPLOYABLE_PRIVATE(CUSTOS_ROW_LOOSE),
};
const struct custos_policy custos_policy_unwrapped = { "the unwrapped private key", ROWS(unwrapped_rows) };

static const struct custos_row session_public_rows[] = {
	NO(CKA_TOKEN, "token"), VERIFY, NO(CKA_VERIFY_RECOVER, "verify_recover"), NO_BUT(CUSTOS_ROW_LOOSE, CKA_ENCRYPT, "encrypt"), NO(CKA_WRAP, "wrap"), NO(CKA_DERIVE, "derive"),
};
const struct custos_policy custos_policy_session_public = { "the new public key", ROWS(session_public_rows) };

static const struct custos_row token_private_rows[] = {
	YES(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), YES(CKA_SENSITIVE, "sensitive"), NO(CKA_EXTRACTABLE, "extractable"), YES(CKA_SIGN, "sign"),
	NO(CKA_SIGN_RECOVER, "sign_recover"), NO(CKA_DECRYPT, "decrypt"), NO(CKA_UNWRAP, "unwrap"), NO(CKA_DERIVE, "derive"), ID_AND_LABEL,
	NO(CKA_MODIFIABLE, "modifiable"), MAY(NO, CKA_COPYABLE, "copyable"),
	SEEN(YES, CKA_LOCAL, "local"), SEEN(YES, CKA_ALWAYS_SENSITIVE, "always_sensitive"), SEEN(YES, CKA_NEVER_EXTRACTABLE, "never_extractable"),
};
const struct custos_policy custos_policy_token_private = { "the new private key", ROWS(token_private_rows) };

static const struct custos_row token_public_rows[] = {
	YES(CKA_TOKEN, "token"), VERIFY, NO(CKA_VERIFY_RECOVER, "verify_recover"), NO_BUT(CUSTOS_ROW_LOOSE, CKA_ENCRYPT, "encrypt"), NO(CKA_WRAP, "wrap"), NO(CKA_DERIVE, "derive"),
	ID_AND_LABEL, NO(CKA_MODIFIABLE, "modifiable"),
};
const struct custos_policy custos_policy_token_public = { "the new public key", ROWS(token_public_rows) };

static const struct custos_row ephemeral_private_rows[] = {
	NO(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), YES(CKA_SENSITIVE, "sensitive"), NO(CKA_EXTRACTABLE, "extractable"), YES(CKA_DERIVE, "derive"),
	NO(CKA_SIGN, "sign"), NO(CKA_SIGN_RECOVER, "sign_recover"), NO(CKA_DECRYPT, "decrypt"), NO(CKA_UNWRAP, "unwrap"),
};
const struct custos_policy custos_policy_ephemeral_private = { "the ephemeral private key", ROWS(ephemeral_private_rows) };

static const struct custos_row ephemeral_public_rows[] = {
	NO(CKA_TOKEN, "token"), NO(CKA_VERIFY, "verify"), NO(CKA_VERIFY_RECOVER, "verify_recover"), NO(CKA_ENCRYPT, "encrypt"), NO(CKA_WRAP, "wrap"),
};
const struct custos_policy custos_policy_ephemeral_public = { "the ephemeral public key", ROWS(ephemeral_public_rows) };

static const struct custos_row transport_rows[] = {
	NUMBER(CKA_CLASS, "class", CKO_SECRET_KEY), NUMBER(CKA_KEY_TYPE, "key_type", CKK_AES), NUMBER(CKA_VALUE_LEN, "value_len", 32),
	NO(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), YES(CKA_SENSITIVE, "sensitive"), NO(CKA_EXTRACTABLE, "extractable"), YES(CKA_WRAP, "wrap"),
	NO(CKA_UNWRAP, "unwrap"), NO(CKA_ENCRYPT, "encrypt"), NO(CKA_DECRYPT, "decrypt"), NO(CKA_SIGN, "sign"), NO(CKA_VERIFY, "verify"), NO(CKA_DERIVE, "derive"),
};
const struct custos_policy custos_policy_transport = { "the transport key", ROWS(transport_rows) };

/* Extractable, because it travels under the courier's RSA key; it was made for this one release and is destroyed after it. */
static const struct custos_row travelling_rows[] = {
	NUMBER(CKA_CLASS, "class", CKO_SECRET_KEY), NUMBER(CKA_KEY_TYPE, "key_type", CKK_AES), NUMBER(CKA_VALUE_LEN, "value_len", 32),
	NO(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), YES(CKA_SENSITIVE, "sensitive"), YES(CKA_EXTRACTABLE, "extractable"), YES(CKA_WRAP, "wrap"),
	NO(CKA_UNWRAP, "unwrap"), NO(CKA_ENCRYPT, "encrypt"), NO(CKA_DECRYPT, "decrypt"), NO(CKA_SIGN, "sign"), NO(CKA_VERIFY, "verify"), NO(CKA_DERIVE, "derive"),
};
const struct custos_policy custos_policy_travelling = { "the transport key", ROWS(travelling_rows) };

static const struct custos_row courier_key_rows[] = {
	NUMBER(CKA_CLASS, "class", CKO_PUBLIC_KEY), NUMBER(CKA_KEY_TYPE, "key_type", CKK_RSA), NO(CKA_TOKEN, "token"), YES(CKA_WRAP, "wrap"),
	NO(CKA_ENCRYPT, "encrypt"), NO(CKA_VERIFY, "verify"), NO(CKA_VERIFY_RECOVER, "verify_recover"),
};
const struct custos_policy custos_policy_courier_key = { "the courier's key", ROWS(courier_key_rows) };

static const struct custos_row import_rows[] = {
	NUMBER(CKA_CLASS, "class", CKO_SECRET_KEY), NUMBER(CKA_KEY_TYPE, "key_type", CKK_AES), NUMBER(CKA_VALUE_LEN, "value_len", 32),
	NO(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), YES(CKA_SENSITIVE, "sensitive"), NO(CKA_EXTRACTABLE, "extractable"), NO(CKA_WRAP, "wrap"),
	YES(CKA_UNWRAP, "unwrap"), NO(CKA_ENCRYPT, "encrypt"), NO(CKA_DECRYPT, "decrypt"), NO(CKA_SIGN, "sign"), NO(CKA_VERIFY, "verify"), NO(CKA_DERIVE, "derive"),
};
const struct custos_policy custos_policy_import = { "the import key", ROWS(import_rows) };

#define SEALING(decrypt, derive) \
	YES(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), YES(CKA_SENSITIVE, "sensitive"), NO(CKA_EXTRACTABLE, "extractable"), NO(CKA_SIGN, "sign"), \
	NO(CKA_SIGN_RECOVER, "sign_recover"), decrypt(CKA_DECRYPT, "decrypt"), NO(CKA_UNWRAP, "unwrap"), derive(CKA_DERIVE, "derive"), ID_AND_LABEL, \
	NO(CKA_MODIFIABLE, "modifiable"), MAY(NO, CKA_COPYABLE, "copyable"), MAY(WRAP_MECHANISM, CKA_ALLOWED_MECHANISMS, "allowed_mechanisms"), \
	SEEN(YES, CKA_LOCAL, "local"), SEEN(YES, CKA_ALWAYS_SENSITIVE, "always_sensitive"), SEEN(YES, CKA_NEVER_EXTRACTABLE, "never_extractable")

static const struct custos_row sealing_decrypt_rows[] = { SEALING(YES, NO) };
const struct custos_policy custos_policy_sealing_decrypt = { "the sealing key", ROWS(sealing_decrypt_rows) };
static const struct custos_row sealing_derive_rows[] = { SEALING(NO, YES) };
const struct custos_policy custos_policy_sealing_derive = { "the sealing key", ROWS(sealing_derive_rows) };

static const struct custos_row sealing_public_rows[] = {
	YES(CKA_TOKEN, "token"), NO_BUT(CUSTOS_ROW_LOOSE, CKA_VERIFY, "verify"), NO(CKA_VERIFY_RECOVER, "verify_recover"), NO_BUT(CUSTOS_ROW_LOOSE, CKA_ENCRYPT, "encrypt"),
	NO(CKA_WRAP, "wrap"), ID_AND_LABEL, NO(CKA_MODIFIABLE, "modifiable"),
};
const struct custos_policy custos_policy_sealing_public = { "the public half of the sealing key", ROWS(sealing_public_rows) };

static const struct custos_row agreed_rows[] = {
	NUMBER(CKA_CLASS, "class", CKO_SECRET_KEY), NUMBER(CKA_KEY_TYPE, "key_type", CKK_GENERIC_SECRET), NUMBER(CKA_VALUE_LEN, "value_len", 32),
	NO(CKA_TOKEN, "token"), YES(CKA_PRIVATE, "private"), NO(CKA_SENSITIVE, "sensitive"), YES(CKA_EXTRACTABLE, "extractable"), NO(CKA_WRAP, "wrap"),
	NO(CKA_UNWRAP, "unwrap"), NO(CKA_ENCRYPT, "encrypt"), NO(CKA_DECRYPT, "decrypt"), NO(CKA_SIGN, "sign"), NO(CKA_VERIFY, "verify"), NO(CKA_DERIVE, "derive"),
};
const struct custos_policy custos_policy_agreed = { "the agreed secret", ROWS(agreed_rows) };
