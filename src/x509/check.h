/* "Could a server use this?": everything of `cert check` and `cert accept` in one report.
 *
 * {"usable":bool,"for":"server"|"esxi"|"client",
 *  "files":[{"file","line","kind","what","form", facts of cert.h for certificates and requests}],
 *  "chain":[{"file","line", facts}],            leaf first, root dropped
 *  "problems":[{"code","severity":"error"|"warning"|"fixed","text","remedy"}]}
 *
 * usable: there is a chain and no problem is an error. */
#ifndef CUSTOS_X509_CHECK_H
#define CUSTOS_X509_CHECK_H

#include "x509/blocklist.h"
#include "x509/chain.h"
#include <custos/json.h>

/* How long a certificate may be valid for: as long as it likes; as long as those of public CAs may; so many days; as those of public CAs, and more is a warning. */
enum custos_validity_kind { CUSTOS_VALIDITY_ANY, CUSTOS_VALIDITY_PUBLIC, CUSTOS_VALIDITY_DAYS, CUSTOS_VALIDITY_PUBLIC_ADVISED };
struct custos_validity_limit {
	enum custos_validity_kind kind;
	unsigned days;                        /* DAYS */
	const struct custos_anchors *roots;   /* PUBLIC…: only chains that end at one of these; NULL: every chain */
};

struct custos_check_options {
	const char *for_profile;              /* "server", "esxi" or "client"; NULL means "server" */
	struct custos_bytes spki;             /* the key the certificate must belong to; empty: not asked */
	struct custos_bytes spki_sha256;      /* the same when only its hash is known; empty: not asked */
	struct custos_bytes leaf_spki;        /* which certificate is meant, where that is known; empty: found out. No demand */
	const char *name;                     /* the host that the certificate must name; NULL: not asked */
	struct custos_bytes csr;              /* DER of the request: its names must be covered, its key must be the certificate's; empty: not asked */
	const struct custos_anchors *trust;   /* NULL: trust is not judged */
	int64_t now_unix;
	struct custos_bag *last_use;          /* the bag itself, from a caller who only wants the report: what was parsed is freed while the report grows; else NULL */
	struct custos_validity_limit validity;
	const struct custos_blocklist *blocklist; /* NULL: none */
	const char *const *names;             /* names that clients will ask for besides those of the request, NULL-terminated; NULL: none */
	const char *const *accept;            /* codes of problems to accept, NULL-terminated, each custos_check_may_accept(); NULL: none */
};

/* Which errors a person may accept: "ec_for_esxi", "pss_for_esxi", "large_rsa_for_esxi", "expired", "not_yet_valid", "long_validity", "sha1_signature", "weak_rsa", "weak_ec",
 * "close_primes", "roca", "blocked_key", "key_usage", "self_signed", "san_missing", "no_server_auth", "untrusted_root", "missing_intermediate", "client_refuses". What was accepted is
 * a warning with "accepted":true. */
CUSTOS_MUST bool custos_check_may_accept(const char *code);

/* The report is made whatever the bag holds; the return code is about the call (memory, unknown profile or code), not about the certificate. ret_chain may be NULL. */
CUSTOS_RC custos_cert_check(const struct custos_bag *bag, const struct custos_check_options *options, struct custos_json **ret_report, struct custos_chain **ret_chain,
                            struct custos_err *err);

#endif
