/* Register and stack scrub. Needs neither libc nor libcrypto, and nothing may be inlined here: the calling convention makes every register
 * cleared below the callee's to destroy.
 *
 * glibc's memcpy leaves the last few hundred bytes it moved in zmm16 to zmm31, which vzeroall does not touch; they stay there for
 * the rest of the process and end up in every core dump, signal frame and context switch. */
#include "memory/scrub.h"

#if defined(__x86_64__)

#define CLEAR_MM(n) "pxor %%mm" #n ", %%mm" #n "\n\t"
#define CLEAR_XMM(n) "pxor %%xmm" #n ", %%xmm" #n "\n\t"
#define CLEAR_ZMM(n) "vpxorq %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"
#define CLEAR_K(n) "kxorw %%k" #n ", %%k" #n ", %%k" #n "\n\t"

static void clear_vectors(void)
{
	__asm__ volatile(CLEAR_MM(0) CLEAR_MM(1) CLEAR_MM(2) CLEAR_MM(3) CLEAR_MM(4) CLEAR_MM(5) CLEAR_MM(6) CLEAR_MM(7) "emms" ::: "memory");
	__asm__ volatile(CLEAR_XMM(0) CLEAR_XMM(1) CLEAR_XMM(2) CLEAR_XMM(3) CLEAR_XMM(4) CLEAR_XMM(5) CLEAR_XMM(6) CLEAR_XMM(7) CLEAR_XMM(8) CLEAR_XMM(9)
	                     CLEAR_XMM(10) CLEAR_XMM(11) CLEAR_XMM(12) CLEAR_XMM(13) CLEAR_XMM(14) CLEAR_XMM(15)::
	                         : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
	                           "xmm13", "xmm14", "xmm15");
	/* __builtin_cpu_supports asks the processor and whether the kernel saves these registers. */
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroall" ::: "memory");
	if (__builtin_cpu_supports("avx512f")) {
		__asm__ volatile(CLEAR_ZMM(16) CLEAR_ZMM(17) CLEAR_ZMM(18) CLEAR_ZMM(19) CLEAR_ZMM(20) CLEAR_ZMM(21) CLEAR_ZMM(22) CLEAR_ZMM(23) CLEAR_ZMM(24)
		                     CLEAR_ZMM(25) CLEAR_ZMM(26) CLEAR_ZMM(27) CLEAR_ZMM(28) CLEAR_ZMM(29) CLEAR_ZMM(30) CLEAR_ZMM(31)::
		                         : "memory");
		__asm__ volatile(CLEAR_K(0) CLEAR_K(1) CLEAR_K(2) CLEAR_K(3) CLEAR_K(4) CLEAR_K(5) CLEAR_K(6) CLEAR_K(7)::: "memory");
	}
}

static inline __attribute__((always_inline)) void clear_general(void)
{
	__asm__ volatile("xorl %%eax, %%eax\n\txorl %%ecx, %%ecx\n\txorl %%edx, %%edx\n\txorl %%esi, %%esi\n\txorl %%edi, %%edi\n\t"
	                 "xorl %%r8d, %%r8d\n\txorl %%r9d, %%r9d\n\txorl %%r10d, %%r10d\n\txorl %%r11d, %%r11d" ::
	                     : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
}

static inline __attribute__((always_inline, noreturn)) void wipe_and_exit(void *stack, size_t size, int status)
{
	/* exit_group is 231 */
	__asm__ volatile("cld\n\trep stosb\n\tmovl $231, %%eax\n\tmovl %%ebx, %%edi\n\tsyscall" ::"D"(stack), "c"(size), "a"(0), "b"(status) : "memory", "cc");
	__builtin_unreachable();
}

#elif defined(__aarch64__)

#define CLEAR_V(n) "movi v" #n ".2d, #0\n\t"
#define CLEAR_UPPER(n) "mov v" #n ".d[1], xzr\n\t"
#define CLEAR_X(n) "mov x" #n ", xzr\n\t"

static void clear_vectors(void)
{
	__asm__ volatile(CLEAR_V(0) CLEAR_V(1) CLEAR_V(2) CLEAR_V(3) CLEAR_V(4) CLEAR_V(5) CLEAR_V(6) CLEAR_V(7) CLEAR_UPPER(8) CLEAR_UPPER(9) CLEAR_UPPER(10)
	                     CLEAR_UPPER(11) CLEAR_UPPER(12) CLEAR_UPPER(13) CLEAR_UPPER(14) CLEAR_UPPER(15)::
	                         : "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7");
	__asm__ volatile(CLEAR_V(16) CLEAR_V(17) CLEAR_V(18) CLEAR_V(19) CLEAR_V(20) CLEAR_V(21) CLEAR_V(22) CLEAR_V(23) CLEAR_V(24) CLEAR_V(25) CLEAR_V(26)
	                     CLEAR_V(27) CLEAR_V(28) CLEAR_V(29) CLEAR_V(30) CLEAR_V(31)::
	                         : "memory", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
	                           "v30", "v31");
}

static inline __attribute__((always_inline)) void clear_general(void)
{
	__asm__ volatile(CLEAR_X(0) CLEAR_X(1) CLEAR_X(2) CLEAR_X(3) CLEAR_X(4) CLEAR_X(5) CLEAR_X(6) CLEAR_X(7) CLEAR_X(8) CLEAR_X(9) CLEAR_X(10) CLEAR_X(11)
	                     CLEAR_X(12) CLEAR_X(13) CLEAR_X(14) CLEAR_X(15) CLEAR_X(16) CLEAR_X(17)::
	                         : "memory", "cc", "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
	                           "x14", "x15", "x16", "x17");
}

static inline __attribute__((always_inline, noreturn)) void wipe_and_exit(void *stack, size_t size, int status)
{
	/* exit_group is 94 */
	__asm__ volatile("mov x9, %0\n\tmov x10, %1\n\tmov w0, %w2\n1:\tcbz x10, 2f\n\tstrb wzr, [x9], #1\n\tsub x10, x10, #1\n\tb 1b\n2:\tmov x8, #94\n\tsvc #0" ::"r"(stack),
	                 "r"(size), "r"(status)
	                 : "memory", "cc", "x0", "x8", "x9", "x10");
	__builtin_unreachable();
}

#else
#error "no register scrub for this processor: a release must not be built without one"
#endif

__attribute__((noinline)) void custos_scrub_registers(void)
{
	clear_vectors();
	clear_general();
}

__attribute__((noinline)) void custos_scrub_stack(void)
{
	/* Volatile stores instead of a call: a memset below this frame would leave its own traces in the part just wiped. */
	volatile unsigned long below[CUSTOS_SCRUB_STACK_SIZE / sizeof(unsigned long)];
	for (unsigned long i = 0; i < sizeof below / sizeof *below; i++)
		below[i] = 0;
}

__attribute__((noinline, noreturn)) void custos_scrub_and_exit(void *stack, size_t size, int status)
{
	clear_vectors();
	wipe_and_exit(stack, size, status);
}
