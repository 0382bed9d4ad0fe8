/* The plugin's line. An error is UNKNOWN, because nothing was found out; but evidence of tampering is what monitoring is for. */
#include "cli/nagios.h"
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

enum state { OK, WARNING, CRITICAL, UNKNOWN };

/* Everything behind a | would be performance data. */
static void put_line(enum state state, const char *text, const char *more, const char *data)
{
	static const char *const names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	char clean[600];
	size_t len = strnlen(text, sizeof clean - 1);
	memcpy(clean, text, len);
	clean[len] = '\0';
	for (char *c = clean; *c != '\0'; c++)
		*c = *c == '|' ? '/' : *c;
	custos_out_line("CUSTOS %s - %s%s%s", names[state], clean, more, data);
}

/* The certificate that ends first, of those that count: "" when there is none. */
static const struct custos_json *first_to_end(const struct custos_json *keys)
{
	const struct custos_json *first = NULL;
	for (size_t i = 0; i < custos_json_count(keys); i++) {
		const struct custos_json *key = custos_json_at(keys, i);
		bool superseded = custos_json_text(custos_json_get(key, "renewal"), "superseded_by") != NULL && custos_json_count(custos_json_get(key, "deployed")) == 0;
		if (custos_json_get(key, "days_left") == NULL || superseded)
			continue;
		if (first == NULL || custos_json_int(key, "days_left", 0) < custos_json_int(first, "days_left", 0))
			first = key;
	}
	return first;
}

static size_t count_level(const struct custos_json *attention, const char *level)
{
	size_t count = 0;
	for (size_t i = 0; i < custos_json_count(attention); i++)
		count += strcmp(custos_json_text(custos_json_at(attention, i), "level"), level) == 0;
	return count;
}

static const char *first_text(const struct custos_json *attention, const char *level)
{
	for (size_t i = 0; i < custos_json_count(attention); i++)
		if (strcmp(custos_json_text(custos_json_at(attention, i), "level"), level) == 0)
			return custos_json_text(custos_json_at(attention, i), "text");
	return "";
}

static enum state put_status(const struct custos_json *status)
{
	const struct custos_json *attention = custos_json_get(status, "attention"), *keys = custos_json_get(status, "keys"), *first = first_to_end(keys);
	size_t critical = count_level(attention, "critical"), warning = count_level(attention, "warning"), count = critical + warning;
	enum state state = critical > 0 ? CRITICAL : warning > 0 ? WARNING : OK;
	char text[512], more[64] = "", data[256], days[64] = "";
	if (first != NULL)
		snprintf(days, sizeof days, "days_left=%lld;;;; ", (long long)custos_json_int(first, "days_left", 0));
	snprintf(data, sizeof data, " | %skeys=%zu;;;0; warnings=%zu;0;;0; criticals=%zu;;0;0; log_entries=%lld;;;0; log_unsigned=%lld;;;0;", days, custos_json_count(keys), warning, critical,
	         (long long)custos_json_int(custos_json_get(status, "log"), "size", 0), (long long)custos_json_int(custos_json_get(status, "log"), "unsigned", 0));
	if (count > 1)
		snprintf(more, sizeof more, " (and %zu more)", count - 1);
	if (count > 0)
		snprintf(text, sizeof text, "%s", first_text(attention, critical > 0 ? "critical" : "warning"));
	else if (first != NULL)
		snprintf(text, sizeof text, "keys: %zu; the first certificate to end is that of %s, days left: %lld, to be renewed from %.10s", custos_json_count(keys),
		         custos_json_text(first, "name"), (long long)custos_json_int(first, "days_left", 0), custos_json_text(custos_json_get(first, "renewal"), "from"));
	else
		snprintf(text, sizeof text, "keys: %zu; no certificate", custos_json_count(keys));
	put_line(state, text, more, data);
	return state;
}

int custos_nagios_conclude(const struct custos_call *call, const struct custos_err *err)
{
	if (!custos_call_flag(call, "--nagios") || custos_call_flag(call, "--help"))
		return -1;
	if (err->rc == CUSTOS_OK && call->result != NULL)
		return (int)put_status(call->result);
	enum state state = err->rc == CUSTOS_E_TAMPERED ? CRITICAL : UNKNOWN;
	put_line(state, err->msg[0] != '\0' ? err->msg : custos_rc_name(err->rc), "", "");
	return (int)state;
}
