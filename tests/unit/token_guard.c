/* custos-token's own judgement of checkpoints and releases, as a pure core. */
#include "token_lab.h"
#include "token/release_guard.h"

/* Only the tree and the error of the lab are used here; there is no token. */
struct stage {
	struct lab lab;
	struct custos_guard *guard;
	struct custos_token_key key, other;
	struct lab_intent intent;
	struct custos_guard_claim claim;
};

static struct custos_guard_claim claim_of(const struct stage *s)
{
	return (struct custos_guard_claim){
		.container = custos_buf_view(&s->key.container), .leaf = custos_buf_view(&s->intent.leaf), .checkpoint_body = custos_buf_view(&s->intent.body),
		.hosts_line = custos_buf_view(&s->intent.hosts), .courier_point = s->intent.point, .proof = (const uint8_t (*)[CUSTOS_HASH_SIZE])s->intent.proof,
		.proof_count = s->intent.proof_count,
	};
}

/* A log of `before` entries, then the intent; the checkpoint over it was "signed". */
static void set_up(struct stage *s, size_t before, const char *event)
{
	memset(s, 0, sizeof *s);
	LAB_OK(&s->lab, custos_guard_new(&s->guard, &s->lab.err));
	LAB_OK(&s->lab, custos_buf_append_str(&s->key.container, "container of one key....", &s->lab.err));
	LAB_OK(&s->lab, custos_buf_append_str(&s->other.container, "container of another key", &s->lab.err));
	for (size_t i = 0; i < before; i++)
		lab_append(&s->lab, CUSTOS_BYTES(&i, sizeof i));
	lab_log_intent(&s->lab, &s->key, event, "esx1.example", &s->intent);
	LAB_OK(&s->lab, custos_guard_remember(s->guard, custos_buf_view(&s->intent.body), &s->lab.err));
	s->claim = claim_of(s);
}

static void tear_down(struct stage *s)
{
	custos_guard_free(s->guard);
	custos_token_key_done(&s->key);
	custos_token_key_done(&s->other);
	lab_intent_done(&s->intent);
}

static void refused(struct stage *s, const char *text)
{
	LAB_FAILS(&s->lab, custos_guard_admit(s->guard, &s->claim, &s->lab.err), CUSTOS_E_POLICY, text);
	/* and the refusal did not use the leaf up */
	s->claim = claim_of(s);
}

/* Goal: the truth is admitted, once, at every shape of the tree. */
static void truth_is_admitted_once(void **state)
{
	(void)state;
	for (size_t before = 0; before < 9; before++) {
		struct stage s;
		set_up(&s, before, "release.intent");
		LAB_OK(&s.lab, custos_guard_admit(s.guard, &s.claim, &s.lab.err));
		refused(&s, "has been used");
		/* signing the same checkpoint again does not renew it */
		LAB_OK(&s.lab, custos_guard_remember(s.guard, custos_buf_view(&s.intent.body), &s.lab.err));
		refused(&s, "has been used");
		tear_down(&s);
	}
}

/* Goal: each part of the claim is compared, and one lie is enough. */
static void every_lie_is_refused(void **state)
{
	(void)state;
	struct stage s;
	uint8_t point[CUSTOS_POINT_SIZE];
	CUSTOS_AUTO_BUF changed = { 0 };
	set_up(&s, 5, "release.intent");
	s.claim.container = custos_buf_view(&s.other.container);
	refused(&s, "another key");
	memcpy(point, s.intent.point, sizeof point);
	point[64] ^= 1;
	s.claim.courier_point = point;
	refused(&s, "another courier");
	/* another transport than the log's, and a key that nothing was logged of */
	s.claim.transport = CUSTOS_TRANSPORT_ECDH_P256_KDF;
	refused(&s, "this token's is ecdh-p256-kdf");
	s.claim.courier_key = CUSTOS_BYTES_STR("a key");
	refused(&s, "do not fit");
	s.claim.hosts_line = CUSTOS_BYTES_STR("[{\"address\":\"192.0.2.66:22\",\"target\":\"esx1.example\"}]");
	refused(&s, "other hosts");
	s.claim.hosts_line = CUSTOS_BYTES_STR("[]");
	refused(&s, "other hosts");
	/* a leaf that says what the caller wants, but is not in the tree */
	LAB_OK(&s.lab, custos_buf_append(&changed, s.intent.leaf.ptr, s.intent.leaf.len, &s.lab.err));
	changed.ptr[changed.len - 3] ^= 1;
	s.claim.leaf = custos_buf_view(&changed);
	refused(&s, "not the last entry");
	s.claim.proof_count -= 1;
	refused(&s, "not the last entry");
	s.intent.proof[0][0] ^= 1;
	refused(&s, "not the last entry");
	s.intent.proof[0][0] ^= 1;
	/* an empty leaf, an empty body */
	s.claim.leaf = CUSTOS_BYTES(NULL, 0);
	refused(&s, "not the last entry");
	s.claim.checkpoint_body = CUSTOS_BYTES(NULL, 0);
	refused(&s, "not the one signed last");
	/* none of it used the leaf up */
	LAB_OK(&s.lab, custos_guard_admit(s.guard, &s.claim, &s.lab.err));
	tear_down(&s);
}

