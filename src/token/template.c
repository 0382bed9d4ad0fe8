/* Filling templates from policies: see template.h. */
#include "token/template.h"

static custos_rc room(const struct custos_template *t, struct custos_err *err)
{
	CUSTOS_REQUIRE(t->count < CUSTOS_TEMPLATE_MAX, err, CUSTOS_E_INTERNAL, "a template is full");
	return CUSTOS_OK;
}

custos_rc custos_template_bytes(struct custos_template *t, CK_ATTRIBUTE_TYPE type, struct custos_bytes value, struct custos_err *err)
{
	CUSTOS_TRY(room(t, err));
	t->attributes[t->count++] = (CK_ATTRIBUTE){ type, custos_ck_bytes(value.ptr), value.len };
	return CUSTOS_OK;
}

custos_rc custos_template_number(struct custos_template *t, CK_ATTRIBUTE_TYPE type, CK_ULONG value, struct custos_err *err)
{
	CUSTOS_TRY(room(t, err));
	t->numbers[t->count] = value;
	t->attributes[t->count] = (CK_ATTRIBUTE){ type, &t->numbers[t->count], sizeof(CK_ULONG) };
	t->count++;
	return CUSTOS_OK;
}

static custos_rc put_bool(struct custos_template *t, CK_ATTRIBUTE_TYPE type, CK_BBOOL value, struct custos_err *err)
{
	CUSTOS_TRY(room(t, err));
	t->bools[t->count] = value;
	t->attributes[t->count] = (CK_ATTRIBUTE){ type, &t->bools[t->count], sizeof(CK_BBOOL) };
	t->count++;
	return CUSTOS_OK;
}

/* Templates inside templates hold booleans and numbers only. */
static custos_rc put_nested(struct custos_template *t, const struct custos_row *row, struct custos_err *err)
{
	const struct custos_policy *inner = row->nested;
	CUSTOS_TRY(room(t, err));
	CUSTOS_REQUIRE(t->nested_used < 2 && inner->count <= CUSTOS_NESTED_MAX, err, CUSTOS_E_INTERNAL, "a nested template is too large");
	CK_ATTRIBUTE *into = t->nested[t->nested_used];
	struct custos_nested_storage *storage = &t->nested_storage[t->nested_used];
	for (size_t i = 0; i < inner->count; i++) {
		const struct custos_row *r = &inner->rows[i];
		storage->numbers[i] = r->number;
		storage->bools[i] = r->kind == CUSTOS_ROW_YES ? CK_TRUE : CK_FALSE;
		into[i] = r->kind == CUSTOS_ROW_NUMBER ? (CK_ATTRIBUTE){ r->type, &storage->numbers[i], sizeof(CK_ULONG) }
		                                       : (CK_ATTRIBUTE){ r->type, &storage->bools[i], sizeof(CK_BBOOL) };
	}
	t->attributes[t->count++] = (CK_ATTRIBUTE){ row->type, into, inner->count * sizeof *into };
	t->nested_used++;
	return CUSTOS_OK;
}

static custos_rc put_row(struct custos_template *t, const struct custos_row *row, const struct custos_policy_values *values, struct custos_err *err)
{
	switch (row->kind) {
	case CUSTOS_ROW_NO:
		return put_bool(t, row->type, CK_FALSE, err);
	case CUSTOS_ROW_YES:
		return put_bool(t, row->type, CK_TRUE, err);
	case CUSTOS_ROW_NUMBER:
		return custos_template_number(t, row->type, row->number, err);
	case CUSTOS_ROW_KEY_TYPE:
		return custos_template_number(t, row->type, values->key_type, err);
	case CUSTOS_ROW_WRAP_MECHANISM:
		/* one mechanism: an array of one CK_ULONG looks like the number itself */
		return custos_template_number(t, row->type, values->wrap_mechanism, err);
	case CUSTOS_ROW_ID:
		return values->id.len > 0 ? custos_template_bytes(t, row->type, values->id, err) : CUSTOS_OK;
	case CUSTOS_ROW_LABEL:
		return values->label.len > 0 ? custos_template_bytes(t, row->type, values->label, err) : CUSTOS_OK;
	case CUSTOS_ROW_NESTED:
		return put_nested(t, row, err);
	}
	CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "a policy row of an unknown kind");
}

bool custos_row_is_omitted(const struct custos_row *row, const struct custos_policy_values *values, unsigned use)
{
	const struct custos_token_profile *p = values->profile;
	if ((row->use & use) == 0)
		return true;
	uint32_t bit = custos_attribute_bit(row->name);
	if ((bit & CUSTOS_LOOSE_ATTRIBUTES) != 0 && (row->use & CUSTOS_ROW_LOOSE) == 0)
		return false;
	return p != NULL && (bit & (use == CUSTOS_ROW_SEND ? p->not_sent : p->not_read)) != 0;
}

static bool may_lack(const struct custos_row *row, const struct custos_policy_values *values)
{
	return (row->use & CUSTOS_ROW_MAY_LACK) != 0 && values->profile != NULL && values->profile->tier != CUSTOS_TIER_HARDENED;
}

custos_rc custos_template_make(const struct custos_policy *policy, const struct custos_policy_values *values, struct custos_template *ret_template, struct custos_err *err)
{
	memset(ret_template, 0, sizeof *ret_template);
	for (size_t i = 0; i < policy->count; i++) {
		const struct custos_row *row = &policy->rows[i];
		if (!custos_row_is_omitted(row, values, CUSTOS_ROW_SEND) && !may_lack(row, values))
			CUSTOS_TRY(put_row(ret_template, row, values, err));
	}
	return CUSTOS_OK;
}
