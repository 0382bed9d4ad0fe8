custos_layer(doctor SOURCES examine.c judge_kernel.c judge_memory.c judge_places.c probe.c read.c USES base confine memory data link)
