/* What the keeper gives up before the first byte of a host reaches it: what a courier reports is other people's certificates and words. */
#ifndef CUSTOS_DEPLOY_CONFINE_H
#define CUSTOS_DEPLOY_CONFINE_H

#include "confine/confinement.h"
#include "vault/vault.h"

/* Files: the custody's to read and write, the system's to read and execute (names are resolved, couriers started), devices, and the login files of the targets that
 * get a courier after this one: those of `targets` that are not `taken`. *ret_confinement stays NULL while a program is still to be asked for a password, because nobody knows what that needs.
 * `c` NULL: no custody. */
CUSTOS_RC custos_deploy_confinement(const struct custos_custody *c, const char *const targets[], const bool taken[], size_t count, struct custos_confinement **ret_confinement,
                                    struct custos_err *err);

#endif
