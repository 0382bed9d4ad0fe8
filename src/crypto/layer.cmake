custos_layer(crypto SOURCES base64.c digest.c heap.c match.c openssl.c pem.c pkcs8.c seal.c served.c spki.c verify.c
  USES base memory LIBS OpenSSL::SSL OpenSSL::Crypto)
