/* Registers and stack after the scrub, against the same without it. */
#include "memory/scrub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "child.h"

#if defined(__x86_64__)

static uint8_t pattern[64], low[16][16], high[16][64];

#define LOAD_XMM(n) "movdqu (%0), %%xmm" #n "\n\t"
#define STORE_XMM(n) "movdqu %%xmm" #n ", " #n "*16(%0)\n\t"
#define LOAD_ZMM(n) "vmovdqu64 (%0), %%zmm" #n "\n\t"
#define STORE_ZMM(n) "vmovdqu64 %%zmm" #n ", (" #n "-16)*64(%0)\n\t"
#define LOW(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define HIGH(op) op(16) op(17) op(18) op(19) op(20) op(21) op(22) op(23) op(24) op(25) op(26) op(27) op(28) op(29) op(30) op(31)

static void nothing(void)
{
}

/* Fills the vector registers, calls `between`, reads them. No C code that could use a vector register stands in between. */
static __attribute__((noinline)) void fill_call_read(void (*between)(void))
{
	bool avx512 = __builtin_cpu_supports("avx512f");
	if (avx512)
		__asm__ volatile(HIGH(LOAD_ZMM)::"r"(pattern) : "memory");
	__asm__ volatile(LOW(LOAD_XMM)::"r"(pattern) : "memory");
	between();
	__asm__ volatile(LOW(STORE_XMM)::"r"(low) : "memory");
	if (avx512)
		__asm__ volatile(HIGH(STORE_ZMM)::"r"(high) : "memory");
}

static size_t count_marked(const uint8_t *p, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += p[i] != 0;
	return n;
}

static void vector_registers_are_cleared(void **state)
{
	(void)state;
	memset(pattern, 0xc3, sizeof pattern);
	fill_call_read(nothing);
	assert_int_equal(count_marked(&low[0][0], sizeof low), sizeof low);
	assert_int_equal(count_marked(&high[0][0], sizeof high), __builtin_cpu_supports("avx512f") ? sizeof high : 0);
	fill_call_read(custos_scrub_registers);
	assert_int_equal(count_marked(&low[0][0], sizeof low), 0);
	assert_int_equal(count_marked(&high[0][0], sizeof high), 0);
}

static void general_registers_are_cleared(void **state)
{
	(void)state;
	uint64_t after[4] = { 1, 1, 1, 1 };
	void (*scrub)(void) = custos_scrub_registers;
	/* on a stack of its own depth: the compiler does not know of the call */
	__asm__ volatile("movq %%rsp, %%r12\n\tsubq $256, %%rsp\n\tandq $-16, %%rsp\n\t"
	                 "movabsq $0x1122334455667788, %%r8\n\tmovq %%r8, %%r9\n\tmovq %%r8, %%r10\n\tmovq %%r8, %%r11\n\t"
	                 "call *%%rbx\n\tmovq %%r12, %%rsp\n\t"
	                 "movq %%r8, 0(%1)\n\tmovq %%r9, 8(%1)\n\tmovq %%r10, 16(%1)\n\tmovq %%r11, 24(%1)"
	                 : "+b"(scrub)
	                 : "r"(after)
	                 : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12");
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(after[i], 0);
}

#else

static void vector_registers_are_cleared(void **state)
{
	(void)state;
	skip();
}

static void general_registers_are_cleared(void **state)
{
	(void)state;
	skip();
}

#endif

/* Leaves marked bytes below the caller's frame and tells where. */
static __attribute__((noinline)) void litter(uintptr_t *ret_at)
{
	volatile uint8_t bytes[4096];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = 0xd7;
	*ret_at = (uintptr_t)bytes;
}

static __attribute__((noinline)) size_t count_litter(uintptr_t at)
{
	size_t n = 0;
	/* the first half only: the frames of the functions called since then lie over the other end */
	for (size_t i = 0; i < 2048; i++)
		n += *(volatile const uint8_t *)(at + i) == 0xd7;
	return n;
}

static void the_stack_below_is_wiped(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip();
#endif
	uintptr_t at = 0;
	litter(&at);
	assert_true(count_litter(at) > 1024);
	custos_scrub_stack();
	assert_int_equal(count_litter(at), 0);
}

enum { SHARED_STACK = 65536 };
static uint8_t *shared_stack;

static void end_here(int number)
{
	(void)number;
	custos_scrub_and_exit(shared_stack, SHARED_STACK, 42);
}

/* On a stack that the parent can look at, below a signal frame that holds the registers of before. */
static int ends_in_a_handler(void *ctx)
{
	(void)ctx;
	stack_t stack = { .ss_sp = shared_stack, .ss_size = SHARED_STACK };
	struct sigaction action = { .sa_handler = end_here, .sa_flags = SA_ONSTACK };
	memset(shared_stack, 0x5a, SHARED_STACK);
	if (sigaltstack(&stack, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0)
		return 2;
	raise(SIGUSR1);
	return 3;
}

static void the_stack_in_use_is_wiped_at_the_end(void **state)
{
	(void)state;
#ifdef CUSTOS_SANITIZED
	skip();
#endif
	shared_stack = mmap(NULL, SHARED_STACK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared_stack != MAP_FAILED);
	memset(shared_stack, 1, SHARED_STACK);
	assert_child_exits(ends_in_a_handler, NULL, 42);
	assert_int_equal(count_marked(shared_stack, SHARED_STACK), 0);
	munmap(shared_stack, SHARED_STACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vector_registers_are_cleared),
		cmocka_unit_test(general_registers_are_cleared),
		cmocka_unit_test(the_stack_below_is_wiped),
		cmocka_unit_test(the_stack_in_use_is_wiped_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
