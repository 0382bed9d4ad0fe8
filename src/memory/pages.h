/* Locked pages: a mapping between two guard pages that is never swapped, never dumped and never seen by a forked child. */
#ifndef CUSTOS_MEMORY_PAGES_H
#define CUSTOS_MEMORY_PAGES_H

#include "base/bytes.h"

enum { CUSTOS_PAGES_MAX = 64 }; /* mappings a process can have at a time */

struct custos_pages {
	uint8_t *base;       /* first byte after the lower guard page; NULL when there is no mapping */
	size_t size;         /* whole pages */
	const char *backend; /* "memfd_secret" or "mlock" */
};

/* `size` is rounded up to whole pages, which are zero. CUSTOS_E_SYSTEM, with the limit and the remedy, when they cannot be locked. */
CUSTOS_RC custos_pages_map(size_t size, struct custos_pages *ret_pages, struct custos_err *err);
/* Wipes, then unmaps. No mapping is fine. */
void custos_pages_unmap(struct custos_pages *pages);

/* Of all mappings of this process there are now. */
size_t custos_pages_locked(void);           /* bytes */
const char *custos_pages_backend(void);     /* "memfd_secret" when all are, else "mlock"; "" when there are none */
/* Wipes them all except `spared` (NULL: none). For the very end of a process: whatever lay there is gone. May be called from a signal handler. */
void custos_pages_wipe_all(const struct custos_pages *spared);

#endif
