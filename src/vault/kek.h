/* The KEKs of a custody: opening the one that a key is under, making the next, letting it out to its backup, moving the keys. */
#ifndef CUSTOS_VAULT_KEK_H
#define CUSTOS_VAULT_KEK_H

#include "vault/vault.h"

/* A KEK as the token layer wants to know it; `ref` borrows from the rest. */
struct custos_loaded_kek {
	uint8_t id[16];
	struct custos_buf canary, canary_spki;
	struct custos_token_kek ref;
};
void custos_loaded_kek_done(struct custos_loaded_kek *kek);
/* By its record in the state. */
CUSTOS_RC custos_vault_load_kek(struct custos_custody *c, const struct custos_json *record, struct custos_loaded_kek *ret_kek, struct custos_err *err);
/* Has the token use the KEK of this generation from now on, unless it does already. 0: none is needed. */
CUSTOS_RC custos_vault_open_kek(struct custos_custody *c, struct custos_token *token, int64_t generation, struct custos_err *err);

/* Was a restore interrupted when the log was the new token's already, and custody.yaml the old one's still? */
CUSTOS_MUST bool custos_restore_is_unfinished(const char *dir);

/* Of a token that is to get a KEK: before anybody is asked for a PIN or a share. */
CUSTOS_RC custos_vault_require_wrapping(const struct custos_token_info *info, struct custos_err *err);

/* Whoever keeps the backup of the KEK that is about to be made: the second token is opened, or the custodians' keys are read and the courier is started, so that what can go
 * wrong goes wrong before the KEK is made. */
struct custos_keeper_of_backup;
/* *ret_keeper is NULL when no backup is asked for. */
CUSTOS_RC custos_backup_start(struct custos_custody *c, const struct custos_kek_backup *backup, struct custos_keeper_of_backup **ret_keeper, struct custos_err *err);
void custos_keeper_of_backup_free(struct custos_keeper_of_backup *keeper);
CUSTOS_DEFINE_FREEP(custos_keeper_of_backup);

/* The next generation, from its intent to the entry that says it is the current one. `keeper` NULL: without a backup; else nothing stays on the token before the backup has proven
 * itself. What an earlier attempt may have left on the token is destroyed first. */
CUSTOS_RC custos_kek_bear(struct custos_custody *c, struct custos_keeper_of_backup *keeper, const char *reason, struct custos_err *err);
/* Inside it: the KEK `canary` belongs to, which the token holds as a session object, goes to its backup. *ret_backup is what the log will say of that. */
struct custos_unkept_kek {
	int64_t generation, intent;
	const char *label, *id_hex;
	const struct custos_token_key *canary;
	struct custos_token_kek ref;
};
CUSTOS_RC custos_backup_take(struct custos_keeper_of_backup *keeper, const struct custos_unkept_kek *kek, struct custos_json **ret_backup, struct custos_err *err);

#endif
