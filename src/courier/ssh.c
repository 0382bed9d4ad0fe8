/* Sessions: locked memory for libssh2, explicit algorithms, the pinned host key. Nothing is authenticated in this file; must never go on
 * with a host key that is not pinned, and there is no flag to make it. */
#include "courier/ssh_session.h"

#include "base/clock.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/verify.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

enum { KEEP_ALIVE_S = 30, PART_MS = 2000 };

custos_rc custos_ssh_start(struct custos_err *err)
{
	CUSTOS_REQUIRE(libssh2_init(LIBSSH2_INIT_NO_CRYPTO) == 0, err, CUSTOS_E_SYSTEM, "libssh2 cannot be started");
	return CUSTOS_OK;
}

/* ---- libssh2's memory ---- */

static void *allocate(size_t count, void **abstract)
{
	struct custos_ssh *ssh = *abstract;
	return custos_arena_alloc(ssh->options.arena, count);
}

static void *reallocate(void *p, size_t count, void **abstract)
{
	struct custos_ssh *ssh = *abstract;
	return custos_arena_realloc(ssh->options.arena, p, count);
}

static void release(void *p, void **abstract)
{
	struct custos_ssh *ssh = *abstract;
	custos_arena_release(ssh->options.arena, p);
}

/* ---- waiting and failing ---- */

custos_rc custos_ssh_wait(struct custos_ssh *ssh, int64_t deadline, struct custos_err *err)
{
	int directions = libssh2_session_block_directions(ssh->session);
	short events = 0;
	if ((directions & LIBSSH2_SESSION_BLOCK_OUTBOUND) != 0)
		events |= POLLOUT;
	if ((directions & LIBSSH2_SESSION_BLOCK_INBOUND) != 0 || events == 0)
		events |= POLLIN;
	struct pollfd fds[2] = { { .fd = ssh->fd, .events = events }, { .fd = ssh->heeds_keeper ? ssh->options.keeper->fd : -1, .events = POLLRDHUP } };
	int64_t left = deadline - custos_clock_monotonic_ms();
	/* not asked for at all when the time is over: a host that never stops sending would never be late */
	int n = left > 0 ? poll(fds, 2, (int)left) : 0;
	if (n < 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_NETWORK, errno, "cannot wait for the host: %s", strerror(errno));
	if (n == 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_NETWORK, ETIMEDOUT, "the host did not answer in time");
	if (fds[1].revents != 0)
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_NETWORK, ECANCELED, "the keeper is gone");
	return CUSTOS_OK;
}

custos_rc custos_ssh_fail(struct custos_ssh *ssh, custos_rc rc, const char *doing, struct custos_err *err)
{
	char *said = NULL;
	int len = 0, native = libssh2_session_last_error(ssh->session, &said, &len, 0);
	CUSTOS_AUTO_STR *safe = custos_text_safe(CUSTOS_BYTES(said, said == NULL || len < 0 ? 0 : (size_t)len), 160);
	return custos_err_set(err, rc, native, "%s: %s", doing, safe == NULL || safe[0] == '\0' ? "unknown error" : safe);
}

bool custos_ssh_has_rsa_sha2(void)
{
	return libssh2_version(0x010b00) != NULL;
}

/* ---- algorithms ---- */

static bool is_among(const char *name, size_t len, const char *const *known, int count)
{
	for (int i = 0; i < count; i++)
		if (strlen(known[i]) == len && memcmp(known[i], name, len) == 0)
			return true;
	return false;
}

/* Those of the wanted names that this libssh2 has: 1.10 moves memory over itself when it has to drop one from the middle. */
static custos_rc keep_known(struct custos_ssh *ssh, int method, const char *wanted, struct custos_buf *list, struct custos_err *err)
{
	const char **known = NULL;
	int count = libssh2_session_supported_algs(ssh->session, method, &known);
	custos_rc rc = CUSTOS_OK;
	for (const char *at = wanted; *at != '\0' && rc == CUSTOS_OK;) {
		size_t len = strcspn(at, ",");
		if (count <= 0 || is_among(at, len, known, count))
			rc = custos_buf_printf(list, err, "%s%.*s", list->len == 0 ? "" : ",", (int)len, at);
		at += len + (at[len] == ',');
	}
	if (known != NULL)
		libssh2_free(ssh->session, known);
	return rc;
}

/* Finite-field key exchange is left out: libssh2 1.10 does not check the peer's value. No CBC, no SHA-1, and no ChaCha20 or ETM, which the Terrapin
 * attack needs. */
