/* A courier that lies: what the keeper believes of it. */
#include "deploy_lies.h"

#include "deploy/record.h"

static int up(void **state)
{
	*state = play_new(1);
	return 0;
}

static int down(void **state)
{
	play_free(*state);
	return 0;
}

static void honest(void **state)
{
	struct play *p = *state;
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, COPY("web")), CUSTOS_OK);
	p->errand.went = true;
	assert_int_equal(served(p, 0, "old leaf"), CUSTOS_VERDICT_OTHER);
	assert_int_equal(served(p, 0, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_DEPLOYED, COPY("web")), CUSTOS_OK);
	assert_int_equal(p->errand.hosts[0].outcome, CUSTOS_OUTCOME_DEPLOYED);
	/* and only once */
	assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_ROLLED_BACK, ""), CUSTOS_E_INTERNAL);
}

static void success_that_nobody_saw(void **state)
{
	struct play *p = *state;
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	p->errand.went = true;
	assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_DEPLOYED, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(served(p, 0, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(served(p, 0, NULL), CUSTOS_VERDICT_NONE);
	assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_DEPLOYED, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_UNCHANGED, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(p->errand.hosts[0].outcome, 0);
}

static void deed_without_go_ahead(void **state)
{
	struct play *p = *state;
	static const uint8_t deeds[] = { CUSTOS_OUTCOME_DEPLOYED, CUSTOS_OUTCOME_ROLLED_BACK, CUSTOS_OUTCOME_NOT_ROLLED_BACK };
	assert_int_equal(served(p, 0, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	for (size_t i = 0; i < sizeof deeds; i++)
		assert_int_equal(outcome(p, 0, deeds[i], ""), CUSTOS_E_INTERNAL);
	/* a host that failed to prepare is in no intent: what was done there was done without a permit */
	p->errand.went = true;
	p->errand.hosts[0].prepared = CUSTOS_PREPARED_FAILED;
	for (size_t i = 0; i < sizeof deeds; i++)
		assert_int_equal(outcome(p, 0, deeds[i], ""), CUSTOS_E_INTERNAL);
	assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_UNTOUCHED, ""), CUSTOS_OK);
}

static void unchanged_that_nobody_saw(void **state)
{
	struct play *p = *state;
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_UNCHANGED, 0, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(served(p, 0, "old leaf"), CUSTOS_VERDICT_OTHER);
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_UNCHANGED, 0, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(served(p, 0, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_UNCHANGED, 0, ""), CUSTOS_OK);
}

/* The path goes into the log, and a later deployment removes it or puts it back as root. */
static void copy_in_a_strange_place(void **state)
{
	struct play *p = *state;
	static const char *const strange[] = {
		"/etc", "/var/tmp/.custos-web-" NONCE, "/vmfs/volumes/datastore1/.custos-web-fedcba9876543210", "/vmfs/volumes/datastore1/.custos-db-" NONCE,
		"/vmfs/volumes/datastore1/deep/.custos-web-" NONCE, "/vmfs/volumes/datastore1/../../tmp/.custos-web-" NONCE, "what the host wanted to say", ".custos-web-" NONCE,
	};
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
		assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, strange[i]), CUSTOS_E_INTERNAL);
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	p->errand.went = true;
	assert_int_equal(served(p, 0, "new leaf"), CUSTOS_VERDICT_NEW);
	for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
		assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_DEPLOYED, strange[i]), CUSTOS_E_INTERNAL);
	assert_int_equal(p->errand.hosts[0].outcome, 0);
}

static void category_that_is_none(void **state)
{
	struct play *p = *state;
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_FAILED, 255, ""), CUSTOS_OK);
	assert_int_equal(p->errand.hosts[0].category, CUSTOS_E_INTERNAL);
}

