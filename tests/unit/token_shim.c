/* A PKCS#11 module that is the real one, except for one misbehaviour named in CUSTOS_SHIM. It stands for broken drivers and lying devices. */
#define _GNU_SOURCE 1
#include <p11-kit/pkcs11.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST mine;
static int initialized, sessions;
static bool kek_made, logged_in;

static bool plays(const char *part)
{
	const char *wanted = getenv("CUSTOS_SHIM");
	return wanted != NULL && strcmp(wanted, part) == 0;
}

static bool plays_pad(void)
{
	const char *wanted = getenv("CUSTOS_SHIM");
	return wanted != NULL && strncmp(wanted, "pad", 3) == 0;
}

/* One byte into the file or FIFO that the test watches. */
static void report_as(char what)
{
	const char *path = getenv("CUSTOS_SHIM_REPORT");
	int fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND);
	if (fd >= 0 && write(fd, &what, 1) == 1)
		close(fd);
}

static void report(void)
{
	report_as('x');
}

static CK_RV initialize(void *args)
{
	if (plays("init-fails-twice") && initialized++ < 2)
		return CKR_GENERAL_ERROR;
	if (plays("needs-lock")) {
		const char *path = getenv("CUSTOS_SHIM_LOCK");
		int fd = path == NULL ? -1 : open(path, O_RDWR);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
			return CKR_FUNCTION_FAILED;
		close(fd);
		report();
	}
	return real->C_Initialize(args);
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv = real->C_GetTokenInfo(slot, info);
	if (plays_pad())
		info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
	if (plays("final-try") || plays("pad-final-try") || (plays("always-final-try") && logged_in))
		info->flags |= CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY;
	if (plays("locked") || plays("pad-locked"))
		info->flags |= CKF_USER_PIN_LOCKED;
	if (plays("stranger"))
		memset(info->model, 'x', sizeof info->model);
	return rv;
}

/* Opened and closed by one thread, whoever works in them. */
static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *ctx, CK_NOTIFY notify, CK_SESSION_HANDLE *session)
{
	CK_RV rv = real->C_OpenSession(slot, flags, ctx, notify, session);
	sessions += rv == CKR_OK ? 1 : 0;
	return rv;
}

static CK_RV close_session(CK_SESSION_HANDLE session)
{
	sessions--;
	return real->C_CloseSession(session);
}

static bool tear(const char *path)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	return fd >= 0 && close(fd) == 0;
}

/* A token with a PIN pad, and the person at it, who types what the test put into CUSTOS_SHIM_PIN. */
static CK_RV pad_login(CK_SESSION_HANDLE session, CK_USER_TYPE user, const unsigned char *pin)
{
	const char *typed = getenv("CUSTOS_SHIM_PIN");
	unsigned char keys[64];
	report_as(pin == NULL ? 'p' : 'P');
	while (plays("pad-hangs"))
		pause();
	if (plays("pad-cancelled"))
		return CKR_FUNCTION_CANCELED;
	if (pin != NULL || typed == NULL || strlen(typed) >= sizeof keys)
		return CKR_ARGUMENTS_BAD;
	memcpy(keys, typed, strlen(typed));
	return real->C_Login(session, user, keys, strlen(typed));
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char *pin, CK_ULONG len)
{
	if (plays_pad())
		return pad_login(session, user, pin);
	if (user == CKU_CONTEXT_SPECIFIC) {
		report_as('c');
		return plays("always-refused") ? CKR_PIN_INCORRECT : real->C_Login(session, user, pin, len);
	}
	logged_in = true;
	CK_RV rv = real->C_Login(session, user, pin, len);
	report();
	/* as SoftHSM does it: a file that is opened to be written again */
	if (plays("tears-file") && !tear(getenv("CUSTOS_SHIM_FILE")))
		return CKR_FUNCTION_FAILED;
	return rv;
}

/* The first point of its life, whatever key is asked about. */
static void show_first_point(const CK_ATTRIBUTE *a)
{
	static CK_BYTE first[67];
	if (a->type != CKA_EC_POINT || a->pValue == NULL || a->ulValueLen != sizeof first)
		return;
	if (first[0] == 0)
		memcpy(first, a->pValue, sizeof first);
	memcpy(a->pValue, first, sizeof first);
}

