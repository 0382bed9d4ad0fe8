/* One side of a conversation over a channel, as bytes of a corpus: for each frame u8 type · u8 how · u16 length · body. `how` says with
 * how many descriptors it comes and whether the body is the packet itself, header and all. Everything is sent before the other side
 * reads; behind it wait packets that are no frames, so that whoever listens on gets an error and never waits. */
#ifndef CUSTOS_TESTS_FUZZ_CONVERSATION_H
#define CUSTOS_TESTS_FUZZ_CONVERSATION_H

#include "fuzz.h"
#include "link_wire.h"

#include <errno.h>

enum { HOW_DESCRIPTORS = 3, HOW_RAW = 0x80, FRAMES_MAX = 64, TRAILERS = 16 };

struct spoken {
	uint8_t type, how;
	struct custos_bytes body;
};

static inline bool next_frame(struct custos_bytes *rest, struct spoken *ret)
{
	if (rest->len < 4)
		return false;
	size_t len = (size_t)rest->ptr[2] << 8 | rest->ptr[3], left = rest->len - 4;
	*ret = (struct spoken){ rest->ptr[0], rest->ptr[1], CUSTOS_BYTES(rest->ptr + 4, len < left ? len : left) };
	*rest = CUSTOS_BYTES(ret->body.ptr + ret->body.len, left - ret->body.len);
	return true;
}

/* False when the kernel holds no more of it. */
static inline bool speak(int to, const struct spoken *frame, int fd)
{
	CUSTOS_AUTO_BUF packet = { 0 };
	uint8_t *header;
	if ((frame->how & HOW_RAW) != 0)
		return send_raw(to, frame->body.ptr, frame->body.len, fd, frame->how & HOW_DESCRIPTORS);
	MUST(custos_buf_extend(&packet, WIRE_HEADER, &header, NULL) == CUSTOS_OK);
	write_header(header, CUSTOS_LINK_VERSION, frame->type, 0, (uint32_t)frame->body.len);
	MUST(custos_buf_append(&packet, frame->body.ptr, frame->body.len, NULL) == CUSTOS_OK);
	return send_raw(to, packet.ptr, packet.len, fd, frame->how & HOW_DESCRIPTORS);
}

static inline void speak_trailers(int to)
{
	for (int i = 0; i < TRAILERS; i++)
		if (!send_raw(to, "", 1, -1, 0))
			return;
}

/* A pair with both ends that never wait; the kernel's limit is enough for every frame of a corpus. */
static inline void make_channel(int pair[2])
{
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
	int room = 4 << 20;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

/* Says the whole conversation; `fd` goes with every frame that comes with descriptors. */
static inline void speak_all(int to, struct custos_bytes conversation, int fd)
{
	struct spoken frame;
	for (int i = 0; i < FRAMES_MAX && next_frame(&conversation, &frame); i++)
		if (!speak(to, &frame, fd))
			break;
	speak_trailers(to);
}

/* The next packet that waits at `from`, whole and with at most one descriptor; 0 when none does. */
static inline size_t hear_packet(int from, uint8_t packet[static WIRE_HEADER + CUSTOS_FRAME_BODY_MAX], bool *ret_descriptor)
{
	*ret_descriptor = false;
	while (is_readable(from)) {
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
		struct iovec part = { packet, WIRE_HEADER + CUSTOS_FRAME_BODY_MAX };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
		ssize_t n = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
		struct cmsghdr *c = n <= 0 ? NULL : CMSG_FIRSTHDR(&message);
		/* told once of an end that was closed with something unread; what was sent before still waits */
		if (n < 0 && errno == ECONNRESET)
			continue;
		if (n <= 0)
			return 0;
		MUST(n >= WIRE_HEADER && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0);
		if (c != NULL) {
			int fd;
			memcpy(&fd, CMSG_DATA(c), sizeof fd);
			close(fd);
			*ret_descriptor = true;
		}
		return (size_t)n;
	}
	return 0;
}

/* A descriptor to give away, and the way to find out that none was kept: the pipe ends when its last writer is gone. */
struct gift {
	int reader, writer;
};

static inline struct gift make_gift(void)
{
	int ends[2];
	MUST(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
	return (struct gift){ ends[0], ends[1] };
}

static inline void must_be_gone(struct gift *gift)
{
	char byte;
	close(gift->writer);
	MUST(read(gift->reader, &byte, 1) == 0);
	close(gift->reader);
}

#endif
