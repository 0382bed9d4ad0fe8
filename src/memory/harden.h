/* What a process does before it may touch a secret. */
#ifndef CUSTOS_MEMORY_HARDEN_H
#define CUSTOS_MEMORY_HARDEN_H

#include "base/bytes.h"

/* umask 077, PR_SET_DUMPABLE 0, RLIMIT_CORE 0, no new privileges. Refuses (CUSTOS_E_SYSTEM) when traced or when one of them cannot be had. */
CUSTOS_RC custos_harden_process(struct custos_err *err);
/* No further process and no byte in a file: RLIMIT_NPROC and RLIMIT_FSIZE 0. Memory that is a file (memfd_secret) cannot be mapped any more either. */
CUSTOS_RC custos_harden_limits(struct custos_err *err);

#endif
