/* A secret is a type: it lives in a locked arena, is wiped when freed, cannot be printed and has no getter here. */
#ifndef CUSTOS_SECRET_H
#define CUSTOS_SECRET_H

#include <custos/err.h>
#include <stddef.h>

struct custos_secret;

/* Must be called once, before any secret is made: hardens the process (non-dumpable, no core, no new privileges; refuses to go on when
 * traced) and maps its locked arena. Fails (CUSTOS_E_SYSTEM) when memory cannot be locked; there is no way around it. */
__attribute__((warn_unused_result)) custos_rc custos_secret_start(struct custos_err *err);
/* Reads one line (at most `max` bytes, 1 to 4096) from a descriptor straight into locked memory: no stdio. The newline (LF or
 * CRLF) is dropped; end of file ends the line. An empty line is an error. The secret is the caller's: custos_secret_free().
 * `what` names the secret in errors. */
__attribute__((warn_unused_result)) custos_rc custos_secret_read_line(int fd, size_t max, const char *what,
                                                                      struct custos_secret **ret_secret, struct custos_err *err);
void custos_secret_free(struct custos_secret *secret); /* wipes; NULL is fine */
size_t custos_secret_length(const struct custos_secret *secret);

#endif
