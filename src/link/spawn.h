/* Starting the two helper processes. The helper is executed from a descriptor the keeper has opened (so that what was
 * hashed is what runs), its end of the channel is descriptor 3, everything else is closed, stdin and stdout are
 * /dev/null, stderr is inherited for the module's own complaints. */
#ifndef CUSTOS_LINK_SPAWN_H
#define CUSTOS_LINK_SPAWN_H

#include "link/channel.h"
#include <sys/types.h>

struct custos_confinement;

enum { CUSTOS_HELPER_FD = 3 };
enum custos_spawn_flags { CUSTOS_SPAWN_CLEAN_ENVIRONMENT = 1u << 0 }; /* nothing but TZ=UTC0; else the environment is inherited (a module may need its own variables) */

struct custos_helper {
	pid_t pid;
	struct custos_channel channel;
};

/* The compiled-in directory of the helpers. */
const char *custos_helper_directory(void);
/* Opens the helper `name` (e.g. "custos-courier") in the compiled-in directory. The descriptor is the caller's. */
CUSTOS_RC custos_helper_open(const char *name, int *ret_fd, struct custos_err *err);
/* `confinement` holds for the helper from before its first instruction; NULL: it confines itself. */
CUSTOS_RC custos_helper_start(int exe_fd, const char *name, unsigned flags, struct custos_confinement *confinement, const struct custos_link_protocol *protocol,
                              struct custos_helper *ret_helper, struct custos_err *err);
/* Closes the channel, waits up to grace_ms, then kills by pid. Returns the wait status. */
int custos_helper_stop(struct custos_helper *helper, int grace_ms);

/* In the helper: the channel on descriptor 3. */
CUSTOS_RC custos_helper_attach(const struct custos_link_protocol *protocol, struct custos_channel *ret_channel, struct custos_err *err);

#endif
