/* Renewal: a request like the one before, for the same key or for a new one that takes its place. What a person said once, subject, names, profile and where the key may go, is
 * read from the log; nothing is asked for again. */
#include "base/text.h"
#include "crypto/digest.h"
#include "vault/request.h"
#include "vault/vault.h"
#include "x509/cert.h"
#include "x509/csr.h"
#include "x509/name.h"
#include "x509/problem.h"

#include <stdio.h>

enum { SUCCESSORS_MAX = 100000, NAME_SIZE = 64 };

/* What the request will say: borrowed from the record, but for the array. */
struct wanted {
	const char *subject, *profile, *signature;
	const char **sans;
	unsigned flags;                          /* enum custos_csr_flag */
	struct custos_problems problems;         /* what is asked for that nobody asked for, or not what was there */
};

static void wanted_done(struct wanted *wanted)
{
	free(wanted->sans);
	custos_problems_done(&wanted->problems);
}

static bool holds(const struct custos_json *names, const char *name)
{
	bool found = false;
	for (size_t i = 0; i < custos_json_count(names); i++)
		found = found || strcasecmp(custos_json_string_value(custos_json_at(names, i)), name) == 0;
	return found;
}

/* What a CA added is asked for from now on, and so it is said; what cannot be asked for is left out. */
static custos_rc read_names(const struct custos_json *sans, const struct custos_json *request, struct wanted *wanted, struct custos_err *err)
{
	size_t count = custos_json_count(sans), kept = 0;
	wanted->sans = calloc(count + 1, sizeof *wanted->sans);
	CUSTOS_REQUIRE(wanted->sans != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const char *name = custos_json_string_value(custos_json_at(sans, i));
		if (strncmp(name, "other:", 6) == 0) {
			custos_problems_add(&wanted->problems, "name_not_copied", CUSTOS_SEVERITY_WARNING, "ask the CA for it, if it is needed",
			                    "a name is not asked for again: it is neither dns, ip, email nor uri (%.200s)", name + 6);
			continue;
		}
		if (custos_json_is_object(request) && !holds(custos_json_get(request, "sans"), name))
			custos_problems_add(&wanted->problems, "name_of_certificate", CUSTOS_SEVERITY_WARNING, "if it is not wanted: `custos csr create` with the names that are",
			                    "%.200s was not in the last request, but is in the certificate, and is asked for again", name);
		wanted->sans[kept++] = name;
	}
	return CUSTOS_OK;
}

/* The newer one is what a person wanted last: a certificate that came, or a request with other names since. */
static custos_rc read_wanted(const struct custos_json *key, const char *name, struct wanted *ret_wanted, struct custos_err *err)
{
	const struct custos_json *certificate = custos_json_get(key, "certificate"), *request = custos_json_get(key, "csr");
	bool asked_again = custos_json_int(request, "log_index", -1) > custos_json_int(certificate, "log_index", -1);
	const struct custos_json *like = asked_again ? request : certificate, *sans = custos_json_get(like, "sans");
	const char *subject = custos_json_text(like, "subject"), *profile = custos_json_text(request, "profile"), *signature = custos_json_text(request, "signature");
	if (!custos_json_is_object(like))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "begin with `custos csr create`", "key %s has neither a certificate nor a request that could be renewed", name);
	size_t len = subject == NULL ? 0 : strlen(subject), mark = sizeof CUSTOS_NAME_CUT - 1;
	if (len >= mark && strcmp(subject + len - mark, CUSTOS_NAME_CUT) == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "give all of it to `custos csr create --like`, `--template` or `--subject`", "key %s: the subject to ask for again is longer than what was written down of it", name);
	ret_wanted->subject = subject == NULL || strcmp(subject, "(no name)") == 0 ? "" : subject;
	ret_wanted->profile = profile == NULL ? "server" : profile;
	ret_wanted->signature = signature == NULL ? "default" : signature;
	ret_wanted->flags = (custos_json_bool(request, "must_staple", false) ? CUSTOS_CSR_MUST_STAPLE : 0) | (custos_json_bool(request, "private_ca", false) ? CUSTOS_CSR_PRIVATE_CA : 0);
	return read_names(sans, request, ret_wanted, err);
}

static struct custos_csr_spec spec_of(const struct wanted *wanted)
{
	return (struct custos_csr_spec){ .subject = wanted->subject, .sans = wanted->sans, .profile = wanted->profile, .signature = wanted->signature, .flags = wanted->flags };
}

