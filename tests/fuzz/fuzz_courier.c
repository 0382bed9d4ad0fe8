/* A courier whose keeper was taken over: the whole errand (serve.c, keeper.c, host.c, deliver.c, the plan and the machine) over hosts that this
 * target plays. The first byte says what they do (bit 0: refuse the login, bit 1: hang up when the key is there, bit 2: serve nothing, bit 3: fail
 * after the switch, bit 4: fail before), the rest is what the keeper says (conversation.h); with a descriptor comes a socket at whose other end nobody is.
 *
 * Promised: plans are checked before anything is done with them; no host gets a key without a KEY message that names it, and none before it
 * is ready; each host is reported once and has one outcome, after the keeper's decision; `deployed` is said of no host that got no key; a
 * keeper that cannot be understood is as if it had ended; no descriptor is kept. */
#include "conversation.h"

#include "base/clock.h"
#include "courier/courier.h"
#include "crypto/pem.h"
#include "crypto/served.h"
#include "link/spawn.h"

#include <stdio.h>

enum { REFUSED = 1, HANGS_UP = 2, SERVES_NOTHING = 4, FAILS = 8, BROKEN = 16, HOSTS = CUSTOS_COURIER_HOSTS_MAX, MORE_TRAILERS = 6, NEVER_MS = 1 << 30, ARENA_MAX = 64 * 1024 };

struct custos_ssh {
	uint32_t host;
	char name[65];        /* the plans of the corpus name the user as the target */
};

static struct {
	uint8_t flags, decision;             /* KEY or ABORT, once it has come */
	int keeper, courier;
	int64_t now_ms;
	struct custos_arena *heap;
	uint32_t logging_in;
	enum custos_courier_job job;
	bool named[HOSTS], got_key[HOSTS], said_ready[HOSTS];
	unsigned prepared[HOSTS], outcomes[HOSTS], signed_for[HOSTS], logins[HOSTS];
	unsigned credentials[HOSTS], facts[HOSTS], deliveries, byes;
	uint8_t question;                    /* the newest */
	uint32_t served;                     /* the host that the courier asked a verdict on */
	bool must_end, lost;                 /* the keeper said what cannot be: it is not listened to any more; no host gets a key any more */
} play;

/* ---- the hosts ---- */

custos_rc __wrap_custos_helper_attach(const struct custos_link_protocol *protocol, struct custos_channel *ret_channel, struct custos_err *err);
custos_rc __wrap_custos_courier_enter_sandbox(enum custos_courier_job job, struct custos_err *err);
custos_rc __wrap_custos_arena_new(size_t size, struct custos_arena **ret_arena, struct custos_err *err);
custos_rc __real_custos_arena_new(size_t size, struct custos_arena **ret_arena, struct custos_err *err);
custos_rc __wrap_custos_crypto_use_arena(struct custos_arena *arena, struct custos_err *err);
custos_rc __wrap_custos_courier_login(struct custos_courier_host *host, int socket, struct custos_ssh **ret_ssh, struct custos_err *err);
custos_rc __real_custos_courier_login(struct custos_courier_host *host, int socket, struct custos_ssh **ret_ssh, struct custos_err *err);
custos_rc __wrap_custos_courier_deliver(struct custos_courier *c, const struct custos_frame *frame, struct custos_err *err);
custos_rc __real_custos_courier_deliver(struct custos_courier *c, const struct custos_frame *frame, struct custos_err *err);
custos_rc __wrap_custos_ssh_open(int fd, const struct custos_ssh_options *options, struct custos_ssh **ret_ssh, struct custos_err *err);
custos_rc __wrap_custos_ssh_scan(int fd, const struct custos_ssh_options *options, char ret_fingerprint[static CUSTOS_SSH_FINGERPRINT], char **ret_banner, struct custos_err *err);
void __wrap_custos_ssh_free(struct custos_ssh *ssh);
custos_rc __wrap_custos_ssh_login(struct custos_ssh *ssh, const struct custos_ssh_credential *credential, struct custos_err *err);
const char *__wrap_custos_ssh_offered(const struct custos_ssh *ssh);
custos_rc __wrap_custos_ssh_run(struct custos_ssh *ssh, const struct custos_ssh_command *command, struct custos_ssh_result *ret_result, struct custos_err *err);
void __wrap_custos_ssh_keep_alive(struct custos_ssh *ssh);
custos_rc __wrap_custos_served_fetch(int fd, const char *sni, int timeout_ms, struct custos_served *ret_served, struct custos_err *err);
custos_rc __wrap_custos_unseal(struct custos_ephemeral *key, const uint8_t peer_point[static CUSTOS_POINT_SIZE], struct custos_bytes sealed, struct custos_secret **ret_secret,
                               struct custos_err *err);
