/* One token in use: the lock, the module, the selected slot, one session and, once found, the KEK and the log's key. */
#ifndef CUSTOS_TOKEN_SESSION_H
#define CUSTOS_TOKEN_SESSION_H

#include "token/module.h"
#include "token/profile.h"
#include "token/release_guard.h"
#include "token/template.h"

struct custos_context;

struct custos_session {
	struct custos_module module;
	struct custos_token_profile profile;
	bool takes_strangers;          /* opened to be examined: a token that no profile fits is opened as well */
	const char *softhsm_conf;      /* SoftHSM's configuration in force, given by main */
	char *softhsm_dir;             /* token directory when the profile keeps a safety copy, else NULL */
	struct custos_buf repaired;    /* serials put back from their copies, each between blanks */
	int lock_fd;
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE handle;
	bool is_open;
	struct custos_token_info info;
	CK_OBJECT_HANDLE kek, log_key; /* 0: not found yet */
	bool kek_is_unkept;            /* a session object that goes to its backup before it stays */
	enum custos_key_type log_type;
	CK_OBJECT_HANDLE import_key;   /* private half of the pair a courier is sealing a key to; 0: none */
	CK_OBJECT_HANDLE sealing_key;  /* private half of what content keys are sealed to; 0: not found yet */
	uint8_t sealing_sha256[CUSTOS_HASH_SIZE]; /* of its SPKI */
	struct custos_guard *guard;
	struct custos_context *context; /* context_login.h; NULL: no key wants the PIN again */
};

void custos_session_init(struct custos_session *session, const char *softhsm_conf);
/* Logs out, closes, finalises, gives the lock back. */
void custos_session_done(struct custos_session *session);

/* OPEN: lock, safety copy, initialise, select, open a session. `serial` and `profile` may be empty. */
CUSTOS_RC custos_session_open(struct custos_session *session, const struct custos_token_where *where, struct custos_err *err);
/* A second session with the same token, already logged in, that shares everything but its handle with the first and must be closed before it. A
 * session is for one thread at a time. How many threads may work at once is the profile's to say. */
CUSTOS_RC custos_session_open_another(const struct custos_session *session, struct custos_session *ret_other, struct custos_err *err);
void custos_session_close_another(struct custos_session *other);
unsigned custos_session_limit(const struct custos_session *session);
/* One attempt; `pin` NULL: the token's own PIN pad. The flags are read before and after. */
CUSTOS_RC custos_session_login(struct custos_session *session, struct custos_secret *pin, struct custos_err *err);
CUSTOS_RC custos_session_read_flags(struct custos_session *session, struct custos_err *err);
/* By the flags as they were read: a locked PIN, or one whose last attempt is at stake, is not tried. */
CUSTOS_RC custos_session_refuse_last(const struct custos_session *session, struct custos_err *err);
/* LIST and INIT: the process does nothing else afterwards. */
CUSTOS_RC custos_session_list(struct custos_session *session, const char *module, struct custos_json **ret_list, struct custos_err *err);
CUSTOS_RC custos_session_init_token(struct custos_session *session, const struct custos_token_where *where, const char *label, struct custos_secret *so_pin,
                                    struct custos_secret *user_pin, struct custos_err *err);
/* What was made on the token is on its disk when this returns. */
CUSTOS_RC custos_session_sync(struct custos_session *session, struct custos_err *err);

/* For session.c and token_admin.c: module and profile by name; initialising, tried three times because a module may fail while somebody else's
 * program writes its files; the safety copy of one token, or of every token that nobody has locked. */
CUSTOS_RC custos_session_load(struct custos_session *session, const char *module, const char *profile, struct custos_err *err);
CUSTOS_RC custos_session_start_module(struct custos_session *session, struct custos_err *err);
CUSTOS_RC custos_session_protect(struct custos_session *session, const char *serial, struct custos_err *err);
CUSTOS_RC custos_session_protect_all(struct custos_session *session, struct custos_err *err);

#endif
