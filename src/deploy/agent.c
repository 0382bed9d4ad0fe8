/* Two requests of the agent protocol. What the agent says is bounded and checked; it never sees a key of ours. */
#include "deploy/agent.h"
#include "base/wire.h"
#include "crypto/digest.h"
#include "crypto/verify.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { REQUEST_IDENTITIES = 11, IDENTITIES_ANSWER = 12, SIGN_REQUEST = 13, SIGN_RESPONSE = 14, ANSWER_MAX = 262144, TIMEOUT_MS = 60000 };

static custos_rc connect_agent(const char *path, int *ret_fd, struct custos_err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	/* an empty path would be an abstract address, at which anybody may listen */
	if (path == NULL || path[0] == '\0')
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "start one and add a key, or choose another --auth for the target",
		                 "there is no SSH agent: SSH_AUTH_SOCK is not set");
	CUSTOS_REQUIRE(strlen(path) < sizeof to.sun_path, err, CUSTOS_E_INPUT, "the path of the SSH agent is too long");
	snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
	CUSTOS_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CUSTOS_REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, err, CUSTOS_E_AUTH,
	               "cannot reach the SSH agent at %s: %s", path, strerror(errno));
	*ret_fd = custos_take_fd(&fd);
	return CUSTOS_OK;
}

static custos_rc read_all(int fd, uint8_t *to, size_t len, struct custos_err *err)
{
	while (len > 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		CUSTOS_REQUIRE(poll(&p, 1, TIMEOUT_MS) > 0, err, CUSTOS_E_AUTH, "the SSH agent does not answer");
		ssize_t n = read(fd, to, len);
		CUSTOS_REQUIRE(n > 0, err, CUSTOS_E_AUTH, "the SSH agent hung up");
		to += n;
		len -= (size_t)n;
	}
	return CUSTOS_OK;
}

static custos_rc ask(const char *path, const struct custos_buf *request, uint8_t expected, struct custos_buf *answer, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = -1;
	uint8_t head[4], *body;
	CUSTOS_TRY(connect_agent(path, &fd, err));
	/* one message: an agent that answers early must not leave us writing to nobody */
	CUSTOS_AUTO_BUF message = { 0 };
	struct custos_wire_out w = { .buf = &message, .err = err };
	custos_wire_put_bytes(&w, custos_buf_view(request));
	CUSTOS_TRY(w.rc);
	CUSTOS_REQUIRE(send(fd, message.ptr, message.len, MSG_NOSIGNAL) == (ssize_t)message.len, err, CUSTOS_E_AUTH, "the SSH agent hung up");
	CUSTOS_TRY(read_all(fd, head, sizeof head, err));
	size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	CUSTOS_REQUIRE(len >= 1 && len <= ANSWER_MAX, err, CUSTOS_E_AUTH, "the SSH agent sent nonsense");
	answer->max = ANSWER_MAX;
	CUSTOS_TRY(custos_buf_extend(answer, len, &body, err));
	CUSTOS_TRY(read_all(fd, body, len, err));
	if (body[0] != expected)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "is the agent locked, or does it ask for confirmation?", "the SSH agent refused");
	return CUSTOS_OK;
}

/* Plain keys only: a certificate of the same key must not make the choice ambiguous. */
static bool usable(struct custos_bytes blob)
{
	static const char *const types[] = { "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521" };
	struct custos_wire r = custos_wire_read(blob);
	struct custos_bytes type = custos_wire_bytes(&r);
	for (size_t i = 0; i < sizeof types / sizeof *types && !r.failed; i++)
		if (custos_bytes_equal(type, CUSTOS_BYTES_STR(types[i])))
			return true;
	return false;
}

static custos_rc has_fingerprint(struct custos_bytes blob, const char *fingerprint, bool *ret, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_BUF text = { 0 };
	CUSTOS_TRY(custos_sha256(blob, hash, err));
	CUSTOS_TRY(custos_base64_encode(CUSTOS_BYTES(hash, sizeof hash), &text, err));
	while (text.len > 0 && text.ptr[text.len - 1] == '=')
		text.ptr[--text.len] = '\0';
	*ret = strncmp(fingerprint, "SHA256:", 7) == 0 && strcmp(fingerprint + 7, (char *)text.ptr) == 0;
	return CUSTOS_OK;
}

