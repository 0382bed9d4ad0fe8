/* The keeper with a courier that was taken over: errand.c and errand_serve.c as they are, with this target in the place of the courier's
 * process, of the network and of the agent. The first byte says what the keeper wants of it (bit 0: it would go ahead, bit 1: a scan, bit 2:
 * connections fail, bit 3: the agent refuses), the rest is what the courier says (conversation.h).
 *
 * Promised: no key without a go-ahead and never two; no login signature but one for each connection and session, none for a host that has
 * its outcome, and all of them counted; every question one answer; a message that is refused changes nothing; no success that was not seen
 * after the go-ahead; no descriptor is kept. */
#include "conversation.h"

#include "crypto/digest.h"
#include "data/json.h"
#include "deploy/agent.h"
#include "deploy/dial.h"
#include "deploy/errand.h"

enum { HOSTS = 3, GO = 1, SCAN = 2, NO_CONNECTION = 4, NO_AGENT = 8, PROBE = 16, SESSIONS = 64, SEALED_POINT = 65 };
#define USER(host) ((host) == 2 ? "boot" : "root")

/* What this target has seen with its own eyes. */
static struct {
	uint8_t flags;
	int courier;                       /* the courier's end, of which the keeper's answers are read */
	struct custos_bytes said;
	struct gift gift;
	int connection;                    /* what a connection is here */
	struct custos_errand *errand;
	uint32_t serving;                  /* the host of the message being served */
	unsigned connections[HOSTS], logins[HOSTS];
	bool used[HOSTS];                  /* the newest connection has had its login */
	bool seen_new[HOSTS];              /* the leaf, after the go-ahead */
	struct custos_bytes sessions[SESSIONS];
	uint8_t session_bytes[SESSIONS][64];
	size_t session_count, keys, answers[32];
} play;

static const uint8_t leaf[] = "new leaf";

/* ---- in the place of what the keeper calls ---- */

custos_rc __wrap_custos_helper_open(const char *name, int *ret_fd, struct custos_err *err);
custos_rc __wrap_custos_helper_start(int exe_fd, const char *name, unsigned flags, struct custos_confinement *confinement, const struct custos_link_protocol *protocol,
                                     struct custos_helper *ret_helper, struct custos_err *err);
int __wrap_custos_helper_stop(struct custos_helper *helper, int grace_ms);
custos_rc __wrap_custos_dial(const char *address, const char *default_port, int timeout_ms, int *ret_fd, struct custos_err *err);
custos_rc __wrap_custos_agent_choose(const char *path, const char *fingerprint, struct custos_buf *blob, struct custos_err *err);
custos_rc __wrap_custos_agent_sign(const char *path, struct custos_bytes blob, struct custos_bytes data, struct custos_buf *signature, struct custos_err *err);
custos_rc __wrap_custos_errand_serve(struct custos_errand *e, const struct custos_frame *frame, bool *ret_bye, struct custos_err *err);
custos_rc __real_custos_errand_serve(struct custos_errand *e, const struct custos_frame *frame, bool *ret_bye, struct custos_err *err);

custos_rc __wrap_custos_helper_open(const char *name, int *ret_fd, struct custos_err *err)
{
	(void)err;
	MUST(strcmp(name, "custos-courier") == 0);
	*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return CUSTOS_OK;
}

custos_rc __wrap_custos_helper_start(int exe_fd, const char *name, unsigned flags, struct custos_confinement *confinement, const struct custos_link_protocol *protocol,
                                     struct custos_helper *ret_helper, struct custos_err *err)
{
	(void)exe_fd, (void)confinement, (void)err;
	int pair[2];
	MUST(flags == CUSTOS_SPAWN_CLEAN_ENVIRONMENT);
	make_channel(pair);
	play.courier = pair[1];
	speak_all(pair[1], play.said, play.gift.writer);
	*ret_helper = (struct custos_helper){ .channel = { .fd = pair[0], .side = CUSTOS_SIDE_KEEPER, .protocol = protocol, .peer = name } };
	return CUSTOS_OK;
}

int __wrap_custos_helper_stop(struct custos_helper *helper, int grace_ms)
{
	(void)grace_ms;
	custos_channel_close(&helper->channel);
	return 0;
}

