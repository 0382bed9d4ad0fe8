/* The two protocols' tables against a second copy written from their headers: for every state, side, type and with or without a
 * descriptor, what is listed here passes on both ends and leads where it says, and everything else is refused on both ends. */
#include "link/courier.h"
#include "link/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "link_wire.h"

enum fd_rule { NO_FD, ONE_FD, ANY_FD };
struct allowed {
	uint8_t state;
	enum custos_link_side side;
	uint8_t type, next;
	enum fd_rule fd;
};
#define K CUSTOS_SIDE_KEEPER
#define H CUSTOS_SIDE_HELPER
#define C(m) CUSTOS_COURIER_##m
#define T(m) CUSTOS_TOKEN_##m

static const struct allowed courier[] = {
	{ 0, K, C(SETUP), 1, NO_FD },
	{ 1, H, C(HELLO), 2, NO_FD },
	/* sockets and credentials, before anything is prepared */
	{ 2, K, C(SOCKET), 2, ONE_FD }, { 2, K, C(NO_SOCKET), 2, NO_FD }, { 2, K, C(CREDENTIAL), 2, ANY_FD }, { 2, K, C(PREPARE), 3, NO_FD },
	/* preparing */
	{ 3, K, C(SOCKET), 3, ONE_FD }, { 3, K, C(NO_SOCKET), 3, NO_FD }, { 3, K, C(LOGIN_SIGNATURE), 3, NO_FD }, { 3, K, C(VERDICT), 3, NO_FD },
	{ 3, H, C(SIGN_LOGIN), 3, NO_FD }, { 3, H, C(PROGRESS), 3, NO_FD }, { 3, H, C(NEED_SOCKET), 3, NO_FD }, { 3, H, C(SERVED), 3, NO_FD },
	{ 3, H, C(PREPARED), 3, NO_FD }, { 3, H, C(FACTS), 3, NO_FD },
	{ 3, K, C(KEY), 4, NO_FD }, { 3, K, C(ABORT), 4, NO_FD },
	/* delivering */
	{ 4, K, C(SOCKET), 4, ONE_FD }, { 4, K, C(NO_SOCKET), 4, NO_FD }, { 4, K, C(VERDICT), 4, NO_FD },
	/* a session that was cut is had again */
	{ 4, H, C(SIGN_LOGIN), 4, NO_FD }, { 4, K, C(LOGIN_SIGNATURE), 4, NO_FD },
	{ 4, H, C(PROGRESS), 4, NO_FD }, { 4, H, C(NEED_SOCKET), 4, NO_FD }, { 4, H, C(SERVED), 4, NO_FD }, { 4, H, C(OUTCOME), 4, NO_FD },
	{ 4, H, C(BYE), 5, NO_FD },
	/* a key out of a file: read (6), then sealed (7) */
	{ 2, K, C(READ_KEY), 6, ONE_FD },
	{ 6, H, C(NEED_PHRASE), 6, NO_FD }, { 6, K, C(PHRASE), 6, NO_FD }, { 6, H, C(KEY_REFUSED), 5, NO_FD }, { 6, H, C(KEY_READ), 7, NO_FD },
	/* the way of transport (15), and what the key is bound to */
	{ 2, K, C(TRANSPORT), 15, NO_FD }, { 15, H, C(TRANSPORT_KEY), 2, NO_FD }, { 3, K, C(INTENT), 3, NO_FD },
	{ 7, K, C(SEAL_KEY), 7, NO_FD }, { 7, H, C(KEY_SEALED), 4, NO_FD },
	/* a KEK into shares: planned (8), split (9), held (10), given out (11) */
	{ 2, K, C(SPLIT_PLAN), 8, ANY_FD }, { 8, K, C(KEY), 9, NO_FD },
	{ 9, K, C(SEAL_KEY), 9, NO_FD }, { 9, H, C(KEY_SEALED), 10, NO_FD }, { 9, H, C(KEY_REFUSED), 5, NO_FD },
	{ 10, K, C(GIVE_OUT), 11, NO_FD }, { 11, H, C(SHARE), 11, NO_FD }, { 11, H, C(SHARES_GIVEN), 4, NO_FD }, { 11, H, C(KEY_REFUSED), 5, NO_FD },
	/* and back: gathered (12) from files (13), then at the terminal (14) */
	{ 2, K, C(COMBINE_PLAN), 12, ANY_FD }, { 12, K, C(SHARE_FILE), 13, ONE_FD },
	{ 13, H, C(NEED_PHRASE), 13, NO_FD }, { 13, K, C(PHRASE), 13, NO_FD }, { 13, H, C(SHARE_TAKEN), 12, NO_FD }, { 13, H, C(KEY_REFUSED), 5, NO_FD },
	{ 12, K, C(COLLECT), 14, NO_FD }, { 14, H, C(SHARES_READY), 7, NO_FD }, { 14, H, C(KEY_REFUSED), 5, NO_FD },
	/* a sealed key: its container on the way to hosts; born (16); opened to sign once (17) */
	{ 3, K, C(CONTAINER), 3, NO_FD },
	{ 2, K, C(BEAR_KEY), 16, NO_FD }, { 16, H, C(KEY_BORN), 4, NO_FD }, { 16, H, C(KEY_REFUSED), 5, NO_FD },
	{ 2, K, C(OPEN_KEY), 17, NO_FD }, { 17, H, C(KEY_SIGNED), 4, NO_FD }, { 17, H, C(KEY_REFUSED), 5, NO_FD },
};

