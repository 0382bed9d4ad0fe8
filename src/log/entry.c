/* Entries: how one is written, and the strict way back. */
#include "log/entry.h"

#include "log/log.h"

#include <inttypes.h>

static const char *const reserved[] = { "event", "index", "time", "v" };

static bool is_event(const char *event)
{
	size_t len = event == NULL ? 0 : strlen(event);
	if (len == 0 || len > 63)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!((event[i] >= 'a' && event[i] <= 'z') || (event[i] >= '0' && event[i] <= '9') || event[i] == '.' || event[i] == '_'))
			return false;
	return true;
}

bool custos_log_may_stand_unsigned(const char *event)
{
	static const char *const events[] = {
		"token.login_failed", "token.failed", "token.repaired", "release.done",
		"release.rolled_back", "release.not_rolled_back", "release.untouched", "release.unknown", "rollback.done", "rollback.failed",
	};
	for (size_t i = 0; i < sizeof events / sizeof *events; i++)
		if (event != NULL && strcmp(event, events[i]) == 0)
			return true;
	return false;
}

static bool is_printable_ascii(struct custos_bytes line)
{
	for (size_t i = 0; i < line.len; i++)
		if (line.ptr[i] < 0x20 || line.ptr[i] > 0x7e)
			return false;
	return true;
}

custos_rc custos_entry_encode(const char *event, uint64_t index, int64_t unix_time, const struct custos_json *fields,
                              struct custos_buf *leaf, struct custos_err *err)
{
	CUSTOS_REQUIRE(is_event(event), err, CUSTOS_E_INTERNAL, "%s is not an event", event == NULL ? "nothing" : event);
	CUSTOS_REQUIRE(index <= INT64_MAX, err, CUSTOS_E_INTERNAL, "log index out of range");
	CUSTOS_REQUIRE(fields == NULL || custos_json_is_object(fields), err, CUSTOS_E_INTERNAL, "the fields of %s are not an object", event);
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
		CUSTOS_REQUIRE(custos_json_get(fields, reserved[i]) == NULL, err, CUSTOS_E_INTERNAL, "%s: the log itself writes \"%s\"",
		               event, reserved[i]);

	CUSTOS_AUTO(custos_json) *entry = fields == NULL ? custos_json_object() : custos_json_copy(fields);
	CUSTOS_REQUIRE(entry != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	char time[CUSTOS_TIME_TEXT];
	custos_clock_text(unix_time, time);
	custos_json_set_text(entry, "event", event);
	custos_json_set_int(entry, "index", (int64_t)index);
	custos_json_set_text(entry, "time", time);
	custos_json_set_int(entry, "v", CUSTOS_ENTRY_VERSION);

	CUSTOS_AUTO_BUF line = { .max = 4 * CUSTOS_ENTRY_MAX };
	CUSTOS_TRY(custos_json_line(entry, &line, err));
	CUSTOS_REQUIRE(line.len <= CUSTOS_ENTRY_MAX, err, CUSTOS_E_INPUT, "the log entry %s would have %zu bytes, the limit is %d", event,
	               line.len, CUSTOS_ENTRY_MAX);
	/* Nothing enters the log that would not be accepted when it is read. */
	CUSTOS_AUTO(custos_json) *again = NULL;
	if (custos_entry_decode(custos_buf_view(&line), index, &again, NULL) != CUSTOS_OK)
		CUSTOS_FAIL(err, CUSTOS_E_INTERNAL, "the log entry %s cannot be read back", event);
	return custos_buf_append(leaf, line.ptr, line.len, err);
}

static bool has_time(const struct custos_json *entry)
{
	const char *said = custos_json_text(entry, "time");
	int64_t when;
	if (said == NULL || strlen(said) != CUSTOS_TIME_TEXT - 1 || !custos_clock_parse(said, &when))
		return false;
	char canonical[CUSTOS_TIME_TEXT];
	custos_clock_text(when, canonical);
	return strcmp(canonical, said) == 0;
}

custos_rc custos_entry_decode(struct custos_bytes leaf, uint64_t index, struct custos_json **ret_entry, struct custos_err *err)
{
	CUSTOS_REQUIRE(leaf.len > 0 && leaf.len <= CUSTOS_ENTRY_MAX, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " has %zu bytes", index, leaf.len);
	CUSTOS_REQUIRE(is_printable_ascii(leaf), err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " is not one line of ASCII", index);
	CUSTOS_AUTO(custos_json) *entry = NULL;
	if (custos_json_parse(leaf, "log entry", &entry, NULL) != CUSTOS_OK || !custos_json_is_object(entry))
		CUSTOS_FAIL(err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " is not a JSON object", index);
	CUSTOS_AUTO_BUF canonical = { .max = 4 * CUSTOS_ENTRY_MAX };
	if (custos_json_line(entry, &canonical, NULL) != CUSTOS_OK || !custos_bytes_equal(custos_buf_view(&canonical), leaf))
		CUSTOS_FAIL(err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " is not in canonical form", index);
	CUSTOS_REQUIRE(custos_json_int(entry, "v", -1) == CUSTOS_ENTRY_VERSION, err, CUSTOS_E_TAMPERED,
	               "log entry %" PRIu64 " is not of version %d", index, CUSTOS_ENTRY_VERSION);
	int64_t said = custos_json_int(entry, "index", -1);
	CUSTOS_REQUIRE(said >= 0 && (uint64_t)said == index, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " says it is entry %" PRId64, index, said);
	CUSTOS_REQUIRE(is_event(custos_json_text(entry, "event")), err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " names no event", index);
	CUSTOS_REQUIRE(has_time(entry), err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " has no time", index);
	*ret_entry = CUSTOS_TAKE(entry);
	return CUSTOS_OK;
}
