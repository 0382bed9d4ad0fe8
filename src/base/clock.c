/* The two clocks and their text. */
#include "base/clock.h"

#include <time.h>

int64_t custos_clock_monotonic_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t custos_clock_unix(void)
{
	return (int64_t)time(NULL);
}

void custos_clock_text(int64_t unix_seconds, char out[static CUSTOS_TIME_TEXT])
{
	time_t t = (time_t)unix_seconds;
	struct tm utc;
	/* what does not fit is undefined after strftime, so it is never tried */
	if (gmtime_r(&t, &utc) == NULL || utc.tm_year < 1000 - 1900 || utc.tm_year > 9999 - 1900 ||
	    strftime(out, CUSTOS_TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		out[0] = '\0';
}

bool custos_clock_parse(const char *text, int64_t *ret_unix_seconds)
{
	struct tm utc = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	if (end == NULL || *end != '\0')
		return false;
	/* strptime and timegm mend what is not quite a time */
	int64_t seconds = (int64_t)timegm(&utc);
	char canonical[CUSTOS_TIME_TEXT];
	custos_clock_text(seconds, canonical);
	if (strcmp(canonical, text) != 0)
		return false;
	*ret_unix_seconds = seconds;
	return true;
}