static struct custos_json *report_of(const char *key, const char *renews, const struct custos_json *record, const struct wanted *wanted)
{
	struct custos_json *report = custos_json_object(), *sans = custos_json_array();
	custos_json_set_text(report, "key", key);
	custos_json_set_text(report, "renews", renews);
	custos_json_set_text(report, "subject", wanted->subject);
	custos_json_set(report, "sans", sans);
	for (size_t i = 0; wanted->sans[i] != NULL; i++)
		custos_json_push(sans, custos_json_string(wanted->sans[i]));
	custos_json_set_text(report, "profile", wanted->profile);
	custos_json_set(report, "targets", custos_json_copy(custos_json_get(record, "targets")));
	custos_json_set(report, "deployed", custos_json_copy(custos_json_get(record, "deployed")));
	custos_json_set(report, "problems", custos_problems_json(&wanted->problems));
	return report;
}

/* ---- a new key ---- */

/* The first of a line of keys: NAME.2 renews NAME, NAME.3 renews NAME.2. A name that merely ends in a number is nobody's successor. */
static const char *first_of_line(const struct custos_state *state, const char *name)
{
	for (int i = 0; i < SUCCESSORS_MAX; i++) {
		const char *before = custos_json_text(custos_state_key(state, name), "renews");
		if (before == NULL)
			break;
		name = before;
	}
	return name;
}

static custos_rc choose_name(const struct custos_custody *c, const char *name, char ret_name[static NAME_SIZE], struct custos_err *err)
{
	const char *first = first_of_line(&c->state, name);
	for (unsigned number = 2; number < SUCCESSORS_MAX; number++) {
		int len = snprintf(ret_name, NAME_SIZE, "%s.%u", first, number);
		if (len >= NAME_SIZE)
			break;
		if (custos_state_key(&c->state, ret_name) == NULL)
			return CUSTOS_OK;
	}
	CUSTOS_FAIL_HINT(err, CUSTOS_E_INPUT, "`custos key generate` with a name of your own, then `key allow` and `csr create`", "no name is left for a successor of key %s", name);
}

struct successor {
	char name[NAME_SIZE];
	uint8_t id[16];
	struct custos_token *token;
	struct custos_token_key key;
	struct custos_token_key_ref ref;
	enum custos_signature algorithm;
	struct custos_buf der, pem;
	struct custos_json *facts;
};

static void successor_done(struct successor *s)
{
	custos_token_key_done(&s->key);
	custos_buf_done(&s->der);
	custos_buf_done(&s->pem);
	custos_json_free(s->facts);
}

static custos_rc sign_request(void *ctx, struct custos_bytes message, struct custos_buf *signature, struct custos_err *err)
{
	struct successor *s = ctx;
	return custos_token_sign(s->token, &s->ref, s->algorithm, message, signature, err);
}

static custos_rc generate(struct successor *s, enum custos_key_type type, bool stays, struct custos_err *err)
{
	if (stays) {
		char label[CUSTOS_VAULT_LABEL_SIZE];
		CUSTOS_TRY(custos_random(s->id, sizeof s->id, err));
		custos_vault_label_key(s->name, s->id, label);
		CUSTOS_TRY(custos_token_key_generate_sign_only(s->token, type, s->id, label, &s->key, err));
	} else {
		CUSTOS_TRY(custos_token_key_generate(s->token, type, &s->key, err));
	}
	s->ref = (struct custos_token_key_ref){
		.type = type, .spki = custos_buf_view(&s->key.spki), .container = custos_buf_view(&s->key.container), .id = stays ? s->id : NULL };
	return CUSTOS_OK;
}

static custos_rc request(struct successor *s, const struct wanted *wanted, struct custos_err *err)
{
	const struct custos_csr_spec spec = spec_of(wanted);
	const struct custos_signer signer = { .ctx = s, .algorithm = s->algorithm, .spki = s->ref.spki, .sign = sign_request };
	CUSTOS_TRY(custos_csr_create(&spec, &signer, &s->der, err));
	CUSTOS_TRY(custos_csr_facts(custos_buf_view(&s->der), &s->facts, err));
	return custos_csr_pem(custos_buf_view(&s->der), &s->pem, err);
}

