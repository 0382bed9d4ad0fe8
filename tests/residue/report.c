/* The figures, as one line of JSON for a program and some lines for people. Never a byte of what was found. */
#include "residue.h"

#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

static const char *const role_names[ROLES] = { "keeper", "token", "courier" };
static const char *const phase_names[] = { "before", "section", "after", "end" };

void residue_report_state(struct residue_report *r, const char *state)
{
	for (size_t i = 0; i < r->state_count; i++)
		if (strcmp(r->states[i], state) == 0)
			return;
	if (r->state_count < STATES_MAX)
		snprintf(r->states[r->state_count++], STATE_SIZE, "%s", state);
}

void residue_report_finding(struct residue_report *r, enum residue_role role, enum residue_phase phase, const char *state, const char *where, bool locked,
                            const struct residue_hits *hits)
{
	struct residue_finding *f = r->findings;
	while (f < r->findings + r->finding_count &&
	       (f->role != role || f->locked != locked || strcmp(f->where, where) != 0 || (f->first_phase == PHASE_END) != (phase == PHASE_END)))
		f++;
	if (f == r->findings + FINDINGS_MAX) {
		r->findings_cut = true;
		return;
	}
	if (f == r->findings + r->finding_count) {
		r->finding_count++;
		*f = (struct residue_finding){ .role = role, .locked = locked, .first_phase = phase };
		snprintf(f->where, sizeof f->where, "%s", where);
		snprintf(f->first_state, sizeof f->first_state, "%s", state);
	}
	f->samples++;
	f->kinds |= hits->kinds;
	f->key = hits->key > f->key ? hits->key : f->key;
	f->pin = hits->pin > f->pin ? hits->pin : f->pin;
}

static void raise_to(size_t *figure, size_t value)
{
	if (value > *figure)
		*figure = value;
}

void residue_sample_take_mapping(struct residue_sample *s, const char *where, bool locked, const struct residue_hits *hits)
{
	if (hits->kinds == 0)
		return;
	residue_hits_add(locked ? &s->locked : &s->unlocked, hits);
	residue_report_finding(s->report, s->role, s->phase, s->state, where, locked, hits);
}

void residue_sample_end_registers(struct residue_sample *s, struct residue_hits *vectors)
{
	residue_hits_add(&s->registers, vectors);
	*vectors = (struct residue_hits){ 0 };
}

void residue_sample_take_registers(struct residue_sample *s, enum residue_part part, struct residue_hits *vectors, const struct residue_hits *hits)
{
	if (part == PART_GENERAL) {
		residue_sample_end_registers(s, vectors);
		residue_hits_add(&s->registers, hits);
		return;
	}
	raise_to(&vectors->key, hits->key);
	raise_to(&vectors->pin, hits->pin);
	vectors->runs += hits->runs;
	vectors->kinds |= hits->kinds;
}

void residue_sample_add(const struct residue_sample *s)
{
	if (s->kept != NULL) {
		residue_keep_sample(s->kept, s);
		return;
	}
	struct residue_figures *f = &s->report->of[s->role];
	f->samples++;
	f->dirty += s->unlocked.key > 0;
	raise_to(&f->unreadable, s->unreadable);
	raise_to(&f->unlocked, s->unlocked.key);
	raise_to(&f->locked, s->locked.key);
	raise_to(&f->pin, s->unlocked.pin + s->locked.pin);
	raise_to(&f->pin_registers, s->registers.pin);
	if (s->phase == PHASE_AFTER) {
		raise_to(&f->locked_after, s->locked.key);
		raise_to(&f->registers_after, s->registers.key);
	} else if (s->phase == PHASE_END) {
		raise_to(&f->left_unlocked, s->unlocked.key);
		raise_to(&f->left_locked, s->locked.key);
		raise_to(&f->left_registers, s->registers.key);
	} else {
		raise_to(&f->registers_section, s->registers.key);
	}
}

static void kind_names(unsigned kinds, char *text, size_t size)
{
	static const char *const names[] = { "number", "limbs", "words", "text", "text-words", "text-reversed", "pin" };
	size_t at = 0;
	text[0] = '\0';
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if ((kinds >> i & 1) != 0 && at < size)
			at += (size_t)snprintf(text + at, size - at, "%s%s", at > 0 ? "+" : "", names[i]);
}

/* Names of files and of states; nothing else is quoted. */
static void put_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++)
		fputc(*text < ' ' || *text > '~' || *text == '"' || *text == '\\' ? '?' : *text, out);
	fputc('"', out);
}

