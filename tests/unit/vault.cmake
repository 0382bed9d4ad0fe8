foreach(name state fold binding)
  custos_unit(vault_${name} vault vault_${name}.c USES base data)
endforeach()
