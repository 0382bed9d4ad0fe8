/* Secrets: bytes in the one locked arena of this process.
 *
 * `process_arena` below is mutable state of the whole process, which libraries of this house otherwise do not have: locked
 * memory is a resource of the process, its limit is counted by the process, and a secret must be creatable where no context
 * reaches. Length and bytes of a secret are one block of the arena, so that nothing outside it points into a secret. */
#include "memory/secret.h"
#include "memory/arena.h"
#include "memory/harden.h"

#include <errno.h>

enum { PROCESS_ARENA_SIZE = 128 * 1024, LINE_MAX_BYTES = 4096 };

struct custos_secret {
	size_t len;
	size_t room;
	uint8_t bytes[];
};

static struct custos_arena *process_arena;

custos_rc custos_secret_start(struct custos_err *err)
{
	CUSTOS_TRY(custos_harden_process(err));
	return process_arena != NULL ? CUSTOS_OK : custos_arena_new(PROCESS_ARENA_SIZE, &process_arena, err);
}

custos_rc custos_secret_new(size_t len, struct custos_secret **ret_secret, struct custos_err *err)
{
	CUSTOS_REQUIRE(process_arena != NULL, err, CUSTOS_E_INTERNAL, "a secret was asked for before memory was locked");
	CUSTOS_REQUIRE(len > 0 && len < PROCESS_ARENA_SIZE, err, CUSTOS_E_INTERNAL, "a secret of %zu bytes", len);
	struct custos_secret *secret = custos_arena_alloc(process_arena, sizeof *secret + len);
	CUSTOS_REQUIRE(secret != NULL, err, CUSTOS_E_SYSTEM, "locked memory is used up (%zu of %zu bytes)", custos_arena_in_use(process_arena),
	               custos_arena_size(process_arena));
	secret->len = secret->room = len;
	*ret_secret = secret;
	return CUSTOS_OK;
}

void custos_secret_free(struct custos_secret *secret)
{
	if (secret != NULL)
		custos_arena_release(process_arena, secret);
}

size_t custos_secret_length(const struct custos_secret *secret)
{
	return secret->len;
}

custos_rc custos_secret_expose(struct custos_secret *secret, custos_rc (*use)(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err), void *ctx,
                               struct custos_err *err)
{
	return use(ctx, secret->bytes, secret->len, err);
}

void custos_secret_shorten(struct custos_secret *secret, size_t len)
{
	if (len > secret->len)
		abort();
	explicit_bzero(secret->bytes + len, secret->room - len);
	secret->len = len;
}

struct line {
	int fd;
	size_t max;
	const char *what;
	size_t len; /* of the line read */
};

/* One byte a call: what follows the line belongs to whoever reads the descriptor next. */
static custos_rc read_line(void *ctx, uint8_t *bytes, size_t room, struct custos_err *err)
{
	struct line *line = ctx;
	size_t len = 0;
	while (len < room) {
		uint8_t *at = bytes + len;
		ssize_t got = read(line->fd, at, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			CUSTOS_FAIL_NATIVE(err, CUSTOS_E_SYSTEM, errno, "cannot read the %s: %s", line->what, strerror(errno));
		if (got == 0)
			break;
		if (*at == '\n') {
			if (len > 0 && bytes[len - 1] == '\r')
				len--;
			break;
		}
		CUSTOS_REQUIRE(*at != 0, err, CUSTOS_E_INPUT, "the %s has a zero byte in it", line->what);
		len++;
	}
	CUSTOS_REQUIRE(len <= line->max, err, CUSTOS_E_INPUT, "the %s is longer than %zu bytes", line->what, line->max);
	CUSTOS_REQUIRE(len > 0, err, CUSTOS_E_INPUT, "the %s is empty", line->what);
	line->len = len;
	return CUSTOS_OK;
}

custos_rc custos_secret_read_line(int fd, size_t max, const char *what, struct custos_secret **ret_secret, struct custos_err *err)
{
	CUSTOS_REQUIRE(max > 0 && max <= LINE_MAX_BYTES, err, CUSTOS_E_INTERNAL, "a line of %zu bytes", max);
	CUSTOS_AUTO(custos_secret) *secret = NULL;
	struct line line = { .fd = fd, .max = max, .what = what };
	/* Two more: the CR of a CRLF, and the byte that shows the line to be too long. */
	CUSTOS_TRY(custos_secret_new(max + 2, &secret, err));
	CUSTOS_TRY(custos_secret_expose(secret, read_line, &line, err));
	custos_secret_shorten(secret, line.len);
	*ret_secret = CUSTOS_TAKE(secret);
	return CUSTOS_OK;
}
