/* Meeting a courier, keeper's side: starting the program that was hashed, and what it must say before it gets anything. */
#ifndef CUSTOS_VAULT_COURIER_H
#define CUSTOS_VAULT_COURIER_H

#include "link/courier.h"
#include "link/spawn.h"
#include <custos/custody.h>

/* *ret_sha256 is of the very file that runs. The helper is the caller's: custos_helper_stop(). */
CUSTOS_RC custos_courier_start(struct custos_helper *ret_helper, uint8_t ret_sha256[static CUSTOS_HASH_SIZE], struct custos_err *err);
/* HELLO: its point, and how it has locked its memory (the caller's to free). One that does not say is refused. */
CUSTOS_RC custos_courier_take_hello(const struct custos_frame *frame, uint8_t ret_point[static CUSTOS_POINT_SIZE], char **ret_memory_backend, struct custos_err *err);

/* What goes to no host: a key from a file, shares, a sealed key that is born or signs. */
struct custos_courier_met {
	uint8_t point[CUSTOS_POINT_SIZE], sha256[CUSTOS_HASH_SIZE];
	char *memory_backend;
};
void custos_courier_met_done(struct custos_courier_met *met);
/* Starts it and tells it the job; it has said HELLO. The helper is the caller's also on failure. */
CUSTOS_RC custos_courier_meet(enum custos_courier_job job, struct custos_helper *ret_helper, struct custos_courier_met *ret_met, struct custos_err *err);
/* A message from it; what happens when it has gone is told of `what` it was doing. */
CUSTOS_RC custos_courier_hear(struct custos_helper *helper, int timeout_ms, const char *what, struct custos_frame *frame, struct custos_err *err);
/* KEY_REFUSED as the error it is: a category it can know, and words that are shown safely. */
CUSTOS_RC custos_courier_take_refusal(const struct custos_frame *frame, struct custos_err *err);
/* Asks for a pass phrase and sends it sealed. `source` may be NULL: then there is no way to ask. */
CUSTOS_RC custos_courier_send_phrase(struct custos_helper *helper, const struct custos_courier_met *met, const struct custos_pin *source, const char *what, struct custos_err *err);
/* SEAL_KEY and what comes of it. */
CUSTOS_RC custos_courier_have_sealed(struct custos_helper *helper, const uint8_t token_point[static CUSTOS_POINT_SIZE], const char *what, uint8_t ret_point[static CUSTOS_POINT_SIZE],
                                     struct custos_buf *ret_sealed, struct custos_err *err);

#endif
