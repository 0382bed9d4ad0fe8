/* Names a person asks for: "dns:x", "ip:x", "email:x", "uri:x", checked strictly before anything is signed. */
#ifndef CUSTOS_X509_SAN_H
#define CUSTOS_X509_SAN_H

#include "base/bytes.h"
#include "x509/openssl.h"

/* One name. When it is malformed, *ret_name is NULL, the return is CUSTOS_OK, and *ret_why (static) and *ret_remedy (static) say what is wrong. */
CUSTOS_RC custos_san_parse(const char *text, GENERAL_NAME **ret_name, const char **ret_why, const char **ret_remedy, struct custos_err *err);
/* What is wrong with a host name (which may begin with a wildcard label), static, with its remedy; NULL: nothing. */
const char *custos_san_bad_host(const char *host, const char **ret_remedy);
/* Equal as certificates are compared: DNS without regard to case, the rest byte for byte. */
CUSTOS_MUST bool custos_san_equal(GENERAL_NAME *a, GENERAL_NAME *b);

#endif
