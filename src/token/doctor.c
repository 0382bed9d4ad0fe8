/* Asking: see doctor.h. One request a check, so that the one that kills custos-token is known by name. */
#include "token/doctor.h"
#include "data/json.h"
#include "token/exchange.h"

#include <stdio.h>

static void add(struct custos_json *checks, const struct custos_check_row *row, struct custos_json *finding)
{
	custos_json_set_text(finding, "name", row->name);
	custos_json_set_text(finding, "asks", row->asks);
	custos_json_push(checks, finding);
}

static struct custos_json *made_here(const char *verdict, const char *seen)
{
	struct custos_json *finding = custos_json_object();
	custos_json_set_text(finding, "verdict", verdict);
	custos_json_set_text(finding, "seen", seen);
	return finding;
}

static custos_rc take_finding(const struct custos_frame *frame, struct custos_json **ret_finding, struct custos_err *err)
{
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
	struct custos_bytes text = custos_wire_bytes(&r);
	CUSTOS_TRY(custos_wire_end(&r, "FOUND", err));
	CUSTOS_AUTO(custos_json) *finding = NULL;
	CUSTOS_TRY(custos_json_parse(text, "finding", &finding, err));
	CUSTOS_REQUIRE(custos_json_text(finding, "verdict") != NULL && custos_json_text(finding, "seen") != NULL, err, CUSTOS_E_TOKEN, "custos-token found nothing");
	*ret_finding = CUSTOS_TAKE(finding);
	return CUSTOS_OK;
}

/* *ret_finding is NULL when custos-token refused to make the check, with the reason in `why`; it may have died of it. */
static custos_rc ask(struct custos_token *token, const struct custos_check_row *row, unsigned flags, struct custos_json **ret_finding, struct custos_err *err)
{
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	struct custos_wire_out w = { .buf = &body, .err = err };
	char doing[64];
	custos_wire_put_u8(&w, (uint8_t)row->check);
	custos_wire_put_u32(&w, flags);
	CUSTOS_TRY(w.rc);
	snprintf(doing, sizeof doing, "making the check %s", row->name);
	int timeout_ms = (row->flags & CUSTOS_CHECK_SLOW) != 0 ? custos_token_generate_ms(token, row->type) : token->times.call_ms;
	struct custos_exchange x = { CUSTOS_TOKEN_DOCTOR, CUSTOS_TOKEN_FOUND, -1, timeout_ms, doing };
	CUSTOS_TRY(custos_token_call(token, &x, custos_buf_view(&body), &frame, err));
	return take_finding(&frame, ret_finding, err);
}

static custos_rc make(struct custos_token *token, const struct custos_check_row *row, unsigned flags, struct custos_json *checks, struct custos_err *err)
{
	struct custos_err why = { 0 };
	struct custos_json *finding = NULL;
	if (custos_token_pid(token) == 0) {
		add(checks, row, made_here("skipped", "custos-token has died before"));
		return CUSTOS_OK;
	}
	custos_rc rc = ask(token, row, flags, &finding, &why);
	if (rc == CUSTOS_OK)
		add(checks, row, finding);
	else if (custos_token_pid(token) == 0)
		add(checks, row, made_here("died", why.msg));
	else
		CUSTOS_FAIL_NATIVE(err, rc, why.native, "%s", why.msg);
	return CUSTOS_OK;
}

custos_rc custos_doctor_look(struct custos_token *token, unsigned flags, struct custos_json *checks, struct custos_err *err)
{
	for (size_t i = 0; custos_check_at(i) != NULL; i++)
		if ((custos_check_at(i)->flags & CUSTOS_CHECK_BEFORE_LOGIN) != 0)
			CUSTOS_TRY(make(token, custos_check_at(i), flags, checks, err));
	return CUSTOS_OK;
}

static int64_t object_count(const struct custos_json *finding)
{
	return custos_json_int(custos_json_get(finding, "facts"), "count", -1);
}

/* What the doctor promises: nothing is left. */
static custos_rc count_again(struct custos_token *token, int64_t before, struct custos_json *checks, struct custos_err *err)
{
	static const struct custos_check_row left = { CUSTOS_CHECK_OBJECTS, "nothing-left", "as many token objects as before", 0, CUSTOS_TIER_HARDENED, CUSTOS_TIER_HARDENED, 0 };
	struct custos_json *finding = NULL;
	struct custos_err why = { 0 };
	char seen[96];
	if (custos_token_pid(token) == 0 || ask(token, &left, 0, &finding, &why) != CUSTOS_OK) {
		add(checks, &left, made_here("skipped", "custos-token has died before"));
		return CUSTOS_OK;
	}
	int64_t after = object_count(finding);
	custos_json_free(finding);
	(void)err;
	snprintf(seen, sizeof seen, "%lld token objects before, %lld after", (long long)before, (long long)after);
	finding = made_here(before >= 0 && before == after ? "ok" : "warn", before == after ? "as many" : seen);
	struct custos_json *facts = custos_json_object();
	custos_json_set_int(facts, "before", before);
	custos_json_set_int(facts, "after", after);
	custos_json_set(finding, "facts", facts);
	add(checks, &left, finding);
	return CUSTOS_OK;
}

custos_rc custos_doctor_examine(struct custos_token *token, unsigned flags, struct custos_json *checks, struct custos_err *err)
{
	int64_t before = -1;
	for (size_t i = 0; custos_check_at(i) != NULL; i++) {
		const struct custos_check_row *row = custos_check_at(i);
		if ((row->flags & CUSTOS_CHECK_BEFORE_LOGIN) != 0)
			continue;
		if ((row->flags & CUSTOS_CHECK_LAST) != 0)
			CUSTOS_TRY(count_again(token, before, checks, err));
		CUSTOS_TRY(make(token, row, flags, checks, err));
		if (row->check == CUSTOS_CHECK_OBJECTS)
			before = object_count(custos_json_at(checks, custos_json_count(checks) - 1));
	}
	return CUSTOS_OK;
}
