foreach(name dial)
  custos_unit(deploy_${name} deploy deploy_${name}.c USES base)
endforeach()
