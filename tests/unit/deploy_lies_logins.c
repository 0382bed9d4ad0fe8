/* A courier that wants more than its login: the keeper's agent must sign one SSH login for each connection and session, and nothing else;
 * and the key is sent once. The agent is a child of this test that signs whatever it is asked to and tells how often it was asked. */
#include "deploy_lies.h"

#include "link_wire.h"

#include <errno.h>
#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>

#define ED "ssh-ed25519"
#define SESSION_A "0123456789abcdef0123456789abcdef"
#define SESSION_B "fedcba9876543210fedcba9876543210"
#define SESSION_C "00112233445566778899aabbccddeeff"

/* ---- the agent ---- */

struct agent {
	char directory[64], path[96];
	pid_t pid;
	int asked;      /* a byte for each request */
};

static void sign_everything(int listening, int asked)
{
	static const uint8_t answer[] = { 0, 0, 0, 14, 14, 0, 0, 0, 9, 's', 'i', 'g', 'n', 'a', 't', 'u', 'r', 'e' };
	for (;;) {
		uint8_t request[4096];
		int fd = accept(listening, NULL, NULL);
		ssize_t got = fd < 0 ? -1 : read(fd, request, sizeof request);
		if (got < 5 || write(asked, "x", 1) != 1 || send(fd, answer, sizeof answer, MSG_NOSIGNAL) < 0)
			_exit(1);
		close(fd);
	}
}

static int start_agent(void **state)
{
	struct agent *a = calloc(1, sizeof *a);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int ends[2];
	snprintf(a->directory, sizeof a->directory, "/tmp/custos-logins-XXXXXX");
	assert_non_null(mkdtemp(a->directory));
	snprintf(a->path, sizeof a->path, "%s/agent", a->directory);
	memcpy(at.sun_path, a->path, strlen(a->path) + 1);
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(listening, 8), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	a->pid = fork();
	assert_true(a->pid >= 0);
	if (a->pid == 0)
		sign_everything(listening, ends[1]);
	close(listening);
	close(ends[1]);
	a->asked = ends[0];
	*state = a;
	return 0;
}

static int stop_agent(void **state)
{
	struct agent *a = *state;
	int status;
	assert_int_equal(kill(a->pid, SIGKILL), 0);
	assert_int_equal(waitpid(a->pid, &status, 0), a->pid);
	/* it did not end by itself: every request was one it could read */
	assert_true(WIFSIGNALED(status));
	close(a->asked);
	unlink(a->path);
	rmdir(a->directory);
	free(a);
	return 0;
}

/* How often the agent was asked since the last time. */
static size_t asked(const struct agent *a)
{
	char bytes[64];
	ssize_t n = read(a->asked, bytes, sizeof bytes);
	return n < 0 ? 0 : (size_t)n;
}

/* ---- the courier ---- */

static void put_key(struct custos_buf *blob, const char *type, const char *key)
{
	struct custos_wire_out w = { .buf = blob };
	custos_wire_put_text(&w, type);
	custos_wire_put_text(&w, key);
	assert_int_equal(w.rc, CUSTOS_OK);
}

/* What RFC 4252 7 has signed, field by field. */
struct login {
	struct custos_bytes session;
	uint8_t type;
	const char *user, *service, *method;
	uint8_t with_signature;
	const char *algorithm;
	struct custos_bytes key;
};

static struct login login_on(const char *session, struct custos_bytes key)
{
	return (struct login){ CUSTOS_BYTES_STR(session), 50, "root", "ssh-connection", "publickey", 1, ED, key };
}

static void put_login(struct custos_buf *data, const struct login *l)
{
	struct custos_wire_out w = { .buf = data };
	custos_wire_put_bytes(&w, l->session);
	custos_wire_put_u8(&w, l->type);
	custos_wire_put_text(&w, l->user);
	custos_wire_put_text(&w, l->service);
	custos_wire_put_text(&w, l->method);
	custos_wire_put_u8(&w, l->with_signature);
	custos_wire_put_text(&w, l->algorithm);
	custos_wire_put_bytes(&w, l->key);
	assert_int_equal(w.rc, CUSTOS_OK);
}

