/* What the doctor asks of a token, in order: the table that custos-token and its keeper share. A check is one request, so that a module that crashes
 * or hangs does it in a check that has a name.
 *
 *   unusable  <  sign-only  <  basic  <  hardened
 *
 * Each row says the best a token can be that fails the check, or that lacks what the check is about. */
#ifndef CUSTOS_TOKEN_CHECKS_H
#define CUSTOS_TOKEN_CHECKS_H

#include "token/profile.h"

enum custos_check {
	CUSTOS_CHECK_NO_LOGIN = 1, CUSTOS_CHECK_OBJECTS, CUSTOS_CHECK_MECHANISMS, CUSTOS_CHECK_RANDOM,
	/* one a key type, in the order of enum custos_key_type */
	CUSTOS_CHECK_SIGN, CUSTOS_CHECK_SIGN_LAST = CUSTOS_CHECK_SIGN + 8,
	CUSTOS_CHECK_KEY, CUSTOS_CHECK_KEK, CUSTOS_CHECK_KEK_TEMPLATE, CUSTOS_CHECK_KEK_SECRET, CUSTOS_CHECK_KEK_WRAPPED, CUSTOS_CHECK_KEK_CIPHER, CUSTOS_CHECK_FORMAT, CUSTOS_CHECK_SIZE_QUERY,
	CUSTOS_CHECK_DEPLOY, CUSTOS_CHECK_DEPLOY_LAST = CUSTOS_CHECK_DEPLOY + 8,
	CUSTOS_CHECK_INTEGRITY, CUSTOS_CHECK_SET, CUSTOS_CHECK_COPY, CUSTOS_CHECK_MECHANISM, CUSTOS_CHECK_WRAP_SECRET, CUSTOS_CHECK_UNWRAP_READABLE, CUSTOS_CHECK_UNWRAP_SECRET,
	CUSTOS_CHECK_UNWRAP_TOKEN, CUSTOS_CHECK_CONFUSION, CUSTOS_CHECK_CONJURING, CUSTOS_CHECK_TRUSTED, CUSTOS_CHECK_PROFILE, CUSTOS_CHECK_LOGOUT,
	CUSTOS_CHECK_TRANSPORT, CUSTOS_CHECK_ORACLE, CUSTOS_CHECK_THREADS,
	CUSTOS_CHECK_END                       /* one more than the last */
};

enum custos_check_flags {
	CUSTOS_CHECK_BEFORE_LOGIN = 1u << 0,
	CUSTOS_CHECK_SLOW = 1u << 1,           /* makes keys that take a device long */
	CUSTOS_CHECK_LAST = 1u << 2,           /* the session is of no use afterwards */
};
struct custos_check_row {
	enum custos_check check;
	const char *name, *asks;
	unsigned flags;
	enum custos_tier failed, lacking;
	enum custos_key_type type;             /* of the checks that are there for each type, else 0 */
};
/* NULL after the last. */
const struct custos_check_row *custos_check_at(size_t index);
const struct custos_check_row *custos_check_named(const char *name);
CUSTOS_MUST bool custos_check_is_known(unsigned check);

/* OK: as it must be. INFO, WARN: worth knowing; no tier depends on it. LACKS: the token cannot do that at all. FAIL: it does it wrongly. */
enum custos_verdict { CUSTOS_VERDICT_OK, CUSTOS_VERDICT_INFO, CUSTOS_VERDICT_WARN, CUSTOS_VERDICT_LACKS, CUSTOS_VERDICT_FAIL };
const char *custos_verdict_name(enum custos_verdict verdict);

/* DOCTOR asks for one check. */
enum custos_probe_flags {
	CUSTOS_PROBE_CLEAN = 1u << 0,
	CUSTOS_PROBE_LARGE = 1u << 1,          /* RSA keys over 4096 bits, too: a minute each */
};

#endif
