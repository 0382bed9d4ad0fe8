/* What is on the token, what it can be seen of without the PIN, what it says of itself, and what a logout does. */
#include "crypto/digest.h"
#include "token/probe.h"
#include "token/softhsm_files.h"

#include <stdio.h>

enum { OBJECTS_MAX = 65536, BATCH = 64 };

static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

custos_rc custos_probe_no_login(struct custos_probe *p, struct custos_err *err)
{
	static const CK_OBJECT_CLASS classes[] = { CKO_PRIVATE_KEY, CKO_SECRET_KEY };
	char hits[96] = "";
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		CK_OBJECT_HANDLE first;
		size_t count = 0;
		CUSTOS_TRY(custos_objects_find(p->session, classes[i], CUSTOS_BYTES(NULL, 0), CUSTOS_BYTES(NULL, 0), &first, &count, err));
		if (count > 0)
			custos_probe_list(hits, sizeof hits, "%s keys", classes[i] == CKO_PRIVATE_KEY ? "private" : "secret");
	}
	return custos_probe_judge(p, "no private and no secret key", hits, CUSTOS_VERDICT_WARN);
}

/* Handles of all token objects; *ret_objects is the caller's. */
static custos_rc list_objects(struct custos_probe *p, CK_OBJECT_HANDLE **ret_objects, size_t *ret_count, struct custos_err *err)
{
	CK_ATTRIBUTE on_token = { CKA_TOKEN, custos_ck_bytes(&yes), sizeof yes };
	CK_OBJECT_HANDLE *objects = NULL;
	size_t count = 0;
	CK_ULONG got = 0;
	CUSTOS_TRY(custos_ck(p->f->C_FindObjectsInit(p->session->handle, &on_token, 1), err, "the token cannot be searched"));
	CK_RV rv = CKR_OK;
	do {
		CK_OBJECT_HANDLE *more = realloc(objects, (count + BATCH) * sizeof *objects);
		if (more == NULL)
			break;
		objects = more;
		rv = p->f->C_FindObjects(p->session->handle, objects + count, BATCH, &got);
		count += rv == CKR_OK && got <= BATCH ? got : 0;
	} while (rv == CKR_OK && got > 0 && count < OBJECTS_MAX);
	(void)p->f->C_FindObjectsFinal(p->session->handle);
	custos_rc rc = custos_ck(rv, err, "the token cannot be searched");
	if (rc != CUSTOS_OK) {
		free(objects);
		return rc;
	}
	*ret_objects = objects;
	*ret_count = count;
	return CUSTOS_OK;
}

static bool has(struct custos_probe *p, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
	CK_ATTRIBUTE a = { type, NULL, 0 };
	return p->f->C_GetAttributeValue(p->session->handle, object, &a, 1) == CKR_OK && a.ulValueLen != CK_UNAVAILABLE_INFORMATION && a.ulValueLen > 0;
}

static CK_ULONG number(struct custos_probe *p, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type)
{
	CK_ULONG value = CK_UNAVAILABLE_INFORMATION;
	CK_ATTRIBUTE a = { type, &value, sizeof value };
	return p->f->C_GetAttributeValue(p->session->handle, object, &a, 1) == CKR_OK ? value : CK_UNAVAILABLE_INFORMATION;
}

static bool is_ours(struct custos_probe *p, CK_OBJECT_HANDLE object)
{
	char label[sizeof CUSTOS_PROBE_LABEL] = "";
	CK_ATTRIBUTE a = { CKA_LABEL, label, sizeof label };
	return p->f->C_GetAttributeValue(p->session->handle, object, &a, 1) == CKR_OK && a.ulValueLen == sizeof CUSTOS_PROBE_LABEL - 1 &&
	       memcmp(label, CUSTOS_PROBE_LABEL, a.ulValueLen) == 0;
}

/* A key nobody could find again: neither label nor id. Or one that lacks its public numbers. Or one that a doctor left when it was killed. Certificates and
 * data are other people's business. */
static bool is_half_made(struct custos_probe *p, CK_OBJECT_HANDLE object)
{
	CK_ULONG class = number(p, object, CKA_CLASS), kind = number(p, object, CKA_KEY_TYPE);
	if (class != CKO_PRIVATE_KEY && class != CKO_PUBLIC_KEY && class != CKO_SECRET_KEY)
		return class == CK_UNAVAILABLE_INFORMATION;
	if (kind == CK_UNAVAILABLE_INFORMATION || is_ours(p, object))
		return true;
	if (!has(p, object, CKA_ID) && !has(p, object, CKA_LABEL))
		return true;
	return class == CKO_PUBLIC_KEY && ((kind == CKK_RSA && !has(p, object, CKA_MODULUS)) || (kind == CKK_EC && !has(p, object, CKA_EC_POINT)));
}

custos_rc custos_probe_objects(struct custos_probe *p, struct custos_err *err)
{
	CK_OBJECT_HANDLE *objects = NULL;
	size_t count = 0, half_made = 0, removed = 0, empty = 0, unlinked = 0;
	bool cleans = (p->flags & CUSTOS_PROBE_CLEAN) != 0;
	CUSTOS_TRY(list_objects(p, &objects, &count, err));
	for (size_t i = 0; i < count; i++) {
		if (!is_half_made(p, objects[i]))
			continue;
		half_made++;
		removed += cleans && p->f->C_DestroyObject(p->session->handle, objects[i]) == CKR_OK ? 1 : 0;
	}
	free(objects);
	if (p->session->softhsm_dir != NULL)
		CUSTOS_TRY(custos_softhsm_empty_files(p->session->softhsm_dir, p->session->info.serial, cleans ? CUSTOS_SOFTHSM_EMPTY_REMOVE : CUSTOS_SOFTHSM_EMPTY_COUNT, &empty, &unlinked, err));
	custos_json_set_int(p->facts, "count", (int64_t)(count - removed));
	custos_json_set_int(p->facts, "half_made", (int64_t)half_made);
	custos_json_set_int(p->facts, "empty_files", (int64_t)empty);
	if (half_made == 0 && empty == 0)
		return custos_probe_say(p, CUSTOS_VERDICT_OK, "none");
	if (removed == half_made && unlinked == empty)
		return custos_probe_say(p, CUSTOS_VERDICT_OK, "removed: %zu half-made objects, %zu empty files", half_made, empty);
	return custos_probe_say(p, CUSTOS_VERDICT_WARN, "%zu half-made objects, %zu empty files%s", half_made, empty, cleans ? ", not all of which can be removed" : "; --clean removes them");
}

