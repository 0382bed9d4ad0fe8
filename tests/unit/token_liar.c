/* A custos-token that was taken over. It stands where the keeper starts its helper, has the real one answer, and spoils the answer that
 * CUSTOS_LIE names: TYPE:HOW, the reply's number and what is done to it. Without CUSTOS_LIE it is honest. */
#include "link/token.h"
#include "link_wire.h"

#include <signal.h>
#include <stdio.h>

enum { CHANNEL = 3, PACKET = WIRE_HEADER + CUSTOS_FRAME_BODY_MAX, FAILED = 1, EXIT_STATUS = 7 };

struct packet {
	uint8_t bytes[PACKET + 64];
	size_t len;
	int fd;
};

/* False when whoever is at the other end has gone. */
static bool receive(int from, struct packet *p)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = { p->bytes, PACKET };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	ssize_t n = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n <= 0 ? NULL : CMSG_FIRSTHDR(&message);
	p->fd = -1;
	p->len = n <= 0 ? 0 : (size_t)n;
	if (c != NULL)
		memcpy(&p->fd, CMSG_DATA(c), sizeof p->fd);
	return n > 0;
}

static bool pass_on(int to, struct packet *p, size_t descriptors)
{
	bool ok = send_raw(to, p->bytes, p->len, p->fd, descriptors);
	if (p->fd >= 0)
		close(p->fd);
	return ok;
}

static int start_real(void)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		_exit(1);
	int room = 4 * CUSTOS_FRAME_BODY_MAX;
	for (int i = 0; i < 2; i++)
		(void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	pid_t pid = fork();
	if (pid < 0)
		_exit(1);
	if (pid == 0) {
		if (dup2(pair[1], CHANNEL) < 0)
			_exit(1);
		execl(REAL, "custos-token", (char *)NULL);
		_exit(1);
	}
	close(pair[1]);
	return pair[0];
}

static void set_length(struct packet *p)
{
	write_header(p->bytes, CUSTOS_LINK_VERSION, p->bytes[1], 0, (uint32_t)(p->len - WIRE_HEADER));
}

/* The `n`th of the length-prefixed fields the body begins with. */
static uint8_t *field(struct packet *p, int n)
{
	uint8_t *at = p->bytes + WIRE_HEADER;
	for (; n > 0; n--)
		at += 4 + ((size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3]);
	return at + 4;
}

/* FAILED with a text of 30,000 letters each for message and hint. */
static void fail_at_length(struct packet *p)
{
	CUSTOS_AUTO_BUF body = { 0 };
	static char text[30001];
	struct custos_wire_out w = { .buf = &body };
	memset(text, 'A', sizeof text - 1);
	custos_wire_put_u8(&w, CUSTOS_E_TOKEN);
	custos_wire_put_u64(&w, 0x30);
	custos_wire_put_text(&w, text);
	custos_wire_put_text(&w, text);
	memcpy(p->bytes + WIRE_HEADER, body.ptr, body.len);
	p->bytes[1] = FAILED;
	p->len = WIRE_HEADER + body.len;
	set_length(p);
}

static void fail_as(struct packet *p, uint8_t category)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u8(&w, category);
	custos_wire_put_u64(&w, 0);
	custos_wire_put_text(&w, "all is well");
	custos_wire_put_text(&w, "");
	memcpy(p->bytes + WIRE_HEADER, body.ptr, body.len);
	p->bytes[1] = FAILED;
	p->len = WIRE_HEADER + body.len;
	set_length(p);
}

/* Spoils the answer; the number of descriptors that go with it. */
static size_t spoil(struct packet *p, const char *how)
{
	if (strcmp(how, "exits") == 0)
		_exit(EXIT_STATUS);
	if (strcmp(how, "killed") == 0)
		raise(SIGKILL);
	while (strcmp(how, "silent") == 0)
		pause();
	if (strcmp(how, "version") == 0)
		p->bytes[0]++;
	else if (strcmp(how, "length") == 0)
		p->bytes[7]++;
	else if (strcmp(how, "half") == 0)
		p->len = WIRE_HEADER + (p->len - WIRE_HEADER) / 2;
	else if (strcmp(how, "nothing") == 0)
		p->len = 0;
	else if (strcmp(how, "too-long") == 0)
		p->len = PACKET + 1;
	else if (strncmp(how, "type-", 5) == 0)
		p->bytes[1] = (uint8_t)strtoul(how + 5, NULL, 10);
	else if (strcmp(how, "cut") == 0)
		p->len--, set_length(p);
	else if (strcmp(how, "trailing") == 0)
		p->bytes[p->len++] = 0, set_length(p);
	else if (strcmp(how, "empty") == 0)
		p->len = WIRE_HEADER, set_length(p);
	else if (strcmp(how, "flip-end") == 0)
		p->bytes[p->len - 1] ^= 1;
	else if (strncmp(how, "flip-", 5) == 0)
		p->bytes[WIRE_HEADER + strtoul(how + 5, NULL, 10)] ^= 1;
	else if (strcmp(how, "serial") == 0)
		field(p, 2)[0] ^= 1;
	else if (strcmp(how, "text") == 0)
		fail_at_length(p);
	else if (strncmp(how, "fail-", 5) == 0)
		fail_as(p, (uint8_t)strtoul(how + 5, NULL, 10));
	if (strcmp(how, "descriptor") == 0 || strcmp(how, "descriptors") == 0) {
		p->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		return strcmp(how, "descriptor") == 0 ? 1 : 3;
	}
	return 0;
}

int main(void)
{
	static struct packet p;
	const char *lie = getenv("CUSTOS_LIE"), *how = lie == NULL ? "" : strchr(lie, ':') + 1;
	unsigned long type = lie == NULL ? 0 : strtoul(lie, NULL, 10);
	int real = start_real();
	fcntl(CHANNEL, F_SETFD, FD_CLOEXEC);
	while (receive(CHANNEL, &p)) {
		/* another challenge, or another message, than the one that was sent: the last bytes of the request */
		if (strncmp(how, "ask-", 4) == 0 && p.bytes[1] == strtoul(how + 4, NULL, 10))
			p.bytes[p.len - 1] ^= 1;
		if (!pass_on(real, &p, p.fd >= 0))
			return 1;
		/* of KEYS there is an answer for each job, and then the last */
		for (bool more = true; more;) {
			if (!receive(real, &p))
				return 1;
			more = p.bytes[1] == CUSTOS_TOKEN_KEYS_RESULT;
			size_t descriptors = p.bytes[1] == type ? spoil(&p, how) : 0;
			if (!pass_on(CHANNEL, &p, descriptors))
				return 1;
		}
	}
	/* without a sanitizer's last look, which a confined process cannot take */
	_exit(0);
}
