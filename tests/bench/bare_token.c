/* The floor: the token calls of an enrolment (generate, sign, wrap, unwrap, sign) and a request built with libcrypto, in one process, in a bare loop
 * without a check, a log, a lock or a second process. Usage: bare_token MODULE LABEL ec-p256|rsa-2048 KEYS SESSIONS [DIR] < PIN
 *
 * Wraps under the first secret key it finds on the token. With DIR each request is written to a file there, without a sync. Prints the milliseconds
 * from before the module is loaded to after it is finalised, and those of the loop alone. */
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <p11-kit/p11-kit.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SESSIONS_MAX = 16 };
static const CK_MECHANISM_TYPE WRAP = 0x210a;

struct bench {
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	CK_OBJECT_HANDLE kek;
	bool rsa;
	long keys, next;
	const char *dir;
	pthread_mutex_t lock;
};

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(CK_RV rv, const char *what)
{
	if (rv == CKR_OK)
		return;
	fprintf(stderr, "bare_token: %s: 0x%lx\n", what, rv);
	exit(1);
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bare_token: %s\n", what);
	exit(1);
}

static CK_SESSION_HANDLE open_session(const struct bench *b)
{
	CK_SESSION_HANDLE s;
	check(b->f->C_OpenSession(b->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s), "open a session");
	return s;
}

static void make_pair(const struct bench *b, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
	static CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 }, exponent[] = { 1, 0, 1 };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bits = 2048;
	CK_ATTRIBUTE ec[] = { { CKA_TOKEN, &no, 1 }, { CKA_VERIFY, &yes, 1 }, { CKA_EC_PARAMS, p256, sizeof p256 } };
	CK_ATTRIBUTE rsa[] = { { CKA_TOKEN, &no, 1 }, { CKA_VERIFY, &yes, 1 }, { CKA_MODULUS_BITS, &bits, sizeof bits }, { CKA_PUBLIC_EXPONENT, exponent, sizeof exponent } };
	CK_ATTRIBUTE private_template[] = { { CKA_TOKEN, &no, 1 }, { CKA_PRIVATE, &yes, 1 }, { CKA_SENSITIVE, &yes, 1 }, { CKA_EXTRACTABLE, &yes, 1 }, { CKA_SIGN, &yes, 1 },
		{ CKA_DECRYPT, &no, 1 }, { CKA_UNWRAP, &no, 1 }, { CKA_DERIVE, &no, 1 } };
	CK_MECHANISM mechanism = { b->rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	check(b->f->C_GenerateKeyPair(s, &mechanism, b->rsa ? rsa : ec, b->rsa ? 4 : 3, private_template, 8, public_key, private_key), "generate");
}

/* Signs the SHA-256 of a message; DER for ECDSA. */
static size_t sign(const struct bench *b, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key, const unsigned char *message, size_t len, unsigned char *out)
{
	static const unsigned char prefix[19] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
	CK_BYTE input[sizeof prefix + 32], raw[512];
	CK_ULONG size = sizeof raw;
	CK_MECHANISM mechanism = { b->rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0 };
	memcpy(input, prefix, sizeof prefix);
	must(EVP_Digest(message, len, input + sizeof prefix, NULL, EVP_sha256(), NULL) == 1, "digest");
	check(b->f->C_SignInit(s, &mechanism, key), "sign");
	check(b->f->C_Sign(s, b->rsa ? input : input + sizeof prefix, b->rsa ? sizeof input : 32, raw, &size), "sign");
	if (b->rsa) {
		memcpy(out, raw, size);
		return size;
	}
	ECDSA_SIG *sig = ECDSA_SIG_new();
	must(sig != NULL && ECDSA_SIG_set0(sig, BN_bin2bn(raw, (int)size / 2, NULL), BN_bin2bn(raw + size / 2, (int)size / 2, NULL)) == 1, "signature");
	int der = i2d_ECDSA_SIG(sig, &out);
	ECDSA_SIG_free(sig);
	must(der > 0, "signature");
	return (size_t)der;
}

static size_t attribute(const struct bench *b, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, CK_ATTRIBUTE_TYPE type, unsigned char *out, size_t size)
{
	CK_ATTRIBUTE a = { type, out, size };
	check(b->f->C_GetAttributeValue(s, o, &a, 1), "read the public key");
	return a.ulValueLen;
}

