/* The outside scanner: what its files share.
 *
 * A parent of everything that looks into the processes of a release from outside: every readable mapping through /proc/PID/mem, every register
 * set by ptrace. What is locked is what /proc/PID/smaps calls locked, never what the process says of itself. */
#ifndef RESIDUE_H
#define RESIDUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

_Noreturn void residue_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- needles.c: the windows that are looked for ---- */

enum { RESIDUE_WINDOW = 8 };
enum residue_kind {
	KIND_NUMBER = 1u << 0,        /* big-endian, as in DER */
	KIND_LIMBS = 1u << 1,         /* byte-reversed, as in a BIGNUM */
	KIND_WORDS = 1u << 2,         /* 32-bit words swapped, as in a SHA-2 message schedule */
	KIND_TEXT = 1u << 3,          /* PEM */
	KIND_TEXT_WORDS = 1u << 4,
	KIND_TEXT_REVERSED = 1u << 5,
	KIND_PIN = 1u << 6
};

struct residue_needles;
struct residue_needles *residue_needles_new(void);
/* Public bytes: a window that occurs in them is never looked for. Call it before the two below. */
void residue_needles_exclude(struct residue_needles *n, const char *path);
/* The private numbers of a key in PEM, as numbers and as the text of every PEM that could hold them. */
void residue_needles_add_key(struct residue_needles *n, const char *path);
/* The first line of a file, at least RESIDUE_WINDOW long. */
void residue_needles_add_pin(struct residue_needles *n, const char *path);
/* The bytes of a file as they are. */
void residue_needles_add_bytes(struct residue_needles *n, const char *path);
size_t residue_needles_count(const struct residue_needles *n);

struct residue_hits {
	size_t key, pin;              /* bytes covered by windows */
	size_t runs;
	unsigned kinds;
};
void residue_hits_add(struct residue_hits *to, const struct residue_hits *hits);
/* Adds what is found in `bytes`. */
void residue_needles_search(const struct residue_needles *n, const uint8_t *bytes, size_t len, struct residue_hits *hits);

/* ---- report.c: what was found ---- */

enum residue_role { ROLE_KEEPER, ROLE_TOKEN, ROLE_COURIER, ROLES };
enum residue_phase {
	PHASE_BEFORE,                 /* no key has come */
	PHASE_SECTION,                /* from the key's arrival until it was handed over */
	PHASE_AFTER,
	PHASE_END                     /* the last look before the kernel takes the memory back */
};

/* Largest counts of any one sample. */
struct residue_figures {
	size_t processes, ends;       /* seen; seen at their end */
	size_t samples, random;
	size_t mappings, bytes;       /* read, over all samples */
	size_t unreadable;            /* bytes of one sample that cannot be read from outside */
	size_t unlocked, locked, dirty; /* bytes of key; samples with unlocked ones */
	size_t locked_after;
	size_t registers_section, registers_after;
	size_t left_unlocked, left_locked, left_registers;
	size_t pin, pin_registers;
};

struct residue_finding {
	enum residue_role role;
	bool locked;
	char where[64];
	unsigned kinds;
	size_t key, pin, samples;
	char first_state[48];
	enum residue_phase first_phase;
};
enum { FINDINGS_MAX = 64, STATES_MAX = 64, STATE_SIZE = 48 };

struct residue_report {
	struct residue_figures of[ROLES];
	struct residue_finding findings[FINDINGS_MAX];
	size_t finding_count;
	bool findings_cut;
	char states[STATES_MAX][STATE_SIZE];
	size_t state_count;
	bool key_seen, token_gone;
	size_t couriers_started;      /* traced or not */
	size_t arrivals;              /* of a key, or of what comes before one, at a courier */
	size_t kept;                  /* bytes that were searched afterwards, each piece once */
	int command_status;           /* as of waitpid */
	char backend[16];             /* "memfd_secret", "mlock" or "" when no courier was looked at while it had locked pages */
};

void residue_report_state(struct residue_report *r, const char *state);
void residue_report_finding(struct residue_report *r, enum residue_role role, enum residue_phase phase, const char *state, const char *where, bool locked,
                            const struct residue_hits *hits);
/* One line of JSON, and one for people. */
void residue_report_json(const struct residue_report *r, const struct residue_needles *n, FILE *out);
void residue_report_text(const struct residue_report *r, const struct residue_needles *n, FILE *out);

/* ---- maps.c, registers.c: one look at one process ---- */

