custos_layer(deploy
  SOURCES dial.c agent.c errand.c errand_serve.c deploy.c record.c rollback.c scan.c
  USES base memory crypto data link token x509 log store target vault)
