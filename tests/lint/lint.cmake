# Lint: one ctest a promise. Each script says what it checked and lists every violation; lint_proofs feeds each of them something bad.
function(custos_lint name)
  add_test(NAME lint_${name} COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/lint/${name}.sh ${ARGN})
  set_tests_properties(lint_${name} PROPERTIES LABELS lint TIMEOUT 600 SKIP_RETURN_CODE 77)
endfunction()

custos_lint(size ${CMAKE_SOURCE_DIR})
custos_lint(symbols ${CMAKE_BINARY_DIR})
custos_lint(layers ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR} ${CMAKE_C_COMPILER})
custos_lint(secrets ${CMAKE_SOURCE_DIR})
custos_lint(man ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
custos_lint(assurance ${CMAKE_SOURCE_DIR})
custos_lint(shell ${CMAKE_SOURCE_DIR})
custos_lint(cppcheck ${CMAKE_SOURCE_DIR})
custos_lint(bindnow ${CMAKE_BINARY_DIR})

find_program(BATS bats)
if(BATS)
  add_test(NAME lint_proofs COMMAND ${BATS} ${CMAKE_CURRENT_SOURCE_DIR}/lint/proofs.bats)
  set_tests_properties(lint_proofs PROPERTIES LABELS lint TIMEOUT 600 SKIP_REGULAR_EXPRESSION "# skip"
    ENVIRONMENT "CUSTOS_BUILD=${CMAKE_BINARY_DIR};CC=${CMAKE_C_COMPILER}")
else()
  message(STATUS "bats is missing: lint_proofs is not declared")
endif()
