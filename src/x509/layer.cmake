custos_layer(x509
  SOURCES problem.c name.c nature.c bag.c files.c read.c foreign.c der.c p12.c zip.c parsed.c cert.c anchors.c judge.c issuer.c path.c paths.c chain.c inputs.c rules.c rules_policy.c rules_form.c blocklist.c check.c san.c uri.c idn.c private.c dn.c lint.c csr.c like.c template.c
  USES base crypto data LIBS PkgConfig::LIBARCHIVE PkgConfig::IDN2 OpenSSL::SSL OpenSSL::Crypto)
