/* What was read, kept for a search that cannot be made yet: a key that is born in a courier is known to nobody before its first host has it.
 *
 * Kept is what a sample would have searched, in memory and never in a file: each piece once by its content, and for each sample where its pieces were, so that
 * the search gives the same figures as one at once. A zero piece has nothing in it. More than KEPT_MAX ends the run: a report with gaps proves nothing. */
#include "residue.h"

#include <stdlib.h>
#include <string.h>

/* A piece goes on into the next by as many bytes as a window that begins in it can reach. */
enum { PIECE = 4096, REACH = RESIDUE_WINDOW - 1, SLOTS_START = 1 << 12, KEPT_MAX = 256 << 20 };

struct piece {
	uint64_t hash;
	uint8_t *bytes;
	size_t len;
	bool searched;
	struct residue_hits hits;
};
struct part {
	enum residue_part part;
	bool locked;
	char where[64];
	size_t first, count;          /* of the numbers */
};
struct moment {
	enum residue_role role;
	enum residue_phase phase;
	char state[STATE_SIZE];
	size_t unreadable;
	size_t first, count;          /* of the parts */
};
struct residue_kept {
	struct piece *pieces;
	struct part *parts;
	struct moment *moments;
	size_t *numbers;              /* of pieces */
	size_t *slots;                /* number of a piece + 1, 0 is empty */
	size_t piece_count, part_count, moment_count, number_count, slot_count;
	size_t parts_taken;           /* belong to a moment */
	size_t bytes;
};

static void *need(void *p)
{
	if (p == NULL)
		residue_die("out of memory");
	return p;
}

/* Room for one more: doubled at each power of two. */
static void *room(void *array, size_t count, size_t size)
{
	return count > 0 && (count & (count - 1)) != 0 ? array : need(realloc(array, (count == 0 ? 1 : count * 2) * size));
}

struct residue_kept *residue_kept_new(void)
{
	struct residue_kept *k = need(calloc(1, sizeof *k));
	k->slot_count = SLOTS_START;
	k->slots = need(calloc(k->slot_count, sizeof *k->slots));
	return k;
}

void residue_kept_free(struct residue_kept *k)
{
	for (size_t i = 0; i < k->piece_count; i++) {
		explicit_bzero(k->pieces[i].bytes, k->pieces[i].len);
		free(k->pieces[i].bytes);
	}
	free(k->pieces);
	free(k->parts);
	free(k->moments);
	free(k->numbers);
	free(k->slots);
	free(k);
}

/* ---- pieces ---- */

static uint64_t hash_of(const uint8_t *bytes, size_t len)
{
	uint64_t hash = len, v = 0;
	for (size_t i = 0; i < len; i += sizeof v) {
		memcpy(&v, bytes + i, len - i < sizeof v ? len - i : sizeof v);
		hash = (hash ^ v) * UINT64_C(0x9E3779B97F4A7C15);
		hash ^= hash >> 29;
	}
	return hash;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
	return len == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0);
}

/* Where it is, or would be. */
static size_t *slot_of(const struct residue_kept *k, uint64_t hash, const uint8_t *bytes, size_t len)
{
	for (size_t at = (size_t)hash & (k->slot_count - 1);; at = (at + 1) & (k->slot_count - 1)) {
		const struct piece *p = k->slots[at] == 0 ? NULL : &k->pieces[k->slots[at] - 1];
		if (p == NULL || (p->hash == hash && p->len == len && memcmp(p->bytes, bytes, len) == 0))
			return &k->slots[at];
	}
}

static void spread_out(struct residue_kept *k)
{
	free(k->slots);
	k->slot_count *= 2;
	k->slots = need(calloc(k->slot_count, sizeof *k->slots));
	for (size_t i = 0; i < k->piece_count; i++)
		*slot_of(k, k->pieces[i].hash, k->pieces[i].bytes, k->pieces[i].len) = i + 1;
}

static size_t number_of(struct residue_kept *k, const uint8_t *bytes, size_t len)
{
	uint64_t hash = hash_of(bytes, len);
	size_t *slot = slot_of(k, hash, bytes, len);
	if (*slot != 0)
		return *slot - 1;
	k->bytes += len;
	if (k->bytes > KEPT_MAX)
		residue_die("more than %d MiB to keep", KEPT_MAX >> 20);
	k->pieces = room(k->pieces, k->piece_count, sizeof *k->pieces);
	k->pieces[k->piece_count] = (struct piece){ .hash = hash, .bytes = need(malloc(len)), .len = len };
	memcpy(k->pieces[k->piece_count].bytes, bytes, len);
	size_t number = k->piece_count++;
	*slot = number + 1;
	if (k->piece_count * 2 > k->slot_count)
		spread_out(k);
	return number;
}

/* ---- keeping ---- */

void residue_keep_begin(struct residue_kept *k)
{
	k->part_count = k->parts_taken;
}

void residue_keep_part(struct residue_kept *k, enum residue_part part, const char *where, bool locked)
{
	k->parts = room(k->parts, k->part_count, sizeof *k->parts);
	struct part *p = &k->parts[k->part_count++];
	*p = (struct part){ .part = part, .locked = locked, .first = k->number_count };
	snprintf(p->where, sizeof p->where, "%s", where);
}

void residue_keep_bytes(struct residue_kept *k, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at + RESIDUE_WINDOW <= len; at += PIECE) {
		size_t n = len - at < PIECE + REACH ? len - at : PIECE + REACH;
		if (is_zero(bytes + at, n))
			continue;
		size_t number = number_of(k, bytes + at, n);
		k->numbers = room(k->numbers, k->number_count, sizeof *k->numbers);
		k->numbers[k->number_count++] = number;
		k->parts[k->part_count - 1].count++;
	}
}

void residue_keep_sample(struct residue_kept *k, const struct residue_sample *s)
{
	k->moments = room(k->moments, k->moment_count, sizeof *k->moments);
	struct moment *m = &k->moments[k->moment_count++];
	*m = (struct moment){ .role = s->role, .phase = s->phase, .unreadable = s->unreadable, .first = k->parts_taken, .count = k->part_count - k->parts_taken };
	snprintf(m->state, sizeof m->state, "%s", s->state);
	k->parts_taken = k->part_count;
}

/* ---- the search ---- */

static struct residue_hits search_part(struct residue_kept *k, const struct part *p, const struct residue_needles *needles)
{
	struct residue_hits all = { 0 };
	for (size_t i = p->first; i < p->first + p->count; i++) {
		struct piece *piece = &k->pieces[k->numbers[i]];
		if (!piece->searched)
			residue_needles_search(needles, piece->bytes, piece->len, &piece->hits);
		piece->searched = true;
		residue_hits_add(&all, &piece->hits);
	}
	return all;
}

size_t residue_kept_search(struct residue_kept *k, const struct residue_needles *needles, struct residue_report *report)
{
	for (size_t i = 0; i < k->moment_count; i++) {
		const struct moment *m = &k->moments[i];
		struct residue_sample s = { .needles = needles, .report = report, .role = m->role, .phase = m->phase, .state = m->state, .unreadable = m->unreadable };
		struct residue_hits vectors = { 0 };
		for (size_t j = m->first; j < m->first + m->count; j++) {
			const struct part *p = &k->parts[j];
			struct residue_hits hits = search_part(k, p, needles);
			if (p->part == PART_MAPPING)
				residue_sample_take_mapping(&s, p->where, p->locked, &hits);
			else
				residue_sample_take_registers(&s, p->part, &vectors, &hits);
		}
		residue_sample_end_registers(&s, &vectors);
		residue_sample_add(&s);
	}
	return k->bytes;
}
