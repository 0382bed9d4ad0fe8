/* What a TLS client that has only the trust anchors would say about a chain that a server presents: path, purpose, signature strength, validity, name.
 * Nothing is fetched (no AIA, no OCSP), so a missing intermediate is not hidden. */
#ifndef CUSTOS_X509_JUDGE_H
#define CUSTOS_X509_JUDGE_H

#include "base/bytes.h"
#include "x509/anchors.h"

enum custos_judgement {
	CUSTOS_JUDGE_ACCEPTED = 1,
	CUSTOS_JUDGE_OTHER_LEAF,  /* the first certificate is not the expected one; trust was not looked at */
	CUSTOS_JUDGE_REFUSED,
};

/* What the client does not look at, because a person has accepted it: how a certificate is judged before it is taken, never how a host is. */
enum custos_judge_flags {
	CUSTOS_JUDGE_ANY_DATE = 1u << 0,
	CUSTOS_JUDGE_ANY_STRENGTH = 1u << 1,  /* of keys and signatures */
	CUSTOS_JUDGE_ANY_PURPOSE = 1u << 2,
	CUSTOS_JUDGE_ANY_PATH = 1u << 3,
};
struct custos_judge_options {
	const struct custos_anchors *anchors; /* NULL: the path is not judged, only leaf, validity and name */
	const char *name;                     /* DNS name or address; NULL: not judged */
	int64_t now_unix;
	unsigned flags;                       /* enum custos_judge_flags */
	const char *purpose;                  /* OpenSSL's name of it; NULL: "ssl_server" */
};
CUSTOS_MUST enum custos_judgement custos_judge_chain(const struct custos_bytes *ders, size_t count, const struct custos_judge_options *options, char *why, size_t why_size);

/* `ders` as served, leaf first. `expected_leaf` (DER) may be empty: any leaf. `anchors` NULL: the path is not judged, only leaf, validity and name. `name`
 * (DNS name or address) NULL: not judged. `why` gets one line of plain words, empty when accepted. */
CUSTOS_MUST enum custos_judgement custos_judge_served(const struct custos_bytes *ders, size_t count, struct custos_bytes expected_leaf, const struct custos_anchors *anchors,
                                                      const char *name, int64_t now_unix, char *why, size_t why_size);

#endif
