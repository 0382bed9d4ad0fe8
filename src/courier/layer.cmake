custos_layer(courier SOURCES combine.c deliver.c epilogue.c host.c import.c keeper.c login.c sandbox.c scan.c sealed.c serve.c split.c ssh.c ssh_login.c ssh_run.c stack.c terminal.c transport.c
  USES base confine memory crypto link target LIBS PkgConfig::LIBSSH2 OpenSSL::Crypto)
custos_program(custos-courier courier main.c)
set(CUSTOS_COURIER_UID 65534 CACHE STRING "user and group that custos-courier becomes when it is started as root (nobody)")
target_compile_definitions(custos_courier PRIVATE CUSTOS_COURIER_UID=${CUSTOS_COURIER_UID})
