/* custos-courier splitting a KEK and combining it again, with this test as its keeper, as its token and as the person at a pseudo-terminal. */
#include "shares_person.h"

enum { SET = 0x40ffee42 };

struct errand {
	struct custos_helper helper;
	uint8_t point[CUSTOS_POINT_SIZE], kek[CUSTOS_SHARE_VALUE];
	struct custos_ephemeral *token;      /* the pair that the KEK comes back to */
	uint8_t token_point[CUSTOS_POINT_SIZE];
	uint8_t category;                    /* of KEY_REFUSED */
	char why[512], hint[512];
	uint8_t shared[CUSTOS_SHARES_MAX];   /* numbers of SHARE, in their order */
	size_t shares;
};

static void send_body(struct errand *e, uint8_t type, struct custos_buf *body, int fd)
{
	struct custos_err err = { 0 };
	if (custos_channel_send(&e->helper.channel, type, custos_buf_view(body), fd, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	custos_buf_done(body);
}

static void send_empty(struct errand *e, uint8_t type)
{
	send_body(e, type, &(struct custos_buf){ 0 }, -1);
}

static uint8_t hear(struct errand *e, struct custos_frame *frame)
{
	struct custos_err err = { 0 };
	if (custos_channel_receive(&e->helper.channel, PERSON_MS, frame, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	if (frame->type == CUSTOS_COURIER_KEY_REFUSED) {
		struct custos_wire r = custos_wire_read(custos_buf_view(&frame->body));
		e->category = custos_wire_u8(&r);
		CUSTOS_AUTO_STR *why = custos_wire_text(&r), *hint = custos_wire_text(&r);
		assert_false(r.failed);
		snprintf(e->why, sizeof e->why, "%s", why);
		snprintf(e->hint, sizeof e->hint, "%s", hint);
	}
	return frame->type;
}

static void expect(struct errand *e, uint8_t type)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	uint8_t got = hear(e, &frame);
	if (got != type)
		fail_msg("message %u for %u: %s", got, type, e->why);
}

static void begin(struct errand *e, enum custos_courier_job job)
{
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	struct custos_err err = { 0 };
	memset(e, 0, sizeof *e);
	assert_int_equal(getrandom(e->kek, sizeof e->kek, 0), sizeof e->kek);
	assert_int_equal(custos_ephemeral_new(&e->token, e->token_point, NULL), CUSTOS_OK);
	CUSTOS_AUTO_FD exe = open(COURIER, O_RDONLY | O_CLOEXEC);
	if (custos_helper_start(exe, "custos-courier", CUSTOS_SPAWN_CLEAN_ENVIRONMENT, NULL, &custos_courier_protocol, &e->helper, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	for (int i = 0; i < 3; i++)
		custos_wire_put_u8(&w, i == 0 ? (uint8_t)job : 0);
	for (int i = 0; i < 2; i++)
		custos_wire_put_bytes(&w, CUSTOS_BYTES(NULL, 0));
	custos_wire_put_u32(&w, 0);
	send_body(e, CUSTOS_COURIER_SETUP, &body, -1);
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	assert_int_equal(hear(e, &frame), CUSTOS_COURIER_HELLO);
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	custos_wire_fixed(&r, e->point, sizeof e->point);
}

/* Its exit status; everything it had is gone with it. */
static int end(struct errand *e)
{
	int status = custos_helper_stop(&e->helper, PERSON_MS);
	custos_ephemeral_free(e->token);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- split ---- */

static void send_split_plan(struct errand *e, unsigned k, unsigned n, const struct custodian *custodians, unsigned count, int terminal)
{
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u8(&w, (uint8_t)k);
	custos_wire_put_u32(&w, SET);
	custos_wire_put_u32(&w, n);
	for (unsigned i = 0; i < n; i++)
		custos_wire_put_text(&w, i < count ? "custodian.pem" : "");
	custos_wire_put_u32(&w, n);
	for (unsigned i = 0; i < n; i++)
		custos_wire_put_bytes(&w, i < count ? CUSTOS_BYTES(custodians[i].spki, custodians[i].spki_len) : CUSTOS_BYTES(NULL, 0));
	send_body(e, CUSTOS_COURIER_SPLIT_PLAN, &body, terminal);
}

static void send_key(struct errand *e, const void *kek, size_t len, unsigned flip)
{
	uint8_t point[CUSTOS_POINT_SIZE];
	struct custos_buf body = { 0 }, sealed = { 0 };
	struct custos_wire_out w = { .buf = &body };
	CUSTOS_AUTO(custos_secret) *secret = secret_of(kek, len);
	assert_int_equal(custos_seal(secret, e->point, point, &sealed, NULL), CUSTOS_OK);
	sealed.ptr[9] ^= (uint8_t)flip;
	custos_wire_put_fixed(&w, point, sizeof point);
	custos_wire_put_bytes(&w, custos_buf_view(&sealed));
	custos_wire_put_u32(&w, 0);
	send_body(e, CUSTOS_COURIER_KEY, &body, -1);
	custos_buf_done(&sealed);
}

static void send_seal_key(struct errand *e)
{
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_fixed(&w, e->token_point, sizeof e->token_point);
	send_body(e, CUSTOS_COURIER_SEAL_KEY, &body, -1);
}

/* What the token gets is the KEK. */
static void take_sealed(struct errand *e, const uint8_t *kek)
{
	uint8_t point[CUSTOS_POINT_SIZE], got[CUSTOS_SHARE_VALUE];
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	CUSTOS_AUTO(custos_secret) *opened = NULL;
	uint8_t type = hear(e, &frame);
	if (type != CUSTOS_COURIER_KEY_SEALED)
		fail_msg("message %u: %s", type, e->why);
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	custos_wire_fixed(&r, point, sizeof point);
	struct custos_bytes sealed = custos_wire_bytes(&r);
	assert_int_equal(custos_unseal(e->token, point, sealed, &opened, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_length(opened), CUSTOS_SHARE_VALUE);
	bytes_of(opened, got);
	assert_memory_equal(got, kek, sizeof got);
}

/* As far as GIVE_OUT. */
static void split(struct errand *e, unsigned k, unsigned n, const struct custodian *custodians, unsigned count, int terminal)
{
	begin(e, CUSTOS_JOB_SPLIT);
	send_split_plan(e, k, n, custodians, count, terminal);
	send_key(e, e->kek, sizeof e->kek, 0);
	send_seal_key(e);
	take_sealed(e, e->kek);
	send_empty(e, CUSTOS_COURIER_GIVE_OUT);
}

/* A SHARE that was shown, not sealed. */
static void expect_shown(struct errand *e, unsigned number)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	assert_int_equal(hear(e, &frame), CUSTOS_COURIER_SHARE);
	assert_int_equal(frame.body.ptr[0], number);
	for (size_t i = 1; i < frame.body.len; i++)
		assert_int_equal(frame.body.ptr[i], 0);
}

static void open_sealed(struct errand *e, unsigned number, const struct custodian *c, char text[CUSTOS_SHARE_TEXT + 1])
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	uint8_t point[CUSTOS_POINT_SIZE], type = hear(e, &frame);
	if (type != CUSTOS_COURIER_SHARE)
		fail_msg("message %u: %s", type, e->why);
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	assert_int_equal(custos_wire_u8(&r), number);
	custos_wire_fixed(&r, point, sizeof point);
	struct custos_bytes sealed = custos_wire_bytes(&r);
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(c->key);
	unsigned char *der = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
	CUSTOS_AUTO(custos_secret) *pkcs8 = secret_of(der, (size_t)len), *opened = NULL;
	struct custos_ephemeral *key = NULL;
	assert_int_equal(custos_ephemeral_load(pkcs8, &key, NULL), CUSTOS_OK);
	assert_int_equal(custos_unseal(key, point, sealed, &opened, NULL), CUSTOS_OK);
	assert_int_equal(custos_secret_length(opened), CUSTOS_SHARE_TEXT);
	bytes_of(opened, text);
	text[CUSTOS_SHARE_TEXT] = '\0';
	custos_ephemeral_free(key);
	PKCS8_PRIV_KEY_INFO_free(info);
	OPENSSL_free(der);
}

static void finish(struct errand *e)
{
	expect(e, CUSTOS_COURIER_SHARES_GIVEN);
	expect(e, CUSTOS_COURIER_BYE);
	assert_int_equal(end(e), 0);
}

static void one_share_at_a_time_on_the_screen(void **state)
{
	(void)state;
	struct errand e;
	struct person p;
	char texts[3][CUSTOS_SHARE_TEXT + 1], line[64];
	uint8_t kek[CUSTOS_SHARE_VALUE];
	size_t left = 0;
	person_sits_down(&p);
	split(&e, 2, 3, NULL, 0, p.slave);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(line, sizeof line, "Next: share %u of 3 (set 40ffee42", i + 1);
		person_sees(&p, line);
		/* nobody sees it before its custodian is there; what was typed before does not count as his Enter */
		person_sees(&p, "the whole.");
		assert_false(echoes(&p));
		person_types(&p, "x y\n");
		person_sees(&p, "\033[?1049h\033[2J\033[H");
		assert_true(p.at > left);
		person_copies(&p, texts[i]);
		assert_false(echoes(&p));
		person_types(&p, i == 0 ? "\n" : "ok\r");
		person_sees(&p, "\033[2J\033[?1049l");
		left = p.at;
		expect_shown(&e, i + 1);
	}
	finish(&e);
	assert_true(is_as_before(&p));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(share_of(texts[i]).label.number, i + 1);
	combine_texts(texts, 3, kek);
	assert_memory_equal(kek, e.kek, sizeof kek);
	combine_texts(texts + 1, 2, kek);
	assert_memory_equal(kek, e.kek, sizeof kek);
	person_leaves(&p);
}

static void custodians_and_the_screen(void **state)
{
	(void)state;
	struct errand e;
	struct person p;
	struct custodian c[3];
	char texts[4][CUSTOS_SHARE_TEXT + 1];
	uint8_t kek[CUSTOS_SHARE_VALUE];
	for (unsigned i = 0; i < 3; i++)
		custodian_new(&c[i], NULL);
	/* nobody at a terminal is needed */
	split(&e, 3, 3, c, 3, -1);
	for (unsigned i = 0; i < 3; i++)
		open_sealed(&e, i + 1, &c[i], texts[i]);
	finish(&e);
	combine_texts(texts, 3, kek);
	assert_memory_equal(kek, e.kek, sizeof kek);

	person_sits_down(&p);
	split(&e, 3, 4, c, 3, p.slave);
	for (unsigned i = 0; i < 3; i++)
		open_sealed(&e, i + 1, &c[i], texts[i]);
	person_sees(&p, "Next: share 4 of 4");
	person_sees(&p, "the whole.");
	person_types(&p, "\n");
	person_copies(&p, texts[3]);
	person_types(&p, "\n");
	expect_shown(&e, 4);
	finish(&e);
	combine_texts(texts + 1, 3, kek);
	assert_memory_equal(kek, e.kek, sizeof kek);
	/* what is a custodian's is not shown */
	for (unsigned i = 0; i < 3; i++)
		assert_false(was_shown(&p, piece_of(texts[i])));
	assert_true(is_as_before(&p));
	person_leaves(&p);
	for (unsigned i = 0; i < 3; i++)
		custodian_done(&c[i]);
}

static void what_is_no_kek_is_not_split(void **state)
{
	(void)state;
	uint8_t bytes[64] = { 1 };
	static const size_t sizes[] = { 31, 33, 16, 64 };
	struct custodian c[2];
	custodian_new(&c[0], NULL);
	custodian_new(&c[1], NULL);
	for (size_t i = 0; i < 5; i++) {
		struct errand e;
		begin(&e, CUSTOS_JOB_SPLIT);
		send_split_plan(&e, 2, 2, c, 2, -1);
		send_key(&e, i < 4 ? bytes : e.kek, i < 4 ? sizes[i] : sizeof e.kek, i == 4);
		send_seal_key(&e);
		expect(&e, CUSTOS_COURIER_KEY_REFUSED);
		assert_int_equal(e.category, i < 4 ? CUSTOS_E_TOKEN : CUSTOS_E_TAMPERED);
		assert_int_equal(end(&e), 0);
	}
	/* nowhere to show it: known before the KEK is opened */
	for (int i = 0; i < 2; i++) {
		struct errand e;
		CUSTOS_AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
		begin(&e, CUSTOS_JOB_SPLIT);
		send_split_plan(&e, 2, 2, c, 1, i == 0 ? -1 : null);
		send_key(&e, e.kek, sizeof e.kek, 1);
		send_seal_key(&e);
		expect(&e, CUSTOS_COURIER_KEY_REFUSED);
		assert_int_equal(e.category, i == 0 ? CUSTOS_E_POLICY : CUSTOS_E_SYSTEM);
		assert_non_null(strstr(e.why, "terminal"));
		assert_int_equal(end(&e), 0);
	}
	custodian_done(&c[0]);
	custodian_done(&c[1]);
}

/* Ctrl-C, Ctrl-D: before the first share, while one is shown, before the second. Nothing more comes out, and the terminal is as it was. */
static void a_split_that_is_ended(void **state)
{
	(void)state;
	for (unsigned place = 0; place < 6; place++) {
		struct errand e;
		struct person p;
		const char *key = place % 2 == 0 ? "\003" : "\004";
		char text[CUSTOS_SHARE_TEXT + 1];
		person_sits_down(&p);
		split(&e, 2, 2, NULL, 0, p.slave);
		person_sees(&p, "the whole.");
		if (place >= 2) {
			person_types(&p, "\n");
			person_copies(&p, text);
		}
		if (place >= 4) {
			person_sees(&p, "the whole.");
			person_types(&p, "\n");
			expect_shown(&e, 1);
			person_sees(&p, "the whole.");
		} else if (place >= 2)
			person_sees(&p, "the whole.");
		person_types(&p, key);
		expect(&e, CUSTOS_COURIER_KEY_REFUSED);
		assert_int_equal(e.category, CUSTOS_E_POLICY);
		assert_non_null(strstr(e.why, place < 4 ? "share 1 of 2 was not given out" : "share 2 of 2 was not given out"));
		assert_int_equal(end(&e), 0);
		assert_true(is_as_before(&p));
		/* and cleared, when something was shown */
		if (place == 2 || place == 3)
			person_sees(&p, "\033[2J\033[?1049l");
		assert_false(was_shown(&p, place < 4 ? "\033[Hshare 2 of 2" : "\033[Hshare 3"));
		person_leaves(&p);
	}
}

enum leaving { KEEPER_GOES, TERMINAL_GOES, WATCHDOG };

/* Whoever ends while a share is on the screen: it is cleared, and the terminal is as it was. */
static void ended_from_outside(void **state)
{
	(void)state;
	for (enum leaving how = KEEPER_GOES; how <= WATCHDOG; how++) {
		struct errand e;
		struct person p;
		char text[CUSTOS_SHARE_TEXT + 1];
		person_sits_down(&p);
		split(&e, 2, 2, NULL, 0, p.slave);
		person_sees(&p, "the whole.");
		person_types(&p, "\n");
		person_copies(&p, text);
		assert_false(echoes(&p));
		if (how == KEEPER_GOES) {
			assert_int_equal(end(&e), 0);
		} else if (how == TERMINAL_GOES) {
			close(p.slave);
			close(p.master);
			p.master = p.slave = -1;
			expect(&e, CUSTOS_COURIER_KEY_REFUSED);
			assert_non_null(strstr(e.why, "terminal has gone"));
			assert_int_equal(end(&e), 0);
		} else {
			assert_int_equal(kill(e.helper.pid, SIGALRM), 0);
			assert_int_equal(end(&e), CUSTOS_E_INTERNAL);
		}
		if (how != TERMINAL_GOES) {
			assert_true(is_as_before(&p));
			person_sees(&p, "\033[2J\033[?1049l");
		}
		person_leaves(&p);
	}
}

/* ---- combine ---- */

static void send_combine_plan(struct errand *e, unsigned threshold, uint32_t set, int terminal)
{
	struct custos_buf body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_text(&w, "custody.example/lab");
	custos_wire_put_u8(&w, (uint8_t)threshold);
	custos_wire_put_u32(&w, set);
	send_body(e, CUSTOS_COURIER_COMBINE_PLAN, &body, terminal);
}

static void expect_ready(struct errand *e, unsigned threshold, const char *numbers)
{
	CUSTOS_AUTO_FRAME frame = { .fd = -1 };
	uint8_t type = hear(e, &frame);
	if (type != CUSTOS_COURIER_SHARES_READY)
		fail_msg("message %u: %s", type, e->why);
	struct custos_wire r = custos_wire_read(custos_buf_view(&frame.body));
	assert_int_equal(custos_wire_u32(&r), SET);
	assert_int_equal(custos_wire_u8(&r), threshold);
	struct custos_bytes got = custos_wire_bytes(&r);
	assert_int_equal(got.len, strlen(numbers));
	for (size_t i = 0; i < got.len; i++)
		assert_int_equal(got.ptr[i], numbers[i] - '0');
	assert_int_equal(custos_wire_end(&r, "SHARES_READY", NULL), CUSTOS_OK);
}

static void typed_at_the_terminal(void **state)
{
	(void)state;
	for (int known = 0; known < 2; known++) {
		struct errand e;
		struct person p;
		uint8_t kek[CUSTOS_SHARE_VALUE] = { 42 }, other_kek[CUSTOS_SHARE_VALUE] = { 43 };
		char texts[5][CUSTOS_SHARE_TEXT + 1], others[3][CUSTOS_SHARE_TEXT + 1], sloppy[CUSTOS_SHARE_TEXT + 1], wrong[CUSTOS_SHARE_TEXT + 1];
		make_texts(kek, SET, 3, 5, texts);
		make_texts(other_kek, SET + 1, 3, 3, others);
		for (size_t i = 0; i <= CUSTOS_SHARE_TEXT; i++)
			sloppy[i] = texts[1][i] == ' ' || texts[1][i] == '\n' ? '-' : (char)(texts[1][i] >= 'A' ? texts[1][i] | 0x20 : texts[1][i]);
		sloppy[CUSTOS_SHARE_TEXT - 1] = '\n';
		memcpy(wrong, texts[3], sizeof wrong);
		wrong[20] = wrong[20] == 'A' ? 'B' : 'A';
		person_sits_down(&p);
		begin(&e, CUSTOS_JOB_COMBINE);
		send_combine_plan(&e, known ? 3 : 0, known ? SET : 0, p.slave);
		send_empty(&e, CUSTOS_COURIER_COLLECT);
		person_sees(&p, "custody.example/lab");
		person_sees(&p, known ? "share 1 of 3 that are needed (set 40ffee42): " : "first share: ");
		assert_false(echoes(&p));
		if (known) {
			/* the set is known: a share of another one is not even the first */
			person_types(&p, others[0]);
			person_sees(&p, "share 1 is of the set 40ffee43 (3 needed), wanted is the set 40ffee42 (3 needed)");
			person_sees(&p, "share 1 of 3");
		}
		person_types(&p, texts[4]);
		person_sees(&p, "share 5 is taken");
		person_sees(&p, "share 2 of 3 that are needed (set 40ffee42): ");
		person_types(&p, texts[4]);
		person_sees(&p, "share 5 is here already");
		person_types(&p, others[1]);
		person_sees(&p, "share 2 is of the set 40ffee43");
		person_types(&p, sloppy);
		person_sees(&p, "share 2 is taken");
		person_types(&p, wrong);
		person_sees(&p, "that is no share: its checksum does not fit");
		person_types(&p, "0189\n\n");
		person_sees(&p, "that is no share: there is a character in it that no share has");
		person_types(&p, "AAAA AAAA\n\n");
		person_sees(&p, "that is no share: a share has 69 letters and digits, this one has 8");
		/* corrected while it is typed: a wrong letter, then the whole line, then enough */
		person_types(&p, "ABX\177\177\177\177");
		person_types(&p, wrong[0] == 'A' ? "QQQQQQ\025" : "\025");
		person_types(&p, texts[3]);
		person_sees(&p, "share 4 is taken");
		expect_ready(&e, 3, "245");
		assert_true(is_as_before(&p));
		send_seal_key(&e);
		take_sealed(&e, kek);
		expect(&e, CUSTOS_COURIER_BYE);
		assert_int_equal(end(&e), 0);
		while (person_reads(&p, 0))
			;
		/* nothing of what was typed was ever shown */
		for (size_t i = 0; i < 5; i++)
			assert_false(was_shown(&p, piece_of(texts[i])));
		assert_false(was_shown(&p, piece_of(sloppy)));
		person_leaves(&p);
	}
}

static void a_combining_that_is_ended(void **state)
{
	(void)state;
	static const char *const keys[] = { "\003", "\004", "ABCD EFGH\003" };
	uint8_t kek[CUSTOS_SHARE_VALUE] = { 7 };
	char texts[2][CUSTOS_SHARE_TEXT + 1];
	make_texts(kek, SET, 2, 2, texts);
	for (size_t i = 0; i < 6; i++) {
		struct errand e;
		struct person p;
		person_sits_down(&p);
		begin(&e, CUSTOS_JOB_COMBINE);
		send_combine_plan(&e, 2, SET, p.slave);
		send_empty(&e, CUSTOS_COURIER_COLLECT);
		person_sees(&p, "share 1 of 2");
		if (i >= 3) {
			person_types(&p, texts[0]);
			person_sees(&p, "share 2 of 2");
		}
		person_types(&p, keys[i % 3]);
		expect(&e, CUSTOS_COURIER_KEY_REFUSED);
		assert_int_equal(e.category, CUSTOS_E_POLICY);
		assert_string_equal(e.why, "it was ended at the terminal");
		assert_int_equal(end(&e), 0);
		assert_true(is_as_before(&p));
		person_leaves(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_share_at_a_time_on_the_screen),
		cmocka_unit_test(custodians_and_the_screen),
		cmocka_unit_test(what_is_no_kek_is_not_split),
		cmocka_unit_test(a_split_that_is_ended),
		cmocka_unit_test(ended_from_outside),
		cmocka_unit_test(typed_at_the_terminal),
		cmocka_unit_test(a_combining_that_is_ended),
	};
	return cmocka_run_group_tests(tests, lock_memory, NULL);
}
