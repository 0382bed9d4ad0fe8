/* Custodians' shares into a KEK: from files that their keys open, and from a person's hands; checked one by one when they come, put together, sealed to the token, wiped. Nothing
 * of a share is ever told but whose set it is of and its number. */
#include "courier/courier.h"

#include "courier/terminal.h"
#include "crypto/shares.h"
#include "memory/scrub.h"

#include <stdio.h>

enum { WATCH_S = 60, PLAN_MS = 120000, PATIENCE_MS = -1 };

struct combine {
	struct custos_courier *c;
	char *what;
	bool is_known;                    /* which set it must be */
	struct custos_share_label wanted; /* its number means nothing */
	int terminal;
	struct custos_share shares[CUSTOS_SHARES_MAX];
	size_t have;
};

static void combine_done(struct combine *m)
{
	custos_terminal_close();
	for (size_t i = 0; i < m->have; i++)
		custos_share_done(&m->shares[i]);
	custos_close_fd(&m->terminal);
	free(m->what);
}

static custos_rc read_plan(struct combine *m, struct custos_frame *frame, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	m->what = custos_wire_text(&r);
	m->wanted.threshold = custos_wire_u8(&r);
	m->wanted.set = custos_wire_u32(&r);
	CUSTOS_TRY(custos_wire_end(&r, "COMBINE_PLAN", err));
	CUSTOS_REQUIRE(m->wanted.threshold == 0 || (m->wanted.threshold >= CUSTOS_SHARES_MIN && m->wanted.threshold <= CUSTOS_SHARES_MAX), err, CUSTOS_E_INTERNAL,
	               "COMBINE_PLAN message makes no sense");
	m->is_known = m->wanted.threshold != 0;
	m->terminal = custos_take_fd(&frame->fd);
	return CUSTOS_OK;
}

/* ---- one share ---- */

/* Takes the share when it belongs to the others; the first one says what set it is, unless that is known. */
static custos_rc keep(struct combine *m, struct custos_share *share, struct custos_err *err)
{
	const struct custos_share_label *label = &share->label;
	if (m->is_known && (label->set != m->wanted.set || label->threshold != m->wanted.threshold))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "each share says on its paper or file which set it is of", "share %u is of the set %08x (%u needed), wanted is the set %08x (%u needed)",
		                 label->number, label->set, label->threshold, m->wanted.set, m->wanted.threshold);
	for (size_t i = 0; i < m->have; i++)
		if (m->shares[i].label.number == label->number)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "another custodian's share is needed", "share %u is here already", label->number);
	m->wanted = *label;
	m->is_known = true;
	struct custos_share *kept = &m->shares[m->have++];
	kept->label = *label;
	kept->value = CUSTOS_TAKE(share->value);
	return CUSTOS_OK;
}

static custos_rc open_file(struct combine *m, struct custos_frame *frame, struct custos_share_label *ret_label, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO(custos_secret) *pkcs8 = NULL;
	CUSTOS_AUTO(custos_secret) *text = NULL;
	CUSTOS_AUTO(custos_ephemeral) *key = NULL;
	CUSTOS_AUTO_BUF spki = { .max = 4096 };
	CUSTOS_CLEANUP(custos_share_done) struct custos_share share = { 0 };
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	CUSTOS_AUTO_STR *file = custos_wire_text(&r);
	uint8_t number = custos_wire_u8(&r);
	custos_wire_fixed(&r, point, sizeof point);
	struct custos_bytes sealed = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "SHARE_FILE", err));
	struct custos_err why = { 0 };
	custos_rc rc = custos_courier_read_key(m->c, frame->fd, &pkcs8, &spki, &why);
	if (rc == CUSTOS_OK)
		rc = custos_ephemeral_load(pkcs8, &key, &why);
	if (rc != CUSTOS_OK)
		return custos_err_set_hinted(err, rc, why.hint, "the key for %.200s cannot be taken: %s", file, why.msg);
	if (custos_unseal(key, point, sealed, &text, &why) != CUSTOS_OK)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "name the private key of the custodian it was made for, or another copy of the file", "%.200s does not open with that key", file);
	rc = custos_share_read(text, &share, &why);
	CUSTOS_REQUIRE(rc == CUSTOS_OK, err, rc, "%.200s holds no share: %s", file, why.msg);
	if (share.label.number != number)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TAMPERED, "somebody has edited the file: keep it as evidence, and take another copy", "%.200s says that it holds share %u, and holds share %u", file, number, share.label.number);
	*ret_label = share.label;
	return keep(m, &share, err);
}

