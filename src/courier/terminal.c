/* See terminal.h. What is shown goes to the alternate screen, which has no scroll-back, and is overwritten before that is left. `terminal` is mutable state of the
 * process because the epilogue has no other way to know it, least of all from a signal handler. */
#include "courier/terminal.h"

#include "crypto/shares.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <termios.h>

enum { CTRL_C = 3, CTRL_D = 4, BELL = 7, BACKSPACE = 8, CTRL_U = 21, DELETE = 127, WRITE_S = 60 };

static const char OWN_SCREEN[] = "\033[?1049h\033[2J\033[H", LEAVE[] = "\033[H\033[2J\033[?1049l";

static struct {
	struct termios before;
	int fd;                  /* meaningful while `is_open` */
	volatile bool is_open, shows;
} terminal;

/* ---- taking it and giving it back ---- */

static struct termios silent(void)
{
	struct termios t = terminal.before;
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	t.c_iflag &= ~(tcflag_t)(IXON | INLCR | IGNCR);
	t.c_iflag |= ICRNL;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	return t;
}

/* Also throws away what was typed before: that may be an Enter for something that was not there yet. */
static custos_rc take(struct custos_err *err)
{
	const struct termios t = silent();
	CUSTOS_REQUIRE(tcsetattr(terminal.fd, TCSAFLUSH, &t) == 0, err, CUSTOS_E_SYSTEM, "the terminal cannot be used: %s", strerror(errno));
	return CUSTOS_OK;
}

custos_rc custos_terminal_open(int fd, struct custos_err *err)
{
	CUSTOS_REQUIRE(tcgetattr(fd, &terminal.before) == 0, err, CUSTOS_E_SYSTEM, "the terminal cannot be used: %s", strerror(errno));
	terminal.fd = fd;
	terminal.is_open = true;
	custos_rc rc = take(err);
	if (rc != CUSTOS_OK)
		custos_terminal_close();
	return rc;
}

void custos_terminal_close(void)
{
	if (!terminal.is_open)
		return;
	terminal.is_open = false;
	if (terminal.shows)
		(void)!write(terminal.fd, LEAVE, sizeof LEAVE - 1);
	terminal.shows = false;
	/* not FLUSH: what was typed behind the last Enter is meant for whoever reads the terminal next */
	(void)tcsetattr(terminal.fd, TCSANOW, &terminal.before);
}

/* ---- writing ---- */

static custos_rc put(const void *text, size_t len, struct custos_err *err)
{
	const uint8_t *at = text;
	custos_courier_watch(WRITE_S); /* a terminal that is stopped takes nothing */
	while (len > 0) {
		ssize_t n = write(terminal.fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		CUSTOS_REQUIRE(n > 0, err, CUSTOS_E_SYSTEM, "the terminal has gone: %s", strerror(errno));
		at += n;
		len -= (size_t)n;
	}
	custos_courier_watch(0);
	return CUSTOS_OK;
}

custos_rc custos_terminal_say(const char *text, struct custos_err *err)
{
	return put(text, strlen(text), err);
}

static custos_rc put_share(void *ctx, uint8_t *text, size_t len, struct custos_err *err)
{
	(void)ctx;
	for (size_t at = 0; at < len;) {
		const uint8_t *end = memchr(text + at, '\n', len - at);
		size_t line = end == NULL ? len - at : (size_t)(end - (text + at));
		CUSTOS_TRY(put("        ", 8, err));
		CUSTOS_TRY(put(text + at, line, err));
		CUSTOS_TRY(put("\r\n", 2, err));
		at += line + 1;
	}
	return CUSTOS_OK;
}

/* ---- reading ---- */

/* One byte into locked memory, however long the person takes. */
static custos_rc next(struct custos_courier *c, uint8_t *into, struct custos_err *err)
{
	struct pollfd p[2] = { { .fd = terminal.fd, .events = POLLIN }, { .fd = c->channel.fd, .events = POLLRDHUP } };
	int ready;
	do
		ready = poll(p, 2, -1);
	while (ready < 0 && errno == EINTR);
	CUSTOS_REQUIRE(ready > 0, err, CUSTOS_E_SYSTEM, "cannot wait for the terminal: %s", strerror(errno));
	CUSTOS_REQUIRE(p[1].revents == 0, err, CUSTOS_E_SYSTEM, "the keeper has ended");
	ssize_t n = read(terminal.fd, into, 1);
	/* EIO: hung up, or this is not the foreground of that terminal */
	CUSTOS_REQUIRE(n == 1, err, n == 0 ? CUSTOS_E_POLICY : CUSTOS_E_SYSTEM, "the terminal has gone%s%s", n == 0 ? "" : ": ", n == 0 ? "" : strerror(errno));
	if (*into == CTRL_C || *into == CTRL_D)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "start again when everybody is there who is needed", "it was ended at the terminal");
	return CUSTOS_OK;
}

