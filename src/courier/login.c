/* From a connected socket and what the keeper supplied to a logged-in session. The password stays sealed until here and is in the clear for the
 * length of one login; the key file is read by this process alone. */
#include "courier/courier.h"

#include <errno.h>
#include <sys/stat.h>

enum { HANDSHAKE_MS = 20000, KEY_FILE_MAX = 65536 };

struct reading {
	int fd;
	const char *what;
	custos_rc category;
	size_t got;
};

static custos_rc read_all(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct reading *r = ctx;
	while (r->got < len) {
		ssize_t n = pread(r->fd, bytes + r->got, len - r->got, (off_t)r->got);
		CUSTOS_REQUIRE(n >= 0, err, r->category, "%s cannot be read: %s", r->what, strerror(errno));
		if (n == 0)
			break;
		r->got += (size_t)n;
	}
	return CUSTOS_OK;
}

/* From the start, so that it can be read once more for a second session. */
custos_rc custos_courier_read_file(int fd, const char *what, custos_rc category, struct custos_secret **ret_content, struct custos_err *err)
{
	struct stat st;
	CUSTOS_REQUIRE(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= KEY_FILE_MAX, err, category, "%s is not a file of a key's size", what);
	CUSTOS_AUTO(custos_secret) *content = NULL;
	struct reading r = { .fd = fd, .what = what, .category = category };
	CUSTOS_TRY(custos_secret_new((size_t)st.st_size, &content, err));
	CUSTOS_TRY(custos_secret_expose(content, read_all, &r, err));
	CUSTOS_REQUIRE(r.got > 0, err, category, "%s is empty", what);
	custos_secret_shorten(content, r.got);
	*ret_content = CUSTOS_TAKE(content);
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
		CUSTOS_TRY(custos_courier_read_file(host->key_fd, "the login key", CUSTOS_E_AUTH, &secret, err));
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