custos_rc custos_agent_choose(const char *path, const char *fingerprint, struct custos_buf *blob, struct custos_err *err)
{
	CUSTOS_AUTO_BUF request = { 0 };
	CUSTOS_AUTO_BUF answer = { 0 };
	struct custos_wire_out w = { .buf = &request, .err = err };
	custos_wire_put_u8(&w, REQUEST_IDENTITIES);
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(ask(path, &request, IDENTITIES_ANSWER, &answer, err));
	struct custos_wire r = custos_wire_read(CUSTOS_BYTES(answer.ptr + 1, answer.len - 1));
	struct custos_bytes chosen = { 0 };
	size_t found = 0;
	for (uint32_t left = custos_wire_u32(&r); left > 0 && !r.failed; left--) {
		struct custos_bytes key = custos_wire_bytes(&r), comment = custos_wire_bytes(&r);
		bool wanted = usable(key);
		(void)comment;
		if (r.failed)
			break;
		if (fingerprint != NULL)
			CUSTOS_TRY(has_fingerprint(key, fingerprint, &wanted, err));
		if (wanted && found++ == 0)
			chosen = key;
	}
	CUSTOS_TRY(custos_wire_end(&r, "SSH agent", err));
	if (found == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "add an ECDSA or Ed25519 key with ssh-add", "the SSH agent does not hold %s",
		                 fingerprint != NULL ? fingerprint : "a key that can be used");
	if (found > 1)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "say which with --auth agent:SHA256:…; only one login is tried",
		                 "the SSH agent holds %zu keys that could be used", found);
	return custos_buf_append(blob, chosen.ptr, chosen.len, err);
}

/* An RSA key signs under other names than its own (RFC 8332 3); a longer name that only begins like one of these is none. */
static bool is_algorithm_of(struct custos_bytes kind, struct custos_bytes algorithm)
{
	if (!custos_bytes_equal(kind, CUSTOS_BYTES_STR("ssh-rsa")))
		return custos_bytes_equal(algorithm, kind);
	return custos_bytes_equal(algorithm, CUSTOS_BYTES_STR("rsa-sha2-256")) || custos_bytes_equal(algorithm, CUSTOS_BYTES_STR("rsa-sha2-512"));
}

custos_rc custos_agent_check_login(struct custos_bytes data, const char *user, struct custos_bytes blob, struct custos_bytes *ret_session,
                                   struct custos_err *err)
{
	enum { USERAUTH_REQUEST = 50 };
	struct custos_wire r = custos_wire_read(data), key = custos_wire_read(blob);
	struct custos_bytes session = custos_wire_bytes(&r);
	uint8_t type = custos_wire_u8(&r);
	struct custos_bytes who = custos_wire_bytes(&r), service = custos_wire_bytes(&r), method = custos_wire_bytes(&r);
	uint8_t has_signature = custos_wire_u8(&r);
	struct custos_bytes algorithm = custos_wire_bytes(&r), with = custos_wire_bytes(&r), kind = custos_wire_bytes(&key);
	CUSTOS_TRY(custos_wire_end(&r, "login", err));
	/* the session's hash: SHA-1 of old hosts, SHA-2 up to 512 bits of the others */
	bool login = session.len >= 20 && session.len <= 64 && type == USERAUTH_REQUEST && has_signature == 1 &&
	             custos_bytes_equal(service, CUSTOS_BYTES_STR("ssh-connection")) &&
	             custos_bytes_equal(method, CUSTOS_BYTES_STR("publickey"));
	CUSTOS_REQUIRE(login, err, CUSTOS_E_POLICY, "what the courier wants signed is no login");
	CUSTOS_REQUIRE(custos_bytes_equal(who, CUSTOS_BYTES_STR(user)), err, CUSTOS_E_POLICY,
	               "the courier wants to log in as another user than %s", user);
	bool fits = !key.failed && custos_bytes_equal(with, blob) && is_algorithm_of(kind, algorithm);
	CUSTOS_REQUIRE(fits, err, CUSTOS_E_POLICY, "the courier wants to log in with another key");
	*ret_session = session;
	return CUSTOS_OK;
}

custos_rc custos_agent_sign(const char *path, struct custos_bytes blob, struct custos_bytes data, struct custos_buf *signature,
                            struct custos_err *err)
{
	CUSTOS_AUTO_BUF request = { 0 };
	CUSTOS_AUTO_BUF answer = { 0 };
	struct custos_wire_out w = { .buf = &request, .err = err };
	custos_wire_put_u8(&w, SIGN_REQUEST);
	custos_wire_put_bytes(&w, blob);
	custos_wire_put_bytes(&w, data);
	custos_wire_put_u32(&w, 0);
	CUSTOS_TRY(w.rc);
	CUSTOS_TRY(ask(path, &request, SIGN_RESPONSE, &answer, err));
	struct custos_wire r = custos_wire_read(CUSTOS_BYTES(answer.ptr + 1, answer.len - 1));
	struct custos_bytes made = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "SSH agent", err));
	return custos_buf_append(signature, made.ptr, made.len, err);
}
