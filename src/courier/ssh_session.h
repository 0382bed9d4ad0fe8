/* What ssh.c, ssh_login.c and ssh_run.c share. Private to this layer. */
#ifndef CUSTOS_COURIER_SSH_SESSION_H
#define CUSTOS_COURIER_SSH_SESSION_H

#include "courier/ssh.h"

#include <libssh2.h>

struct custos_ssh {
	LIBSSH2_SESSION *session;
	int fd;
	struct custos_ssh_options options;
	bool heeds_keeper;                              /* give up when the keeper is gone */
	bool open;                                      /* the handshake was done */
	char *offered;                                  /* ways to log in, safe for display */
	/* during a login */
	const struct custos_ssh_credential *credential;
	unsigned answers;                               /* passwords given to prompts: at most one */
	struct custos_err *login_err;
};

/* Waits until libssh2 can go on. CUSTOS_E_NETWORK, native ETIMEDOUT at the deadline (monotonic ms). */
CUSTOS_RC custos_ssh_wait(struct custos_ssh *ssh, int64_t deadline, struct custos_err *err);
/* An error of libssh2 in plain words. */
custos_rc custos_ssh_fail(struct custos_ssh *ssh, custos_rc rc, const char *doing, struct custos_err *err);
/* libssh2 1.10 signs RSA keys with SHA-1 only. */
CUSTOS_MUST bool custos_ssh_has_rsa_sha2(void);

#endif