struct residue_sample {
	const struct residue_needles *needles;
	struct residue_report *report;
	enum residue_role role;
	enum residue_phase phase;
	const char *state;
	bool whole;                   /* also file mappings that were never written to */
	struct residue_kept *kept;    /* NULL: searched at once */
	/* out */
	struct residue_hits unlocked, locked, registers;
	size_t unreadable;
};
/* False: the process has no memory any more. */
bool residue_scan_memory(pid_t pid, struct residue_sample *sample);
/* A thread that is stopped by ptrace. */
void residue_scan_registers(pid_t tid, struct residue_sample *sample);
/* Sends a stopped thread to address 0. */
void residue_derail(pid_t tid);
/* Reads memory of the process; false when not all of it is there. */
bool residue_read_memory(pid_t pid, uint64_t address, void *into, size_t len);
/* After both scans: into the figures, or to what is kept. */
void residue_sample_add(const struct residue_sample *sample);
/* What was found in one mapping, or in one set of registers. Vector registers show in more than one set: of one thread's the largest counts, and `vectors` is
 * where they wait for its last set, that is until the next general ones or the end. */
enum residue_part { PART_MAPPING, PART_GENERAL, PART_VECTORS };
void residue_sample_take_mapping(struct residue_sample *sample, const char *where, bool locked, const struct residue_hits *hits);
void residue_sample_take_registers(struct residue_sample *sample, enum residue_part part, struct residue_hits *vectors, const struct residue_hits *hits);
void residue_sample_end_registers(struct residue_sample *sample, struct residue_hits *vectors);

/* ---- keep.c: what is searched when the key is known, afterwards ---- */

struct residue_kept *residue_kept_new(void);
/* Wipes it. */
void residue_kept_free(struct residue_kept *k);
/* A sample: begun (what of one that came to nothing is left is dropped), then its parts, each with its bytes, then all that is known of it. */
void residue_keep_begin(struct residue_kept *k);
void residue_keep_part(struct residue_kept *k, enum residue_part part, const char *where, bool locked);
void residue_keep_bytes(struct residue_kept *k, const uint8_t *bytes, size_t len);
void residue_keep_sample(struct residue_kept *k, const struct residue_sample *sample);
/* Puts every sample into the figures; how many bytes were kept. */
size_t residue_kept_search(struct residue_kept *k, const struct residue_needles *needles, struct residue_report *report);

/* ---- frames.c: the protocol between the processes, heard from outside ---- */

#define RESIDUE_KEY "key"
#define RESIDUE_SIGNING "signing"
#define RESIDUE_BIRTH "birth"
/* The state that begins when the next message on the courier's channel brings a key, what a key comes of, or the order to make one; NULL when it does not. */
const char *residue_key_is_next(pid_t courier);
/* Whether what was just received says that the key is sealed to the token, and no more in the clear. */
bool residue_read_sealed(pid_t keeper, uint64_t msghdr, size_t received);
/* The state that a PROGRESS message tells, from the msghdr that was just received into. False: it is another message. */
bool residue_read_progress(pid_t keeper, uint64_t msghdr, size_t received, char ret_state[static STATE_SIZE]);

/* ---- tree.c: which processes there are ---- */

enum { PROCESSES_MAX = 256 };
struct residue_process {
	pid_t pid;
	bool known;                   /* what it runs is one of ours: */
	enum residue_role role;
	bool gone;
};
struct residue_tree {
	struct residue_process processes[PROCESSES_MAX];
	size_t count;
	pid_t *foreign;               /* there before we started anything, sorted */
	size_t foreign_count;
};
void residue_tree_begin(struct residue_tree *t);
void residue_tree_look(struct residue_tree *t);
/* Past its start, asleep in a call that waits, or in its sandbox: a tracer is not asked about any more. */
bool residue_is_ready(pid_t pid, enum residue_role role);

/* ---- follow.c: the run ---- */

struct residue_hook {
	char state[STATE_SIZE];       /* as in PROGRESS, or one of those above */
	const char *command;          /* NULL: derail the courier */
	bool done;
};
enum { HOOKS_MAX = 8 };

struct residue_options {
	bool every_state;
	size_t random;                /* random instants wanted */
	size_t apart_us;              /* at most, without the time that they take */
	unsigned seed;
	size_t cap;                   /* samples of a courier after which only some states are looked at */
	unsigned timeout_s;
	size_t token_random;          /* the same for custos-token, while a courier waits for its key; then it is looked at when it makes a call, too */
	struct residue_kept *kept;    /* NULL: the key is known */
	bool hold_up;                 /* the keeper is caught first, and nobody gets anything to do before he is, too */
	struct residue_hook hooks[HOOKS_MAX];
	size_t hook_count;
};
/* Runs the command and follows it to the end of its last process. */
void residue_follow(struct residue_options *options, const struct residue_needles *needles, char **command, struct residue_report *report);

#endif
