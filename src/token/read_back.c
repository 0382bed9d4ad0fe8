/* Reading attributes back and comparing them with the policy: what a token says it made, not what it was asked to make. */
#include "token/template.h"
#include "base/text.h"

#include <stdio.h>

enum { ATTRIBUTE_MAX = 4096, NESTED_VALUE_MAX = 64 };

static bool is_bool(enum custos_row_kind kind)
{
	return kind == CUSTOS_ROW_NO || kind == CUSTOS_ROW_YES;
}

custos_rc custos_attribute_read(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, const char *what, struct custos_buf *value,
                                struct custos_err *err)
{
	uint8_t buffer[ATTRIBUTE_MAX];
	CK_ATTRIBUTE a = { type, buffer, sizeof buffer };
	CUSTOS_TRY(custos_ck(module->C_GetAttributeValue(session, object, &a, 1), err, "cannot read %s", what));
	CUSTOS_REQUIRE(a.ulValueLen <= sizeof buffer, err, CUSTOS_E_TOKEN, "the token does not tell %s", what);
	return custos_buf_append(value, buffer, a.ulValueLen, err);
}

/* What the row demands, as the bytes the token would hold. */
static struct custos_bytes expected(const struct custos_row *row, const struct custos_policy_values *values)
{
	static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	switch (row->kind) {
	case CUSTOS_ROW_NO:
		return CUSTOS_BYTES(&no, sizeof no);
	case CUSTOS_ROW_YES:
		return CUSTOS_BYTES(&yes, sizeof yes);
	case CUSTOS_ROW_NUMBER:
		return CUSTOS_BYTES(&row->number, sizeof row->number);
	case CUSTOS_ROW_KEY_TYPE:
		return CUSTOS_BYTES(&values->key_type, sizeof values->key_type);
	case CUSTOS_ROW_WRAP_MECHANISM:
		return CUSTOS_BYTES(&values->wrap_mechanism, sizeof values->wrap_mechanism);
	case CUSTOS_ROW_ID:
		return values->id;
	case CUSTOS_ROW_LABEL:
		return values->label;
	case CUSTOS_ROW_NESTED:
		break;
	}
	return CUSTOS_BYTES(NULL, 0);
}

static struct custos_json *as_json(const struct custos_row *row, struct custos_bytes value)
{
	CK_ULONG number = 0;
	char text[24];
	if (is_bool(row->kind))
		return value.len == sizeof(CK_BBOOL) ? custos_json_boolean(value.ptr[0] != CK_FALSE) : custos_json_hex(value.ptr, value.len);
	if (row->kind == CUSTOS_ROW_LABEL) {
		CUSTOS_AUTO_STR *label = custos_text_safe(value, 64);
		return custos_json_string(label);
	}
	if (row->kind == CUSTOS_ROW_ID || value.len != sizeof number)
		return custos_json_hex(value.ptr, value.len);
	memcpy(&number, value.ptr, sizeof number);
	snprintf(text, sizeof text, "0x%lx", number);
	if (row->kind != CUSTOS_ROW_WRAP_MECHANISM)
		return row->type == CKA_VALUE_LEN ? custos_json_integer((int64_t)number) : custos_json_string(text);
	struct custos_json *list = custos_json_array();
	custos_json_push(list, custos_json_string(text));
	return list;
}

/* An attribute that the token does not know: an error, unless the tier allows it. */
static custos_rc lacking(const struct custos_row *row, const struct custos_policy *policy, const struct custos_policy_values *values, CK_RV rv, struct custos_err *err)
{
	if ((row->use & CUSTOS_ROW_MAY_LACK) != 0 && values->profile != NULL && values->profile->tier != CUSTOS_TIER_HARDENED)
		return CUSTOS_OK;
	return custos_ck(rv != CKR_OK ? rv : CKR_ATTRIBUTE_TYPE_INVALID, err, "%s: the token does not tell %s", policy->what, row->name);
}

static custos_rc compare_nested(const struct custos_row *row, const struct custos_policy *policy, const CK_ATTRIBUTE *list, size_t count, struct custos_json *json, struct custos_err *err)
{
	static const struct custos_policy_values none = { 0 };
	const struct custos_policy *inner = row->nested;
	bool equal = count == inner->count;
	struct custos_json *object = json != NULL ? custos_json_object() : NULL;
	for (size_t i = 0; i < inner->count; i++) {
		const CK_ATTRIBUTE *found = NULL;
		for (size_t k = 0; k < count && found == NULL; k++)
			found = list[k].type == inner->rows[i].type ? &list[k] : NULL;
		struct custos_bytes value = found != NULL ? CUSTOS_BYTES(found->pValue, found->ulValueLen) : CUSTOS_BYTES(NULL, 0);
		equal = equal && found != NULL && custos_bytes_equal(value, expected(&inner->rows[i], &none));
		if (object != NULL && found != NULL)
			custos_json_set(object, inner->rows[i].name, as_json(&inner->rows[i], value));
	}
	if (json != NULL)
		custos_json_set(json, row->name, object);
	CUSTOS_REQUIRE(equal, err, CUSTOS_E_TOKEN, "%s: %s is not what was asked for", policy->what, row->name);
	return CUSTOS_OK;
}

