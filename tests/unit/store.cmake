custos_unit(store_sqlite store store_sqlite.c USES base LIBS PkgConfig::SQLITE)
