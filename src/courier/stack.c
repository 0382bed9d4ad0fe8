/* A locked stack: what libcrypto and libssh2 leave on a stack is left on locked pages, and those are wiped. The sanitizers follow one stack only,
 * so a build with them stays on it. */
#include "courier/courier.h"

#include "memory/pages.h"
#include "memory/scrub.h"

#include <ucontext.h>

enum { STACK_SIZE = 128 * 1024 };

struct errand {
	struct custos_err *err;
	custos_rc rc;
};

static void enter(unsigned high, unsigned low)
{
	struct errand *e = (struct errand *)(uintptr_t)((uint64_t)high << 32 | low); /* makecontext passes ints only */
	e->rc = custos_courier_serve(e->err);
	custos_scrub_registers();
}

static custos_rc run(struct errand *e, const struct custos_pages *stack)
{
#ifdef CUSTOS_SANITIZED
	(void)stack;
	enter((unsigned)((uint64_t)(uintptr_t)e >> 32), (unsigned)(uintptr_t)e);
	return e->rc;
#else
	ucontext_t here, there;
	CUSTOS_REQUIRE(getcontext(&there) == 0, e->err, CUSTOS_E_SYSTEM, "the locked stack cannot be entered");
	there.uc_stack.ss_sp = stack->base;
	there.uc_stack.ss_size = stack->size;
	there.uc_link = &here;
	makecontext(&there, (void (*)(void))enter, 2, (unsigned)((uint64_t)(uintptr_t)e >> 32), (unsigned)(uintptr_t)e);
	CUSTOS_REQUIRE(swapcontext(&here, &there) == 0, e->err, CUSTOS_E_SYSTEM, "the locked stack cannot be entered");
	return e->rc;
#endif
}

custos_rc custos_courier_on_locked_stack(struct custos_err *err)
{
	struct custos_pages stack = { 0 };
	CUSTOS_TRY(custos_pages_map(STACK_SIZE, &stack, err));
	struct errand e = { .err = err };
	custos_rc rc = run(&e, &stack);
	custos_pages_unmap(&stack); /* wipes */
	return rc;
}
