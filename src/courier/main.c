/* custos-courier: started by custos, one for each key and group of hosts. Hardens itself before anything else, keeps libcrypto, libssh2 and its
 * own stack on locked pages, and ends through one epilogue. Of no use when started by hand. */
#include "courier/courier.h"

#include "crypto/heap.h"
#include "memory/scrub.h"

#include <signal.h>
#include <stdio.h>

enum { LIBCRYPTO_ARENA = 2 * 1024 * 1024 };

static custos_rc serve(void *ctx, size_t locked_bytes, struct custos_err *err)
{
	(void)ctx;
	return custos_courier_serve(locked_bytes, err);
}

static custos_rc run(struct custos_err *err)
{
	/* A signal frame holds vector registers, and those may hold a key. */
	sigset_t all;
	CUSTOS_REQUIRE(sigfillset(&all) == 0 && sigprocmask(SIG_BLOCK, &all, NULL) == 0, err, CUSTOS_E_SYSTEM, "signals cannot be blocked");
	CUSTOS_TRY(custos_secret_start(err));
	struct custos_arena *heap = NULL;
	CUSTOS_TRY(custos_arena_new(LIBCRYPTO_ARENA, &heap, err));
	CUSTOS_TRY(custos_crypto_use_arena(heap, err));
	custos_rc rc = custos_courier_on_locked_stack(serve, NULL, custos_arena_size(heap), err);
	custos_arena_free(heap); /* wipes what libcrypto still held; nothing may call it from here on */
	return rc;
}

int main(void)
{
	struct custos_err err = { 0 };
	custos_rc rc = run(&err);
	custos_scrub_stack();
	custos_scrub_registers();
	if (rc != CUSTOS_OK)
		dprintf(STDERR_FILENO, "custos-courier: error: %s\n", err.msg);
	_exit((int)rc); /* no exit handlers: libcrypto's would look for its heap */
}
