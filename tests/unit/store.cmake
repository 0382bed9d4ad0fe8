custos_unit(store_sqlite store store_sqlite.c USES base LIBS PkgConfig::SQLITE)
custos_unit(store_purge store store_purge.c USES base)
