/* Running one check and telling what came of it: see probe.h. */
#include "token/probe.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	enum custos_check first, last;
	custos_probe_check *run;
} checks[] = {
	{ CUSTOS_CHECK_NO_LOGIN, CUSTOS_CHECK_NO_LOGIN, custos_probe_no_login },
	{ CUSTOS_CHECK_OBJECTS, CUSTOS_CHECK_OBJECTS, custos_probe_objects },
	{ CUSTOS_CHECK_MECHANISMS, CUSTOS_CHECK_MECHANISMS, custos_probe_mechanisms },
	{ CUSTOS_CHECK_RANDOM, CUSTOS_CHECK_RANDOM, custos_probe_random },
	{ CUSTOS_CHECK_SIGN, CUSTOS_CHECK_SIGN_LAST, custos_probe_sign },
	{ CUSTOS_CHECK_KEY, CUSTOS_CHECK_KEY, custos_probe_key },
	{ CUSTOS_CHECK_KEK, CUSTOS_CHECK_KEK, custos_probe_kek_core },
	{ CUSTOS_CHECK_KEK_TEMPLATE, CUSTOS_CHECK_KEK_TEMPLATE, custos_probe_kek_template },
	{ CUSTOS_CHECK_KEK_SECRET, CUSTOS_CHECK_KEK_SECRET, custos_probe_kek_secret },
	{ CUSTOS_CHECK_KEK_WRAPPED, CUSTOS_CHECK_KEK_WRAPPED, custos_probe_kek_wrapped },
	{ CUSTOS_CHECK_KEK_CIPHER, CUSTOS_CHECK_KEK_CIPHER, custos_probe_kek_cipher },
	{ CUSTOS_CHECK_FORMAT, CUSTOS_CHECK_FORMAT, custos_probe_format },
	{ CUSTOS_CHECK_SIZE_QUERY, CUSTOS_CHECK_SIZE_QUERY, custos_probe_size_query },
	{ CUSTOS_CHECK_TRANSPORT, CUSTOS_CHECK_TRANSPORT, custos_probe_transport },
	{ CUSTOS_CHECK_DEPLOY, CUSTOS_CHECK_DEPLOY_LAST, custos_probe_deploy },
	{ CUSTOS_CHECK_INTEGRITY, CUSTOS_CHECK_INTEGRITY, custos_probe_integrity },
	{ CUSTOS_CHECK_SET, CUSTOS_CHECK_SET, custos_probe_set_attributes },
	{ CUSTOS_CHECK_COPY, CUSTOS_CHECK_COPY, custos_probe_copy },
	{ CUSTOS_CHECK_MECHANISM, CUSTOS_CHECK_MECHANISM, custos_probe_other_mechanisms },
	{ CUSTOS_CHECK_WRAP_SECRET, CUSTOS_CHECK_WRAP_SECRET, custos_probe_wrap_secret },
	{ CUSTOS_CHECK_UNWRAP_READABLE, CUSTOS_CHECK_UNWRAP_READABLE, custos_probe_unwrap_readable },
	{ CUSTOS_CHECK_UNWRAP_SECRET, CUSTOS_CHECK_UNWRAP_SECRET, custos_probe_unwrap_secret },
	{ CUSTOS_CHECK_UNWRAP_TOKEN, CUSTOS_CHECK_UNWRAP_TOKEN, custos_probe_unwrap_token },
	{ CUSTOS_CHECK_CONFUSION, CUSTOS_CHECK_CONFUSION, custos_probe_confusion },
	{ CUSTOS_CHECK_CONJURING, CUSTOS_CHECK_CONJURING, custos_probe_conjuring },
	{ CUSTOS_CHECK_ORACLE, CUSTOS_CHECK_ORACLE, custos_probe_oracle },
	{ CUSTOS_CHECK_THREADS, CUSTOS_CHECK_THREADS, custos_probe_threads },
	{ CUSTOS_CHECK_TRUSTED, CUSTOS_CHECK_TRUSTED, custos_probe_trusted },
	{ CUSTOS_CHECK_PROFILE, CUSTOS_CHECK_PROFILE, custos_probe_profile },
	{ CUSTOS_CHECK_LOGOUT, CUSTOS_CHECK_LOGOUT, custos_probe_logout },
};