static struct play *stage(const struct agent *a, size_t hosts)
{
	struct play *p = play_new(hosts);
	p->options.agent_socket = a->path;
	for (size_t i = 0; i < hosts; i++)
		put_key(&p->errand.hosts[i].login_blob, ED, "the operator's");
	assert_int_equal(asked(a), 0);
	return p;
}

/* SIGN_LOGIN; true when there came a signature. */
static bool signs_data(struct play *p, uint32_t host, struct custos_bytes data)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, host);
	custos_wire_put_bytes(&w, data);
	assert_int_equal(serve(p, CUSTOS_COURIER_SIGN_LOGIN, &w), CUSTOS_OK);
	hear(p, &frame);
	assert_int_equal(frame.type, CUSTOS_COURIER_LOGIN_SIGNATURE);
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	assert_int_equal(custos_wire_u32(&r), host);
	struct custos_bytes signature = custos_wire_bytes(&r);
	assert_int_equal(custos_wire_end(&r, "LOGIN_SIGNATURE", NULL), CUSTOS_OK);
	if (signature.len > 0)
		assert_true(custos_bytes_equal(signature, CUSTOS_BYTES_STR("signature")));
	return signature.len > 0;
}

static bool signs(struct play *p, uint32_t host, const char *session)
{
	CUSTOS_AUTO_BUF data = { 0 };
	struct login l = login_on(session, custos_buf_view(&p->errand.hosts[0].login_blob));
	put_login(&data, &l);
	return signs_data(p, host, custos_buf_view(&data));
}

/* ---- how many ---- */

static void one_for_a_connection(void **state)
{
	struct play *p = stage(*state, 1);
	assert_true(signs(p, 0, SESSION_A));
	/* the same once more, and another session on what can only be the same connection */
	assert_false(signs(p, 0, SESSION_A));
	assert_false(signs(p, 0, SESSION_B));
	assert_int_equal(p->errand.hosts[0].login_signatures, 1);
	assert_int_equal(asked(*state), 1);
	play_free(p);
}

/* One that was not used is not kept for later: prepared without a login, then two on the second connection. */
static void none_is_saved_up(void **state)
{
	struct play *p = stage(*state, 1);
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	assert_false(signs(p, 0, SESSION_A));
	assert_true(connects(p, 0, CUSTOS_SOCKET_SSH));
	assert_true(signs(p, 0, SESSION_B));
	assert_false(signs(p, 0, SESSION_C));
	assert_int_equal(p->errand.hosts[0].login_signatures, 1);
	assert_int_equal(asked(*state), 1);
	play_free(p);
}

/* A connection that broke is made again, once; what is counted is what was given, used or not. */
static void two_connections_at_most(void **state)
{
	struct play *p = stage(*state, 1);
	assert_true(signs(p, 0, SESSION_A));
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(connects(p, 0, CUSTOS_SOCKET_SSH), i == 0);
	assert_true(signs(p, 0, SESSION_B));
	assert_false(signs(p, 0, SESSION_C));
	assert_int_equal(p->errand.hosts[0].ssh_sockets, 2);
	assert_int_equal(p->errand.hosts[0].login_signatures, 2);
	assert_int_equal(asked(*state), 2);
	play_free(p);
}

/* Connections for looking at what is served bring no login with them. */
static void looking_is_no_login(void **state)
{
	struct play *p = stage(*state, 1);
	assert_true(signs(p, 0, SESSION_A));
	for (int i = 0; i < 4; i++)
		assert_true(connects(p, 0, CUSTOS_SOCKET_VERIFY));
	assert_false(signs(p, 0, SESSION_B));
	assert_int_equal(asked(*state), 1);
	play_free(p);
}

/* Before it has said that the host is ready a courier has one connection: a login that failed is not tried again. */
static void no_second_try_while_preparing(void **state)
{
	static const uint8_t endings[] = { CUSTOS_PREPARED_FAILED, CUSTOS_PREPARED_UNCHANGED };
	for (size_t i = 0; i < sizeof endings; i++) {
		struct play *p = stage(*state, 1);
		assert_false(connects(p, 0, CUSTOS_SOCKET_SSH));
		assert_int_equal(served(p, 0, "new leaf"), CUSTOS_VERDICT_NEW);
		assert_int_equal(prepared(p, 0, endings[i], CUSTOS_E_AUTH, ""), CUSTOS_OK);
		assert_false(connects(p, 0, CUSTOS_SOCKET_SSH));
		assert_false(signs(p, 0, SESSION_A));
		assert_int_equal(p->errand.hosts[0].login_signatures, 0);
		play_free(p);
	}
	assert_int_equal(asked(*state), 0);
}

