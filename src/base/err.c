/* Errors as values: set once, read by whoever reports. No allocation, no globals. */
#include "base/attr.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

CUSTOS_PRINTF(5, 0) static custos_rc set(struct custos_err *err, custos_rc rc, long native, const char *remedy, const char *format, va_list ap)
{
	if (err == NULL || err->rc != CUSTOS_OK)
		return err == NULL ? rc : err->rc;
	vsnprintf(err->msg, sizeof err->msg, format, ap);
	snprintf(err->hint, sizeof err->hint, "%s", remedy);
	err->rc = rc;
	err->native = native;
	return rc;
}

custos_rc custos_err_set(struct custos_err *err, custos_rc rc, long native, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	custos_rc result = set(err, rc, native, "", format, ap);
	va_end(ap);
	return result;
}

custos_rc custos_err_set_hinted(struct custos_err *err, custos_rc rc, const char *remedy, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	custos_rc result = set(err, rc, 0, remedy, format, ap);
	va_end(ap);
	return result;
}

void custos_err_hint(struct custos_err *err, const char *format, ...)
{
	if (err == NULL || err->hint[0] != '\0')
		return;
	va_list ap;
	va_start(ap, format);
	vsnprintf(err->hint, sizeof err->hint, format, ap);
	va_end(ap);
}

void custos_err_clear(struct custos_err *err)
{
	memset(err, 0, sizeof *err);
}

static const struct {
	custos_rc rc;
	const char *name;
} names[] = {
	{ CUSTOS_OK, "ok" },
	{ CUSTOS_E_USAGE, "usage" },
	{ CUSTOS_E_POLICY, "policy" },
	{ CUSTOS_E_AUTH, "authentication" },
	{ CUSTOS_E_TOKEN, "token" },
	{ CUSTOS_E_INPUT, "input" },
	{ CUSTOS_E_STORE, "store" },
	{ CUSTOS_E_NETWORK, "network" },
	{ CUSTOS_E_SYSTEM, "system" },
	{ CUSTOS_E_ROLLED_BACK, "rolled_back" },
	{ CUSTOS_E_NOT_ROLLED_BACK, "not_rolled_back" },
	{ CUSTOS_E_SOME_FAILED, "some_failed" },
	{ CUSTOS_E_TAMPERED, "tampered" },
	{ CUSTOS_E_INTERNAL, "internal" },
};

const char *custos_rc_name(custos_rc rc)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].rc == rc)
			return names[i].name;
	return "unknown";
}
