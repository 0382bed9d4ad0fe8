/* The framed protocol among keeper, custos-token and custos-courier.
 *
 * A channel is one end of an AF_UNIX SOCK_SEQPACKET pair. A frame is
 *     u8 version (1) · u8 type · u16 zero · u32 body length · body (at most 64 KiB)
 * and may carry at most one descriptor. The kernel keeps frame boundaries; the length is checked against them all the
 * same. A state table per protocol says which type may be sent by whom in which state; a frame that is not allowed is an
 * error on either end and nothing of it is looked at. Model: OpenSSH's monitor. */
#ifndef CUSTOS_LINK_CHANNEL_H
#define CUSTOS_LINK_CHANNEL_H

#include "base/wire.h"

enum { CUSTOS_FRAME_BODY_MAX = 65536, CUSTOS_LINK_VERSION = 1 };

enum custos_link_side { CUSTOS_SIDE_KEEPER, CUSTOS_SIDE_HELPER };

/* One row: in state `from` (a bit mask of 1u << state), `side` may send `type`; the protocol is then in `to`
 * (CUSTOS_STATE_SAME: unchanged). `with_fd`: the frame carries a descriptor (0 never, 1 always, 2 may). */
struct custos_link_rule {
	uint8_t type;
	enum custos_link_side side;
	uint32_t from;
	uint8_t to;
	uint8_t with_fd;
	const char *name;
};
enum { CUSTOS_STATE_SAME = 255 };

struct custos_link_protocol {
	const char *name;
	const struct custos_link_rule *rules;
	size_t count;
};

struct custos_channel {
	int fd;                                   /* -1 when closed */
	enum custos_link_side side;
	uint8_t state;                            /* starts at 0 */
	const struct custos_link_protocol *protocol;
	const char *peer;                         /* for errors: "custos-token", "custos-courier", "keeper" */
};

struct custos_frame {
	uint8_t type;
	int fd;                                   /* -1 when none */
	struct custos_buf body;
};
void custos_frame_done(struct custos_frame *frame); /* closes fd too */
#define CUSTOS_AUTO_FRAME CUSTOS_CLEANUP(custos_frame_done) struct custos_frame

/* Sends one frame; `fd` is -1 or a descriptor that is duplicated to the peer (the caller keeps his). A helper that takes nothing for 20 seconds is
 * CUSTOS_E_SYSTEM with native ETIMEDOUT. */
CUSTOS_RC custos_channel_send(struct custos_channel *channel, uint8_t type, struct custos_bytes body, int fd, struct custos_err *err);
/* Waits at most timeout_ms (-1: for ever) for a frame. A peer that has gone is CUSTOS_E_SYSTEM "… has ended"; a timeout is CUSTOS_E_SYSTEM
 * with native ETIMEDOUT. `frame` must be zero or done; what it held is released first. */
CUSTOS_RC custos_channel_receive(struct custos_channel *channel, int timeout_ms, struct custos_frame *frame, struct custos_err *err);
/* True when the peer has closed its end (never blocks). */
bool custos_channel_is_gone(const struct custos_channel *channel);
void custos_channel_close(struct custos_channel *channel);

#endif
