/* Keys of class sealed: for tokens that can decrypt or derive, and wrap nothing. Born in a courier, sealed there to the token's sealing key; opened in a courier
 * again, and nowhere else, after that was logged. */
#ifndef CUSTOS_VAULT_SEALED_H
#define CUSTOS_VAULT_SEALED_H

#include "crypto/sealed_container.h"
#include "vault/courier.h"
#include "vault/vault.h"

/* sealing.c: the sealing key, made with the custody; nothing is made, and the genesis says null, where the token cannot. */
struct custos_sealing_birth {
	uint8_t id[16];
	char label[80];                      /* "" when there is none */
	struct custos_token_sealing made;
};
void custos_sealing_birth_done(struct custos_sealing_birth *birth);
CUSTOS_RC custos_sealing_make(struct custos_token *token, const char *suffix, struct custos_sealing_birth *ret_birth, struct custos_err *err);
CUSTOS_RC custos_sealing_describe(struct custos_custody *c, const struct custos_sealing_birth *birth, struct custos_json *genesis, struct custos_err *err);
/* What the genesis says of it, borrowed; NULL when the custody has none. */
const struct custos_json *custos_sealing_of(const struct custos_custody *c);
/* Once a session, before the first sealed key is opened: it is on the token and opens what is sealed to it. */
CUSTOS_RC custos_sealing_open(struct custos_custody *c, struct custos_token *token, struct custos_err *err);
/* CUSTOS_E_POLICY when the custody goes on with another token than the one it was made with. */
CUSTOS_RC custos_sealing_is_here(const struct custos_custody *c, struct custos_err *err);
/* Its public half, as a container is sealed to it; `spki` is the caller's, the key borrows from it. */
CUSTOS_RC custos_sealing_public(struct custos_custody *c, struct custos_buf *spki, struct custos_sealing_key *ret_key, struct custos_err *err);

/* Is this key (a record) of class sealed? */
bool custos_key_is_sealed(const struct custos_json *record);
/* sealed.c: before anything is made: can this custody have a sealed key of that type? */
CUSTOS_RC custos_sealed_check(const struct custos_custody *c, enum custos_key_type type, struct custos_err *err);
/* Born, opened once more to prove itself, and in the log. */
CUSTOS_RC custos_sealed_generate(struct custos_custody *c, const char *name, enum custos_key_type type, struct custos_err *err);

/* sealed_opening.c: logs the intent, has the token open the content key for one courier without network, has that courier sign. Purpose "birth": the key is in
 * no log yet. */
CUSTOS_RC custos_sealed_sign(struct custos_custody *c, const struct custos_token_key_ref *key, const struct custos_vault_use *use, struct custos_bytes message,
                             struct custos_buf *signature, struct custos_err *err);

/* A courier without hosts, and what it has said of itself. */
struct custos_sealed_courier {
	struct custos_helper helper;
	struct custos_courier_met met;
};
void custos_sealed_courier_done(struct custos_sealed_courier *courier);
/* One question, one answer; KEY_REFUSED is an error, in words that are shown safely. */
CUSTOS_RC custos_sealed_courier_ask(struct custos_sealed_courier *courier, uint8_t question, const struct custos_buf *body, uint8_t answer, struct custos_frame *ret_frame,
                                    struct custos_err *err);

#endif
