# These tests talk to a real SoftHSM; each makes tokens of its own through softhsm-fixtures. token_shim is a module that misbehaves on demand.
add_library(token_shim MODULE ${CMAKE_SOURCE_DIR}/tests/unit/token_shim.c)
target_link_libraries(token_shim PRIVATE PkgConfig::P11KIT)
foreach(name guard files keys cheats faults attacks import kek kwp transport sealed doctor pad context)
  custos_unit(token_${name} token token_${name}.c USES base memory crypto data link LIBS OpenSSL::Crypto PkgConfig::P11KIT)
  target_sources(unit_token_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit/token_lab.c)
  target_compile_definitions(unit_token_${name} PRIVATE LAB_FIXTURE="${CMAKE_SOURCE_DIR}/softhsm-fixtures/softhsm.bash" LAB_MODULE="libsofthsm2"
    LAB_SHIM="$<TARGET_FILE:token_shim>")
  add_dependencies(unit_token_${name} custos-token token_shim)
endforeach()

# they make RSA keys of every size, many times
set_tests_properties(unit_token_doctor unit_token_keys PROPERTIES TIMEOUT 900)

# A custos-token that lies stands in a directory of its own, where the keepers of these tests look for their helper; the real one answers it.
add_executable(token_liar ${CMAKE_SOURCE_DIR}/tests/unit/token_liar.c)
set_target_properties(token_liar PROPERTIES OUTPUT_NAME custos-token RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/liar)
target_include_directories(token_liar PRIVATE ${CMAKE_BINARY_DIR}/layers/unit_token_lies ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(token_liar PRIVATE REAL="$<TARGET_FILE:custos-token>")
target_link_libraries(token_liar PRIVATE custos_link)
add_dependencies(token_liar custos-token)
custos_unit(token_lies token token_lies.c USES base confine memory crypto data link LIBS OpenSSL::Crypto)
target_sources(unit_token_lies PRIVATE ${CMAKE_SOURCE_DIR}/src/link/spawn.c ${CMAKE_SOURCE_DIR}/tests/unit/token_lab.c)
target_compile_definitions(unit_token_lies PRIVATE LAB_FIXTURE="${CMAKE_SOURCE_DIR}/softhsm-fixtures/softhsm.bash" LAB_MODULE="libsofthsm2"
  LAB_SHIM="$<TARGET_FILE:token_shim>" CUSTOS_HELPER_DIR="${CMAKE_CURRENT_BINARY_DIR}/liar")
add_dependencies(unit_token_lies token_liar token_shim)
