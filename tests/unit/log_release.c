/* The permit: it exists only when the intent is durable, signed and verified, and says what the entry says. And the rules about
 * intents and outcomes. */
#include "log/audit.h"
#include "log/log.h"
#include "log/note.h"

#include "base/text.h"
#include "crypto/digest.h"
#include "soft_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char origin[] = "log.example.com/custody";
static const char *const two_hosts[] = { "esx1", "esx2", NULL };

struct fixture {
	struct soft_storage *storage;
	struct soft_signer signer;
	struct custos_log *log;
	char *vkey;
	struct custos_release_terms terms;
	struct custos_json *fields;
	struct custos_err err;
};

static void hash_hosts(const struct custos_json *hosts, uint8_t *ret_hash)
{
	CUSTOS_AUTO_BUF line = { 0 };
	assert_int_equal(custos_json_line(hosts, &line, NULL), CUSTOS_OK);
	assert_int_equal(custos_sha256(custos_buf_view(&line), ret_hash, NULL), CUSTOS_OK);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->storage = soft_storage_new();
	soft_signer_init(&f->signer, CUSTOS_SIGNATURE_ED25519);
	f->vkey = soft_vkey(&f->signer, origin);
	struct custos_log_storage interface = soft_interface(f->storage);
	assert_int_equal(custos_log_open(&interface, origin, NULL, NULL, NULL, &f->log, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_append(f->log, "custody.genesis", NULL, NULL, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_set_vkey(f->log, f->vkey, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_commit(f->log, &f->signer.signer, &f->err), CUSTOS_OK);
	memset(f->terms.container_sha256, 0xc0, sizeof f->terms.container_sha256);
	memset(f->terms.courier_point, 0x04, sizeof f->terms.courier_point);
	struct custos_json *hosts = soft_hosts(two_hosts);
	hash_hosts(hosts, f->terms.hosts_sha256);
	f->fields = custos_json_object();
	custos_json_set(f->fields, "hosts", hosts);
	custos_json_set_hex(f->fields, "container_sha256", f->terms.container_sha256, CUSTOS_HASH_SIZE);
	custos_json_set_hex(f->fields, "courier_point", f->terms.courier_point, CUSTOS_POINT_SIZE);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	custos_json_free(f->fields);
	custos_log_free(f->log);
	soft_storage_free(f->storage);
	soft_signer_done(&f->signer);
	free(f->vkey);
	free(f);
	return 0;
}

static custos_rc release(struct fixture *f, struct custos_log_intent *intent)
{
	f->err = (struct custos_err){ 0 };
	*intent = (struct custos_log_intent){ 0 };
	return custos_log_commit_release(f->log, &f->signer.signer, f->fields, &f->terms, intent, &f->err);
}

static void permitted_once(void **state)
{
	struct fixture *f = *state;
	struct custos_log_intent intent;
	if (release(f, &intent) != CUSTOS_OK)
		fail_msg("%s", f->err.msg);
	assert_int_equal(intent.index, 1);
	assert_int_equal(f->storage->durable, 2);
	assert_true(custos_bytes_equal(custos_buf_view(&intent.leaf), custos_buf_view(&f->storage->entry[1])));

	/* The proof leads from the leaf to the root in the body, and the body is what the newest note has. */
	struct custos_note_key key = { 0 };
	struct custos_checkpoint checkpoint;
	assert_int_equal(custos_note_key_parse(f->vkey, &key, &f->err), CUSTOS_OK);
	assert_int_equal(custos_checkpoint_open(custos_log_checkpoint(f->log), &key, "note", &checkpoint, &f->err), CUSTOS_OK);
	custos_note_key_done(&key);
	assert_true(custos_bytes_equal(checkpoint.body, custos_buf_view(&intent.body)));
	CUSTOS_AUTO(custos_merkle) *m = NULL;
	custos_hash leaf;
	assert_int_equal(custos_merkle_new(&m, &f->err), CUSTOS_OK);
	assert_int_equal(custos_merkle_leaf(m, custos_buf_view(&intent.leaf), leaf, &f->err), CUSTOS_OK);
	assert_int_equal(custos_merkle_check(m, leaf, intent.index, checkpoint.size, (const custos_hash *)intent.proof, intent.proof_count,
	                                     checkpoint.root, &f->err),
	                 CUSTOS_OK);

	assert_int_equal(custos_permit_consume(intent.permit, &f->terms, &f->err), CUSTOS_OK);
	assert_int_equal(custos_permit_consume(intent.permit, &f->terms, &f->err), CUSTOS_E_POLICY);
	custos_log_intent_done(&intent);
	/* a second release is a second intent */
	assert_int_equal(release(f, &intent), CUSTOS_OK);
	assert_int_equal(intent.index, 2);
	custos_log_intent_done(&intent);
}

/* Goal: an opening is permitted for no host and a release for some, and neither entry is logged as the other. */
static void an_opening_is_for_no_host(void **state)
{
	struct fixture *f = *state;
	struct custos_log_intent intent = { 0 };
	f->terms.kind = CUSTOS_INTENT_OPENING;
	assert_int_equal(release(f, &intent), CUSTOS_E_POLICY);
	assert_null(intent.permit);
	assert_int_equal(custos_log_size(f->log), 1);
	custos_json_set(f->fields, "hosts", custos_json_array());
	hash_hosts(custos_json_get(f->fields, "hosts"), f->terms.hosts_sha256);
	f->terms.kind = CUSTOS_INTENT_RELEASE;
	assert_int_equal(release(f, &intent), CUSTOS_E_POLICY);
	assert_null(intent.permit);
	f->err = (struct custos_err){ 0 };
	f->terms.kind = CUSTOS_INTENT_OPENING;
	assert_int_equal(release(f, &intent), CUSTOS_OK);
	assert_non_null(strstr((const char *)intent.leaf.ptr, "\"event\":\"key.open_intent\""));
	assert_int_equal(custos_permit_consume(intent.permit, &f->terms, &f->err), CUSTOS_OK);
	custos_log_intent_done(&intent);
	/* its permit lets nothing out to hosts, whatever else the terms say */
	assert_int_equal(release(f, &intent), CUSTOS_OK);
	f->terms.kind = CUSTOS_INTENT_RELEASE;
	assert_int_equal(custos_permit_consume(intent.permit, &f->terms, &f->err), CUSTOS_E_POLICY);
	custos_log_intent_done(&intent);
}

static void assert_refused(struct fixture *f, custos_rc expected)
{
	struct custos_log_intent intent;
	size_t durable = f->storage->durable;
	assert_int_equal(release(f, &intent), expected);
	assert_null(intent.permit);
	assert_int_equal(f->storage->durable, durable);
	assert_int_equal(f->storage->count, durable);
	assert_int_equal(custos_log_size(f->log), durable);
}

static void entry_and_terms_differ(void **state)
{
	struct fixture *f = *state;
	struct custos_release_terms good = f->terms;
	f->terms.container_sha256[31] ^= 1;
	assert_refused(f, CUSTOS_E_POLICY);
	f->terms = good;
	f->terms.courier_point[0] ^= 1;
	assert_refused(f, CUSTOS_E_POLICY);
	f->terms = good;
	f->terms.hosts_sha256[0] ^= 1;
	assert_refused(f, CUSTOS_E_POLICY);
	f->terms = good;
	/* a transport that the entry does not name, one that is none, a key that it does not name */
	f->terms.transport = CUSTOS_TRANSPORT_ECDH_P256_KDF;
	assert_refused(f, CUSTOS_E_POLICY);
	custos_json_set_text(f->fields, "transport", "ecdh-p256");
	assert_refused(f, CUSTOS_E_POLICY);
	custos_json_set_text(f->fields, "transport", "rsa-oaep");
	f->terms.transport = CUSTOS_TRANSPORT_RSA_OAEP;
	assert_refused(f, CUSTOS_E_POLICY);
	custos_json_set_hex(f->fields, "courier_key_sha256", f->terms.hosts_sha256, CUSTOS_HASH_SIZE);
	assert_refused(f, CUSTOS_E_POLICY);
	f->terms = good;
	custos_json_set_text(f->fields, "transport", "by-hand");
	assert_refused(f, CUSTOS_E_POLICY);
	custos_json_remove(f->fields, "transport");
	custos_json_remove(f->fields, "courier_key_sha256");
	/* the entry names one host more, one less, none; the point in upper case, cut, as a number */
	static const char *const three[] = { "esx1", "esx2", "esx3", NULL }, *const one[] = { "esx1", NULL };
	custos_json_set(f->fields, "hosts", soft_hosts(three));
	assert_refused(f, CUSTOS_E_POLICY);
	custos_json_set(f->fields, "hosts", soft_hosts(one));
	assert_refused(f, CUSTOS_E_POLICY);
	custos_json_set(f->fields, "hosts", custos_json_array());
	hash_hosts(custos_json_get(f->fields, "hosts"), f->terms.hosts_sha256);
	assert_refused(f, CUSTOS_E_POLICY);
	f->terms = good;
	custos_json_remove(f->fields, "hosts");
	assert_refused(f, CUSTOS_E_POLICY);
	custos_json_set(f->fields, "hosts", soft_hosts(two_hosts));
	custos_json_set_text(f->fields, "container_sha256", "C0C0");
	assert_refused(f, CUSTOS_E_POLICY);
	custos_json_set_int(f->fields, "container_sha256", 7);
	assert_refused(f, CUSTOS_E_POLICY);
	custos_json_set_hex(f->fields, "container_sha256", f->terms.container_sha256, CUSTOS_HASH_SIZE);
	struct custos_log_intent intent;
	assert_int_equal(release(f, &intent), CUSTOS_OK);
	custos_log_intent_done(&intent);
}

static void no_signature_no_permit(void **state)
{
	struct fixture *f = *state;
	for (enum soft_mood mood = SOFT_FLIP_A_BIT; mood <= SOFT_FAIL; mood++) {
		f->signer.mood = mood;
		assert_refused(f, CUSTOS_E_TOKEN);
	}
}

static void not_durable_no_permit(void **state)
{
	struct fixture *f = *state;
	f->storage->fail_append = true;
	assert_refused(f, CUSTOS_E_STORE);
	f->storage->fail_append = false;
	f->storage->fail_put = true;
	assert_refused(f, CUSTOS_E_STORE);
	f->storage->fail_put = false;
	f->storage->fail_commit = true;
	assert_refused(f, CUSTOS_E_STORE);
	/* The token has signed this one, and it never became durable: nothing goes on in this process. */
	f->storage->fail_commit = false;
	assert_refused(f, CUSTOS_E_STORE);
}

static void outcome(struct fixture *f, const char *event, int64_t intent, const char *target)
{
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	custos_json_set_int(fields, "intent", intent);
	if (target != NULL)
		custos_json_set_text(fields, "target", target);
	/* outcomes of before logins were counted lack this */
	if (target != NULL && strcmp(target, "esx1") == 0)
		custos_json_set_int(fields, "login_signatures", 1);
	assert_int_equal(custos_log_append(f->log, event, fields, NULL, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_commit(f->log, &f->signer.signer, &f->err), CUSTOS_OK);
}

static size_t open_count(struct fixture *f, size_t *ret_warnings)
{
	CUSTOS_AUTO(custos_json) *report = NULL;
	if (custos_log_verify(f->log, CUSTOS_BYTES(NULL, 0), &report, &f->err) != CUSTOS_OK)
		fail_msg("%s", f->err.msg);
	*ret_warnings = custos_json_count(custos_json_get(report, "warnings"));
	return custos_json_count(custos_json_get(report, "open_releases"));
}

static void outcomes(void **state)
{
	struct fixture *f = *state;
	struct custos_log_intent intent;
	size_t warnings;
	assert_int_equal(release(f, &intent), CUSTOS_OK);
	int64_t first = (int64_t)intent.index;
	custos_log_intent_done(&intent);
	assert_int_equal(open_count(f, &warnings), 1);
	outcome(f, "release.done", first, "esx1");
	assert_int_equal(open_count(f, &warnings), 1);      /* the other host is still open */
	outcome(f, "release.unknown", first, "esx2");
	assert_int_equal(open_count(f, &warnings), 1);
	outcome(f, "release.resolved", first, "esx2");
	assert_int_equal(open_count(f, &warnings), 0);
	assert_int_equal(warnings, 0);
	outcome(f, "release.rolled_back", first, "esx2");    /* too late, but not a lie */
	assert_int_equal(open_count(f, &warnings), 0);
	assert_int_equal(warnings, 1);

	assert_int_equal(release(f, &intent), CUSTOS_OK);
	outcome(f, "release.unknown", (int64_t)intent.index, NULL);
	assert_int_equal(open_count(f, &warnings), 1);
	outcome(f, "release.resolved", (int64_t)intent.index, NULL);
	assert_int_equal(open_count(f, &warnings), 0);
	custos_log_intent_done(&intent);
}

static void assert_outcome_refused(struct fixture *f, int64_t intent, const char *target)
{
	struct soft_storage *copy = soft_storage_copy(f->storage);
	struct custos_log_storage interface = soft_interface(copy);
	CUSTOS_AUTO(custos_log) *log = NULL;
	CUSTOS_AUTO(custos_json) *fields = custos_json_object(), *report = NULL;
	assert_int_equal(custos_log_open(&interface, origin, f->vkey, NULL, NULL, &log, &f->err), CUSTOS_OK);
	custos_json_set_int(fields, "intent", intent);
	custos_json_set_text(fields, "target", target);
	assert_int_equal(custos_log_append(log, "release.done", fields, NULL, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_commit(log, &f->signer.signer, &f->err), CUSTOS_OK);
	assert_int_equal(custos_log_verify(log, CUSTOS_BYTES(NULL, 0), &report, NULL), CUSTOS_E_TAMPERED);
	soft_storage_free(copy);
}

static void outcomes_of_nothing(void **state)
{
	struct fixture *f = *state;
	struct custos_log_intent intent;
	assert_int_equal(release(f, &intent), CUSTOS_OK);
	custos_log_intent_done(&intent);
	assert_outcome_refused(f, 0, "esx1");    /* entry 0 is no intent */
	assert_outcome_refused(f, 2, "esx1");    /* itself */
	assert_outcome_refused(f, 99, "esx1");
	assert_outcome_refused(f, -1, "esx1");
	assert_outcome_refused(f, 1, "esx3");    /* a host the intent does not name */
}

static size_t warnings_about_times(const char *const *times, size_t count)
{
	CUSTOS_AUTO_AUDIT audit;
	CUSTOS_AUTO(custos_json) *report = custos_json_object();
	assert_int_equal(custos_audit_init(&audit, NULL), CUSTOS_OK);
	for (size_t i = 0; i < count; i++) {
		CUSTOS_AUTO(custos_json) *entry = custos_json_object();
		custos_json_set_text(entry, "event", "note");
		custos_json_set_text(entry, "time", times[i]);
		assert_int_equal(custos_audit_entry(&audit, i, entry, NULL), CUSTOS_OK);
	}
	custos_audit_report(&audit, report);
	return custos_json_count(custos_json_get(report, "warnings"));
}

static void clock_set_back(void **state)
{
	(void)state;
	static const char *const steady[] = { "2026-11-23T07:00:00Z", "2026-11-23T07:00:00Z", "2026-11-23T07:00:01Z" };
	/* set back once, and still behind in the next entry */
	static const char *const back[] = { "2026-11-23T07:00:00Z", "2026-11-23T06:59:58Z", "2026-11-23T06:59:59Z", "2026-11-23T07:00:00Z" };
	assert_int_equal(warnings_about_times(steady, 3), 0);
	assert_int_equal(warnings_about_times(back, 4), 2);
	const char *many[200];
	for (size_t i = 0; i < 200; i++)
		many[i] = i == 0 ? "2026-11-23T07:00:00Z" : "2026-11-23T06:00:00Z";
	assert_int_equal(warnings_about_times(many, 200), 51); /* fifty, and how many more */
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH(an_opening_is_for_no_host),
		WITH(permitted_once),        WITH(entry_and_terms_differ), WITH(no_signature_no_permit),
		WITH(not_durable_no_permit), WITH(outcomes),               WITH(outcomes_of_nothing),
		cmocka_unit_test(clock_set_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
