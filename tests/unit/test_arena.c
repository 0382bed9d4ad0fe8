/* The locked heap against a model of itself, and against callers that break it. */
#include "memory/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "child.h"

enum { SIZE = 256 * 1024, OVERHEAD = 32 };

static struct custos_arena *new_arena(size_t size)
{
	struct custos_arena *arena = NULL;
	struct custos_err err = { 0 };
	if (custos_arena_new(size, &arena, &err) != CUSTOS_OK)
		fail_msg("%s", err.msg);
	return arena;
}

static bool all_bytes(const uint8_t *p, size_t len, uint8_t value)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

static void hands_out_zeroed_aligned_memory(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_arena) *a = new_arena(SIZE);
	for (size_t len = 1; len < 600; len += 7) {
		uint8_t *p = custos_arena_alloc(a, len);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		assert_true(all_bytes(p, len, 0));
		memset(p, 0xff, len);
		custos_arena_release(a, p);
	}
	assert_null(custos_arena_alloc(a, 0));
	assert_int_equal(custos_arena_in_use(a), 0);
	assert_true(custos_arena_peak(a) >= 600);
	custos_arena_release(a, NULL);
}

static void sizes_are_whole_pages_and_bounded(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_arena) *a = new_arena(1);
	struct custos_arena *none = NULL;
	struct custos_err err = { 0 };
	assert_int_equal(custos_arena_size(a), sysconf(_SC_PAGESIZE));
	assert_int_equal(custos_arena_new(0, &none, &err), CUSTOS_E_INTERNAL);
	assert_null(none);
	assert_true(strcmp(custos_arena_backend(a), "memfd_secret") == 0 || strcmp(custos_arena_backend(a), "mlock") == 0);
}

static void exhaustion_returns_null_and_is_not_for_ever(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_arena) *a = new_arena(SIZE);
	static void *held[SIZE / 64 + 1];
	size_t n = 0;
	assert_null(custos_arena_alloc(a, SIZE));
	assert_null(custos_arena_alloc(a, SIZE_MAX));
	assert_null(custos_arena_alloc(a, SIZE_MAX - 16));
	while ((held[n] = custos_arena_alloc(a, 17)) != NULL)
		n++;
	assert_int_equal(n, SIZE / 64); /* 17 + 32 bytes are two units */
	assert_null(custos_arena_realloc(a, held[0], 500));
	assert_int_equal(custos_arena_in_use(a), SIZE);
	/* Every second one first, so that nothing can be joined until the rest goes. */
	for (size_t i = 0; i < n; i += 2)
		custos_arena_release(a, held[i]);
	assert_null(custos_arena_alloc(a, 200));
	for (size_t i = 1; i < n; i += 2)
		custos_arena_release(a, held[i]);
	void *all = custos_arena_alloc(a, SIZE - OVERHEAD);
	assert_non_null(all);
	assert_null(custos_arena_alloc(a, 1));
	custos_arena_release(a, all);
}

static void release_and_moving_realloc_wipe(void **state)
{
	(void)state;
	CUSTOS_AUTO(custos_arena) *a = new_arena(SIZE);
	uint8_t *p = custos_arena_alloc(a, 1000), *blocker = custos_arena_alloc(a, 10);
	memset(p, 0xa5, 1000);
	uint8_t *moved = custos_arena_realloc(a, p, 5000);
	assert_non_null(moved);
	assert_ptr_not_equal(moved, p);
	assert_true(all_bytes(moved, 1000, 0xa5));
	assert_true(all_bytes(moved + 1000, 4000, 0));
	assert_true(all_bytes(p, 1000, 0));
	/* Shrinking keeps the place and wipes what was cut off; the end of the last unit is canary now. */
	assert_ptr_equal(custos_arena_realloc(a, moved, 100), moved);
	assert_true(all_bytes(moved, 100, 0xa5));
	assert_false(all_bytes(moved + 100, 16, 0xa5));
	assert_true(all_bytes(moved + 160, 4700, 0));
	/* Growing again inside the block brings nothing back. */
	assert_ptr_equal(custos_arena_realloc(a, moved, 105), moved);
	assert_true(all_bytes(moved + 100, 5, 0));
	assert_null(custos_arena_realloc(a, moved, 0));
	assert_true(all_bytes(moved, 100, 0));
	custos_arena_release(a, blocker);
	assert_int_equal(custos_arena_in_use(a), 0);
}

struct held {
	uint8_t *p;
	size_t len;
	uint8_t fill;
};

static size_t random_length(unsigned *seed)
{
	unsigned r = (unsigned)rand_r(seed);
	return r % 16 == 0 ? 1 + r / 16 % 9000 : r % 4 == 0 ? 1 + r / 4 % 700 : 1 + r / 4 % 90;
}

