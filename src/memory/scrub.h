/* What explicit_bzero cannot reach: registers, and the stack that called functions have left behind.
 * An epilogue calls custos_scrub_stack() first and custos_scrub_registers() last. */
#ifndef CUSTOS_MEMORY_SCRUB_H
#define CUSTOS_MEMORY_SCRUB_H

enum { CUSTOS_SCRUB_STACK_SIZE = 65536 };

/* Clears every general register a function may clobber and every vector register: x86-64 with MMX, SSE, AVX or AVX-512 (masks too), whatever
 * the processor has; aarch64 with the NEON registers (of v8 to v15 the upper halves: the lower ones are the caller's by the calling convention). */
void custos_scrub_registers(void);
/* Wipes CUSTOS_SCRUB_STACK_SIZE bytes below the caller's frame; that much stack must be left. */
void custos_scrub_stack(void);

#endif
