custos_layer(deploy
  SOURCES confine.c dial.c look.c agent.c errand.c errand_serve.c deploy.c probe.c record.c rollback.c scan.c survey.c inspect.c
  USES base confine memory crypto data link token x509 log store target vault)
