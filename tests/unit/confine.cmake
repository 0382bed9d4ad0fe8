custos_unit(confine confine confine.c USES base memory)
