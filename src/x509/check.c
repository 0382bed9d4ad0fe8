/* The report: inputs, chain, rules, and the client's own verdict at the end, so that nothing the rules forgot passes as usable. */
#include "x509/check.h"
#include "base/text.h"
#include "data/json.h"
#include "x509/cert.h"
#include "x509/judge.h"
#include "x509/name.h"
#include "x509/parsed.h"
#include "x509/rules.h"

static const char *const acceptable[] = {
	"ec_for_esxi", "expired", "not_yet_valid", "sha1_signature", "pss_for_esxi", "large_rsa_for_esxi", "self_signed", "san_missing", "no_server_auth",
	"untrusted_root", "missing_intermediate", "client_refuses", "long_validity", "weak_rsa", "weak_ec", "close_primes", "roca", "blocked_key", "key_usage",
};

bool custos_check_may_accept(const char *code)
{
	for (size_t i = 0; i < sizeof acceptable / sizeof *acceptable; i++)
		if (strcmp(acceptable[i], code) == 0)
			return true;
	return false;
}

static bool is_for(const struct custos_check_options *o, const char *profile)
{
	return o->for_profile != NULL && strcmp(o->for_profile, profile) == 0;
}

static const char *purpose_of(const struct custos_check_options *o)
{
	return is_for(o, "client") ? "ssl_client" : NULL;
}

static custos_rc check_options(const struct custos_check_options *o, struct custos_err *err)
{
	if (o->for_profile != NULL && strcmp(o->for_profile, "server") != 0 && !is_for(o, "esxi") && !is_for(o, "client"))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "use 'server', 'esxi' or 'client'", "'%s' is no kind of server", o->for_profile);
	for (size_t i = 0; o->accept != NULL && o->accept[i] != NULL; i++)
		CUSTOS_REQUIRE(custos_check_may_accept(o->accept[i]), err, CUSTOS_E_USAGE, "'%s' cannot be accepted", o->accept[i]);
	return CUSTOS_OK;
}

static const char *form_name(enum custos_item_form form)
{
	static const char *const names[] = {
		[CUSTOS_FORM_PEM] = "pem", [CUSTOS_FORM_DER] = "der", [CUSTOS_FORM_PKCS7] = "pkcs7", [CUSTOS_FORM_PKCS12] = "pkcs12",
		[CUSTOS_FORM_SERVED] = "served", [CUSTOS_FORM_OTHER] = "other", [CUSTOS_FORM_BASE64] = "base64",
	};
	return (size_t)form < sizeof names / sizeof *names && names[form] != NULL ? names[form] : "other";
}

static custos_rc describe(const struct custos_bag_item *item, struct custos_json **ret_json, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *one = custos_json_object();
	CUSTOS_AUTO(custos_json) *facts = NULL;
	custos_json_set_text(one, "file", item->file);
	custos_json_set_int(one, "line", item->line);
	custos_json_set_text(one, "kind", custos_item_kind_name(item->kind));
	custos_json_set_text(one, "what", item->what);
	custos_json_set_text(one, "form", form_name(item->form));
	if (item->cert != NULL)
		CUSTOS_TRY(custos_parsed_cert_facts(item->cert, &facts, err));
	else if (item->request != NULL)
		CUSTOS_TRY(custos_parsed_request_facts(item->request, &facts, err));
	if (facts != NULL)
		for (void *it = custos_json_first(facts); it != NULL; it = custos_json_next(facts, it))
			custos_json_set(one, custos_json_key(it), custos_json_ref(custos_json_value(it)));
	*ret_json = CUSTOS_TAKE(one);
	return CUSTOS_OK;
}

static custos_rc describe_all(const struct custos_bag *bag, struct custos_bag *last_use, const struct custos_chain *chain, struct custos_json *report, struct custos_err *err)
{
	struct custos_json *files = custos_json_array(), *list = custos_json_array(), *one = NULL;
	custos_json_set(report, "files", files);
	custos_json_set(report, "chain", list);
	for (size_t i = 0; i < chain->count; i++) {
		CUSTOS_TRY(describe(custos_bag_at(bag, chain->item[i]), &one, err));
		custos_json_push(list, one);
	}
	for (size_t i = 0; i < custos_bag_count(bag); i++) {
		CUSTOS_TRY(describe(custos_bag_at(bag, i), &one, err));
		custos_json_push(files, one);
		if (last_use != NULL)
			custos_bag_forget(last_use, i);
	}
	return CUSTOS_OK;
}

/* What is asked from outside: a key that is known by its hash, the name of a host. */
static custos_rc ask_leaf(const struct custos_check_options *o, struct custos_chain *chain, struct custos_err *err)
{
	CUSTOS_AUTO_BUF spki = { .max = CUSTOS_BAG_INPUT_MAX };
	uint8_t hash[CUSTOS_HASH_SIZE];
	char own[2 * CUSTOS_HASH_SIZE + 1], wanted[2 * CUSTOS_HASH_SIZE + 1];
	CUSTOS_TRY(custos_cert_spki(chain->der[0], &spki, err));
	CUSTOS_TRY(custos_spki_sha256(custos_buf_view(&spki), hash, err));
	if (o->spki_sha256.len > 0 && !custos_bytes_equal(o->spki_sha256, CUSTOS_BYTES(hash, sizeof hash))) {
		custos_text_hex(hash, sizeof hash, own);
		custos_text_hex(o->spki_sha256.ptr, o->spki_sha256.len, wanted);
		custos_problems_add(&chain->problems, "other_key", CUSTOS_SEVERITY_ERROR, "give the certificate that was issued for this key's request",
		                    "the certificate belongs to another key: it is for %.16s… (SHA-256 of the public key), asked was for %.16s…", own, wanted);
	}
	if (o->name != NULL && !custos_cert_covers(chain->der[0], o->name))
		custos_problems_add(&chain->problems, "other_name", CUSTOS_SEVERITY_ERROR, "get a certificate with this name, or ask for the host by a name that the certificate has",
		                    "the certificate does not name '%.300s'", o->name);
	return CUSTOS_OK;
}

