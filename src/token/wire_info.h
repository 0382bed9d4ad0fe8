/* What both sides of the token protocol encode alike: the token's description and the text that proves possession of a key. */
#ifndef CUSTOS_TOKEN_WIRE_INFO_H
#define CUSTOS_TOKEN_WIRE_INFO_H

#include "link/token.h"
#include "token/client.h"

void custos_info_put(struct custos_wire_out *w, const struct custos_token_info *info);
/* Text that does not fit is a failure of the reader. */
void custos_info_take(struct custos_wire *r, struct custos_token_info *ret_info);
void custos_info_set_flags(struct custos_token_info *info, uint32_t flags);
uint32_t custos_info_flags(const struct custos_token_info *info);
/* "user PIN count low, …", or "none". */
void custos_info_pin_flags(const struct custos_token_info *info, char *out, size_t size);

/* A key proves itself over a text that can be nothing else: no CSR, no certificate and no checkpoint starts like this, so a challenge is
 * never a signature somebody wanted. */
enum { CUSTOS_CHALLENGE_TEXT_SIZE = 20 + CUSTOS_CHALLENGE_SIZE };
void custos_challenge_text(const uint8_t challenge[static CUSTOS_CHALLENGE_SIZE], uint8_t out[static CUSTOS_CHALLENGE_TEXT_SIZE]);

#endif