custos_rc custos_probe_say(struct custos_probe *p, enum custos_verdict verdict, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	vsnprintf(p->seen, sizeof p->seen, format, ap);
	va_end(ap);
	p->verdict = verdict;
	return CUSTOS_OK;
}

custos_rc custos_probe_judge(struct custos_probe *p, const char *fine, const char *hits, enum custos_verdict otherwise)
{
	return hits[0] == '\0' ? custos_probe_say(p, CUSTOS_VERDICT_OK, "%s", fine) : custos_probe_say(p, otherwise, "%s", hits);
}

void custos_probe_list(char *list, size_t size, const char *format, ...)
{
	size_t used = strlen(list);
	va_list ap;
	if (used > 0 && used + 2 < size) {
		memcpy(list + used, ", ", 3);
		used += 2;
	}
	va_start(ap, format);
	vsnprintf(list + used, size - used, format, ap);
	va_end(ap);
}

bool custos_probe_spares(const struct custos_probe *p)
{
	return custos_key_type_bits(p->row->type) > 4096 && (p->flags & CUSTOS_PROBE_LARGE) == 0;
}

/* What a token says that cannot do something, as opposed to doing it wrongly. */
static bool is_lack(long native)
{
	static const CK_RV codes[] = {
		CKR_MECHANISM_INVALID, CKR_FUNCTION_NOT_SUPPORTED, CKR_KEY_NOT_WRAPPABLE, CKR_DOMAIN_PARAMS_INVALID, CKR_KEY_SIZE_RANGE, CKR_CURVE_NOT_SUPPORTED, CKR_TEMPLATE_INCONSISTENT,
		CKR_ATTRIBUTE_VALUE_INVALID, CKR_ATTRIBUTE_TYPE_INVALID, CKR_MECHANISM_PARAM_INVALID, CKR_RANDOM_NO_RNG,
	};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (codes[i] == (CK_RV)native)
			return true;
	return false;
}

static struct custos_json *finding(const struct custos_probe *p)
{
	struct custos_json *json = custos_json_object();
	CUSTOS_AUTO_STR *seen = custos_text_safe(CUSTOS_BYTES_STR(p->seen), sizeof p->seen);
	custos_json_set_text(json, "name", p->row->name);
	custos_json_set_text(json, "verdict", custos_verdict_name(p->verdict));
	custos_json_set_text(json, "seen", seen);
	if (custos_json_count(p->facts) > 0)
		custos_json_set(json, "facts", custos_json_ref(p->facts));
	return json;
}

static const struct custos_check_row *row_of(enum custos_check check)
{
	for (size_t i = 0; custos_check_at(i) != NULL; i++)
		if (custos_check_at(i)->check == check)
			return custos_check_at(i);
	return NULL;
}

custos_rc custos_probe_run(struct custos_session *session, enum custos_check check, unsigned flags, struct custos_json **ret_finding, struct custos_err *err)
{
	struct custos_probe p = { .session = session, .f = session->module.functions, .flags = flags, .row = row_of(check), .strict = session->profile };
	struct custos_err why = { 0 };
	custos_rc rc = CUSTOS_E_INTERNAL;
	CUSTOS_REQUIRE(p.row != NULL, err, CUSTOS_E_INTERNAL, "there is no check %u", (unsigned)check);
	p.strict.tier = CUSTOS_TIER_HARDENED;
	p.strict.not_sent = p.strict.not_read = 0;
	p.facts = custos_json_object();
	(void)custos_probe_say(&p, CUSTOS_VERDICT_FAIL, "the check came to no end");
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
		if (check >= checks[i].first && check <= checks[i].last)
			rc = checks[i].run(&p, &why);
	/* what it handed out may be no key, no signature, no container at all */
	if (rc == CUSTOS_E_TOKEN || rc == CUSTOS_E_INPUT || rc == CUSTOS_E_TAMPERED)
		rc = custos_probe_say(&p, is_lack(why.native) ? CUSTOS_VERDICT_LACKS : CUSTOS_VERDICT_FAIL, "%s", why.msg);
	if (rc == CUSTOS_OK)
		*ret_finding = finding(&p);
	else
		(void)custos_err_set(err, rc, why.native, "%s", why.msg);
	custos_json_free(p.facts);
	return rc;
}
