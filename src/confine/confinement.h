/* Giving up what a process does not need: files by landlock(7), system calls by seccomp(2). Put together first, entered once; it holds for the calling
 * process and for everything it starts from then on, and cannot be taken back. What a kernel lacks of landlock is left out, because
 * Linux before 5.13 has none; `custos doctor` names such a machine. seccomp is never left out. */
#ifndef CUSTOS_CONFINE_CONFINEMENT_H
#define CUSTOS_CONFINE_CONFINEMENT_H

#include "base/bytes.h"

struct custos_confinement;

enum custos_confine_rights {
	CUSTOS_CONFINE_READ = 1u << 0,    /* files and directories */
	CUSTOS_CONFINE_WRITE = 1u << 1,   /* and make, remove, rename, truncate */
	CUSTOS_CONFINE_EXECUTE = 1u << 2,
};

CUSTOS_RC custos_confinement_new(struct custos_confinement **ret_confinement, struct custos_err *err);
void custos_confinement_free(struct custos_confinement *confinement);
CUSTOS_DEFINE_FREEP(custos_confinement);

/* No file that is not open already, no TCP connection, no signal and no abstract socket of another process. */
CUSTOS_RC custos_confinement_nothing(struct custos_confinement *confinement, struct custos_err *err);
/* No file that is not open already, but those that allow_path() names. A path that is not there is left out. */
CUSTOS_RC custos_confinement_only_paths(struct custos_confinement *confinement, struct custos_err *err);
CUSTOS_RC custos_confinement_allow_path(struct custos_confinement *confinement, const char *path, unsigned rights, struct custos_err *err);
/* Every file but those below the directories `dirs`, which must exist. What is made beside one or beside its parents later is out of reach as well. */
CUSTOS_RC custos_confinement_all_but(struct custos_confinement *confinement, const char *const dirs[], size_t count, struct custos_err *err);

/* A system call by its number (libseccomp's: negative when this architecture has no such call), and what one of its arguments must be. */
struct custos_confine_call {
	int number;
	unsigned argument;      /* 0 to 5; looked at only when `mask` is not 0 */
	uint64_t mask, value;   /* argument & mask == value */
};
/* These system calls and no other: any other kills the process. */
CUSTOS_RC custos_confinement_only_calls(struct custos_confinement *confinement, const struct custos_confine_call *calls, size_t count, struct custos_err *err);
/* For other people's code, which may need anything else: no way into other processes or around these rules, nothing done to a file by its name that landlock does not
 * govern (mode, owner, attributes; its length before Linux 6.2), and no socket but AF_UNIX and AF_NETLINK (drivers hear of devices through it): EACCES. */
enum custos_foreign_code { CUSTOS_FOREIGN_OFFLINE, CUSTOS_FOREIGN_MAY_USE_NETWORK };
CUSTOS_RC custos_confinement_foreign_code(struct custos_confinement *confinement, enum custos_foreign_code kind, struct custos_err *err);

/* Needs no-new-privs (memory/harden.h). Between fork and exec it is safe in a process with one thread. */
CUSTOS_RC custos_confinement_enter(struct custos_confinement *confinement, struct custos_err *err);

/* The landlock version of this kernel; 0 when it has none. */
int custos_confine_landlock_version(void);

#endif