static void nothing_after_the_outcome(void **state)
{
	struct play *p = stage(*state, 2);
	assert_true(signs(p, 0, SESSION_A));
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_UNTOUCHED, ""), CUSTOS_OK);
	/* host 1 has said nothing yet: its first connection still has its login */
	assert_int_equal(outcome(p, 1, CUSTOS_OUTCOME_UNTOUCHED, ""), CUSTOS_OK);
	for (uint32_t host = 0; host < 2; host++) {
		assert_false(connects(p, host, CUSTOS_SOCKET_SSH));
		assert_false(connects(p, host, CUSTOS_SOCKET_VERIFY));
		assert_false(signs(p, host, SESSION_B));
	}
	assert_int_equal(p->errand.hosts[0].login_signatures, 1);
	assert_int_equal(p->errand.hosts[1].login_signatures, 0);
	assert_int_equal(asked(*state), 1);
	play_free(p);
}

/* ---- for whom ---- */

/* Hosts of one group may have the same user and key: the session is all that tells their logins apart. */
static void a_session_is_signed_for_once(void **state)
{
	struct play *p = stage(*state, 3);
	assert_true(signs(p, 0, SESSION_A));
	assert_false(signs(p, 1, SESSION_A));
	/* which used up host 1's, but not host 2's */
	assert_false(signs(p, 1, SESSION_B));
	assert_true(signs(p, 2, SESSION_B));
	/* nor after a reconnect, for its own host or for another one */
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(prepared(p, i, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
		assert_true(connects(p, i, CUSTOS_SOCKET_SSH));
	}
	assert_false(signs(p, 0, SESSION_A));
	assert_false(signs(p, 1, SESSION_B));
	assert_true(signs(p, 2, SESSION_C));
	static const unsigned given[] = { 1, 0, 2 };
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(p->errand.hosts[i].login_signatures, given[i]);
	assert_int_equal(asked(*state), 3);
	play_free(p);
}

/* What is right for host 1 is asked for in the name of host 0, and the other way round. */
static void a_login_is_for_its_own_host(void **state)
{
	for (int other_key = 0; other_key < 2; other_key++) {
		struct play *p = stage(*state, 2);
		CUSTOS_AUTO_BUF data = { 0 };
		CUSTOS_AUTO_BUF key = { 0 };
		put_key(&key, ED, other_key != 0 ? "another" : "the operator's");
		custos_buf_done(&p->errand.hosts[1].login_blob);
		put_key(&p->errand.hosts[1].login_blob, ED, other_key != 0 ? "another" : "the operator's");
		struct login l = login_on(SESSION_A, custos_buf_view(&key));
		if (other_key == 0) {
			memcpy(p->errand.hosts[1].plan.user, "boot", sizeof "boot");
			l.user = "boot";
		}
		put_login(&data, &l);
		assert_false(signs_data(p, 0, custos_buf_view(&data)));
		assert_int_equal(asked(*state), 0);
		assert_true(signs_data(p, 1, custos_buf_view(&data)));
		assert_int_equal(asked(*state), 1);
		play_free(p);
	}
}

/* A host whose login is by password or key file has no agent, whatever its courier asks. */
static void no_login_by_agent_was_meant(void **state)
{
	struct play *p = stage(*state, 2);
	custos_buf_done(&p->errand.hosts[1].login_blob);
	CUSTOS_AUTO_BUF data = { 0 };
	struct login empty = login_on(SESSION_A, CUSTOS_BYTES(NULL, 0));
	put_login(&data, &empty);
	assert_false(signs(p, 1, SESSION_A));
	assert_false(signs_data(p, 1, custos_buf_view(&data)));
	assert_int_equal(p->errand.hosts[1].login_signatures, 0);
	assert_int_equal(asked(*state), 0);
	play_free(p);
}

/* A request that is no login uses the connection up: a courier does not get to try until one passes. */
static void what_is_no_login_is_not_signed(void **state)
{
	static const char *const texts[] = { "", "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904", "SSHSIG\0\0\0\4file", "log.example/custody\n1\nAAAA\n" };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct play *p = stage(*state, 1);
		assert_false(signs_data(p, 0, CUSTOS_BYTES_STR(texts[i])));
		assert_false(signs(p, 0, SESSION_A));
		assert_int_equal(p->errand.hosts[0].login_signatures, 0);
		play_free(p);
	}
	assert_int_equal(asked(*state), 0);
}