/* What a KEK should be, not what it is. */
static void embellish(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const CK_ATTRIBUTE *a)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE its_class = { CKA_CLASS, &class, sizeof class };
	if (!kek_made || real->C_GetAttributeValue(session, object, &its_class, 1) != CKR_OK || class != CKO_SECRET_KEY)
		return;
	bool hides = (plays("ignores-protection") && (a->type == CKA_MODIFIABLE || a->type == 0x171UL)) || (plays("forces-extractable") && a->type == CKA_EXTRACTABLE);
	if (hides && a->pValue != NULL && a->ulValueLen == 1)
		*(CK_BYTE *)a->pValue = CK_FALSE;
	if (plays("forces-extractable") && a->type == CKA_NEVER_EXTRACTABLE && a->pValue != NULL && a->ulValueLen == 1)
		*(CK_BYTE *)a->pValue = CK_TRUE;
}

/* A KEK that is not what was asked for: MODIFIABLE and COPYABLE (0x171) are forgotten, or EXTRACTABLE is turned. */
static CK_RV generate_key(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *key)
{
	static CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE mine_template[64];
	CK_ULONG kept = 0;
	kek_made = true;
	for (CK_ULONG i = 0; i < count && kept < 64; i++) {
		if (plays("ignores-protection") && (template[i].type == CKA_MODIFIABLE || template[i].type == 0x171UL))
			continue;
		mine_template[kept] = template[i];
		if (plays("forces-extractable") && template[i].type == CKA_EXTRACTABLE)
			mine_template[kept].pValue = &yes;
		kept++;
	}
	return real->C_GenerateKey(session, mechanism, mine_template, kept, key);
}

/* Every private token key wants the PIN before each signature, and the real token sees to that. */
static CK_RV generate_pair(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_template, CK_ULONG public_count, CK_ATTRIBUTE *template, CK_ULONG count,
                           CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *key)
{
	static CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE more[64];
	CK_ULONG n = 0;
	bool stays = false;
	for (; n < count && n < 63; n++) {
		more[n] = template[n];
		stays = stays || (template[n].type == CKA_TOKEN && *(const CK_BBOOL *)template[n].pValue != CK_FALSE);
	}
	if (stays && (plays("always") || plays("always-silent")))
		more[n++] = (CK_ATTRIBUTE){ CKA_ALWAYS_AUTHENTICATE, &yes, sizeof yes };
	return real->C_GenerateKeyPair(session, mechanism, public_template, public_count, more, n, public_key, key);
}

static CK_RV get_attribute(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *template, CK_ULONG count)
{
	if (plays("always-silent") && count == 1 && template->type == CKA_ALWAYS_AUTHENTICATE)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	CK_RV rv = real->C_GetAttributeValue(session, object, template, count);
	const char *lie = getenv("CUSTOS_SHIM_ATTRIBUTE");
	CK_ATTRIBUTE_TYPE type = lie == NULL ? 0 : strtoul(lie, NULL, 16);
	for (CK_ULONG i = 0; rv == CKR_OK && i < count; i++) {
		embellish(session, object, &template[i]);
		if (plays("wrong-public-key"))
			show_first_point(&template[i]);
	}
	for (CK_ULONG i = 0; plays("lies") && rv == CKR_OK && i < count; i++)
		if (template[i].type == type && template[i].pValue != NULL)
			*(CK_BYTE *)template[i].pValue ^= 1;
	return rv;
}

