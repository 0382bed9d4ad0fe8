# custos_embed(TARGET SYMBOL FILE): compile a data file into a layer as `const char SYMBOL[]` with `SYMBOL_len`.
function(custos_embed target symbol file)
  set(out ${CMAKE_BINARY_DIR}/embedded/${symbol}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DSYMBOL=${symbol} -DIN=${file} -DOUT=${out} -P ${CMAKE_SOURCE_DIR}/src/cmake/embed-file.cmake
    DEPENDS ${file} ${CMAKE_SOURCE_DIR}/src/cmake/embed-file.cmake VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
