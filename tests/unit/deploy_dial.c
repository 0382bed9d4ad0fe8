/* Addresses people type and hosts that do not answer: a port is a port, a name that cannot be split is refused before anything is
 * resolved, and a deadline is kept. */
#include "deploy/dial.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

enum { SECONDS = 1000 };

/* A listener on a port of the kernel's choice; -1 when there is no such address family here. */
static int listen_on(int family, int backlog, uint16_t *ret_port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_storage got;
	socklen_t len = sizeof got;
	CUSTOS_AUTO_FD fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
		family == AF_INET ? sizeof v4 : sizeof v6) != 0 || listen(fd, backlog) != 0 ||
	    getsockname(fd, (struct sockaddr *)&got, &len) != 0)
		return -1;
	*ret_port = ntohs(family == AF_INET ? ((struct sockaddr_in *)&got)->sin_port : ((struct sockaddr_in6 *)&got)->sin6_port);
	return custos_take_fd(&fd);
}

static void assert_reaches(int listener, const char *address, const char *default_port)
{
	struct custos_err err = { 0 };
	CUSTOS_AUTO_FD fd = -1;
	int nodelay = 0;
	socklen_t len = sizeof nodelay;
	if (custos_dial(address, default_port, 10 * SECONDS, &fd, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	CUSTOS_AUTO_FD accepted = accept(listener, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
	assert_true(nodelay != 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	char byte = 0;
	assert_int_equal(send(accepted, "x", 1, 0), 1);
	while (read(fd, &byte, 1) < 0)
		; /* what is handed to the courier does not block */
	assert_int_equal(byte, 'x');
}

static void every_way_to_write_it(void **state)
{
	(void)state;
	uint16_t port;
	char address[64], number[16];
	CUSTOS_AUTO_FD v4 = listen_on(AF_INET, 5, &port);
	assert_true(v4 >= 0);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	snprintf(number, sizeof number, "%u", port);
	assert_reaches(v4, address, "1");
	assert_reaches(v4, "127.0.0.1", number);
	snprintf(address, sizeof address, "[127.0.0.1]:%u", port);
	assert_reaches(v4, address, "1");
	/* a name that has more than one address, of which one listens */
	snprintf(address, sizeof address, "localhost:%u", port);
	assert_reaches(v4, address, "1");
}

static void version_six(void **state)
{
	(void)state;
	uint16_t port;
	char address[64], number[16];
	CUSTOS_AUTO_FD v6 = listen_on(AF_INET6, 5, &port);
	if (v6 < 0)
		skip();
	snprintf(address, sizeof address, "[::1]:%u", port);
	snprintf(number, sizeof number, "%u", port);
	assert_reaches(v6, address, "1");
	assert_reaches(v6, "[::1]", number);
}

static void what_is_no_address(void **state)
{
	(void)state;
	static const char *const bad[] = { "", ":", ":22", "[", "[]", "[]:22", "[::1", "[::1]22", "[::1]:", "[::1]x:22", "::1", "::1:22",
		"fe80::1", "2001:db8::1", "127.0.0.1:", "127.0.0.1:ssh",
		                           "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:65558", "127.0.0.1:-22", "127.0.0.1:+22",
			"127.0.0.1: 22", "127.0.0.1:22 ", "127.0.0.1:022",
		                           "127.0.0.1:22:22", "127.0.0.1:22x", "127.0.0.1:4294967318", "127.0.0.1:18446744073709551638" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct custos_err err = { 0 };
		int fd = -1;
		custos_rc rc = custos_dial(bad[i], "22", SECONDS, &fd, &err);
		if (rc != CUSTOS_E_INPUT)
			fail_msg("\"%s\": %s %s", bad[i], custos_rc_name(rc), err.msg);
		assert_int_equal(fd, -1);
		/* the whole of what was typed is in the message */
		assert_non_null(strstr(err.msg, bad[i]));
	}
	char longest[400];
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	int fd = -1;
	assert_int_equal(custos_dial(longest, "22", SECONDS, &fd, NULL), CUSTOS_E_INPUT);
}

static void nobody_listens(void **state)
{
	(void)state;
	uint16_t port;
	char address[64];
	struct custos_err err = { 0 };
	int fd = listen_on(AF_INET, 1, &port), none = -1;
	assert_true(fd >= 0);
	close(fd);
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	assert_int_equal(custos_dial(address, "22", 10 * SECONDS, &none, &err), CUSTOS_E_NETWORK);
	assert_non_null(strstr(err.msg, "127.0.0.1"));
	assert_non_null(strstr(err.msg, "refused"));
	assert_true(err.native != 0);
	assert_int_equal(none, -1);
}

static void no_such_name(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	int fd = -1;
	/* not even a question for a name server: the label is too long for one */
	assert_int_equal(custos_dial("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid:22", "22", SECONDS,
		&fd, &err), CUSTOS_E_NETWORK);
	assert_non_null(strstr(err.msg, "cannot resolve aaa"));
}

/* A host that drops what is sent to it: a listener whose queue is full behaves so on the loopback interface. */
static void a_silent_host_costs_the_deadline_and_no_more(void **state)
{
	(void)state;
	enum { FILL = 16 };
	uint16_t port;
	char address[64];
	int filling[FILL];
	CUSTOS_AUTO_FD listener = listen_on(AF_INET, 0, &port);
	assert_true(listener >= 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (int i = 0; i < FILL; i++) {
		filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(filling[i], (struct sockaddr *)&to, sizeof to);
	}
	struct custos_err err = { 0 };
	int fd = -1;
	snprintf(address, sizeof address, "127.0.0.1:%u", port);
	int64_t before = custos_clock_monotonic_ms();
	assert_int_equal(custos_dial(address, "22", 300, &fd, &err), CUSTOS_E_NETWORK);
	int64_t took = custos_clock_monotonic_ms() - before;
	assert_true(took >= 300 && took < 20 * SECONDS);
	assert_non_null(strstr(err.msg, "timed out"));
	for (int i = 0; i < FILL; i++)
		close(filling[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_to_write_it),
		cmocka_unit_test(version_six),
		cmocka_unit_test(what_is_no_address),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(no_such_name),
		cmocka_unit_test(a_silent_host_costs_the_deadline_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