custos_rc __wrap_custos_dial(const char *address, const char *default_port, int timeout_ms, int *ret_fd, struct custos_err *err)
{
	const char *colon = strchr(address, ':');
	uint32_t host = (uint32_t)(address[4] - '0');
	(void)default_port, (void)timeout_ms;
	MUST(strncmp(address, "host", 4) == 0 && host < HOSTS && colon != NULL && play.errand->hosts[host].outcome == 0);
	if ((play.flags & NO_CONNECTION) != 0)
		CUSTOS_FAIL(err, CUSTOS_E_NETWORK, "cannot connect to %s", address);
	if (strcmp(colon, ":22") == 0) {
		play.connections[host]++;
		play.used[host] = false;
		MUST(play.connections[host] <= 2);
	}
	*ret_fd = fcntl(play.connection, F_DUPFD_CLOEXEC, 0);
	MUST(*ret_fd >= 0);
	return CUSTOS_OK;
}

static void put_blob(uint32_t host, struct custos_buf *blob)
{
	struct custos_wire_out w = { .buf = blob };
	custos_wire_put_text(&w, "ssh-ed25519");
	custos_wire_put_text(&w, host == 2 ? "another key" : "the operator's");
	MUST(w.rc == CUSTOS_OK);
}

custos_rc __wrap_custos_agent_choose(const char *path, const char *fingerprint, struct custos_buf *blob, struct custos_err *err)
{
	(void)path, (void)err;
	put_blob(fingerprint == NULL ? 0 : 2, blob);
	return CUSTOS_OK;
}

/* Reads the request once more, by hand: RFC 4252 7. */
static struct custos_bytes must_take(struct custos_bytes *rest, const char *expected)
{
	MUST(rest->len >= 4 && rest->ptr[0] == 0 && rest->ptr[1] == 0 && rest->ptr[2] == 0 && rest->len - 4 >= rest->ptr[3]);
	struct custos_bytes field = CUSTOS_BYTES(rest->ptr + 4, rest->ptr[3]);
	*rest = CUSTOS_BYTES(field.ptr + field.len, rest->len - 4 - field.len);
	MUST(expected == NULL || custos_bytes_equal(field, CUSTOS_BYTES_STR(expected)));
	return field;
}

custos_rc __wrap_custos_agent_sign(const char *path, struct custos_bytes blob, struct custos_bytes data, struct custos_buf *signature, struct custos_err *err)
{
	(void)path;
	uint32_t host = play.serving;
	CUSTOS_AUTO_BUF own = { 0 };
	put_blob(host, &own);
	struct custos_bytes session = must_take(&data, NULL);
	MUST(session.len >= 20 && session.len <= 64 && data.len > 0 && data.ptr[0] == 50);
	data = CUSTOS_BYTES(data.ptr + 1, data.len - 1);
	(void)must_take(&data, USER(host));
	(void)must_take(&data, "ssh-connection");
	(void)must_take(&data, "publickey");
	MUST(data.len > 0 && data.ptr[0] == 1);
	data = CUSTOS_BYTES(data.ptr + 1, data.len - 1);
	(void)must_take(&data, "ssh-ed25519");
	MUST(custos_bytes_equal(must_take(&data, NULL), custos_buf_view(&own)) && custos_bytes_equal(blob, custos_buf_view(&own)) && data.len == 0);
	for (size_t i = 0; i < play.session_count; i++)
		MUST(!custos_bytes_equal(play.sessions[i], session));
	MUST(play.session_count < SESSIONS);
	memcpy(play.session_bytes[play.session_count], session.ptr, session.len);
	play.sessions[play.session_count] = CUSTOS_BYTES(play.session_bytes[play.session_count], session.len);
	play.session_count++;
	/* a connection there is, that has had none, to a host whose end is not told */
	MUST(play.connections[host] > 0 && !play.used[host] && play.errand->hosts[host].outcome == 0);
	play.used[host] = true;
	if ((play.flags & NO_AGENT) != 0)
		CUSTOS_FAIL(err, CUSTOS_E_AUTH, "the SSH agent refused");
	play.logins[host]++;
	return custos_buf_append_str(signature, "signature", err);
}

/* ---- what the courier hears ---- */

static void hear_all(void)
{
	static uint8_t packet[WIRE_HEADER + CUSTOS_FRAME_BODY_MAX];
	bool descriptor;
	while (hear_packet(play.courier, packet, &descriptor) > 0) {
		MUST(packet[1] < 32 && descriptor == (packet[1] == CUSTOS_COURIER_SOCKET));
		play.answers[packet[1]]++;
		play.keys += packet[1] == CUSTOS_COURIER_KEY;
		if (packet[1] == CUSTOS_COURIER_VERDICT && play.errand->went)
			play.seen_new[play.serving] = packet[WIRE_HEADER + 4] == CUSTOS_VERDICT_NEW;
	}
}

struct facts {
	enum custos_prepared prepared;
	enum custos_outcome outcome;
	enum custos_courier_verdict verdict;
	custos_rc category;
	const char *why, *hint, *version, *backup;
	uint32_t exposure_ms;
	unsigned ssh_sockets, login_signatures;
	uint8_t previous_leaf[CUSTOS_HASH_SIZE], served_leaf[CUSTOS_HASH_SIZE];
	bool has_previous, serves;
};

