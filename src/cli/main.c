/* Finds the row, opens what it needs, runs it, turns an error into two lines and an exit code. */
#include "cli/output.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>

static custos_rc run(struct custos_call *call, struct custos_err *err)
{
	const struct custos_command *c = call->command;
	if (c == NULL && call->group != NULL) {
		custos_help_group(call->group);
		return CUSTOS_OK;
	}
	if (c == NULL) {
		custos_help_all();
		return call->given_count > 0 && custos_call_flag(call, "--help") ? CUSTOS_OK : CUSTOS_E_USAGE;
	}
	if (custos_call_flag(call, "--help")) {
		custos_help_command(c);
		return CUSTOS_OK;
	}
	if (call->count < c->min_args || call->count > c->max_args)
		CUSTOS_FAIL(err, CUSTOS_E_USAGE, "usage: custos %s%s%s %s", c->noun, c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "", c->args);
	if (call->json && (c->needs & CUSTOS_READS) == 0)
		CUSTOS_FAIL(err, CUSTOS_E_USAGE, "custos %s%s%s has no --json", c->noun, c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "");
	call->pin = custos_call_pin(call);
	if ((c->needs & CUSTOS_NEEDS_CUSTODY) != 0) {
		const char *dir = call->dir != NULL ? call->dir : getenv("CUSTOS_DIR");
		CUSTOS_TRY(custos_custody_open(dir, &call->pin, &call->custody, err));
	}
	return c->run(call, err);
}

/* What is printed must not end up in a file or socket that got the number of a standard descriptor. */
static bool has_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

/* Before anything else this process is hardened. A process that cannot be goes on only to say what is wrong with the machine. */
static custos_rc start(int argc, char **argv, struct custos_call *call, struct custos_err *err)
{
	custos_rc hardened = custos_secret_start(err);
	if (hardened == CUSTOS_OK)
		return custos_call_parse(argc, argv, call, err);
	if (custos_call_parse(argc, argv, call, NULL) != CUSTOS_OK || call->command == NULL || (call->command->needs & CUSTOS_JUDGES) == 0)
		return hardened;
	custos_err_clear(err);
	return CUSTOS_OK;
}

int main(int argc, char **argv)
{
	struct custos_err err = { 0 };
	static struct custos_call call;
	if (!has_standard_descriptors())
		return CUSTOS_E_SYSTEM;
	/* a courier or a token that dies is an error, not the end of the keeper */
	signal(SIGPIPE, SIG_IGN);
	custos_rc rc = start(argc, argv, &call, &err);
	if (rc == CUSTOS_OK)
		rc = run(&call, &err);
	custos_custody_free(call.custody);
	int own = call.command != NULL && call.command->conclude != NULL ? call.command->conclude(&call, &err) : -1;
	if (own >= 0) {
		rc = CUSTOS_OK;
		custos_err_clear(&err);
	}
	custos_json_free(call.result);
	struct custos_err flush = { 0 };
	custos_rc flushed = custos_out_flush(&flush);
	if (rc == CUSTOS_OK && flushed != CUSTOS_OK) {
		rc = flushed;
		err = flush;
	}
	if (err.rc != CUSTOS_OK)
		custos_out_error(&err);
	return rc == CUSTOS_OK && own >= 0 ? own : (int)rc;
}
