# libgfshare keeps secrets in memory from malloc(). Its static library with malloc and free under the names of our locked heap's (heap.c) is what is linked: no other way
# gives it another heap without giving the whole process one.
pkg_check_modules(GFSHARE REQUIRED libgfshare)
find_library(GFSHARE_STATIC libgfshare.a HINTS ${GFSHARE_LIBDIR} REQUIRED)
set(gfshare ${CMAKE_BINARY_DIR}/gfshare/libgfshare.a)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/gfshare)
add_custom_command(OUTPUT ${gfshare} DEPENDS ${GFSHARE_STATIC}
  COMMAND ${CMAKE_OBJCOPY} --redefine-sym malloc=custos_crypto_heap_alloc --redefine-sym free=custos_crypto_heap_release ${GFSHARE_STATIC} ${gfshare})
add_custom_target(gfshare_on_locked_heap DEPENDS ${gfshare})
add_library(custos_gfshare INTERFACE)
target_link_libraries(custos_gfshare INTERFACE ${gfshare})
target_include_directories(custos_gfshare INTERFACE ${GFSHARE_INCLUDE_DIRS})
custos_layer(crypto SOURCES base64.c content_key.c digest.c heap.c key_file.c match.c new_key.c openssl.c pem.c pkcs8.c pkcs12.c seal.c seal_key.c sealed_container.c served.c share_text.c shares.c spki.c transport_key.c trial.c verify.c weak_key.c
  USES base memory LIBS OpenSSL::SSL OpenSSL::Crypto custos_gfshare)
add_dependencies(custos_crypto gfshare_on_locked_heap)
