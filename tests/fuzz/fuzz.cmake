# custos_fuzz(NAME LAYER USES layer … SOURCES file … WRAP function … LIBS … MUTATIONS n): tests/fuzz/fuzz_NAME.c, which defines
# LLVMFuzzerTestOneInput, over tests/fuzz/corpus/NAME. SOURCES are a program's own files below src/; of a function under WRAP the target has its
# own, called __wrap_…; MUTATIONS of each file are replayed, fewer where one takes long.
#
# Always built with a main of its own that replays the corpus, each of its prefixes and seeded mutations: one ctest, fuzz_NAME, with any compiler.
# With the preset "fuzz" (clang, sanitizers) also as libfuzzer_NAME, and the ctest fuzzing_NAME lets libFuzzer look for new inputs (tests/fuzz/run).
option(CUSTOS_FUZZ "build the libFuzzer targets too (clang)" OFF)
if(CUSTOS_FUZZ)
  add_custom_target(libfuzzers)
endif()

function(custos_fuzz_program target name layer)
  cmake_parse_arguments(F "" "" "USES;SOURCES;WRAP;LIBS" ${ARGN})
  list(TRANSFORM F_USES PREPEND custos_)
  list(TRANSFORM F_WRAP PREPEND -Wl,--wrap=)
  add_executable(${target} ${F_SOURCES})
  target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR}/layers/fuzz_${name} ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/tests/unit)
  target_link_libraries(${target} PRIVATE custos_${layer} ${F_USES} ${F_LIBS})
  target_link_options(${target} PRIVATE ${F_WRAP})
endfunction()

function(custos_fuzz name layer)
  cmake_parse_arguments(F "" "MUTATIONS" "USES;SOURCES;WRAP;LIBS" ${ARGN})
  set(view ${CMAKE_BINARY_DIR}/layers/fuzz_${name})
  file(REMOVE_RECURSE ${view})
  file(MAKE_DIRECTORY ${view})
  foreach(seen ${layer} ${F_USES})
    file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${seen} ${view}/${seen} SYMBOLIC)
  endforeach()
  list(TRANSFORM F_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/src/)
  set(here ${CMAKE_SOURCE_DIR}/tests/fuzz)
  set(with USES ${F_USES} WRAP ${F_WRAP} LIBS ${F_LIBS} SOURCES ${here}/fuzz_${name}.c ${F_SOURCES})
  custos_fuzz_program(fuzz_${name} ${name} ${layer} ${with} ${here}/replay.c)
  add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${here}/corpus/${name} ${F_MUTATIONS})
  set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT 600)
  if(CUSTOS_FUZZ)
    custos_fuzz_program(libfuzzer_${name} ${name} ${layer} ${with})
    target_link_options(libfuzzer_${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(libfuzzers libfuzzer_${name})
    add_test(NAME fuzzing_${name} COMMAND ${here}/search ${name} $<TARGET_FILE:libfuzzer_${name}>)
    set_tests_properties(fuzzing_${name} PROPERTIES TIMEOUT 14400 WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
  endif()
endfunction()

custos_fuzz(frame link USES base)
custos_fuzz(yaml data USES base)
custos_fuzz(template x509 USES base crypto data MUTATIONS 1000)
custos_fuzz(errand deploy USES base confine memory crypto data link token x509 log store target vault MUTATIONS 1000
  WRAP custos_helper_open custos_helper_start custos_helper_stop custos_dial custos_agent_choose custos_agent_sign custos_errand_serve)
custos_fuzz(token_client token USES base confine memory crypto data link MUTATIONS 500
  WRAP custos_helper_open custos_helper_start custos_helper_stop)
# The program without its main; the token it serves is the target's.
get_target_property(served custos-token SOURCES)
list(FILTER served EXCLUDE REGEX token_main)
list(TRANSFORM served REPLACE "^${CMAKE_SOURCE_DIR}/src/" "")
custos_fuzz(token_serve token USES base confine memory crypto data link SOURCES ${served} LIBS PkgConfig::P11KIT MUTATIONS 1000
  WRAP custos_module_resolve p11_kit_module_load custos_token_lock custos_softhsm_token_dir
       custos_softhsm_protect custos_softhsm_each custos_softhsm_sync custos_policy_read_back custos_guard_admit nanosleep
       custos_channel_receive)
foreach(kind fuzz libfuzzer)
  if(TARGET ${kind}_token_serve)
    target_compile_definitions(${kind}_token_serve PRIVATE CUSTOS_LIBRARY_ARCHITECTURE="${CMAKE_LIBRARY_ARCHITECTURE}")
  endif()
endforeach()
custos_fuzz(courier courier USES base confine memory crypto data link target MUTATIONS 300
  WRAP custos_helper_attach custos_courier_enter_sandbox custos_arena_new custos_crypto_use_arena custos_courier_login custos_courier_deliver custos_ssh_open custos_ssh_scan custos_ssh_free
       custos_ssh_login custos_ssh_offered custos_ssh_run custos_ssh_keep_alive custos_served_fetch custos_unseal custos_key_matches_leaf custos_clock_monotonic_ms
       custos_channel_receive poll)
# What strangers send: certificates in every form. The seeds are made by tests/fuzz/seeds.
foreach(name bag pkcs7 zip)
  custos_fuzz(${name} x509 USES base memory crypto data LIBS OpenSSL::Crypto MUTATIONS 300)
endforeach()
custos_fuzz(pkcs12 x509 USES base memory crypto data LIBS OpenSSL::Crypto MUTATIONS 300)
custos_fuzz(dn x509 USES base crypto data LIBS OpenSSL::Crypto)
custos_fuzz(san x509 USES base crypto data LIBS OpenSSL::Crypto)
custos_fuzz(blocklist x509 USES base memory crypto data LIBS OpenSSL::Crypto)
