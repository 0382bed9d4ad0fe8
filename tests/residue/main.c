/* residue_scan: are bytes of a private key, or of a PIN, where they must not be?
 *
 *   residue_scan OPTION… -- COMMAND…     runs COMMAND (custos … deploy …) and looks into custos, custos-token and custos-courier. As root.
 *   residue_scan OPTION… --pid PID       looks once into one process
 *   residue_scan OPTION… --learn SHELL-COMMAND …   the same for a key that nobody knows yet: what would be searched is kept, in memory, until SHELL-COMMAND,
 *                                        run after the other, has written the files of --key; then it is searched
 *
 * --key F, --pin F, --bytes F: what is looked for (a key in PEM, a line, raw bytes); --public F: what is no secret. --every-state: at each call of
 * the courier from the key on, thinned out after --cap N samples; --random N [--seed S] [--apart US]: at N random instants while it has
 * the key, each after at most US microseconds (24) of its work; --token-random N: at N instants of custos-token's work while a courier waits, too.
 * --at STATE:COMMAND, --crash STATE: when the release is in STATE, run COMMAND (RESIDUE_KEEPER, RESIDUE_TOKEN and RESIDUE_COURIER are pids) or send the
 * courier to address 0. --no-key: no key may come. --json F, --timeout S. Exit 0: it was looked, the verdict is in the output. 2: it was not. */
#include "residue.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum { SAMPLES_MIN = 5, CAP = 600, TIMEOUT_S = 110, APART_US = 24 };