static void put_figures(FILE *out, const struct residue_figures *f)
{
	const struct {
		const char *name;
		size_t value;
	} rows[] = {
		{ "processes", f->processes },
		{ "ends", f->ends },
		{ "samples", f->samples },
		{ "random", f->random },
		{ "mappings", f->mappings },
		{ "bytes", f->bytes },
		{ "unreadable", f->unreadable },
		{ "unlocked", f->unlocked },
		{ "dirty", f->dirty },
		{ "locked", f->locked },
		{ "locked_after", f->locked_after },
		{ "registers_section", f->registers_section },
		{ "registers_after", f->registers_after },
		{ "left_unlocked", f->left_unlocked },
		{ "left_locked", f->left_locked },
		{ "left_registers", f->left_registers },
		{ "pin", f->pin },
		{ "pin_registers", f->pin_registers },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		fprintf(out, "%s\"%s\": %zu", i > 0 ? ", " : "{", rows[i].name, rows[i].value);
	fputc('}', out);
}

void residue_report_json(const struct residue_report *r, const struct residue_needles *n, FILE *out)
{
	fprintf(out, "{\"windows\": %zu, \"key_seen\": %s, \"token_gone\": %s, \"backend\": \"%s\", \"couriers_started\": %zu, \"kept\": %zu, \"command_exit\": %d",
	        residue_needles_count(n), r->key_seen ? "true" : "false", r->token_gone ? "true" : "false", r->backend, r->couriers_started, r->kept,
	        WIFEXITED(r->command_status) ? WEXITSTATUS(r->command_status) : 128 + WTERMSIG(r->command_status));
	for (int role = 0; role < ROLES; role++) {
		fprintf(out, ", \"%s\": ", role_names[role]);
		put_figures(out, &r->of[role]);
	}
	fputs(", \"states\": [", out);
	for (size_t i = 0; i < r->state_count; i++) {
		fputs(i > 0 ? ", " : "", out);
		put_text(out, r->states[i]);
	}
	fputs("], \"findings\": [", out);
	for (size_t i = 0; i < r->finding_count; i++) {
		const struct residue_finding *f = &r->findings[i];
		char kinds[128];
		kind_names(f->kinds, kinds, sizeof kinds);
		fprintf(out,
		        "%s{\"process\": \"%s\", \"locked\": %s, \"kinds\": \"%s\", \"key\": %zu, \"pin\": %zu, \"samples\": %zu, \"phase\": \"%s\", \"first_state\": ",
		        i > 0 ? ", " : "", role_names[f->role], f->locked ? "true" : "false", kinds, f->key, f->pin, f->samples, phase_names[f->first_phase]);
		put_text(out, f->first_state);
		fputs(", \"where\": ", out);
		put_text(out, f->where);
		fputc('}', out);
	}
	fprintf(out, "], \"findings_cut\": %s}\n", r->findings_cut ? "true" : "false");
}

void residue_report_text(const struct residue_report *r, const struct residue_needles *n, FILE *out)
{
	const struct residue_figures *c = &r->of[ROLE_COURIER], *k = &r->of[ROLE_KEEPER], *t = &r->of[ROLE_TOKEN];
	fprintf(out,
	        "%s: %zu windows, %zu mappings, %zu KiB, %zu samples (%zu at random), %zu states; courier: %zu bytes unlocked, %zu locked, %zu unreadable, %zu left at the end, "
	        "registers %zu in the section, %zu after, %zu left; keeper: %zu samples, %zu bytes of key, %zu of PIN; token's own: %zu of key, %zu of PIN\n",
	        r->backend[0] != '\0' ? r->backend : "no backend", residue_needles_count(n), c->mappings, c->bytes / 1024, c->samples, c->random,
	        r->state_count, c->unlocked, c->locked, c->unreadable, c->left_unlocked + c->left_locked, c->registers_section, c->registers_after,
	        c->left_registers, k->samples, k->unlocked + k->locked + k->registers_section + k->registers_after + k->left_registers,
	        k->pin + k->pin_registers, t->unlocked + t->locked, t->pin);
	for (size_t i = 0; i < r->finding_count; i++) {
		const struct residue_finding *f = &r->findings[i];
		char kinds[128];
		kind_names(f->kinds, kinds, sizeof kinds);
		fprintf(out, "  %-7s %-8s %-24s %5zu of key %3zu of PIN in %zu samples, first %s at \"%s\": %s\n", role_names[f->role],
		        f->locked ? "locked" : "UNLOCKED", f->where, f->key, f->pin, f->samples, phase_names[f->first_phase], f->first_state, kinds);
	}
}
