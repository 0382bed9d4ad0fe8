/* A KEK into custodians' shares: unwrapped here, split, wiped; proven to come back out of the written shares; then each share sealed to its custodian or shown to a
 * person, one at a time, and wiped. No share is ever out before the keeper says that the token has proven them (GIVE_OUT). */
#include "courier/courier.h"

#include "base/text.h"
#include "courier/terminal.h"
#include "crypto/shares.h"
#include "memory/scrub.h"

#include <stdio.h>

/* A person may be asked for a PIN between two messages. */
enum { WATCH_S = 60, PLAN_MS = 120000, PATIENCE_MS = -1 };

struct recipient {
	char *name;                  /* "": the terminal */
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_secret *text;  /* the written share; NULL before and after */
};

struct split {
	struct custos_courier *c;
	uint32_t set, count;
	uint8_t threshold;
	int terminal;
	struct recipient to[CUSTOS_SHARES_MAX];
};

static void split_done(struct split *s)
{
	custos_terminal_close();
	for (unsigned i = 0; i < CUSTOS_SHARES_MAX; i++) {
		free(s->to[i].name);
		custos_secret_free(CUSTOS_TAKE(s->to[i].text));
	}
	custos_close_fd(&s->terminal);
}

static bool is_shown(const struct recipient *r)
{
	return r->name[0] == '\0';
}

/* ---- the plan ---- */

static custos_rc read_plan(struct split *s, struct custos_frame *frame, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	s->threshold = custos_wire_u8(&r);
	s->set = custos_wire_u32(&r);
	s->count = custos_wire_u32(&r);
	CUSTOS_REQUIRE(!r.failed && s->threshold >= CUSTOS_SHARES_MIN && s->threshold <= s->count && s->count <= CUSTOS_SHARES_MAX, err, CUSTOS_E_INTERNAL, "SPLIT_PLAN message makes no sense");
	for (uint32_t i = 0; i < s->count; i++)
		s->to[i].name = custos_wire_text(&r);
	CUSTOS_REQUIRE(custos_wire_u32(&r) == s->count && !r.failed, err, CUSTOS_E_INTERNAL, "SPLIT_PLAN message makes no sense");
	for (uint32_t i = 0; i < s->count; i++) {
		struct custos_bytes spki = custos_wire_bytes(&r);
		CUSTOS_REQUIRE(!r.failed && is_shown(&s->to[i]) == (spki.len == 0), err, CUSTOS_E_INTERNAL, "SPLIT_PLAN message makes no sense");
		if (spki.len > 0)
			CUSTOS_TRY(custos_seal_point(spki, s->to[i].point, err));
	}
	CUSTOS_TRY(custos_wire_end(&r, "SPLIT_PLAN", err));
	s->terminal = custos_take_fd(&frame->fd);
	return CUSTOS_OK;
}

/* Known before the KEK is here: otherwise nobody would see the last shares. */
static custos_rc try_terminal(const struct split *s, struct custos_err *err)
{
	bool needed = false;
	for (uint32_t i = 0; i < s->count; i++)
		needed = needed || is_shown(&s->to[i]);
	if (!needed)
		return CUSTOS_OK;
	if (s->terminal < 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "work at a terminal, or name a custodian for each share", "there is no terminal to show shares at");
	CUSTOS_TRY(custos_terminal_open(s->terminal, err));
	custos_terminal_close();
	return CUSTOS_OK;
}

/* ---- the KEK ---- */

static custos_rc split_kek(struct split *s, struct custos_bytes key_message, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_secret *texts[CUSTOS_SHARES_MAX];
	CUSTOS_AUTO(custos_secret) *kek = NULL;
	struct custos_wire r = custos_wire_read(key_message);
	custos_wire_fixed(&r, point, sizeof point);
	struct custos_bytes wrapped = custos_wire_bytes(&r);
	uint32_t hosts = custos_wire_u32(&r);
	CUSTOS_TRY(custos_wire_end(&r, "KEY", err));
	CUSTOS_REQUIRE(hosts == 0, err, CUSTOS_E_INTERNAL, "KEY message names hosts");
	CUSTOS_TRY(custos_unseal(s->c->ephemeral, point, wrapped, &kek, err));
	CUSTOS_REQUIRE(custos_secret_length(kek) == CUSTOS_SHARE_VALUE, err, CUSTOS_E_TOKEN, "the token wrapped a key of %zu bytes for a KEK of %d", custos_secret_length(kek), CUSTOS_SHARE_VALUE);
	CUSTOS_TRY(custos_shares_split(kek, s->set, s->threshold, s->count, texts, err));
	for (uint32_t i = 0; i < s->count; i++)
		s->to[i].text = texts[i];
	return CUSTOS_OK;
}

static void shares_done(struct custos_share (*shares)[CUSTOS_SHARES_MAX])
{
	for (unsigned i = 0; i < CUSTOS_SHARES_MAX; i++)
		custos_share_done(&(*shares)[i]);
}

/* Out of what will be written down, every share of it, and nothing else. */
static custos_rc recombine(struct split *s, struct custos_secret **ret_kek, struct custos_err *err)
{
	CUSTOS_CLEANUP(shares_done) struct custos_share shares[CUSTOS_SHARES_MAX] = { 0 };
	for (uint32_t i = 0; i < s->count; i++) {
		CUSTOS_TRY(custos_share_read(s->to[i].text, &shares[i], err));
		CUSTOS_REQUIRE(shares[i].label.set == s->set && shares[i].label.threshold == s->threshold && shares[i].label.number == i + 1, err, CUSTOS_E_INTERNAL,
		               "share %u is not written as it was meant", i + 1);
	}
	return custos_shares_combine(shares, s->count, ret_kek, err);
}

