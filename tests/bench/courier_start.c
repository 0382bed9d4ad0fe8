/* How long couriers take from fork to HELLO, side by side: courier_start ROUNDS PROGRAM [PROGRAM…]. One host, an errand that only scans; rounds are interleaved. Prints
 * one line a program: median and 90th percentile in microseconds, locked bytes and how they are locked, by the courier's own word. */
#include "data/json.h"
#include "link/courier.h"
#include "link/spawn.h"
#include "target/plan.h"

#include <fcntl.h>
#include "timing.h"

#include <stdio.h>

enum { ROUNDS_MAX = 1000, PROGRAMS_MAX = 8, ANSWER_MS = 10000 };

struct candidate {
	const char *path;
	double us[ROUNDS_MAX], whole_us[ROUNDS_MAX]; /* to HELLO; to the end, when the channel is closed at once */
	uint32_t locked;
	char backend[32];
};

/* What a scan of one host is set up with. */
static custos_rc put_setup(struct custos_buf *body, struct custos_err *err)
{
	CUSTOS_AUTO(custos_profile) *profile = NULL;
	CUSTOS_TRY(custos_profile_parse(custos_profile_builtin("esxi"), "esxi", &profile, err));
	CUSTOS_AUTO(custos_json) *target = NULL;
	static const char text[] = "{\"name\":\"bench\",\"address\":\"192.0.2.1:22\",\"user\":\"root\",\"profile\":\"esxi\",\"auth\":\"agent\","
	                           "\"hostkeys\":[\"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"],\"verify\":[\"192.0.2.1:443\"]}";
	CUSTOS_TRY(custos_json_parse(CUSTOS_BYTES_STR(text), "target", &target, err));
	__attribute__((cleanup(custos_plan_done))) struct custos_plan plan = { 0 };
	CUSTOS_AUTO_BUF encoded = { .max = CUSTOS_FRAME_BODY_MAX };
	struct custos_plan_options options = { .previous_backup = "", .nonce = "0123456789abcdef", .confirm_within_s = 300 };
	CUSTOS_TRY(custos_plan_build(target, profile, &options, &plan, err));
	CUSTOS_TRY(custos_plan_encode(&plan, &encoded, err));
	struct custos_wire_out w = { .buf = body, .err = err };
	custos_wire_put_u8(&w, CUSTOS_JOB_SCAN);
	custos_wire_put_u8(&w, 0);
	custos_wire_put_u8(&w, 0);
	custos_wire_put_text(&w, "");
	custos_wire_put_text(&w, "");
	custos_wire_put_u32(&w, 1);
	custos_wire_put_bytes(&w, custos_buf_view(&encoded));
	return w.rc;
}

static custos_rc start(struct candidate *c, size_t round, struct custos_bytes setup, struct custos_err *err)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_helper helper = { 0 };
	CUSTOS_AUTO_FD exe = open(c->path, O_RDONLY | O_CLOEXEC);
	CUSTOS_AUTO_FRAME hello = { .fd = -1 };
	CUSTOS_REQUIRE(exe >= 0, err, CUSTOS_E_INPUT, "cannot open %s", c->path);
	double began = now_us();
	CUSTOS_TRY(custos_helper_start(exe, "custos-courier", CUSTOS_SPAWN_CLEAN_ENVIRONMENT, NULL, &custos_courier_protocol, &helper, err));
	custos_rc rc = custos_channel_send(&helper.channel, CUSTOS_COURIER_SETUP, setup, -1, err);
	if (rc == CUSTOS_OK)
		rc = custos_channel_receive(&helper.channel, ANSWER_MS, &hello, err);
	c->us[round] = now_us() - began;
	(void)custos_helper_stop(&helper, ANSWER_MS);
	c->whole_us[round] = now_us() - began;
	CUSTOS_TRY(rc);
	struct custos_wire r = custos_wire_read(custos_buf_view(&hello.body));
	custos_wire_fixed(&r, point, sizeof point);
	CUSTOS_AUTO_STR *backend = custos_wire_text(&r);
	c->locked = custos_wire_u32(&r);
	snprintf(c->backend, sizeof c->backend, "%s", backend);
	return custos_wire_end(&r, "HELLO", err);
}

static custos_rc compare(size_t rounds, struct candidate *candidates, size_t count, struct custos_err *err)
{
	CUSTOS_AUTO_BUF setup = { .max = CUSTOS_FRAME_BODY_MAX };
	CUSTOS_TRY(put_setup(&setup, err));
	for (size_t i = 0; i < rounds; i++)
		for (size_t k = 0; k < count; k++)
			CUSTOS_TRY(start(&candidates[k], i, custos_buf_view(&setup), err));
	for (size_t k = 0; k < count; k++) {
		struct candidate *c = &candidates[k];
		qsort(c->us, rounds, sizeof *c->us, by_value);
		qsort(c->whole_us, rounds, sizeof *c->whole_us, by_value);
		printf("{\"program\":\"%s\",\"median_us\":%.0f,\"p90_us\":%.0f,\"whole_us\":%.0f,\"locked_bytes\":%u,\"backend\":\"%s\"}\n", c->path, c->us[rounds / 2], c->us[rounds * 9 / 10], c->whole_us[rounds / 2],
		       (unsigned)c->locked, c->backend);
	}
	return CUSTOS_OK;
}

int main(int argc, char **argv)
{
	static struct candidate candidates[PROGRAMS_MAX];
	struct custos_err err = { 0 };
	size_t rounds = argc > 2 ? (size_t)strtoul(argv[1], NULL, 10) : 0, count = argc > 2 ? (size_t)argc - 2 : 0;
	if (rounds == 0 || rounds > ROUNDS_MAX || count > PROGRAMS_MAX) {
		fprintf(stderr, "usage: courier_start ROUNDS PROGRAM [PROGRAM…]\n");
		return CUSTOS_E_USAGE;
	}
	for (size_t k = 0; k < count; k++)
		candidates[k].path = argv[2 + k];
	custos_rc rc = compare(rounds, candidates, count, &err);
	if (rc != CUSTOS_OK)
		fprintf(stderr, "courier_start: %s\n", err.msg);
	return (int)rc;
}
