/* The keeper's side of the doctor: asks custos-token for one check after the other and judges what came of it. */
#ifndef CUSTOS_TOKEN_DOCTOR_H
#define CUSTOS_TOKEN_DOCTOR_H

#include "token/checks.h"

/* Appends a finding a check to `checks`: {"name","asks","verdict","seen","facts"?}. The first of the two before the login, the second after it; the second
 * counts the token's objects before and after, too. A custos-token that crashed or had to be killed is a finding ("died"), and those that could not be
 * made any more are, too ("skipped"). `flags`: enum custos_probe_flags. */
CUSTOS_RC custos_doctor_look(struct custos_token *token, unsigned flags, struct custos_json *checks, struct custos_err *err);
CUSTOS_RC custos_doctor_examine(struct custos_token *token, unsigned flags, struct custos_json *checks, struct custos_err *err);

/* The best tier these findings allow, and why not a better one, in words of at most `size` bytes. */
enum custos_tier custos_doctor_judge(const struct custos_json *checks, char *reason, size_t size);

/* A profile made of the findings, as YAML that custos_token_profile_parse() takes. CUSTOS_E_POLICY when they allow none. */
CUSTOS_RC custos_doctor_profile(const struct custos_token_info *token, const struct custos_json *checks, struct custos_buf *yaml, struct custos_err *err);

/* false for a word that is no tier. */
CUSTOS_MUST bool custos_tier_parse(const char *word, enum custos_tier *ret_tier);

#endif
