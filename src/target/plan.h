/* What is to be done on one host: a target's record and its profile, resolved into paths, modes and commands.
 *
 * Made by the keeper (from YAML and the log), written into SETUP, read by the courier: public data, no secrets. */
#ifndef CUSTOS_TARGET_PLAN_H
#define CUSTOS_TARGET_PLAN_H

#include "target/recipe.h"
#include <custos/json.h>

struct custos_profile;

/* A profile is YAML data: `esxi` is built in (src/target/profiles/esxi.yaml), others are files. `name` is what errors call it. */
CUSTOS_RC custos_profile_parse(struct custos_bytes yaml, const char *name, struct custos_profile **ret_profile, struct custos_err *err);
void custos_profile_free(struct custos_profile *profile);
CUSTOS_DEFINE_FREEP(custos_profile);
/* The YAML text of a built-in profile; empty when there is none of that name. */
struct custos_bytes custos_profile_builtin(const char *name);

/* A target's record, as it stands in the log (`target.add`): {"name","address" (host:port),"user","profile","profile_sha256","hostkeys":["SHA256:…"],
 * "verify":["host:port"],"sni","auth","group","ssh_legacy"}. Says what is wrong in plain words (CUSTOS_E_INPUT). */
CUSTOS_RC custos_target_check(const struct custos_json *target, struct custos_err *err);
/* Rules of the profile about the key and the certificate's public facts ("esxi: EC keys …"): CUSTOS_E_POLICY with the reason. key_type as in `custos key generate --type`. */
CUSTOS_RC custos_profile_accepts(const struct custos_profile *profile, const char *key_type, struct custos_err *err);
/* 0 PKCS#8, 1 PKCS#1. */
unsigned custos_profile_key_format(const struct custos_profile *profile);

enum { CUSTOS_VERIFY_MAX = 8, CUSTOS_CONFIRM_DEFAULT_S = 300, CUSTOS_CONFIRM_MAX_S = 86400 };

struct custos_plan {
	char *name;                 /* the target's name */
	char *user;
	char *hostkeys;             /* space-separated SHA256:… fingerprints */
	char *auth;                 /* "password", "agent", "key", "token": which kind of credential will come */
	char *sni;                  /* name a client asks for; "" for none */
	bool ssh_legacy;
	uint32_t verify_count;      /* how many endpoints the keeper can connect (1 to CUSTOS_VERIFY_MAX); each round asks for them in turn */
	char *nonce;                /* 16 hex digits */
	char *previous_backup;      /* or "" */
	char *custody_leaf;         /* hex SHA-256 of the leaf whose pair is in custody, or "" */
	bool keep_backup;
	uint32_t confirm_within_s;  /* after this long without word from the courier the host goes back by itself */
	struct custos_recipe recipe;
};
/* previous_backup: directory on the host holding the pair to put back (ROLLBACK), or the one an earlier deployment left behind and this one may remove, "" if none.
 * keep_backup: a copy of the previous pair stays on the host after success. custody_leaf (NULL: none): instead, it stays unless the host served just this leaf before, whose pair is in
 * custody: what somebody put there by hand is never removed. nonce: 16 hex digits, names staging files and trailers.
 * confirm_within_s: dead man's switch; 0 means CUSTOS_CONFIRM_DEFAULT_S. */
struct custos_plan_options {
	const char *previous_backup, *custody_leaf;
	bool keep_backup;
	const char *nonce;
	uint32_t confirm_within_s;
};
CUSTOS_RC custos_plan_build(const struct custos_json *target, const struct custos_profile *profile, const struct custos_plan_options *options, struct custos_plan *ret_plan, struct custos_err *err);
CUSTOS_RC custos_plan_encode(const struct custos_plan *plan, struct custos_buf *out, struct custos_err *err);
CUSTOS_RC custos_plan_decode(struct custos_bytes in, struct custos_plan *ret_plan, struct custos_err *err);
void custos_plan_done(struct custos_plan *plan);
/* Whether `path` is where a deployment by this plan's target and profile leaves a copy: one of its backup directories, then /.custos-NAME-… */
CUSTOS_MUST bool custos_plan_is_backup(const struct custos_plan *plan, const char *path);
/* The name by which a client knows what is at the target's endpoint: the SNI, else the host part without brackets and port. */
void custos_target_name_at(const struct custos_json *target, size_t endpoint, char out[static 256]);
/* What deploy --dry-run shows: the steps in order, in words and with their commands (never a secret). */
struct custos_json *custos_plan_describe(const struct custos_plan *plan);

#endif
