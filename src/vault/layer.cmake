custos_layer(vault
  SOURCES attention.c binding.c cert_policy.c state.c state_keys.c state_kek.c state_members.c pages.c snapshot.c kek.c kek_birth.c kek_backup.c kek_rotate.c kek_restore.c custody.c session.c login.c init.c key.c drill.c destroy.c container.c import.c certificate.c request.c inventory.c release.c renew.c renewal.c combine.c consignment.c courier.c enroll.c enroll_dir.c enroll_list.c file.c journal.c replay.c sealed.c sealed_opening.c sealing.c share_file.c split.c status.c tokens.c
  USES base memory crypto data link token x509 log store target)
target_compile_definitions(custos_vault PRIVATE CUSTOS_VERSION="${PROJECT_VERSION}")
