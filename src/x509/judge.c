/* The client's verdict, by OpenSSL's own verifier. Our part is what goes in and the words that come out. */
#include "x509/judge.h"
#include "x509/issuer.h"
#include "x509/name.h"
#include "x509/parsed.h"

#include <stdio.h>

static const char *plain(int code)
{
	switch (code) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "its issuer was not sent and is no trusted root (a missing intermediate, or an unknown root)";
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "the chain ends in a root that is not trusted";
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return "it is self-signed and not trusted";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "it has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "it is not valid yet";
	case X509_V_ERR_INVALID_PURPOSE:
		return "it is not meant for this use of TLS (or, for an issuer, not for issuing)";
	case X509_V_ERR_INVALID_CA:
		return "it may not issue certificates";
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		return "its key is too weak";
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return "it is signed with a weak digest";
	default:
		return X509_verify_cert_error_string(code);
	}
}

static enum custos_judgement judge_path(X509 *leaf, STACK_OF(X509) *others, const struct custos_judge_options *o, char *why, size_t why_size)
{
	bool any_purpose = (o->flags & CUSTOS_JUDGE_ANY_PURPOSE) != 0;
	CUSTOS_AUTO_OSSL(store_ctx) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	if (ctx == NULL || X509_STORE_CTX_init(ctx, custos_anchors_store(o->anchors), leaf, others) != 1 ||
	    X509_STORE_CTX_set_default(ctx, any_purpose ? "default" : o->purpose != NULL ? o->purpose : "ssl_server") != 1) {
		snprintf(why, why_size, "the chain cannot be verified: out of memory");
		return CUSTOS_JUDGE_REFUSED;
	}
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_auth_level(param, (o->flags & CUSTOS_JUDGE_ANY_STRENGTH) != 0 ? 0 : CUSTOS_CLIENT_SECURITY_LEVEL);
	/* a time that was set counts for more than the flag */
	if ((o->flags & CUSTOS_JUDGE_ANY_DATE) != 0)
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
	else
		X509_VERIFY_PARAM_set_time(param, (time_t)o->now_unix);
	if (X509_verify_cert(ctx) == 1)
		return CUSTOS_JUDGE_ACCEPTED;
	X509 *at = X509_STORE_CTX_get_current_cert(ctx);
	CUSTOS_AUTO_STR *subject = custos_name_text(at == NULL ? NULL : X509_get_subject_name(at));
	snprintf(why, why_size, "'%.200s': %s", subject == NULL ? "" : subject, plain(X509_STORE_CTX_get_error(ctx)));
	return CUSTOS_JUDGE_REFUSED;
}

static enum custos_judgement judge_dates(const X509 *leaf, int64_t now_unix, char *why, size_t why_size)
{
	int64_t from = 0, until = 0;
	if (!custos_parsed_time(X509_get0_notBefore(leaf), &from) || !custos_parsed_time(X509_get0_notAfter(leaf), &until)) {
		snprintf(why, why_size, "its validity cannot be read");
		return CUSTOS_JUDGE_REFUSED;
	}
	if (now_unix >= from && now_unix <= until)
		return CUSTOS_JUDGE_ACCEPTED;
	snprintf(why, why_size, "%s", now_unix < from ? "the certificate is not valid yet" : "the certificate has expired");
	return CUSTOS_JUDGE_REFUSED;
}

static enum custos_judgement judge_certs(STACK_OF(X509) *certs, const struct custos_judge_options *o, char *why, size_t why_size)
{
	X509 *leaf = sk_X509_value(certs, 0);
	enum custos_judgement path = CUSTOS_JUDGE_ACCEPTED;
	if (o->anchors != NULL && (o->flags & CUSTOS_JUDGE_ANY_PATH) == 0)
		path = judge_path(leaf, certs, o, why, why_size);
	else if ((o->flags & CUSTOS_JUDGE_ANY_DATE) == 0)
		path = judge_dates(leaf, o->now_unix, why, why_size);
	if (path != CUSTOS_JUDGE_ACCEPTED || o->name == NULL || custos_parsed_covers(leaf, o->name))
		return path;
	CUSTOS_AUTO_STR *subject = custos_name_text(X509_get_subject_name(leaf));
	snprintf(why, why_size, "'%.200s': it does not name %.200s", subject == NULL ? "" : subject, o->name);
	return CUSTOS_JUDGE_REFUSED;
}

/* Parses the chain into *certs; `expected_leaf` may be empty. */
static enum custos_judgement read_chain(const struct custos_bytes *ders, size_t count, struct custos_bytes expected_leaf, STACK_OF(X509) *certs, char *why, size_t why_size)
{
	why[0] = '\0';
	if (count == 0) {
		snprintf(why, why_size, "the server sent no certificate");
		return CUSTOS_JUDGE_REFUSED;
	}
	for (size_t i = 0; i < count; i++) {
		CUSTOS_AUTO_OSSL(cert) X509 *cert = NULL;
		if (custos_parsed_cert(ders[i], &cert, NULL) != CUSTOS_OK || certs == NULL || sk_X509_push(certs, cert) <= 0) {
			snprintf(why, why_size, "certificate %zu of the chain cannot be read", i + 1);
			return i == 0 && expected_leaf.len > 0 ? CUSTOS_JUDGE_OTHER_LEAF : CUSTOS_JUDGE_REFUSED;
		}
		cert = NULL; /* the stack owns it now */
	}
	if (expected_leaf.len > 0 && !custos_bytes_equal(ders[0], expected_leaf)) {
		CUSTOS_AUTO_STR *subject = custos_name_text(X509_get_subject_name(sk_X509_value(certs, 0)));
		snprintf(why, why_size, "another certificate is served: '%.300s'", subject == NULL ? "" : subject);
		return CUSTOS_JUDGE_OTHER_LEAF;
	}
	return CUSTOS_JUDGE_ACCEPTED;
}

static enum custos_judgement judge(const struct custos_bytes *ders, size_t count, struct custos_bytes expected_leaf, const struct custos_judge_options *o, char *why, size_t why_size)
{
	CUSTOS_CLEANUP(custos_drop_certs) STACK_OF(X509) *certs = sk_X509_new_null();
	enum custos_judgement judgement = read_chain(ders, count, expected_leaf, certs, why, why_size);
	if (judgement == CUSTOS_JUDGE_ACCEPTED)
		judgement = judge_certs(certs, o, why, why_size);
	custos_x509_drain();
	return judgement;
}

enum custos_judgement custos_judge_chain(const struct custos_bytes *ders, size_t count, const struct custos_judge_options *options, char *why, size_t why_size)
{
	return judge(ders, count, CUSTOS_BYTES(NULL, 0), options, why, why_size);
}

enum custos_judgement custos_judge_served(const struct custos_bytes *ders, size_t count, struct custos_bytes expected_leaf, const struct custos_anchors *anchors,
                                          const char *name, int64_t now_unix, char *why, size_t why_size)
{
	return judge(ders, count, expected_leaf, &(struct custos_judge_options){ .anchors = anchors, .name = name, .now_unix = now_unix }, why, why_size);
}
