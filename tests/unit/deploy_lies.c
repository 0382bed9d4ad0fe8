/* A courier that lies: what the keeper believes of it. The other end of the channel is this test; no courier runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/digest.h"
#include "data/json.h"
#include "deploy/agent.h"
#include "deploy/errand.h"
#include "deploy/record.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

#define NONCE "0123456789abcdef"

struct play {
	struct custos_errand errand;
	struct custos_channel courier;
	struct custos_deploy_options options;
	struct custos_err err;
	uint8_t certificate[8];    /* what is to be served; nobody parses it as long as there are no anchors */
};

static struct custos_json *target(void)
{
	static const char text[] = "{\"name\":\"web\",\"address\":\"web.example.com:22\",\"user\":\"root\",\"profile\":\"esxi\",\"hostkeys\":[\"SHA256:"
				   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"],\"verify\":[\"web.example.com:443\"],\"auth\":\"agent\",\"sni\":\"\"}";
	struct custos_json *json = NULL;
	assert_int_equal(custos_json_parse(CUSTOS_BYTES_STR(text), "target", &json, NULL), CUSTOS_OK);
	return json;
}

static int up(void **state)
{
	struct play *p = calloc(1, sizeof *p);
	CUSTOS_AUTO(custos_json) *record = target();
	CUSTOS_AUTO(custos_profile) *profile = NULL;
	int pair[2];
	memcpy(p->certificate, "new leaf", sizeof p->certificate);
	p->errand = (struct custos_errand){ .options = &p->options, .job = CUSTOS_JOB_DEPLOY, .leaf = CUSTOS_BYTES(p->certificate, sizeof p->certificate) };
	assert_int_equal(custos_sha256(p->errand.leaf, p->errand.wanted_leaf, NULL), CUSTOS_OK);
	assert_int_equal(custos_profile_parse(custos_profile_builtin("esxi"), "esxi", &profile, NULL), CUSTOS_OK);
	p->errand.hosts = calloc(1, sizeof *p->errand.hosts);
	assert_int_equal(custos_errand_add_host(&p->errand, record, profile, &p->err), CUSTOS_OK);
	memcpy(p->errand.hosts[0].plan.nonce, NONCE, sizeof NONCE);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	p->errand.helper.channel = (struct custos_channel){ .fd = pair[0], .side = CUSTOS_SIDE_KEEPER, .state = 3, .protocol = &custos_courier_protocol, .peer = "courier" };
	p->courier = (struct custos_channel){ .fd = pair[1], .side = CUSTOS_SIDE_HELPER, .state = 3, .protocol = &custos_courier_protocol, .peer = "keeper" };
	*state = p;
	return 0;
}

static int down(void **state)
{
	struct play *p = *state;
	p->errand.went = false;
	custos_errand_done(&p->errand);
	custos_channel_close(&p->courier);
	free(p);
	return 0;
}

static custos_rc serve(struct play *p, uint8_t type, const struct custos_wire_out *w)
{
	bool bye = false;
	struct custos_frame frame = { .type = type, .fd = -1, .body = *w->buf };
	assert_int_equal(w->rc, CUSTOS_OK);
	p->err = (struct custos_err){ 0 };
	return custos_errand_serve(&p->errand, &frame, &bye, &p->err);
}

/* The keeper's answer, as the courier hears it. */
static void hear(struct play *p, struct custos_frame *frame)
{
	assert_int_equal(custos_channel_receive(&p->courier, 5000, frame, &p->err), CUSTOS_OK);
}

/* The host serves these bytes; returns the keeper's verdict. */
static uint8_t served(struct play *p, const char *certificate)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, 0);
	custos_wire_put_u8(&w, 1);
	custos_wire_put_u32(&w, 0);
	custos_wire_put_text(&w, "");
	custos_wire_put_u32(&w, certificate == NULL ? 0 : 1);
	if (certificate != NULL)
		custos_wire_put_text(&w, certificate);
	assert_int_equal(serve(p, CUSTOS_COURIER_SERVED, &w), CUSTOS_OK);
	hear(p, &frame);
	assert_int_equal(frame.type, CUSTOS_COURIER_VERDICT);
	return frame.body.ptr[4];
}

