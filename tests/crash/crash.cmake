# What goes wrong: a fault at a system call of our choice (fault), kill -9 at any point, secrets that turn up where they must not be. Needs
# custos_bats() of it.cmake.
add_executable(fault ${CMAKE_SOURCE_DIR}/tests/crash/fault.c)
target_include_directories(fault PRIVATE ${CMAKE_SOURCE_DIR}/tests)
set_target_properties(fault PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/crash)

custos_bats(faults)
custos_bats(kill LABELS crash)
# in full every point of a deployment, some of which wait for the host to help itself
set_tests_properties(it_kill PROPERTIES TIMEOUT 3600)
custos_bats(secrets)
