/* A hostile end of a channel: raw packets with any number of descriptors. For unit tests and for fuzz targets: nothing here asserts. */
#ifndef CUSTOS_TESTS_LINK_WIRE_H
#define CUSTOS_TESTS_LINK_WIRE_H

#include "link/channel.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

enum { WIRE_HEADER = 8, WIRE_FDS_MAX = 32 };

/* One packet as it stands, with `count` duplicates of `fd`. False when the kernel did not take it. */
CUSTOS_MUST static inline bool send_raw(int to, const void *packet, size_t len, int fd, size_t count)
{
	union {
		const void *in;
		void *out;
	} data = { .in = packet };
	struct iovec part = { data.out, len };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(WIRE_FDS_MAX * sizeof(int))] = { 0 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	if (count > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		for (size_t i = 0; i < count; i++)
			memcpy(CMSG_DATA(c) + i * sizeof fd, &fd, sizeof fd);
	}
	return sendmsg(to, &message, MSG_NOSIGNAL) == (ssize_t)len;
}

static inline void write_header(uint8_t *at, uint8_t version, uint8_t type, uint16_t zero, uint32_t len)
{
	const uint8_t header[WIRE_HEADER] = { version, type, (uint8_t)(zero >> 8), (uint8_t)zero, (uint8_t)(len >> 24),
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
	memcpy(at, header, sizeof header);
}

static inline bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 0) > 0;
}

/* How many descriptors this process has open. */
static inline size_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;
	if (dir == NULL)
		abort();
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

#endif