static custos_rc take_kek(struct split *s, struct custos_bytes key_message, struct custos_secret **ret_kek, struct custos_err *err)
{
	CUSTOS_TRY(try_terminal(s, err));
	custos_courier_watch(WATCH_S);
	custos_rc rc = split_kek(s, key_message, err);
	if (rc == CUSTOS_OK)
		rc = recombine(s, ret_kek, err);
	custos_courier_watch(0);
	custos_scrub_stack();
	custos_scrub_registers();
	return rc;
}

/* ---- giving out ---- */

static custos_rc tell(struct split *s, uint32_t at, const uint8_t point[static CUSTOS_POINT_SIZE], struct custos_bytes sealed, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u8(&w, (uint8_t)(at + 1));
	custos_wire_put_fixed(&w, point, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, sealed);
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&s->c->channel, CUSTOS_COURIER_SHARE, custos_buf_view(&body), -1, err);
}

static custos_rc give_sealed(struct split *s, uint32_t at, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_BUF sealed = { 0 };
	CUSTOS_TRY(custos_seal(s->to[at].text, s->to[at].point, point, &sealed, err));
	return tell(s, at, point, custos_buf_view(&sealed), err);
}

/* Announced first, on an empty screen: whoever copied the one before is to be gone. */
static custos_rc show(struct split *s, uint32_t at, struct custos_err *err)
{
	static const uint8_t none[CUSTOS_POINT_SIZE];
	char heading[160], line[280];
	snprintf(heading, sizeof heading, "share %u of %u (set %08x; any %u of them restore the KEK)", at + 1, s->count, s->set, s->threshold);
	snprintf(line, sizeof line, "Next: %s.\r\nWhen its custodian is alone at this screen: Enter. Ctrl-C ends the whole.\r\n", heading);
	CUSTOS_TRY(custos_terminal_await_enter(s->c, line, err));
	CUSTOS_TRY(custos_terminal_show_share(s->c, heading, s->to[at].text, err));
	return tell(s, at, none, CUSTOS_BYTES(NULL, 0), err);
}

static custos_rc give(struct split *s, uint32_t at, struct custos_err *err)
{
	struct custos_err why = { 0 };
	custos_rc rc = is_shown(&s->to[at]) ? show(s, at, &why) : give_sealed(s, at, &why);
	custos_secret_free(CUSTOS_TAKE(s->to[at].text));
	custos_scrub_stack();
	custos_scrub_registers();
	if (rc == CUSTOS_OK)
		return rc;
	return custos_err_set_hinted(err, rc, "destroy the shares that are out, and start again", "share %u of %u was not given out: %s", at + 1,
	                             s->count, why.msg);
}

static custos_rc give_out(struct split *s, struct custos_err *err)
{
	bool is_open = false;
	for (uint32_t i = 0; i < s->count; i++) {
		if (is_shown(&s->to[i]) && !is_open) {
			CUSTOS_TRY(custos_terminal_open(s->terminal, err));
			is_open = true;
		}
		CUSTOS_TRY(give(s, i, err));
	}
	custos_terminal_close();
	return custos_channel_send(&s->c->channel, CUSTOS_COURIER_SHARES_GIVEN, CUSTOS_BYTES(NULL, 0), -1, err);
}

custos_rc custos_courier_split(struct custos_courier *c, struct custos_err *err)
{
	CUSTOS_CLEANUP(split_done) struct split s = { .c = c, .terminal = -1 };
	CUSTOS_AUTO_FRAME plan = { .fd = -1 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_AUTO(custos_secret) *kek = NULL;
	struct custos_err why = { 0 };
	CUSTOS_TRY(custos_courier_receive(c, CUSTOS_COURIER_SPLIT_PLAN, PLAN_MS, &plan, err));
	CUSTOS_TRY(read_plan(&s, &plan, err));
	custos_rc rc = custos_courier_receive(c, CUSTOS_COURIER_KEY, PATIENCE_MS, &frame, err);
	if (custos_courier_is_alone(c))
		return CUSTOS_OK;
	CUSTOS_TRY(rc);
	if (take_kek(&s, custos_buf_view(&frame.body), &kek, &why) != CUSTOS_OK) {
		/* the keeper goes on talking without an answer: what it says next is heard before it is told */
		rc = custos_courier_receive(c, CUSTOS_COURIER_SEAL_KEY, PATIENCE_MS, &frame, err);
		return rc == CUSTOS_OK ? custos_courier_refuse(c, &why, err) : custos_courier_is_alone(c) ? CUSTOS_OK : rc;
	}
	rc = custos_courier_seal_to_token(c, &kek, PATIENCE_MS, err);
	if (rc == CUSTOS_OK)
		rc = custos_courier_receive(c, CUSTOS_COURIER_GIVE_OUT, PATIENCE_MS, &frame, err);
	if (custos_courier_is_alone(c))
		return CUSTOS_OK;
	CUSTOS_TRY(rc);
	rc = give_out(&s, &why);
	custos_terminal_close();
	if (rc != CUSTOS_OK)
		return custos_courier_refuse(c, &why, err);
	return custos_courier_send_bye(c, err);
}
