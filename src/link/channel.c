/* Frames over a SOCK_SEQPACKET pair. Every frame is checked against the protocol's table on both ends before its body
 * is looked at. Frame bodies that could hold something sealed or a PIN are wiped before they are released. */
#include "link/channel.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { HEADER = 8, FD_NEVER = 0, FD_ALWAYS = 1 };

static const struct custos_link_rule *find_rule(const struct custos_channel *channel, uint8_t type, enum custos_link_side sender)
{
	for (size_t i = 0; i < channel->protocol->count; i++) {
		const struct custos_link_rule *rule = &channel->protocol->rules[i];
		if (rule->type == type && rule->side == sender && (rule->from & 1u << channel->state) != 0)
			return rule;
	}
	return NULL;
}

static void follow(struct custos_channel *channel, const struct custos_link_rule *rule)
{
	if (rule->to != CUSTOS_STATE_SAME)
		channel->state = rule->to;
}

void custos_frame_done(struct custos_frame *frame)
{
	if (frame->fd > 0)
		close(frame->fd);
	if (frame->body.ptr != NULL)
		explicit_bzero(frame->body.ptr, frame->body.cap);
	custos_buf_done(&frame->body);
	frame->fd = -1;
	frame->type = 0;
}

custos_rc custos_channel_send(struct custos_channel *channel, uint8_t type, struct custos_bytes body, int fd, struct custos_err *err)
{
	const struct custos_link_rule *rule = find_rule(channel, type, channel->side);
	CUSTOS_REQUIRE(channel->fd >= 0, err, CUSTOS_E_SYSTEM, "%s has ended", channel->peer);
	CUSTOS_REQUIRE(rule != NULL, err, CUSTOS_E_INTERNAL, "%s protocol: message %u may not be sent in state %u", channel->protocol->name,
	               type, channel->state);
	CUSTOS_REQUIRE(body.len <= CUSTOS_FRAME_BODY_MAX, err, CUSTOS_E_INTERNAL, "%s message of %zu bytes is too long", rule->name, body.len);
	CUSTOS_REQUIRE(fd < 0 ? rule->with_fd != FD_ALWAYS : rule->with_fd != FD_NEVER, err, CUSTOS_E_INTERNAL,
	               "%s message and descriptor do not fit", rule->name);

	uint8_t header[HEADER] = { CUSTOS_LINK_VERSION, type, 0, 0,
	                           (uint8_t)(body.len >> 24), (uint8_t)(body.len >> 16), (uint8_t)(body.len >> 8), (uint8_t)body.len };
	union {
		const uint8_t *in;
		void *out;
	} data = { .in = body.ptr };
	struct iovec parts[2] = { { header, HEADER }, { data.out, body.len } };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
	if (fd >= 0) {
		message.msg_control = control;
		message.msg_controllen = sizeof control;
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	ssize_t sent;
	do
		sent = sendmsg(channel->fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "%s has ended", channel->peer);
	if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, ETIMEDOUT, "%s does not take what is sent to it", channel->peer);
	CUSTOS_REQUIRE(sent == (ssize_t)(HEADER + body.len), err, CUSTOS_E_SYSTEM, "cannot send to %s: %s", channel->peer, strerror(errno));
	follow(channel, rule);
	return CUSTOS_OK;
}

static custos_rc wait_readable(const struct custos_channel *channel, int timeout_ms, struct custos_err *err)
{
	int64_t deadline = custos_clock_monotonic_ms() + timeout_ms;
	struct pollfd p = { .fd = channel->fd, .events = POLLIN };
	for (;;) {
		int left = -1;
		if (timeout_ms >= 0) {
			int64_t remaining = deadline - custos_clock_monotonic_ms();
			left = remaining < 0 ? 0 : (int)remaining;
		}
		int n = poll(&p, 1, left);
		if (n > 0)
			return CUSTOS_OK;
		if (n == 0)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, ETIMEDOUT, "%s did not answer in time", channel->peer);
		CUSTOS_REQUIRE(errno == EINTR, err, CUSTOS_E_SYSTEM, "cannot wait for %s: %s", channel->peer, strerror(errno));
	}
}

