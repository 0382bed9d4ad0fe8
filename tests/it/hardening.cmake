# custos as a package installs it: its helpers are looked for in /usr/libexec/custos, where hardening.bats puts them in a root of its own.
add_executable(custos_installed ${CMAKE_SOURCE_DIR}/src/cli/main.c ${CMAKE_SOURCE_DIR}/src/link/spawn.c)
target_include_directories(custos_installed PRIVATE ${CMAKE_BINARY_DIR}/layers/cli ${CMAKE_BINARY_DIR}/layers/link ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(custos_installed PRIVATE CUSTOS_HELPER_DIR="/usr/libexec/custos")
target_link_libraries(custos_installed PRIVATE custos_cli)
set_target_properties(custos_installed PROPERTIES OUTPUT_NAME custos RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/installed)

custos_bats(hardening)

# what the programs really open, to hold the AppArmor profile against
add_executable(opens ${CMAKE_CURRENT_LIST_DIR}/opens.c)
target_include_directories(opens PRIVATE ${CMAKE_SOURCE_DIR}/tests)
target_link_libraries(opens PRIVATE PkgConfig::SECCOMP)
set_target_properties(opens PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/installed)
