custos_layer(data SOURCES json.c yaml.c yaml_get.c USES base LIBS PkgConfig::JANSSON PkgConfig::YAML)
