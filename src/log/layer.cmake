custos_layer(log SOURCES entry.c note.c tree.c audit.c tile.c folder.c log.c release.c publish.c verify.c USES base crypto data)
