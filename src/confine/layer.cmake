custos_layer(confine SOURCES confinement.c landlock.c seccomp.c USES base LIBS PkgConfig::SECCOMP)
