/* Logins: one attempt, of the kind the target is set up for, and only what the host offers. ESXi locks root out after a few failures, so nothing
 * is ever tried twice or guessed. The password and the key are exposed to libssh2 alone, which copies them into its locked arena. */
#include "courier/ssh_session.h"

#include "base/clock.h"
#include "base/text.h"
#include "crypto/verify.h"

#include <stdio.h>

static custos_rc refused(struct custos_ssh *ssh, const char *how, struct custos_err *err)
{
	custos_rc rc = custos_err_set(err, CUSTOS_E_AUTH, libssh2_session_last_errno(ssh->session), "the host refused the login of %s by %s", ssh->options.user, how);
	custos_err_hint(err, "one attempt was made and counts towards a lock-out; check the account, lockdown mode, and on the host who may log in");
	return rc;
}

/* The end of an attempt: done, refused, or the connection broke. */
static custos_rc conclude(struct custos_ssh *ssh, int rc, const char *how, struct custos_err *err)
{
	if (rc == 0)
		return CUSTOS_OK;
	bool broken = rc == LIBSSH2_ERROR_SOCKET_DISCONNECT || rc == LIBSSH2_ERROR_SOCKET_SEND || rc == LIBSSH2_ERROR_SOCKET_RECV || rc == LIBSSH2_ERROR_TIMEOUT;
	if (broken)
		return custos_ssh_fail(ssh, CUSTOS_E_NETWORK, "the connection broke during the login", err);
	return refused(ssh, how, err);
}

/* ---- what the host offers ---- */

static custos_rc ask_methods(struct custos_ssh *ssh, int64_t deadline, char **ret_list, struct custos_err *err)
{
	char *list;
	size_t len = strlen(ssh->options.user);
	while ((list = libssh2_userauth_list(ssh->session, ssh->options.user, (unsigned)len)) == NULL && libssh2_session_last_errno(ssh->session) == LIBSSH2_ERROR_EAGAIN)
		CUSTOS_TRY(custos_ssh_wait(ssh, deadline, err));
	if (list == NULL && libssh2_userauth_authenticated(ssh->session) == 0)
		return custos_ssh_fail(ssh, CUSTOS_E_NETWORK, "the host does not say how to log in", err);
	/* NULL and authenticated: the host lets everybody in, and has; nothing is to be proven to it */
	*ret_list = custos_text_safe(CUSTOS_BYTES_STR(list == NULL ? "none" : list), 200);
	CUSTOS_REQUIRE(*ret_list != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

const char *custos_ssh_offered(const struct custos_ssh *ssh)
{
	return ssh->offered;
}

static bool offers(const char *list, const char *method)
{
	size_t want = strlen(method);
	for (const char *p = list; *p != '\0'; p += strspn(p, ",")) {
		size_t len = strcspn(p, ",");
		if (len == want && memcmp(p, method, len) == 0)
			return true;
		p += len;
	}
	return false;
}

static custos_rc not_offered(const char *list, const char *wanted, struct custos_err *err)
{
	CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "set the target up for one of these, or allow it on the host; no attempt was made", "the host does not offer %s (it offers %s)", wanted, list);
}

/* ---- password ---- */

struct response {
	struct custos_ssh *ssh;
	LIBSSH2_USERAUTH_KBDINT_RESPONSE *to;
};

static custos_rc fill(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct response *r = ctx;
	r->to->text = custos_arena_alloc(r->ssh->options.arena, len);
	CUSTOS_REQUIRE(r->to->text != NULL, err, CUSTOS_E_SYSTEM, "locked memory for an SSH session is used up");
	memcpy(r->to->text, bytes, len);
	r->to->length = (unsigned)len;
	return CUSTOS_OK;
}

/* Called once with the prompt and once more with none. Only the first prompt without echo is answered: what a second one asks for is no password. */
static void answer(const char *name, int name_len, const char *instruction, int instruction_len, int num_prompts, const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts,
                   LIBSSH2_USERAUTH_KBDINT_RESPONSE *responses, void **abstract)
{
	(void)name, (void)name_len, (void)instruction, (void)instruction_len;
	struct custos_ssh *ssh = *abstract;
	for (int i = 0; i < num_prompts; i++) {
		struct response to = { .ssh = ssh, .to = &responses[i] };
		if (prompts[i].echo != 0 || ssh->answers != 0)
			continue;
		ssh->answers++;
		if (custos_secret_expose(ssh->credential->password, fill, &to, ssh->login_err) != CUSTOS_OK)
			return; /* an empty answer is refused by the host, and login_err says why */
	}
}

static custos_rc by_prompts(struct custos_ssh *ssh, int64_t deadline, struct custos_err *err)
{
	int rc;
	size_t len = strlen(ssh->options.user);
	while ((rc = libssh2_userauth_keyboard_interactive_ex(ssh->session, ssh->options.user, (unsigned)len, answer)) == LIBSSH2_ERROR_EAGAIN)
		CUSTOS_TRY(custos_ssh_wait(ssh, deadline, err));
	return conclude(ssh, rc, "password (keyboard-interactive)", err);
}

struct attempt {
	struct custos_ssh *ssh;
	int64_t deadline;
};

static custos_rc by_password(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct attempt *a = ctx;
	int rc;
	size_t user = strlen(a->ssh->options.user);
	while ((rc = libssh2_userauth_password_ex(a->ssh->session, a->ssh->options.user, (unsigned)user, (const char *)bytes, (unsigned)len, NULL)) == LIBSSH2_ERROR_EAGAIN)
		CUSTOS_TRY(custos_ssh_wait(a->ssh, a->deadline, err));
	return conclude(a->ssh, rc, "password", err);
}

/* ---- keys ---- */

static custos_rc refuse_rsa(const struct custos_ssh *ssh, struct custos_err *err)
{
	if (custos_ssh_has_rsa_sha2() || (ssh->options.flags & CUSTOS_SSH_LEGACY) != 0)
		return CUSTOS_OK;
	CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "use an ECDSA P-256 login key: ssh-keygen -t ecdsa -b 256", "this libssh2 signs logins by RSA keys with SHA-1 only, which hosts refuse");
}

