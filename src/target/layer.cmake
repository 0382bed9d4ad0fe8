custos_layer(target SOURCES recipe.c profile.c plan.c script.c machine.c machine_verify.c USES base data)
custos_embed(custos_target custos_profile_esxi_yaml ${CMAKE_SOURCE_DIR}/src/target/profiles/esxi.yaml)
custos_embed(custos_target custos_host_sh ${CMAKE_SOURCE_DIR}/src/target/host.sh)
custos_embed(custos_target custos_arm_sh ${CMAKE_SOURCE_DIR}/src/target/arm.sh)
