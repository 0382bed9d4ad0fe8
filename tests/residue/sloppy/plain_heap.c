/* In place of memory/arena.c and memory/pages.c: malloc and free, nothing locked, nothing wiped. */
#include "memory/arena.h"
#include "memory/pages.h"

struct custos_arena {
	size_t size;
};

custos_rc custos_arena_new(size_t size, struct custos_arena **ret_arena, struct custos_err *err)
{
	CUSTOS_AUTO(custos_arena) *arena = malloc(sizeof *arena);
	CUSTOS_REQUIRE(arena != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	arena->size = size;
	*ret_arena = CUSTOS_TAKE(arena);
	return CUSTOS_OK;
}

void *custos_arena_alloc(struct custos_arena *arena, size_t len)
{
	(void)arena;
	return len == 0 ? NULL : calloc(1, len);
}

void *custos_arena_realloc(struct custos_arena *arena, void *p, size_t len)
{
	(void)arena;
	return realloc(p, len);
}

void custos_arena_release(struct custos_arena *arena, void *p)
{
	(void)arena;
	free(p);
}

void custos_arena_free(struct custos_arena *arena)
{
	free(arena);
}

const char *custos_arena_backend(const struct custos_arena *arena)
{
	(void)arena;
	return "mlock";
}

size_t custos_arena_size(const struct custos_arena *arena)
{
	return arena->size;
}

size_t custos_arena_in_use(const struct custos_arena *arena)
{
	(void)arena;
	return 0;
}

size_t custos_arena_peak(const struct custos_arena *arena)
{
	(void)arena;
	return 0;
}

custos_rc custos_pages_map(size_t size, struct custos_pages *ret_pages, struct custos_err *err)
{
	uint8_t *base = calloc(1, size);
	CUSTOS_REQUIRE(base != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	*ret_pages = (struct custos_pages){ .base = base, .size = size, .backend = "mlock" };
	return CUSTOS_OK;
}

void custos_pages_unmap(struct custos_pages *pages)
{
	free(pages->base);
}

/* The keeper believes it: a lie that only the scanner can see through. */
size_t custos_pages_locked(void)
{
	return 1;
}

const char *custos_pages_backend(void)
{
	return "mlock";
}

void custos_pages_wipe_all(const struct custos_pages *spared)
{
	(void)spared;
}
