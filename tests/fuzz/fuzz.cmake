# custos_fuzz(NAME LAYER USES layer …): tests/fuzz/fuzz_NAME.c, which defines LLVMFuzzerTestOneInput, over tests/fuzz/corpus/NAME.
#
# Always built with a main of its own that replays the corpus, each of its prefixes and seeded mutations: one ctest, any compiler. To fuzz:
#   CC=clang CFLAGS=-fsanitize=fuzzer-no-link cmake -B build/fuzz -DCUSTOS_SANITIZE=ON -DCUSTOS_FUZZ=ON && cmake --build build/fuzz --target libfuzzer_yaml
#   build/fuzz/tests/libfuzzer_yaml NEW-DIR tests/fuzz/corpus/yaml
option(CUSTOS_FUZZ "build the libFuzzer targets too (clang)" OFF)

function(custos_fuzz_program target name layer)
  cmake_parse_arguments(F "" "" "USES;SOURCES" ${ARGN})
  list(TRANSFORM F_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/tests/fuzz/)
  list(TRANSFORM F_USES PREPEND custos_)
  add_executable(${target} ${F_SOURCES})
  target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR}/layers/fuzz_${name} ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(${target} PRIVATE custos_${layer} ${F_USES})
endfunction()

function(custos_fuzz name layer)
  cmake_parse_arguments(F "" "" "USES" ${ARGN})
  set(view ${CMAKE_BINARY_DIR}/layers/fuzz_${name})
  file(REMOVE_RECURSE ${view})
  file(MAKE_DIRECTORY ${view})
  foreach(seen ${layer} ${F_USES})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${seen} ${view}/${seen} SYMBOLIC)
  endforeach()
  custos_fuzz_program(fuzz_${name} ${name} ${layer} USES ${F_USES} SOURCES fuzz_${name}.c replay.c)
  add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
  set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT 300)
  if(CUSTOS_FUZZ)
    custos_fuzz_program(libfuzzer_${name} ${name} ${layer} USES ${F_USES} SOURCES fuzz_${name}.c)
    target_link_options(libfuzzer_${name} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

custos_fuzz(frame link USES base)
custos_fuzz(yaml data USES base)
