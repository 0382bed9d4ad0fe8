/* From a connected socket and what the keeper supplied to a logged-in session. The password stays sealed until here and is in the clear for the
 * length of one login; the key file is read by this process alone. */
#include "courier/courier.h"

#include <errno.h>
#include <sys/stat.h>

enum { HANDSHAKE_MS = 20000, KEY_FILE_MAX = 65536 };

struct reading {
	int fd;
	size_t got;
};

static custos_rc read_all(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct reading *r = ctx;
	while (r->got < len) {
		ssize_t n = pread(r->fd, bytes + r->got, len - r->got, (off_t)r->got);
		CUSTOS_REQUIRE(n >= 0, err, CUSTOS_E_AUTH, "the login key cannot be read: %s", strerror(errno));
		if (n == 0)
			break;
		r->got += (size_t)n;
	}
	return CUSTOS_OK;
}

/* From the start, so that it can be read once more for a second session. */
static custos_rc read_key_file(int fd, struct custos_secret **ret_key, struct custos_err *err)
{
	struct stat st;
	CUSTOS_REQUIRE(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= KEY_FILE_MAX, err, CUSTOS_E_AUTH, "the login key is not a file of a key's size");
	CUSTOS_AUTO(custos_secret) *key = NULL;
	struct reading r = { .fd = fd };
	CUSTOS_TRY(custos_secret_new((size_t)st.st_size, &key, err));
	CUSTOS_TRY(custos_secret_expose(key, read_all, &r, err));
	CUSTOS_REQUIRE(r.got > 0, err, CUSTOS_E_AUTH, "the login key is empty");
	custos_secret_shorten(key, r.got);
	*ret_key = CUSTOS_TAKE(key);
	return CUSTOS_OK;
}

static custos_rc log_in(struct custos_courier_host *host, struct custos_ssh *ssh, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	struct custos_ssh_credential credential = { 0 };
	switch (host->credential) {
	case CUSTOS_CREDENTIAL_PASSWORD:
		CUSTOS_TRY(custos_unseal(host->courier->ephemeral, host->a.ptr, custos_buf_view(&host->b), &secret, err));
		credential.password = secret;
		break;
	case CUSTOS_CREDENTIAL_KEY_FILE:
		CUSTOS_TRY(read_key_file(host->key_fd, &secret, err));
		credential.key = secret;
		break;
	case CUSTOS_CREDENTIAL_SIGNER:
		credential.blob = custos_buf_view(&host->a);
		credential.sign = custos_courier_ask_signature;
		credential.sign_ctx = host;
		break;
	default: CUSTOS_FAIL(err, CUSTOS_E_AUTH, "no credential was supplied");
	}
	return custos_ssh_login(ssh, &credential, err);
}

custos_rc custos_courier_login(struct custos_courier_host *host, int socket, struct custos_ssh **ret_ssh, struct custos_err *err)
{
	struct custos_ssh_options options = {
		.arena = host->arena, .keeper = &host->courier->channel, .user = host->plan.user, .hostkeys = host->plan.hostkeys,
		.flags = host->plan.ssh_legacy ? CUSTOS_SSH_LEGACY : 0, .timeout_ms = HANDSHAKE_MS,
	};
	CUSTOS_AUTO(custos_ssh) *ssh = NULL;
	CUSTOS_TRY(custos_ssh_open(socket, &options, &ssh, err));
	CUSTOS_TRY(log_in(host, ssh, err));
	*ret_ssh = CUSTOS_TAKE(ssh);
	return CUSTOS_OK;
}
