custos_unit(courier_end_to_end courier courier_end_to_end.c USES base memory crypto link target data LIBS OpenSSL::SSL OpenSSL::Crypto)
target_compile_definitions(unit_courier_end_to_end PRIVATE COURIER="$<TARGET_FILE:custos-courier>")
add_dependencies(unit_courier_end_to_end custos-courier)
