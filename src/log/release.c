/* The release commit: the one place where a permit is made. The order is everything: the entry is written, the checkpoint over it
 * signed by the token and verified in software, the transaction durable, and only then the permit exists. */
#include "log/state.h"

#include "base/text.h"
#include "log/entry.h"

void custos_log_intent_done(struct custos_log_intent *intent)
{
	custos_buf_done(&intent->leaf);
	custos_buf_done(&intent->body);
	free(intent->proof);
	custos_permit_free(intent->permit);
	*intent = (struct custos_log_intent){ 0 };
}
#define AUTO_INTENT __attribute__((cleanup(custos_log_intent_done))) struct custos_log_intent

static bool says_hex(const struct custos_json *fields, const char *member, const uint8_t *expected, size_t len)
{
	uint8_t said[CUSTOS_POINT_SIZE];
	const char *text = custos_json_text(fields, member);
	return len <= sizeof said && text != NULL && custos_text_unhex(text, said, len) && memcmp(said, expected, len) == 0;
}

/* The way of transport, and the key it needs. */
static bool says_transport(const struct custos_json *fields, const struct custos_release_terms *terms)
{
	const char *name = custos_json_text(fields, "transport");
	enum custos_transport said = CUSTOS_TRANSPORT_ECDH_P256;
	if ((name != NULL && !custos_transport_parse(name, &said)) || said != terms->transport)
		return false;
	return !custos_transport_needs_key(said) || says_hex(fields, "courier_key_sha256", terms->courier_key_sha256, CUSTOS_HASH_SIZE);
}

static custos_rc check_terms(const struct custos_json *fields, const struct custos_release_terms *terms, struct custos_err *err)
{
	CUSTOS_REQUIRE(says_hex(fields, "container_sha256", terms->container_sha256, CUSTOS_HASH_SIZE), err, CUSTOS_E_POLICY,
	               "the release would be logged for another container");
	CUSTOS_REQUIRE(says_hex(fields, "courier_point", terms->courier_point, CUSTOS_POINT_SIZE), err, CUSTOS_E_POLICY,
	               "the release would be logged for another courier");
	CUSTOS_REQUIRE(says_transport(fields, terms), err, CUSTOS_E_POLICY, "the release would be logged for another transport");
	const struct custos_intent_words *words = custos_intent_words(terms->kind);
	const struct custos_json *hosts = custos_json_get(fields, words->receivers);
	CUSTOS_REQUIRE(custos_json_is_array(hosts) && (custos_json_count(hosts) > 0) == words->goes_out, err, CUSTOS_E_POLICY, "%s",
	               words->goes_out ? "the release would be logged for no host" : "the opening would be logged for hosts");
	CUSTOS_AUTO_BUF line = { .max = CUSTOS_ENTRY_MAX };
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_TRY(custos_json_line(hosts, &line, err));
	CUSTOS_TRY(custos_sha256(custos_buf_view(&line), hash, err));
	CUSTOS_REQUIRE(memcmp(hash, terms->hosts_sha256, sizeof hash) == 0, err, CUSTOS_E_POLICY, "the release would be logged for other hosts");
	return CUSTOS_OK;
}

/* The terms are compared with the very bytes that will be signed, and the proof made, before anything is durable. */
static custos_rc prepare_intent(const struct custos_tree_edge *before, const struct custos_release_terms *terms, struct custos_log_intent *intent,
                                struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *entry = NULL;
	CUSTOS_TRY(custos_entry_decode(custos_buf_view(&intent->leaf), intent->index, &entry, err));
	CUSTOS_TRY(check_terms(entry, terms, err));
	return custos_tree_prove_last(before, &intent->proof, &intent->proof_count, err);
}

static custos_rc append_intent(struct custos_log *log, const struct custos_json *fields, const struct custos_release_terms *terms,
                               struct custos_log_intent *intent, struct custos_err *err)
{
	CUSTOS_TRY(check_terms(fields, terms, err));
	const struct custos_tree_edge before = log->tree.edge;
	intent->index = before.count;
	CUSTOS_TRY(custos_log_append_leaf(log, custos_intent_words(terms->kind)->event, fields, &intent->leaf, err));
	return prepare_intent(&before, terms, intent, err);
}

custos_rc custos_log_commit_release(struct custos_log *log, const struct custos_signer *signer, const struct custos_json *fields,
                                    const struct custos_release_terms *terms, struct custos_log_intent *ret_intent, struct custos_err *err)
{
	AUTO_INTENT intent = { .leaf = { .max = CUSTOS_ENTRY_MAX } };
	custos_rc rc = append_intent(log, fields, terms, &intent, err);
	if (rc != CUSTOS_OK) {
		custos_log_abort(log);
		return rc;
	}
	CUSTOS_AUTO_SIGNING signing = { 0 };
	CUSTOS_TRY(custos_log_sign(log, signer, &signing, err));
	intent.body = signing.body;
	signing.body = (struct custos_buf){ 0 };
	CUSTOS_TRY(custos_log_finish(log, &signing, err));
	CUSTOS_TRY(custos_permit_mint(terms, &intent.permit, err));
	*ret_intent = intent;
	intent = (struct custos_log_intent){ 0 };
	return CUSTOS_OK;
}