static void damaged_requests(void **state)
{
	struct play *p = stage(*state, 1);
	CUSTOS_AUTO_BUF data = { 0 };
	struct login l = login_on(SESSION_A, custos_buf_view(&p->errand.hosts[0].login_blob));
	put_login(&data, &l);
	for (int damage = 0; damage < 3; damage++) {
		CUSTOS_AUTO_BUF body = { 0 };
		struct custos_wire_out w = { .buf = &body };
		custos_wire_put_u32(&w, damage == 0 ? 1 : 0);
		custos_wire_put_bytes(&w, custos_buf_view(&data));
		if (damage == 1)
			body.len--;
		else if (damage == 2)
			custos_wire_put_u8(&w, 0);
		assert_int_equal(serve(p, CUSTOS_COURIER_SIGN_LOGIN, &w), CUSTOS_E_INTERNAL);
		assert_false(is_readable(p->courier.fd));
	}
	assert_true(p->errand.hosts[0].login_due);
	assert_int_equal(asked(*state), 0);
	play_free(p);
}

/* The agent has gone, or was told not to sign: nothing was given, and it is not asked again. */
static void an_agent_that_refuses(void **state)
{
	struct play *p = stage(*state, 1);
	p->options.agent_socket = "/nonexistent/agent";
	assert_false(signs(p, 0, SESSION_A));
	p->options.agent_socket = ((struct agent *)*state)->path;
	assert_false(signs(p, 0, SESSION_B));
	assert_int_equal(p->errand.hosts[0].login_signatures, 0);
	assert_int_equal(asked(*state), 0);
	play_free(p);
}

/* ---- what a login is ---- */