/* By a key that nobody asked for, made on the spot in a session of its own. */
static CK_RV sign_by_another(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len, unsigned char *signature, CK_ULONG *signature_len)
{
	CK_SESSION_INFO info;
	CK_SESSION_HANDLE own;
	CK_OBJECT_HANDLE public_key, key;
	CK_ULONG bits = 2048;
	CK_BBOOL yes = CK_TRUE;
	CK_MECHANISM make = { CKM_RSA_PKCS_KEY_PAIR_GEN, NULL, 0 }, how = { CKM_RSA_PKCS, NULL, 0 };
	CK_ATTRIBUTE public_template[] = { { CKA_MODULUS_BITS, &bits, sizeof bits } }, template[] = { { CKA_SIGN, &yes, sizeof yes } };
	CK_RV rv = real->C_GetSessionInfo(session, &info);
	rv = rv != CKR_OK ? rv : real->C_OpenSession(info.slotID, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &own);
	rv = rv != CKR_OK ? rv : real->C_GenerateKeyPair(own, &make, public_template, 1, template, 1, &public_key, &key);
	rv = rv != CKR_OK ? rv : real->C_SignInit(own, &how, key);
	return rv != CKR_OK ? rv : real->C_Sign(own, data, len, signature, signature_len);
}

/* Lies about signatures by RSA keys, which neither the KEK's canary nor the log's key is: after CKR_OK. */
static CK_RV sign_falsely(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len, unsigned char *signature, CK_ULONG *signature_len)
{
	enum { RSA_2048 = 256 };
	const char *path = getenv("CUSTOS_SHIM_FILE");
	bool keep = plays("rsa-keep"), old = plays("rsa-old");
	int fd = *signature_len == RSA_2048 && (keep || old) && path != NULL ? open(path, keep ? O_WRONLY : O_RDONLY) : -1;
	if (*signature_len != RSA_2048)
		return CKR_OK;
	if (keep || old) {
		ssize_t n = fd < 0 ? -1 : keep ? write(fd, signature, RSA_2048) : read(fd, signature, RSA_2048);
		if (fd >= 0)
			close(fd);
		return n == RSA_2048 ? CKR_OK : CKR_FUNCTION_FAILED;
	}
	if (plays("rsa-random"))
		arc4random_buf(signature, RSA_2048);
	if (plays("rsa-zeroes"))
		memset(signature, 0, RSA_2048);
	if (plays("rsa-empty"))
		*signature_len = 0;
	if (plays("rsa-short"))
		*signature_len = RSA_2048 - 1;
	if (plays("rsa-endless"))
		*signature_len = 1ul << 40;
	return plays("rsa-other") ? sign_by_another(session, data, len, signature, signature_len) : CKR_OK;
}

static CK_RV sign(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len, unsigned char *signature, CK_ULONG *signature_len)
{
	if (plays("crashes")) {
		signal(SIGSEGV, SIG_DFL); /* not the sanitizer's */
		raise(SIGSEGV);
	}
	if (plays("hangs")) {
		report();
		for (;;)
			pause();
	}
	CK_RV rv = real->C_Sign(session, data, len, signature, signature_len);
	/* a driver with one buffer for all: with one session beside the first it is never noticed */
	if (plays("not-for-threads") && sessions > 2 && rv == CKR_OK)
		signature[*signature_len / 2] ^= 1;
	if (plays("bad-signature") && rv == CKR_OK)
		signature[*signature_len / 2] ^= 1;
	return rv == CKR_OK && signature != NULL ? sign_falsely(session, data, len, signature, signature_len) : rv;
}

static CK_RV wrap(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, unsigned char *out, CK_ULONG *len)
{
	CK_MECHANISM other = { CKM_AES_KEY_WRAP, NULL, 0 };
	bool deceives = plays("wrong-format") && mechanism->mechanism == 0x210aUL;
	CK_RV rv = real->C_WrapKey(session, deceives ? &other : mechanism, wrapping, key, out, len);
	if (plays("short-size") && rv == CKR_OK && out == NULL)
		*len -= 8;
	if (plays("bad-container") && rv == CKR_OK)
		out[*len - 1] ^= 1;
	return rv;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	const char *path = getenv("CUSTOS_SHIM_MODULE");
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
	mine.C_Initialize = initialize;
	mine.C_GetTokenInfo = token_info;
	mine.C_OpenSession = open_session;
	mine.C_CloseSession = close_session;
	mine.C_Login = login;
	mine.C_GetAttributeValue = get_attribute;
	mine.C_Sign = sign;
	mine.C_WrapKey = wrap;
	mine.C_GenerateKey = generate_key;
	mine.C_GenerateKeyPair = generate_pair;
	*list = &mine;
	return CKR_OK;
}
