/* The log for people and for other people's software. */
#include "vault/file.h"
#include "vault/snapshot.h"

struct listing {
	uint64_t from;
	struct custos_json *entries;
};

static custos_rc collect(void *ctx, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	struct listing *l = ctx;
	(void)err;
	if (index >= l->from)
		custos_json_push(l->entries, custos_json_ref(entry));
	return CUSTOS_OK;
}

custos_rc custos_journal_show(struct custos_custody *c, uint64_t from, struct custos_json **ret_entries, struct custos_err *err)
{
	CUSTOS_AUTO(custos_json) *entries = custos_json_array();
	struct listing l = { from, entries };
	CUSTOS_REQUIRE(from <= custos_log_size(c->log), err, CUSTOS_E_INPUT, "the log has only %llu entries",
	               (unsigned long long)custos_log_size(c->log));
	CUSTOS_TRY(custos_log_each(c->log, collect, &l, err));
	*ret_entries = CUSTOS_TAKE(entries);
	return CUSTOS_OK;
}

static custos_rc read_since(const char *file, struct custos_buf *note, struct custos_err *err)
{
	return file == NULL ? CUSTOS_OK : custos_file_read(file, note, err);
}

custos_rc custos_journal_verify(struct custos_custody *c, const char *since_file, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_AUTO_BUF since = { .max = 65536 };
	CUSTOS_TRY(read_since(since_file, &since, err));
	CUSTOS_TRY(custos_snapshot_verify(c, err));
	return custos_log_verify(c->log, custos_buf_view(&since), ret_report, err);
}

custos_rc custos_journal_verify_published(const char *dir, const char *vkey, const char *since_file, struct custos_json **ret_report,
                                          struct custos_err *err)
{
	CUSTOS_AUTO_BUF since = { .max = 65536 };
	CUSTOS_TRY(read_since(since_file, &since, err));
	return custos_snapshot_verify_published(dir, vkey, custos_buf_view(&since), ret_report, err);
}

custos_rc custos_journal_checkpoint(struct custos_custody *c, struct custos_json **ret_checkpoint, struct custos_err *err)
{
	struct custos_json *json = custos_log_json(c->log);
	CUSTOS_REQUIRE(json != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_checkpoint = json;
	return CUSTOS_OK;
}

custos_rc custos_journal_publish(struct custos_custody *c, const char *dir, struct custos_json **ret_report, struct custos_err *err)
{
	CUSTOS_TRY(custos_log_publish(c->log, dir, err));
	CUSTOS_TRY(custos_journal_checkpoint(c, ret_report, err));
	custos_json_set_text(*ret_report, "dir", dir);
	return CUSTOS_OK;
}