enum { NEW, STARTING, OPEN, OPEN_BUSY, LOGGING_IN, READY, READY_BUSY, KEYS_BUSY };
static const struct allowed token[] = {
	{ NEW, K, T(LIST), STARTING, NO_FD }, { NEW, K, T(INIT), STARTING, ONE_FD }, { NEW, K, T(OPEN), STARTING, NO_FD },
	{ STARTING, H, T(LISTED), NEW, NO_FD }, { STARTING, H, T(INITIALIZED), NEW, NO_FD }, { STARTING, H, T(OPENED), OPEN, NO_FD },
	{ STARTING, H, T(FAILED), NEW, NO_FD },
	{ OPEN, K, T(LOGIN), LOGGING_IN, ANY_FD }, { OPEN, K, T(INFO), OPEN_BUSY, NO_FD },
	{ OPEN_BUSY, H, T(INFO_IS), OPEN, NO_FD }, { OPEN_BUSY, H, T(FAILED), OPEN, NO_FD },
	{ LOGGING_IN, H, T(LOGGED_IN), READY, NO_FD }, { LOGGING_IN, H, T(FAILED), OPEN, NO_FD },
	{ READY, K, T(INFO), READY_BUSY, NO_FD }, { READY, K, T(KEK_CREATE), READY_BUSY, NO_FD }, { READY, K, T(KEK_OPEN), READY_BUSY, NO_FD },
	{ READY, K, T(LOG_KEY_CREATE), READY_BUSY, NO_FD }, { READY, K, T(LOG_OPEN), READY_BUSY, NO_FD },
	{ READY, K, T(LOG_SIGN), READY_BUSY, NO_FD },
	{ READY, K, T(KEY_GENERATE), READY_BUSY, NO_FD }, { READY, K, T(SIGN), READY_BUSY, NO_FD }, { READY, K, T(RELEASE), READY_BUSY, NO_FD },
	{ READY_BUSY, H, T(INFO_IS), READY, NO_FD }, { READY_BUSY, H, T(KEK_CREATED), READY, NO_FD },
	{ READY_BUSY, H, T(KEK_OPENED), READY, NO_FD },
	{ READY_BUSY, H, T(LOG_OPENED), READY, NO_FD }, { READY_BUSY, H, T(KEY_MADE), READY, NO_FD }, { READY_BUSY, H, T(SIGNED), READY, NO_FD },
	{ READY_BUSY, H, T(RELEASED), READY, NO_FD }, { READY_BUSY, H, T(FAILED), READY, NO_FD },
	/* many keys: one result a job, then the end */
	{ READY, K, T(KEYS), KEYS_BUSY, NO_FD }, { KEYS_BUSY, H, T(KEYS_RESULT), KEYS_BUSY, NO_FD }, { KEYS_BUSY, H, T(KEYS_DONE), READY, NO_FD },
	{ KEYS_BUSY, H, T(FAILED), READY, NO_FD },
	/* the doctor: a check that needs no login, or one that does */
	{ OPEN, K, T(DOCTOR), OPEN_BUSY, NO_FD }, { OPEN_BUSY, H, T(FOUND), OPEN, NO_FD }, { READY, K, T(DOCTOR), READY_BUSY, NO_FD }, { READY_BUSY, H, T(FOUND), READY, NO_FD },
	{ READY, K, T(RELEASE_TO_KEY), READY_BUSY, NO_FD }, { READY_BUSY, H, T(RELEASED_TO_KEY), READY, NO_FD },
	{ READY, K, T(SEALING_CREATE), READY_BUSY, NO_FD }, { READY_BUSY, H, T(SEALING_CREATED), READY, NO_FD },
	{ READY, K, T(SEALING_OPEN), READY_BUSY, NO_FD }, { READY_BUSY, H, T(SEALING_OPENED), READY, NO_FD },
	{ READY, K, T(RELEASE_SEALED), READY_BUSY, NO_FD }, { READY_BUSY, H, T(SEALED_RELEASED), READY, NO_FD },
	{ READY, K, T(KEY_DESTROY), READY_BUSY, NO_FD }, { READY_BUSY, H, T(KEY_DESTROYED), READY, NO_FD },
	{ READY, K, T(IMPORT_BEGIN), READY_BUSY, NO_FD }, { READY_BUSY, H, T(IMPORT_POINT), READY, NO_FD }, { READY, K, T(IMPORT), READY_BUSY, NO_FD },
	{ READY, K, T(KEK_BACKUP), READY_BUSY, NO_FD }, { READY, K, T(KEK_KEEP), READY_BUSY, NO_FD }, { READY, K, T(KEK_RECEIVE), READY_BUSY, NO_FD },
	{ READY_BUSY, H, T(KEK_TAKEN), READY, NO_FD }, { READY, K, T(KEK_DESTROY), READY_BUSY, NO_FD }, { READY, K, T(KEY_REWRAP), READY_BUSY, NO_FD },
};

