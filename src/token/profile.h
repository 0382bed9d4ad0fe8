/* What is known about a family of tokens, as data: tokens/README.md says what each field means. */
#ifndef CUSTOS_TOKEN_PROFILE_H
#define CUSTOS_TOKEN_PROFILE_H

#include "crypto/sealed_container.h"
#include "token/client.h"

/* UNUSABLE is a verdict of the doctor; no profile says so. */
enum custos_tier { CUSTOS_TIER_UNUSABLE = -1, CUSTOS_TIER_SIGN_ONLY, CUSTOS_TIER_BASIC, CUSTOS_TIER_HARDENED };
enum custos_file_copy { CUSTOS_FILE_COPY_NONE, CUSTOS_FILE_COPY_SOFTHSM };
enum custos_wrap_format { CUSTOS_WRAP_RFC5649 };
enum custos_rsa_signing { CUSTOS_RSA_DIGEST_INFO, CUSTOS_RSA_HASHED_BY_TOKEN };
enum custos_pss_signing { CUSTOS_PSS_NONE, CUSTOS_PSS_DIGEST };
enum custos_ecdsa_signing { CUSTOS_ECDSA_DIGEST, CUSTOS_ECDSA_HASHED_BY_TOKEN };
enum custos_sessions { CUSTOS_SESSION_PER_THREAD, CUSTOS_ONE_SESSION };

struct custos_key_types {
	enum custos_key_type of[CUSTOS_KEY_TYPES_END];
	size_t count;
};

struct custos_token_profile {
	char name[32], module[64], manufacturer[33], model[17], firmware[16];
	char parameters[32];          /* environment variable with the module's start parameters; "" when it takes none */
	enum custos_tier tier;
	enum custos_file_copy file_copy;
	bool session_objects;
	bool always_authenticate;     /* its keys may want the PIN before each signature */
	enum custos_sessions sessions;
	unsigned long wrap_mechanism;
	enum custos_wrap_format wrap_format;
	unsigned padding;
	unsigned long ec_point_attribute; /* what C_UnwrapKey wants to be told about an EC key; 0: nothing */
	enum custos_transport transport; /* base/transport.h */
	enum custos_sealing sealing;  /* how content keys of sealed keys get to the token; none: it can neither decrypt nor derive */
	enum custos_rsa_signing rsa;
	enum custos_ecdsa_signing ecdsa;
	enum custos_pss_signing pss;
	struct custos_key_types deployable, sign_only, log;
	uint32_t not_sent, not_read;  /* attributes, as custos_attribute_bit() numbers them */
	unsigned pin_min, pin_max;
};

enum { CUSTOS_LOOSE_ATTRIBUTES = 31 << 12 };
/* The attributes that a profile may leave out, one bit each, the loose ones only where a row says so (template.h); 0 for one that is never left out. `name` as in a policy's row. */
uint32_t custos_attribute_bit(const char *name);
/* Names of the bits, with ", " between, into `out`. */
void custos_attribute_names(uint32_t bits, char *out, size_t size);

CUSTOS_RC custos_token_profile_parse(struct custos_bytes yaml, const char *file, struct custos_token_profile *ret_profile, struct custos_err *err);
/* The shipped profile of that name. */
CUSTOS_RC custos_token_profile_named(const char *name, struct custos_token_profile *ret_profile, struct custos_err *err);
/* The shipped profile for a module, by the file name of its path: all that is known before C_Initialize. *ret_found is false when there is none. */
CUSTOS_RC custos_token_profile_for_module(const char *path, struct custos_token_profile *ret_profile, bool *ret_found, struct custos_err *err);
/* The shipped profile a token fits by its own words. */
CUSTOS_RC custos_token_profile_for_token(const struct custos_token_info *token, struct custos_token_profile *ret_profile, bool *ret_found, struct custos_err *err);
/* Whether a token is of this family by its own words. */
CUSTOS_MUST bool custos_token_profile_fits(const struct custos_token_profile *profile, const struct custos_token_info *token);
/* For a token that no profile fits and that is opened to be examined: nothing is promised and nothing is left out. */
void custos_token_profile_unknown(struct custos_token_profile *ret_profile);
CUSTOS_MUST bool custos_key_types_include(const struct custos_key_types *types, enum custos_key_type type);
/* What comes nearest to a type that is not among them: the same kind, rather weaker than stronger, else P-256 or the first. False when there are none. */
CUSTOS_MUST bool custos_key_types_nearest(const struct custos_key_types *types, enum custos_key_type wanted, enum custos_key_type *ret_nearest);
const char *custos_tier_name(enum custos_tier tier);

#endif