custos_rc __wrap_custos_key_matches_leaf(struct custos_secret *der, unsigned padding_max, struct custos_bytes leaf_der, struct custos_err *err);
int64_t __wrap_custos_clock_monotonic_ms(void);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
custos_rc __wrap_custos_channel_receive(struct custos_channel *channel, int timeout_ms, struct custos_frame *frame, struct custos_err *err);
custos_rc __real_custos_channel_receive(struct custos_channel *channel, int timeout_ms, struct custos_frame *frame, struct custos_err *err);

custos_rc __wrap_custos_helper_attach(const struct custos_link_protocol *protocol, struct custos_channel *ret_channel, struct custos_err *err)
{
	(void)err;
	*ret_channel = (struct custos_channel){ .fd = play.courier, .side = CUSTOS_SIDE_HELPER, .protocol = protocol, .peer = "keeper" };
	return CUSTOS_OK;
}

custos_rc __wrap_custos_courier_enter_sandbox(enum custos_courier_job job, struct custos_err *err)
{
	(void)job, (void)err;
	return CUSTOS_OK;
}

/* A courier gives libcrypto a large locked heap, once and for the rest of its life; here there are many lives. */
custos_rc __wrap_custos_arena_new(size_t size, struct custos_arena **ret_arena, struct custos_err *err)
{
	return __real_custos_arena_new(size > ARENA_MAX ? ARENA_MAX : size, ret_arena, err);
}

custos_rc __wrap_custos_crypto_use_arena(struct custos_arena *arena, struct custos_err *err)
{
	(void)err;
	MUST(play.heap == NULL);
	play.heap = arena;
	return CUSTOS_OK;
}

custos_rc __wrap_custos_courier_login(struct custos_courier_host *host, int socket, struct custos_ssh **ret_ssh, struct custos_err *err)
{
	MUST(host->index < HOSTS && socket >= 0 && host->plan.user[0] != '\0' && play.job != CUSTOS_JOB_SCAN);
	play.logging_in = host->index;
	play.logins[host->index]++;
	return __real_custos_courier_login(host, socket, ret_ssh, err);
}

custos_rc __wrap_custos_courier_deliver(struct custos_courier *c, const struct custos_frame *frame, struct custos_err *err)
{
	MUST(++play.deliveries == 1 && play.decision == CUSTOS_COURIER_KEY);
	return __real_custos_courier_deliver(c, frame, err);
}