static EVP_PKEY *public_half(const struct bench *b, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o)
{
	static const unsigned char head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
		0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };
	unsigned char value[1024], exponent[16], spki[sizeof head + 65];
	const unsigned char *p = spki;
	if (!b->rsa) {
		must(attribute(b, s, o, CKA_EC_POINT, value, sizeof value) == 67, "the point");
		memcpy(spki, head, sizeof head);
		memcpy(spki + sizeof head, value + 2, 65);
		return d2i_PUBKEY(NULL, &p, sizeof spki);
	}
	size_t n = attribute(b, s, o, CKA_MODULUS, value, sizeof value), e = attribute(b, s, o, CKA_PUBLIC_EXPONENT, exponent, sizeof exponent);
	RSA *rsa = RSA_new();
	EVP_PKEY *key = EVP_PKEY_new();
	must(rsa != NULL && key != NULL && RSA_set0_key(rsa, BN_bin2bn(value, (int)n, NULL), BN_bin2bn(exponent, (int)e, NULL), NULL) == 1 && EVP_PKEY_assign_RSA(key, rsa) == 1, "RSA");
	return key;
}

static X509_REQ *draft(EVP_PKEY *key, bool rsa, long number)
{
	char name[64], san[80];
	X509_REQ *req = X509_REQ_new();
	STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
	X509_ALGOR *algorithm = X509_ALGOR_new();
	snprintf(name, sizeof name, "k%ld.example.com", number);
	snprintf(san, sizeof san, "DNS:%s", name);
	X509_NAME *subject = X509_REQ_get_subject_name(req);
	must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (unsigned char *)name, -1, -1, 0) == 1 && X509_REQ_set_pubkey(req, key) == 1, "request");
	sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san));
	sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, "critical,digitalSignature"));
	sk_X509_EXTENSION_push(extensions, X509V3_EXT_conf_nid(NULL, NULL, NID_ext_key_usage, "serverAuth"));
	must(X509_REQ_add_extensions(req, extensions) == 1, "request");
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_ALGOR_set0(algorithm, OBJ_nid2obj(rsa ? NID_sha256WithRSAEncryption : NID_ecdsa_with_SHA256), rsa ? V_ASN1_NULL : V_ASN1_UNDEF, NULL);
	must(X509_REQ_set1_signature_algo(req, algorithm) == 1, "request");
	X509_ALGOR_free(algorithm);
	return req;
}

static void write_request(const struct bench *b, X509_REQ *req, long number)
{
	char path[512];
	if (b->dir == NULL)
		return;
	snprintf(path, sizeof path, "%s/k%ld.csr", b->dir, number);
	FILE *to = fopen(path, "wx");
	must(to != NULL && PEM_write_X509_REQ(to, req) == 1 && fclose(to) == 0, path);
}

static void one_key(const struct bench *b, CK_SESSION_HANDLE s, long number)
{
	unsigned char wrapped[4096], signature[600], *tbs = NULL;
	CK_ULONG wrapped_len = sizeof wrapped;
	CK_OBJECT_HANDLE public_key, private_key, again;
	CK_MECHANISM wrap = { WRAP, NULL, 0 };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_KEY_TYPE type = b->rsa ? CKK_RSA : CKK_EC;
	CK_ATTRIBUTE unwrapped[] = { { CKA_CLASS, &class, sizeof class }, { CKA_KEY_TYPE, &type, sizeof type }, { CKA_TOKEN, &no, 1 }, { CKA_PRIVATE, &yes, 1 },
		{ CKA_SENSITIVE, &yes, 1 }, { CKA_EXTRACTABLE, &yes, 1 }, { CKA_SIGN, &yes, 1 }, { CKA_DECRYPT, &no, 1 }, { CKA_UNWRAP, &no, 1 }, { CKA_DERIVE, &no, 1 } };
	make_pair(b, s, &public_key, &private_key);
	(void)sign(b, s, private_key, (const unsigned char *)"challenge", 9, signature);
	check(b->f->C_WrapKey(s, &wrap, b->kek, private_key, wrapped, &wrapped_len), "wrap");
	EVP_PKEY *key = public_half(b, s, public_key);
	must(key != NULL, "the public key");
	check(b->f->C_DestroyObject(s, private_key), "destroy");
	check(b->f->C_DestroyObject(s, public_key), "destroy");
	X509_REQ *req = draft(key, b->rsa, number);
	int len = i2d_re_X509_REQ_tbs(req, &tbs);
	must(len > 0, "request");
	check(b->f->C_UnwrapKey(s, &wrap, b->kek, wrapped, wrapped_len, unwrapped, 10, &again), "unwrap");
	size_t signature_len = sign(b, s, again, tbs, (size_t)len, signature);
	check(b->f->C_DestroyObject(s, again), "destroy");
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	must(bits != NULL && ASN1_BIT_STRING_set(bits, signature, (int)signature_len) == 1, "signature");
	bits->flags = (bits->flags & ~(ASN1_STRING_FLAG_BITS_LEFT | 7)) | ASN1_STRING_FLAG_BITS_LEFT;
	X509_REQ_set0_signature(req, bits);
	write_request(b, req, number);
	X509_REQ_free(req);
	OPENSSL_free(tbs);
	EVP_PKEY_free(key);
}

