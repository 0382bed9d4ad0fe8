/* A second opinion: SoftHSM's C_UnwrapKey and custos's own opening of RFC 5649 (test_kwp.c) are shown the same bytes under the same key, and must say the same: NIST's
 * vectors, and forgeries by somebody who has the key. Both ends of a parcel are then known to mean the same format. */
#include "token_lab.h"
#include "token_module.h"

#include <sys/random.h>

#include "kwp.h"

static struct lab lab;
static struct lab_module module;
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY;
static CK_KEY_TYPE aes = CKK_AES, generic = CKK_GENERIC_SECRET;

#define BOOL(t, v) { t, &(v), sizeof(CK_BBOOL) }
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Does the token open it? What comes out is compared. A generic secret may have any length, so that every vector fits. */
static bool token_opens(const uint8_t *key, const uint8_t *sealed, size_t len, const uint8_t *plain, size_t plain_len)
{
	CK_MECHANISM pad = { 0x210aUL, NULL, 0 };
	CK_ATTRIBUTE kek_t[] = { { CKA_CLASS, &secret_class, sizeof secret_class }, { CKA_KEY_TYPE, &aes, sizeof aes }, BOOL(CKA_TOKEN, no), BOOL(CKA_UNWRAP, yes),
		                     { CKA_VALUE, (void *)(uintptr_t)key, KWP_KEY } };
	CK_ATTRIBUTE out_t[] = { { CKA_CLASS, &secret_class, sizeof secret_class }, { CKA_KEY_TYPE, &generic, sizeof generic }, BOOL(CKA_TOKEN, no), BOOL(CKA_SENSITIVE, no),
		                     BOOL(CKA_EXTRACTABLE, yes) };
	CK_OBJECT_HANDLE kek = 0, out = 0;
	uint8_t value[KWP_PLAIN_MAX + 8];
	CK_ATTRIBUTE read = { CKA_VALUE, value, sizeof value };
	assert_int_equal(module.f->C_CreateObject(module.session, kek_t, COUNT(kek_t), &kek), CKR_OK);
	CK_RV rv = module.f->C_UnwrapKey(module.session, &pad, kek, (CK_BYTE *)(uintptr_t)sealed, len, out_t, COUNT(out_t), &out);
	if (rv == CKR_OK) {
		assert_int_equal(module.f->C_GetAttributeValue(module.session, out, &read, 1), CKR_OK);
		assert_int_equal(read.ulValueLen, plain_len);
		assert_memory_equal(value, plain, plain_len);
		assert_int_equal(module.f->C_DestroyObject(module.session, out), CKR_OK);
	}
	assert_int_equal(module.f->C_DestroyObject(module.session, kek), CKR_OK);
	return rv == CKR_OK;
}

struct tally {
	size_t opened, refused;
};

static void ask_both(const char *what, const uint8_t *key, const uint8_t *sealed, size_t len, const uint8_t *plain, size_t plain_len, struct tally *tally)
{
	bool ours = kwp_opens(key, KWP_KEY, sealed, len, plain, plain_len), its = token_opens(key, sealed, len, plain, plain_len);
	if (ours != its)
		fail_msg("%s, %zu bytes for %zu: custos %s, the token %s", what, len, plain_len, ours ? "opens it" : "refuses it", its ? "opens it" : "refuses it");
	tally->opened += ours;
	tally->refused += !ours;
}

static void ask_about_vector(const struct kwp_vector *v, void *ctx)
{
	ask_both(v->file, v->key, v->sealed, v->sealed_len, v->plain, v->plain_len, ctx);
}

/* Goal: the token and custos agree with each other, and with NIST, on a thousand vectors. */
static void both_agree_with_nist(void **state)
{
	(void)state;
	struct tally tally = { 0 };
	assert_int_equal(kwp_each("KWP_AD_256.txt", ask_about_vector, &tally), 500);
	assert_int_equal(tally.opened, 400);
	assert_int_equal(tally.refused, 100);
	assert_int_equal(kwp_each("KWP_AE_256.txt", ask_about_vector, &tally), 500);
	assert_int_equal(tally.opened, 900);
	print_message("%zu opened and %zu refused by both\n", tally.opened, tally.refused);
}

/* Goal: and on what no good writer writes: any length in the header, padding that is not zero, another constant, damage, other lengths of the whole. */
static void both_agree_on_forgeries(void **state)
{
	(void)state;
	enum { ROOM = 24 };
	struct tally tally = { 0 };
	for (size_t len = 1; len <= ROOM; len++) {
		uint8_t key[KWP_KEY], plain[ROOM] = { 0 }, iv[8], sealed[ROOM + 32] = { 0 };
		size_t whole = (len + 7) / 8 * 8, sealed_len = whole + 8;
		assert_int_equal(getrandom(key, sizeof key, 0), sizeof key);
		assert_int_equal(getrandom(plain, len, 0), (ssize_t)len);
		plain[len - 1] |= 1;
		for (uint32_t told = 0; told <= whole + 16; told++) {
			kwp_iv(told, iv);
			kwp_forge(key, iv, plain, whole, sealed);
			ask_both("a length", key, sealed, sealed_len, plain, told, &tally);
		}
		kwp_iv((uint32_t)len, iv);
		iv[0] ^= 1;
		kwp_forge(key, iv, plain, whole, sealed);
		ask_both("another constant", key, sealed, sealed_len, plain, len, &tally);
		iv[0] ^= 1;
		kwp_forge(key, iv, plain, whole, sealed);
		for (size_t byte = 0; byte < sealed_len; byte++) {
			sealed[byte] ^= 0x10;
			ask_both("a damaged byte", key, sealed, sealed_len, plain, len, &tally);
			sealed[byte] ^= 0x10;
		}
		for (size_t cut = 0; cut <= sealed_len + 9; cut++)
			if (cut != sealed_len)
				ask_both("another length of the whole", key, sealed, cut, plain, len, &tally);
	}
	assert_true(tally.opened >= ROOM && tally.refused >= 1000);
	print_message("%zu opened and %zu refused by both\n", tally.opened, tally.refused);
}

static int start(void **state)
{
	(void)state;
	if (custos_secret_start(&lab.err) != CUSTOS_OK)
		return -1;
	lab_make(&lab, "custos-kwp");
	lab_module_open(&lab, &module);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	(void)module.f->C_Finalize(NULL);
	lab_remove(&lab);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(both_agree_with_nist), cmocka_unit_test(both_agree_on_forgeries) };
	return cmocka_run_group_tests(tests, start, stop);
}
