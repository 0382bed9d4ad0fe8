foreach(name judge read)
  custos_unit(doctor_${name} doctor doctor_${name}.c USES base confine memory data link)
endforeach()
