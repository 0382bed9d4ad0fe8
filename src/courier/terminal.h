/* The terminal of a person who copies or types shares: one at a time, handed over by the keeper. It is this process's alone while it is open: nothing typed is echoed, no key
 * of it raises a signal (Ctrl-C and Ctrl-D are how a person ends the errand), and whatever ends this process, the epilogue puts it back. */
#ifndef CUSTOS_COURIER_TERMINAL_H
#define CUSTOS_COURIER_TERMINAL_H

#include "courier/courier.h"

/* Takes the terminal. CUSTOS_E_SYSTEM when `fd` is none. The descriptor stays the caller's and must be open until custos_terminal_close(). */
CUSTOS_RC custos_terminal_open(int fd, struct custos_err *err);
/* Clears what was shown, puts the terminal back as it was. Nothing open is fine. Safe in a signal handler. */
void custos_terminal_close(void);

/* All functions below wait for the person as long as it takes. CUSTOS_E_POLICY: the person has ended it (Ctrl-C, end of file); CUSTOS_E_SYSTEM: terminal or keeper has gone. */

CUSTOS_RC custos_terminal_say(const char *text, struct custos_err *err);
/* Says it and waits for Enter. What was typed before is forgotten. */
CUSTOS_RC custos_terminal_await_enter(struct custos_courier *c, const char *prompt, struct custos_err *err);
/* On a screen of its own, cleared when Enter was pressed. `text` is a written share (crypto/shares.h). */
CUSTOS_RC custos_terminal_show_share(struct custos_courier *c, const char *heading, struct custos_secret *text, struct custos_err *err);
/* What a person types as a share: up to Enter behind its last letter, or an empty line. A star is shown for each letter. */
CUSTOS_RC custos_terminal_ask_share(struct custos_courier *c, const char *prompt, struct custos_secret **ret_typed, struct custos_err *err);

#endif
