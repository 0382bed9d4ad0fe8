/* One run under ptrace: what follow.c, stops.c and looks.c share. */
#ifndef RESIDUE_TRACE_H
#define RESIDUE_TRACE_H

#include "residue.h"

#include <sched.h>

enum { TRACEES_MAX = 64 };

struct tracee {
	pid_t tid, process;           /* a thread, and its process */
	enum residue_role role;
	bool stopped;
	bool calls;                   /* stops at them */
	bool pending;                 /* `status` was taken while a sample was made and waits for its turn */
	int status;
	bool in_call;                 /* between a call's entry and its end: */
	uint64_t call, arguments[2];
	const char *key_next;         /* this call takes the key, and that is the state then */
	size_t heard_before;          /* messages the keeper had heard when this call began */
	bool held;                    /* has sent something, and stands until the keeper has heard it */
	bool interrupted;             /* by us, at a random instant */
	int64_t held_since_ms;
};

struct run {
	struct residue_options *options;
	const struct residue_needles *needles;
	struct residue_report *report;
	struct residue_tree tree;
	struct tracee tracees[TRACEES_MAX];
	size_t count;
	pid_t command;
	bool command_ended;
	/* of the courier that is at work */
	char state[STATE_SIZE];
	enum residue_phase phase;
	size_t stops, samples, random, token_random;
	size_t heard;                 /* messages, by the keeper */
	bool derail;
	uint64_t noise;               /* of the random instants */
	uint64_t last_place;          /* of the last one: where the courier was */
	pid_t shared_with;            /* the process that has our processor, 0: none */
	cpu_set_t affinity;           /* ours, before that */
};

int64_t residue_now_us(void);
struct tracee *residue_find(struct run *r, pid_t tid);
struct tracee *residue_add(struct run *r, pid_t tid, pid_t process, enum residue_role role);
struct tracee *residue_first_of(struct run *r, enum residue_role role);
/* Those that are there and not traced yet, when they are ready. */
void residue_attach_all(struct run *r);
/* From here on, as long as instants are taken: for such that are close together. Nothing when none are wanted. */
void residue_share_processor(struct run *r, pid_t process);
/* Lets it go on, with a signal or 0. */
void residue_resume(struct tracee *t, int signal);

/* looks.c: samples. `t` is stopped; other threads of its process are stopped for the moment. */
void residue_look(struct run *r, struct tracee *t, enum residue_phase phase, bool whole);
/* Every token there is, stopped for the moment. */
void residue_look_at_tokens(struct run *r);

/* stops.c: what is done at a stop. */
void residue_handle(struct run *r, struct tracee *t, int status);
/* The keeper has heard what the couriers said, or will not. */
void residue_release(struct run *r);

#endif
