/* Outcomes: from what a courier said to log entries, JSON results and one exit code. */
#ifndef CUSTOS_DEPLOY_RECORD_H
#define CUSTOS_DEPLOY_RECORD_H

#include "deploy/errand.h"

struct custos_tally {
	struct custos_json *results;   /* array */
	size_t count, failed;
	bool not_rolled_back;
	struct custos_err first;       /* the first host's failure, in its own words */
};
CUSTOS_RC custos_tally_start(struct custos_tally *ret_tally, struct custos_err *err);
void custos_tally_done(struct custos_tally *tally);
/* A host that never got as far as a courier, or whose courier never started. */
void custos_tally_untouched(struct custos_tally *tally, const char *target, const struct custos_err *why);
/* One host of an errand. `log_index`: the outcome's entry, -1 when nothing was logged. */
void custos_tally_host(struct custos_tally *tally, const struct custos_errand_host *host, int64_t log_index);
/* The result of the host told last, in another word. */
void custos_tally_call(struct custos_tally *tally, const char *result);
/* The worst outcome decides (custos-exit(7)). One target: its own category; several: 11, else 12. */
CUSTOS_RC custos_tally_verdict(const struct custos_tally *tally, struct custos_err *err);
/* The same when the run itself failed with `why`, say because an outcome could not be recorded: a host that needs a person now
 * is told before that. */
CUSTOS_RC custos_tally_conclude(const struct custos_tally *tally, const struct custos_err *why, struct custos_err *err);

/* Writes the outcome of every host that the intent names. `prefix` is "release" or "rollback". Also when the token is gone. */
CUSTOS_RC custos_record_outcomes(struct custos_custody *c, const struct custos_errand *errand, uint64_t intent, const char *prefix,
                                 struct custos_tally *tally, struct custos_err *err);
/* "deployed", "unchanged", … "unknown". */
const char *custos_outcome_name(enum custos_outcome outcome);

#endif