static custos_rc prefer(struct custos_ssh *ssh, struct custos_err *err)
{
	bool legacy = (ssh->options.flags & CUSTOS_SSH_LEGACY) != 0;
	const struct {
		int method;
		const char *modern, *legacy;
	} rows[] = {
		{ LIBSSH2_METHOD_KEX, "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521",
		  "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group14-sha256,diffie-hellman-group14-sha1" },
		{ LIBSSH2_METHOD_HOSTKEY, "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-512,rsa-sha2-256",
		  "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,ssh-ed25519,rsa-sha2-512,rsa-sha2-256,ssh-rsa" },
		{ LIBSSH2_METHOD_CRYPT_CS, "aes256-ctr,aes192-ctr,aes128-ctr", NULL },
		{ LIBSSH2_METHOD_CRYPT_SC, "aes256-ctr,aes192-ctr,aes128-ctr", NULL },
		{ LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256,hmac-sha2-512", "hmac-sha2-256,hmac-sha2-512,hmac-sha1" },
		{ LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256,hmac-sha2-512", "hmac-sha2-256,hmac-sha2-512,hmac-sha1" },
		{ LIBSSH2_METHOD_COMP_CS, "none", NULL },
		{ LIBSSH2_METHOD_COMP_SC, "none", NULL },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CUSTOS_AUTO_BUF list = { 0 };
		CUSTOS_TRY(keep_known(ssh, rows[i].method, legacy && rows[i].legacy != NULL ? rows[i].legacy : rows[i].modern, &list, err));
		if (list.len == 0 || libssh2_session_method_pref(ssh->session, rows[i].method, (const char *)list.ptr) != 0)
			return custos_ssh_fail(ssh, CUSTOS_E_SYSTEM, "libssh2 lacks an algorithm", err);
	}
	return CUSTOS_OK;
}

static custos_rc shake_hands(struct custos_ssh *ssh, struct custos_err *err)
{
	int64_t deadline = custos_clock_monotonic_ms() + ssh->options.timeout_ms;
	int rc;
	while ((rc = libssh2_session_handshake(ssh->session, ssh->fd)) == LIBSSH2_ERROR_EAGAIN)
		CUSTOS_TRY(custos_ssh_wait(ssh, deadline, err));
	if (rc == 0) {
		ssh->open = true;
		return CUSTOS_OK;
	}
	custos_rc failed = custos_ssh_fail(ssh, CUSTOS_E_NETWORK, "SSH handshake failed", err);
	if (rc == LIBSSH2_ERROR_KEX_FAILURE || rc == LIBSSH2_ERROR_METHOD_NONE || rc == LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE)
		custos_err_hint(err, "%s", (ssh->options.flags & CUSTOS_SSH_LEGACY) != 0
		                ? "host and custos share no algorithms; give the host an ECDSA host key"
		                : "host and custos may share no algorithms: an old host needs --ssh-legacy, a newer one an ECDSA or Ed25519 host key");
	return failed;
}

/* ---- the pin ---- */

static const char *type_name(int type)
{
	switch (type) {
	case LIBSSH2_HOSTKEY_TYPE_RSA: return "RSA";
	case LIBSSH2_HOSTKEY_TYPE_ECDSA_256: return "ECDSA P-256";
	case LIBSSH2_HOSTKEY_TYPE_ECDSA_384: return "ECDSA P-384";
	case LIBSSH2_HOSTKEY_TYPE_ECDSA_521: return "ECDSA P-521";
	case LIBSSH2_HOSTKEY_TYPE_ED25519: return "Ed25519";
	default: return "unknown";
	}
}

static bool is_pinned(const char *pins, const char *fingerprint)
{
	size_t want = strlen(fingerprint);
	while (*pins != '\0') {
		size_t len = strcspn(pins, " ");
		if (len == want && memcmp(pins, fingerprint, len) == 0)
			return true;
		pins += len;
		pins += strspn(pins, " ");
	}
	return false;
}

static custos_rc present_host_key(struct custos_ssh *ssh, char fingerprint[static CUSTOS_SSH_FINGERPRINT], int *ret_type, struct custos_err *err)
{
	size_t len = 0;
	const char *blob = libssh2_session_hostkey(ssh->session, &len, ret_type);
	CUSTOS_REQUIRE(blob != NULL && len > 0, err, CUSTOS_E_NETWORK, "the host presented no host key");
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_sha256(CUSTOS_BYTES(blob, len), hash, err));
	CUSTOS_AUTO_BUF text = { 0 };
	CUSTOS_TRY(custos_base64_encode(CUSTOS_BYTES(hash, sizeof hash), &text, err));
	size_t digits = text.len;
	while (digits > 0 && text.ptr[digits - 1] == '=')
		digits--;
	snprintf(fingerprint, CUSTOS_SSH_FINGERPRINT, "SHA256:%.*s", (int)digits, (const char *)text.ptr);
	return CUSTOS_OK;
}

static custos_rc check_host_key(struct custos_ssh *ssh, struct custos_err *err)
{
	char fingerprint[CUSTOS_SSH_FINGERPRINT];
	int type = 0;
	CUSTOS_TRY(present_host_key(ssh, fingerprint, &type, err));
	if (is_pinned(ssh->options.hostkeys, fingerprint))
		return CUSTOS_OK;
	if (ssh->options.hostkeys[0] == '\0')
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "compare it with the host's console, then pin it", "host key %s (%s) is presented and none is pinned", fingerprint, type_name(type));
	CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY,
	                 "nothing was sent to this host; compare with its console (ssh-keygen -lf on the host's public key file) and only if they agree remove the target and add it with the new key",
	                 "host key %s (%s) is not the pinned one (%.200s)", fingerprint, type_name(type), ssh->options.hostkeys);
}

