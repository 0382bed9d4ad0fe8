/* Every row; each is defined in the file of its noun. */
#ifndef CUSTOS_CLI_ROWS_H
#define CUSTOS_CLI_ROWS_H

#include "cli/command.h"

extern const struct custos_command custos_cmd_init, custos_cmd_status;
extern const struct custos_command custos_cmd_token_list, custos_cmd_token_show, custos_cmd_token_init, custos_cmd_token_doctor;
extern const struct custos_command custos_cmd_key_generate, custos_cmd_key_list, custos_cmd_key_show, custos_cmd_key_allow;
extern const struct custos_command custos_cmd_key_drill, custos_cmd_key_destroy, custos_cmd_key_export, custos_cmd_key_restore, custos_cmd_key_import, custos_cmd_key_rewrap;
extern const struct custos_command custos_cmd_kek_list, custos_cmd_kek_backup, custos_cmd_kek_restore;
extern const struct custos_command custos_cmd_csr_create;
extern const struct custos_command custos_cmd_enroll;
extern const struct custos_command custos_cmd_renew;
extern const struct custos_command custos_cmd_cert_check, custos_cmd_cert_accept, custos_cmd_cert_show;
extern const struct custos_command custos_cmd_target_scan, custos_cmd_target_add, custos_cmd_target_list, custos_cmd_target_show,
	custos_cmd_target_remove, custos_cmd_target_probe;
extern const struct custos_command custos_cmd_deploy, custos_cmd_rollback;
extern const struct custos_command custos_cmd_release_list, custos_cmd_release_resolve;
extern const struct custos_command custos_cmd_log_show, custos_cmd_log_verify, custos_cmd_log_checkpoint, custos_cmd_log_publish;
extern const struct custos_command custos_cmd_doctor;
extern const struct custos_command custos_cmd_help, custos_cmd_version;

#endif
