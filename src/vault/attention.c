/* What in a status needs a person. Pure: only the document is looked at, so that whoever adds to it (a probe of the hosts) asks again. */
#include <custos/custody.h>

#include "base/attr.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add(struct custos_json *list, const char *level, const char *what, const char *name, const char *format, ...) CUSTOS_PRINTF(5, 6);

static void add(struct custos_json *list, const char *level, const char *what, const char *name, const char *format, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	struct custos_json *one = custos_json_object();
	custos_json_set_text(one, "level", level);
	custos_json_set_text(one, "what", what);
	custos_json_set_text(one, "name", name);
	custos_json_set_text(one, "text", text);
	custos_json_push(list, one);
}

static bool is(const struct custos_json *object, const char *member, const char *value)
{
	const char *text = custos_json_text(object, member);
	return text != NULL && strcmp(text, value) == 0;
}

static void look_at_certificate(struct custos_json *list, const struct custos_json *key, const char *name)
{
	const struct custos_json *renewal = custos_json_get(key, "renewal");
	const char *until = custos_json_text(custos_json_get(key, "certificate"), "not_after"), *from = custos_json_text(renewal, "from");
	const char *after = custos_json_text(renewal, "superseded_by");
	long long days = (long long)custos_json_int(key, "days_left", 0);
	char next[128] = "";
	if (renewal == NULL || (after != NULL && custos_json_count(custos_json_get(key, "deployed")) == 0))
		return;
	if (after != NULL)
		snprintf(next, sizeof next, "; %s, which renews it, is ready to be deployed", after);
	else if (custos_json_bool(renewal, "requested", false))
		snprintf(next, sizeof next, "; a request for it has been made");
	if (is(renewal, "state", "expired"))
		add(list, "critical", "certificate", name, "the certificate of key %s has expired on %.10s%s", name, until, next);
	else if (is(renewal, "state", "urgent"))
		add(list, "critical", "certificate", name, "the certificate of key %s expires on %.10s, days left: %lld%s", name, until, days, next);
	else if (is(renewal, "state", "due"))
		add(list, "warning", "certificate", name, "the certificate of key %s is to be renewed since %.10s, days left: %lld%s", name, from, days, next);
}

static void look_at_key(struct custos_json *list, const struct custos_json *key)
{
	const char *name = custos_json_text(key, "name");
	look_at_certificate(list, key, name);
	if (is(key, "state", "destroying"))
		add(list, "warning", "key", name, "the destruction of key %s was begun and has not come to its end", name);
	if (is(key, "state", "active") && is(custos_json_get(key, "drill"), "result", "failed"))
		add(list, "critical", "key", name, "the last drill of key %s failed", name);
}

/* Only of what was deployed from here it is known what a host should serve. */
static void look_at_probe(struct custos_json *list, const struct custos_json *target, const struct custos_json *probe, const char *name)
{
	const char *address = custos_json_text(probe, "address"), *why = custos_json_text(probe, "why");
	if (custos_json_text(custos_json_get(target, "deployed"), "key") == NULL)
		return;
	if (is(probe, "result", "unreachable"))
		add(list, "critical", "probe", name, "target %s does not answer at %s: %.200s", name, address, why == NULL ? "" : why);
	else if (is(probe, "result", "outdated"))
		add(list, "warning", "probe", name, "target %s serves the certificate before the accepted one at %s", name, address);
	else if (!is(probe, "result", "current"))
		add(list, "critical", "probe", name, "target %s serves another certificate than was deployed at %s", name, address);
	else if (!custos_json_bool(probe, "trusted", false))
		add(list, "critical", "probe", name, "clients refuse what target %s serves at %s: %.200s", name, address, why == NULL ? "" : why);
}

static void look_at_target(struct custos_json *list, const struct custos_json *target)
{
	const char *name = custos_json_text(target, "name"), *attention = custos_json_text(target, "attention");
	const struct custos_json *probes = custos_json_get(target, "probe");
	/* an unknown release is one of the open ones; a host that was not rolled back has a closed release and still needs somebody */
	if (attention != NULL && strcmp(attention, "release.unknown") != 0)
		add(list, "critical", "target", name, "the last work on target %s ended badly (%s)", name, attention);
	for (size_t i = 0; i < custos_json_count(probes); i++)
		look_at_probe(list, target, custos_json_at(probes, i), name);
}

struct custos_json *custos_status_attention(const struct custos_json *status)
{
	struct custos_json *list = custos_json_array();
	const struct custos_json *open = custos_json_get(status, "open_releases"), *keys = custos_json_get(status, "keys"), *targets = custos_json_get(status, "targets");
	for (size_t i = 0; i < custos_json_count(open); i++) {
		const struct custos_json *release = custos_json_at(open, i);
		const char *key = custos_json_text(release, "key");
		bool unknown = is(release, "state", "unknown");
		add(list, unknown ? "critical" : "warning", "release", key, "release %lld of key %s %s", (long long)custos_json_int(release, "index", -1), key == NULL ? "" : key,
		    unknown ? "ended without a known outcome" : "is under way");
	}
	for (size_t i = 0; i < custos_json_count(keys); i++)
		look_at_key(list, custos_json_at(keys, i));
	for (size_t i = 0; i < custos_json_count(targets); i++)
		look_at_target(list, custos_json_at(targets, i));
	long long waiting = (long long)custos_json_int(custos_json_get(status, "kek"), "waiting", 0);
	if (waiting > 0)
		add(list, "warning", "kek", NULL, "keys that are still under an old KEK: %lld", waiting);
	return list;
}

size_t custos_status_count_urgent(const struct custos_json *status)
{
	struct custos_json *list = custos_status_attention(status);
	size_t count = custos_json_count(list);
	custos_json_free(list);
	return count;
}
