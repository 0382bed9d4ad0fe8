/* The requests of custos-token, one at a time. */
#ifndef CUSTOS_TOKEN_SERVE_H
#define CUSTOS_TOKEN_SERVE_H

#include "link/token.h"
#include "token/session.h"

/* Answers requests until the channel closes (CUSTOS_OK) or the keeper breaks the protocol. `softhsm_conf` is SoftHSM's configuration in force. */
CUSTOS_RC custos_serve(struct custos_channel *channel, const char *softhsm_conf, struct custos_err *err);

#endif
