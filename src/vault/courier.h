/* Meeting a courier, keeper's side: starting the program that was hashed, and what it must say before it gets anything. */
#ifndef CUSTOS_VAULT_COURIER_H
#define CUSTOS_VAULT_COURIER_H

#include "link/courier.h"
#include "link/spawn.h"

/* *ret_sha256 is of the very file that runs. The helper is the caller's: custos_helper_stop(). */
CUSTOS_RC custos_courier_start(struct custos_helper *ret_helper, uint8_t ret_sha256[static CUSTOS_HASH_SIZE], struct custos_err *err);
/* HELLO: its point, and how it has locked its memory (the caller's to free). One that does not say is refused. */
CUSTOS_RC custos_courier_take_hello(const struct custos_frame *frame, uint8_t ret_point[static CUSTOS_POINT_SIZE], char **ret_memory_backend, struct custos_err *err);

#endif
