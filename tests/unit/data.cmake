foreach(name json yaml yaml_get)
  custos_unit(data_${name} data data_${name}.c USES base)
endforeach()
