/* What a TLS server presents on a connected socket. Nothing is judged here: the chain is fetched, whatever it is, and handed to whoever holds the
 * trust anchors. */
#ifndef CUSTOS_CRYPTO_SERVED_H
#define CUSTOS_CRYPTO_SERVED_H

#include "base/bytes.h"

enum { CUSTOS_SERVED_MAX = 10 };
struct custos_served {
	size_t count;
	struct custos_buf der[CUSTOS_SERVED_MAX];  /* leaf first, as served */
};
void custos_served_done(struct custos_served *served);
/* Full handshake (so that the server has proven its key), then closes TLS; `fd` stays the caller's. CUSTOS_E_NETWORK with a plain reason otherwise. `sni` may be NULL. */
CUSTOS_RC custos_served_fetch(int fd, const char *sni, int timeout_ms, struct custos_served *ret_served, struct custos_err *err);

#endif
