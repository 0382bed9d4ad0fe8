/* The doctor inside custos-token: one check of a token at a time, on throw-away session objects that are gone when it returns.
 *
 * A check says what it found through custos_probe_say(). An error of the token that a check does not expect becomes its finding, too; only what is
 * wrong with custos itself is an error. */
#ifndef CUSTOS_TOKEN_PROBE_H
#define CUSTOS_TOKEN_PROBE_H

#include "crypto/trial.h"
#include "token/checks.h"
#include "token/keys.h"

/* Label of token objects that the doctor makes where there are no session objects. One that is left over was left by a crash. */
#define CUSTOS_PROBE_LABEL "custos-doctor"

struct custos_probe {
	struct custos_session *session;
	CK_FUNCTION_LIST *f;
	unsigned flags;                      /* enum custos_probe_flags */
	const struct custos_check_row *row;
	struct custos_token_profile strict;  /* the session's profile as if it were hardened and left nothing out */
	uint32_t refused;                    /* attributes the token does not take in the KEK's template; known after custos_probe_kek() */
	enum custos_verdict verdict;
	char seen[384];
	struct custos_json *facts;           /* what a profile can be made of */
};

/* DOCTOR: *ret_finding is {"name","verdict","seen"} and, when there are some, "facts". */
CUSTOS_RC custos_probe_run(struct custos_session *session, enum custos_check check, unsigned flags, struct custos_json **ret_finding, struct custos_err *err);

/* The finding. Always CUSTOS_OK. */
custos_rc custos_probe_say(struct custos_probe *p, enum custos_verdict verdict, const char *format, ...) CUSTOS_PRINTF(3, 4);
/* OK when nothing is in the list, else FAIL (or `otherwise`) naming it. */
custos_rc custos_probe_judge(struct custos_probe *p, const char *fine, const char *hits, enum custos_verdict otherwise);
void custos_probe_list(char *list, size_t size, const char *format, ...) CUSTOS_PRINTF(3, 4);

/* A type whose keys take a device too long to be made unasked. */
CUSTOS_MUST bool custos_probe_spares(const struct custos_probe *p);

/* probe_transport.c: a session key handed over by the session's transport and opened as a courier opens it; the best transport that does that becomes the
 * session's, if there is one. */
CUSTOS_RC custos_probe_hand_over(struct custos_probe *p, CK_OBJECT_HANDLE key, unsigned padding_max, struct custos_bytes spki, struct custos_err *err);
void custos_probe_choose_transport(struct custos_probe *p);

/* probe_keys.c: what the checks work with. */
/* A releasable session pair, not read back. */
CUSTOS_RC custos_probe_pair(struct custos_probe *p, enum custos_key_type type, struct custos_new_pair *ret_pair, struct custos_err *err);
/* The quickest type of pair the token can make: P-256, else RSA-2048. */
CUSTOS_RC custos_probe_any_pair(struct custos_probe *p, enum custos_key_type *ret_type, struct custos_new_pair *ret_pair, struct custos_err *err);
/* An AES-256 session key whose bytes are known here, good for wrapping. */
CUSTOS_RC custos_probe_known_key(struct custos_probe *p, const uint8_t bytes[static 32], struct custos_object *ret_key, struct custos_err *err);
/* The mechanism that gives RFC 5649: the profile's when it does, else the first that does. CUSTOS_E_TOKEN (CKR_MECHANISM_INVALID) when there is none. */
CUSTOS_RC custos_probe_wrap_mechanism(struct custos_probe *p, CK_MECHANISM_TYPE *ret_mechanism, unsigned *ret_padding, struct custos_err *err);
/* A KEK as a session object, by the template or by as much of it as the token takes. */
CUSTOS_RC custos_probe_kek(struct custos_probe *p, CK_MECHANISM_TYPE mechanism, struct custos_object *ret_kek, struct custos_err *err);
/* Both, and a private key wrapped under the KEK. */
struct custos_probe_set {
	CK_MECHANISM_TYPE mechanism;
	unsigned padding;
	enum custos_key_type type;
	struct custos_object kek;
	struct custos_new_pair pair;
	struct custos_buf spki, wrapped;
};
CUSTOS_RC custos_probe_set_make(struct custos_probe *p, struct custos_probe_set *set, struct custos_err *err);
void custos_probe_set_done(struct custos_probe_set *set);
#define CUSTOS_AUTO_PROBE_SET CUSTOS_CLEANUP(custos_probe_set_done) struct custos_probe_set
/* C_WrapKey by any mechanism; modes that need one get an IV of zeros. */
CK_RV custos_probe_wrap(struct custos_probe *p, CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE with, CK_OBJECT_HANDLE key, CK_BYTE *out, CK_ULONG *len);
CK_RV custos_probe_unwrap(struct custos_probe *p, CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE with, struct custos_bytes wrapped, struct custos_template *t, CK_OBJECT_HANDLE *ret);
/* The policy values of the strict profile without what the token does not take. */
struct custos_policy_values custos_probe_values(struct custos_probe *p);
/* How many token objects there are. */
CUSTOS_RC custos_probe_count_objects(struct custos_probe *p, size_t *ret_count, struct custos_err *err);
/* Whether the value of a key can be read. */
CUSTOS_MUST bool custos_probe_can_read(struct custos_probe *p, CK_OBJECT_HANDLE key);

/* Mechanisms that wrap or encrypt under AES, by the names of their numbers. */
struct custos_aes_mechanism {
	CK_MECHANISM_TYPE type;
	const char *name;
	CK_ULONG iv;
};
extern const struct custos_aes_mechanism custos_aes_mechanisms[];   /* ends with a name of NULL */
extern const uint8_t custos_probe_iv[CUSTOS_TRIAL_IV_SIZE];         /* of those that need one: zero bytes */

/* The checks: one function a row of checks.h, those of a type share one. */
typedef custos_rc custos_probe_check(struct custos_probe *p, struct custos_err *err);
custos_probe_check custos_probe_no_login, custos_probe_objects, custos_probe_mechanisms, custos_probe_random, custos_probe_trusted, custos_probe_oracle, custos_probe_logout;
custos_probe_check custos_probe_sign, custos_probe_threads;
custos_probe_check custos_probe_key, custos_probe_kek_core, custos_probe_kek_template, custos_probe_format, custos_probe_size_query, custos_probe_transport, custos_probe_deploy, custos_probe_profile;
custos_probe_check custos_probe_kek_secret, custos_probe_kek_wrapped, custos_probe_kek_cipher, custos_probe_integrity, custos_probe_set_attributes, custos_probe_copy, custos_probe_other_mechanisms,
	custos_probe_wrap_secret, custos_probe_unwrap_readable, custos_probe_unwrap_secret, custos_probe_unwrap_token, custos_probe_confusion, custos_probe_conjuring;

#endif
