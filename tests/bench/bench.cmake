# Benchmarks are built with the tests and run by hand (tests/bench/release): absolute times mean nothing on a shared machine.
set(view ${CMAKE_BINARY_DIR}/layers/bench)
file(REMOVE_RECURSE ${view})
file(MAKE_DIRECTORY ${view})
foreach(seen base memory crypto data link token x509 log store target vault)
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${seen} ${view}/${seen} SYMBOLIC)
endforeach()
foreach(name release_path courier_start fill_custody)
  add_executable(bench_${name} ${CMAKE_SOURCE_DIR}/tests/bench/${name}.c)
  target_include_directories(bench_${name} PRIVATE ${view} ${CMAKE_SOURCE_DIR}/include)
  target_link_libraries(bench_${name} PRIVATE custos_vault)
endforeach()
# The floor knows nothing of custos: OpenSSL, p11-kit and a loop. RSA public keys are put together with calls OpenSSL 3 calls old.
add_executable(bench_bare_token ${CMAKE_SOURCE_DIR}/tests/bench/bare_token.c)
target_compile_options(bench_bare_token PRIVATE -Wno-deprecated-declarations)
target_link_libraries(bench_bare_token PRIVATE PkgConfig::P11KIT OpenSSL::Crypto)
# Certificates in numbers: for tests/bench/cert and for the tests of limits.
add_executable(bench_make_bag ${CMAKE_SOURCE_DIR}/tests/bench/make_bag.c)
target_link_libraries(bench_make_bag PRIVATE OpenSSL::Crypto)
