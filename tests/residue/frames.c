/* What keeper and courier say to each other, heard without taking part. The courier's stack may be on pages that nobody can read, so a KEY is seen
 * by peeking into its socket before it takes it, and a PROGRESS in the keeper's memory after it was received. */
#include "residue.h"

#include "link/courier.h"

#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HEADER = 8, COURIER_FD = 3, POINT = 65, TEXT_MAX = 200 };

static uint32_t u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

const char *residue_key_is_next(pid_t courier)
{
	uint8_t start[HEADER + POINT + 4];
	int process = pidfd_open(courier, 0), fd = process < 0 ? -1 : pidfd_getfd(process, COURIER_FD, 0);
	ssize_t got = fd < 0 ? -1 : recv(fd, start, sizeof start, MSG_PEEK | MSG_DONTWAIT);
	/* at once: as long as this is open the keeper would not see the courier end */
	if (fd >= 0)
		close(fd);
	if (process >= 0)
		close(process);
	if (got < HEADER || start[0] != CUSTOS_LINK_VERSION)
		return NULL;
	switch (start[1]) {
	/* a go-ahead for a roll-back is a KEY without a key */
	case CUSTOS_COURIER_KEY: return got == (ssize_t)sizeof start && u32(start + HEADER + POINT) > 0 ? RESIDUE_KEY : NULL;
	/* a file with a key or a share, what opens it, the leave to ask people for shares */
	case CUSTOS_COURIER_READ_KEY:
	case CUSTOS_COURIER_PHRASE:
	case CUSTOS_COURIER_SHARE_FILE:
	case CUSTOS_COURIER_COLLECT: return RESIDUE_KEY;
	/* what opens a container, the order to make a key */
	case CUSTOS_COURIER_OPEN_KEY: return RESIDUE_SIGNING;
	case CUSTOS_COURIER_BEAR_KEY: return RESIDUE_BIRTH;
	default: return NULL;
	}
}

/* KEY_SEALED by its shape, for the same reason as below: a point, then a length that fits. */
bool residue_read_sealed(pid_t keeper, uint64_t msghdr, size_t received)
{
	struct msghdr message;
	struct iovec parts[2];
	uint8_t header[HEADER], body[POINT + 4];
	return received >= HEADER + sizeof body && residue_read_memory(keeper, msghdr, &message, sizeof message) && message.msg_iovlen == 2 &&
	       residue_read_memory(keeper, (uintptr_t)message.msg_iov, parts, sizeof parts) && parts[0].iov_len == HEADER &&
	       residue_read_memory(keeper, (uintptr_t)parts[0].iov_base, header, HEADER) && residue_read_memory(keeper, (uintptr_t)parts[1].iov_base, body, sizeof body) &&
	       header[0] == CUSTOS_LINK_VERSION && header[1] == CUSTOS_COURIER_KEY_SEALED && body[0] == 4 && u32(body + POINT) == received - HEADER - sizeof body;
}

/* The token's messages have numbers of their own, so the shape has to tell: u32 host, u8 state, a text to the end that begins with a lower-case word. */
bool residue_read_progress(pid_t keeper, uint64_t msghdr, size_t received, char ret_state[static STATE_SIZE])
{
	struct msghdr message;
	struct iovec parts[2];
	uint8_t header[HEADER], body[9 + TEXT_MAX];
	if (received < HEADER + 10 || received - HEADER > sizeof body || !residue_read_memory(keeper, msghdr, &message, sizeof message) ||
	    message.msg_iovlen != 2 || !residue_read_memory(keeper, (uintptr_t)message.msg_iov, parts, sizeof parts) || parts[0].iov_len != HEADER ||
	    !residue_read_memory(keeper, (uintptr_t)parts[0].iov_base, header, HEADER) ||
	    !residue_read_memory(keeper, (uintptr_t)parts[1].iov_base, body, received - HEADER))
		return false;
	size_t len = received - HEADER;
	if (header[0] != CUSTOS_LINK_VERSION || header[1] != CUSTOS_COURIER_PROGRESS || u32(body) >= 32 || u32(body + 5) != len - 9)
		return false;
	size_t n = len - 9 < STATE_SIZE - 1 ? len - 9 : STATE_SIZE - 1;
	memcpy(ret_state, body + 9, n);
	ret_state[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (body[9 + i] < ' ' || body[9 + i] > '~')
			return false;
	return ret_state[0] >= 'a' && ret_state[0] <= 'z';
}
