/* The locked heap.
 *
 * Memory is cut into units of 32 bytes. A block is
 *     canary (16) · data (as long as asked) · canary (to the end of the last unit, at least 16)
 * All bookkeeping is in a table of slots beside the locked pages, one slot a unit, so that an overflow cannot reach it. Free blocks hang
 * in bins by size: one bin a size up to 63 units, then four bins a power of two, and a bit map says which bins are not empty.
 * So alloc and release cost a few steps, whatever the arena holds.
 *
 * Invariants: 1. free units are zero, canaries included, so alloc hands out zeros. 2. two free blocks never touch.
 * 3. a slot's state is USED or FREE at the first unit of a block and INSIDE everywhere else. A pointer that is not the data of a USED block, or
 * a damaged canary, ends the process: it is a bug or an attack, and a process that holds keys does not go on after either. */
#include "memory/arena.h"
#include "memory/pages.h"

#include <sys/mman.h>
#include <sys/random.h>

enum { UNIT = 32, MARGIN = 16, EXACT_BINS = 64, BINS = 192 };
static const uint32_t NONE = UINT32_MAX;
enum state { INSIDE, FREE, USED };

struct slot {
	uint32_t units;      /* first unit of a block: its size */
	uint32_t free_tail;  /* last unit of a free block: its size, else 0 */
	uint32_t next, prev; /* first unit of a free block: neighbours in its bin */
	uint32_t len;        /* first unit of a used block: bytes asked for */
	enum state state;
};

struct custos_arena {
	struct custos_pages pages;
	struct slot *slots;
	uint32_t units;
	uint32_t bins[BINS];
	uint64_t filled[BINS / 64];
	uint8_t canary[MARGIN];
	size_t in_use, peak;
};

static uint32_t bin_of(uint32_t units)
{
	if (units < EXACT_BINS)
		return units;
	uint32_t top = 31u - (uint32_t)__builtin_clz(units);
	return EXACT_BINS + (top - 6) * 4 + ((units >> (top - 2)) & 3);
}

static void bin_insert(struct custos_arena *a, uint32_t at)
{
	uint32_t bin = bin_of(a->slots[at].units), first = a->bins[bin];
	a->slots[at].next = first;
	a->slots[at].prev = NONE;
	if (first != NONE)
		a->slots[first].prev = at;
	a->bins[bin] = at;
	a->filled[bin / 64] |= UINT64_C(1) << (bin % 64);
}

