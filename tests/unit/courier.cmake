custos_unit(courier_end_to_end courier courier_end_to_end.c USES base memory crypto link target data LIBS OpenSSL::SSL OpenSSL::Crypto)
target_compile_definitions(unit_courier_end_to_end PRIVATE COURIER="$<TARGET_FILE:custos-courier>")
add_dependencies(unit_courier_end_to_end custos-courier)
custos_unit(courier_shares courier courier_shares.c USES base memory crypto link LIBS OpenSSL::Crypto util)
target_compile_definitions(unit_courier_shares PRIVATE COURIER="$<TARGET_FILE:custos-courier>")
add_dependencies(unit_courier_shares custos-courier)

# how long an RSA key of 8192 bits takes is a matter of luck
set_tests_properties(unit_courier_end_to_end PROPERTIES TIMEOUT 900)
