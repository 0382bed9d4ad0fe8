/* custos SPLIT|COMBINE, as the scanner knows it: a keeper that splits or combines with a real courier and never has a key. residue_person starts it, with its socket as
 * descriptor 0 and its terminal as descriptor 1: it says the courier's point and gets the KEK wrapped to it. Goes on only when it is watched. */
#include "link/courier.h"
#include "link/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum { PERSON = 0, TERMINAL = 1, WATCHED_MS = 20000, ANSWER_MS = 100000, PARCEL_MAX = 256 };

static int fail(const char *what, const struct custos_err *err)
{
	fprintf(stderr, "%s: %s\n", what, err == NULL ? "" : err->msg);
	return 1;
}

static bool is_traced(pid_t pid)
{
	char path[64], text[4096];
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	size_t len = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
	text[len] = '\0';
	if (f != NULL)
		fclose(f);
	const char *tracer = strstr(text, "\nTracerPid:\t");
	return tracer != NULL && tracer[12] != '0';
}

/* In calls in which the scanner attaches. */
static bool await_scanner(pid_t courier)
{
	for (int waited = 0; waited < WATCHED_MS; waited += 5) {
		if (is_traced(getpid()) && is_traced(courier))
			return true;
		poll(NULL, 0, 5);
	}
	return false;
}

static custos_rc say(struct custos_helper *helper, uint8_t type, struct custos_buf *body, int fd, struct custos_err *err)
{
	custos_rc rc = custos_channel_send(&helper->channel, type, custos_buf_view(body), fd, err);
	custos_buf_done(body);
	return rc;
}

static custos_rc expect(struct custos_helper *helper, uint8_t type, struct custos_frame *frame, struct custos_err *err)
{
	CUSTOS_TRY(custos_channel_receive(&helper->channel, ANSWER_MS, frame, err));
	CUSTOS_REQUIRE(frame->type == type, err, CUSTOS_E_INTERNAL, "message %u for %u", frame->type, type);
	return CUSTOS_OK;
}

static custos_rc meet(struct custos_helper *helper, uint8_t job, uint8_t point[static CUSTOS_POINT_SIZE], struct custos_err *err)
{
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_AUTO_FD exe = -1;
	CUSTOS_TRY(custos_helper_open("custos-courier", &exe, err));
	CUSTOS_TRY(custos_helper_start(exe, "custos-courier", CUSTOS_SPAWN_CLEAN_ENVIRONMENT, NULL, &custos_courier_protocol, helper, err));
	for (int i = 0; i < 3; i++)
		custos_wire_put_u8(&w, i == 0 ? job : 0);
	for (int i = 0; i < 2; i++)
		custos_wire_put_bytes(&w, CUSTOS_BYTES(NULL, 0));
	custos_wire_put_u32(&w, 0);
	CUSTOS_TRY(say(helper, CUSTOS_COURIER_SETUP, &body, -1, err));
	CUSTOS_TRY(expect(helper, CUSTOS_COURIER_HELLO, &frame, err));
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	custos_wire_fixed(&r, point, CUSTOS_POINT_SIZE);
	return CUSTOS_OK;
}

/* The token's point is any: nobody opens what is sealed to it. */
static custos_rc have_sealed(struct custos_helper *helper, const uint8_t *point, struct custos_err *err)
{
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	custos_wire_put_fixed(&w, point, CUSTOS_POINT_SIZE);
	CUSTOS_TRY(say(helper, CUSTOS_COURIER_SEAL_KEY, &body, -1, err));
	return expect(helper, CUSTOS_COURIER_KEY_SEALED, &frame, err);
}

static custos_rc split(struct custos_helper *helper, const uint8_t *point, struct custos_err *err)
{
	uint8_t parcel[PARCEL_MAX];
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	custos_wire_put_u8(&w, 2);
	custos_wire_put_u32(&w, 1);
	custos_wire_put_u32(&w, 3);
	for (int i = 0; i < 3; i++)
		custos_wire_put_text(&w, "");
	custos_wire_put_u32(&w, 3);
	for (int i = 0; i < 3; i++)
		custos_wire_put_bytes(&w, CUSTOS_BYTES(NULL, 0));
	CUSTOS_TRY(say(helper, CUSTOS_COURIER_SPLIT_PLAN, &body, TERMINAL, err));
	ssize_t len = write(PERSON, point, CUSTOS_POINT_SIZE) == CUSTOS_POINT_SIZE ? read(PERSON, parcel, sizeof parcel) : -1;
	CUSTOS_REQUIRE(len > CUSTOS_POINT_SIZE, err, CUSTOS_E_SYSTEM, "there is no token");
	custos_wire_put_fixed(&w, parcel, CUSTOS_POINT_SIZE);
	custos_wire_put_bytes(&w, CUSTOS_BYTES(parcel + CUSTOS_POINT_SIZE, (size_t)len - CUSTOS_POINT_SIZE));
	custos_wire_put_u32(&w, 0);
	CUSTOS_TRY(say(helper, CUSTOS_COURIER_KEY, &body, -1, err));
	CUSTOS_TRY(have_sealed(helper, point, err));
	CUSTOS_TRY(say(helper, CUSTOS_COURIER_GIVE_OUT, &body, -1, err));
	for (int i = 0; i < 3; i++)
		CUSTOS_TRY(expect(helper, CUSTOS_COURIER_SHARE, &frame, err));
	return expect(helper, CUSTOS_COURIER_SHARES_GIVEN, &frame, err);
}

static custos_rc combine(struct custos_helper *helper, const uint8_t *point, struct custos_err *err)
{
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	custos_wire_put_text(&w, "custody.example");
	custos_wire_put_u8(&w, 0);
	custos_wire_put_u32(&w, 0);
	CUSTOS_TRY(say(helper, CUSTOS_COURIER_COMBINE_PLAN, &body, TERMINAL, err));
	CUSTOS_TRY(say(helper, CUSTOS_COURIER_COLLECT, &body, -1, err));
	CUSTOS_TRY(expect(helper, CUSTOS_COURIER_SHARES_READY, &frame, err));
	return have_sealed(helper, point, err);
}

int main(int argc, char **argv)
{
	struct custos_helper helper = { .channel = { .fd = -1 } };
	struct custos_err err = { 0 };
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_FRAME bye = { .fd = -1 };
	bool splits = argc == 2 && strcmp(argv[1], "split") == 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || meet(&helper, splits ? CUSTOS_JOB_SPLIT : CUSTOS_JOB_COMBINE, point, &err) != CUSTOS_OK)
		return fail("cannot start", &err);
	if (!await_scanner(helper.pid))
		return fail("nobody watches", NULL);
	custos_rc rc = splits ? split(&helper, point, &err) : combine(&helper, point, &err);
	if (rc == CUSTOS_OK)
		rc = expect(&helper, CUSTOS_COURIER_BYE, &bye, &err);
	if (rc != CUSTOS_OK)
		return fail(argv[1], &err);
	return custos_helper_stop(&helper, ANSWER_MS) == 0 ? 0 : fail("the courier did not end well", NULL);
}
