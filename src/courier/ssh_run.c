/* Commands: one exec channel each, standard input first, then output until the end mark. The exit status is not looked at: libssh2 reports 0
 * when none came; the trailer in the output tells. Output is capped, and read on beyond the cap so that the window does not stall. */
#include "courier/ssh_session.h"

#include "base/clock.h"

#include <errno.h>

enum { CLOSE_MS = 3000, CHUNK = 4096, CHUNKS_AT_ONCE = 64 };

void custos_ssh_result_done(struct custos_ssh_result *result)
{
	custos_buf_done(&result->out);
	custos_buf_done(&result->complaints);
}

struct run {
	struct custos_ssh *ssh;
	LIBSSH2_CHANNEL *channel;
	int64_t deadline;
};

static custos_rc lost(struct custos_ssh *ssh, struct custos_err *err)
{
	return custos_ssh_fail(ssh, CUSTOS_E_NETWORK, "the connection was lost", err);
}

static custos_rc start(struct run *r, const char *command, struct custos_err *err)
{
	LIBSSH2_SESSION *session = r->ssh->session;
	while ((r->channel = libssh2_channel_open_session(session)) == NULL && libssh2_session_last_errno(session) == LIBSSH2_ERROR_EAGAIN)
		CUSTOS_TRY(custos_ssh_wait(r->ssh, r->deadline, err));
	if (r->channel == NULL)
		return lost(r->ssh, err);
	int rc;
	while ((rc = libssh2_channel_exec(r->channel, command)) == LIBSSH2_ERROR_EAGAIN)
		CUSTOS_TRY(custos_ssh_wait(r->ssh, r->deadline, err));
	return rc == 0 ? CUSTOS_OK : lost(r->ssh, err);
}

static bool is_broken(ssize_t rc)
{
	return rc == LIBSSH2_ERROR_SOCKET_DISCONNECT || rc == LIBSSH2_ERROR_SOCKET_SEND || rc == LIBSSH2_ERROR_SOCKET_RECV || rc == LIBSSH2_ERROR_SOCKET_TIMEOUT ||
	       rc == LIBSSH2_ERROR_TIMEOUT || rc == LIBSSH2_ERROR_BAD_SOCKET || rc == LIBSSH2_ERROR_PROTO || rc == LIBSSH2_ERROR_DECRYPT || rc == LIBSSH2_ERROR_INVALID_MAC;
}

/* A command that stops reading (disk full) is no failure of the session: its output says what happened. */
static custos_rc feed(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	struct run *r = ctx;
	for (size_t sent = 0; sent < len;) {
		ssize_t n = libssh2_channel_write(r->channel, (const char *)bytes + sent, len - sent);
		if (n == LIBSSH2_ERROR_EAGAIN) {
			if (libssh2_channel_eof(r->channel) != 0)
				return CUSTOS_OK;
			CUSTOS_TRY(custos_ssh_wait(r->ssh, r->deadline, err));
		} else if (n < 0) {
			return is_broken(n) ? lost(r->ssh, err) : CUSTOS_OK;
		} else {
			sent += (size_t)n;
		}
	}
	return CUSTOS_OK;
}

static custos_rc end_input(struct run *r, struct custos_err *err)
{
	int rc;
	while ((rc = libssh2_channel_send_eof(r->channel)) == LIBSSH2_ERROR_EAGAIN)
		CUSTOS_TRY(custos_ssh_wait(r->ssh, r->deadline, err));
	return is_broken(rc) ? lost(r->ssh, err) : CUSTOS_OK;
}

/* Reads what is there of one stream. *ret_more: something was read. */
static custos_rc drain(struct run *r, int stream, struct custos_buf *into, bool *ret_more, struct custos_err *err)
{
	char chunk[CHUNK];
	*ret_more = false;
	for (int i = 0; i < CHUNKS_AT_ONCE; i++) {
		ssize_t n = libssh2_channel_read_ex(r->channel, stream, chunk, sizeof chunk);
		if (n == LIBSSH2_ERROR_EAGAIN || n == 0)
			return CUSTOS_OK;
		if (n < 0)
			return lost(r->ssh, err);
		*ret_more = true;
		size_t room = CUSTOS_SSH_OUTPUT_MAX - into->len, take = (size_t)n < room ? (size_t)n : room;
		CUSTOS_TRY(custos_buf_append(into, chunk, take, err));
	}
	return CUSTOS_OK;
}

