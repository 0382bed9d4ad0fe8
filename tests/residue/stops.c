/* What is done when one of the processes stands: calls are looked into, states are learned, samples are taken.
 *
 *   courier   before the key  a sample at each message of the protocol
 *             key             at its arrival, then at each call (or at random instants until it is handed over, or the answer is sent)
 *             at its end      a last one, while its memory is still there
 *   keeper    at each message, and at its end
 *   token     when the key arrives, now and then, at its end; at each call and at random instants before that, where it is asked for */
#include "trace.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COURIER_FD = 3, KEEPER_WHOLE_EVERY = 16, TOKEN_EVERY = 8, THIN = 8, SOME = 4, SPARSE = 16 };

static const char HANDING_OVER[] = "stage key", ANSWERING[] = "answer";

/* ---- states ---- */

static void export_pid(struct run *r, enum residue_role role, const char *name)
{
	char text[16];
	struct tracee *t = residue_first_of(r, role);
	snprintf(text, sizeof text, "%d", t == NULL ? 0 : (int)t->process);
	setenv(name, text, 1);
}

static void fire_hooks(struct run *r)
{
	for (size_t i = 0; i < r->options->hook_count; i++) {
		struct residue_hook *h = &r->options->hooks[i];
		if (h->done || strcmp(h->state, r->state) != 0)
			continue;
		h->done = true;
		if (h->command == NULL) {
			r->derail = true;
			continue;
		}
		export_pid(r, ROLE_KEEPER, "RESIDUE_KEEPER");
		export_pid(r, ROLE_TOKEN, "RESIDUE_TOKEN");
		export_pid(r, ROLE_COURIER, "RESIDUE_COURIER");
		/* who is traced stands meanwhile */
		if (system(h->command) != 0)
			residue_die("at %s: %s failed", h->state, h->command);
	}
}

/* There is a key from here on, or a moment later. */
static bool is_arrival(const char *state)
{
	return strcmp(state, RESIDUE_KEY) == 0 || strcmp(state, RESIDUE_SIGNING) == 0 || strcmp(state, RESIDUE_BIRTH) == 0;
}

static void enter_state(struct run *r, const char *state)
{
	snprintf(r->state, sizeof r->state, "%s", state);
	residue_report_state(r->report, state);
	/* the key is handed over to one host after the other */
	if (r->phase == PHASE_SECTION && !is_arrival(state) && strcmp(state, HANDING_OVER) != 0)
		r->phase = PHASE_AFTER;
	else if (r->phase == PHASE_AFTER && strcmp(state, HANDING_OVER) == 0)
		r->phase = PHASE_SECTION;
	fire_hooks(r);
}

/* ---- the courier ---- */

static void look_at_courier(struct run *r, struct tracee *t, bool whole)
{
	residue_look(r, t, r->phase, whole);
	r->samples++;
}

static void courier_enters(struct run *r, struct tracee *t)
{
	bool speaks = (t->call == SYS_recvmsg || t->call == SYS_sendmsg) && t->arguments[0] == COURIER_FD;
	t->key_next = t->call == SYS_recvmsg && speaks ? residue_key_is_next(t->process) : NULL;
	t->heard_before = r->heard;
	r->stops++;
	/* of these two the first word is the last: the key is gone before it is said */
	if (t->call == SYS_sendmsg && speaks && (strcmp(r->state, RESIDUE_SIGNING) == 0 || strcmp(r->state, RESIDUE_BIRTH) == 0))
		enter_state(r, ANSWERING);
	if (r->phase == PHASE_BEFORE  ? speaks
	    : r->options->every_state ? r->samples < r->options->cap || r->stops % THIN == 0
	                              : r->stops % (r->phase == PHASE_SECTION ? SOME : SPARSE) == 0)
		look_at_courier(r, t, false);
}

static void courier_leaves(struct run *r, struct tracee *t, int64_t result)
{
	if (t->key_next != NULL && result > 0) {
		r->phase = PHASE_SECTION;
		r->report->key_seen = true;
		r->report->arrivals++;
		enter_state(r, t->key_next);
		look_at_courier(r, t, true);
		residue_look_at_tokens(r);
		residue_share_processor(r, t->process);
	} else if (t->call == SYS_sendmsg && t->arguments[0] == COURIER_FD && result > 0 && r->heard == t->heard_before &&
	           residue_first_of(r, ROLE_KEEPER) != NULL) {
		t->held = true;
		t->held_since_ms = residue_now_us() / 1000;
	}
	t->key_next = NULL;
}

static void let_go(struct run *r, struct tracee *t, int signal)
{
	if (r->derail && t->role == ROLE_COURIER) {
		residue_derail(t->tid);
		r->derail = false;
	}
	residue_resume(t, signal);
}

void residue_release(struct run *r)
{
	for (size_t i = 0; i < r->count; i++) {
		struct tracee *t = &r->tracees[i];
		if (!t->held)
			continue;
		t->held = false;
		let_go(r, t, 0);
	}
}

