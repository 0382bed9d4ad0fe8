/* Is this machine fit to hold keys? What docs/HARDENING.md asks of the operator, checked. Needs no custody, no token and no login. */
#ifndef CUSTOS_DOCTOR_H
#define CUSTOS_DOCTOR_H

#include <custos/custody.h>

/* Looks at the machine and judges it. `root` stands before every path that is read: "" for this machine; answers of the kernel (locked memory,
 * landlock, seccomp) are this machine's in any case. What cannot be read is a finding, not an error.
 * *ret_report: {"verdict","fails","warns","checks":[{"name","verdict","found","remedy"}…]}, where a verdict is "ok", "info" (a choice, and
 * what was chosen), "warn" (something is weaker than it could be) or "fail" (custos cannot work here, or not safely), and `remedy` is null
 * for "ok". The whole is as bad as its worst check. */
CUSTOS_API custos_machine_examine(const char *root, struct custos_json **ret_report, struct custos_err *err);

#endif