static void random_traffic_keeps_every_byte(void **state)
{
	(void)state;
	enum { PLACES = 400, STEPS = 80000 };
	static struct held held[PLACES];
	CUSTOS_AUTO(custos_arena) *a = new_arena(SIZE);
	unsigned seed = (unsigned)getpid(), refused = 0;
	print_message("seed %u\n", seed);
	for (unsigned step = 0; step < STEPS; step++) {
		struct held *h = &held[(unsigned)rand_r(&seed) % PLACES];
		assert_true(h->p == NULL || all_bytes(h->p, h->len, h->fill));
		unsigned what = (unsigned)rand_r(&seed) % 3;
		size_t len = random_length(&seed);
		if (h->p != NULL && what == 0) {
			uint8_t *p = custos_arena_realloc(a, h->p, len);
			refused += p == NULL;
			if (p == NULL)
				continue;
			assert_true(all_bytes(p, len < h->len ? len : h->len, h->fill));
			h->p = p;
			h->len = len;
		} else if (h->p != NULL) {
			custos_arena_release(a, h->p);
			assert_true(all_bytes(h->p, h->len, 0));
			h->p = NULL;
			continue;
		} else {
			h->p = custos_arena_alloc(a, len);
			refused += h->p == NULL;
			assert_true(h->p == NULL || all_bytes(h->p, len, 0));
			h->len = len;
		}
		h->fill = (uint8_t)(1 + step % 255);
		if (h->p != NULL)
			memset(h->p, h->fill, h->len);
	}
	assert_true(custos_arena_in_use(a) > 0);
	assert_true(refused < STEPS / 2);
	for (size_t i = 0; i < PLACES; i++) {
		assert_true(held[i].p == NULL || all_bytes(held[i].p, held[i].len, held[i].fill));
		custos_arena_release(a, held[i].p);
	}
	assert_int_equal(custos_arena_in_use(a), 0);
	/* Everything was joined again, and not a byte of anything is left in the pages, canaries included. */
	uint8_t *all = custos_arena_alloc(a, SIZE - OVERHEAD);
	assert_non_null(all);
	assert_true(all_bytes(all, SIZE - OVERHEAD, 0));
	custos_arena_release(a, all);
	assert_true(all_bytes(all - 16, SIZE, 0));
}

enum misuse { RELEASE_TWICE, FOREIGN, INSIDE_BLOCK, INSIDE_UNIT, BEFORE_ARENA, AFTER_ARENA, OVERFLOW_BY_ONE, UNDERFLOW_BY_ONE, OVERFLOW_THEN_REALLOC, COPY_OVER_NEIGHBOUR };

static int misuse(void *ctx)
{
	struct custos_arena *a = NULL;
	uint8_t elsewhere[64] = { 0 };
	if (custos_arena_new(SIZE, &a, NULL) != CUSTOS_OK)
		return 2;
	uint8_t *p = custos_arena_alloc(a, 100), *q = custos_arena_alloc(a, 100);
	if (p == NULL || q != p + 160)
		return 3;
	switch (*(enum misuse *)ctx) {
	case RELEASE_TWICE:
		custos_arena_release(a, p);
		custos_arena_release(a, p);
		break;
	case FOREIGN:
		custos_arena_release(a, elsewhere + 16);
		break;
	case INSIDE_BLOCK:
		custos_arena_release(a, p + 32);
		break;
	case INSIDE_UNIT:
		custos_arena_release(a, p + 1);
		break;
	case BEFORE_ARENA:
		custos_arena_release(a, p - 32);
		break;
	case AFTER_ARENA:
		custos_arena_release(a, p + SIZE);
		break;
	case OVERFLOW_BY_ONE:
		p[100] ^= 1;
		custos_arena_release(a, p);
		break;
	case UNDERFLOW_BY_ONE:
		p[-1] ^= 1;
		custos_arena_release(a, p);
		break;
	case OVERFLOW_THEN_REALLOC:
		p[100] ^= 1;
		p = custos_arena_realloc(a, p, 200);
		break;
	case COPY_OVER_NEIGHBOUR:
		memcpy(q - 16, p - 16, 160);
		custos_arena_release(a, q);
		break;
	}
	return 0;
}

static void misuse_ends_the_process(void **state)
{
	(void)state;
	for (enum misuse m = RELEASE_TWICE; m <= COPY_OVER_NEIGHBOUR; m++)
		assert_child_dies(misuse, &m, SIGABRT);
}

/* libcrypto's pattern: very many small blocks alive, short-lived ones among them. Also what a scan over all units would be too slow for. */
static void many_small_blocks(void **state)
{
	(void)state;
	enum { LIVE = 20000, PAIRS = 400000 };
	static void *live[LIVE];
	CUSTOS_AUTO(custos_arena) *a = new_arena(2 * 1024 * 1024);
	for (size_t i = 0; i < LIVE; i++)
		assert_non_null(live[i] = custos_arena_alloc(a, 24 + i % 40));
	for (size_t i = 0; i < PAIRS; i++) {
		void **place = &live[i * 7919 % LIVE];
		custos_arena_release(a, *place);
		assert_non_null(*place = custos_arena_alloc(a, 24 + i % 40));
	}
	for (size_t i = 0; i < LIVE; i++)
		custos_arena_release(a, live[i]);
	assert_int_equal(custos_arena_in_use(a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hands_out_zeroed_aligned_memory),
		cmocka_unit_test(sizes_are_whole_pages_and_bounded),
		cmocka_unit_test(exhaustion_returns_null_and_is_not_for_ever),
		cmocka_unit_test(release_and_moving_realloc_wipe),
		cmocka_unit_test(random_traffic_keeps_every_byte),
		cmocka_unit_test(misuse_ends_the_process),
		cmocka_unit_test(many_small_blocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
