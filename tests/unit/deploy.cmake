custos_unit(deploy_dial deploy deploy_dial.c USES base)
custos_unit(deploy_look deploy deploy_look.c USES base crypto)
custos_unit(deploy_agent deploy deploy_agent.c USES base LIBS OpenSSL::Crypto)
# It stands in for the vault, of which the linker then takes nothing.
custos_unit(deploy_record deploy deploy_record.c USES base memory crypto data link token log store target vault x509)
custos_unit(deploy_lies deploy deploy_lies.c USES base memory crypto data link token x509 log store target vault)
custos_unit(deploy_lies_logins deploy deploy_lies_logins.c USES base memory crypto data link token x509 log store target vault)