static void take_facts(const struct custos_errand *e, struct facts facts[HOSTS])
{
	memset(facts, 0, HOSTS * sizeof *facts);
	for (size_t i = 0; i < HOSTS; i++) {
		const struct custos_errand_host *h = &e->hosts[i];
		facts[i].prepared = h->prepared;
		facts[i].outcome = h->outcome;
		facts[i].verdict = h->verdict;
		facts[i].category = h->category;
		facts[i].why = h->why;
		facts[i].hint = h->hint;
		facts[i].version = h->version;
		facts[i].backup = h->backup;
		facts[i].exposure_ms = h->exposure_ms;
		facts[i].ssh_sockets = h->ssh_sockets;
		facts[i].login_signatures = h->login_signatures;
		facts[i].has_previous = h->has_previous;
		facts[i].serves = h->serves;
		memcpy(facts[i].previous_leaf, h->previous_leaf, CUSTOS_HASH_SIZE);
		memcpy(facts[i].served_leaf, h->served_leaf, CUSTOS_HASH_SIZE);
	}
}

static uint8_t answer_to(uint8_t type)
{
	return type == CUSTOS_COURIER_SIGN_LOGIN ? CUSTOS_COURIER_LOGIN_SIGNATURE : type == CUSTOS_COURIER_SERVED ? CUSTOS_COURIER_VERDICT : 0;
}

/* Around every message that the table lets through. */
custos_rc __wrap_custos_errand_serve(struct custos_errand *e, const struct custos_frame *frame, bool *ret_bye, struct custos_err *err)
{
	struct facts before[HOSTS], after[HOSTS];
	hear_all();
	memset(play.answers, 0, sizeof play.answers);
	take_facts(e, before);
	play.serving = frame->body.len >= 4 ? (uint32_t)frame->body.ptr[0] << 24 | (uint32_t)frame->body.ptr[1] << 16 | (uint32_t)frame->body.ptr[2] << 8 | frame->body.ptr[3] : 0;
	MUST(frame->fd < 0);
	custos_rc rc = __real_custos_errand_serve(e, frame, ret_bye, err);
	take_facts(e, after);
	size_t total = 0;
	hear_all();
	for (size_t i = 0; i < sizeof play.answers / sizeof *play.answers; i++)
		total += play.answers[i];
	if (rc != CUSTOS_OK) {
		MUST(rc == CUSTOS_E_INTERNAL && err->msg[0] != '\0' && total == 0 && memcmp(before, after, sizeof before) == 0);
		return rc;
	}
	if (frame->type == CUSTOS_COURIER_NEED_SOCKET)
		MUST(total == 1 && play.answers[CUSTOS_COURIER_SOCKET] + play.answers[CUSTOS_COURIER_NO_SOCKET] == 1);
	else
		MUST(total == (answer_to(frame->type) != 0) && play.answers[answer_to(frame->type)] == total);
	for (size_t i = 0; i < HOSTS; i++) {
		/* of one host, and what was told stays told */
		MUST(i == play.serving || memcmp(&before[i], &after[i], sizeof before[i]) == 0);
		MUST(before[i].prepared == 0 || before[i].prepared == after[i].prepared);
		MUST(before[i].outcome == 0 || memcmp(&before[i], &after[i], sizeof before[i]) == 0);
		MUST(after[i].login_signatures == play.logins[i] && after[i].ssh_sockets == play.connections[i] && play.logins[i] <= play.connections[i]);
	}
	return rc;
}

/* ---- the errand ---- */

static void add_hosts(struct custos_errand *e)
{
	CUSTOS_AUTO(custos_profile) *profile = NULL;
	MUST(custos_profile_parse(custos_profile_builtin("esxi"), "esxi", &profile, NULL) == CUSTOS_OK);
	for (uint32_t i = 0; i < HOSTS; i++) {
		CUSTOS_AUTO_BUF text = { 0 };
		CUSTOS_AUTO(custos_json) *target = NULL;
		MUST(custos_buf_printf(&text, NULL, "{\"name\":\"host%u\",\"address\":\"host%u:22\",\"user\":\"%s\",\"profile\":\"esxi\",\"hostkeys\":"
		                       "[\"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"],\"verify\":[\"host%u:443\"],\"auth\":\"%s\",\"sni\":\"\"}",
		                       i, i, USER(i), i, i == 2 ? "agent:SHA256:x" : "agent") == CUSTOS_OK);
		MUST(custos_json_parse(custos_buf_view(&text), "target", &target, NULL) == CUSTOS_OK);
		MUST(custos_errand_add_host(e, target, profile, NULL) == CUSTOS_OK);
		memcpy(e->hosts[i].plan.nonce, "0123456789abcdef", 17);
	}
}

