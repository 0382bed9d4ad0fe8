/* What a command line says of a KEK's backup, for the commands that make a KEK. */
#ifndef CUSTOS_CLI_BACKUP_H
#define CUSTOS_CLI_BACKUP_H

#include "cli/command.h"

#define CUSTOS_BACKUP_DETAILS \
	{ "--backup-module", CUSTOS_OPTION_TEXT, "MODULE", "token: its PKCS#11 module (that of the first)" }, \
	{ "--backup-pin-source", CUSTOS_OPTION_TEXT, "SRC", "token: where its PIN comes from (tty); never the PIN of the first" }, \
	{ "--custodian", CUSTOS_OPTION_LIST, "FILE", "shares: public key or certificate (P-256, PEM) a share is sealed to; repeatable. The rest goes to the screen" }, \
	{ "--share-dir", CUSTOS_OPTION_TEXT, "DIR", "shares: where the share files go (.)" }
#define CUSTOS_BACKUP_OPTIONS \
	{ "--kek-backup", CUSTOS_OPTION_TEXT, "WHERE", "token:URI, a second token; shares:K/N, pieces of which any K make the KEK; none (default): it never leaves its token" }, \
	CUSTOS_BACKUP_DETAILS

struct custos_cli_backup {
	struct custos_kek_backup wanted;
	struct custos_pin pin;
	char *source;
	const char **custodians;
};
/* `where` as of --kek-backup; NULL: none. What is wanted borrows from the call and from *ret_backup. */
CUSTOS_RC custos_cli_backup_read(const struct custos_call *call, const char *where, struct custos_cli_backup *ret_backup, struct custos_err *err);
void custos_cli_backup_done(struct custos_cli_backup *backup);

#endif