/* The head of a key file, up to its type: public in each of the forms. */
static custos_rc check_key_text(const struct custos_ssh *ssh, const char *text, size_t len, struct custos_err *err)
{
	static const char openssh[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n", pkcs8[] = "-----BEGIN PRIVATE KEY-----\n";
	static const uint8_t rsa_oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
	enum { HEAD_OPENSSH = 68, HEAD_PKCS8 = 28, TYPE_AT = 47 };
	CUSTOS_AUTO_BUF head = { 0 };
	struct custos_err ignored = { 0 };
	if (len > 30 && memcmp(text, "-----BEGIN RSA PRIVATE KEY-----", 30) == 0)
		return refuse_rsa(ssh, err);
	if (len > sizeof openssh + HEAD_OPENSSH && memcmp(text, openssh, sizeof openssh - 1) == 0) {
		if (custos_base64_decode(text + sizeof openssh - 1, HEAD_OPENSSH, &head, &ignored) != CUSTOS_OK)
			return CUSTOS_OK; /* libssh2 will say what is wrong */
		if (head.len > 23 && memcmp(head.ptr + 19, "none", 4) != 0)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "use the agent for it, or a key file without pass phrase", "the login key has a pass phrase");
		if (head.len >= TYPE_AT + 4 && memcmp(head.ptr + TYPE_AT - 4, "\0\0\0\7", 4) == 0) /* 7: "ssh-rsa" */
			return refuse_rsa(ssh, err);
	} else if (len > sizeof pkcs8 + HEAD_PKCS8 && memcmp(text, pkcs8, sizeof pkcs8 - 1) == 0) {
		if (custos_base64_decode(text + sizeof pkcs8 - 1, HEAD_PKCS8, &head, &ignored) == CUSTOS_OK && memmem(head.ptr, head.len, rsa_oid, sizeof rsa_oid) != NULL)
			return refuse_rsa(ssh, err);
	} else if (memmem(text, len < 200 ? len : 200, "ENCRYPTED", 9) != NULL) {
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "use the agent for it, or a key file without pass phrase", "the login key has a pass phrase");
	}
	return CUSTOS_OK;
}

/* The pass phrase is "" and not NULL: libssh2 would take strlen(NULL) for a key that has one. */
static custos_rc by_key(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct attempt *a = ctx;
	struct custos_ssh *ssh = a->ssh;
	int rc;
	CUSTOS_TRY(check_key_text(ssh, (const char *)bytes, len, err));
	size_t user = strlen(ssh->options.user);
	while ((rc = libssh2_userauth_publickey_frommemory(ssh->session, ssh->options.user, user, NULL, 0, (const char *)bytes, len, "")) == LIBSSH2_ERROR_EAGAIN)
		CUSTOS_TRY(custos_ssh_wait(ssh, a->deadline, err));
	if (rc == LIBSSH2_ERROR_FILE || rc == LIBSSH2_ERROR_METHOD_NOT_SUPPORTED)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_AUTH, "it must be an OpenSSH or PEM private key without pass phrase, ECDSA or Ed25519", "the login key cannot be used");
	return conclude(ssh, rc, "public key", err);
}

