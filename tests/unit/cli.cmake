foreach(name options rows output)
  custos_unit(cli_${name} cli cli_${name}.c USES base)
endforeach()
custos_unit(cli_pin cli cli_pin.c USES base memory)
