custos_unit(x509_bag x509 test_x509_bag.c USES base crypto data LIBS OpenSSL::Crypto)
