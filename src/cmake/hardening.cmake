# Position independent, read-only relocations, no lazy binding: a lazily bound call spills vector registers,
# and with them key bytes, to the stack.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
add_compile_options(-fstack-protector-strong -fstack-clash-protection)
add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
add_compile_definitions(_GNU_SOURCE)
if(CUSTOS_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(CUSTOS_SANITIZED=1)
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