static void *work(void *at)
{
	struct bench *b = at;
	CK_SESSION_HANDLE s = open_session(b);
	for (;;) {
		pthread_mutex_lock(&b->lock);
		long number = b->next++;
		pthread_mutex_unlock(&b->lock);
		if (number >= b->keys)
			return NULL;
		one_key(b, s, number);
	}
}

static CK_SLOT_ID find_slot(CK_FUNCTION_LIST *f, const char *label)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = 64;
	check(f->C_GetSlotList(CK_TRUE, slots, &count), "slots");
	for (CK_ULONG i = 0; i < count; i++) {
		CK_TOKEN_INFO info;
		if (f->C_GetTokenInfo(slots[i], &info) == CKR_OK && memcmp(info.label, label, strlen(label)) == 0)
			return slots[i];
	}
	must(false, "no token of that label");
	return 0;
}

static CK_OBJECT_HANDLE find_kek(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE wanted = { CKA_CLASS, &class, sizeof class };
	CK_OBJECT_HANDLE found = 0;
	CK_ULONG count = 0;
	check(f->C_FindObjectsInit(s, &wanted, 1), "find the KEK");
	check(f->C_FindObjects(s, &found, 1, &count), "find the KEK");
	check(f->C_FindObjectsFinal(s), "find the KEK");
	must(count == 1, "no KEK on the token");
	return found;
}

int main(int argc, char **argv)
{
	char pin[64];
	pthread_t threads[SESSIONS_MAX];
	must(argc >= 6 && fgets(pin, sizeof pin, stdin) != NULL, "usage: bare_token MODULE LABEL ec-p256|rsa-2048 KEYS SESSIONS [DIR] < PIN");
	pin[strcspn(pin, "\n")] = '\0';
	struct bench b = { .rsa = strncmp(argv[3], "rsa", 3) == 0, .keys = atol(argv[4]), .dir = argc > 6 ? argv[6] : NULL, .lock = PTHREAD_MUTEX_INITIALIZER };
	long sessions = atol(argv[5]);
	must(b.keys > 0 && sessions >= 1 && sessions <= SESSIONS_MAX, "numbers");
	double t0 = now_ms();
	b.f = p11_kit_module_load(argv[1], P11_KIT_MODULE_UNMANAGED);
	must(b.f != NULL, "the module cannot be loaded");
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	check(b.f->C_Initialize(&args), "initialise");
	b.slot = find_slot(b.f, argv[2]);
	CK_SESSION_HANDLE first = open_session(&b);
	check(b.f->C_Login(first, CKU_USER, (CK_BYTE *)pin, strlen(pin)), "log in");
	b.kek = find_kek(b.f, first);
	double t1 = now_ms();
	for (long i = 1; i < sessions; i++)
		must(pthread_create(&threads[i], NULL, work, &b) == 0, "thread");
	(void)work(&b);
	for (long i = 1; i < sessions; i++)
		pthread_join(threads[i], NULL);
	double t2 = now_ms();
	check(b.f->C_Finalize(NULL), "finalise");
	printf("%.1f %.1f\n", now_ms() - t0, t2 - t1);
	return 0;
}
