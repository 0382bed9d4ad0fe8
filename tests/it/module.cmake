# A module that pries, for module.bats.
add_library(prying_module MODULE ${CMAKE_CURRENT_LIST_DIR}/module/prying.c)
set_target_properties(prying_module PROPERTIES PREFIX "" OUTPUT_NAME prying LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_include_directories(prying_module PRIVATE ${P11KIT_INCLUDE_DIRS})
custos_bats(module LABELS job)
# What code that took a process over would do, for confined.bats.
add_executable(inject ${CMAKE_CURRENT_LIST_DIR}/inject.c)
set_target_properties(inject PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