static custos_rc tell_taken(struct combine *m, const struct custos_share_label *label, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	custos_wire_put_u32(&w, label->set);
	custos_wire_put_u8(&w, label->threshold);
	custos_wire_put_u8(&w, label->number);
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&m->c->channel, CUSTOS_COURIER_SHARE_TAKEN, custos_buf_view(&body), -1, err);
}

/* Files until COLLECT, or until one is refused. */
static custos_rc gather(struct combine *m, bool *ret_refused, struct custos_err *err)
{
	for (;;) {
		CUSTOS_AUTO_FRAME frame = { .fd = -1 };
		struct custos_share_label label = { 0 };
		struct custos_err why = { 0 };
		CUSTOS_TRY(custos_channel_receive(&m->c->channel, PATIENCE_MS, &frame, err));
		if (frame.type == CUSTOS_COURIER_COLLECT)
			return CUSTOS_OK;
		CUSTOS_REQUIRE(frame.type == CUSTOS_COURIER_SHARE_FILE && m->have < CUSTOS_SHARES_MAX, err, CUSTOS_E_INTERNAL, "message %u does not belong here", frame.type);
		custos_rc rc = open_file(m, &frame, &label, &why);
		custos_scrub_stack();
		custos_scrub_registers();
		*ret_refused = rc != CUSTOS_OK;
		if (*ret_refused)
			return custos_courier_refuse(m->c, &why, err);
		CUSTOS_TRY(tell_taken(m, &label, err));
	}
}

/* ---- at the terminal ---- */

static bool is_enough(const struct combine *m)
{
	return m->have > 0 && m->have >= m->wanted.threshold;
}

/* What is wrong with what was typed; it is asked for again. */
static custos_rc complain(const char *before, const struct custos_err *why, struct custos_err *err)
{
	CUSTOS_TRY(custos_terminal_say(before, err));
	CUSTOS_TRY(custos_terminal_say(why->msg, err));
	CUSTOS_TRY(custos_terminal_say("\r\n  ", err));
	CUSTOS_TRY(custos_terminal_say(why->hint, err));
	return custos_terminal_say("\r\n", err);
}

static custos_rc ask(struct combine *m, struct custos_err *err)
{
	char prompt[160] = "first share: ", taken[64];
	struct custos_err why = { 0 };
	CUSTOS_AUTO(custos_secret) *typed = NULL;
	CUSTOS_CLEANUP(custos_share_done) struct custos_share share = { 0 };
	if (m->is_known)
		snprintf(prompt, sizeof prompt, "share %zu of %u that are needed (set %08x): ", m->have + 1, m->wanted.threshold, m->wanted.set);
	CUSTOS_TRY(custos_terminal_ask_share(m->c, prompt, &typed, err));
	custos_rc rc = custos_share_read(typed, &share, &why);
	CUSTOS_REQUIRE(rc == CUSTOS_OK || rc == CUSTOS_E_INPUT, err, rc, "%s", why.msg);
	if (rc != CUSTOS_OK)
		return complain("that is no share: ", &why, err);
	if (keep(m, &share, &why) != CUSTOS_OK)
		return complain("", &why, err);
	snprintf(taken, sizeof taken, "share %u is taken\r\n", share.label.number);
	return custos_terminal_say(taken, err);
}

