foreach(name err bytes wire text clock permit)
  custos_unit(base_${name} base base_${name}.c)
endforeach()
