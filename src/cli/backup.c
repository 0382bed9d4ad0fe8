/* --kek-backup and what belongs to it: see backup.h. */
#include "cli/backup.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* K/N */
static custos_rc read_counts(const char *text, struct custos_kek_backup *wanted, struct custos_err *err)
{
	char first[8] = "";
	uint64_t k = 0, n = 0;
	const char *slash = strchr(text, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - text);
	if (len > 0 && len < sizeof first)
		memcpy(first, text, len);
	bool fits = custos_text_u64(first, 2, 20, &k) && slash != NULL && custos_text_u64(slash + 1, k, 20, &n);
	if (!fits)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "shares:2/3 makes three, of which any two make the KEK; 2 <= K <= N <= 20", "\"shares:%s\" is not shares:K/N", text);
	wanted->threshold = (unsigned)k;
	wanted->count = (unsigned)n;
	return CUSTOS_OK;
}

static custos_rc refuse_others(const struct custos_call *call, enum custos_kek_backup_kind kind, struct custos_err *err)
{
	static const struct {
		const char *option;
		enum custos_kek_backup_kind of;
	} rows[] = { { "--backup-module", CUSTOS_KEK_BACKUP_TOKEN }, { "--backup-pin-source", CUSTOS_KEK_BACKUP_TOKEN }, { "--custodian", CUSTOS_KEK_BACKUP_SHARES },
		         { "--share-dir", CUSTOS_KEK_BACKUP_SHARES } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t g = 0; g < call->given_count; g++)
			CUSTOS_REQUIRE(rows[i].of == kind || strcmp(call->given[g].option->name, rows[i].option) != 0, err, CUSTOS_E_USAGE, "%s says nothing for this backup", rows[i].option);
	return CUSTOS_OK;
}

custos_rc custos_cli_backup_read(const struct custos_call *call, const char *where, struct custos_cli_backup *b, struct custos_err *err)
{
	*b = (struct custos_cli_backup){ .wanted = { .kind = CUSTOS_KEK_BACKUP_NONE } };
	if (where != NULL && strncmp(where, "token:", 6) == 0) {
		b->wanted.kind = CUSTOS_KEK_BACKUP_TOKEN;
		b->wanted.token_uri = where + 6;
		b->wanted.module = custos_call_text(call, "--backup-module", NULL);
		const char *source = custos_call_text(call, "--backup-pin-source", NULL);
		b->source = source == NULL ? NULL : strdup(source);
		CUSTOS_REQUIRE(source == NULL || b->source != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		b->pin = custos_cli_source(b->source);
		b->wanted.pin = &b->pin;
	} else if (where != NULL && strncmp(where, "shares:", 7) == 0) {
		b->wanted.kind = CUSTOS_KEK_BACKUP_SHARES;
		CUSTOS_TRY(read_counts(where + 7, &b->wanted, err));
		b->custodians = custos_call_list(call, "--custodian");
		CUSTOS_REQUIRE(b->custodians != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		b->wanted.custodians = b->custodians;
		b->wanted.out = custos_call_text(call, "--share-dir", ".");
	} else if (where != NULL && strcmp(where, "none") != 0) {
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "none, token:URI or shares:K/N", "\"%s\" is no KEK backup", where);
	}
	return refuse_others(call, b->wanted.kind, err);
}

void custos_cli_backup_done(struct custos_cli_backup *b)
{
	if (b->custodians != NULL)
		custos_call_list_done(&b->custodians);
	free(b->source);
}
