/* Attribute policies as data: one row says whether an attribute is sent, whether it is read back, and what it must be.
 *
 * CKR_OK proves nothing: what a template asked for is read back attribute by attribute and compared. */
#ifndef CUSTOS_TOKEN_TEMPLATE_H
#define CUSTOS_TOKEN_TEMPLATE_H

#include "token/cryptoki.h"
#include "token/profile.h"

enum custos_row_kind {
	CUSTOS_ROW_NO, CUSTOS_ROW_YES,     /* CK_BBOOL */
	CUSTOS_ROW_NUMBER,                 /* CK_ULONG in `number` */
	CUSTOS_ROW_KEY_TYPE,               /* CK_ULONG from the values */
	CUSTOS_ROW_ID, CUSTOS_ROW_LABEL,   /* bytes from the values; left out when empty */
	CUSTOS_ROW_WRAP_MECHANISM,         /* array of one mechanism, from the values */
	CUSTOS_ROW_NESTED,                 /* template in `nested` */
};
enum custos_row_use {
	CUSTOS_ROW_SEND = 1u << 0,
	CUSTOS_ROW_CHECK = 1u << 1,
	CUSTOS_ROW_BOTH = CUSTOS_ROW_SEND | CUSTOS_ROW_CHECK,
	CUSTOS_ROW_LOOSE = 1u << 3,        /* a profile may leave out the loose attributes here */
	CUSTOS_ROW_MAY_LACK = 1u << 2,     /* not sent to a token below tier hardened, which need not know it */
};

struct custos_policy;
struct custos_row {
	CK_ATTRIBUTE_TYPE type;
	const char *name;                  /* as it stands in the log */
	enum custos_row_kind kind;
	unsigned use;
	CK_ULONG number;
	const struct custos_policy *nested;
};
struct custos_policy {
	const char *what;                  /* for errors: "the KEK" */
	const struct custos_row *rows;
	size_t count;
};
struct custos_policy_values {
	struct custos_bytes id, label;
	CK_ULONG key_type;
	CK_MECHANISM_TYPE wrap_mechanism;
	const struct custos_token_profile *profile; /* its tier and what it leaves out; NULL: nothing is left out */
};

/* A template with its own storage; must not be copied. */
enum { CUSTOS_TEMPLATE_MAX = 32, CUSTOS_NESTED_MAX = 8 };
struct custos_template {
	CK_ATTRIBUTE attributes[CUSTOS_TEMPLATE_MAX];
	CK_ULONG count;
	CK_ULONG numbers[CUSTOS_TEMPLATE_MAX];
	CK_BBOOL bools[CUSTOS_TEMPLATE_MAX];
	CK_ATTRIBUTE nested[2][CUSTOS_NESTED_MAX];
	size_t nested_used;
	struct custos_nested_storage {
		CK_ULONG numbers[CUSTOS_NESTED_MAX];
		CK_BBOOL bools[CUSTOS_NESTED_MAX];
	} nested_storage[2];
};

/* Whether the profile leaves a row out, of what is sent (CUSTOS_ROW_SEND) or of what is compared (CUSTOS_ROW_CHECK). */
CUSTOS_MUST bool custos_row_is_omitted(const struct custos_row *row, const struct custos_policy_values *values, unsigned use);
/* Fills the template with the rows that are sent. */
CUSTOS_RC custos_template_make(const struct custos_policy *policy, const struct custos_policy_values *values, struct custos_template *ret_template, struct custos_err *err);
/* Appends bytes that stay the caller's; for CKA_EC_PARAMS and its like. */
CUSTOS_RC custos_template_bytes(struct custos_template *t, CK_ATTRIBUTE_TYPE type, struct custos_bytes value, struct custos_err *err);
CUSTOS_RC custos_template_number(struct custos_template *t, CK_ATTRIBUTE_TYPE type, CK_ULONG value, struct custos_err *err);

/* CUSTOS_E_TOKEN naming the first attribute that differs from the policy. When `json` is not NULL it gets every attribute as read. */
CUSTOS_RC custos_policy_read_back(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const struct custos_policy *policy,
                                  const struct custos_policy_values *values, struct custos_json *json, struct custos_err *err);
/* The doctor's way: goes on after a difference. *ret_optional gets the bits (custos_attribute_bit) of what differs and may be left out by a profile; `others` the
 * names of what differs and may not, with ", " between. */
CUSTOS_RC custos_policy_differences(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const struct custos_policy *policy,
                                    const struct custos_policy_values *values, uint32_t *ret_optional, char *others, size_t size, struct custos_err *err);
/* One attribute of at most `max` bytes. */
CUSTOS_RC custos_attribute_read(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, const char *what, struct custos_buf *value,
                                struct custos_err *err);

/* The policies of the design (security: key templates). */
extern const struct custos_policy custos_policy_kek, custos_policy_trial_kek;
extern const struct custos_policy custos_policy_unkept_kek, custos_policy_received_kek; /* session objects that become a KEK with a backup */
extern const struct custos_policy custos_policy_keep_kek;                                /* what is asked of the copy that stays on the token … */
extern const struct custos_policy custos_policy_backed_up_kek, custos_policy_restored_kek; /* … and what the copy must look like */
extern const struct custos_policy custos_policy_session_private;    /* a deployable key while it is made */
extern const struct custos_policy custos_policy_session_public;
extern const struct custos_policy custos_policy_unwrapped;          /* the same key out of its container */
extern const struct custos_policy custos_policy_token_private;      /* sign-only keys and the log's key */
extern const struct custos_policy custos_policy_token_public;
extern const struct custos_policy custos_policy_ephemeral_private;  /* the token's half of an ECDH agreement */
extern const struct custos_policy custos_policy_ephemeral_public;
extern const struct custos_policy custos_policy_import;             /* the AES key agreed with a courier that brings a key */
extern const struct custos_policy custos_policy_sealing_decrypt;    /* what content keys are sealed to: an RSA key that decrypts */
extern const struct custos_policy custos_policy_sealing_derive;     /* or a P-256 key that derives */
extern const struct custos_policy custos_policy_sealing_public;     /* its public half, which the token is never asked to use */
extern const struct custos_policy custos_policy_agreed;             /* what it has derived: the one key of all that can be read */
extern const struct custos_policy custos_policy_transport;          /* the AES key agreed with a courier */
extern const struct custos_policy custos_policy_travelling;         /* the AES key that goes to a courier under its RSA key */
extern const struct custos_policy custos_policy_courier_key;        /* that RSA key's public half */

#endif