struct table {
	const struct custos_link_protocol *protocol;
	const struct allowed *rows;
	size_t count;
	uint8_t states;
};
static const struct table courier_table = { &custos_courier_protocol, courier, sizeof courier / sizeof *courier, 18 };
static const struct table token_table = { &custos_token_protocol, token, sizeof token / sizeof *token, 8 };

static const struct allowed *find(const struct table *t, uint8_t state, enum custos_link_side side, uint8_t type, bool with_fd)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->rows[i].state == state && t->rows[i].side == side && t->rows[i].type == type &&
		    (t->rows[i].fd == ANY_FD || (t->rows[i].fd == ONE_FD) == with_fd))
			return &t->rows[i];
	return NULL;
}

struct pair {
	int fds[2];
	int spare;   /* a descriptor to hand over */
};

static struct custos_channel channel(const struct table *t, int fd, enum custos_link_side side, uint8_t state)
{
	return (struct custos_channel){ .fd = fd, .side = side, .state = state, .protocol = t->protocol, .peer = "peer" };
}

static void drain(int fd)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	assert_true(recvmsg(fd, &message, 0) > 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);
	int got;
	if (c != NULL) {
		memcpy(&got, CMSG_DATA(c), sizeof got);
		close(got);
	}
}

static void check_sending(const struct table *t, const struct pair *p, uint8_t state, enum custos_link_side side, uint8_t type, bool with_fd)
{
	const struct allowed *row = find(t, state, side, type, with_fd);
	struct custos_channel sender = channel(t, p->fds[0], side, state);
	custos_rc rc = custos_channel_send(&sender, type, CUSTOS_BYTES(NULL, 0), with_fd ? p->spare : -1, NULL);
	if ((rc == CUSTOS_OK) != (row != NULL))
		fail_msg("%s: message %u %s descriptor from side %d in state %u %s sent", t->protocol->name, type,
			with_fd ? "with" : "without", side, state,
		         row != NULL ? "was not" : "was");
	assert_int_equal(sender.state, row == NULL ? state : row->next);
	assert_int_equal(is_readable(p->fds[1]), row != NULL);
	if (row != NULL)
		drain(p->fds[1]);
}

