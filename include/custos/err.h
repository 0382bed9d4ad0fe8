/* Errors are values.
 *
 * Every function that can fail returns `custos_rc`, which must be used, and takes a `struct custos_err *` as its last
 * argument; the first error wins, later ones do not overwrite it. The category is the exit code of the command line
 * (custos-exit(7)), the native code of the library that failed is kept beside it. `msg` is one line, lower-case, no
 * full stop, and names the file or the object; `hint`, when not empty, says the remedy. Neither ever holds a secret.
 * Out-parameters are called `ret_x`, come last before `err`, and are written only on success. */
#ifndef CUSTOS_ERR_H
#define CUSTOS_ERR_H

typedef enum custos_category {
	CUSTOS_OK = 0,
	CUSTOS_E_USAGE = 2,           /* the command line makes no sense */
	CUSTOS_E_POLICY = 3,          /* refused by policy */
	CUSTOS_E_AUTH = 4,            /* a PIN or an SSH login was refused */
	CUSTOS_E_TOKEN = 5,           /* the token or its module failed */
	CUSTOS_E_INPUT = 6,           /* a file, certificate, profile or plan is not usable */
	CUSTOS_E_STORE = 7,           /* store or log not readable or not writable */
	CUSTOS_E_NETWORK = 8,
	CUSTOS_E_SYSTEM = 9,          /* memory, files, processes */
	CUSTOS_E_ROLLED_BACK = 10,    /* failed, the host serves what it served before */
	CUSTOS_E_NOT_ROLLED_BACK = 11,/* failed, and the host does NOT serve what it served before */
	CUSTOS_E_SOME_FAILED = 12,    /* several hosts: some failed, each of them serves its old pair */
	CUSTOS_E_TAMPERED = 13,       /* evidence of tampering */
	CUSTOS_E_INTERNAL = 70,
} custos_category;

typedef custos_category custos_rc;

struct custos_err {
	custos_rc rc;
	long native;                  /* CK_RV, errno, libssh2, SQLite or OpenSSL code; 0 when there is none */
	char msg[512];
	char hint[1024];               /* long enough for the way back by hand (target/script.h) */
};

/* Name of a category as it stands in JSON output, e.g. "policy". Static. */
const char *custos_rc_name(custos_rc rc);

#endif