static void only_logins_pass(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF ed = { 0 };
	CUSTOS_AUTO_BUF other = { 0 };
	CUSTOS_AUTO_BUF rsa = { 0 };
	CUSTOS_AUTO_BUF cut = { 0 };
	put_key(&ed, ED, "mine");
	put_key(&other, ED, "theirs");
	put_key(&rsa, "ssh-rsa", "old");
	assert_int_equal(custos_buf_append(&cut, "\0\0\0\xff" ED, 4 + strlen(ED), NULL), CUSTOS_OK);
	struct custos_bytes mine = custos_buf_view(&ed), theirs = custos_buf_view(&other), old = custos_buf_view(&rsa);
	const char *const s = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef?", *const c = "ssh-connection", *const k = "publickey";
#define SESSION(n) CUSTOS_BYTES(s, n)
	const struct {
		bool good;
		struct login login;
		struct custos_bytes ours;
	} rows[] = {
		{ true, { SESSION(32), 50, "root", c, k, 1, ED, mine }, mine },
		/* SHA-1 and SHA-512 make the shortest and the longest identifier */
		{ true, { SESSION(20), 50, "root", c, k, 1, ED, mine }, mine },
		{ true, { SESSION(64), 50, "root", c, k, 1, ED, mine }, mine },
		{ false, { SESSION(19), 50, "root", c, k, 1, ED, mine }, mine },
		{ false, { SESSION(65), 50, "root", c, k, 1, ED, mine }, mine },
		{ false, { SESSION(0), 50, "root", c, k, 1, ED, mine }, mine },
		{ true, { SESSION(32), 50, "root", c, k, 1, "rsa-sha2-256", old }, old },
		{ true, { SESSION(32), 50, "root", c, k, 1, "rsa-sha2-512", old }, old },
		{ false, { SESSION(32), 50, "root", c, k, 1, "ssh-rsa", old }, old },
		{ false, { SESSION(32), 50, "root", c, k, 1, "rsa-sha2-", old }, old },
		{ false, { SESSION(32), 50, "root", c, k, 1, "rsa-sha2-1024", old }, old },
		{ false, { SESSION(32), 50, "root", c, k, 1, "rsa-sha2-256", mine }, mine },
		{ false, { SESSION(32), 50, "root", c, k, 1, ED, old }, old },
		{ false, { SESSION(32), 50, "root", c, k, 1, ED "-cert-v01@openssh.com", mine }, mine },
		{ false, { SESSION(32), 50, "root", c, k, 1, "", mine }, mine },
		{ false, { SESSION(32), 50, "admin", c, k, 1, ED, mine }, mine },
		{ false, { SESSION(32), 50, "roo", c, k, 1, ED, mine }, mine },
		{ false, { SESSION(32), 50, "roots", c, k, 1, ED, mine }, mine },
		{ false, { SESSION(32), 50, "", c, k, 1, ED, mine }, mine },
		{ false, { SESSION(32), 50, "root", "ssh-userauth", k, 1, ED, mine }, mine },
		{ false, { SESSION(32), 50, "root", c, "hostbased", 1, ED, mine }, mine },
		{ false, { SESSION(32), 50, "root", c, "password", 1, ED, mine }, mine },
		{ false, { SESSION(32), 51, "root", c, k, 1, ED, mine }, mine },
		{ false, { SESSION(32), 0, "root", c, k, 1, ED, mine }, mine },
		/* a question whether the key would do is not signed */
		{ false, { SESSION(32), 50, "root", c, k, 0, ED, mine }, mine },
		{ false, { SESSION(32), 50, "root", c, k, 2, ED, mine }, mine },
		{ false, { SESSION(32), 50, "root", c, k, 1, ED, theirs }, mine },
		{ false, { SESSION(32), 50, "root", c, k, 1, ED, mine }, theirs },
		/* a key blob that is none */
		{ false, { SESSION(32), 50, "root", c, k, 1, ED, custos_buf_view(&cut) }, custos_buf_view(&cut) },
		{ false, { SESSION(32), 50, "root", c, k, 1, "", CUSTOS_BYTES(NULL, 0) }, CUSTOS_BYTES(NULL, 0) },
	};
#undef SESSION
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CUSTOS_AUTO_BUF data = { 0 };
		struct custos_bytes session = { 0 };
		struct custos_err err = { 0 };
		put_login(&data, &rows[i].login);
		custos_rc rc = custos_agent_check_login(custos_buf_view(&data), "root", rows[i].ours, &session, &err);
		if ((rc == CUSTOS_OK) != rows[i].good)
			fail_msg("row %zu: %s %s", i, custos_rc_name(rc), err.msg);
		assert_true(rows[i].good ? custos_bytes_equal(session, rows[i].login.session) : session.ptr == NULL);
		/* cut anywhere, or with something behind */
		for (size_t len = 0; len < data.len; len++)
			assert_int_not_equal(custos_agent_check_login(CUSTOS_BYTES(data.ptr, len), "root", rows[i].ours, &session, NULL), CUSTOS_OK);
		assert_int_equal(custos_buf_append(&data, "", 1, NULL), CUSTOS_OK);
		assert_int_not_equal(custos_agent_check_login(custos_buf_view(&data), "root", rows[i].ours, &session, NULL), CUSTOS_OK);
	}
}

/* ---- the key ---- */

/* Whatever may be said while it delivers, twice; the courier's own table is not asked. */
static void say_everything(struct play *p)
{
	static const uint8_t types[] = { CUSTOS_COURIER_NEED_SOCKET, CUSTOS_COURIER_SIGN_LOGIN, CUSTOS_COURIER_PROGRESS, CUSTOS_COURIER_SERVED };
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof types; i++) {
			CUSTOS_AUTO_BUF packet = { 0 };
			CUSTOS_AUTO_BUF data = { 0 };
			struct custos_wire_out w = { .buf = &packet };
			struct login l = login_on(SESSION_B, custos_buf_view(&p->errand.hosts[0].login_blob));
			uint8_t *header;
			assert_int_equal(custos_buf_extend(&packet, WIRE_HEADER, &header, NULL), CUSTOS_OK);
			custos_wire_put_u32(&w, 0);
			if (types[i] == CUSTOS_COURIER_SIGN_LOGIN) {
				put_login(&data, &l);
				custos_wire_put_bytes(&w, custos_buf_view(&data));
			} else {
				custos_wire_put_u8(&w, 1);
			}
			if (types[i] == CUSTOS_COURIER_PROGRESS)
				custos_wire_put_text(&w, "key, please");
			if (types[i] == CUSTOS_COURIER_SERVED)
				for (int field = 0; field < 3; field++)
					custos_wire_put_u32(&w, 0);
			write_header(packet.ptr, CUSTOS_LINK_VERSION, types[i], 0, (uint32_t)(packet.len - WIRE_HEADER));
			assert_true(send_raw(p->courier.fd, packet.ptr, packet.len, -1, 0));
		}
}