/* A message that is refused leaves no trace: neither cut, nor with something behind, nor said a second time. */
static void what_is_refused_is_forgotten(void **state)
{
	struct play *p = *state;
	static const uint8_t none[CUSTOS_HASH_SIZE];
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, COPY("web")), CUSTOS_OK);
	p->errand.went = true;
	CUSTOS_AUTO_BUF body = { 0 };
	CUSTOS_AUTO_BUF after = { 0 };
	struct custos_wire_out w = { .buf = &body }, o = { .buf = &after };
	custos_wire_put_u32(&w, 0);
	custos_wire_put_u8(&w, CUSTOS_PREPARED_FAILED);
	custos_wire_put_u8(&w, CUSTOS_E_AUTH);
	for (int i = 0; i < 4; i++)
		custos_wire_put_text(&w, "lie");
	custos_wire_put_fixed(&w, none, sizeof none);
	custos_wire_put_u32(&o, 0);
	custos_wire_put_u8(&o, CUSTOS_OUTCOME_NOT_ROLLED_BACK);
	custos_wire_put_u8(&o, CUSTOS_E_NOT_ROLLED_BACK);
	custos_wire_put_text(&o, "lie");
	custos_wire_put_text(&o, "lie");
	custos_wire_put_u32(&o, 12345);
	custos_wire_put_text(&o, "/lie");
	for (size_t len = 0; len <= body.len; len++) {
		struct custos_buf cut = { .ptr = body.ptr, .len = len };
		struct custos_wire_out c = { .buf = &cut };
		assert_int_equal(serve(p, CUSTOS_COURIER_PREPARED, &c), CUSTOS_E_INTERNAL);
	}
	for (size_t len = 0; len <= after.len; len++) {
		struct custos_buf cut = { .ptr = after.ptr, .len = len };
		struct custos_wire_out c = { .buf = &cut };
		assert_int_equal(serve(p, CUSTOS_COURIER_OUTCOME, &c), CUSTOS_E_INTERNAL);
	}
	const struct custos_errand_host *h = &p->errand.hosts[0];
	assert_int_equal(h->prepared, CUSTOS_PREPARED_READY);
	assert_int_equal(h->outcome, 0);
	assert_int_equal(h->exposure_ms, 0);
	assert_int_equal(h->category, CUSTOS_OK);
	assert_string_equal(h->why, "");
	assert_string_equal(h->hint, "");
	assert_string_equal(h->version, "");
	assert_string_equal(h->backup, COPY("web"));
	assert_false(h->has_previous);
}

static custos_rc tell_facts(struct play *p, uint32_t host, uint32_t count, const char *value)
{
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	custos_wire_put_u32(&w, host);
	custos_wire_put_u32(&w, count);
	for (uint32_t i = 0; i < count; i++) {
		custos_wire_put_text(&w, "version");
		custos_wire_put_text(&w, value);
	}
	return serve(p, CUSTOS_COURIER_FACTS, &w);
}

/* Facts belong to a probe, once, of a host that is there and not yet prepared; no more of them than there are places. */
static void facts_nobody_asked_for(void **state)
{
	struct play *p = *state;
	const struct custos_errand_host *h = &p->errand.hosts[0];
	assert_int_equal(tell_facts(p, 0, 1, "lie"), CUSTOS_E_INTERNAL);
	assert_int_equal(h->facts.count, 0);
	p->errand.job = CUSTOS_JOB_PROBE;
	assert_int_equal(tell_facts(p, 7, 1, "lie"), CUSTOS_E_INTERNAL);
	assert_int_equal(tell_facts(p, 0, CUSTOS_REPLY_FACTS_MAX + 1, "lie"), CUSTOS_E_INTERNAL);
	assert_int_equal(h->facts.count, 0);
	assert_int_equal(tell_facts(p, 0, CUSTOS_REPLY_FACTS_MAX, "true"), CUSTOS_OK);
	assert_int_equal(h->facts.count, CUSTOS_REPLY_FACTS_MAX);
	assert_int_equal(tell_facts(p, 0, 1, "lie"), CUSTOS_E_INTERNAL);
	assert_string_equal(custos_reply_get(&h->facts, "version"), "true");
	struct play *late = play_new(1);
	late->errand.job = CUSTOS_JOB_PROBE;
	assert_int_equal(prepared(late, 0, CUSTOS_PREPARED_FAILED, CUSTOS_E_SYSTEM, ""), CUSTOS_OK);
	assert_int_equal(tell_facts(late, 0, 1, "late"), CUSTOS_E_INTERNAL);
	assert_int_equal(late->errand.hosts[0].facts.count, 0);
	play_free(late);
}

