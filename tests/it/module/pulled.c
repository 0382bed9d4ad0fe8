/* A PKCS#11 module that is the real one until its token is pulled, for pulled.bats. $PULLED_MODULE is the real one. At the $PULLED_AT-th call that needs the token it is
 * gone, for the rest of the process: every such call fails with $PULLED_RV, no slot has a token. With $PULLED_MOVE ("FROM:TO") nothing is made up: the
 * directory is renamed, and the real module has to cope. $PULLED_REPORT gets one line when it happens: number and name of the call. $PULLED_COUNT gets the number
 * of calls so far, at each C_Finalize. */
#define _GNU_SOURCE 1
#include <p11-kit/pkcs11.h>

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST mine;
static atomic_long calls;
static atomic_bool gone;

static void write_line(const char *variable, long number, const char *name)
{
	const char *path = getenv(variable);
	FILE *file = path == NULL ? NULL : fopen(path, "w");
	if (file == NULL)
		return;
	fprintf(file, "%ld %s\n", number, name);
	fclose(file);
}

static bool move_away(void)
{
	const char *both = getenv("PULLED_MOVE");
	const char *colon = both == NULL ? NULL : strchr(both, ':');
	if (colon == NULL)
		return false;
	char from[512];
	snprintf(from, sizeof from, "%.*s", (int)(colon - both), both);
	if (rename(from, colon + 1) != 0)
		write_line("PULLED_REPORT", -1, "the directory could not be moved");
	return true;
}

/* Is the token still there for this call? */
static bool is_there(const char *name)
{
	const char *at = getenv("PULLED_AT");
	long number = atomic_fetch_add(&calls, 1) + 1;
	if (at != NULL && number == strtol(at, NULL, 10)) {
		write_line("PULLED_REPORT", number, name);
		if (!move_away())
			atomic_store(&gone, true);
	}
	return !atomic_load(&gone);
}

static CK_RV why(void)
{
	const char *rv = getenv("PULLED_RV");
	return rv == NULL ? CKR_DEVICE_REMOVED : strtoul(rv, NULL, 0);
}

#define PULLABLE(name, parameters, arguments) \
	static CK_RV pulled_##name parameters { return is_there(#name) ? real->name arguments : why(); }
PULLABLE(C_GetTokenInfo, (CK_SLOT_ID a, CK_TOKEN_INFO *b), (a, b))
PULLABLE(C_OpenSession, (CK_SLOT_ID a, CK_FLAGS b, void *c, CK_NOTIFY d, CK_SESSION_HANDLE *e), (a, b, c, d, e))
PULLABLE(C_CloseSession, (CK_SESSION_HANDLE a), (a))
PULLABLE(C_Login, (CK_SESSION_HANDLE a, CK_USER_TYPE b, unsigned char *c, CK_ULONG d), (a, b, c, d))
PULLABLE(C_Logout, (CK_SESSION_HANDLE a), (a))
PULLABLE(C_CreateObject, (CK_SESSION_HANDLE a, CK_ATTRIBUTE *b, CK_ULONG c, CK_OBJECT_HANDLE *d), (a, b, c, d))
PULLABLE(C_DestroyObject, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b), (a, b))
PULLABLE(C_GetAttributeValue, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE b, CK_ATTRIBUTE *c, CK_ULONG d), (a, b, c, d))
PULLABLE(C_FindObjectsInit, (CK_SESSION_HANDLE a, CK_ATTRIBUTE *b, CK_ULONG c), (a, b, c))
PULLABLE(C_FindObjects, (CK_SESSION_HANDLE a, CK_OBJECT_HANDLE *b, CK_ULONG c, CK_ULONG *d), (a, b, c, d))
PULLABLE(C_FindObjectsFinal, (CK_SESSION_HANDLE a), (a))
PULLABLE(C_SignInit, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c), (a, b, c))
PULLABLE(C_Sign, (CK_SESSION_HANDLE a, unsigned char *b, CK_ULONG c, unsigned char *d, CK_ULONG *e), (a, b, c, d, e))
PULLABLE(C_GenerateKey, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_ATTRIBUTE *c, CK_ULONG d, CK_OBJECT_HANDLE *e), (a, b, c, d, e))
PULLABLE(C_GenerateKeyPair, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_ATTRIBUTE *c, CK_ULONG d, CK_ATTRIBUTE *e, CK_ULONG f, CK_OBJECT_HANDLE *g, CK_OBJECT_HANDLE *h),
         (a, b, c, d, e, f, g, h))
PULLABLE(C_WrapKey, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c, CK_OBJECT_HANDLE d, unsigned char *e, CK_ULONG *f), (a, b, c, d, e, f))
PULLABLE(C_UnwrapKey, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c, unsigned char *d, CK_ULONG e, CK_ATTRIBUTE *f, CK_ULONG g, CK_OBJECT_HANDLE *h),
         (a, b, c, d, e, f, g, h))
PULLABLE(C_DeriveKey, (CK_SESSION_HANDLE a, CK_MECHANISM *b, CK_OBJECT_HANDLE c, CK_ATTRIBUTE *d, CK_ULONG e, CK_OBJECT_HANDLE *f), (a, b, c, d, e, f))

static CK_RV pulled_C_GetSlotList(unsigned char with_token, CK_SLOT_ID *slots, CK_ULONG *count)
{
	if (is_there("C_GetSlotList"))
		return real->C_GetSlotList(with_token, slots, count);
	*count = 0;
	return CKR_OK;
}

static CK_RV pulled_C_Finalize(void *reserved)
{
	write_line("PULLED_COUNT", atomic_load(&calls), "calls");
	return real->C_Finalize(reserved);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);
CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	const char *path = getenv("PULLED_MODULE");
	void *handle = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		return CKR_FUNCTION_FAILED;
	union {
		void *object;
		CK_C_GetFunctionList function;
	} get = { .object = dlsym(handle, "C_GetFunctionList") };
	if (get.object == NULL || get.function(&real) != CKR_OK)
		return CKR_FUNCTION_FAILED;
	mine = *real;
#define PULL(name) mine.name = pulled_##name
	PULL(C_GetSlotList);
	PULL(C_GetTokenInfo);
	PULL(C_OpenSession);
	PULL(C_CloseSession);
	PULL(C_Login);
	PULL(C_Logout);
	PULL(C_CreateObject);
	PULL(C_DestroyObject);
	PULL(C_GetAttributeValue);
	PULL(C_FindObjectsInit);
	PULL(C_FindObjects);
	PULL(C_FindObjectsFinal);
	PULL(C_SignInit);
	PULL(C_Sign);
	PULL(C_GenerateKey);
	PULL(C_GenerateKeyPair);
	PULL(C_WrapKey);
	PULL(C_UnwrapKey);
	PULL(C_DeriveKey);
	PULL(C_Finalize);
	*list = &mine;
	return CKR_OK;
}
