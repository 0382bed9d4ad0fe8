# Couriers that somebody might have written: each is the real one with some parts replaced. The scanner must find every one of them dirty, or it proves nothing about
# the real one. residue_sloppy_malloc has all hardening taken out: tests/bench/release measures against it what hardening costs.
#
# custos_sloppy(NAME SOURCES replacement.c … OPTIONS link option …): a program whose own definitions win over those in the layers' archives.
function(custos_sloppy name)
  cmake_parse_arguments(S "" "" "SOURCES;OPTIONS" ${ARGN})
  list(TRANSFORM S_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/residue/sloppy/)
  add_executable(residue_sloppy_${name} ${CMAKE_SOURCE_DIR}/src/courier/main.c ${S_SOURCES})
  target_include_directories(residue_sloppy_${name} PRIVATE ${CMAKE_BINARY_DIR}/layers/courier ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(residue_sloppy_${name} PRIVATE custos_courier PkgConfig::LIBSSH2 OpenSSL::Crypto)
  target_link_options(residue_sloppy_${name} PRIVATE ${S_OPTIONS})
  set_target_properties(residue_sloppy_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/residue)
endfunction()

if(NOT CUSTOS_SANITIZE)
  custos_sloppy(malloc SOURCES plain_heap.c plain_libcrypto.c plain_stack.c no_scrub.c no_sandbox.c)
  custos_sloppy(secure_heap SOURCES secure_heap.c plain_stack.c no_scrub.c OPTIONS -Wl,--wrap=libssh2_session_init_ex)
  set(first_calls SOURCES plain_stack.c no_scrub.c no_sandbox.c first_calls.c OPTIONS -Wl,--wrap=libssh2_channel_write_ex)
  custos_sloppy(lazy ${first_calls} -Wl,-z,lazy)
  # the real one but for one thing: the content keys of the keys that are born in it are known, so that they can be looked for
  custos_sloppy(known_content SOURCES known_content.c OPTIONS -Wl,--wrap=custos_content_key_new)
  # not a control but the proof that the one above is dirty because of its binding and of nothing else
  custos_sloppy(eager ${first_calls})
endif()
