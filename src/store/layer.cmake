custos_layer(store SOURCES store.c sqlite.c sqlite_file.c USES base LIBS PkgConfig::SQLITE)
