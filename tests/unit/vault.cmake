foreach(name state fold life kek binding renewal)
  custos_unit(vault_${name} vault vault_${name}.c USES base data)
endforeach()
custos_unit(vault_pages vault vault_pages.c USES base crypto data)
foreach(name snapshot snapshot_lies)
  custos_unit(vault_${name} vault vault_${name}.c USES base memory crypto data link token x509 log store target LIBS OpenSSL::Crypto PkgConfig::SQLITE)
endforeach()
custos_unit(vault_enroll vault vault_enroll.c USES base memory crypto data link token x509 log store target)

# With the helper that lies (token.cmake) in the place of custos-token.
custos_unit(vault_lies vault vault_lies.c USES base confine memory crypto data link token x509 log store target LIBS OpenSSL::Crypto)
target_sources(unit_vault_lies PRIVATE ${CMAKE_SOURCE_DIR}/src/link/spawn.c)
target_compile_definitions(unit_vault_lies PRIVATE LAB_FIXTURE="${CMAKE_SOURCE_DIR}/softhsm-fixtures/softhsm.bash" LAB_MODULE="libsofthsm2"
  CUSTOS_HELPER_DIR="${CMAKE_CURRENT_BINARY_DIR}/liar")
add_dependencies(unit_vault_lies token_liar)

# With the courier of this build, whatever the build installs.
custos_unit(vault_shares vault vault_shares.c USES base confine memory crypto data link token x509 log store target LIBS OpenSSL::Crypto util)
target_sources(unit_vault_shares PRIVATE ${CMAKE_SOURCE_DIR}/src/link/spawn.c)
target_compile_definitions(unit_vault_shares PRIVATE CUSTOS_HELPER_DIR="${CMAKE_BINARY_DIR}")
add_dependencies(unit_vault_shares custos-courier)
