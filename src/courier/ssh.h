/* One SSH session over a connected socket, on a locked heap. The only code that sees libssh2.
 *
 * Every call waits in one place with a deadline, on the socket and on the keeper's channel. A host key is compared with the pins before
 * anything is authenticated; a login is tried once. CUSTOS_E_NETWORK means that the session is of no further use. */
#ifndef CUSTOS_COURIER_SSH_H
#define CUSTOS_COURIER_SSH_H

#include "link/channel.h"
#include "memory/arena.h"
#include "memory/secret.h"

struct custos_ssh;

enum custos_ssh_flags { CUSTOS_SSH_LEGACY = 1u << 0 }; /* ssh-rsa host keys and group 14 key exchange, for ESXi 6.x */

struct custos_ssh_options {
	struct custos_arena *arena;           /* of this session alone; must outlive it */
	const struct custos_channel *keeper;  /* its end ends whatever happens before the login is done */
	const char *user;
	const char *hostkeys;                 /* space-separated SHA256:… pins */
	unsigned flags;
	int timeout_ms;                       /* for the handshake, and again for the login */
};

/* Once in a process, before the first session. */
CUSTOS_RC custos_ssh_start(struct custos_err *err);
/* Takes the socket, also when it fails. CUSTOS_E_POLICY: the host key is not a pinned one (both fingerprints are named). */
CUSTOS_RC custos_ssh_open(int fd, const struct custos_ssh_options *options, struct custos_ssh **ret_ssh, struct custos_err *err);
/* The same handshake, but the host key is told and not judged, and the session is at its end. *ret_banner, made safe for display, is the caller's to free. */
enum { CUSTOS_SSH_FINGERPRINT = 64 };
CUSTOS_RC custos_ssh_scan(int fd, const struct custos_ssh_options *options, char ret_fingerprint[static CUSTOS_SSH_FINGERPRINT], char **ret_banner, struct custos_err *err);
void custos_ssh_free(struct custos_ssh *ssh);
CUSTOS_DEFINE_FREEP(custos_ssh);

struct custos_ssh_credential {
	struct custos_secret *password;       /* keyboard-interactive, or `password` where only that is offered */
	struct custos_secret *key;            /* OpenSSH or PEM private key without pass phrase */
	struct custos_bytes blob;             /* public key blob (RFC 4253 6.6) of a key that somebody else signs with: */
	CUSTOS_MUST custos_rc (*sign)(void *ctx, struct custos_bytes data, struct custos_buf *signature, struct custos_err *err);
	void *sign_ctx;
};
/* Exactly one of the three is set. One attempt. CUSTOS_E_AUTH when the host refuses. */
CUSTOS_RC custos_ssh_login(struct custos_ssh *ssh, const struct custos_ssh_credential *credential, struct custos_err *err);

/* The ways to log in that the host offered, separated by commas and safe for display; NULL before a login. */
const char *custos_ssh_offered(const struct custos_ssh *ssh);

enum { CUSTOS_SSH_OUTPUT_MAX = 64 * 1024 };
struct custos_ssh_result {
	struct custos_buf out, complaints;    /* at most CUSTOS_SSH_OUTPUT_MAX each; more is read and dropped */
	bool timed_out;                       /* the command had not come to its end; the session is still good */
};
void custos_ssh_result_done(struct custos_ssh_result *result);

struct custos_ssh_command {
	const char *command;
	const char *end_mark;                 /* a line that starts so is the last one; NULL: read to the end */
	struct custos_bytes input;            /* public standard input … */
	struct custos_secret *secret_input;   /* … or a secret one; at most one of the two */
	int timeout_ms;
};
CUSTOS_RC custos_ssh_run(struct custos_ssh *ssh, const struct custos_ssh_command *command, struct custos_ssh_result *ret_result, struct custos_err *err);
/* Called now and then while nothing runs, so that the host does not hang up. */
void custos_ssh_keep_alive(struct custos_ssh *ssh);

#endif
