/* Inside the client: one custos-token process and one request at a time. */
#ifndef CUSTOS_TOKEN_EXCHANGE_H
#define CUSTOS_TOKEN_EXCHANGE_H

#include "link/spawn.h"
#include "token/wire_info.h"

/* How long custos-token may take before it is killed. */
struct custos_token_times {
	int open_ms;      /* includes waiting for the token's lock, twice when the serial is not known */
	int call_ms;
	int generate_ms;  /* RSA-4096 in a slow device */
	int pad_ms;       /* a person who walks to the token's PIN pad */
};

struct custos_token {
	struct custos_helper helper;
	struct custos_token_info info;
	struct custos_token_times times;
	enum custos_signature log_algorithm;
	const char *trouble;       /* how it went when it went: see custos_token_trouble(); NULL while all is well */
};

/* Starts custos-token out of reach of the store and of the network. */
CUSTOS_RC custos_token_start(const struct custos_token_where *where, struct custos_token **ret_token, struct custos_err *err);
/* The module without the word that lets it use the network. */
const char *custos_token_module_path(const char *module);

/* One request and its answer; anything but `reply` is an error. `doing` completes "… while " and names the object. */
struct custos_exchange {
	uint8_t request, reply;
	int fd;                    /* -1, or a descriptor that goes with the request */
	int timeout_ms;
	const char *doing;
};
/* How long making a key of a type may take (0: of any). */
int custos_token_generate_ms(const struct custos_token *token, enum custos_key_type type);
CUSTOS_RC custos_token_call(struct custos_token *token, const struct custos_exchange *exchange, struct custos_bytes body, struct custos_frame *ret_frame, struct custos_err *err);

/* Its two halves, for answers that come in several frames: sends; waits for the next frame, FAILED being an error. */
CUSTOS_RC custos_token_ask(struct custos_token *token, const struct custos_exchange *exchange, struct custos_bytes body, struct custos_err *err);
CUSTOS_RC custos_token_hear(struct custos_token *token, const struct custos_exchange *exchange, struct custos_frame *ret_frame, struct custos_err *err);
/* The rest of a message that tells a failure, after its category; returns what it was. */
CUSTOS_RC custos_token_take_failure(struct custos_token *token, struct custos_wire *r, uint8_t category, const char *message, struct custos_err *err);
/* After the login custos-token still told of a PIN that was not taken: a key had wanted it for a signature. */
void custos_token_note_refusal(struct custos_token *token);

/* A signature over the challenge by the key whose public half `spki` is; `who` names it in errors. */
CUSTOS_RC custos_token_prove(const char *who, struct custos_bytes spki, enum custos_key_type type, const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE],
                             struct custos_bytes signature, struct custos_err *err);
/* What a wrapped key may look like (RFC 5649: whole blocks of 8, one of them the check). */
CUSTOS_MUST bool custos_token_is_wrapped(struct custos_bytes wrapped);
/* A key that has proven itself. The caller's: custos_token_key_done(). */
CUSTOS_RC custos_token_key_copy(enum custos_key_type type, struct custos_bytes spki, struct custos_bytes container, struct custos_token_key *ret_key, struct custos_err *err);

/* KEY_MADE for a key that moved from one wrapping into another: it is the key, and has proven itself before and after. `who` names it in errors. */
CUSTOS_RC custos_token_take_moved(const struct custos_frame *frame, const char *who, const struct custos_token_key_ref *key, const uint8_t challenges[static 2 * CUSTOS_CHALLENGE_SIZE],
                                  struct custos_token_key *ret_key, struct custos_err *err);

/* A pipe holding the secrets, one a line; *ret_fd is its reading end. */
CUSTOS_RC custos_token_pin_pipe(struct custos_secret *const pins[], size_t count, int *ret_fd, struct custos_err *err);

#endif