/* Goal: only the newest entry of the newest tree counts: an intent that something was logged after is no longer good. */
static void older_intent_is_refused(void **state)
{
	(void)state;
	struct stage s;
	CUSTOS_AUTO_BUF newer = { 0 };
	set_up(&s, 3, "release.intent");
	lab_append(&s.lab, CUSTOS_BYTES_STR("{}"));
	lab_body(&s.lab, s.lab.count, &newer);
	LAB_OK(&s.lab, custos_guard_check_body(s.guard, custos_buf_view(&newer), &s.lab.err));
	LAB_OK(&s.lab, custos_guard_remember(s.guard, custos_buf_view(&newer), &s.lab.err));
	refused(&s, "not the one signed last");
	lab_prove(&s.lab, s.lab.count - 2, &s.intent);
	s.claim = claim_of(&s);
	s.claim.checkpoint_body = custos_buf_view(&newer);
	refused(&s, "not the last entry");
	tear_down(&s);
}

/* Goal: another event, another index, another form of the same JSON are no intent; and nothing is before the first checkpoint. */
static void other_entries_are_refused(void **state)
{
	(void)state;
	struct stage s;
	set_up(&s, 2, "release.done");
	refused(&s, "not a release.intent");
	tear_down(&s);

	static const char *const leaves[] = { "[]", "null", "{\"event\":\"release.intent\"}", "{ \"event\":\"release.intent\",\"index\":2}", "not json", "{\"event\":\"release.intent\",\"index\":7}" };
	for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
		set_up(&s, 1, "release.intent");
		CUSTOS_AUTO_BUF body = { 0 };
		lab_append(&s.lab, CUSTOS_BYTES_STR(leaves[i]));
		lab_prove(&s.lab, s.lab.count - 1, &s.intent);
		lab_body(&s.lab, s.lab.count, &body);
		LAB_OK(&s.lab, custos_guard_remember(s.guard, custos_buf_view(&body), &s.lab.err));
		s.claim = claim_of(&s);
		s.claim.leaf = CUSTOS_BYTES_STR(leaves[i]);
		s.claim.checkpoint_body = custos_buf_view(&body);
		assert_int_not_equal(custos_guard_admit(s.guard, &s.claim, &s.lab.err), CUSTOS_OK);
		tear_down(&s);
	}

	set_up(&s, 2, "release.intent");
	custos_guard_free(s.guard);
	LAB_OK(&s.lab, custos_guard_new(&s.guard, &s.lab.err));
	refused(&s, "no checkpoint was signed");
	tear_down(&s);
}

/* The true leaf with one passage exchanged, logged and signed like a true one; the claim agrees with it. */
static void exchange(struct stage *s, const char *passage, const char *other, const char *hosts, struct custos_buf *leaf)
{
	char *at = strstr((char *)s->intent.leaf.ptr, passage);
	assert_non_null(at);
	custos_buf_done(leaf);
	LAB_OK(&s->lab, custos_buf_printf(leaf, &s->lab.err, "%.*s%s%s", (int)(at - (char *)s->intent.leaf.ptr), (char *)s->intent.leaf.ptr, other, at + strlen(passage)));
	s->lab.count--;
	lab_append(&s->lab, custos_buf_view(leaf));
	lab_prove(&s->lab, s->lab.count - 1, &s->intent);
	custos_buf_done(&s->intent.body);
	lab_body(&s->lab, s->lab.count, &s->intent.body);
	LAB_OK(&s->lab, custos_guard_remember(s->guard, custos_buf_view(&s->intent.body), &s->lab.err));
	s->claim = claim_of(s);
	s->claim.leaf = custos_buf_view(leaf);
	if (hosts != NULL)
		s->claim.hosts_line = CUSTOS_BYTES_STR(hosts);
}

/* Goal: an intent that is right in everything but its form, its index or its hosts is refused; unchanged it is admitted. */
static void almost_an_intent_is_refused(void **state)
{
	(void)state;
	CUSTOS_AUTO_BUF leaf = { 0 };
	struct stage s;
	set_up(&s, 2, "release.intent");
	exchange(&s, "{", "{ ", NULL, &leaf);
	refused(&s, "canonical");
	exchange(&s, "\"index\":2", "\"index\":1", NULL, &leaf);
	refused(&s, "wrong index");
	exchange(&s, "\"index\":2,", "", NULL, &leaf);
	refused(&s, "wrong index");
	exchange(&s, (const char *)s.intent.hosts.ptr, "[]", "[]", &leaf);
	refused(&s, "names no hosts");
	exchange(&s, (const char *)s.intent.hosts.ptr, "{}", "{}", &leaf);
	refused(&s, "names no hosts");
	exchange(&s, ",\"hosts\":", ",\"hosts2\":", NULL, &leaf);
	refused(&s, "names no hosts");
	exchange(&s, "{", "{", NULL, &leaf);
	LAB_OK(&s.lab, custos_guard_admit(s.guard, &s.claim, &s.lab.err));
	tear_down(&s);
}

