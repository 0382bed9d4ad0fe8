# Several processes on one token: 20 seconds, with CUSTOS_ALL=1 minutes.
custos_bats(soak LABELS token)
set_tests_properties(it_soak PROPERTIES TIMEOUT 1800)
# A token that is pulled: its module.
add_library(pulled_module MODULE ${CMAKE_CURRENT_LIST_DIR}/module/pulled.c)
set_target_properties(pulled_module PROPERTIES PREFIX "" OUTPUT_NAME pulled LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_include_directories(pulled_module PRIVATE ${P11KIT_INCLUDE_DIRS})
custos_bats(pulled LABELS token)
