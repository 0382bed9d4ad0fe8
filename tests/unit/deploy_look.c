/* Many hosts looked at together: each gets its own answer, also when there are more of them than are looked at at once, and one that is silent costs its deadline and
 * nobody else's answer. That they wait together is shown by judge.bats, with hosts that answer none before all are there. */
#include "deploy/look.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

enum { MANY = 3 * CUSTOS_LOOKS_AT_ONCE + 1 };

/* A socket on a port of the kernel's choice, that listens or not; its address as text. */
static int bound(bool listening, char address[static 32])
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof to), 0);
	assert_true(!listening || listen(fd, 5) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &len), 0);
	snprintf(address, 32, "127.0.0.1:%u", ntohs(to.sin_port));
	return fd;
}

static void every_host_has_its_own_answer(void **state)
{
	(void)state;
	static struct custos_look looks[MANY];
	char nobody[32], silent[32];
	CUSTOS_AUTO_FD closed = bound(false, nobody);
	CUSTOS_AUTO_FD listener = bound(true, silent);
	assert_int_not_equal(closed, listener);
	static const char *const kinds[] = { "refused", "bad", "unknown" };
	for (size_t i = 0; i < MANY; i++)
		looks[i] = (struct custos_look){ .address = i == 5 ? silent : i % 3 == 0 ? nobody : i % 3 == 1 ? "127.0.0.1:0" : "[::1", .name = kinds[i % 3] };
	custos_looks_take(looks, MANY);
	for (size_t i = 0; i < MANY; i++) {
		const char *words = i == 5 ? "the server did not finish the TLS handshake in time" : i % 3 == 0 ? "Connection refused" : i % 3 == 1 ? "\"127.0.0.1:0\" is not HOST:PORT" : "lacks a ]";
		assert_int_equal(looks[i].rc, i == 5 || i % 3 == 0 ? CUSTOS_E_NETWORK : CUSTOS_E_INPUT);
		if (strstr(looks[i].why.msg, words) == NULL)
			fail_msg("%zu: %s", i, looks[i].why.msg);
		assert_int_equal(looks[i].served.count, 0);
	}
}

/* Descriptors are given back, whatever came of it: or the second round would find other numbers. */
static void nothing_is_left_open(void **state)
{
	(void)state;
	char nobody[32];
	CUSTOS_AUTO_FD closed = bound(false, nobody);
	struct custos_look looks[8];
	for (size_t i = 0; i < 8; i++)
		looks[i] = (struct custos_look){ .address = nobody, .name = "a" };
	CUSTOS_AUTO_FD before = dup(closed);
	custos_looks_take(looks, 8);
	CUSTOS_AUTO_FD after = dup(closed);
	assert_int_equal(after, before + 1);
	custos_looks_take(looks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_host_has_its_own_answer), cmocka_unit_test(nothing_is_left_open) };
	return cmocka_run_group_tests_name("deploy look", tests, NULL, NULL);
}
