/* Resolving and connecting with a deadline; every address of a name is tried once. */
#include "deploy/dial.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

static custos_rc split(const char *address, const char *default_port, char host[static 256], char port[static 16], struct custos_err *err)
{
	const char *start = address[0] == '[' ? address + 1 : address, *end, *after;
	uint64_t number;
	if (start != address) {
		end = strchr(start, ']');
		CUSTOS_REQUIRE(end != NULL, err, CUSTOS_E_INPUT, "the address \"%s\" lacks a ]", address);
		after = end + 1;
	} else {
		end = strchr(start, ':');
		if (end == NULL)
			end = start + strlen(start);
		after = end;
	}
	CUSTOS_REQUIRE(end > start && end - start < 256, err, CUSTOS_E_INPUT, "the address \"%s\" has no host, or one that is too long", address);
	snprintf(host, 256, "%.*s", (int)(end - start), start);
	/* checked here: the resolver would take 65558 for 22 */
	if (*after != '\0' && (*after != ':' || !custos_text_u64(after + 1, 1, 65535, &number)))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "HOST, HOST:PORT or [IPV6]:PORT", "the address \"%s\" is not HOST:PORT", address);
	snprintf(port, 16, "%s", *after == ':' ? after + 1 : default_port);
	return CUSTOS_OK;
}

static int connect_one(const struct addrinfo *to, int64_t deadline_ms)
{
	CUSTOS_AUTO_FD fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
	if (fd < 0)
		return -1;
	if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS)
		return -1;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n;
	do {
		int64_t left = deadline_ms - custos_clock_monotonic_ms();
		n = poll(&p, 1, left > 0 ? (int)left : 0);
	} while (n < 0 && errno == EINTR);
	int why = 0;
	socklen_t len = sizeof why;
	if (n <= 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0 || why != 0) {
		errno = n <= 0 ? ETIMEDOUT : why;
		return -1;
	}
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return custos_take_fd(&fd);
}

static void free_addresses(struct addrinfo **list)
{
	if (*list != NULL)
		freeaddrinfo(*list);
}

custos_rc custos_dial(const char *address, const char *default_port, int timeout_ms, int *ret_fd, struct custos_err *err)
{
	char host[256], port[16];
	CUSTOS_TRY(split(address, default_port, host, port, err));
	CUSTOS_CLEANUP(free_addresses) struct addrinfo *list = NULL;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int why = getaddrinfo(host, port, &hints, &list);
	CUSTOS_REQUIRE(why == 0, err, CUSTOS_E_NETWORK, "cannot resolve %s: %s", host, gai_strerror(why));
	int64_t deadline = custos_clock_monotonic_ms() + timeout_ms;
	errno = EHOSTUNREACH;
	for (const struct addrinfo *to = list; to != NULL; to = to->ai_next) {
		int fd = connect_one(to, deadline);
		if (fd >= 0) {
			*ret_fd = fd;
			return CUSTOS_OK;
		}
	}
	CUSTOS_FAIL_NATIVE(err, CUSTOS_E_NETWORK, errno, "cannot connect to %s port %s: %s", host, port, strerror(errno));
}
