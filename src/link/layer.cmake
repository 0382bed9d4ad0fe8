custos_layer(link SOURCES channel.c spawn.c courier.c token.c USES base confine)
target_compile_definitions(custos_link PRIVATE CUSTOS_HELPER_DIR="${CUSTOS_HELPER_DIR}")
