/* The rules among entries. */
#include "log/audit.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { WARNINGS_SHOWN = 50 };

struct custos_audit_intent {
	uint64_t index;
	struct custos_json *hosts; /* object: name to "has its outcome"; NULL when the intent names none */
	bool open;
};

custos_rc custos_audit_init(struct custos_audit *audit, struct custos_err *err)
{
	*audit = (struct custos_audit){ .newest_time = INT64_MIN, .warnings = custos_json_array(), .successions = custos_json_array() };
	CUSTOS_REQUIRE(audit->warnings != NULL && audit->successions != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	return CUSTOS_OK;
}

void custos_audit_done(struct custos_audit *audit)
{
	for (size_t i = 0; i < audit->count; i++)
		custos_json_free(audit->intents[i].hosts);
	free(audit->intents);
	custos_json_free(audit->warnings);
	custos_json_free(audit->successions);
	*audit = (struct custos_audit){ 0 };
}

void custos_audit_warn(struct custos_audit *audit, const char *format, ...)
{
	if (audit->warning_count++ >= WARNINGS_SHOWN)
		return;
	char text[256];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	custos_json_push(audit->warnings, custos_json_string(text));
}

static custos_rc note_intent(struct custos_audit *audit, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	if (audit->count == audit->cap) {
		size_t cap = audit->cap == 0 ? 64 : 2 * audit->cap;
		struct custos_audit_intent *intents = reallocarray(audit->intents, cap, sizeof *intents);
		CUSTOS_REQUIRE(intents != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
		audit->intents = intents;
		audit->cap = cap;
	}
	struct custos_audit_intent *intent = &audit->intents[audit->count++];
	*intent = (struct custos_audit_intent){ .index = index, .open = true };
	const struct custos_json *hosts = custos_json_get(entry, "hosts");
	for (size_t i = 0; custos_json_is_array(hosts) && i < custos_json_count(hosts); i++) {
		const struct custos_json *host = custos_json_at(hosts, i);
		const char *name = custos_json_string_value(host);
		if (name == NULL)
			name = custos_json_text(host, "target");
		if (name == NULL)
			name = custos_json_text(host, "name");
		if (name == NULL)
			continue;
		if (intent->hosts == NULL)
			intent->hosts = custos_json_object();
		custos_json_set_bool(intent->hosts, name, false);
	}
	return CUSTOS_OK;
}

static struct custos_audit_intent *find_intent(struct custos_audit *audit, uint64_t index)
{
	size_t low = 0, high = audit->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (audit->intents[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low < audit->count && audit->intents[low].index == index ? &audit->intents[low] : NULL;
}

static custos_rc note_outcome(struct custos_audit *audit, uint64_t index, const struct custos_json *entry, const char *event, struct custos_err *err)
{
	int64_t of = custos_json_int(entry, "intent", -1);
	CUSTOS_REQUIRE(of >= 0, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " (%s) does not say which release it ends", index, event);
	struct custos_audit_intent *intent = find_intent(audit, (uint64_t)of);
	CUSTOS_REQUIRE(intent != NULL, err, CUSTOS_E_TAMPERED,
	               "log entry %" PRIu64 " (%s) ends a release that entry %" PRId64 " did not begin", index, event, of);
	const char *target = custos_json_text(entry, "target");
	bool named = target != NULL && intent->hosts != NULL;
	CUSTOS_REQUIRE(!named || custos_json_get(intent->hosts, target) != NULL, err, CUSTOS_E_TAMPERED,
	               "log entry %" PRIu64 " (%s) is about %.80s, to which entry %" PRId64 " released nothing", index, event, target, of);
	if (strcmp(event, "release.unknown") == 0)
		return CUSTOS_OK;
	if (!intent->open || (named && custos_json_bool(intent->hosts, target, false)))
		custos_audit_warn(audit, "entry %" PRIu64 " (%s) is a further outcome of the release of entry %" PRId64, index, event, of);
	if (!named) {
		intent->open = false;
		return CUSTOS_OK;
	}
	custos_json_set_bool(intent->hosts, target, true);
	bool open = false;
	for (void *it = custos_json_first(intent->hosts); it != NULL; it = custos_json_next(intent->hosts, it))
		open = open || !custos_json_bool(intent->hosts, custos_json_key(it), false);
	intent->open = intent->open && open;
	return CUSTOS_OK;
}

static bool is_outcome(const char *event)
{
	static const char *const outcomes[] = { "release.done",      "release.rolled_back", "release.not_rolled_back",
		                                "release.untouched", "release.unknown",     "release.resolved",
		                                "rollback.done",     "rollback.failed" };
	for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
		if (strcmp(event, outcomes[i]) == 0)
			return true;
	return false;
}

static custos_rc note_succession(struct custos_audit *audit, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	const struct custos_json *previous = custos_json_get(entry, "previous");
	const char *vkey = custos_json_text(previous, "vkey");
	int64_t size = custos_json_int(previous, "size", -1);
	CUSTOS_REQUIRE(vkey != NULL && size >= 0 && (uint64_t)size <= index, err, CUSTOS_E_TAMPERED, "log entry %" PRIu64 " (kek.restored) does not say which key signed before", index);
	struct custos_json *succession = custos_json_object();
	custos_json_set_int(succession, "index", (int64_t)index);
	custos_json_set_text(succession, "vkey", vkey);
	custos_json_push(audit->successions, succession);
	return CUSTOS_OK;
}

custos_rc custos_audit_entry(struct custos_audit *audit, uint64_t index, const struct custos_json *entry, struct custos_err *err)
{
	const char *event = custos_json_text(entry, "event"), *time = custos_json_text(entry, "time");
	int64_t when = 0;
	CUSTOS_REQUIRE(event != NULL && time != NULL && custos_clock_parse(time, &when), err, CUSTOS_E_TAMPERED,
	               "log entry %" PRIu64 " has no event or time", index);
	if (when < audit->newest_time)
		custos_audit_warn(audit,
		                  "entry %" PRIu64 " (%s) is %" PRId64 " seconds older than an entry before it: the clock was set back",
		                  index, time, audit->newest_time - when);
	else
		audit->newest_time = when;
	if (strcmp(event, "release.intent") == 0 || strcmp(event, "rollback.intent") == 0)
		return note_intent(audit, index, entry, err);
	if (strcmp(event, "kek.restored") == 0)
		return note_succession(audit, index, entry, err);
	return is_outcome(event) ? note_outcome(audit, index, entry, event, err) : CUSTOS_OK;
}

void custos_audit_report(const struct custos_audit *audit, struct custos_json *report)
{
	struct custos_json *open = custos_json_array();
	for (size_t i = 0; i < audit->count; i++)
		if (audit->intents[i].open)
			custos_json_push(open, custos_json_integer((int64_t)audit->intents[i].index));
	custos_json_set(report, "open_releases", open);
	custos_json_set(report, "successions", custos_json_copy(audit->successions));
	struct custos_json *warnings = custos_json_copy(audit->warnings);
	if (audit->warning_count > WARNINGS_SHOWN) {
		char more[64];
		snprintf(more, sizeof more, "and %zu more", audit->warning_count - WARNINGS_SHOWN);
		custos_json_push(warnings, custos_json_string(more));
	}
	custos_json_set(report, "warnings", warnings);
}