/* Arrays of attributes are read in three steps: how many, how long each, the values. */
static custos_rc check_nested(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const struct custos_row *row, const struct custos_policy *policy,
                              const struct custos_policy_values *values, struct custos_json *json, struct custos_err *err)
{
	CK_ATTRIBUTE list[CUSTOS_NESTED_MAX] = { 0 }, outer = { row->type, NULL, 0 };
	CK_BYTE value[CUSTOS_NESTED_MAX][NESTED_VALUE_MAX];
	CK_RV rv = module->C_GetAttributeValue(session, object, &outer, 1);
	if (rv != CKR_OK || outer.ulValueLen == CK_UNAVAILABLE_INFORMATION)
		return lacking(row, policy, values, rv, err);
	size_t count = outer.ulValueLen / sizeof *list;
	CUSTOS_REQUIRE(count <= CUSTOS_NESTED_MAX && outer.ulValueLen % sizeof *list == 0, err, CUSTOS_E_TOKEN, "%s: %s is not what was asked for", policy->what, row->name);
	outer.pValue = list;
	CUSTOS_TRY(custos_ck(module->C_GetAttributeValue(session, object, &outer, 1), err, "%s: cannot read %s", policy->what, row->name));
	for (size_t i = 0; i < count; i++) {
		CUSTOS_REQUIRE(list[i].ulValueLen <= NESTED_VALUE_MAX, err, CUSTOS_E_TOKEN, "%s: %s is not what was asked for", policy->what, row->name);
		list[i].pValue = value[i];
	}
	CUSTOS_TRY(custos_ck(module->C_GetAttributeValue(session, object, &outer, 1), err, "%s: cannot read %s", policy->what, row->name));
	return compare_nested(row, policy, list, count, json, err);
}

static custos_rc check_row(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const struct custos_row *row, const struct custos_policy *policy,
                           const struct custos_policy_values *values, struct custos_json *json, struct custos_err *err)
{
	if (row->kind == CUSTOS_ROW_NESTED)
		return check_nested(module, session, object, row, policy, values, json, err);
	struct custos_bytes want = expected(row, values);
	if ((row->kind == CUSTOS_ROW_ID || row->kind == CUSTOS_ROW_LABEL) && want.len == 0)
		return CUSTOS_OK;
	uint8_t buffer[256];
	/* numbers are asked for in their size: some tokens take a larger buffer for too small a one */
	bool is_number = row->kind == CUSTOS_ROW_NUMBER || row->kind == CUSTOS_ROW_KEY_TYPE;
	CK_ATTRIBUTE a = { row->type, buffer, is_number ? sizeof(CK_ULONG) : sizeof buffer };
	CK_RV rv = module->C_GetAttributeValue(session, object, &a, 1);
	if (rv != CKR_OK || a.ulValueLen > sizeof buffer)
		return lacking(row, policy, values, rv, err);
	/* PKCS#11 2.1: CK_TRUE is 1, but any other value than 0 is true as well */
	if (is_bool(row->kind) && a.ulValueLen == sizeof(CK_BBOOL) && buffer[0] != CK_FALSE)
		buffer[0] = CK_TRUE;
	struct custos_bytes got = CUSTOS_BYTES(buffer, a.ulValueLen);
	if (json != NULL)
		custos_json_set(json, row->name, as_json(row, got));
	if (!custos_bytes_equal(got, want))
		CUSTOS_FAIL_HINT(err, CUSTOS_E_TOKEN, "the token does not keep what it promises; run “custos token doctor” on it", "%s: %s is not what was asked for", policy->what, row->name);
	return CUSTOS_OK;
}

custos_rc custos_policy_read_back(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const struct custos_policy *policy,
                                  const struct custos_policy_values *values, struct custos_json *json, struct custos_err *err)
{
	for (size_t i = 0; i < policy->count; i++)
		if (!custos_row_is_omitted(&policy->rows[i], values, CUSTOS_ROW_CHECK))
			CUSTOS_TRY(check_row(module, session, object, &policy->rows[i], policy, values, json, err));
	return CUSTOS_OK;
}

custos_rc custos_policy_differences(CK_FUNCTION_LIST *module, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const struct custos_policy *policy,
                                    const struct custos_policy_values *values, uint32_t *ret_optional, char *others, size_t size, struct custos_err *err)
{
	uint32_t optional = 0;
	others[0] = '\0';
	for (size_t i = 0; i < policy->count; i++) {
		const struct custos_row *row = &policy->rows[i];
		struct custos_err why = { 0 };
		if (custos_row_is_omitted(row, values, CUSTOS_ROW_CHECK) || check_row(module, session, object, row, policy, values, NULL, &why) == CUSTOS_OK)
			continue;
		if (why.rc != CUSTOS_E_TOKEN)
			CUSTOS_FAIL(err, why.rc, "%s", why.msg);
		uint32_t bit = custos_attribute_bit(row->name);
		size_t used = strlen(others);
		if (bit != 0 && ((bit & CUSTOS_LOOSE_ATTRIBUTES) == 0 || (row->use & CUSTOS_ROW_LOOSE) != 0))
			optional |= bit;
		else
			snprintf(others + used, size - used, "%s%s", used > 0 ? ", " : "", row->name);
	}
	*ret_optional = optional;
	return CUSTOS_OK;
}
