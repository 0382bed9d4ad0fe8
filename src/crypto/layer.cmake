custos_layer(crypto SOURCES base64.c digest.c heap.c key_file.c match.c openssl.c pem.c pkcs8.c seal.c served.c spki.c trial.c verify.c
  USES base memory LIBS OpenSSL::SSL OpenSSL::Crypto)
