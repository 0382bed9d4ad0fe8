/* One certificate as an issuer: could a client go on to it, whatever else is on the path, and what does it cost to find out. What a whole path is worth is
 * the judge's to say (judge.h); this is what sends a search another way while there is one. */
#ifndef CUSTOS_X509_ISSUER_H
#define CUSTOS_X509_ISSUER_H

#include "base/bytes.h"

struct x509_st;
struct evp_pkey_st;

enum { CUSTOS_CLIENT_SECURITY_LEVEL = 2 /* what Debian's clients demand: RSA 2048, no SHA-1 */ };

/* What may be spent on one bag: the same for every bag, whoever signed what how often and with keys of what size. */
struct custos_work {
	uint64_t left_us;          /* in about the microseconds that it takes on a common machine */
	bool exhausted;            /* something was not done for want of it */
};
CUSTOS_MUST bool custos_work_afford(struct custos_work *work, uint64_t cost_us);
/* Afford it, and then: does this key verify the certificate? */
CUSTOS_MUST bool custos_work_verify(struct custos_work *work, struct x509_st *cert, struct evp_pkey_st *key);
/* What it takes to read and verify this certificate when a path with it, up from this leaf, is judged. */
CUSTOS_MUST bool custos_work_afford_judging(struct custos_work *work, struct x509_st *cert, struct x509_st *leaf);

/* What the client asks of every issuer on the path, and of the leaf's names. */
struct custos_issuer_terms {
	struct x509_st *leaf;
	int64_t now_unix;          /* 0: dates are not looked at */
	const char *purpose;       /* OpenSSL's name of it; NULL: "ssl_server" */
	struct custos_work *work;
};

/* Its dates, purpose, basic constraints, key usage, critical extensions, the strength of its key and of the signature on it (that of a self-signed one nobody looks at), and
 * whether it may issue for this leaf's names (RFC 5280 6.1.4). */
CUSTOS_MUST bool custos_issuer_fits(struct x509_st *issuer, const struct custos_issuer_terms *terms);
CUSTOS_MUST bool custos_issuer_valid_at(const struct x509_st *cert, int64_t now_unix);
/* Same subject and issuer: not counted by a limit of the path's length (RFC 5280 4.2.1.9). */
CUSTOS_MUST bool custos_issuer_self_issued(const struct x509_st *cert);

#endif
