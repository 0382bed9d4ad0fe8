/* The doctor's second opinion: what a token wrapped under an AES-256 key that is known here.
 *
 * The wrapping key and what is wrapped are throw-away keys that protect nothing; what comes out is handled like any secret all the same. */
#ifndef CUSTOS_CRYPTO_TRIAL_H
#define CUSTOS_CRYPTO_TRIAL_H

#include "base/bytes.h"

/* RFC 5649; RFC 3394; RFC 3394 over data with PKCS#7 padding; AES-CBC with PKCS#7 padding. */
enum custos_wrapped_form { CUSTOS_WRAPPED_UNKNOWN, CUSTOS_WRAPPED_RFC5649, CUSTOS_WRAPPED_RFC3394, CUSTOS_WRAPPED_RFC3394_PKCS7, CUSTOS_WRAPPED_CBC_PKCS7 };
const char *custos_wrapped_form_name(enum custos_wrapped_form form);   /* "rfc5649" …, "unknown" */

struct custos_wrapped_look {
	enum custos_wrapped_form form;
	bool is_the_key;      /* PKCS#8 of the key with that SPKI; of an EC key without its point the curve is all that can be compared */
	unsigned padding;     /* zero bytes after it */
};
enum { CUSTOS_TRIAL_KEY_SIZE = 32, CUSTOS_TRIAL_IV_SIZE = 16 };
CUSTOS_RC custos_wrapped_look(const uint8_t key[static CUSTOS_TRIAL_KEY_SIZE], const uint8_t iv[static CUSTOS_TRIAL_IV_SIZE], struct custos_bytes wrapped, struct custos_bytes spki,
                              struct custos_wrapped_look *ret_look, struct custos_err *err);

/* AES-256-CBC of 32 bytes whose last one promises 16 bytes of padding that are not there (RFC 5652 6.3): for who looks at the whole padding it does not open. */
enum { CUSTOS_TRIAL_UNPADDED_SIZE = 32 };
CUSTOS_RC custos_wrapped_unpadded(const uint8_t key[static CUSTOS_TRIAL_KEY_SIZE], const uint8_t iv[static CUSTOS_TRIAL_IV_SIZE], uint8_t ret_wrapped[static CUSTOS_TRIAL_UNPADDED_SIZE],
                                  struct custos_err *err);

#endif
