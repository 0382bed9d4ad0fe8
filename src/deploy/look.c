/* Threads, because resolving a name cannot be done but by waiting for it. A thread takes the next host that nobody has taken and writes into that one's entry; custody, store
 * and log are the caller's alone, and nothing that is served is read here. */
#include "deploy/look.h"
#include "deploy/dial.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

enum { CONNECT_MS = 5000, HANDSHAKE_MS = 5000 };

struct round {
	struct custos_look *looks;
	size_t count;
	atomic_size_t next;
};

static custos_rc look(struct custos_look *l, struct custos_err *err)
{
	CUSTOS_AUTO_FD fd = -1;
	CUSTOS_TRY(custos_dial(l->address, "443", CONNECT_MS, &fd, err));
	return custos_served_fetch(fd, l->name, HANDSHAKE_MS, &l->served, err);
}

static void *work(void *arg)
{
	struct round *round = arg;
	for (;;) {
		size_t i = atomic_fetch_add(&round->next, 1);
		if (i >= round->count)
			return NULL;
		round->looks[i].rc = look(&round->looks[i], &round->looks[i].why);
	}
}

void custos_looks_take(struct custos_look looks[], size_t count)
{
	struct round round = { .looks = looks, .count = count };
	pthread_t threads[CUSTOS_LOOKS_AT_ONCE];
	size_t started = 0;
	sigset_t all, before;
	/* signals are for the thread that was there before */
	sigfillset(&all);
	bool blocked = pthread_sigmask(SIG_BLOCK, &all, &before) == 0;
	/* the caller works, too: when no thread can be had, alone */
	while (started + 1 < CUSTOS_LOOKS_AT_ONCE && started + 1 < count && pthread_create(&threads[started], NULL, work, &round) == 0)
		started++;
	if (blocked)
		(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	work(&round);
	for (size_t i = 0; i < started; i++)
		(void)pthread_join(threads[i], NULL);
}
