/* The table of commands, in the order of help. */
#include "cli/rows.h"

const struct custos_command *const custos_commands[] = {
	&custos_cmd_init, &custos_cmd_status,
	&custos_cmd_token_list, &custos_cmd_token_show, &custos_cmd_token_init, &custos_cmd_token_doctor,
	&custos_cmd_key_generate, &custos_cmd_key_list, &custos_cmd_key_show, &custos_cmd_key_allow,
	&custos_cmd_key_import, &custos_cmd_key_drill, &custos_cmd_key_destroy, &custos_cmd_key_export, &custos_cmd_key_restore, &custos_cmd_key_rewrap,
	&custos_cmd_kek_list, &custos_cmd_kek_backup, &custos_cmd_kek_restore,
	&custos_cmd_csr_create,
	&custos_cmd_enroll,
	&custos_cmd_renew,
	&custos_cmd_cert_check, &custos_cmd_cert_accept, &custos_cmd_cert_show,
	&custos_cmd_target_scan, &custos_cmd_target_add, &custos_cmd_target_list, &custos_cmd_target_show, &custos_cmd_target_probe, &custos_cmd_target_remove,
	&custos_cmd_deploy, &custos_cmd_rollback,
	&custos_cmd_release_list, &custos_cmd_release_resolve,
	&custos_cmd_log_show, &custos_cmd_log_verify, &custos_cmd_log_checkpoint, &custos_cmd_log_publish,
	&custos_cmd_doctor,
	&custos_cmd_help, &custos_cmd_version,
	NULL,
};