/* What is served is told before the outcome: afterwards it would change what the log says of a release that is closed. */
static void sights_after_the_outcome(void **state)
{
	struct play *p = *state;
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	p->errand.went = true;
	assert_int_equal(served(p, 0, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_DEPLOYED, ""), CUSTOS_OK);
	CUSTOS_AUTO_BUF body = { 0 };
	struct custos_wire_out w = { .buf = &body };
	for (int i = 0; i < 4; i++)
		i == 1 ? custos_wire_put_u8(&w, 2) : custos_wire_put_u32(&w, 0);
	custos_wire_put_u32(&w, 0);
	assert_int_equal(serve(p, CUSTOS_COURIER_SERVED, &w), CUSTOS_E_INTERNAL);
	assert_true(p->errand.hosts[0].serves);
	assert_memory_equal(p->errand.hosts[0].served_leaf, p->errand.wanted_leaf, CUSTOS_HASH_SIZE);
}

/* The new leaf was seen before there was a key to go with it: that proves nothing of the deployment. */
static void success_seen_too_early(void **state)
{
	struct play *p = *state;
	struct custos_release_parcel parcel = { 0 };
	assert_int_equal(served(p, 0, "new leaf"), CUSTOS_VERDICT_NEW);
	assert_int_equal(prepared(p, 0, CUSTOS_PREPARED_READY, 0, ""), CUSTOS_OK);
	/* the courier says goodbye at once */
	p->courier.state = 4;
	assert_int_equal(custos_channel_send(&p->courier, CUSTOS_COURIER_BYE, CUSTOS_BYTES("\0\0\0", 4), -1, &p->err), CUSTOS_OK);
	assert_int_equal(custos_errand_deliver(&p->errand, &parcel, &p->err), CUSTOS_OK);
	assert_int_equal(outcome(p, 0, CUSTOS_OUTCOME_DEPLOYED, ""), CUSTOS_E_INTERNAL);
	assert_int_equal(p->errand.hosts[0].outcome, 0);
}

static void a_goodbye_is_four_bytes(void **state)
{
	struct play *p = *state;
	for (size_t len = 0; len < 9; len++) {
		bool bye = false;
		uint8_t zeros[9] = { 0 };
		struct custos_frame frame = { .type = CUSTOS_COURIER_BYE, .fd = -1, .body = { .ptr = zeros, .len = len } };
		p->err = (struct custos_err){ 0 };
		assert_int_equal(custos_errand_serve(&p->errand, &frame, &bye, &p->err), len == 4 ? CUSTOS_OK : CUSTOS_E_INTERNAL);
		assert_int_equal(bye, len == 4);
	}
}

/* ---- the worst outcome decides ---- */

static void a_host_that_needs_a_person_is_told_first(void **state)
{
	struct play *p = *state;
	struct custos_tally tally = { 0 };
	struct custos_err full = { .rc = CUSTOS_E_STORE, .msg = "the disk is full" }, nothing = { 0 };
	assert_int_equal(custos_tally_start(&tally, &p->err), CUSTOS_OK);
	assert_int_equal(custos_tally_conclude(&tally, &nothing, &p->err), CUSTOS_OK);
	assert_int_equal(custos_tally_conclude(&tally, &full, &p->err), CUSTOS_E_STORE);
	p->err = (struct custos_err){ 0 };
	p->errand.hosts[0].prepared = CUSTOS_PREPARED_READY;
	p->errand.hosts[0].outcome = CUSTOS_OUTCOME_NOT_ROLLED_BACK;
	custos_tally_host(&tally, &p->errand.hosts[0], -1);
	assert_int_equal(custos_tally_conclude(&tally, &full, &p->err), CUSTOS_E_NOT_ROLLED_BACK);
	assert_non_null(strstr(p->err.msg, "web"));
	custos_tally_done(&tally);
}

int main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, up, down)
	const struct CMUnitTest tests[] = {
		WITH(honest), WITH(success_that_nobody_saw), WITH(deed_without_go_ahead), WITH(unchanged_that_nobody_saw), WITH(copy_in_a_strange_place), WITH(category_that_is_none),
		WITH(what_is_refused_is_forgotten), WITH(facts_nobody_asked_for), WITH(sights_after_the_outcome), WITH(success_seen_too_early), WITH(a_goodbye_is_four_bytes),
		WITH(a_host_that_needs_a_person_is_told_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
