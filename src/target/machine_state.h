/* What machine.c and machine_verify.c share. Private to this layer. */
#ifndef CUSTOS_TARGET_MACHINE_STATE_H
#define CUSTOS_TARGET_MACHINE_STATE_H

#include "target/machine.h"

void custos_machine_blame(struct custos_machine *m, custos_rc category, const char *why, const char *hint);
void custos_machine_roll_back(struct custos_machine *m);
void custos_machine_give_up(struct custos_machine *m, const char *because);   /* not rolled back, with the manual way back */

/* The ladder and the verification after each of its steps, forwards and on the way back. */
void custos_machine_begin_verify(struct custos_machine *m, int64_t now_ms);
void custos_machine_after_probe(struct custos_machine *m, const struct custos_deploy_event *event);
void custos_machine_after_alive(struct custos_machine *m, const struct custos_deploy_event *event, const char *text);
void custos_machine_next_step(struct custos_machine *m);

#endif
