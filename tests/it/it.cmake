# Integration tests: one ctest for each bats file. Each gets the build directory in CUSTOS_BUILD and skips nothing in silence.
find_program(BATS bats)

# custos_bats(NAME [LABELS label…]): tests/it/NAME.bats as the ctest it_NAME.
function(custos_bats name)
  cmake_parse_arguments(B "" "" "LABELS" ${ARGN})
  if(NOT BATS)
    message(STATUS "bats is missing: it_${name} is not declared")
    return()
  endif()
  add_test(NAME it_${name} COMMAND ${BATS} --timing ${CMAKE_CURRENT_SOURCE_DIR}/it/${name}.bats)
  set_tests_properties(it_${name} PROPERTIES TIMEOUT 900 LABELS "it;${B_LABELS}" SKIP_REGULAR_EXPRESSION "# skip"
    ENVIRONMENT "CUSTOS_BUILD=${CMAKE_BINARY_DIR}")
endfunction()

custos_bats(esxi_standin LABELS esxi)
include(${CMAKE_CURRENT_LIST_DIR}/tlog.cmake)

# The tool itself: custody and certificates, deployments, what must go wrong safely, the published log (needs damage_log of tlog.cmake).
custos_bats(main_job LABELS job)
custos_bats(deploy LABELS job)
custos_bats(cheats LABELS job)
custos_bats(keys LABELS job)
custos_bats(disasters LABELS job)
include(${CMAKE_CURRENT_LIST_DIR}/module.cmake)
custos_bats(kek LABELS job token)
custos_bats(kek_kill LABELS crash)
custos_bats(tokens LABELS token)
include(${CMAKE_CURRENT_LIST_DIR}/soak.cmake)
custos_bats(own_profile LABELS token)
custos_bats(confined LABELS job)
custos_bats(published LABELS log)
include(${CMAKE_CURRENT_LIST_DIR}/hardening.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/../crash/crash.cmake)
custos_bats(enroll LABELS job)
custos_bats(cert_rows LABELS certificates)
custos_bats(cert_limits LABELS certificates)
custos_bats(snapshot LABELS job)
custos_bats(pinpad LABELS token)