/* A client is not asked again for what a person has accepted, but for everything else. */
static unsigned accepted_flags(const struct custos_problems *problems)
{
	static const struct {
		const char *code;
		unsigned flag;
	} accepted[] = {
		{ "expired", CUSTOS_JUDGE_ANY_DATE }, { "not_yet_valid", CUSTOS_JUDGE_ANY_DATE }, { "sha1_signature", CUSTOS_JUDGE_ANY_STRENGTH },
		{ "weak_rsa", CUSTOS_JUDGE_ANY_STRENGTH }, { "weak_ec", CUSTOS_JUDGE_ANY_STRENGTH }, { "no_server_auth", CUSTOS_JUDGE_ANY_PURPOSE },
		{ "key_usage", CUSTOS_JUDGE_ANY_PURPOSE }, { "self_signed", CUSTOS_JUDGE_ANY_PATH }, { "untrusted_root", CUSTOS_JUDGE_ANY_PATH },
		{ "missing_intermediate", CUSTOS_JUDGE_ANY_PATH },
	};
	unsigned flags = 0;
	for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
		if (custos_problems_accepted(problems, accepted[i].code))
			flags |= accepted[i].flag;
	return flags;
}

/* With anchors the last word is a client's. It only speaks when the rules found no error that explains its refusal better. */
static void ask_client(const struct custos_check_options *o, struct custos_chain *chain)
{
	char why[512];
	if (o->trust == NULL || custos_problems_count(&chain->problems, CUSTOS_SEVERITY_ERROR) > 0)
		return;
	const struct custos_judge_options asked = { .anchors = o->trust, .purpose = purpose_of(o), .now_unix = o->now_unix, .flags = accepted_flags(&chain->problems) };
	if (custos_judge_chain(chain->der, chain->count, &asked, why, sizeof why) != CUSTOS_JUDGE_ACCEPTED)
		custos_problems_add(&chain->problems, "client_refuses", CUSTOS_SEVERITY_ERROR, "ask the CA for a certificate that its own root verifies",
		                    "a client with these trust anchors refuses the chain: %s", why);
}

/* Of every certificate that is served the key, of the leaf the rest. */
static custos_rc check_policy(const struct custos_rules *rules, const struct custos_bag *bag, const struct custos_chain *chain, struct custos_err *err)
{
	for (size_t i = 0; i < chain->count; i++) {
		struct x509_st *cert = custos_bag_at(bag, chain->item[i])->cert;
		CUSTOS_AUTO_STR *subject = custos_name_text(X509_get_subject_name(cert));
		CUSTOS_REQUIRE(subject != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		CUSTOS_TRY(custos_rules_key(rules, cert, subject, err));
		if (i > 0)
			continue;
		custos_rules_validity(rules, cert, custos_bag_at(bag, chain->item[chain->count - 1])->cert, subject);
		custos_rules_usage(rules, cert);
		custos_rules_asked_names(rules, cert);
	}
	return CUSTOS_OK;
}

static void accept_all(const struct custos_check_options *options, struct custos_chain *chain)
{
	for (size_t i = 0; options->accept != NULL && options->accept[i] != NULL; i++)
		custos_problems_accept(&chain->problems, options->accept[i]);
}

custos_rc custos_cert_check(const struct custos_bag *bag, const struct custos_check_options *options, struct custos_json **ret_report, struct custos_chain **ret_chain,
                            struct custos_err *err)
{
	CUSTOS_AUTO(custos_chain) *chain = NULL;
	CUSTOS_AUTO(custos_json) *report = custos_json_object();
	CUSTOS_REQUIRE(report != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(check_options(options, err));
	struct custos_bytes meant = options->spki.len > 0 ? options->spki : options->leaf_spki;
	CUSTOS_TRY(custos_chain_build(bag, &(struct custos_chain_options){ .leaf_spki = meant, .now_unix = options->now_unix, .trust = options->trust, .purpose = purpose_of(options) }, &chain, err));
	struct custos_rules rules = { .problems = &chain->problems, .options = options, .esxi = is_for(options, "esxi"), .client = is_for(options, "client") };
	rules.anchored = chain->end == CUSTOS_CHAIN_ANCHORED;
	custos_rules_inputs(&rules, bag);
	if (chain->count > 0) {
		CUSTOS_TRY(custos_rules_leaf(&rules, custos_bag_at(bag, chain->item[0])->cert, err));
		CUSTOS_TRY(ask_leaf(options, chain, err));
	}
	for (size_t i = 1; i < chain->count; i++)
		custos_rules_issuer(&rules, custos_bag_at(bag, chain->item[i])->cert);
	CUSTOS_TRY(check_policy(&rules, bag, chain, err));
	accept_all(options, chain);
	ask_client(options, chain);
	accept_all(options, chain); /* also what the client says */
	CUSTOS_TRY(custos_problems_whole(&chain->problems, err));
	custos_json_set_bool(report, "usable", chain->count > 0 && custos_problems_count(&chain->problems, CUSTOS_SEVERITY_ERROR) == 0);
	custos_json_set_text(report, "for", options->for_profile != NULL ? options->for_profile : "server");
	CUSTOS_TRY(describe_all(bag, options->last_use, chain, report, err));
	custos_json_set(report, "problems", custos_problems_json(&chain->problems));
	*ret_report = CUSTOS_TAKE(report);
	if (ret_chain != NULL)
		*ret_chain = CUSTOS_TAKE(chain);
	return CUSTOS_OK;
}