void residue_die(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fputs("residue_scan: error: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(2);
}

static const struct option known[] = {
	{ "key", required_argument, NULL, 'k' },     { "pin", required_argument, NULL, 'p' },   { "bytes", required_argument, NULL, 'b' },
	{ "public", required_argument, NULL, 'x' },  { "every-state", no_argument, NULL, 'e' }, { "random", required_argument, NULL, 'r' },
	{ "seed", required_argument, NULL, 's' },    { "cap", required_argument, NULL, 'c' },   { "at", required_argument, NULL, 'a' },
	{ "crash", required_argument, NULL, 'd' },   { "no-key", no_argument, NULL, 'n' },      { "json", required_argument, NULL, 'j' },
	{ "timeout", required_argument, NULL, 't' }, { "pid", required_argument, NULL, 'i' },   { "learn", required_argument, NULL, 'l' },
	{ "token-random", required_argument, NULL, 'q' }, { "apart", required_argument, NULL, 'u' }, { 0 },
};

static void add_hook(struct residue_options *o, const char *text, bool crash)
{
	const char *colon = strchr(text, ':');
	size_t len = crash ? strlen(text) : colon == NULL ? 0 : (size_t)(colon - text);
	if (len == 0 || len >= STATE_SIZE || o->hook_count == HOOKS_MAX)
		residue_die("%s: not STATE:COMMAND", text);
	struct residue_hook *h = &o->hooks[o->hook_count++];
	memcpy(h->state, text, len);
	h->command = crash ? NULL : colon + 1;
}

static unsigned long number(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (end == text || *end != '\0')
		residue_die("%s: not a number", text);
	return n;
}

static void look_once(pid_t pid, const struct residue_needles *needles, struct residue_kept *kept, struct residue_report *report)
{
	struct residue_sample s = { .needles = needles, .report = report, .role = ROLE_COURIER, .phase = PHASE_SECTION, .state = "once", .whole = true, .kept = kept };
	int status;
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0 || waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
		residue_die("cannot stop process %d", (int)pid);
	residue_scan_registers(pid, &s);
	if (!residue_scan_memory(pid, &s))
		residue_die("cannot read process %d", (int)pid);
	residue_sample_add(&s);
	report->of[ROLE_COURIER].processes = 1;
	ptrace(PTRACE_DETACH, pid, 0, 0);
}

/* A run in which nothing was looked at proves nothing. */
static void check_worth(const struct residue_report *r, bool no_key, const struct residue_options *o)
{
	const struct residue_figures *c = &r->of[ROLE_COURIER];
	if (c->processes == 0 || r->couriers_started != c->processes)
		residue_die("%zu of %zu couriers were caught", c->processes, r->couriers_started);
	if (o->hold_up && r->arrivals != c->processes)
		residue_die("%zu of %zu couriers were caught before they had their order", r->arrivals, c->processes);
	if (r->of[ROLE_KEEPER].processes == 0)
		residue_die("the keeper was not caught");
	if (c->samples < SAMPLES_MIN)
		residue_die("only %zu samples", c->samples);
	if (r->key_seen == no_key)
		residue_die(no_key ? "a key came" : "no key came");
	for (size_t i = 0; i < o->hook_count; i++)
		if (!o->hooks[i].done)
			residue_die("the release was never in state \"%s\"", o->hooks[i].state);
}

/* Public bytes first: a window that is in them is not added. */
static void load_some(struct residue_needles *needles, int argc, char **argv, int first, int last)
{
	optind = 1;
	for (int c; (c = getopt_long(argc, argv, "+", known, NULL)) != -1;) {
		if (c < first || c > last)
			continue;
		if (c == 'x')
			residue_needles_exclude(needles, optarg);
		else if (c == 'k')
			residue_needles_add_key(needles, optarg);
		else if (c == 'p')
			residue_needles_add_pin(needles, optarg);
		else if (c == 'b')
			residue_needles_add_bytes(needles, optarg);
	}
}

static void load(struct residue_needles *needles, int argc, char **argv)
{
	load_some(needles, argc, argv, 'x', 'x');
	load_some(needles, argc, argv, 'b', 'p');
	if (residue_needles_count(needles) == 0)
		residue_die("something to look for is needed");
}

static void search_kept(struct residue_kept *kept, const char *learn, struct residue_needles *needles, int argc, char **argv, struct residue_report *report)
{
	if (report->command_status != 0)
		residue_die("the command failed, so there is nothing to learn");
	if (system(learn) != 0)
		residue_die("%s failed", learn);
	load(needles, argc, argv);
	report->kept = residue_kept_search(kept, needles, report);
	residue_kept_free(kept);
}

int main(int argc, char **argv)
{
	struct residue_options options = { .cap = CAP, .timeout_s = TIMEOUT_S, .apart_us = APART_US };
	struct residue_report *report = calloc(1, sizeof *report);
	struct residue_needles *needles = residue_needles_new();
	const char *json = NULL, *learn = NULL;
	bool no_key = false;
	pid_t pid = 0;
	if (report == NULL)
		residue_die("out of memory");
	for (int c; (c = getopt_long(argc, argv, "+", known, NULL)) != -1;) {
		switch (c) {
		case 'e': options.every_state = true; break;
		case 'r': options.random = number(optarg); break;
		case 's': options.seed = (unsigned)number(optarg); break;
		case 'u': options.apart_us = number(optarg); break;
		case 'c': options.cap = number(optarg); break;
		case 't': options.timeout_s = (unsigned)number(optarg); break;
		case 'a': add_hook(&options, optarg, false); break;
		case 'd': add_hook(&options, optarg, true); break;
		case 'n': no_key = true; break;
		case 'j': json = optarg; break;
		case 'l': learn = optarg; break;
		case 'q': options.token_random = number(optarg); break;
		case 'i': pid = (pid_t)number(optarg); break;
		case 'k':
		case 'p':
		case 'b':
		case 'x': break;
		default: return 2;
		}
	}
	int command = optind;
	if ((pid == 0) == (command == argc) || options.apart_us == 0)
		residue_die("something to look at is needed");
	if (learn == NULL)
		load(needles, argc, argv);
	else
		options.kept = residue_kept_new();
	/* a key is made, or a content key opened, in a moment */
	options.hold_up = learn != NULL || options.token_random > 0;
	if (pid != 0)
		look_once(pid, needles, options.kept, report);
	else
		residue_follow(&options, needles, argv + command, report);
	if (learn != NULL)
		search_kept(options.kept, learn, needles, argc, argv, report);
	if (pid == 0)
		check_worth(report, no_key, &options);
	FILE *out = json == NULL ? stdout : fopen(json, "we");
	if (out == NULL)
		residue_die("cannot write %s", json);
	residue_report_json(report, needles, out);
	if (json != NULL && fclose(out) != 0)
		residue_die("cannot write %s", json);
	residue_report_text(report, needles, stderr);
	return 0;
}