static custos_rc prepared(struct play *p, uint8_t status, uint8_t category, const char *backup)
{
	static const uint8_t none[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, 0);
	custos_wire_put_u8(&w, status);
	custos_wire_put_u8(&w, category);
	for (int i = 0; i < 3; i++)
		custos_wire_put_text(&w, "");
	custos_wire_put_text(&w, backup);
	custos_wire_put_fixed(&w, none, sizeof none);
	return serve(p, CUSTOS_COURIER_PREPARED, &w);
}

static custos_rc outcome(struct play *p, uint8_t result, const char *backup)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, 0);
	custos_wire_put_u8(&w, result);
	custos_wire_put_u8(&w, 0);
	custos_wire_put_text(&w, "");
	custos_wire_put_text(&w, "");
	custos_wire_put_u32(&w, 5);
	custos_wire_put_text(&w, backup);
	return serve(p, CUSTOS_COURIER_OUTCOME, &w);
}

static void honest(void **state)
{
	struct play *p = *state;
	assert_int_equal(prepared(p, CUSTOS_PREPARED_READY, 0, "/vmfs/volumes/datastore1/.custos-web-" NONCE), CUSTOS_OK);
	p->errand.went = true;
	assert_int_equal(served(p, "old leaf"), CUSTOS_VERDICT_OTHER);
	assert_int_equal(served(p, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(outcome(p, CUSTOS_OUTCOME_DEPLOYED, "/vmfs/volumes/datastore1/.custos-web-" NONCE), CUSTOS_OK);
	assert_int_equal(p->errand.hosts[0].outcome, CUSTOS_OUTCOME_DEPLOYED);
	/* and only once */
	assert_int_equal(outcome(p, CUSTOS_OUTCOME_ROLLED_BACK, ""), CUSTOS_E_INTERNAL);
}

static void success_that_nobody_saw(void **state)
{
	struct play *p = *state;
	assert_int_equal(prepared(p, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	p->errand.went = true;
	assert_int_equal(outcome(p, CUSTOS_OUTCOME_DEPLOYED, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(served(p, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(served(p, NULL), CUSTOS_VERDICT_NONE);
	assert_int_equal(outcome(p, CUSTOS_OUTCOME_DEPLOYED, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(outcome(p, CUSTOS_OUTCOME_UNCHANGED, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(p->errand.hosts[0].outcome, 0);
}

static void deed_without_go_ahead(void **state)
{
	struct play *p = *state;
	static const uint8_t deeds[] = { CUSTOS_OUTCOME_DEPLOYED, CUSTOS_OUTCOME_ROLLED_BACK, CUSTOS_OUTCOME_NOT_ROLLED_BACK };
	assert_int_equal(served(p, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(prepared(p, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	for (size_t i = 0; i < sizeof deeds; i++)
		assert_int_equal(outcome(p, deeds[i], ""), CUSTOS_E_INTERNAL);
	/* a host that failed to prepare is in no intent: what was done there was done without a permit */
	p->errand.went = true;
	p->errand.hosts[0].prepared = CUSTOS_PREPARED_FAILED;
	for (size_t i = 0; i < sizeof deeds; i++)
		assert_int_equal(outcome(p, deeds[i], ""), CUSTOS_E_INTERNAL);
	assert_int_equal(outcome(p, CUSTOS_OUTCOME_UNTOUCHED, ""), CUSTOS_OK);
}

static void unchanged_that_nobody_saw(void **state)
{
	struct play *p = *state;
	assert_int_equal(prepared(p, CUSTOS_PREPARED_UNCHANGED, 0, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(served(p, "old leaf"), CUSTOS_VERDICT_OTHER);
	assert_int_equal(prepared(p, CUSTOS_PREPARED_UNCHANGED, 0, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(served(p, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(prepared(p, CUSTOS_PREPARED_UNCHANGED, 0, ""), CUSTOS_OK);
}

/* The path goes into the log, and a later deployment removes it or puts it back as root. */
static void copy_in_a_strange_place(void **state)
{
	struct play *p = *state;
	static const char *const strange[] = {
		"/etc", "/var/tmp/.custos-web-" NONCE, "/vmfs/volumes/datastore1/.custos-web-fedcba9876543210", "/vmfs/volumes/datastore1/.custos-db-" NONCE,
		"/vmfs/volumes/datastore1/deep/.custos-web-" NONCE, "/vmfs/volumes/datastore1/../../tmp/.custos-web-" NONCE, "what the host wanted to say", ".custos-web-" NONCE,
	};
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
		assert_int_equal(prepared(p, CUSTOS_PREPARED_READY, 0, strange[i]), CUSTOS_E_INTERNAL);
	assert_int_equal(prepared(p, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	p->errand.went = true;
	assert_int_equal(served(p, "new leaf"), CUSTOS_VERDICT_NEW);
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
		assert_int_equal(outcome(p, CUSTOS_OUTCOME_DEPLOYED, strange[i]), CUSTOS_E_INTERNAL);
	assert_int_equal(p->errand.hosts[0].outcome, 0);
}

static void category_that_is_none(void **state)
{
	struct play *p = *state;
	assert_int_equal(prepared(p, CUSTOS_PREPARED_FAILED, 255, ""), CUSTOS_OK);
	assert_int_equal(p->errand.hosts[0].category, CUSTOS_E_INTERNAL);
}

/* Each connection brings a login signature with it: a courier does not get as many as it likes. */
static void connections_without_end(void **state)
{
	struct play *p = *state;
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof any;
	char address[32];
	CUSTOS_AUTO_FD listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&any, sizeof any), 0);
	assert_int_equal(listen(listening, 8), 0);
	assert_int_equal(getsockname(listening, (struct sockaddr *)&any, &len), 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(any.sin_port));
	custos_json_set_text(p->errand.hosts[0].named, "address", address);
	for (int i = 0; i < 4; i++) {
		CUSTOS_AUTO_BUF body = { 0 };
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		struct custos_wire_out w = { .buf = &body };
		custos_wire_put_u32(&w, 0);
		custos_wire_put_u8(&w, CUSTOS_SOCKET_SSH);
		assert_int_equal(serve(p, CUSTOS_COURIER_NEED_SOCKET, &w), CUSTOS_OK);
		hear(p, &frame);
		assert_int_equal(frame.type, i < 2 ? CUSTOS_COURIER_SOCKET : CUSTOS_COURIER_NO_SOCKET);
	}
}

/* ---- what an agent is asked to sign ---- */

static void put_login(struct custos_wire_out *w, const char *session, uint8_t type, const char *user, const char *service, const char *method, const char *algorithm, struct custos_bytes key)
{
	custos_wire_put_text(w, session);
	custos_wire_put_u8(w, type);
	custos_wire_put_text(w, user);
	custos_wire_put_text(w, service);
	custos_wire_put_text(w, method);
	custos_wire_put_u8(w, 1);
	custos_wire_put_text(w, algorithm);
	custos_wire_put_bytes(w, key);
}

static void put_key(struct custos_buf *blob, const char *type, const char *key)
{
	struct custos_wire_out w = { .buf = blob };
	custos_wire_put_text(&w, type);
	custos_wire_put_text(&w, key);
	assert_int_equal(w.rc, CUSTOS_OK);
}

static void login_signatures(void **state)
{
	(void)state;
	static const char session[] = "0123456789abcdef0123456789abcdef", ed[] = "ssh-ed25519", connection[] = "ssh-connection", method[] = "publickey";
	CUSTOS_AUTO_BUF key = { 0 };
	CUSTOS_AUTO_BUF other = { 0 };
	CUSTOS_AUTO_BUF rsa = { 0 };
	put_key(&key, ed, "mine");
	put_key(&other, ed, "theirs");
	put_key(&rsa, "ssh-rsa", "old");
	struct custos_bytes mine = custos_buf_view(&key), theirs = custos_buf_view(&other), old = custos_buf_view(&rsa);
	const struct {
		bool good;
		const char *session;
		uint8_t type;
		const char *user, *service, *method, *algorithm;
		struct custos_bytes with, ours;
	} rows[] = {
		{ true, session, 50, "root", connection, method, ed, mine, mine },
		{ true, session, 50, "root", connection, method, "rsa-sha2-256", old, old },
		{ false, session, 50, "root", connection, method, "rsa-sha2-256", mine, mine },
		{ false, session, 50, "admin", connection, method, ed, mine, mine },
		{ false, session, 50, "root", connection, method, ed, theirs, mine },
		{ false, session, 50, "root", "ssh-userauth", method, ed, mine, mine },
		{ false, session, 50, "root", connection, "hostbased", ed, mine, mine },
		{ false, session, 51, "root", connection, method, ed, mine, mine },
		{ false, "", 50, "root", connection, method, ed, mine, mine },
		{ false, "SSHSIG", 50, "root", connection, method, ed, mine, mine },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CUSTOS_AUTO_BUF data = { 0 };
		struct custos_wire_out w = { .buf = &data };
		put_login(&w, rows[i].session, rows[i].type, rows[i].user, rows[i].service, rows[i].method, rows[i].algorithm, rows[i].with);
		assert_int_equal(custos_agent_check_login(custos_buf_view(&data), "root", rows[i].ours, NULL) == CUSTOS_OK, rows[i].good);
		/* neither cut nor with something behind */
		assert_int_not_equal(custos_agent_check_login(CUSTOS_BYTES(data.ptr, data.len - 1), "root", rows[i].ours, NULL), CUSTOS_OK);
		custos_wire_put_u8(&w, 0);
		assert_int_not_equal(custos_agent_check_login(custos_buf_view(&data), "root", rows[i].ours, NULL), CUSTOS_OK);
	}
	assert_int_not_equal(custos_agent_check_login(CUSTOS_BYTES_STR("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904"), "root", mine, NULL), CUSTOS_OK);
}

/* ---- the worst outcome decides ---- */

static void a_host_that_needs_a_person_is_told_first(void **state)
{
	struct play *p = *state;
	struct custos_tally tally = { 0 };
	struct custos_err full = { .rc = CUSTOS_E_STORE, .msg = "the disk is full" }, nothing = { 0 };
	assert_int_equal(custos_tally_start(&tally, &p->err), CUSTOS_OK);
	assert_int_equal(custos_tally_conclude(&tally, &nothing, &p->err), CUSTOS_OK);
	assert_int_equal(custos_tally_conclude(&tally, &full, &p->err), CUSTOS_E_STORE);
	p->err = (struct custos_err){ 0 };
	p->errand.hosts[0].prepared = CUSTOS_PREPARED_READY;
	p->errand.hosts[0].outcome = CUSTOS_OUTCOME_NOT_ROLLED_BACK;
	custos_tally_host(&tally, &p->errand.hosts[0], -1);
	assert_int_equal(custos_tally_conclude(&tally, &full, &p->err), CUSTOS_E_NOT_ROLLED_BACK);
	assert_non_null(strstr(p->err.msg, "web"));
	custos_tally_done(&tally);
}

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, up, down)
	const struct CMUnitTest tests[] = {
		WITH(honest), WITH(success_that_nobody_saw), WITH(deed_without_go_ahead), WITH(unchanged_that_nobody_saw), WITH(copy_in_a_strange_place), WITH(connections_without_end), WITH(category_that_is_none),
		cmocka_unit_test(login_signatures), WITH(a_host_that_needs_a_person_is_told_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