custos_rc custos_probe_mechanisms(struct custos_probe *p, struct custos_err *err)
{
	static const struct {
		CK_MECHANISM_TYPE type;
		const char *name;
		CK_FLAGS use;
	} flags[] = {
		{ CKM_RSA_X_509, "raw RSA wraps", CKF_WRAP }, { CKM_RSA_PKCS, "RSA 1.5 unwraps", CKF_UNWRAP }, { CKM_AES_ECB, "ECB wraps", CKF_WRAP }, { CKM_AES_CBC, "CBC unwraps", CKF_UNWRAP },
		{ CKM_AES_CBC_PAD, "CBC with padding unwraps", CKF_UNWRAP }, { CKM_DES_ECB, "DES", CKF_ENCRYPT }, { CKM_DES3_ECB, "triple DES", CKF_ENCRYPT },
		{ CKM_AES_ECB_ENCRYPT_DATA, "keys derived by encryption", CKF_DERIVE }, { CKM_XOR_BASE_AND_DATA, "keys derived by XOR", CKF_DERIVE },
		{ CKM_CONCATENATE_BASE_AND_KEY, "keys derived by concatenation", CKF_DERIVE }, { CKM_EXTRACT_KEY_FROM_KEY, "keys cut from keys", CKF_DERIVE },
	};
	char hits[320] = "";
	CK_ULONG count = 0;
	CUSTOS_TRY(custos_ck(p->f->C_GetMechanismList(p->session->slot, NULL, &count), err, "the mechanisms cannot be listed"));
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		CK_MECHANISM_INFO info;
		if (p->f->C_GetMechanismInfo(p->session->slot, flags[i].type, &info) == CKR_OK && (info.flags & flags[i].use) != 0)
			custos_probe_list(hits, sizeof hits, "%s", flags[i].name);
	}
	return hits[0] == '\0' ? custos_probe_say(p, CUSTOS_VERDICT_OK, "none of %lu", count) : custos_probe_say(p, CUSTOS_VERDICT_INFO, "%s", hits);
}

custos_rc custos_probe_random(struct custos_probe *p, struct custos_err *err)
{
	uint8_t first[32] = { 0 }, second[32] = { 0 };
	static const uint8_t nothing[32];
	CUSTOS_TRY(custos_ck(p->f->C_GenerateRandom(p->session->handle, first, sizeof first), err, "no random bytes"));
	CUSTOS_TRY(custos_ck(p->f->C_GenerateRandom(p->session->handle, second, sizeof second), err, "no random bytes"));
	bool bad = memcmp(first, second, sizeof first) == 0 || memcmp(first, nothing, sizeof first) == 0;
	return custos_probe_judge(p, "two draws differ", bad ? "two draws are the same" : "", CUSTOS_VERDICT_FAIL);
}

custos_rc custos_probe_trusted(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	CK_ATTRIBUTE trusted = { CKA_TRUSTED, custos_ck_bytes(&yes), sizeof yes };
	CK_MECHANISM generate = { CKM_AES_KEY_GEN, NULL, 0 };
	struct custos_template t = { .count = 0 };
	CUSTOS_AUTO_OBJECT made = { p->session, 0 };
	char hits[96] = "";
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	CUSTOS_TRY(custos_template_number(&t, CKA_VALUE_LEN, 32, err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_TOKEN, CUSTOS_BYTES(&no, sizeof no), err));
	CUSTOS_TRY(custos_template_bytes(&t, CKA_TRUSTED, CUSTOS_BYTES(&yes, sizeof yes), err));
	if (p->f->C_GenerateKey(p->session->handle, &generate, t.attributes, t.count, &made.handle) == CKR_OK)
		custos_probe_list(hits, sizeof hits, "a user makes trusted keys");
	if (p->f->C_SetAttributeValue(p->session->handle, set.kek.handle, &trusted, 1) == CKR_OK)
		custos_probe_list(hits, sizeof hits, "a user makes keys trusted");
	return custos_probe_judge(p, "a user cannot set it", hits, CUSTOS_VERDICT_INFO);
}

/* The handle stays; what it stood for must not answer. The session is not logged in afterwards. */
custos_rc custos_probe_logout(struct custos_probe *p, struct custos_err *err)
{
	CUSTOS_AUTO_PROBE_SET set = { 0 };
	CK_BYTE wrapped[8192];
	CK_ULONG len = sizeof wrapped;
	CUSTOS_TRY(custos_probe_set_make(p, &set, err));
	CUSTOS_TRY(custos_ck(p->f->C_Logout(p->session->handle), err, "it does not log out"));
	bool hit = custos_probe_wrap(p, set.mechanism, set.kek.handle, set.pair.private_key.handle, wrapped, &len) == CKR_OK;
	return custos_probe_judge(p, "refused", hit ? "it still wraps" : "", CUSTOS_VERDICT_FAIL);
}