static custos_rc await_enter(struct custos_courier *c, struct custos_err *err)
{
	uint8_t key = 0;
	do
		CUSTOS_TRY(next(c, &key, err));
	while (key != '\n');
	return CUSTOS_OK;
}

custos_rc custos_terminal_await_enter(struct custos_courier *c, const char *prompt, struct custos_err *err)
{
	CUSTOS_TRY(take(err));
	CUSTOS_TRY(custos_terminal_say(prompt, err));
	return await_enter(c, err);
}

static custos_rc show(struct custos_courier *c, const char *heading, struct custos_secret *text, struct custos_err *err)
{
	CUSTOS_TRY(take(err));
	CUSTOS_TRY(put(OWN_SCREEN, sizeof OWN_SCREEN - 1, err));
	CUSTOS_TRY(custos_terminal_say(heading, err));
	CUSTOS_TRY(custos_terminal_say("\r\n\r\n", err));
	CUSTOS_TRY(custos_secret_expose(text, put_share, NULL, err));
	CUSTOS_TRY(custos_terminal_say("\r\nCopy it, compare it group by group, then press Enter: it is not shown again. Ctrl-C ends the whole.\r\n", err));
	return await_enter(c, err);
}

custos_rc custos_terminal_show_share(struct custos_courier *c, const char *heading, struct custos_secret *text, struct custos_err *err)
{
	terminal.shows = true;
	custos_rc rc = show(c, heading, text, err);
	struct custos_err ignored = { 0 };
	custos_rc left = put(LEAVE, sizeof LEAVE - 1, rc == CUSTOS_OK ? err : &ignored);
	terminal.shows = false;
	return rc == CUSTOS_OK ? left : rc;
}

struct typing {
	struct custos_courier *c;
	const char *prompt;
	size_t len, line;        /* typed; where the line begins that is being typed */
};

static custos_rc erase_line(struct typing *t, uint8_t *typed, struct custos_err *err)
{
	explicit_bzero(typed + t->line, t->len - t->line);
	t->len = t->line;
	CUSTOS_TRY(custos_terminal_say("\r\033[K", err));
	return custos_terminal_say(t->line == 0 ? t->prompt : "  ... ", err);
}

/* *ret_done: the share is whole, or the person says that it is. */
static custos_rc enter(struct typing *t, const uint8_t *typed, bool *ret_done, struct custos_err *err)
{
	size_t symbols = custos_share_count_symbols(typed, t->len);
	bool is_empty = t->len == t->line;
	*ret_done = symbols >= CUSTOS_SHARE_SYMBOLS || (is_empty && t->len > 0);
	CUSTOS_TRY(custos_terminal_say("\r\n", err));
	if (*ret_done)
		return CUSTOS_OK;
	t->line = t->len;
	return custos_terminal_say(t->len == 0 ? t->prompt : "  ... ", err);
}

static custos_rc type_key(struct typing *t, uint8_t *typed, size_t room, bool *ret_done, struct custos_err *err)
{
	uint8_t *at = &typed[t->len];
	CUSTOS_TRY(next(t->c, at, err));
	switch (*at) {
	case '\n': *at = 0; return enter(t, typed, ret_done, err);
	case CTRL_U: return erase_line(t, typed, err);
	case BACKSPACE:
	case DELETE:
		*at = 0;
		if (t->len == t->line)
			return CUSTOS_OK;
		typed[--t->len] = 0;
		return custos_terminal_say("\b \b", err);
	default: break;
	}
	/* one place is left for the key that is looked at */
	if (t->len + 1 == room || *at < ' ') {
		*at = 0;
		return put(&(char){ BELL }, 1, err);
	}
	t->len++;
	return custos_terminal_say(*at == ' ' || *at == '-' ? " " : "*", err);
}

static custos_rc type(void *ctx, uint8_t *typed, size_t room, struct custos_err *err)
{
	struct typing *t = ctx;
	bool done = false;
	CUSTOS_TRY(custos_terminal_say(t->prompt, err));
	while (!done)
		CUSTOS_TRY(type_key(t, typed, room, &done, err));
	return CUSTOS_OK;
}

custos_rc custos_terminal_ask_share(struct custos_courier *c, const char *prompt, struct custos_secret **ret_typed, struct custos_err *err)
{
	CUSTOS_AUTO(custos_secret) *typed = NULL;
	struct typing t = { .c = c, .prompt = prompt };
	CUSTOS_TRY(custos_secret_new(CUSTOS_SHARE_TEXT_MAX, &typed, err));
	CUSTOS_TRY(custos_secret_expose(typed, type, &t, err));
	custos_secret_shorten(typed, t.len);
	*ret_typed = CUSTOS_TAKE(typed);
	return CUSTOS_OK;
}
