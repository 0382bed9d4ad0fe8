/* What is known about a family of tokens, as data: tokens/README.md says what each field means. */
#ifndef CUSTOS_TOKEN_PROFILE_H
#define CUSTOS_TOKEN_PROFILE_H

#include "token/client.h"

enum custos_tier { CUSTOS_TIER_SIGN_ONLY, CUSTOS_TIER_BASIC, CUSTOS_TIER_HARDENED };
enum custos_file_copy { CUSTOS_FILE_COPY_NONE, CUSTOS_FILE_COPY_SOFTHSM };
enum custos_wrap_format { CUSTOS_WRAP_RFC5649 };

struct custos_key_types {
	enum custos_key_type of[6];
	size_t count;
};

struct custos_token_profile {
	char name[32], module[64], manufacturer[33], model[17];
	enum custos_tier tier;
	enum custos_file_copy file_copy;
	unsigned long wrap_mechanism;
	enum custos_wrap_format wrap_format;
	unsigned padding;
	struct custos_key_types deployable, sign_only, log;
	unsigned pin_min, pin_max;
};

CUSTOS_RC custos_token_profile_parse(struct custos_bytes yaml, const char *file, struct custos_token_profile *ret_profile, struct custos_err *err);
/* The shipped profile of that name. */
CUSTOS_RC custos_token_profile_named(const char *name, struct custos_token_profile *ret_profile, struct custos_err *err);
/* The shipped profile for a module, by the file name of its path: all that is known before C_Initialize. *ret_found is false when there is none. */
CUSTOS_RC custos_token_profile_for_module(const char *path, struct custos_token_profile *ret_profile, bool *ret_found, struct custos_err *err);
/* The shipped profile a token fits by its own words. */
CUSTOS_RC custos_token_profile_for_token(const char *manufacturer, const char *model, struct custos_token_profile *ret_profile, bool *ret_found, struct custos_err *err);
/* Whether a token is of this family by its own words. */
CUSTOS_MUST bool custos_token_profile_fits(const struct custos_token_profile *profile, const char *manufacturer, const char *model);
CUSTOS_MUST bool custos_key_types_include(const struct custos_key_types *types, enum custos_key_type type);
const char *custos_tier_name(enum custos_tier tier);

#endif
