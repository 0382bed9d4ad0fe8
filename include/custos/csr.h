/* What a certificate request asks for, as a command or a program says it. */
#ifndef CUSTOS_CSR_H
#define CUSTOS_CSR_H

enum custos_csr_flag {
	CUSTOS_CSR_MUST_STAPLE = 1 << 0, /* RFC 7633: the server will always send a fresh OCSP response */
	CUSTOS_CSR_PRIVATE_CA = 1 << 1,  /* the CA is one's own: names that no public CA may certify are asked for */
};

/* What is NULL here is taken from the certificate in `like_file`, what that has not from `template_file` (docs/FORMATS.md), else it is the default. Flags add up. */
struct custos_csr_options {
	const char *subject;             /* RFC 4514; default: empty */
	const char *const *sans;         /* dns:… ip:… email:… uri:…, NULL-terminated; an empty list is NULL. At least one is needed, but by a client */
	const char *profile;             /* "server" (default), "esxi" or "client" */
	const char *signature;           /* "default" (PKCS#1 v1.5, ECDSA, Ed25519, as the key is) or "rsa-pss" (RSA keys, where the token can) */
	unsigned flags;                  /* enum custos_csr_flag */
	const char *template_file;       /* YAML */
	const char *like_file;           /* a certificate, alone or with its chain: subject and names of the leaf */
};

#endif