/* Key, permission and request: all of them or none. Where the old key may go is what it says now, under the lock. */
static custos_rc append(struct custos_custody *c, const struct successor *s, const char *renews, const struct wanted *wanted, struct custos_err *err)
{
	const struct custos_csr_spec spec = spec_of(wanted);
	const struct custos_json *old;
	CUSTOS_TRY(custos_vault_find_key(c, renews, &old, err));
	CUSTOS_AUTO(custos_json) *targets = custos_json_copy(custos_json_get(old, "targets"));
	CUSTOS_TRY(custos_vault_append_successor(c, s->name, renews, &s->key, s->ref.id, err));
	if (custos_json_count(targets) > 0) {
		CUSTOS_AUTO(custos_json) *fields = custos_json_object();
		custos_json_set_text(fields, "key", s->name);
		custos_json_set(fields, "targets", custos_json_ref(targets));
		CUSTOS_TRY(custos_vault_append(c, "key.allow", fields, NULL, err));
	}
	CUSTOS_TRY(custos_vault_append_request(c, s->name, &spec, custos_buf_view(&s->der), s->facts, err));
	return custos_vault_commit(c, err);
}

static custos_rc renew_with_new_key(struct custos_custody *c, const char *name, const struct custos_json *record, const struct wanted *wanted, struct custos_json **ret_report,
                                    struct custos_err *err)
{
	CUSTOS_CLEANUP(successor_done) struct successor s = { 0 };
	const char *type_name = custos_json_text(record, "type");
	const struct custos_csr_spec spec = spec_of(wanted);
	enum custos_key_type type;
	bool stays = custos_json_text(record, "container_sha256") == NULL;
	const char *class = custos_json_text(record, "class");
	if (class != NULL && strcmp(class, "sealed") == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_POLICY, "`custos key generate --class sealed`, `key allow` and `csr create`", "a sealed key is not renewed with a new key in one step");
	CUSTOS_REQUIRE(type_name != NULL && custos_key_type_parse(type_name, &type), err, CUSTOS_E_TAMPERED, "the log names an unknown key type");
	CUSTOS_TRY(choose_name(c, name, s.name, err));
	CUSTOS_TRY(custos_vault_check_request(&spec, type_name, err));
	CUSTOS_TRY(custos_request_algorithm(spec.signature, type, &s.algorithm, err));
	if (!stays)
		CUSTOS_TRY(custos_vault_check_deployable(c, err));
	CUSTOS_TRY(custos_vault_token(c, &s.token, err));
	CUSTOS_TRY(generate(&s, type, stays, err));
	CUSTOS_TRY(request(&s, wanted, err));
	CUSTOS_TRY(custos_vault_begin(c, err));
	custos_rc rc = append(c, &s, name, wanted, err);
	if (rc != CUSTOS_OK) {
		custos_vault_abort(c);
		return rc;
	}
	*ret_report = report_of(s.name, name, record, wanted);
	custos_json_set_text(*ret_report, "csr", (const char *)s.pem.ptr);
	return CUSTOS_OK;
}

custos_rc custos_key_renew(struct custos_custody *c, const char *name, unsigned flags, struct custos_json **ret_report, struct custos_err *err)
{
	const struct custos_json *live;
	CUSTOS_TRY(custos_vault_find_key(c, name, &live, err));
	/* a copy: logging in may replay the log, and what is borrowed from a record goes with it */
	CUSTOS_AUTO(custos_json) *record = NULL;
	CUSTOS_TRY(custos_key_show(c, name, &record, err));
	CUSTOS_CLEANUP(wanted_done) struct wanted wanted = { 0 };
	CUSTOS_TRY(read_wanted(record, name, &wanted, err));
	if ((flags & CUSTOS_RENEW_NEW_KEY) != 0)
		return renew_with_new_key(c, name, record, &wanted, ret_report, err);
	const struct custos_csr_options options = { .subject = wanted.subject, .sans = wanted.sans, .profile = wanted.profile, .signature = wanted.signature, .flags = wanted.flags };
	CUSTOS_AUTO(custos_json) *made = NULL;
	CUSTOS_TRY(custos_csr_request_as(c, name, &options, &made, err));
	*ret_report = report_of(name, NULL, record, &wanted);
	custos_json_set_text(*ret_report, "csr", custos_json_text(made, "csr"));
	return CUSTOS_OK;
}
