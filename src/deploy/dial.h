/* Names and sockets: the keeper connects, the courier gets the descriptor. */
#ifndef CUSTOS_DEPLOY_DIAL_H
#define CUSTOS_DEPLOY_DIAL_H

#include "base/bytes.h"

/* Connects to "HOST:PORT", "HOST" or "[V6]:PORT" within timeout_ms, TCP_NODELAY set. CUSTOS_E_NETWORK names the address and the reason. */
CUSTOS_RC custos_dial(const char *address, const char *default_port, int timeout_ms, int *ret_fd, struct custos_err *err);

#endif