/* Hosts are made once; what an errand learns of them is forgotten after it. */
static struct custos_errand_host *fresh_hosts(const struct custos_deploy_options *options)
{
	static struct custos_errand_host made[HOSTS], copy[HOSTS];
	if (made[0].plan.name == NULL) {
		struct custos_errand e = { .options = options, .hosts = made };
		add_hosts(&e);
	}
	memcpy(copy, made, sizeof copy);
	return copy;
}

static void forget(struct custos_errand *e)
{
	for (size_t i = 0; i < HOSTS; i++) {
		struct custos_errand_host *h = &e->hosts[i];
		char *const texts[] = { h->version, h->backup, h->why, h->hint };
		for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
			free(texts[k]);
		custos_buf_done(&h->login_blob);
		custos_reply_done(&h->facts);
	}
	free(e->memory_backend);
	custos_buf_done(&e->login_sessions);
	custos_channel_close(&e->helper.channel);
}

static void check_outcomes(const struct custos_errand *e)
{
	for (size_t i = 0; i < HOSTS; i++) {
		const struct custos_errand_host *h = &e->hosts[i];
		bool touched = h->outcome == CUSTOS_OUTCOME_DEPLOYED || h->outcome == CUSTOS_OUTCOME_ROLLED_BACK || h->outcome == CUSTOS_OUTCOME_NOT_ROLLED_BACK;
		MUST(!touched || (e->went && h->prepared == CUSTOS_PREPARED_READY));
		MUST(h->outcome != CUSTOS_OUTCOME_DEPLOYED || play.seen_new[i]);
		MUST(h->backup == NULL || h->backup[0] == '\0' || e->job == CUSTOS_JOB_SCAN || custos_plan_is_backup(&h->plan, h->backup));
	}
}

static void run(struct custos_errand *e)
{
	struct custos_err err[3] = { 0 };
	struct custos_release_parcel parcel = { 0 };
	MUST(custos_buf_append_str(&parcel.wrapped, "wrapped", NULL) == CUSTOS_OK);
	custos_rc rc = custos_errand_prepare(e, &err[0]);
	hear_all();
	MUST(play.keys == 0);
	if (rc == CUSTOS_OK) {
		bool goes = (play.flags & GO) != 0 && custos_errand_count_ready(e) > 0;
		rc = goes ? custos_errand_deliver(e, &parcel, &err[1]) : custos_errand_abort(e, &err[1]);
		MUST(rc == CUSTOS_OK || err[1].msg[0] != '\0');
		hear_all();
		MUST(play.keys == (goes ? 1 : 0));
		/* there is no second key, whatever was said */
		MUST(custos_errand_deliver(e, &parcel, &err[2]) == CUSTOS_E_INTERNAL);
		e->went = goes;
		hear_all();
		MUST(play.keys == (goes ? 1 : 0));
		check_outcomes(e);
		for (size_t i = 0; i < HOSTS; i++)
			MUST(e->hosts[i].facts.count == 0 || e->job == CUSTOS_JOB_PROBE);
	} else {
		MUST(err[0].msg[0] != '\0');
	}
	custos_release_parcel_done(&parcel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct custos_deploy_options options = { .agent_socket = "agent" };
	if (size < 1)
		return 0;
	memset(&play, 0, sizeof play);
	play.flags = data[0];
	play.said = CUSTOS_BYTES(data + 1, size - 1);
	size_t descriptors = count_descriptors();
	int pair[2];
	play.gift = make_gift();
	make_channel(pair);
	play.connection = pair[0];
	struct custos_errand e = {
		.options = &options, .job = (data[0] & SCAN) != 0 ? CUSTOS_JOB_SCAN : (data[0] & PROBE) != 0 ? CUSTOS_JOB_PROBE : CUSTOS_JOB_DEPLOY, .leaf = CUSTOS_BYTES(leaf, sizeof leaf - 1),
		.chain_pem = CUSTOS_BYTES_STR("chain"), .hosts = fresh_hosts(&options), .count = HOSTS, .helper = { .channel = { .fd = -1 } },
	};
	play.errand = &e;
	MUST(custos_sha256(e.leaf, e.wanted_leaf, NULL) == CUSTOS_OK);
	run(&e);
	forget(&e);
	close(pair[0]);
	close(pair[1]);
	close(play.courier);
	must_be_gone(&play.gift);
	MUST(count_descriptors() == descriptors);
	return 0;
}