/* The last whole line starts with the mark. */
static bool has_ended(const struct custos_buf *out, const char *mark)
{
	if (mark == NULL || out->len == 0 || out->ptr[out->len - 1] != '\n')
		return false;
	const uint8_t *previous = memrchr(out->ptr, '\n', out->len - 1);
	size_t start = previous == NULL ? 0 : (size_t)(previous - out->ptr) + 1, len = strlen(mark);
	return out->len - start >= len && memcmp(out->ptr + start, mark, len) == 0;
}

static custos_rc collect(struct run *r, const char *mark, struct custos_ssh_result *result, struct custos_err *err)
{
	for (;;) {
		bool out = false, complaints = false;
		CUSTOS_TRY(drain(r, 0, &result->out, &out, err));
		CUSTOS_TRY(drain(r, SSH_EXTENDED_DATA_STDERR, &result->complaints, &complaints, err));
		if (has_ended(&result->out, mark) || libssh2_channel_eof(r->channel) != 0)
			return CUSTOS_OK;
		/* reading one stream takes what came for the other off the socket too: that would never wake a wait */
		bool queued = libssh2_poll_channel_read(r->channel, 1) != 0;
		if ((out || complaints || queued) && custos_clock_monotonic_ms() < r->deadline)
			continue;
		struct custos_err why = { 0 };
		if (custos_ssh_wait(r->ssh, r->deadline, &why) != CUSTOS_OK) {
			CUSTOS_REQUIRE(why.native == ETIMEDOUT, err, why.rc, "%s", why.msg);
			result->timed_out = true;
			return CUSTOS_OK;
		}
	}
}

static custos_rc note_signal(struct run *r, struct custos_ssh_result *result, struct custos_err *err)
{
	char *name = NULL;
	size_t len = 0;
	(void)libssh2_channel_get_exit_signal(r->channel, &name, &len, NULL, NULL, NULL, NULL);
	if (name == NULL)
		return CUSTOS_OK;
	custos_rc rc = CUSTOS_OK;
	if (result->complaints.len < CUSTOS_SSH_OUTPUT_MAX / 2)
		rc = custos_buf_printf(&result->complaints, err, "killed by signal %.20s\n", name);
	libssh2_free(r->ssh->session, name);
	return rc;
}

/* A channel that does not close in time stays with the session and ends with it. */
static void close_channel(struct run *r)
{
	if (r->channel == NULL)
		return;
	int64_t deadline = custos_clock_monotonic_ms() + CLOSE_MS;
	while (libssh2_channel_free(r->channel) == LIBSSH2_ERROR_EAGAIN)
		if (custos_ssh_wait(r->ssh, deadline, NULL) != CUSTOS_OK)
			break;
}

static custos_rc give_input(struct run *r, const struct custos_ssh_command *c, struct custos_err *err)
{
	union {
		const uint8_t *in;
		uint8_t *out; /* feed() does not write */
	} public_input = { .in = c->input.ptr };
	if (c->secret_input != NULL)
		CUSTOS_TRY(custos_secret_expose(c->secret_input, feed, r, err));
	else
		CUSTOS_TRY(feed(r, public_input.out, c->input.len, err));
	return end_input(r, err);
}

custos_rc custos_ssh_run(struct custos_ssh *ssh, const struct custos_ssh_command *command, struct custos_ssh_result *ret_result, struct custos_err *err)
{
	struct run r = { .ssh = ssh, .deadline = custos_clock_monotonic_ms() + command->timeout_ms };
	__attribute__((cleanup(custos_ssh_result_done))) struct custos_ssh_result result = { 0 };
	custos_rc rc = start(&r, command->command, err);
	if (rc == CUSTOS_OK)
		rc = give_input(&r, command, err);
	if (rc == CUSTOS_OK)
		rc = collect(&r, command->end_mark, &result, err);
	if (rc == CUSTOS_OK)
		rc = note_signal(&r, &result, err);
	/* after a failure the session may stand in the middle of a call: it goes away as a whole */
	if (rc == CUSTOS_OK)
		close_channel(&r);
	CUSTOS_TRY(rc);
	*ret_result = result;
	result = (struct custos_ssh_result){ 0 };
	return CUSTOS_OK;
}
