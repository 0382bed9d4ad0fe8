/* The rules that entries obey among themselves, looked at one entry after the other: time does not go back, the outcome of a release belongs to an
 * intent that was written before it, and every intent has its outcomes. The tree and the signatures are somebody else's.
 *
 * An intent names its hosts in `hosts`: strings, or objects with a member "target" or "name". An outcome (release.done, rolled_back,
 * not_rolled_back, untouched, unknown, resolved) names the intent's index in `intent` and may name one host in `target`; without it,
 * it speaks for all of them. release.unknown leaves a host open, whatever else closes it. */
#ifndef CUSTOS_LOG_AUDIT_H
#define CUSTOS_LOG_AUDIT_H

#include "data/json.h"

struct custos_audit_intent;
struct custos_audit {
	struct custos_audit_intent *intents;
	size_t count, cap;
	int64_t newest_time;
	struct custos_json *warnings;
	struct custos_json *successions; /* [{"index","vkey"}]: entries with which the log went on under another key, and the key before */
	size_t warning_count;
};

CUSTOS_RC custos_audit_init(struct custos_audit *audit, struct custos_err *err);
void custos_audit_done(struct custos_audit *audit);
#define CUSTOS_AUTO_AUDIT __attribute__((cleanup(custos_audit_done))) struct custos_audit

/* CUSTOS_E_TAMPERED when a rule is broken that the log's own writer never breaks. */
CUSTOS_RC custos_audit_entry(struct custos_audit *audit, uint64_t index, const struct custos_json *entry, struct custos_err *err);
void custos_audit_warn(struct custos_audit *audit, const char *format, ...) CUSTOS_PRINTF(2, 3);
/* Sets "open_releases", "successions" and "warnings". */
void custos_audit_report(const struct custos_audit *audit, struct custos_json *report);

#endif