static void bin_remove(struct custos_arena *a, uint32_t at)
{
	uint32_t bin = bin_of(a->slots[at].units), next = a->slots[at].next, prev = a->slots[at].prev;
	if (next != NONE)
		a->slots[next].prev = prev;
	if (prev != NONE)
		a->slots[prev].next = next;
	else
		a->bins[bin] = next;
	if (a->bins[bin] == NONE)
		a->filled[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
}

static void free_insert(struct custos_arena *a, uint32_t at, uint32_t units)
{
	a->slots[at] = (struct slot){ .units = units, .state = FREE };
	a->slots[at + units - 1].free_tail = units;
	bin_insert(a, at);
}

static void free_remove(struct custos_arena *a, uint32_t at)
{
	bin_remove(a, at);
	a->slots[at + a->slots[at].units - 1].free_tail = 0;
	a->slots[at].state = INSIDE;
}

/* Gives units back and joins them with free neighbours. They must be zero already. */
static void free_join(struct custos_arena *a, uint32_t at, uint32_t units)
{
	if (at > 0 && a->slots[at - 1].free_tail != 0) {
		uint32_t before = a->slots[at - 1].free_tail;
		free_remove(a, at - before);
		at -= before;
		units += before;
	}
	if (at + units < a->units && a->slots[at + units].state == FREE) {
		uint32_t after = a->slots[at + units].units;
		free_remove(a, at + units);
		units += after;
	}
	free_insert(a, at, units);
}

/* First bin from `bin` on that is not empty, BINS when there is none. */
static uint32_t bin_find(const struct custos_arena *a, uint32_t bin)
{
	for (uint32_t word = bin / 64; word < BINS / 64; word++) {
		uint64_t bits = a->filled[word];
		if (word == bin / 64)
			bits &= UINT64_MAX << (bin % 64);
		if (bits != 0)
			return word * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return BINS;
}

/* A free block of at least `units`, NONE when there is none. In a bin above the request's own every block is large enough; only
 * when all of those are empty its own bin is searched. */
static uint32_t free_find(const struct custos_arena *a, uint32_t units)
{
	uint32_t own = bin_of(units), bin = bin_find(a, units < EXACT_BINS ? own : own + 1);
	if (bin < BINS)
		return a->bins[bin];
	uint32_t at = a->bins[own];
	while (at != NONE && a->slots[at].units < units)
		at = a->slots[at].next;
	return at;
}

static uint8_t *block_of(const struct custos_arena *a, uint32_t at)
{
	return a->pages.base + (size_t)at * UNIT;
}

/* What belongs into a block wherever there is no data, over and over. It depends on the place, so that a block copied over its neighbour does not bring a
 * valid canary along. */
enum { PATTERN = 4 * MARGIN };

static void canary_pattern(const struct custos_arena *a, uint32_t at, uint8_t pattern[static PATTERN])
{
	uint32_t words[MARGIN / sizeof at];
	memcpy(words, a->canary, MARGIN);
	for (size_t i = 0; i < MARGIN / sizeof at; i++)
		words[i] ^= at;
	for (size_t i = 0; i < PATTERN; i += MARGIN)
		memcpy(pattern + i, words, MARGIN);
}

/* Behind the data there are MARGIN to MARGIN + UNIT - 1 bytes; with what stands before them in their line of MARGIN they fit into a pattern. */
_Static_assert(MARGIN + UNIT - 1 + MARGIN - 1 <= PATTERN, "a pattern is long enough for every end of a block");

static void canaries_set(struct custos_arena *a, uint32_t at)
{
	uint8_t *block = block_of(a, at), pattern[PATTERN];
	size_t total = (size_t)a->slots[at].units * UNIT, end = MARGIN + a->slots[at].len;
	canary_pattern(a, at, pattern);
	memcpy(block, pattern, MARGIN);
	memcpy(block + end, pattern + end % MARGIN, total - end);
}

static void canaries_check(const struct custos_arena *a, uint32_t at)
{
	const uint8_t *block = block_of(a, at);
	uint8_t pattern[PATTERN];
	size_t total = (size_t)a->slots[at].units * UNIT, end = MARGIN + a->slots[at].len;
	canary_pattern(a, at, pattern);
	if (memcmp(block, pattern, MARGIN) != 0 || memcmp(block + end, pattern + end % MARGIN, total - end) != 0)
		abort();
}

/* The first unit of the block whose data `p` is; ends the process when it is none. */
static uint32_t locate(const struct custos_arena *a, const void *p)
{
	uintptr_t base = (uintptr_t)a->pages.base, address = (uintptr_t)p;
	if (address < base + MARGIN || address >= base + a->pages.size || (address - base) % UNIT != MARGIN)
		abort();
	uint32_t at = (uint32_t)((address - base) / UNIT);
	if (a->slots[at].state != USED)
		abort();
	canaries_check(a, at);
	return at;
}

static bool units_for(const struct custos_arena *a, size_t len, uint32_t *ret_units)
{
	if (len == 0 || len > a->pages.size)
		return false;
	*ret_units = (uint32_t)((len + 2 * MARGIN + UNIT - 1) / UNIT);
	return *ret_units <= a->units;
}

void *custos_arena_alloc(struct custos_arena *a, size_t len)
{
	uint32_t units, at;
	if (!units_for(a, len, &units) || (at = free_find(a, units)) == NONE)
		return NULL;
	uint32_t found = a->slots[at].units;
	free_remove(a, at);
	if (found > units)
		free_insert(a, at + units, found - units);
	a->slots[at] = (struct slot){ .units = units, .len = (uint32_t)len, .state = USED };
	canaries_set(a, at);
	a->in_use += (size_t)units * UNIT;
	if (a->in_use > a->peak)
		a->peak = a->in_use;
	return block_of(a, at) + MARGIN;
}

void custos_arena_release(struct custos_arena *a, void *p)
{
	if (p == NULL)
		return;
	uint32_t at = locate(a, p), units = a->slots[at].units;
	explicit_bzero(block_of(a, at), (size_t)units * UNIT);
	a->slots[at].state = INSIDE;
	a->in_use -= (size_t)units * UNIT;
	free_join(a, at, units);
}

/* `units` is not more than the block has: what is left over is wiped and given back. */
static void resize_in_place(struct custos_arena *a, uint32_t at, uint32_t units, size_t len)
{
	uint32_t had = a->slots[at].units;
	uint8_t *block = block_of(a, at);
	/* From the shorter of the two lengths on nothing is data of the new block: old canary, or bytes cut off. */
	size_t keep = MARGIN + (len < a->slots[at].len ? len : a->slots[at].len);
	explicit_bzero(block + keep, (size_t)had * UNIT - keep);
	a->slots[at].units = units;
	a->slots[at].len = (uint32_t)len;
	canaries_set(a, at);
	if (units < had) {
		a->in_use -= (size_t)(had - units) * UNIT;
		free_join(a, at + units, had - units);
	}
}

void *custos_arena_realloc(struct custos_arena *a, void *p, size_t len)
{
	if (p == NULL)
		return custos_arena_alloc(a, len);
	uint32_t at = locate(a, p), units;
	if (len == 0) {
		custos_arena_release(a, p);
		return NULL;
	}
	if (!units_for(a, len, &units))
		return NULL;
	if (units <= a->slots[at].units) {
		resize_in_place(a, at, units, len);
		return p;
	}
	void *moved = custos_arena_alloc(a, len);
	if (moved == NULL)
		return NULL;
	memcpy(moved, p, a->slots[at].len);
	custos_arena_release(a, p);
	return moved;
}

static custos_rc start_heap(struct custos_arena *a, struct custos_err *err)
{
	a->units = (uint32_t)(a->pages.size / UNIT);
	size_t table = (size_t)a->units * sizeof *a->slots;
	void *slots = mmap(NULL, table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CUSTOS_REQUIRE(slots != MAP_FAILED, err, CUSTOS_E_SYSTEM, "out of memory");
	a->slots = slots;
	CUSTOS_REQUIRE(getrandom(a->canary, sizeof a->canary, 0) == (ssize_t)sizeof a->canary, err, CUSTOS_E_SYSTEM, "no random numbers from the kernel");
	for (size_t i = 0; i < BINS; i++)
		a->bins[i] = NONE;
	free_insert(a, 0, a->units);
	return CUSTOS_OK;
}

custos_rc custos_arena_new(size_t size, struct custos_arena **ret_arena, struct custos_err *err)
{
	CUSTOS_AUTO(custos_arena) *a = calloc(1, sizeof *a);
	CUSTOS_REQUIRE(a != NULL, err, CUSTOS_E_SYSTEM, "out of memory");
	CUSTOS_TRY(custos_pages_map(size, &a->pages, err));
	CUSTOS_TRY(start_heap(a, err));
	*ret_arena = CUSTOS_TAKE(a);
	return CUSTOS_OK;
}

void custos_arena_free(struct custos_arena *a)
{
	if (a == NULL)
		return;
	custos_pages_unmap(&a->pages);
	if (a->slots != NULL)
		munmap(a->slots, (size_t)a->units * sizeof *a->slots);
	free(a);
}

const char *custos_arena_backend(const struct custos_arena *a)
{
	return a->pages.backend;
}

size_t custos_arena_size(const struct custos_arena *a)
{
	return a->pages.size;
}

size_t custos_arena_in_use(const struct custos_arena *a)
{
	return a->in_use;
}

size_t custos_arena_peak(const struct custos_arena *a)
{
	return a->peak;
}
