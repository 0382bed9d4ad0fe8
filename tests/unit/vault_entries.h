/* A fold and the entries that are fed to it one after the other. Include after cmocka.h. */
#ifndef CUSTOS_TESTS_VAULT_ENTRIES_H
#define CUSTOS_TESTS_VAULT_ENTRIES_H

#include "data/json.h"
#include "vault/state.h"

#include <stdio.h>

struct fold {
	struct custos_state state;
	uint64_t index;
	struct custos_err err;
};

/* Fields may be written with single quotes. What is taken counts. */
static inline custos_rc add(struct fold *f, const char *event, const char *fields)
{
	struct custos_json *entry = NULL;
	char text[512];
	snprintf(text, sizeof text, "%s", fields);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	assert_int_equal(custos_json_parse(CUSTOS_BYTES_STR(text), "entry", &entry, NULL), CUSTOS_OK);
	custos_json_set_text(entry, "event", event);
	custos_json_set_text(entry, "time", "2026-11-23T08:00:00Z");
	f->err = (struct custos_err){ 0 };
	custos_rc rc = custos_state_apply(&f->state, f->index, entry, &f->err);
	custos_json_free(entry);
	if (rc == CUSTOS_OK)
		f->index++;
	return rc;
}

/* For a test whose fold is `f`: the entry is taken; it is refused, and the reason says `why`. */
#define GOOD(event, fields) \
	do { \
		if (add(f, event, fields) != CUSTOS_OK) \
			fail_msg("%s", f->err.msg); \
	} while (0)
#define BAD(event, fields, why) \
	do { \
		assert_int_equal(add(f, event, fields), CUSTOS_E_TAMPERED); \
		if (strstr(f->err.msg, why) == NULL) \
			fail_msg("%s", f->err.msg); \
	} while (0)

static inline int fold_down(void **state)
{
	struct fold *f = *state;
	custos_state_done(&f->state);
	free(f);
	return 0;
}

#endif