/* Takes the one descriptor a message may carry; any more are closed and the message is refused. */
static bool take_descriptor(struct msghdr *message, int *ret_fd)
{
	bool ok = true;
	*ret_fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (*ret_fd < 0) {
				*ret_fd = fd;
			} else {
				close(fd);
				ok = false;
			}
		}
	}
	return ok && (message->msg_flags & (MSG_CTRUNC | MSG_TRUNC)) == 0;
}

static custos_rc check(const struct custos_channel *channel, const uint8_t *header, size_t received, struct custos_frame *frame,
                       const struct custos_link_rule **ret_rule, struct custos_err *err)
{
	CUSTOS_REQUIRE(received >= HEADER && header[0] == CUSTOS_LINK_VERSION && header[2] == 0 && header[3] == 0, err, CUSTOS_E_INTERNAL,
	               "%s speaks another protocol", channel->peer);
	size_t len = (size_t)header[4] << 24 | (size_t)header[5] << 16 | (size_t)header[6] << 8 | header[7];
	CUSTOS_REQUIRE(len == received - HEADER, err, CUSTOS_E_INTERNAL, "%s sent a frame of the wrong length", channel->peer);
	const struct custos_link_rule *rule =
		find_rule(channel, header[1], channel->side == CUSTOS_SIDE_KEEPER ? CUSTOS_SIDE_HELPER : CUSTOS_SIDE_KEEPER);
	CUSTOS_REQUIRE(rule != NULL, err, CUSTOS_E_INTERNAL, "%s sent message %u, which is not allowed in state %u", channel->peer,
	               header[1], channel->state);
	CUSTOS_REQUIRE(frame->fd < 0 ? rule->with_fd != FD_ALWAYS : rule->with_fd != FD_NEVER, err, CUSTOS_E_INTERNAL,
	               "%s sent %s with the wrong descriptors", channel->peer, rule->name);
	*ret_rule = rule;
	return CUSTOS_OK;
}

custos_rc custos_channel_receive(struct custos_channel *channel, int timeout_ms, struct custos_frame *frame, struct custos_err *err)
{
	custos_frame_done(frame);
	CUSTOS_REQUIRE(channel->fd >= 0, err, CUSTOS_E_SYSTEM, "%s has ended", channel->peer);
	CUSTOS_TRY(wait_readable(channel, timeout_ms, err));

	uint8_t header[HEADER], *body;
	frame->body.max = CUSTOS_FRAME_BODY_MAX;
	CUSTOS_TRY(custos_buf_extend(&frame->body, CUSTOS_FRAME_BODY_MAX, &body, err));
	struct iovec parts[2] = { { header, HEADER }, { body, CUSTOS_FRAME_BODY_MAX } };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))];
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control };
	ssize_t received;
	do
		received = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC);
	while (received < 0 && errno == EINTR);
	CUSTOS_REQUIRE(!(received < 0 && errno == ECONNRESET), err, CUSTOS_E_SYSTEM, "%s has ended", channel->peer);
	CUSTOS_REQUIRE(received >= 0, err, CUSTOS_E_SYSTEM, "cannot hear %s: %s", channel->peer, strerror(errno));

	/* even an empty message, which looks like the end, may have brought descriptors */
	bool whole = take_descriptor(&message, &frame->fd);
	if (received == 0) {
		custos_frame_done(frame);
		CUSTOS_FAIL(err, CUSTOS_E_SYSTEM, "%s has ended", channel->peer);
	}
	const struct custos_link_rule *rule = NULL;
	custos_rc rc = whole ? check(channel, header, (size_t)received, frame, &rule, err)
	                     : custos_err_set(err, CUSTOS_E_INTERNAL, 0, "%s sent a frame that is too long, or more than one descriptor", channel->peer);
	if (rc != CUSTOS_OK) {
		custos_frame_done(frame);
		return rc;
	}
	frame->type = header[1];
	frame->body.len = (size_t)received - HEADER;
	frame->body.ptr[frame->body.len] = 0;
	follow(channel, rule);
	return CUSTOS_OK;
}

bool custos_channel_is_gone(const struct custos_channel *channel)
{
	struct pollfd p = { .fd = channel->fd, .events = POLLRDHUP };
	return channel->fd < 0 || (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) != 0);
}

void custos_channel_close(struct custos_channel *channel)
{
	if (channel->fd >= 0)
		close(channel->fd);
	channel->fd = -1;
}
