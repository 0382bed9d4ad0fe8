/* Rules that are policy, not syntax: how long a certificate may last, which keys nobody should rely on.
 *
 * The limits of public CAs are those of the CA/Browser Forum's Baseline Requirements, 6.3.2 (the steps from 2026 on are its ballot SC-081v3); browsers enforce them by the
 * certificate's beginning. A day is 86,400 seconds there, both ends included, so that one second more makes another day. */
#include "base/clock.h"
#include "crypto/weak_key.h"
#include "x509/parsed.h"
#include "x509/rules.h"

#define ADD(code, severity, remedy, ...) custos_problems_add(r->problems, code, CUSTOS_SEVERITY_##severity, remedy, __VA_ARGS__)
enum { SECONDS_A_DAY = 86400 };

unsigned custos_rules_public_days(int64_t not_before)
{
	static const struct {
		int64_t from;
		unsigned days;
	} steps[] = {
		{ 1868227200 /* 2029-03-15 */, 47 }, { 1805068800 /* 2027-03-15 */, 100 }, { 1773532800 /* 2026-03-15 */, 200 }, { 1598918400 /* 2020-09-01 */, 398 },
	};
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (not_before >= steps[i].from)
			return steps[i].days;
	return 825;
}

void custos_rules_validity(const struct custos_rules *r, struct x509_st *leaf, struct x509_st *last, const char *subject)
{
	const struct custos_validity_limit *limit = &r->options->validity;
	int64_t from = 0, until = 0;
	/* what cannot be read, or ends before it begins, is said elsewhere */
	if (limit->kind == CUSTOS_VALIDITY_ANY || !custos_parsed_time(X509_get0_notBefore(leaf), &from) || !custos_parsed_time(X509_get0_notAfter(leaf), &until) || until < from)
		return;
	bool advised = limit->kind == CUSTOS_VALIDITY_PUBLIC_ADVISED, public = advised || limit->kind == CUSTOS_VALIDITY_PUBLIC;
	if (public && limit->roots != NULL && !custos_anchors_issued(limit->roots, last, NULL))
		return;
	/* what an administrator calls 90 days is what `openssl ca -days 90` makes, a second more than 90 days with both ends */
	int64_t most = public ? custos_rules_public_days(from) : limit->days, seconds = until - from + (public ? 1 : 0);
	if (seconds <= most * SECONDS_A_DAY)
		return;
	long long days = (long long)((seconds + SECONDS_A_DAY - 1) / SECONDS_A_DAY);
	char begins[CUSTOS_TIME_TEXT];
	custos_clock_text(from, begins);
	if (advised)
		ADD("long_validity", WARNING, "ask the CA for a shorter one; nothing to do, if the CA is your own and was added to this machine's roots",
		    "'%.300s' is valid for %lld days; of a public CA one that begins on %.10s may be for %lld at most, and browsers refuse it", subject, days, begins, (long long)most);
	else if (public)
		ADD("long_validity", ERROR, "ask the CA for a shorter one; for a CA of your own: certificates: max_days in custody.yaml",
		    "'%.300s' is valid for %lld days; of a public CA one that begins on %.10s may be for %lld at most, and clients refuse it", subject, days, begins, (long long)most);
	else
		ADD("long_validity", ERROR, "ask the CA for a shorter one, or change certificates: max_days in custody.yaml", "'%.300s' is valid for %lld days; this custody takes %lld at most",
		    subject, days, (long long)most);
}

static custos_rc look_up(const struct custos_rules *r, struct custos_bytes spki, const char *subject, struct custos_err *err)
{
	bool blocked = false;
	if (r->options->blocklist == NULL)
		return CUSTOS_OK;
	CUSTOS_TRY(custos_blocklist_find(r->options->blocklist, spki, &blocked, err));
	if (blocked)
		ADD("blocked_key", ERROR, "generate a new key and ask for a certificate for that", "the key of '%.300s' is on the list of keys not to be used", subject);
	return CUSTOS_OK;
}

custos_rc custos_rules_key(const struct custos_rules *r, struct x509_st *cert, const char *subject, struct custos_err *err)
{
	CUSTOS_AUTO_BUF spki = { 0 };
	unsigned weaknesses = 0;
	/* a key of a type that is not known is a problem already */
	if (X509_get0_pubkey(cert) == NULL) {
		custos_x509_drain();
		return CUSTOS_OK;
	}
	CUSTOS_TRY(custos_parsed_spki(X509_get_X509_PUBKEY(cert), &spki, err));
	if (custos_weak_key_look(custos_buf_view(&spki), &weaknesses, NULL) != CUSTOS_OK)
		return CUSTOS_OK;
	if (weaknesses & CUSTOS_WEAK_EXPONENT)
		ADD("broken_rsa", ERROR, "generate a new key with a generator that can be trusted", "the RSA key of '%.300s' has an exponent that is even or 1", subject);
	if (weaknesses & CUSTOS_WEAK_SMALL_FACTOR)
		ADD("broken_rsa", ERROR, "generate a new key with a generator that can be trusted", "the RSA key of '%.300s' has a factor below 752: its private half is easily computed",
		    subject);
	if (weaknesses & CUSTOS_WEAK_CLOSE_PRIMES)
		ADD("close_primes", ERROR, "generate a new key with a generator that can be trusted",
		    "the primes of the RSA key of '%.300s' are close to each other: Fermat's method finds its private half at once", subject);
	if (weaknesses & CUSTOS_WEAK_ROCA)
		ADD("roca", ERROR, "generate a new key on another token, or one with corrected firmware",
		    "the RSA key of '%.300s' has the fingerprint of ROCA (CVE-2017-15361): its private half can be computed", subject);
	return look_up(r, custos_buf_view(&spki), subject, err);
}

void custos_rules_usage(const struct custos_rules *r, struct x509_st *leaf)
{
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	uint32_t usage = X509_get_key_usage(leaf); /* all bits when the extension is absent */
	bool rsa = key != NULL && EVP_PKEY_is_a(key, "RSA");
	if ((usage & KU_DIGITAL_SIGNATURE) != 0)
		return;
	if (!rsa || r->client || (usage & KU_KEY_ENCIPHERMENT) == 0)
		ADD("key_usage", ERROR, "ask the CA for key usage digitalSignature", "the key usage lacks digitalSignature: %s end the handshake", r->client ? "servers" : "clients");
	else if (!r->esxi)
		ADD("key_usage", WARNING, "ask the CA for key usage digitalSignature", "the key usage lacks digitalSignature: no TLS 1.3, and no handshake with forward secrecy");
}

void custos_rules_asked_names(const struct custos_rules *r, struct x509_st *leaf)
{
	for (size_t i = 0; r->options->names != NULL && r->options->names[i] != NULL; i++)
		if (!custos_parsed_covers(leaf, r->options->names[i]))
			ADD("target_not_covered", WARNING, "ask for a certificate with this name before it is to be deployed there",
			    "the certificate does not cover %.300s, by which a host that the key may go to is verified", r->options->names[i]);
}
