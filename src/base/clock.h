/* Time as a value: whoever decides takes a clock, so that tests can turn it. */
#ifndef CUSTOS_BASE_CLOCK_H
#define CUSTOS_BASE_CLOCK_H

#include "base/bytes.h"

/* Milliseconds that only go forward, for deadlines. */
int64_t custos_clock_monotonic_ms(void);
/* Seconds since 1970, UTC. */
int64_t custos_clock_unix(void);

enum { CUSTOS_TIME_TEXT = 21 };
/* RFC 3339 in UTC, e.g. 2026-11-23T07:00:00Z; "" for a year that has not four digits. */
void custos_clock_text(int64_t unix_seconds, char out[static CUSTOS_TIME_TEXT]);
/* Takes exactly what custos_clock_text() writes: no spaces, no missing zeros, no 31st of February. */
CUSTOS_MUST bool custos_clock_parse(const char *text, int64_t *ret_unix_seconds);

#endif
