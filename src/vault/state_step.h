/* Inside the fold: one entry being applied, and what its events share. */
#ifndef CUSTOS_VAULT_STATE_STEP_H
#define CUSTOS_VAULT_STATE_STEP_H

#include "vault/state.h"

struct custos_step {
	struct custos_state *state;
	uint64_t index;
	const struct custos_json *entry;
	struct custos_err *err;
};

custos_rc custos_step_contradicts(const struct custos_step *step, const char *what);
void custos_step_copy(struct custos_json *to, const struct custos_json *from, const char *member);
/* The key that the entry names, in whatever state; and one that is not destroyed, nor about to be. */
CUSTOS_RC custos_step_any_key(const struct custos_step *step, struct custos_json **ret_key);
CUSTOS_RC custos_step_live_key(const struct custos_step *step, struct custos_json **ret_key);
/* Entry without what every entry has, and with its index. */
struct custos_json *custos_step_record(const struct custos_step *step);

/* state_keys.c: how keys come, are proven, go and come back. */
CUSTOS_RC custos_step_key_generate(struct custos_step *step);
CUSTOS_RC custos_step_open_intent(struct custos_step *step);
CUSTOS_RC custos_step_import_intent(struct custos_step *step);
CUSTOS_RC custos_step_key_imported(struct custos_step *step);
CUSTOS_RC custos_step_key_drilled(struct custos_step *step);
CUSTOS_RC custos_step_key_exported(struct custos_step *step);
CUSTOS_RC custos_step_destroy_intent(struct custos_step *step);
CUSTOS_RC custos_step_key_destroyed(struct custos_step *step);
CUSTOS_RC custos_step_key_restored(struct custos_step *step);

/* state_kek.c: one KEK after the other. */
void custos_step_first_kek(const struct custos_step *step);
CUSTOS_RC custos_step_kek_intent(struct custos_step *step);
CUSTOS_RC custos_step_kek_backup_intent(struct custos_step *step);
CUSTOS_RC custos_step_kek_generated(struct custos_step *step);
CUSTOS_RC custos_step_key_rewrapped(struct custos_step *step);
CUSTOS_RC custos_step_kek_retire_intent(struct custos_step *step);
CUSTOS_RC custos_step_kek_retired(struct custos_step *step);
CUSTOS_RC custos_step_kek_restored(struct custos_step *step);

#endif
