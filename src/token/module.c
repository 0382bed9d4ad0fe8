/* Finding, loading and initialising the module: see module.h. */
#include "token/module.h"

#include <errno.h>
#include <limits.h>
#include <p11-kit/p11-kit.h>
#include <stdio.h>
#include <sys/stat.h>

static const char *const directories[] = { "/usr/lib/" CUSTOS_LIBRARY_ARCHITECTURE "/pkcs11", "/usr/lib/pkcs11", "/usr/lib64/pkcs11", "/usr/lib/softhsm" };
static const struct {
	const char *before, *after;
} spellings[] = { { "", "" }, { "", ".so" }, { "lib", ".so" } };

/* Whoever can write the file or a directory above it decides what runs here. A sticky directory protects what root owns in it. */
static custos_rc check_owner(const char *path, struct custos_err *err)
{
	char part[PATH_MAX];
	snprintf(part, sizeof part, "%s", path);
	for (int level = 0;; level++) {
		struct stat st;
		CUSTOS_REQUIRE(lstat(part, &st) == 0, err, CUSTOS_E_TOKEN, "cannot look at %s: %s", part, strerror(errno));
		bool sticky = level > 1 && (st.st_mode & S_ISVTX) != 0;
		bool others = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky;
		if (st.st_uid != 0 || others)
			CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "install the module as a package, or give it and its directory to root, writable by nobody else",
			                 "the module %s is not safe to load: %s %s", path, part, st.st_uid != 0 ? "does not belong to root" : "can be written by others");
		char *slash = strrchr(part, '/');
		if (slash == part && part[1] == '\0')
			return CUSTOS_OK;
		slash[slash == part ? 1 : 0] = '\0';
	}
}

static custos_rc resolve_path(const char *path, char *ret_path, size_t size, struct custos_err *err)
{
	CUSTOS_AUTO_STR *real = realpath(path, NULL);
	struct stat st;
	CUSTOS_REQUIRE(real != NULL && stat(real, &st) == 0, err, CUSTOS_E_TOKEN, "cannot find the module %s: %s", path, strerror(errno));
	CUSTOS_REQUIRE(S_ISREG(st.st_mode), err, CUSTOS_E_TOKEN, "the module %s is not a file", path);
	CUSTOS_TRY(check_owner(real, err));
	CUSTOS_REQUIRE(strlen(real) < size, err, CUSTOS_E_TOKEN, "the module's path is too long");
	memcpy(ret_path, real, strlen(real) + 1);
	return CUSTOS_OK;
}

custos_rc custos_module_resolve(const char *module, char *ret_path, size_t size, struct custos_err *err)
{
	CUSTOS_REQUIRE(module[0] != '\0', err, CUSTOS_E_INPUT, "no PKCS#11 module is named");
	if (module[0] == '/')
		return resolve_path(module, ret_path, size, err);
	CUSTOS_REQUIRE(strchr(module, '/') == NULL && module[0] != '.', err, CUSTOS_E_INPUT, "the module %s is neither a bare name nor an absolute path", module);
	for (size_t d = 0; d < sizeof directories / sizeof *directories; d++) {
		for (size_t s = 0; s < sizeof spellings / sizeof *spellings; s++) {
			char path[PATH_MAX];
			int len = snprintf(path, sizeof path, "%s/%s%s%s", directories[d], spellings[s].before, module, spellings[s].after);
			if (len > 0 && (size_t)len < sizeof path && access(path, F_OK) == 0)
				return resolve_path(path, ret_path, size, err);
		}
	}
	CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "install its package, or name it by its absolute path", "there is no PKCS#11 module “%.64s” in the system's directories", module);
}

custos_rc custos_module_load(struct custos_module *module, struct custos_err *err)
{
	/* unmanaged: exactly this module and its own function list, nothing from the system's configuration */
	module->functions = p11_kit_module_load(module->path, P11_KIT_MODULE_UNMANAGED);
	const char *why = module->functions == NULL ? p11_kit_message() : NULL;
	CUSTOS_REQUIRE(module->functions != NULL, err, CUSTOS_E_TOKEN, "cannot load the module %s: %s", module->path, why != NULL ? why : "it is not a PKCS#11 module");
	return CUSTOS_OK;
}

/* PKCS#11 5.4 reserves a field that some modules read all the same: where their files are. */
static custos_rc find_parameters(const struct custos_module *module, char **ret_said, struct custos_err *err)
{
	if (module->parameters == NULL || module->parameters[0] == '\0')
		return CUSTOS_OK;
	*ret_said = getenv(module->parameters);
	if (*ret_said == NULL || (*ret_said)[0] == '\0')
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "docs of the module say what it takes; tokens/README.md has an example", "the module %s needs its parameters in %s", module->path,
		                 module->parameters);
	return CUSTOS_OK;
}

custos_rc custos_module_initialize(struct custos_module *module, struct custos_err *err)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	char *said = NULL;
	CUSTOS_TRY(find_parameters(module, &said, err));
	args.pReserved = said;
	/* Not p11_kit_module_initialize(): to an unmanaged module it gives no arguments, which says that there is one thread and switches SoftHSM's
	 * locks off. A module that cannot lock is told so, and its profile gives it one session. */
	CK_RV rv = module->functions->C_Initialize(&args);
	if (rv == CKR_CANT_LOCK) {
		args.flags = 0;
		rv = module->functions->C_Initialize(said == NULL ? NULL : &args);
	}
	if (rv != CKR_CRYPTOKI_ALREADY_INITIALIZED)
		CUSTOS_TRY(custos_ck(rv, err, "cannot initialise the module %s", module->path));
	module->is_initialized = true;
	return CUSTOS_OK;
}

void custos_module_finalize(struct custos_module *module)
{
	if (module->is_initialized)
		(void)module->functions->C_Finalize(NULL);
	module->is_initialized = false;
}

void custos_module_done(struct custos_module *module)
{
	custos_module_finalize(module);
	/* it stays mapped: the process ends soon, and unloading other people's code is one more way to crash */
	module->functions = NULL;
}
