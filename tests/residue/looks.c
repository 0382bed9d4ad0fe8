/* Samples: a process stands still, its memory and the registers of all its threads are read, and what was found goes into the figures. */
#include "trace.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* False: it is gone. A stop with another reason than ours is kept for later. */
static bool stop(struct tracee *t)
{
	if (t->stopped)
		return true;
	int status;
	if (ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) != 0 || waitpid(t->tid, &status, __WALL) != t->tid)
		return false;
	bool ours = WIFSTOPPED(status) && status >> 16 == PTRACE_EVENT_STOP && WSTOPSIG(status) == SIGTRAP;
	t->pending = !ours;
	t->status = status;
	t->stopped = WIFSTOPPED(status);
	return t->stopped;
}

void residue_look(struct run *r, struct tracee *t, enum residue_phase phase, bool whole)
{
	struct residue_sample s = { .needles = r->needles, .report = r->report, .role = t->role, .phase = phase, .state = r->state, .whole = whole, .kept = r->options->kept };
	bool let_go[TRACEES_MAX] = { false };
	if (s.kept != NULL)
		residue_keep_begin(s.kept);
	for (size_t i = 0; i < r->count; i++) {
		struct tracee *other = &r->tracees[i];
		if (other->process != t->process)
			continue;
		bool stood = other->stopped;
		if (!stop(other))
			continue;
		let_go[i] = !stood && !other->pending;
		residue_scan_registers(other->tid, &s);
	}
	if (residue_scan_memory(t->process, &s))
		residue_sample_add(&s);
	for (size_t i = 0; i < r->count; i++)
		if (let_go[i])
			residue_resume(&r->tracees[i], 0);
}

void residue_look_at_tokens(struct run *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct tracee *t = &r->tracees[i];
		if (t->role != ROLE_TOKEN || t->stopped || t->tid != t->process || !stop(t))
			continue;
		residue_look(r, t, r->phase, false);
		if (!t->pending)
			residue_resume(t, 0);
	}
}
