/* What many hosts serve, fetched at once: a host that does not answer keeps nobody waiting but those who wait for it. */
#ifndef CUSTOS_DEPLOY_LOOK_H
#define CUSTOS_DEPLOY_LOOK_H

#include "crypto/served.h"

enum { CUSTOS_LOOKS_AT_ONCE = 32 };

struct custos_look {
	const char *address, *name;    /* HOST, HOST:PORT; what the host is asked for. Borrowed */
	custos_rc rc;
	struct custos_served served;   /* when rc is CUSTOS_OK; custos_served_done() */
	struct custos_err why;         /* else */
};

/* Each is looked at once, CUSTOS_LOOKS_AT_ONCE at a time; when it returns, all are done and no thread is left. */
void custos_looks_take(struct custos_look looks[], size_t count);

#endif
