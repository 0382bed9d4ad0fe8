custos_unit(x509_bag x509 test_x509_bag.c USES base crypto data LIBS OpenSSL::Crypto)
custos_unit(x509_chain x509 test_x509_chain.c USES base crypto data LIBS OpenSSL::Crypto)
custos_unit(x509_check x509 test_x509_check.c USES base crypto data LIBS OpenSSL::Crypto)
custos_unit(x509_csr x509 test_x509_csr.c USES base crypto data LIBS OpenSSL::Crypto)
