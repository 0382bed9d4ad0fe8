/* The one PKCS#11 module of this process. A module is code with the PIN in its hands, so only the system's own directories and root's files are
 * taken. */
#ifndef CUSTOS_TOKEN_MODULE_H
#define CUSTOS_TOKEN_MODULE_H

#include "token/cryptoki.h"

struct custos_module {
	char path[256];               /* resolved: no symbolic links left */
	CK_FUNCTION_LIST *functions;
	const char *parameters;       /* environment variable with what C_Initialize is told, "" or NULL: nothing; not owned */
	bool is_initialized;
};

/* A bare name is looked for in the system's PKCS#11 directories, as it stands, as NAME.so and as libNAME.so; an absolute path, its
 * directory and everything above must belong to root and be writable by nobody else. */
CUSTOS_RC custos_module_resolve(const char *module, char *ret_path, size_t size, struct custos_err *err);
CUSTOS_RC custos_module_load(struct custos_module *module, struct custos_err *err);
/* Ready for several threads, a session each; with the parameters of its environment variable, when it takes some. */
CUSTOS_RC custos_module_initialize(struct custos_module *module, struct custos_err *err);
void custos_module_finalize(struct custos_module *module);
void custos_module_done(struct custos_module *module);

#endif
