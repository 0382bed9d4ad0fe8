custos_layer(courier SOURCES deliver.c host.c keeper.c login.c sandbox.c scan.c serve.c ssh.c ssh_login.c ssh_run.c stack.c
  USES base memory crypto link target LIBS PkgConfig::LIBSSH2 OpenSSL::Crypto)
custos_program(custos-courier courier main.c)
