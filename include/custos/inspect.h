/* Certificates without a custody: what files are, or what a host serves, and whether a server could use it. Nothing is stored. */
#ifndef CUSTOS_INSPECT_H
#define CUSTOS_INSPECT_H

#include <custos/custody.h>

struct custos_inspect_options {
	const char *for_profile;           /* "server", "esxi", "client" or NULL: "server" */
	const char *trust;                 /* file with trust anchors (PEM), "system" or NULL: not judged */
	const char *key;                   /* whose certificate it must be: SHA-256 of the public key (SPKI) in hex, or a file with a request, a public key
	                                    * or a certificate; NULL: not asked. Of a request the names must be covered, too */
	const char *server_name;           /* what the certificate must name, and a host is asked for (SNI); NULL: of a host as it was named, of files not asked */
	struct custos_secret *pass_phrase; /* of PKCS#12 files; NULL: only those without one are opened */
};

/* For a process that does nothing but inspect: from here on, and for good, it reads files, writes to none but what is open already or stands in the directory of `out` (NULL: none), starts no
 * program, enters no other process and, unless an input is HOST:PORT, has no network. What strangers sent is parsed by code that was not written for strangers. */
CUSTOS_API custos_inspect_confine(const char *const inputs[], size_t count, const char *out, struct custos_err *err);

/* Each input is a file, a directory, "-" for standard input, or HOST:PORT (once) when there is no file of that name: then a TLS handshake is made and what the host
 * serves is judged. *ret_report is custos-cert(1)'s JSON, also when no server could use what was given (CUSTOS_E_INPUT); not written when it did not come to
 * that. *ret_chain_pem, written on success only: leaf, then intermediates; may be NULL. */
CUSTOS_API custos_cert_inspect(const char *const inputs[], size_t count, const struct custos_inspect_options *options, struct custos_json **ret_report,
                               char **ret_chain_pem, struct custos_err *err);

#endif
