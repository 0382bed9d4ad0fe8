/* The lab's token without custos in between: its module, loaded into the test itself, and a session that is logged in. Include after token_lab.h. */
#ifndef CUSTOS_TESTS_TOKEN_MODULE_H
#define CUSTOS_TESTS_TOKEN_MODULE_H

#include <p11-kit/pkcs11.h>

#include <dlfcn.h>

struct lab_module {
	CK_FUNCTION_LIST *f;
	CK_SESSION_HANDLE session;
};

static inline custos_rc lab_module_login(void *ctx, uint8_t *bytes, size_t len, struct custos_err *err)
{
	const struct lab_module *m = ctx;
	(void)err;
	assert_int_equal(m->f->C_Login(m->session, CKU_USER, bytes, len), CKR_OK);
	return CUSTOS_OK;
}

static inline void lab_module_load(const struct lab *lab, struct lab_module *m)
{
	union {
		void *object;
		CK_C_GetFunctionList function;
	} get;
	char path[128];
	lab_bash(lab, "softhsm_module", path, sizeof path);
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(handle);
	get.object = dlsym(handle, "C_GetFunctionList");
	assert_non_null(get.object);
	assert_int_equal(get.function(&m->f), CKR_OK);
	assert_int_equal(m->f->C_Initialize(NULL), CKR_OK);
}

/* End it with C_Finalize. */
static inline void lab_module_open(struct lab *lab, struct lab_module *m)
{
	CK_SLOT_ID slots[8];
	CK_ULONG count = sizeof slots / sizeof *slots;
	lab_module_load(lab, m);
	assert_int_equal(m->f->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
	for (CK_ULONG i = 0; i < count; i++) {
		CK_TOKEN_INFO info;
		assert_int_equal(m->f->C_GetTokenInfo(slots[i], &info), CKR_OK);
		if (memcmp(info.serialNumber, lab->serial, 16) == 0)
			assert_int_equal(m->f->C_OpenSession(slots[i], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &m->session), CKR_OK);
	}
	struct custos_secret *pin = lab_own_pin(lab);
	LAB_OK(lab, custos_secret_expose(pin, lab_module_login, m, &lab->err));
	custos_secret_free(pin);
}

#endif