custos_rc __wrap_custos_ssh_open(int fd, const struct custos_ssh_options *options, struct custos_ssh **ret_ssh, struct custos_err *err)
{
	MUST(options->arena != NULL && options->keeper->fd == play.courier);
	close(fd);
	struct custos_ssh *ssh = calloc(1, sizeof *ssh);
	CUSTOS_REQUIRE(ssh != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	ssh->host = play.logging_in;
	snprintf(ssh->name, sizeof ssh->name, "%s", options->user);
	*ret_ssh = ssh;
	return CUSTOS_OK;
}

custos_rc __wrap_custos_ssh_scan(int fd, const struct custos_ssh_options *options, char ret_fingerprint[static CUSTOS_SSH_FINGERPRINT], char **ret_banner, struct custos_err *err)
{
	(void)options;
	MUST(play.job == CUSTOS_JOB_SCAN);
	close(fd);
	snprintf(ret_fingerprint, CUSTOS_SSH_FINGERPRINT, "SHA256:x");
	*ret_banner = strdup("SSH-2.0-x");
	CUSTOS_REQUIRE(*ret_banner != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

void __wrap_custos_ssh_free(struct custos_ssh *ssh)
{
	free(ssh);
}

custos_rc __wrap_custos_ssh_login(struct custos_ssh *ssh, const struct custos_ssh_credential *credential, struct custos_err *err)
{
	CUSTOS_AUTO_BUF signature = { .max = CUSTOS_FRAME_BODY_MAX };
	MUST((credential->password != NULL) + (credential->key != NULL) + (credential->sign != NULL) == 1);
	CUSTOS_REQUIRE((play.flags & REFUSED) == 0, err, CUSTOS_E_AUTH, "the host refused the login");
	if (credential->sign == NULL)
		return CUSTOS_OK;
	MUST(credential->blob.len > 0);
	CUSTOS_TRY(credential->sign(credential->sign_ctx, CUSTOS_BYTES_STR("what is to be signed"), &signature, err));
	CUSTOS_REQUIRE(signature.len > 0, err, CUSTOS_E_AUTH, "refused on this side");
	/* one for each login */
	MUST(++play.signed_for[ssh->host] <= play.logins[ssh->host]);
	return CUSTOS_OK;
}

const char *__wrap_custos_ssh_offered(const struct custos_ssh *ssh)
{
	MUST(ssh != NULL && play.job == CUSTOS_JOB_PROBE);
	return "publickey";
}

static custos_rc looks_like_pem(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	(void)ctx, (void)err;
	MUST(len > 60 && memcmp(bytes, "-----BEGIN ", 11) == 0 && bytes[len - 1] == '\n');
	return CUSTOS_OK;
}

/* Every command comes to a good end, and says all that any of them may say. */
custos_rc __wrap_custos_ssh_run(struct custos_ssh *ssh, const struct custos_ssh_command *command, struct custos_ssh_result *ret_result, struct custos_err *err)
{
	char mark[40];
	MUST(strlen(command->end_mark) == 22 && (command->secret_input == NULL || command->input.len == 0) && command->timeout_ms > 0);
	memcpy(mark, command->end_mark, 19);
	mark[19] = '\0';
	if (command->secret_input != NULL) {
		MUST(play.job == CUSTOS_JOB_DEPLOY && !play.lost && play.decision == CUSTOS_COURIER_KEY && play.named[ssh->host] && play.said_ready[ssh->host] && !play.got_key[ssh->host]);
		MUST(custos_secret_expose(command->secret_input, looks_like_pem, NULL, NULL) == CUSTOS_OK);
		play.got_key[ssh->host] = true;
		CUSTOS_REQUIRE((play.flags & HANGS_UP) == 0, err, CUSTOS_E_NETWORK, "the host hung up");
	}
	bool fails = play.got_key[ssh->host] ? (play.flags & FAILS) != 0 && command->secret_input == NULL : (play.flags & BROKEN) != 0;
	CUSTOS_TRY(custos_buf_printf(&ret_result->out, err, "%sversion=Test Host 1\n%sbackup=/var/backups/.custos-%s-%.16s\n%salive=yes\n%src=%d\n", mark, mark, ssh->name, mark + 2, mark,
	                             mark, fails ? 1 : 0));
	return CUSTOS_OK;
}

void __wrap_custos_ssh_keep_alive(struct custos_ssh *ssh)
{
	MUST(ssh != NULL);
}

custos_rc __wrap_custos_served_fetch(int fd, const char *sni, int timeout_ms, struct custos_served *ret_served, struct custos_err *err)
{
	(void)sni, (void)timeout_ms;
	MUST(fd >= 0);
	CUSTOS_REQUIRE((play.flags & SERVES_NOTHING) == 0, err, CUSTOS_E_NETWORK, "nobody speaks TLS there");
	ret_served->count = 1;
	return custos_buf_append_str(&ret_served->der[0], "new leaf", err);
}

static custos_rc fill(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const uint8_t *sealed = ctx;
	(void)err;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)~sealed[i];
	return CUSTOS_OK;
}

/* What is sealed to this courier stands there with its bits turned over: a hostile keeper's plaintext gets as far as it can, and no corpus
 * holds what looks like a key. */
custos_rc __wrap_custos_unseal(struct custos_ephemeral *key, const uint8_t peer_point[static CUSTOS_POINT_SIZE], struct custos_bytes sealed, struct custos_secret **ret_secret,
                               struct custos_err *err)
{
	union {
		const uint8_t *in;
		void *out;
	} text = { .in = sealed.ptr };
	(void)peer_point;
	MUST(key != NULL);
	CUSTOS_REQUIRE(sealed.len > 0 && sealed.len <= 4096, err, CUSTOS_E_INPUT, "it cannot be unsealed");
	CUSTOS_TRY(custos_secret_new(sealed.len, ret_secret, err));
	return custos_secret_expose(*ret_secret, fill, text.out, err);
}

custos_rc __wrap_custos_key_matches_leaf(struct custos_secret *der, unsigned padding_max, struct custos_bytes leaf_der, struct custos_err *err)
{
	(void)err;
	MUST(der != NULL && padding_max <= 7 && leaf_der.len > 0);
	return CUSTOS_OK;
}

int64_t __wrap_custos_clock_monotonic_ms(void)
{
	return play.now_ms;
}

/* Nothing is waited for: the time has passed. Nor for ever: a keeper that was not understood is not listened to again. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int ready = __real_poll(fds, count, 0);
	MUST(ready != 0 || (timeout_ms >= 0 && play.now_ms < NEVER_MS));
	play.now_ms += ready == 0 ? timeout_ms : 0;
	return ready;
}

/* ---- what the keeper hears and says ---- */

static uint32_t host_of(struct custos_bytes body)
{
	struct custos_wire r = custos_wire_read(body);
	return custos_wire_u32(&r);
}

static void hear_report(uint8_t type, struct custos_bytes body)
{
	struct custos_wire r = custos_wire_read(body);
	uint32_t host = custos_wire_u32(&r);
	uint8_t said = custos_wire_u8(&r);
	MUST(!r.failed && host < HOSTS && play.byes == 0);
	if (type == CUSTOS_COURIER_PREPARED) {
		MUST(++play.prepared[host] == 1 && play.decision == 0 && said >= CUSTOS_PREPARED_READY && said <= CUSTOS_PREPARED_FAILED);
		play.said_ready[host] = said == CUSTOS_PREPARED_READY;
		return;
	}
	MUST(++play.outcomes[host] == 1 && play.prepared[host] == 1 && play.decision != 0);
	bool changed = said == CUSTOS_OUTCOME_DEPLOYED || said == CUSTOS_OUTCOME_ROLLED_BACK || said == CUSTOS_OUTCOME_NOT_ROLLED_BACK;
	MUST(!changed || play.decision == CUSTOS_COURIER_KEY);
	MUST(said != CUSTOS_OUTCOME_DEPLOYED || play.job != CUSTOS_JOB_DEPLOY || play.got_key[host]);
}

static void hear_all(void)
{
	static uint8_t packet[WIRE_HEADER + CUSTOS_FRAME_BODY_MAX];
	bool descriptor;
	for (size_t len; (len = hear_packet(play.keeper, packet, &descriptor)) > 0;) {
		MUST(!descriptor);
		if (packet[1] == CUSTOS_COURIER_PREPARED || packet[1] == CUSTOS_COURIER_OUTCOME)
			hear_report(packet[1], CUSTOS_BYTES(packet + WIRE_HEADER, len - WIRE_HEADER));
		if (packet[1] == CUSTOS_COURIER_FACTS) {
			uint32_t host = host_of(CUSTOS_BYTES(packet + WIRE_HEADER, len - WIRE_HEADER));
			MUST(play.job == CUSTOS_JOB_PROBE && host < HOSTS && ++play.facts[host] == 1 && play.prepared[host] == 0);
		}
		play.byes += packet[1] == CUSTOS_COURIER_BYE;
		if (packet[1] == CUSTOS_COURIER_NEED_SOCKET || packet[1] == CUSTOS_COURIER_SIGN_LOGIN || packet[1] == CUSTOS_COURIER_SERVED)
			play.question = packet[1];
		if (packet[1] == CUSTOS_COURIER_SERVED)
			play.served = host_of(CUSTOS_BYTES(packet + WIRE_HEADER, len - WIRE_HEADER));
	}
	MUST(play.byes <= 1);
}

static void note_key(struct custos_bytes body)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_wire r = custos_wire_read(body);
	custos_wire_fixed(&r, point, sizeof point);
	(void)custos_wire_bytes(&r);
	for (uint32_t left = custos_wire_u32(&r); left > 0 && !r.failed; left--) {
		uint32_t host = custos_wire_u32(&r);
		if (!r.failed && host < HOSTS)
			play.named[host] = true;
	}
}

custos_rc __wrap_custos_channel_receive(struct custos_channel *channel, int timeout_ms, struct custos_frame *frame, struct custos_err *err)
{
	hear_all();
	MUST(!play.must_end);
	custos_rc rc = __real_custos_channel_receive(channel, timeout_ms, frame, err);
	if (rc != CUSTOS_OK)
		return rc;
	uint32_t host = host_of(custos_buf_view(&frame->body));
	play.must_end = frame->type == CUSTOS_COURIER_CREDENTIAL && (host >= HOSTS || play.credentials[host]++ > 0);
	play.lost = play.lost || (frame->type == CUSTOS_COURIER_VERDICT && play.question == CUSTOS_COURIER_SERVED && host != play.served);
	if (frame->type == CUSTOS_COURIER_SETUP && frame->body.len > 0)
		play.job = frame->body.ptr[0];
	if (frame->type == CUSTOS_COURIER_KEY || frame->type == CUSTOS_COURIER_ABORT) {
		MUST(play.decision == 0);
		play.decision = frame->type;
		if (frame->type == CUSTOS_COURIER_KEY)
			note_key(custos_buf_view(&frame->body));
	}
	return CUSTOS_OK;
}

/* A plan that is accepted is whole: written and read again it is the same. */
static void check_plans(struct custos_bytes conversation)
{
	struct spoken frame;
	if (!next_frame(&conversation, &frame) || frame.type != CUSTOS_COURIER_SETUP || (frame.how & HOW_RAW) != 0)
		return;
	struct custos_wire r = custos_wire_read(frame.body);
	for (int i = 0; i < 3; i++)
		(void)custos_wire_u8(&r);
	for (int i = 0; i < 2; i++)
		(void)custos_wire_bytes(&r);
	for (uint32_t left = custos_wire_u32(&r); left > 0 && !r.failed; left--) {
		struct custos_bytes bytes = custos_wire_bytes(&r);
		struct custos_plan plan = { 0 }, untouched = { 0 };
		struct custos_err err = { 0 };
		CUSTOS_AUTO_BUF again = { .max = CUSTOS_FRAME_BODY_MAX };
		if (custos_plan_decode(bytes, &plan, &err) == CUSTOS_OK) {
			MUST(custos_plan_encode(&plan, &again, NULL) == CUSTOS_OK && custos_bytes_equal(custos_buf_view(&again), bytes));
			custos_plan_done(&plan);
		} else {
			MUST(err.msg[0] != '\0' && memcmp(&plan, &untouched, sizeof plan) == 0);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct custos_err err = { 0 };
	int pair[2], dead[2];
	if (size < 1)
		return 0;
	MUST(custos_secret_start(NULL) == CUSTOS_OK);
	size_t descriptors = count_descriptors();
	memset(&play, 0, sizeof play);
	play.flags = data[0];
	make_channel(pair);
	make_channel(dead);
	close(dead[1]);
	play.courier = pair[0];
	play.keeper = pair[1];
	struct custos_bytes said = CUSTOS_BYTES(data + 1, size - 1);
	check_plans(said);
	speak_all(pair[1], said, dead[0]);
	/* as many as there are hosts that may ask for something when all was said */
	for (int i = 0; i < MORE_TRAILERS; i++)
		speak_trailers(pair[1]);
	close(dead[0]);
	custos_rc rc = custos_courier_serve(&err);
	hear_all();
	/* it says goodbye when it has told the keeper everything, or it says why not */
	MUST(rc == CUSTOS_OK || err.msg[0] != '\0');
	for (size_t i = 0; i < HOSTS; i++)
		MUST(play.byes == 0 || play.outcomes[i] == play.prepared[i]);
	close(pair[1]);
	custos_arena_free(play.heap);
	/* locked memory running out would leave little to be looked at */
	MUST(rc != CUSTOS_E_SYSTEM || strstr(err.msg, "locked") == NULL);
	MUST(count_descriptors() == descriptors);
	return 0;
}
