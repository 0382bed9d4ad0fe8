custos_layer(memory SOURCES pages.c arena.c secret.c harden.c scrub.c USES base)
