/* custody.yaml: which token, store and log a custody directory is bound to. Policy and keys are in the log, not here. */
#ifndef CUSTOS_VAULT_BINDING_H
#define CUSTOS_VAULT_BINDING_H

#include "base/bytes.h"

struct custos_binding {
	char *origin, *module, *token_uri, *serial, *profile, *store, *vkey;
	char *pin_source;       /* NULL: the caller decides */
	char *max_days;         /* days a certificate may be valid for: a number, "public", "none"; NULL: not said */
	char *blocklist;        /* file of keys that are not to be certified; NULL: none */
};
enum { CUSTOS_BINDING_DAYS_MAX = 36500 };

/* Refuses a directory or a custody.yaml that does not belong to the caller or root or that others may write. */
CUSTOS_RC custos_binding_read(const char *dir, struct custos_binding *ret_binding, struct custos_err *err);
/* Writes custody.yaml with O_EXCL, 0600, fsynced. */
CUSTOS_RC custos_binding_write(const char *dir, const struct custos_binding *binding, struct custos_err *err);
/* Another token and log key, in two steps that a crash may stand between: written beside custody.yaml as custody.yaml.next, in the place of one from before; put in its place. */
CUSTOS_RC custos_binding_stage(const char *dir, const struct custos_binding *binding, struct custos_err *err);
CUSTOS_RC custos_binding_read_staged(const char *dir, struct custos_binding *ret_binding, struct custos_err *err);
CUSTOS_RC custos_binding_adopt(const char *dir, struct custos_err *err);
/* A file that custody.yaml names, relative to `dir`, of at most text->max bytes: believed only when it belongs to the caller or root and nobody else may write it. */
CUSTOS_RC custos_binding_read_named(const char *dir, const char *path, struct custos_buf *text, struct custos_err *err);
void custos_binding_done(struct custos_binding *binding);

#endif
