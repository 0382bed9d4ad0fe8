# These tests talk to a real SoftHSM; each makes tokens of its own through softhsm-fixtures.
foreach(name guard keys cheats)
  custos_unit(token_${name} token token_${name}.c USES base memory crypto data link LIBS OpenSSL::Crypto PkgConfig::P11KIT)
  target_compile_definitions(unit_token_${name} PRIVATE LAB_FIXTURE="${CMAKE_SOURCE_DIR}/softhsm-fixtures/softhsm.bash" LAB_MODULE="libsofthsm2")
  add_dependencies(unit_token_${name} custos-token)
endforeach()
