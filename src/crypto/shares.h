/* Secret sharing: a KEK as N shares, any K of which give it back and K - 1 of which say nothing (Shamir over GF(2^8), libgfshare), and a share as people
 * copy it by hand. For the one process that splits and combines: its libcrypto has a locked heap (heap.h), which libgfshare is given too.
 *
 * A share is 43 bytes: version (1), set (4, big-endian), threshold K, number (1 to N), 32 bytes, and the first 4 of SHA-256 over all that stands before. Written it is their base32
 * (RFC 4648 6, without padding): 69 letters and digits in groups of five, on two lines. Encoded and decoded in constant time, inside locked memory. */
#ifndef CUSTOS_CRYPTO_SHARES_H
#define CUSTOS_CRYPTO_SHARES_H

#include "memory/secret.h"

enum {
	CUSTOS_SHARES_MIN = 2,
	CUSTOS_SHARES_MAX = 20,
	CUSTOS_SHARE_VALUE = 32,            /* bytes: an AES-256 key */
	CUSTOS_SHARE_SYMBOLS = 69,          /* letters and digits of the written form */
	CUSTOS_SHARE_TEXT = 83,             /* the written form with its blanks and line ends */
	CUSTOS_SHARE_TEXT_MAX = 512         /* of what somebody typed */
};

/* Which share of which set: public. */
struct custos_share_label {
	uint32_t set;
	uint8_t threshold, number;
};

struct custos_share {
	struct custos_share_label label;
	struct custos_secret *value;
};
void custos_share_done(struct custos_share *share);

/* `secret` of CUSTOS_SHARE_VALUE bytes into `count` written shares of the set, numbered from 1. ret_texts has room for them; on failure all are NULL. */
CUSTOS_RC custos_shares_split(struct custos_secret *secret, uint32_t set, unsigned threshold, unsigned count, struct custos_secret *ret_texts[], struct custos_err *err);
/* The secret from at least `threshold` shares of one set. With more than that each takes part, and it is CUSTOS_E_INPUT when they do not all lie on one polynomial: when they
 * do, any K of them give this secret. Shares of different sets, a number that comes twice and too few are refused, naming the numbers. */
CUSTOS_RC custos_shares_combine(const struct custos_share shares[], size_t count, struct custos_secret **ret_secret, struct custos_err *err);

CUSTOS_RC custos_share_write(const struct custos_share *share, struct custos_secret **ret_text, struct custos_err *err);
/* Lower case, blanks, dashes and line ends are no matter. CUSTOS_E_INPUT when it is no share or a damaged one, in words that say nothing of what is in it. */
CUSTOS_RC custos_share_read(struct custos_secret *text, struct custos_share *ret_share, struct custos_err *err);
/* How many letters and digits of a share there are in the first `len` bytes of what is being typed. */
size_t custos_share_count_symbols(const uint8_t *typed, size_t len);

#endif
