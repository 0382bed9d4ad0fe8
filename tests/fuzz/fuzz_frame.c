/* A frame from a peer that was taken over. The first byte says to whom (bit 0 protocol, bit 1 receiving side, bits 2 to 4 and 7 state) and
 * with how many descriptors (bits 5 and 6; 3 stands for more than a frame has room for); the rest is the packet. What is accepted must be
 * exactly what the header says, and its fields, read as link/courier.h and link/token.h describe them and written again, must give the same
 * bytes. No descriptor may be left behind. */
#include "link/courier.h"
#include "link/token.h"

#include "fuzz.h"
#include "link_wire.h"

/* Fields: b u8, w u32, q u64, B bytes, T text, P point (65), H hash (32), I id (16); + a u32 count of what follows it. */
static const struct {
	const struct custos_link_protocol *protocol;
	uint8_t type;
	const char *fields;
} layouts[] = {
	{ &custos_courier_protocol, CUSTOS_COURIER_SETUP, "bbbBB+B" },
	{ &custos_courier_protocol, CUSTOS_COURIER_HELLO, "PTw" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SOCKET, "wb" },
	{ &custos_courier_protocol, CUSTOS_COURIER_NO_SOCKET, "wbT" },
	{ &custos_courier_protocol, CUSTOS_COURIER_CREDENTIAL, "wbBB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_PREPARE, "" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SIGN_LOGIN, "wB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_LOGIN_SIGNATURE, "wB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_PROGRESS, "wbT" },
	{ &custos_courier_protocol, CUSTOS_COURIER_NEED_SOCKET, "wb" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SERVED, "wbwT+B" },
	{ &custos_courier_protocol, CUSTOS_COURIER_VERDICT, "wbT" },
	{ &custos_courier_protocol, CUSTOS_COURIER_PREPARED, "wbbTTTTH" },
	{ &custos_courier_protocol, CUSTOS_COURIER_KEY, "PB+w" },
	{ &custos_courier_protocol, CUSTOS_COURIER_OUTCOME, "wbbTTwT" },
	{ &custos_courier_protocol, CUSTOS_COURIER_BYE, "w" },
	{ &custos_courier_protocol, CUSTOS_COURIER_READ_KEY, "" },
	{ &custos_courier_protocol, CUSTOS_COURIER_NEED_PHRASE, "" },
	{ &custos_courier_protocol, CUSTOS_COURIER_PHRASE, "PB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_KEY_READ, "B" },
	{ &custos_courier_protocol, CUSTOS_COURIER_KEY_REFUSED, "bTT" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SEAL_KEY, "P" },
	{ &custos_courier_protocol, CUSTOS_COURIER_KEY_SEALED, "PB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SPLIT_PLAN, "bw+T+B" },
	{ &custos_courier_protocol, CUSTOS_COURIER_GIVE_OUT, "" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SHARE, "bPB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SHARES_GIVEN, "" },
	{ &custos_courier_protocol, CUSTOS_COURIER_COMBINE_PLAN, "Tbw" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SHARE_FILE, "TbPB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SHARE_TAKEN, "wbb" },
	{ &custos_courier_protocol, CUSTOS_COURIER_COLLECT, "" },
	{ &custos_courier_protocol, CUSTOS_COURIER_SHARES_READY, "wbB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_TRANSPORT, "b" },
	{ &custos_courier_protocol, CUSTOS_COURIER_TRANSPORT_KEY, "B" },
	{ &custos_courier_protocol, CUSTOS_COURIER_INTENT, "HB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_CONTAINER, "B" },
	{ &custos_courier_protocol, CUSTOS_COURIER_BEAR_KEY, "TTTbBB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_KEY_BORN, "BBB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_OPEN_KEY, "PBBBbB" },
	{ &custos_courier_protocol, CUSTOS_COURIER_KEY_SIGNED, "B" },
	{ &custos_courier_protocol, CUSTOS_COURIER_FACTS, "w+TT" },
	{ &custos_token_protocol, CUSTOS_TOKEN_FAILED, "bqTT" },
	{ &custos_token_protocol, CUSTOS_TOKEN_OPEN, "TTTT" },
	{ &custos_token_protocol, CUSTOS_TOKEN_OPENED, "TTTTTTTTTwb" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEK_OPEN, "IbBBH" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEY_GENERATE, "bbITHH" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEY_MADE, "bBBBB" },
	{ &custos_token_protocol, CUSTOS_TOKEN_SIGN, "bbIBBB" },
	{ &custos_token_protocol, CUSTOS_TOKEN_RELEASE, "bBBPB+HBBH" },
	{ &custos_token_protocol, CUSTOS_TOKEN_DOCTOR, "bw" },
	{ &custos_token_protocol, CUSTOS_TOKEN_RELEASED, "BPB" },
	{ &custos_token_protocol, CUSTOS_TOKEN_RELEASE_TO_KEY, "bBBPB+HBBHB" },
	{ &custos_token_protocol, CUSTOS_TOKEN_RELEASED_TO_KEY, "BBB" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEY_DESTROY, "IB" },
	{ &custos_token_protocol, CUSTOS_TOKEN_IMPORT_POINT, "P" },
	{ &custos_token_protocol, CUSTOS_TOKEN_IMPORT, "bBPBHH" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEK_CREATE, "ITb" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEK_BACKUP, "bBBPB+HBBH" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEK_KEEP, "IBBH" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEK_RECEIVE, "bITPBBBH" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEK_TAKEN, "BB" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEK_DESTROY, "I" },
	{ &custos_token_protocol, CUSTOS_TOKEN_KEY_REWRAP, "IbbBBHH" },
	{ &custos_token_protocol, CUSTOS_TOKEN_SEALING_CREATE, "IT" },
	{ &custos_token_protocol, CUSTOS_TOKEN_SEALING_CREATED, "bBT" },
	{ &custos_token_protocol, CUSTOS_TOKEN_SEALING_OPEN, "IbB" },
	{ &custos_token_protocol, CUSTOS_TOKEN_RELEASE_SEALED, "bBPB+HBB" },
	{ &custos_token_protocol, CUSTOS_TOKEN_SEALED_RELEASED, "PB" },
};

static void copy_fixed(struct custos_wire *r, struct custos_wire_out *w, size_t len)
{
	uint8_t fixed[CUSTOS_POINT_SIZE];
	custos_wire_fixed(r, fixed, len);
	custos_wire_put_fixed(w, fixed, len);
}

static void copy_field(struct custos_wire *r, struct custos_wire_out *w, char field)
{
	switch (field) {
	case 'b': custos_wire_put_u8(w, custos_wire_u8(r)); return;
	case 'w': custos_wire_put_u32(w, custos_wire_u32(r)); return;
	case 'q': custos_wire_put_u64(w, custos_wire_u64(r)); return;
	case 'B': custos_wire_put_bytes(w, custos_wire_bytes(r)); return;
	case 'P': copy_fixed(r, w, CUSTOS_POINT_SIZE); return;
	case 'H': copy_fixed(r, w, CUSTOS_HASH_SIZE); return;
	case 'I': copy_fixed(r, w, 16); return;
	default: {
		CUSTOS_AUTO_STR *text = custos_wire_text(r);
		MUST((text == NULL) == r->failed);
		custos_wire_put_text(w, text);
	}
	}
}

static void decode(const struct custos_link_protocol *protocol, uint8_t type, struct custos_bytes body)
{
	for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
		if (layouts[i].protocol != protocol || layouts[i].type != type)
			continue;
		CUSTOS_AUTO_BUF again = { 0 };
		struct custos_wire r = custos_wire_read(body);
		struct custos_wire_out w = { .buf = &again };
		for (const char *f = layouts[i].fields; *f != '\0'; f++) {
			if (*f != '+') {
				copy_field(&r, &w, *f);
				continue;
			}
			uint32_t count = custos_wire_u32(&r);
			custos_wire_put_u32(&w, count);
			for (f++; count > 0 && !r.failed; count--)
				copy_field(&r, &w, *f);
		}
		/* nothing behind the end, ever */
		MUST(r.rest.len <= body.len);
		if (custos_wire_end(&r, "fuzz", NULL) == CUSTOS_OK)
			MUST(w.rc == CUSTOS_OK && custos_bytes_equal(custos_buf_view(&again), body));
	}
}

static void receive(struct custos_channel *channel, struct custos_bytes packet, size_t descriptors)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_err err = { 0 };
	uint8_t before = channel->state;
	custos_rc rc = custos_channel_receive(channel, 0, &frame, &err);
	MUST(rc == CUSTOS_OK || rc == CUSTOS_E_INTERNAL || rc == CUSTOS_E_SYSTEM);
	if (rc != CUSTOS_OK) {
		MUST(frame.fd < 0 && frame.body.ptr == NULL && channel->state == before && err.msg[0] != '\0');
		return;
	}
	MUST(packet.len >= 8 && packet.ptr[0] == CUSTOS_LINK_VERSION && frame.type == packet.ptr[1]);
	MUST(custos_bytes_equal(custos_buf_view(&frame.body), CUSTOS_BYTES(packet.ptr + 8, packet.len - 8)));
	MUST(frame.body.ptr[frame.body.len] == 0);
	MUST(descriptors <= 1 && (frame.fd >= 0) == (descriptors == 1));
	decode(channel->protocol, frame.type, custos_buf_view(&frame.body));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int pair[2], pipe_ends[2];
	if (size == 0 || size > 150000)
		return 0;
	struct custos_bytes packet = CUSTOS_BYTES(data + 1, size - 1);
	size_t descriptors = (data[0] >> 5 & 3) == 3 ? 7 : data[0] >> 5 & 3;
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 && pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) == 0);
	struct custos_channel channel = {
		.fd = pair[0],
		.side = (data[0] & 2) != 0 ? CUSTOS_SIDE_HELPER : CUSTOS_SIDE_KEEPER,
		.state = (uint8_t)((data[0] >> 2 & 7) | (data[0] >> 7) << 3),
		.protocol = (data[0] & 1) != 0 ? &custos_token_protocol : &custos_courier_protocol,
		.peer = "peer",
	};
	bool sent = send_raw(pair[1], packet.ptr, packet.len, pipe_ends[1], descriptors);
	close(pipe_ends[1]);
	if (sent)
		receive(&channel, packet, descriptors);
	/* the last writer of the pipe is gone only when no descriptor was left behind */
	char byte;
	MUST(read(pipe_ends[0], &byte, 1) == 0);
	close(pipe_ends[0]);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
