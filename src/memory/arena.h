/* A locked heap: one mapping with guard pages, memfd_secret with MADV_DONTFORK where the kernel has it, else mlock with DONTDUMP and
 * WIPEONFORK. Wipes on free and on a moving realloc, bookkeeping outside the data, canaries, exhaustion returns NULL. Not thread-safe. */
#ifndef CUSTOS_MEMORY_ARENA_H
#define CUSTOS_MEMORY_ARENA_H

#include "base/bytes.h"

struct custos_arena;

/* Fails (CUSTOS_E_SYSTEM, with the limit and the remedy) when the pages cannot be locked. */
CUSTOS_RC custos_arena_new(size_t size, struct custos_arena **ret_arena, struct custos_err *err);
void *custos_arena_alloc(struct custos_arena *arena, size_t len);   /* 16-byte aligned, NULL when exhausted or len is 0 */
void *custos_arena_realloc(struct custos_arena *arena, void *p, size_t len);
void custos_arena_release(struct custos_arena *arena, void *p);     /* wipes; NULL is fine; a foreign or doubly released pointer aborts */
void custos_arena_free(struct custos_arena *arena);                 /* wipes everything, unmaps */
CUSTOS_DEFINE_FREEP(custos_arena);

const char *custos_arena_backend(const struct custos_arena *arena);  /* "memfd_secret" or "mlock" */
size_t custos_arena_size(const struct custos_arena *arena);          /* locked bytes */
size_t custos_arena_in_use(const struct custos_arena *arena);
size_t custos_arena_peak(const struct custos_arena *arena);

#endif
