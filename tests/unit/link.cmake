foreach(name channel tables)
  custos_unit(link_${name} link link_${name}.c USES base)
endforeach()

# Helpers are started from the compiled-in directory: for this test that is the current one.
custos_unit(link_spawn link link_spawn.c USES base confine)
target_sources(unit_link_spawn PRIVATE ${CMAKE_SOURCE_DIR}/src/link/spawn.c)
target_compile_definitions(unit_link_spawn PRIVATE CUSTOS_HELPER_DIR="." PROBE="$<TARGET_FILE:link_probe>")
add_executable(link_probe ${CMAKE_SOURCE_DIR}/tests/unit/link_probe.c)
target_include_directories(link_probe PRIVATE ${CMAKE_BINARY_DIR}/layers/unit_link_spawn ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(link_probe PRIVATE custos_link)
add_dependencies(unit_link_spawn link_probe)
