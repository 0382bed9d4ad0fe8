/* The SSH agent, as far as a login needs it: which keys it holds, and one signature (draft-miller-ssh-agent). */
#ifndef CUSTOS_DEPLOY_AGENT_H
#define CUSTOS_DEPLOY_AGENT_H

#include "base/bytes.h"

/* Picks the key with this "SHA256:…" fingerprint, or with NULL the only one that libssh2 can use (ECDSA, Ed25519). */
CUSTOS_RC custos_agent_choose(const char *socket_path, const char *fingerprint, struct custos_buf *blob, struct custos_err *err);
/* What a courier wants signed must be a login (RFC 4252 7) of this user with this key and nothing else: a broken courier gets no
 * signature under a text of its choice. *ret_session is the session's identifier, borrowed from `data`; whose session it is cannot be
 * seen here. */
CUSTOS_RC custos_agent_check_login(struct custos_bytes data, const char *user, struct custos_bytes blob, struct custos_bytes *ret_session,
                                   struct custos_err *err);
/* `signature` is the SSH signature blob: string algorithm, string blob. */
CUSTOS_RC custos_agent_sign(const char *socket_path, struct custos_bytes blob, struct custos_bytes data, struct custos_buf *signature,
                            struct custos_err *err);

#endif