/* LOGIN_SIGNATURE is string algorithm, string blob; libssh2 wants the inner blob. */
static custos_rc inner_blob(struct custos_bytes signature, struct custos_bytes *ret_blob, struct custos_err *err)
{
	CUSTOS_REQUIRE(signature.len > 0, err, CUSTOS_E_AUTH, "the signature for the login was refused on this side");
	struct custos_wire r = custos_wire_read(signature);
	(void)custos_wire_bytes(&r);
	*ret_blob = custos_wire_bytes(&r);
	return custos_wire_end(&r, "login signature", err);
}

static custos_rc sign_for(struct custos_ssh *ssh, struct custos_bytes data, unsigned char **ret_sig, size_t *ret_len, struct custos_err *err)
{
	CUSTOS_AUTO_BUF signature = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_bytes blob;
	CUSTOS_TRY(ssh->credential->sign(ssh->credential->sign_ctx, data, &signature, err));
	CUSTOS_TRY(inner_blob(custos_buf_view(&signature), &blob, err));
	unsigned char *copy = custos_arena_alloc(ssh->options.arena, blob.len);
	CUSTOS_REQUIRE(copy != NULL, err, CUSTOS_E_SYSTEM, "the signature for the login is empty or too long");
	memcpy(copy, blob.ptr, blob.len);
	*ret_sig = copy;
	*ret_len = blob.len;
	return CUSTOS_OK;
}

static int sign_callback(LIBSSH2_SESSION *session, unsigned char **sig, size_t *sig_len, const unsigned char *data, size_t data_len, void **abstract)
{
	(void)session;
	struct custos_ssh *ssh = *abstract;
	return sign_for(ssh, CUSTOS_BYTES(data, data_len), sig, sig_len, ssh->login_err) == CUSTOS_OK ? 0 : -1;
}

static custos_rc by_signer(struct custos_ssh *ssh, int64_t deadline, struct custos_err *err)
{
	struct custos_bytes blob = ssh->credential->blob;
	void *abstract = ssh;
	int rc;
	if (blob.len > 11 && memcmp(blob.ptr, "\0\0\0\7ssh-rsa", 11) == 0)
		CUSTOS_TRY(refuse_rsa(ssh, err));
	while ((rc = libssh2_userauth_publickey(ssh->session, ssh->options.user, blob.ptr, blob.len, sign_callback, &abstract)) == LIBSSH2_ERROR_EAGAIN)
		CUSTOS_TRY(custos_ssh_wait(ssh, deadline, err));
	return conclude(ssh, rc, "public key", err);
}

static custos_rc attempt(struct custos_ssh *ssh, int64_t deadline, struct custos_err *err)
{
	const struct custos_ssh_credential *c = ssh->credential;
	free(ssh->offered);
	ssh->offered = NULL;
	CUSTOS_TRY(ask_methods(ssh, deadline, &ssh->offered, err));
	const char *list = ssh->offered;
	if (libssh2_userauth_authenticated(ssh->session) != 0)
		return CUSTOS_OK;
	struct attempt a = { .ssh = ssh, .deadline = deadline };
	if (c->password != NULL) {
		if (offers(list, "keyboard-interactive"))
			return by_prompts(ssh, deadline, err);
		if (offers(list, "password"))
			return custos_secret_expose(c->password, by_password, &a, err);
		return not_offered(list, "a login by password", err);
	}
	if (!offers(list, "publickey"))
		return not_offered(list, "a login by public key", err);
	return c->key != NULL ? custos_secret_expose(c->key, by_key, &a, err) : by_signer(ssh, deadline, err);
}

custos_rc custos_ssh_login(struct custos_ssh *ssh, const struct custos_ssh_credential *credential, struct custos_err *err)
{
	ssh->credential = credential;
	ssh->answers = 0;
	ssh->login_err = err;
	custos_rc rc = attempt(ssh, custos_clock_monotonic_ms() + ssh->options.timeout_ms, err);
	ssh->credential = NULL;
	ssh->login_err = NULL;
	/* what was begun on a host is finished there, keeper or not */
	ssh->heeds_keeper = false;
	return rc;
}
