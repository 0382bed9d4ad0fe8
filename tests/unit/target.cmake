custos_unit(target_plan target target_plan.c USES base data)
target_compile_definitions(unit_target_plan PRIVATE EXAMPLE_PROFILE="${CMAKE_SOURCE_DIR}/docs/profiles/nginx.yaml")
custos_unit(target_machine target target_machine.c USES base data)
custos_unit(target_script target target_script.c USES base data)
