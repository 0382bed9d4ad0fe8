custos_unit(vault_state vault vault_state.c USES base data)