static custos_rc collect(struct combine *m, struct custos_err *err)
{
	if (is_enough(m))
		return CUSTOS_OK;
	if (m->terminal < 0 && m->have == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "name share files, or work at a terminal", "there are no shares, and no terminal to ask for them");
	if (m->terminal < 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "name more share files, or work at a terminal", "%zu of the %u shares that are needed are here, and no terminal to ask for more", m->have,
		                 m->wanted.threshold);
	CUSTOS_TRY(custos_terminal_open(m->terminal, err));
	char line[400];
	snprintf(line, sizeof line, "The KEK of %.200s, from its custodians' shares. Type each as it is written; a star stands for a letter, Ctrl-U starts the line again, Ctrl-C ends it.\r\n", m->what);
	CUSTOS_TRY(custos_terminal_say(line, err));
	while (!is_enough(m)) {
		custos_rc rc = ask(m, err);
		custos_scrub_stack();
		custos_scrub_registers();
		CUSTOS_TRY(rc);
	}
	return CUSTOS_OK;
}

/* ---- all of them ---- */

static custos_rc put_together(struct combine *m, struct custos_secret **ret_kek, struct custos_err *err)
{
	custos_courier_watch(WATCH_S);
	custos_rc rc = custos_shares_combine(m->shares, m->have, ret_kek, err);
	custos_courier_watch(0);
	for (size_t i = 0; i < m->have; i++)
		custos_secret_free(CUSTOS_TAKE(m->shares[i].value));
	custos_scrub_stack();
	custos_scrub_registers();
	return rc;
}

static custos_rc tell_ready(struct combine *m, struct custos_err *err)
{
	bool is_here[CUSTOS_SHARES_MAX + 1] = { false };
	uint8_t numbers[CUSTOS_SHARES_MAX];
	size_t count = 0;
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	for (size_t i = 0; i < m->have; i++)
		is_here[m->shares[i].label.number] = true;
	for (uint8_t n = 1; n <= CUSTOS_SHARES_MAX; n++)
		if (is_here[n])
			numbers[count++] = n;
	custos_wire_put_u32(&w, m->wanted.set);
	custos_wire_put_u8(&w, m->wanted.threshold);
	custos_wire_put_bytes(&w, CUSTOS_BYTES(numbers, count));
	CUSTOS_TRY(w.rc);
	return custos_channel_send(&m->c->channel, CUSTOS_COURIER_SHARES_READY, custos_buf_view(&body), -1, err);
}

custos_rc custos_courier_combine(struct custos_courier *c, struct custos_err *err)
{
	CUSTOS_CLEANUP(combine_done) struct combine m = { .c = c, .terminal = -1 };
	CUSTOS_AUTO_FRAME plan = { .fd = -1 };
	CUSTOS_AUTO(custos_secret) *kek = NULL;
	struct custos_err why = { 0 };
	CUSTOS_TRY(custos_courier_receive(c, CUSTOS_COURIER_COMBINE_PLAN, PLAN_MS, &plan, err));
	CUSTOS_TRY(read_plan(&m, &plan, err));
	bool refused = false;
	custos_rc rc = gather(&m, &refused, err);
	if (refused || custos_courier_is_alone(c))
		return CUSTOS_OK;
	CUSTOS_TRY(rc);
	rc = collect(&m, &why);
	custos_terminal_close();
	if (rc == CUSTOS_OK)
		rc = put_together(&m, &kek, &why);
	if (rc != CUSTOS_OK)
		return custos_courier_refuse(c, &why, err);
	CUSTOS_TRY(tell_ready(&m, err));
	rc = custos_courier_seal_to_token(c, &kek, PATIENCE_MS, err);
	if (custos_courier_is_alone(c))
		return CUSTOS_OK;
	CUSTOS_TRY(rc);
	return custos_courier_send_bye(c, err);
}
