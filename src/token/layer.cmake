# The library is the keeper's side and the pure parts; p11-kit is linked by the program alone, so no keeper ever loads it.
custos_layer(token
  SOURCES client.c client_keys.c client_batch.c client_release.c client_import.c client_kek.c client_sealed.c exchange.c key_type.c wire_info.c absence.c profile.c release_guard.c softhsm_files.c token_lock.c checks.c doctor.c doctor_judge.c
  USES base confine memory crypto data link)
custos_embed(custos_token custos_token_profile_softhsm ${CMAKE_SOURCE_DIR}/tokens/softhsm.yaml)
custos_embed(custos_token custos_token_profile_nss ${CMAKE_SOURCE_DIR}/tokens/nss.yaml)
custos_embed(custos_token custos_token_profile_opencryptoki ${CMAKE_SOURCE_DIR}/tokens/opencryptoki.yaml)
custos_embed(custos_token custos_token_profile_tpm2 ${CMAKE_SOURCE_DIR}/tokens/tpm2.yaml)
custos_program(custos-token token
  token_main.c serve.c serve_keys.c session.c token_admin.c select.c context_login.c module.c cryptoki.c policy.c template.c read_back.c object.c signing.c kek.c new_keys.c old_keys.c transport.c transport_rsa.c import.c kek_life.c sealed.c serve_evidence.c serve_sealed.c
  probe.c probe_keys.c probe_objects.c probe_sign.c probe_wrap.c probe_transport.c probe_attack.c probe_oracle.c probe_threads.c)
target_link_libraries(custos-token PRIVATE PkgConfig::P11KIT)
target_compile_definitions(custos-token PRIVATE CUSTOS_LIBRARY_ARCHITECTURE="${CMAKE_LIBRARY_ARCHITECTURE}")
