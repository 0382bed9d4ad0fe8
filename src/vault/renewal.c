/* The window in which a certificate is to be renewed. */
#include "vault/renewal.h"

enum { SECONDS_A_DAY = 86400, WINDOW_DAYS = 30, SHORT_DAYS = 45, URGENT_DAYS = 7 };

struct custos_renewal custos_renewal_of(int64_t not_before, int64_t not_after)
{
	int64_t validity = not_after > not_before ? not_after - not_before : 0, window = validity / 3, fixed = (int64_t)WINDOW_DAYS * SECONDS_A_DAY;
	if (window < fixed && validity >= (int64_t)SHORT_DAYS * SECONDS_A_DAY)
		window = fixed;
	int64_t urgent = (int64_t)URGENT_DAYS * SECONDS_A_DAY;
	if (urgent > window / 3)
		urgent = window / 3;
	return (struct custos_renewal){ .from = not_after - window, .urgent_from = not_after - urgent, .until = not_after };
}

enum custos_renewal_state custos_renewal_state(const struct custos_renewal *renewal, int64_t now_unix)
{
	if (now_unix > renewal->until)
		return CUSTOS_RENEWAL_EXPIRED;
	if (now_unix >= renewal->urgent_from)
		return CUSTOS_RENEWAL_URGENT;
	return now_unix >= renewal->from ? CUSTOS_RENEWAL_DUE : CUSTOS_RENEWAL_NOT_YET;
}

const char *custos_renewal_state_name(enum custos_renewal_state state)
{
	static const char *const names[] = {
		[CUSTOS_RENEWAL_NOT_YET] = "not_yet", [CUSTOS_RENEWAL_DUE] = "due", [CUSTOS_RENEWAL_URGENT] = "urgent", [CUSTOS_RENEWAL_EXPIRED] = "expired",
	};
	return names[state];
}

int64_t custos_renewal_days_left(const struct custos_renewal *renewal, int64_t now_unix)
{
	int64_t left = renewal->until - now_unix;
	return left < 0 ? -((-left + SECONDS_A_DAY - 1) / SECONDS_A_DAY) : left / SECONDS_A_DAY;
}
