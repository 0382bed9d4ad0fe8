custos_unit(log_note log log_note.c USES base crypto data LIBS OpenSSL::Crypto)
custos_unit(log_commit log log_commit.c USES base crypto data LIBS OpenSSL::Crypto)
custos_unit(log_release log log_release.c USES base crypto data LIBS OpenSSL::Crypto)
custos_unit(log_publish log log_publish.c USES base crypto data LIBS OpenSSL::Crypto)
