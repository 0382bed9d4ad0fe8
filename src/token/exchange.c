/* Starting custos-token, asking it one thing at a time, and telling what became of it.
 *
 * A helper that hangs is killed by pid after its time; one that died is reaped and named with its signal. After either every further
 * call fails at once: nothing is restarted behind the caller's back, because the lock and the memory of signed checkpoints went with it. */
#include "token/exchange.h"
#include "confine/confinement.h"
#include "token/absence.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>

enum { GRACE_MS = 5000 };

static const char NETWORK[] = "network:";

static bool may_use_network(const char *module)
{
	return module != NULL && strncmp(module, NETWORK, sizeof NETWORK - 1) == 0;
}

const char *custos_token_module_path(const char *module)
{
	return may_use_network(module) ? module + sizeof NETWORK - 1 : module;
}

/* The module is other people's code in a process of the same user: it gets neither the store nor, unless that was said, the network. */
static custos_rc confine(const struct custos_token_where *where, struct custos_confinement **ret_confinement, struct custos_err *err)
{
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	CUSTOS_TRY(custos_confinement_new(&confinement, err));
	size_t count = 0;
	while (where->out_of_reach[count] != NULL)
		count++;
	if (count > 0)
		CUSTOS_TRY(custos_confinement_all_but(confinement, where->out_of_reach, count, err));
	CUSTOS_TRY(custos_confinement_foreign_code(confinement, may_use_network(where->module) ? CUSTOS_FOREIGN_MAY_USE_NETWORK : CUSTOS_FOREIGN_OFFLINE, err));
	*ret_confinement = CUSTOS_TAKE(confinement);
	return CUSTOS_OK;
}

custos_rc custos_token_start(const struct custos_token_where *where, struct custos_token **ret_token, struct custos_err *err)
{
	CUSTOS_AUTO_FD exe = -1;
	CUSTOS_AUTO(custos_confinement) *confinement = NULL;
	CUSTOS_TRY(confine(where, &confinement, err));
	CUSTOS_TRY(custos_helper_open("custos-token", &exe, err));
	CUSTOS_AUTO(custos_token) *token = calloc(1, sizeof *token);
	CUSTOS_REQUIRE(token != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	token->helper.channel.fd = -1;
	token->times = (struct custos_token_times){ .open_ms = 90000, .call_ms = 30000, .generate_ms = 120000, .pad_ms = 300000 };
	CUSTOS_TRY(custos_helper_start(exe, "custos-token", 0, confinement, &custos_token_protocol, &token->helper, err));
	*ret_token = CUSTOS_TAKE(token);
	return CUSTOS_OK;
}

void custos_token_free(struct custos_token *token)
{
	if (token == NULL)
		return;
	(void)custos_helper_stop(&token->helper, GRACE_MS);
	free(token);
}

/* The helper is of no further use: ends it and says how it ended. */
static custos_rc give_up(struct custos_token *token, const struct custos_exchange *x, const struct custos_err *why, struct custos_err *err)
{
	if (token->helper.pid == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "see the first error; run the command again", "custos-token has ended before %s", x->doing);
	bool late = why->native == ETIMEDOUT, broken = why->rc == CUSTOS_E_INTERNAL;
	int status = custos_helper_stop(&token->helper, late || broken ? 0 : GRACE_MS);
	if (token->trouble == NULL)
		token->trouble = late ? "did not answer in time" : broken ? "broke the protocol" : "ended unexpectedly";
	if (late)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "the token or its driver hangs; check the device and run the command again",
		                 "custos-token did not answer within %d.%d s while %s", x->timeout_ms / 1000, x->timeout_ms % 1000 / 100, x->doing);
	if (broken)
		CUSTOS_FAIL(err, CUSTOS_E_TOKEN, "custos-token broke the protocol while %s: %s", x->doing, why->msg);
	if (WIFSIGNALED(status))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "the token's driver crashed or was killed; nothing was lost here, run the command again",
		                 "custos-token ended by signal %d while %s", WTERMSIG(status), x->doing);
	CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "its own message stands above, if it left one; run the command again", "custos-token ended with status %d while %s",
	                 WEXITSTATUS(status), x->doing);
}

/* An error is one line, whatever a module had to say. */
static void make_one_line(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
}