/* ---- the keeper ---- */

static void look_at_keeper(struct run *r, struct tracee *t)
{
	size_t before = r->report->of[ROLE_KEEPER].samples;
	residue_look(r, t, r->phase, before % KEEPER_WHOLE_EVERY == 0);
	if (before % TOKEN_EVERY == 0)
		residue_look_at_tokens(r);
}

/* Whoever is told something now does not wait any more. */
static void keeper_speaks(struct run *r, struct tracee *t)
{
	if (r->options->hold_up)
		residue_attach_all(r);
	look_at_keeper(r, t);
}

static void keeper_leaves(struct run *r, struct tracee *t, int64_t result)
{
	char state[STATE_SIZE];
	if (t->call != SYS_recvmsg || result <= 0)
		return;
	r->heard++;
	if (residue_read_progress(t->process, t->arguments[1], (size_t)result, state))
		enter_state(r, state);
	else if (residue_read_sealed(t->process, t->arguments[1], (size_t)result))
		enter_state(r, "sealed");
	look_at_keeper(r, t);
	residue_release(r);
}

/* ---- stops ---- */

static void handle_call(struct run *r, struct tracee *t)
{
	struct __ptrace_syscall_info info = { 0 };
	if (ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof info, &info) < 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		t->in_call = true;
		t->call = info.entry.nr;
		t->arguments[0] = info.entry.args[0];
		t->arguments[1] = info.entry.args[1];
		if (t->role == ROLE_COURIER)
			courier_enters(r, t);
		else if (t->role == ROLE_TOKEN)
			residue_look(r, t, r->phase, false);
		else if (t->call == SYS_sendmsg)
			keeper_speaks(r, t);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && t->in_call) {
		t->in_call = false;
		if (t->role == ROLE_COURIER)
			courier_leaves(r, t, info.exit.rval);
		else if (t->role == ROLE_KEEPER)
			keeper_leaves(r, t, info.exit.rval);
	}
}

/* A thread that ends is not the end of its process: the last one is. */
static void handle_end(struct run *r, struct tracee *t)
{
	size_t others = 0;
	for (size_t i = 0; i < r->count; i++)
		others += r->tracees[i].process == t->process && &r->tracees[i] != t;
	if (others > 0)
		return;
	residue_look(r, t, PHASE_END, true);
	r->report->of[t->role].ends++;
}

static pid_t process_of(pid_t tid)
{
	char path[64], line[256];
	int process = (int)tid;
	snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (sscanf(line, "Tgid: %d", &process) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return process;
}

/* What a courier starts, thread or process, is followed as a courier from its first instruction on. */
static void handle_birth(struct run *r, const struct tracee *t)
{
	unsigned long born = 0;
	if (ptrace(PTRACE_GETEVENTMSG, t->tid, 0, &born) == 0 && born != 0 && residue_find(r, (pid_t)born) == NULL)
		residue_add(r, (pid_t)born, process_of((pid_t)born), t->role);
}

static void handle_interrupt(struct run *r, struct tracee *t)
{
	/* at the same instruction as last time it has not been running */
	struct __ptrace_syscall_info info = { 0 };
	bool moved = ptrace(PTRACE_GET_SYSCALL_INFO, t->tid, sizeof info, &info) > 0 && info.instruction_pointer != r->last_place;
	if (t->interrupted && moved && (t->role == ROLE_TOKEN || r->phase == PHASE_SECTION)) {
		r->last_place = info.instruction_pointer;
		if (t->role == ROLE_TOKEN)
			residue_look(r, t, r->phase, false);
		else
			look_at_courier(r, t, false);
		++*(t->role == ROLE_TOKEN ? &r->token_random : &r->random);
		r->report->of[t->role].random++;
	}
	t->interrupted = false;
}

void residue_handle(struct run *r, struct tracee *t, int status)
{
	int signal = WSTOPSIG(status), event = status >> 16;
	t->stopped = true;
	/* a stop of another kind takes the place of the one that was asked for */
	t->interrupted = t->interrupted && event == PTRACE_EVENT_STOP;
	if (event == PTRACE_EVENT_STOP && signal != SIGTRAP) {
		/* stopped as a shell would stop it: it stays so until it is continued */
		(void)ptrace(PTRACE_LISTEN, t->tid, 0, 0);
		t->stopped = false;
		return;
	}
	if (event == PTRACE_EVENT_EXIT)
		handle_end(r, t);
	else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK)
		handle_birth(r, t);
	else if (event == PTRACE_EVENT_STOP)
		handle_interrupt(r, t);
	else if (signal == (SIGTRAP | 0x80))
		handle_call(r, t);
	if (!t->held)
		let_go(r, t, event == 0 && signal != (SIGTRAP | 0x80) ? signal : 0);
}
