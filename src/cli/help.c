/* Help, made from the rows. */
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

static void usage(const struct custos_command *c, char *out, size_t size)
{
	snprintf(out, size, "custos %s%s%s%s%s%s", c->noun, c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "",
	         c->args[0] != '\0' ? " " : "", c->args, c->options != NULL && c->options->name != NULL ? " [OPTIONS]" : "");
}

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static int width_of(const char *text)
{
	int width = 0;
	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void padded(const char *text, int width, const char *then)
{
	int room = width - width_of(text);
	custos_out_line("  %s%*s %s", text, room > 0 ? room : 0, "", then);
}

static void row(const struct custos_command *c)
{
	char line[256];
	usage(c, line, sizeof line);
	padded(line + strlen("custos "), 44, c->summary);
}

void custos_help_all(void)
{
	custos_out_text("custos keeps private keys on a PKCS#11 token and delivers them, logged, to the hosts that serve them.\n\n"
	                "usage: custos [-C DIR] [--json] [--pin-source SRC] [--quiet] NOUN VERB [ARGS]\n\n");
	for (size_t i = 0; custos_commands[i] != NULL; i++)
		row(custos_commands[i]);
	custos_out_text("\nDIR is the custody directory, from -C or CUSTOS_DIR. SRC is tty, fd:N, file:PATH, exec:COMMAND or pinpad.\n"
	                "`custos help NOUN` and `custos NOUN VERB --help` say more; custos-exit(7) lists the exit codes.\n");
}

void custos_help_group(const char *noun)
{
	custos_out_line("usage: custos %s SUBCOMMAND [ARGS]", noun);
	for (size_t i = 0; custos_commands[i] != NULL; i++)
		if (strcmp(custos_commands[i]->noun, noun) == 0)
			row(custos_commands[i]);
}

void custos_help_command(const struct custos_command *c)
{
	char line[256];
	usage(c, line, sizeof line);
	custos_out_line("usage: %s", line);
	custos_out_line("  %s", c->summary);
	for (const struct custos_option *o = c->options; o != NULL && o->name != NULL; o++) {
		snprintf(line, sizeof line, "%s%s%s%s", o->name, o->value != NULL ? " " : "", o->value != NULL ? o->value : "",
		         o->kind == CUSTOS_OPTION_LIST ? " …" : "");
		padded(line, 30, o->summary);
	}
}

custos_rc custos_help_noun(const char *noun, struct custos_err *err)
{
	size_t found = 0;
	for (size_t i = 0; custos_commands[i] != NULL; i++)
		if (strcmp(custos_commands[i]->noun, noun) == 0) {
			if (found++ > 0)
				custos_out_text("\n");
			custos_help_command(custos_commands[i]);
		}
	if (found == 0)
		CUSTOS_FAIL_HINT(err, CUSTOS_E_USAGE, "`custos help` lists the commands", "there is no command \"%s\"", noun);
	return CUSTOS_OK;
}
