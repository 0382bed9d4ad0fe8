/* What explicit_bzero cannot reach: registers, and the stack that called functions have left behind.
 * An epilogue calls custos_scrub_stack() first and custos_scrub_registers() last, or ends the process with custos_scrub_and_exit(). */
#ifndef CUSTOS_MEMORY_SCRUB_H
#define CUSTOS_MEMORY_SCRUB_H

#include <stddef.h>

enum { CUSTOS_SCRUB_STACK_SIZE = 65536 };

/* Clears every general register a function may clobber and every vector register: x86-64 with MMX, SSE, AVX or AVX-512 (masks too), whatever
 * the processor has; aarch64 with the NEON registers (of v8 to v15 the upper halves: the lower ones are the caller's by the calling convention). */
void custos_scrub_registers(void);
/* Wipes CUSTOS_SCRUB_STACK_SIZE bytes below the caller's frame; that much stack must be left. */
void custos_scrub_stack(void);
/* Clears the registers, then wipes `size` bytes at `stack`, which may be the very stack it runs on, and ends the process (exit_group) without another use of it. */
__attribute__((noreturn)) void custos_scrub_and_exit(void *stack, size_t size, int status);

#endif