/* What custos-token says went wrong. Its category is believed only where it can know it. */
custos_rc custos_token_take_failure(struct custos_token *token, struct custos_wire *r, uint8_t category, const char *message, struct custos_err *err)
{
	uint64_t native = custos_wire_u64(r);
	CUSTOS_AUTO_STR *msg = custos_wire_text(r);
	CUSTOS_AUTO_STR *hint = custos_wire_text(r);
	CUSTOS_TRY(custos_wire_end(r, message, err));
	make_one_line(msg);
	make_one_line(hint);
	static const custos_rc knowable[] = { CUSTOS_E_USAGE, CUSTOS_E_POLICY, CUSTOS_E_AUTH, CUSTOS_E_INPUT, CUSTOS_E_SYSTEM, CUSTOS_E_INTERNAL };
	custos_rc rc = CUSTOS_E_TOKEN;
	for (size_t i = 0; i < sizeof knowable / sizeof *knowable; i++)
		if (category == knowable[i])
			rc = knowable[i];
	if (rc == CUSTOS_E_TOKEN && custos_absence_is((long)native) && token->trouble == NULL)
		token->trouble = "is gone or out of order";
	(void)custos_err_set(err, rc, (long)native, "%s", msg[0] != '\0' ? msg : "custos-token does not say why");
	if (hint[0] != '\0')
		custos_err_hint(err, "%s", hint);
	return rc;
}

void custos_token_note_refusal(struct custos_token *token)
{
	if (token->trouble == NULL)
		token->trouble = "did not take the PIN for a signature";
}

custos_rc custos_token_ask(struct custos_token *token, const struct custos_exchange *x, struct custos_bytes body, struct custos_err *err)
{
	struct custos_err why = { 0 };
	custos_rc rc = custos_channel_send(&token->helper.channel, x->request, body, x->fd, &why);
	/* a request that the table or the frame's size forbids never left: the helper is well */
	if (rc == CUSTOS_E_INTERNAL)
		CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "%s: %s", x->doing, why.msg);
	return rc == CUSTOS_OK ? CUSTOS_OK : give_up(token, x, &why, err);
}

custos_rc custos_token_hear(struct custos_token *token, const struct custos_exchange *x, struct custos_frame *ret_frame, struct custos_err *err)
{
	struct custos_err why = { 0 };
	if (custos_channel_receive(&token->helper.channel, x->timeout_ms, ret_frame, &why) != CUSTOS_OK)
		return give_up(token, x, &why, err);
	if (ret_frame->type != CUSTOS_TOKEN_FAILED)
		return CUSTOS_OK;
	struct custos_wire r = custos_wire_read(custos_buf_view(&ret_frame->body));
	uint8_t category = custos_wire_u8(&r);
	custos_rc rc = custos_token_take_failure(token, &r, category, "FAILED", err);
	if (rc == CUSTOS_E_AUTH && x->request != CUSTOS_TOKEN_LOGIN)
		custos_token_note_refusal(token);
	return rc;
}

custos_rc custos_token_call(struct custos_token *token, const struct custos_exchange *x, struct custos_bytes body, struct custos_frame *ret_frame, struct custos_err *err)
{
	CUSTOS_TRY(custos_token_ask(token, x, body, err));
	CUSTOS_TRY(custos_token_hear(token, x, ret_frame, err));
	if (ret_frame->type != x->reply) {
		struct custos_err why = { 0 };
		(void)custos_err_set(&why, CUSTOS_E_INTERNAL, 0, "it answered with message %u", ret_frame->type);
		return give_up(token, x, &why, err);
	}
	return CUSTOS_OK;
}

static custos_rc write_line(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const int *fd = ctx;
	CUSTOS_REQUIRE(len > 0 && memchr(bytes, '\n', len) == NULL && memchr(bytes, '\r', len) == NULL && memchr(bytes, 0, len) == NULL, err, CUSTOS_E_INPUT,
	               "a PIN is one line of text and not empty");
	/* shorter than a pipe holds: never blocks, and the bytes go straight from locked memory into the kernel */
	ssize_t written = write(*fd, bytes, len);
	CUSTOS_REQUIRE(written == (ssize_t)len && write(*fd, "\n", 1) == 1, err, CUSTOS_E_SYSTEM, "cannot hand the PIN over: %s", strerror(errno));
	return CUSTOS_OK;
}

custos_rc custos_token_pin_pipe(struct custos_secret *const pins[], size_t count, int *ret_fd, struct custos_err *err)
{
	int ends[2];
	CUSTOS_REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, err, CUSTOS_E_SYSTEM, "cannot make a pipe: %s", strerror(errno));
	CUSTOS_AUTO_FD reading = ends[0];
	CUSTOS_AUTO_FD writing = ends[1];
	for (size_t i = 0; i < count; i++)
		CUSTOS_TRY(custos_secret_expose(pins[i], write_line, &writing, err));
	*ret_fd = custos_take_fd(&reading);
	return CUSTOS_OK;
}
