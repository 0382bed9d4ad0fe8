/* Frames between processes: what a well-behaved pair does, and everything a peer that was taken over can try. */
#include "link/channel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>

#include "link_wire.h"

/* 0 ──ASK──▶ 1 ──TELL──▶ 0; GIVE must, MAY may carry a descriptor; END leads to a state without rules. */
enum { ASK = 1, TELL, GIVE, MAY, END };
static const struct custos_link_rule rules[] = {
	{ ASK, CUSTOS_SIDE_KEEPER, 1u << 0, 1, 0, "ASK" },
	{ TELL, CUSTOS_SIDE_HELPER, 1u << 1, 0, 0, "TELL" },
	{ GIVE, CUSTOS_SIDE_KEEPER, 1u << 0, CUSTOS_STATE_SAME, 1, "GIVE" },
	{ MAY, CUSTOS_SIDE_KEEPER, 1u << 0, CUSTOS_STATE_SAME, 2, "MAY" },
	{ END, CUSTOS_SIDE_HELPER, 1u << 0 | 1u << 1, 2, 0, "END" },
};
static const struct custos_link_protocol protocol = { "test", rules, sizeof rules / sizeof *rules };

struct ends {
	struct custos_channel keeper, helper;
	size_t descriptors;
};

static int set_up(void **state)
{
	int pair[2];
	struct ends *e = calloc(1, sizeof *e);
	e->descriptors = count_descriptors();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	e->keeper = (struct custos_channel){ .fd = pair[0], .side = CUSTOS_SIDE_KEEPER, .protocol = &protocol, .peer = "the helper" };
	e->helper = (struct custos_channel){ .fd = pair[1], .side = CUSTOS_SIDE_HELPER, .protocol = &protocol, .peer = "the keeper" };
	*state = e;
	return 0;
}

/* No test may leave a descriptor behind, whatever the peer sent. */
static int tear_down(void **state)
{
	struct ends *e = *state;
	custos_channel_close(&e->keeper);
	custos_channel_close(&e->helper);
	assert_int_equal(count_descriptors(), e->descriptors);
	free(e);
	return 0;
}