/* ---- open and close ---- */

void custos_ssh_free(struct custos_ssh *ssh)
{
	if (ssh == NULL)
		return;
	ssh->heeds_keeper = false;
	int64_t deadline = custos_clock_monotonic_ms() + PART_MS;
	if (ssh->session != NULL) {
		while (ssh->open && libssh2_session_disconnect(ssh->session, "done") == LIBSSH2_ERROR_EAGAIN)
			if (custos_ssh_wait(ssh, deadline, NULL) != CUSTOS_OK)
				break;
		while (libssh2_session_free(ssh->session) == LIBSSH2_ERROR_EAGAIN)
			if (custos_ssh_wait(ssh, deadline, NULL) != CUSTOS_OK)
				break; /* the arena is wiped anyway */
	}
	if (ssh->fd >= 0)
		close(ssh->fd);
	free(ssh->offered);
	free(ssh);
}

/* A session after its handshake, its host key not looked at yet. Takes the socket. */
static custos_rc meet(int fd, const struct custos_ssh_options *options, struct custos_ssh **ret_ssh, struct custos_err *err)
{
	CUSTOS_AUTO(custos_ssh) *ssh = calloc(1, sizeof *ssh);
	if (ssh == NULL) {
		close(fd);
		CUSTOS_FAIL(err, CUSTOS_E_SYSTEM, "out of memory");
	}
	ssh->fd = fd;
	ssh->options = *options;
	ssh->heeds_keeper = true;
	ssh->session = libssh2_session_init_ex(allocate, release, reallocate, ssh);
	CUSTOS_REQUIRE(ssh->session != NULL, err, CUSTOS_E_SYSTEM, "locked memory for an SSH session is used up");
	libssh2_session_set_blocking(ssh->session, 0);
	CUSTOS_TRY(prefer(ssh, err));
	CUSTOS_TRY(shake_hands(ssh, err));
	*ret_ssh = CUSTOS_TAKE(ssh);
	return CUSTOS_OK;
}

custos_rc custos_ssh_open(int fd, const struct custos_ssh_options *options, struct custos_ssh **ret_ssh, struct custos_err *err)
{
	CUSTOS_AUTO(custos_ssh) *ssh = NULL;
	CUSTOS_TRY(meet(fd, options, &ssh, err));
	CUSTOS_TRY(check_host_key(ssh, err));
	*ret_ssh = CUSTOS_TAKE(ssh);
	return CUSTOS_OK;
}

custos_rc custos_ssh_scan(int fd, const struct custos_ssh_options *options, char ret_fingerprint[static CUSTOS_SSH_FINGERPRINT], char **ret_banner, struct custos_err *err)
{
	CUSTOS_AUTO(custos_ssh) *ssh = NULL;
	int type = 0;
	CUSTOS_TRY(meet(fd, options, &ssh, err));
	CUSTOS_TRY(present_host_key(ssh, ret_fingerprint, &type, err));
	const char *banner = libssh2_session_banner_get(ssh->session);
	*ret_banner = custos_text_safe(CUSTOS_BYTES(banner, banner == NULL ? 0 : strlen(banner)), 128);
	CUSTOS_REQUIRE(*ret_banner != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

void custos_ssh_keep_alive(struct custos_ssh *ssh)
{
	int next;
	libssh2_keepalive_config(ssh->session, 0, KEEP_ALIVE_S);
	(void)libssh2_keepalive_send(ssh->session, &next); /* a failure shows with the next command */
}
