/* What is known of a machine, and what is thought of it. Reading (read.c, probe.c) and judging (judge_*.c) meet only here: a check takes the text
 * of the files it judges, so that the tests feed it texts of machines that they do not have. */
#ifndef CUSTOS_DOCTOR_MACHINE_H
#define CUSTOS_DOCTOR_MACHINE_H

#include "base/bytes.h"

#include <sys/types.h>

/* Memory that one courier locks: for one host, and for as many as it takes. */
enum { CUSTOS_LOCKED_ONE_HOST = 2 << 20, CUSTOS_LOCKED_ALL_HOSTS = 8 << 20 };

/* A file or directory, or why it was not to be looked at. */
struct custos_place {
	char path[256];
	int error;               /* errno; 0: the rest is there */
	mode_t mode;             /* not followed when it is a symbolic link */
	uid_t uid;
};

enum { CUSTOS_PLACES_MAX = 24 };

struct custos_machine {
	/* texts; NULL: the file is not there or cannot be read */
	char *swaps;             /* /proc/swaps */
	char *swap_below;        /* for each swap device a line: its name, and what it rests on: "crypt", "zram" or "plain" */
	char *power_state;       /* /sys/power/state */
	char *power_resume;      /* /sys/power/resume */
	char *core_pattern;      /* /proc/sys/kernel/core_pattern */
	char *limits;            /* /proc/self/limits */
	char *status;            /* /proc/self/status */
	char *ptrace_scope;      /* /proc/sys/kernel/yama/ptrace_scope */
	char *lockdown;          /* /sys/kernel/security/lockdown */
	char *cmdline;           /* /proc/cmdline */
	char *kernel_config;     /* /boot/config-RELEASE */
	char *mounts;            /* /proc/self/mountinfo */
	/* answers */
	size_t lockable;         /* how much memory could be locked: CUSTOS_LOCKED_ALL_HOSTS, CUSTOS_LOCKED_ONE_HOST or 0 */
	const char *backend;     /* how: "memfd_secret" or "mlock"; NULL: not at all */
	int landlock_version;    /* 0: none */
	bool has_seccomp;        /* filters that kill */
	uid_t uid;
	/* places */
	struct custos_place lock_dir;
	struct custos_place helpers[CUSTOS_PLACES_MAX]; /* both helpers, then the directories above them up to the root */
	size_t helper_count;
	char helper_trouble[512]; /* why a helper cannot be used at all, else empty */
};

enum custos_verdict { CUSTOS_VERDICT_OK, CUSTOS_VERDICT_INFO, CUSTOS_VERDICT_WARN, CUSTOS_VERDICT_FAIL };

struct custos_finding {
	enum custos_verdict verdict;
	char found[640];         /* one line */
	char remedy[384];        /* one line, empty when there is nothing to do */
};

struct custos_check {
	const char *name;
	const char *section;     /* of docs/HARDENING.md */
	void (*judge)(const struct custos_machine *machine, struct custos_finding *ret);
};
/* In the order of the report; ends with a NULL name. */
extern const struct custos_check custos_checks[];

/* Fills in what was found; judge_*.c only. */
void custos_finding_set(struct custos_finding *finding, enum custos_verdict verdict, const char *remedy, const char *format, ...) CUSTOS_PRINTF(4, 5);

/* judge_memory.c */
void custos_judge_swap(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_hibernation(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_core_dumps(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_locked_memory(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_secret_memory(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_freed_pages(const struct custos_machine *machine, struct custos_finding *ret);
/* judge_kernel.c */
void custos_judge_tracer(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_ptrace_scope(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_landlock(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_seccomp(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_lockdown(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_processes(const struct custos_machine *machine, struct custos_finding *ret);
/* judge_places.c */
void custos_judge_user(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_lock_directory(const struct custos_machine *machine, struct custos_finding *ret);
void custos_judge_helpers(const struct custos_machine *machine, struct custos_finding *ret);

/* The value after "name:" or "name=" at the beginning of a line or word of `text`, up to white space; "" when it is not there. For judge_*.c. */
void custos_machine_word(const char *text, const char *name, char *out, size_t size);

/* read.c: the files, below `root`. */
void custos_machine_read(const char *root, struct custos_machine *ret);
void custos_machine_done(struct custos_machine *machine);
/* probe.c: what this kernel answers. After custos_machine_read(), whose status tells how much is locked already. */
void custos_machine_probe(struct custos_machine *machine);

#endif
