# These tests talk to a real SoftHSM; each makes tokens of its own through softhsm-fixtures. token_shim is a module that misbehaves on demand.
add_library(token_shim MODULE ${CMAKE_SOURCE_DIR}/tests/unit/token_shim.c)
target_link_libraries(token_shim PRIVATE PkgConfig::P11KIT)
foreach(name guard files keys cheats faults attacks)
  custos_unit(token_${name} token token_${name}.c USES base memory crypto data link LIBS OpenSSL::Crypto PkgConfig::P11KIT)
  target_compile_definitions(unit_token_${name} PRIVATE LAB_FIXTURE="${CMAKE_SOURCE_DIR}/softhsm-fixtures/softhsm.bash" LAB_MODULE="libsofthsm2"
    LAB_SHIM="$<TARGET_FILE:token_shim>")
  add_dependencies(unit_token_${name} custos-token token_shim)
endforeach()