static void assert_arrives(struct custos_channel *at, uint8_t type, struct custos_bytes body)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_err err = { 0 };
	if (custos_channel_receive(at, 5000, &frame, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	assert_int_equal(frame.type, type);
	assert_int_equal(frame.fd, -1);
	assert_true(custos_bytes_equal(custos_buf_view(&frame.body), body));
	assert_int_equal(frame.body.ptr[frame.body.len], 0);
}

static void both_ends_follow_the_table(void **state)
{
	struct ends *e = *state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(custos_channel_send(&e->keeper, ASK, CUSTOS_BYTES("what?\0", 6), -1, NULL), CUSTOS_OK);
		assert_int_equal(e->keeper.state, 1);
		assert_arrives(&e->helper, ASK, CUSTOS_BYTES("what?\0", 6));
		assert_int_equal(e->helper.state, 1);
		assert_int_equal(custos_channel_send(&e->helper, TELL, CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_OK);
		assert_arrives(&e->keeper, TELL, CUSTOS_BYTES(NULL, 0));
		assert_int_equal(e->keeper.state, 0);
		assert_int_equal(e->helper.state, 0);
	}
}

static void what_may_not_be_sent_is_not_sent(void **state)
{
	struct ends *e = *state;
	static const uint8_t not_in_0[] = { 0, TELL, END, 6, 77, 255 };
	for (size_t i = 0; i < sizeof not_in_0; i++)
		assert_int_equal(custos_channel_send(&e->keeper, not_in_0[i], CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_E_INTERNAL);
	assert_int_equal(custos_channel_send(&e->helper, ASK, CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_E_INTERNAL);
	/* a descriptor too many, one too few */
	assert_int_equal(custos_channel_send(&e->keeper, ASK, CUSTOS_BYTES(NULL, 0), e->helper.fd, NULL), CUSTOS_E_INTERNAL);
	assert_int_equal(custos_channel_send(&e->keeper, GIVE, CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_E_INTERNAL);
	/* a byte too many */
	uint8_t *big = calloc(1, CUSTOS_FRAME_BODY_MAX + 1);
	assert_int_equal(custos_channel_send(&e->keeper, ASK, CUSTOS_BYTES(big, CUSTOS_FRAME_BODY_MAX + 1), -1, NULL), CUSTOS_E_INTERNAL);
	free(big);
	assert_int_equal(e->keeper.state, 0);
	assert_int_equal(e->helper.state, 0);
	assert_false(is_readable(e->helper.fd));
	assert_false(is_readable(e->keeper.fd));
	assert_int_equal(custos_channel_send(&e->keeper, ASK, CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_OK);
	assert_int_equal(custos_channel_send(&e->keeper, ASK, CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_E_INTERNAL);
}

static void the_longest_body_fits(void **state)
{
	struct ends *e = *state;
	uint8_t *big = malloc(CUSTOS_FRAME_BODY_MAX);
	for (size_t i = 0; i < CUSTOS_FRAME_BODY_MAX; i++)
		big[i] = (uint8_t)(i * 7);
	assert_int_equal(custos_channel_send(&e->keeper, ASK, CUSTOS_BYTES(big, CUSTOS_FRAME_BODY_MAX), -1, NULL), CUSTOS_OK);
	assert_arrives(&e->helper, ASK, CUSTOS_BYTES(big, CUSTOS_FRAME_BODY_MAX));
	free(big);
}

static void assert_refused(struct custos_channel *at, const char *why)
{
	uint8_t before = at->state;
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_err err = { 0 };
	assert_int_equal(custos_channel_receive(at, 5000, &frame, &err), CUSTOS_E_INTERNAL);
	if (strstr(err.msg, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.msg, why);
	/* nothing of it can be looked at */
	assert_int_equal(at->state, before);
	assert_int_equal(frame.type, 0);
	assert_int_equal(frame.fd, -1);
	assert_null(frame.body.ptr);
	assert_int_equal(frame.body.len, 0);
}

static void headers_that_lie(void **state)
{
	struct ends *e = *state;
	static const struct {
		uint8_t version, type;
		uint16_t zero;
		uint32_t says;
		size_t body;
		const char *why;
	} lies[] = {
		{ 0, ASK, 0, 3, 3, "another protocol" },
		{ 2, ASK, 0, 3, 3, "another protocol" },
		{ 255, ASK, 0, 3, 3, "another protocol" },
		{ 1, ASK, 1, 3, 3, "another protocol" },
		{ 1, ASK, 0x100, 3, 3, "another protocol" },
		{ 1, ASK, 0, 4, 3, "wrong length" },
		{ 1, ASK, 0, 2, 3, "wrong length" },
		{ 1, ASK, 0, 0, 3, "wrong length" },
		{ 1, ASK, 0, 3, 0, "wrong length" },
		{ 1, ASK, 0, 0xffffffff, 3, "wrong length" },
		{ 1, ASK, 0, 0x80000003, 3, "wrong length" },
		{ 1, ASK, 0, 0xfffffff8, 0, "wrong length" },
		{ 1, 0, 0, 3, 3, "not allowed" },
		{ 1, TELL, 0, 3, 3, "not allowed" },
		{ 1, END, 0, 3, 3, "not allowed" },
		{ 1, 99, 0, 3, 3, "not allowed" },
		{ 1, GIVE, 0, 3, 3, "wrong descriptors" },
	};
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		uint8_t packet[WIRE_HEADER + 3] = { 0 };
		write_header(packet, lies[i].version, lies[i].type, lies[i].zero, lies[i].says);
		assert_true(send_raw(e->keeper.fd, packet, WIRE_HEADER + lies[i].body, -1, 0));
		assert_refused(&e->helper, lies[i].why);
	}
	/* after all that a good frame is still a good frame */
	assert_int_equal(custos_channel_send(&e->keeper, ASK, CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_OK);
	assert_arrives(&e->helper, ASK, CUSTOS_BYTES(NULL, 0));
}

static void headers_that_are_cut(void **state)
{
	struct ends *e = *state;
	uint8_t packet[WIRE_HEADER];
	write_header(packet, 1, ASK, 0, 0);
	for (size_t len = 1; len < WIRE_HEADER; len++) {
		assert_true(send_raw(e->keeper.fd, packet, len, -1, 0));
		assert_refused(&e->helper, "another protocol");
	}
}

static void frames_that_are_too_long(void **state)
{
	struct ends *e = *state;
	static const size_t bodies[] = { CUSTOS_FRAME_BODY_MAX + 1, CUSTOS_FRAME_BODY_MAX + 4096, 150000 };
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		uint8_t *packet = calloc(1, WIRE_HEADER + bodies[i]);
		/* once telling the truth, once pretending to be the longest that is allowed */
		write_header(packet, 1, ASK, 0, (uint32_t)bodies[i]);
		assert_true(send_raw(e->keeper.fd, packet, WIRE_HEADER + bodies[i], -1, 0));
		assert_refused(&e->helper, "too long");
		write_header(packet, 1, ASK, 0, CUSTOS_FRAME_BODY_MAX);
		assert_true(send_raw(e->keeper.fd, packet, WIRE_HEADER + bodies[i], -1, 0));
		assert_refused(&e->helper, "too long");
		free(packet);
	}
}

static void a_descriptor_is_handed_over(void **state)
{
	struct ends *e = *state;
	int ends[2];
	char byte;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	assert_int_equal(custos_channel_send(&e->keeper, GIVE, CUSTOS_BYTES("fd", 2), ends[1], NULL), CUSTOS_OK);
	/* the sender keeps his */
	assert_int_equal(close(ends[1]), 0);
	assert_int_equal(custos_channel_receive(&e->helper, 5000, &frame, NULL), CUSTOS_OK);
	assert_true(frame.fd >= 0);
	assert_true((fcntl(frame.fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_int_equal(write(frame.fd, "x", 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	/* what a frame held is released by the next one */
	assert_int_equal(custos_channel_send(&e->keeper, MAY, CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_OK);
	assert_int_equal(custos_channel_receive(&e->helper, 5000, &frame, NULL), CUSTOS_OK);
	assert_int_equal(frame.fd, -1);
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

/* A pipe whose last writer has been sent away: it ends when the receiver has closed what it refused. */
static void send_descriptors(struct custos_channel *from, uint8_t type, size_t body, size_t count, int *ret_reader)
{
	int ends[2];
	uint8_t packet[WIRE_HEADER + 16] = { 0 };
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	write_header(packet, 1, type, 0, (uint32_t)body);
	assert_true(send_raw(from->fd, packet, WIRE_HEADER + body, ends[1], count));
	close(ends[1]);
	*ret_reader = ends[0];
}

static void assert_all_closed(int reader)
{
	char byte;
	assert_int_equal(read(reader, &byte, 1), 0);
	close(reader);
}

static void descriptors_nobody_asked_for_are_closed(void **state)
{
	struct ends *e = *state;
	static const size_t counts[] = { 2, 3, 4, 5, 9, WIRE_FDS_MAX };
	int reader;
	send_descriptors(&e->keeper, ASK, 0, 1, &reader);
	assert_refused(&e->helper, "wrong descriptors");
	assert_all_closed(reader);
	send_descriptors(&e->keeper, 99, 0, 1, &reader);
	assert_refused(&e->helper, "not allowed");
	assert_all_closed(reader);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
		for (uint8_t type = GIVE; type <= MAY; type++) {
			send_descriptors(&e->keeper, type, 4, counts[i], &reader);
			assert_refused(&e->helper, "more than one descriptor");
			assert_all_closed(reader);
		}
}

/* An empty packet is read as zero bytes, like the end of the channel, and may bring descriptors all the same. */
static void an_empty_packet_with_a_descriptor(void **state)
{
	struct ends *e = *state;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(send_raw(e->keeper.fd, "", 0, ends[1], 1));
	close(ends[1]);
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	assert_int_equal(custos_channel_receive(&e->helper, 5000, &frame, NULL), CUSTOS_E_SYSTEM);
	assert_int_equal(frame.fd, -1);
	assert_all_closed(ends[0]);
}

static void nobody_answers(void **state)
{
	struct ends *e = *state;
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_err err = { 0 };
	assert_int_equal(custos_channel_receive(&e->keeper, 0, &frame, &err), CUSTOS_E_SYSTEM);
	assert_int_equal(err.native, ETIMEDOUT);
	assert_non_null(strstr(err.msg, "the helper"));
	custos_err_clear(&err);
	assert_int_equal(custos_channel_receive(&e->keeper, 20, &frame, &err), CUSTOS_E_SYSTEM);
	assert_int_equal(err.native, ETIMEDOUT);
	assert_false(custos_channel_is_gone(&e->keeper));
}

/* What was sent before the end is still delivered; then the end, for ever; and no signal kills whoever goes on sending. */
static void a_peer_that_has_gone(void **state)
{
	struct ends *e = *state;
	struct custos_err err = { 0 };
	assert_int_equal(custos_channel_send(&e->keeper, ASK, CUSTOS_BYTES("last", 4), -1, NULL), CUSTOS_OK);
	custos_channel_close(&e->keeper);
	assert_true(custos_channel_is_gone(&e->helper));
	assert_arrives(&e->helper, ASK, CUSTOS_BYTES("last", 4));
	for (int i = 0; i < 2; i++) {
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		assert_int_equal(custos_channel_receive(&e->helper, -1, &frame, &err), CUSTOS_E_SYSTEM);
		assert_string_equal(err.msg, "the keeper has ended");
		custos_err_clear(&err);
	}
	assert_int_equal(custos_channel_send(&e->helper, TELL, CUSTOS_BYTES(NULL, 0), -1, &err), CUSTOS_E_SYSTEM);
	assert_string_equal(err.msg, "the keeper has ended");
	assert_int_equal(e->helper.state, 1);
	custos_err_clear(&err);
	custos_channel_close(&e->helper);
	custos_channel_close(&e->helper);
	assert_true(custos_channel_is_gone(&e->helper));
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	assert_int_equal(custos_channel_receive(&e->helper, -1, &frame, &err), CUSTOS_E_SYSTEM);
	assert_int_equal(custos_channel_send(&e->helper, TELL, CUSTOS_BYTES(NULL, 0), -1, &err), CUSTOS_E_SYSTEM);
}

static void a_state_without_rules_is_the_end(void **state)
{
	struct ends *e = *state;
	assert_int_equal(custos_channel_send(&e->helper, END, CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_OK);
	assert_arrives(&e->keeper, END, CUSTOS_BYTES(NULL, 0));
	for (unsigned type = 0; type < 256; type++) {
		uint8_t packet[WIRE_HEADER];
		assert_int_equal(custos_channel_send(&e->keeper, (uint8_t)type, CUSTOS_BYTES(NULL, 0), -1, NULL), CUSTOS_E_INTERNAL);
		write_header(packet, 1, (uint8_t)type, 0, 0);
		assert_true(send_raw(e->helper.fd, packet, sizeof packet, -1, 0));
		assert_refused(&e->keeper, "not allowed in state 2");
	}
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(both_ends_follow_the_table),
		UNIT(what_may_not_be_sent_is_not_sent),
		UNIT(the_longest_body_fits),
		UNIT(headers_that_lie),
		UNIT(headers_that_are_cut),
		UNIT(frames_that_are_too_long),
		UNIT(a_descriptor_is_handed_over),
		UNIT(descriptors_nobody_asked_for_are_closed),
		UNIT(an_empty_packet_with_a_descriptor),
		UNIT(nobody_answers),
		UNIT(a_peer_that_has_gone),
		UNIT(a_state_without_rules_is_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
