/* Certificates of keys: the request that is signed on the token, and what the CA sent back for it. */
#include "base/clock.h"
#include "base/text.h"
#include "vault/cert_policy.h"
#include "vault/file.h"
#include "vault/release.h"
#include "vault/renewal.h"
#include "vault/request.h"
#include "x509/bag.h"
#include "x509/cert.h"
#include "x509/chain.h"
#include "x509/check.h"
#include "x509/csr.h"

struct csr_signer {
	struct custos_custody *c;
	const struct custos_vault_key *key;
	struct custos_vault_use use;
};

static custos_rc sign_request(void *ctx, struct custos_bytes message, struct custos_buf *signature, struct custos_err *err)
{
	struct csr_signer *s = ctx;
	return custos_vault_sign(s->c, s->key, &s->use, message, signature, err);
}

static custos_rc refuse_unusable(const struct custos_json *report, struct custos_err *err)
{
	CUSTOS_TRY(custos_problems_refuse(custos_json_get(report, "problems"), err));
	CUSTOS_REQUIRE(custos_json_bool(report, "usable", false), err, CUSTOS_E_INPUT, "no server could use these files");
	return CUSTOS_OK;
}

/* The log says what was asked for; the request itself is kept as a blob. */
custos_rc custos_vault_append_request(struct custos_custody *c, const char *name, const struct custos_csr_spec *spec, struct custos_bytes der,
                                      const struct custos_json *facts, struct custos_err *err)
{
	uint8_t hash[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	CUSTOS_TRY(custos_vault_put_blob(c, "csr", der, hash, err));
	custos_json_set_text(fields, "key", name);
	custos_json_set_hex(fields, "csr_sha256", hash, sizeof hash);
	custos_json_set_text(fields, "subject", custos_json_text(facts, "subject"));
	custos_json_set(fields, "sans", custos_json_ref(custos_json_get(facts, "sans")));
	custos_json_set_text(fields, "profile", spec->profile);
	if (spec->signature != NULL && strcmp(spec->signature, "default") != 0)
		custos_json_set_text(fields, "signature", spec->signature);
	if ((spec->flags & CUSTOS_CSR_MUST_STAPLE) != 0)
		custos_json_set_bool(fields, "must_staple", true);
	if ((spec->flags & CUSTOS_CSR_PRIVATE_CA) != 0)
		custos_json_set_bool(fields, "private_ca", true);
	return custos_vault_append(c, "csr.create", fields, NULL, err);
}

custos_rc custos_vault_check_request(const struct custos_csr_spec *spec, const char *key_type, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *problems = NULL;
	CUSTOS_TRY(custos_csr_lint(spec, key_type, &problems, err));
	return custos_problems_refuse(problems, err);
}

custos_rc custos_csr_request(struct custos_custody *c, const char *name, const char *subject, const char *const sans[], const char *profile,
                             char **ret_pem, struct custos_err *err)
{
	const struct custos_csr_options options = { .subject = subject, .sans = sans, .profile = profile };
	CUSTOS_AUTO(custos_json) *made = NULL;
	CUSTOS_TRY(custos_csr_request_as(c, name, &options, &made, err));
	*ret_pem = custos_text_dup(custos_json_text(made, "csr"));
	CUSTOS_REQUIRE(*ret_pem != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

/* Errors end it; what is only a warning goes with the answer. */
static custos_rc lint_request(struct custos_request *request, const char *key_type, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *found = NULL;
	CUSTOS_TRY(custos_csr_lint(&request->spec, key_type, &found, err));
	CUSTOS_TRY(custos_problems_refuse(found, err));
	for (size_t i = 0; i < custos_json_count(found); i++)
		custos_json_push(request->problems, custos_json_ref(custos_json_at(found, i)));
	return CUSTOS_OK;
}

static custos_rc sign_spec(struct custos_custody *c, const char *name, const struct custos_json *record, const struct custos_csr_spec *spec, struct custos_buf *der,
                           struct custos_err *err)
{
	struct custos_token *token;
	enum custos_signature algorithm;
	CUSTOS_CLEANUP(custos_vault_key_done) struct custos_vault_key key = { 0 };
	CUSTOS_TRY(custos_vault_load_key(c, record, &key, err));
	CUSTOS_TRY(custos_request_algorithm(spec->signature, key.ref.type, &algorithm, err));
	CUSTOS_TRY(custos_vault_token_for(c, &key, &token, err));
	struct csr_signer ctx = { c, &key, { .name = name, .purpose = "request", .algorithm = algorithm } };
	struct custos_signer signer = { .ctx = &ctx, .algorithm = algorithm, .spki = key.ref.spki, .sign = sign_request };
	return custos_csr_create(spec, &signer, der, err);
}

static custos_rc record_request(struct custos_custody *c, const char *name, const struct custos_csr_spec *spec, struct custos_bytes der, const struct custos_json *facts,
                                struct custos_err *err)
{
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = custos_vault_append_request(c, name, spec, der, facts, err);
	if (rc == CUSTOS_OK)
		rc = custos_vault_commit(c, err);
	if (rc != CUSTOS_OK)
		custos_vault_abort(c);
	return rc;
}

custos_rc custos_csr_request_as(struct custos_custody *c, const char *name, const struct custos_csr_options *options, struct custos_json **ret_request,
                                struct custos_err *err)
{
	const struct custos_json *record;
	CUSTOS_AUTO_BUF der = { 0 };
	CUSTOS_AUTO_BUF pem = { 0 };
	CUSTOS_AUTO(custos_json) *made = NULL, *facts = NULL;
	CUSTOS_CLEANUP(custos_request_done) struct custos_request request = { 0 };
	CUSTOS_TRY(custos_vault_find_key(c, name, &record, err));
	CUSTOS_TRY(custos_request_assemble(options, &request, err));
	CUSTOS_TRY(lint_request(&request, custos_json_text(record, "type"), err));
	CUSTOS_TRY(sign_spec(c, name, record, &request.spec, &der, err));
	CUSTOS_TRY(custos_csr_facts(custos_buf_view(&der), &facts, err));
	CUSTOS_TRY(custos_csr_pem(custos_buf_view(&der), &pem, err));
	CUSTOS_TRY(record_request(c, name, &request.spec, custos_buf_view(&der), facts, err));
	made = custos_json_copy(facts);
	custos_json_set_text(made, "key", name);
	custos_json_set_text(made, "profile", request.spec.profile);
	custos_json_set_text(made, "csr", (const char *)pem.ptr);
	custos_json_set(made, "problems", custos_json_ref(request.problems));
	CUSTOS_REQUIRE(made != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_request = CUSTOS_TAKE(made);
	return CUSTOS_OK;
}

static custos_rc fill_bag(const char *const files[], size_t count, struct custos_secret *pass_phrase, struct custos_bag **ret_bag, struct custos_err *err)
{
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	CUSTOS_TRY(custos_bag_new(&bag, err));
	custos_bag_use_pass_phrase(bag, pass_phrase);
	for (size_t i = 0; i < count; i++)
		CUSTOS_TRY(custos_bag_add_file(bag, files[i], err));
	*ret_bag = CUSTOS_TAKE(bag);
	return CUSTOS_OK;
}

/* The codes of what a person accepted, each once; NULL when nothing was. */
static struct custos_json *accepted_codes(const struct custos_json *problems)
{
	struct custos_json *codes = NULL;
	for (size_t i = 0; i < custos_json_count(problems); i++) {
		const struct custos_json *p = custos_json_at(problems, i);
		const char *code = custos_json_text(p, "code");
		bool known = !custos_json_bool(p, "accepted", false);
		for (size_t k = 0; k < custos_json_count(codes) && !known; k++)
			known = strcmp(custos_json_string_value(custos_json_at(codes, k)), code) == 0;
		if (known)
			continue;
		codes = codes != NULL ? codes : custos_json_array();
		custos_json_push(codes, custos_json_string(code));
	}
	return codes;
}

/* What was found and accepted goes with it: `report` and `policy` are borrowed, the report learns where the entry is. */
static custos_rc record_certificate(struct custos_custody *c, const char *name, const struct custos_chain *chain, struct custos_json *report, const struct custos_json *policy,
                                    struct custos_err *err)
{
	uint64_t index = 0;
	uint8_t leaf_hash[CUSTOS_HASH_SIZE], chain_hash[CUSTOS_HASH_SIZE];
	CUSTOS_AUTO_BUF pem = { 0 };
	CUSTOS_AUTO(custos_json) *facts = NULL;
	CUSTOS_AUTO(custos_json) *fields = custos_json_object();
	struct custos_bytes leaf = chain->der[0];
	CUSTOS_TRY(custos_cert_facts(leaf, &facts, err));
	CUSTOS_TRY(custos_cert_pem(chain->der, chain->count, &pem, err));
	CUSTOS_TRY(custos_vault_put_blob(c, "leaf", leaf, leaf_hash, err));
	CUSTOS_TRY(custos_vault_put_blob(c, "chain", custos_buf_view(&pem), chain_hash, err));
	custos_json_set_text(fields, "key", name);
	custos_json_set_hex(fields, "leaf_sha256", leaf_hash, sizeof leaf_hash);
	custos_json_set_hex(fields, "chain_sha256", chain_hash, sizeof chain_hash);
	custos_json_set_int(fields, "certificates", (int64_t)chain->count);
	static const char *const members[] = { "subject", "issuer", "sans", "not_before", "not_after", "serial" };
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		custos_json_set(fields, members[i], custos_json_ref(custos_json_get(facts, members[i])));
	struct custos_json *accepted = accepted_codes(custos_json_get(report, "problems"));
	if (accepted != NULL)
		custos_json_set(fields, "accepted", accepted);
	custos_json_set(fields, "policy", custos_json_ref(policy));
	CUSTOS_TRY(custos_vault_append(c, "cert.accept", fields, &index, err));
	custos_json_set_int(report, "log_index", (int64_t)index);
	return custos_vault_commit(c, err);
}

custos_rc custos_cert_accept(struct custos_custody *c, const char *name, const char *const files[], size_t count, const struct custos_accept_options *how,
                             struct custos_json **ret_report, struct custos_err *err)
{
	const struct custos_json *record;
	CUSTOS_TRY(custos_vault_find_key(c, name, &record, err));
	CUSTOS_AUTO_BUF spki = { 0 };
	CUSTOS_AUTO_BUF csr = { 0 };
	CUSTOS_TRY(custos_vault_get_blob(c, "the key's public key", custos_json_text(record, "spki_sha256"), &spki, err));
	const struct custos_json *asked = custos_json_get(record, "csr");
	if (asked != NULL)
		CUSTOS_TRY(custos_vault_get_blob(c, "the key's request", custos_json_text(asked, "csr_sha256"), &csr, err));
	CUSTOS_AUTO(custos_anchors) *anchors = NULL;
	CUSTOS_TRY(custos_vault_anchors(c, &anchors, err));
	CUSTOS_AUTO(custos_bag) *bag = NULL;
	CUSTOS_CLEANUP(custos_cert_policy_done) struct custos_cert_policy policy = { 0 };
	CUSTOS_TRY(custos_cert_policy_load(c, record, &policy, err));
	CUSTOS_TRY(fill_bag(files, count, how == NULL ? NULL : how->pass_phrase, &bag, err));
	struct custos_check_options options = {
		.for_profile = custos_json_text(asked, "profile"),
		.validity = policy.validity,
		.blocklist = policy.blocklist,
		.names = (const char *const *)policy.names,
		.accept = how == NULL ? NULL : how->accept,
		.spki = custos_buf_view(&spki),
		.csr = custos_buf_view(&csr),
		.trust = anchors,
		.now_unix = custos_clock_unix(),
	};
	CUSTOS_AUTO(custos_chain) *chain = NULL;
	CUSTOS_TRY(custos_cert_check(bag, &options, ret_report, &chain, err));
	CUSTOS_TRY(refuse_unusable(*ret_report, err));
	CUSTOS_AUTO(custos_json) *in_force = custos_cert_policy_json(c, &policy);
	CUSTOS_TRY(custos_vault_prove_leaf(c, record, chain->der[0], err));
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = record_certificate(c, name, chain, *ret_report, in_force, err);
	if (rc != CUSTOS_OK)
		custos_vault_abort(c);
	return rc;
}

static custos_rc find_accepted(struct custos_custody *c, const char *name, const struct custos_json **ret, struct custos_err *err)
{
	const struct custos_json *key;
	CUSTOS_TRY(custos_vault_find_key(c, name, &key, err));
	const struct custos_json *certificate = custos_json_get(key, "certificate");
	if (certificate == NULL)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give what the CA sent to `custos cert accept`", "key %s has no certificate yet", name);
	*ret = certificate;
	return CUSTOS_OK;
}

custos_rc custos_cert_show(struct custos_custody *c, const char *name, struct custos_json **ret_cert, struct custos_err *err)
{
	const struct custos_json *certificate;
	CUSTOS_TRY(find_accepted(c, name, &certificate, err));
	CUSTOS_AUTO_BUF leaf = { 0 };
	CUSTOS_TRY(custos_vault_get_blob(c, "the certificate", custos_json_text(certificate, "leaf_sha256"), &leaf, err));
	CUSTOS_AUTO(custos_json) *shown = custos_json_copy(certificate);
	int64_t days = 0;
	custos_json_set_text(shown, "key", name);
	CUSTOS_TRY(custos_cert_days_left(custos_buf_view(&leaf), custos_clock_unix(), &days, err));
	custos_json_set_int(shown, "days_left", days);
	const char *from = custos_json_text(certificate, "not_before"), *until = custos_json_text(certificate, "not_after");
	int64_t begins, ends;
	char text[CUSTOS_TIME_TEXT];
	if (from != NULL && until != NULL && custos_clock_parse(from, &begins) && custos_clock_parse(until, &ends)) {
		custos_clock_text(custos_renewal_of(begins, ends).from, text);
		custos_json_set_text(shown, "renew_from", text);
	}
	*ret_cert = CUSTOS_TAKE(shown);
	return CUSTOS_OK;
}

custos_rc custos_cert_show_pem(struct custos_custody *c, const char *name, char **ret_pem, struct custos_err *err)
{
	const struct custos_json *certificate;
	CUSTOS_TRY(find_accepted(c, name, &certificate, err));
	CUSTOS_AUTO_BUF pem = { 0 };
	CUSTOS_TRY(custos_vault_get_blob(c, "the certificate chain", custos_json_text(certificate, "chain_sha256"), &pem, err));
	*ret_pem = custos_text_dup((const char *)pem.ptr);
	CUSTOS_REQUIRE(*ret_pem != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}
