/* For the time of a scope, what libraries free is overwritten by the C library: of containers that may hold a private key, which pass through code that does not wipe. glibc's
 * per-thread cache is left out (pieces of up to 1 KiB, which is less than such a buffer).
 *
 *	CUSTOS_OVERWRITE_FREED(guard); */
#ifndef CUSTOS_X509_FREED_H
#define CUSTOS_X509_FREED_H

#include "base/attr.h"

#include <malloc.h>

static inline int custos_freed_begin(void)
{
	return mallopt(M_PERTURB, 0x5a);
}

static inline void custos_freed_end(int *begun)
{
	(void)begun;
	mallopt(M_PERTURB, 0);
}
#define CUSTOS_OVERWRITE_FREED(guard) __attribute__((unused)) CUSTOS_CLEANUP(custos_freed_end) int guard = custos_freed_begin()

#endif