static void say_bye(struct play *p)
{
	uint8_t bye[WIRE_HEADER + 4] = { 0 };
	write_header(bye, CUSTOS_LINK_VERSION, CUSTOS_COURIER_BYE, 0, 4);
	assert_true(send_raw(p->courier.fd, bye, sizeof bye, -1, 0));
}

/* Reads everything that waits for the courier, without a table, and counts the keys. */
static size_t keys_heard(struct play *p)
{
	size_t keys = 0;
	while (is_readable(p->courier.fd)) {
		uint8_t packet[4096];
		ssize_t n = recv(p->courier.fd, packet, sizeof packet, 0);
		assert_true(n >= WIRE_HEADER);
		keys += packet[1] == CUSTOS_COURIER_KEY;
	}
	return keys;
}

static void the_key_is_sent_once(void **state)
{
	struct play *p = stage(*state, 1);
	CUSTOS_AUTO_BUF wrapped = { 0 };
	assert_int_equal(custos_buf_append_str(&wrapped, "wrapped", NULL), CUSTOS_OK);
	struct custos_release_parcel parcel = { .wrapped = wrapped };
	assert_true(signs(p, 0, SESSION_A));
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	say_everything(p);
	say_bye(p);
	assert_int_equal(custos_errand_deliver(&p->errand, &parcel, &p->err), CUSTOS_OK);
	assert_int_equal(keys_heard(p), 1);
	/* it connected once more and logged in once more, and had no second key for it */
	assert_int_equal(p->errand.hosts[0].ssh_sockets, 2);
	assert_int_equal(p->errand.hosts[0].login_signatures, 2);
	assert_int_equal(asked(*state), 2);
	/* and no state of the protocol after the first lets this side send another, or take the first back */
	for (p->errand.helper.channel.state = 4; p->errand.helper.channel.state < 8; p->errand.helper.channel.state++) {
		p->err = (struct custos_err){ 0 };
		assert_int_equal(custos_errand_deliver(&p->errand, &parcel, &p->err), CUSTOS_E_INTERNAL);
		p->err = (struct custos_err){ 0 };
		assert_int_equal(custos_errand_abort(&p->errand, &p->err), CUSTOS_E_INTERNAL);
		assert_int_equal(keys_heard(p), 0);
	}
	play_free(p);
}

/* A courier that was told that no key will come: none comes, whatever it says. */
static void no_key_after_an_abort(void **state)
{
	struct play *p = stage(*state, 1);
	struct custos_release_parcel parcel = { 0 };
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	say_everything(p);
	say_bye(p);
	assert_int_equal(custos_errand_abort(&p->errand, &p->err), CUSTOS_OK);
	p->err = (struct custos_err){ 0 };
	assert_int_equal(custos_errand_deliver(&p->errand, &parcel, &p->err), CUSTOS_E_INTERNAL);
	assert_int_equal(keys_heard(p), 0);
	(void)asked(*state);
	play_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_for_a_connection), cmocka_unit_test(none_is_saved_up), cmocka_unit_test(two_connections_at_most),
		cmocka_unit_test(looking_is_no_login), cmocka_unit_test(no_second_try_while_preparing), cmocka_unit_test(nothing_after_the_outcome),
		cmocka_unit_test(a_session_is_signed_for_once), cmocka_unit_test(a_login_is_for_its_own_host), cmocka_unit_test(no_login_by_agent_was_meant),
		cmocka_unit_test(what_is_no_login_is_not_signed), cmocka_unit_test(damaged_requests), cmocka_unit_test(an_agent_that_refuses),
		cmocka_unit_test(only_logins_pass), cmocka_unit_test(the_key_is_sent_once), cmocka_unit_test(no_key_after_an_abort),
	};
	return cmocka_run_group_tests(tests, start_agent, stop_agent);
}