static void check_receiving(const struct table *t, const struct pair *p, uint8_t state, enum custos_link_side side, uint8_t type, bool with_fd)
{
	const struct allowed *row = find(t, state, side, type, with_fd);
	struct custos_channel receiver = channel(t, p->fds[1], side == K ? H : K, state);
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	uint8_t packet[WIRE_HEADER];
	write_header(packet, CUSTOS_LINK_VERSION, type, 0, 0);
	assert_true(send_raw(p->fds[0], packet, sizeof packet, p->spare, with_fd ? 1 : 0));
	custos_rc rc = custos_channel_receive(&receiver, 5000, &frame, NULL);
	if ((rc == CUSTOS_OK) != (row != NULL))
		fail_msg("%s: message %u %s descriptor from side %d in state %u %s taken", t->protocol->name, type,
			with_fd ? "with" : "without", side, state,
		         row != NULL ? "was not" : "was");
	assert_int_equal(receiver.state, row == NULL ? state : row->next);
	assert_int_equal(frame.fd >= 0, row != NULL && with_fd);
}

static void check(const struct table *t)
{
	struct pair p = { .spare = open("/dev/null", O_RDWR | O_CLOEXEC) };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p.fds), 0);
	/* two states more than there are */
	for (uint8_t state = 0; state < t->states + 2; state++)
		for (unsigned type = 0; type < 256; type++)
			for (unsigned k = 0; k < 4; k++) {
				check_sending(t, &p, state, (k & 1) != 0 ? H : K, (uint8_t)type, (k & 2) != 0);
				/* every type once around those that exist, then in strides: receiving costs a buffer each time */
				if (type < 64 || type % 17 == 0)
					check_receiving(t, &p, state, (k & 1) != 0 ? H : K, (uint8_t)type, (k & 2) != 0);
			}
	close(p.fds[0]);
	close(p.fds[1]);
	close(p.spare);
}

static void the_courier_s_table(void **state)
{
	(void)state;
	check(&courier_table);
}

static void the_token_s_table(void **state)
{
	(void)state;
	check(&token_table);
}

/* A type that two rows allow in one state would mean whichever stands first. */
static void no_row_is_ambiguous(void **state)
{
	(void)state;
	static const struct table *const tables[] = { &courier_table, &token_table };
	for (size_t t = 0; t < 2; t++) {
		const struct custos_link_protocol *p = tables[t]->protocol;
		for (size_t i = 0; i < p->count; i++) {
			assert_non_null(p->rules[i].name);
			assert_true(p->rules[i].type != 0 && p->rules[i].from != 0);
			assert_true(p->rules[i].to < tables[t]->states || p->rules[i].to == CUSTOS_STATE_SAME);
			for (size_t k = 0; k < i; k++)
				assert_false(p->rules[i].type == p->rules[k].type && p->rules[i].side == p->rules[k].side &&
					(p->rules[i].from & p->rules[k].from) != 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_courier_s_table),
		cmocka_unit_test(the_token_s_table),
		cmocka_unit_test(no_row_is_ambiguous),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
