custos_layer(cli
  SOURCES commands.c options.c output.c new_file.c help.c pin.c backup.c nagios.c report.c
          cmd_custody.c cmd_token.c cmd_key.c cmd_kek.c cmd_csr.c cmd_cert.c cmd_cert_check.c cmd_enroll.c cmd_renew.c cmd_target.c cmd_target_probe.c cmd_deploy.c cmd_log.c cmd_doctor.c cmd_about.c
  USES base memory deploy vault doctor)
target_compile_definitions(custos_cli PRIVATE CUSTOS_VERSION="${PROJECT_VERSION}")
custos_program(custos cli main.c)
