/* A PKCS#11 module that is SoftHSM, except that it wraps another key than the one it was asked to: the one in the container that the file RESIDUE_CONTAINER
 * names. Whatever is unwrapped, that container is unwrapped too, and C_WrapKey takes the result. It stands for a token that lies. */
#include <p11-kit/pkcs11.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { CONTAINER_MAX = 8192 };

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST mine;
static CK_OBJECT_HANDLE other;

static CK_RV unwrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, CK_BYTE *wrapped, CK_ULONG len, CK_ATTRIBUTE *template,
                    CK_ULONG count, CK_OBJECT_HANDLE *ret)
{
	CK_BYTE container[CONTAINER_MAX];
	CK_OBJECT_HANDLE handle;
	const char *path = getenv("RESIDUE_CONTAINER");
	FILE *f = path == NULL ? NULL : fopen(path, "re");
	size_t have = f == NULL ? 0 : fread(container, 1, sizeof container, f);
	if (f != NULL)
		fclose(f);
	/* fails for a key of another kind, such as the canary */
	if (have > 0 && real->C_UnwrapKey(session, mechanism, kek, container, have, template, count, &handle) == CKR_OK)
		other = handle;
	return real->C_UnwrapKey(session, mechanism, kek, wrapped, len, template, count, ret);
}

static CK_RV wrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_OBJECT_HANDLE wanted, CK_BYTE *out, CK_ULONG *len)
{
	return real->C_WrapKey(session, mechanism, key, other != 0 ? other : wanted, out, len);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	void *module = dlopen(SOFTHSM_MODULE, RTLD_NOW | RTLD_LOCAL);
	union {
		void *object;
		CK_RV (*function)(CK_FUNCTION_LIST **);
	} get = { .object = module == NULL ? NULL : dlsym(module, "C_GetFunctionList") };
	if (get.object == NULL || get.function(&real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	mine = *real;
	mine.C_UnwrapKey = unwrap;
	mine.C_WrapKey = wrap;
	*list = &mine;
	return CKR_OK;
}
