custos_layer(base SOURCES err.c bytes.c wire.c text.c clock.c permit.c transport.c)
