/* In place of memory/scrub.c: registers and stack stay as they are. */
#include "memory/scrub.h"

#include <unistd.h>

void custos_scrub_registers(void)
{
}

void custos_scrub_stack(void)
{
}

void custos_scrub_and_exit(void *stack, size_t size, int status)
{
	(void)stack, (void)size;
	_exit(status);
}
