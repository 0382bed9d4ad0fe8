/* When a certificate is to be renewed. Pure: dates in, dates out. */
#ifndef CUSTOS_VAULT_RENEWAL_H
#define CUSTOS_VAULT_RENEWAL_H

#include "base/bytes.h"

enum custos_renewal_state {
	CUSTOS_RENEWAL_NOT_YET = 1,
	CUSTOS_RENEWAL_DUE,      /* the window is open */
	CUSTOS_RENEWAL_URGENT,   /* seven days are left, or a third of the window when that is less */
	CUSTOS_RENEWAL_EXPIRED,
};

/* The window opens when a third of the validity is left, or 30 days, whichever is earlier: time for a CA that asks back, for a change window, and for trying again. A certificate for
 * less than 45 days would be in it for most of its life; for such only the third counts. All in seconds since 1970. */
struct custos_renewal {
	int64_t from, urgent_from, until;
};
struct custos_renewal custos_renewal_of(int64_t not_before, int64_t not_after);
enum custos_renewal_state custos_renewal_state(const struct custos_renewal *renewal, int64_t now_unix);
const char *custos_renewal_state_name(enum custos_renewal_state state);  /* "not_yet", "due", "urgent", "expired" */
/* Whole days until then, rounded down; negative from the first second after it. */
int64_t custos_renewal_days_left(const struct custos_renewal *renewal, int64_t now_unix);

#endif