#define ROOT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define OTHER "LrTH5hpXsH6xcpHRhJ7dtjdKHuYXBdXlzhMXlqjgRR0="

/* Goal: the log's key signs checkpoints and nothing that merely resembles one. */
static void only_checkpoints_are_signed(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "\n", "log.example/a\n1\n" ROOT, "log.example/a\n1\n" ROOT "\nmore\n", "log.example/a\n1\n" ROOT "\n\n", "\n1\n" ROOT "\n", "log.example/a\n01\n" ROOT "\n",
		"log.example/a\n+1\n" ROOT "\n", "log.example/a\n0\n" ROOT "\n", "log.example/a\n-1\n" ROOT "\n", "log.example/a\n99999999999999999999\n" ROOT "\n",
		"log.example/a\n1 \n" ROOT "\n", "log.example/a\n1\n47DEQpj8HBSa\n", "log.example/a\n1\n" ROOT " \n", "log.example/a\r\n1\n" ROOT "\n",
		"log.example/a\n1\n47DEQpj8HBSa-_TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", "custos challenge v1\n",
	};
	struct custos_guard *guard = NULL;
	struct lab lab = { .count = 0 };
	LAB_OK(&lab, custos_guard_new(&guard, &lab.err));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		LAB_FAILS(&lab, custos_guard_check_body(guard, CUSTOS_BYTES_STR(bad[i]), &lab.err), CUSTOS_E_POLICY, "");
	}
	static const char with_zero[] = "log\0example\n1\n" ROOT "\n";
	LAB_FAILS(&lab, custos_guard_check_body(guard, CUSTOS_BYTES(with_zero, sizeof with_zero - 1), &lab.err), CUSTOS_E_POLICY, "none");
	/* what looks like one is not signed by any key but the log's, whoever reads how generously */
	static const char *const alike[] = { "log.example/a\n1\n" ROOT "\n", "log.example/a\n1\n" ROOT "\nmore\n", "log.example/a\n+01 \n" ROOT "\n", "log.example/a\n1\nnot base64\n" };
	static const char *const unlike[] = { "", "\n", "custos challenge v1\n", "a\nb\nc\n", "log.example/a\n1\n" ROOT, "\n1\n" ROOT "\n" };
	for (size_t i = 0; i < sizeof alike / sizeof *alike; i++)
		assert_true(custos_guard_is_checkpoint(CUSTOS_BYTES_STR(alike[i])));
	for (size_t i = 0; i < sizeof unlike / sizeof *unlike; i++)
		assert_false(custos_guard_is_checkpoint(CUSTOS_BYTES_STR(unlike[i])));
	custos_guard_free(guard);
}

/* Goal: within a process the log only grows: no smaller size, no second root, no other log. */
static void log_only_grows(void **state)
{
	(void)state;
	struct custos_guard *guard = NULL;
	struct lab lab = { .count = 0 };
	LAB_OK(&lab, custos_guard_new(&guard, &lab.err));
	LAB_OK(&lab, custos_guard_remember(guard, CUSTOS_BYTES_STR("log.example/a\n7\n" ROOT "\n"), &lab.err));
	LAB_OK(&lab, custos_guard_check_body(guard, CUSTOS_BYTES_STR("log.example/a\n7\n" ROOT "\n"), &lab.err));
	LAB_OK(&lab, custos_guard_check_body(guard, CUSTOS_BYTES_STR("log.example/a\n8\n" OTHER "\n"), &lab.err));
	LAB_FAILS(&lab, custos_guard_check_body(guard, CUSTOS_BYTES_STR("log.example/a\n6\n" ROOT "\n"), &lab.err), CUSTOS_E_POLICY, "goes back from 7 entries to 6");
	LAB_FAILS(&lab, custos_guard_check_body(guard, CUSTOS_BYTES_STR("log.example/a\n7\n" OTHER "\n"), &lab.err), CUSTOS_E_POLICY, "second history");
	LAB_FAILS(&lab, custos_guard_check_body(guard, CUSTOS_BYTES_STR("log.example/b\n8\n" ROOT "\n"), &lab.err), CUSTOS_E_POLICY, "another log");
	custos_guard_free(guard);
}

static int start(void **state)
{
	(void)state;
	struct custos_err err = { 0 };
	return custos_secret_start(&err) == CUSTOS_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truth_is_admitted_once), cmocka_unit_test(every_lie_is_refused),        cmocka_unit_test(older_intent_is_refused),
		cmocka_unit_test(other_entries_are_refused), cmocka_unit_test(almost_an_intent_is_refused), cmocka_unit_test(only_checkpoints_are_signed), cmocka_unit_test(log_only_grows),
	};
	return cmocka_run_group_tests(tests, start, NULL);
}
