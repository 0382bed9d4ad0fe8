custos_layer(vault
  SOURCES binding.c state.c custody.c session.c init.c key.c certificate.c inventory.c release.c consignment.c file.c journal.c replay.c status.c tokens.c
  USES base memory crypto data link token x509 log store target)
target_compile_definitions(custos_vault PRIVATE CUSTOS_VERSION="${PROJECT_VERSION}")
